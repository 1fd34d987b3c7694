"""The S3 that second_opinion.py has started, for the commands that it runs."""

import os

import boto3


def s3(who):
    """A client for ADMIN, who may do everything, or for FUNCTION, which has the role."""
    return boto3.client(
        "s3",
        endpoint_url=os.environ["ONAIR_S3_ENDPOINT"],
        region_name=os.environ["ONAIR_REGION"],
        aws_access_key_id=os.environ[f"ONAIR_{who}_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ[f"ONAIR_{who}_SECRET_ACCESS_KEY"],
        aws_session_token=os.environ.get(f"ONAIR_{who}_SESSION_TOKEN"),
    )
