"""The transcoder may do what publish-live does, below its prefix, and nothing else; and moto enforces it. publish-live itself
is run under this role by second_opinions.py. Promise P90."""


import moto_server
import pytest
import role
import second_opinion
import stack
from botocore.exceptions import ClientError

# Sid -> what it allows, and on what; $B is the bucket.
EXPECTED = {
    "ReadPublished": ("s3:GetObject", "$B/live/*"),
    "Publish": ("s3:PutObject", "$B/live/*"),
    "DeleteOld": ("s3:DeleteObject", "$B/live/*"),
    "FindPublished": ("s3:ListBucket", "$B"),
}
MAY = {"read", "read what is not there", "write", "delete", "delete in a batch", "list"}
# Statement -> what is refused without it.
NEEDED_FOR = {
    "ReadPublished": {"read", "read what is not there"},
    "Publish": {"write"},
    "DeleteOld": {"delete", "delete in a batch"},
    "FindPublished": {"read what is not there", "list"},
}


def test_the_role_may_do_exactly_this():
    (document,) = role.policies(stack.LIVE, "publish-live")
    bucket = next(s["Resource"] for s in document["Statement"] if s["Sid"] == "FindPublished")
    assert bucket.startswith(f"arn:aws:s3:::{stack.NAME}-livebucket-")
    assert {s["Sid"]: (s["Action"], s["Resource"].replace(bucket, "$B")) for s in document["Statement"]} == EXPECTED
    assert all(set(s) == {"Sid", "Effect", "Action", "Resource"} for s in document["Statement"])
    assert {s["Effect"] for s in document["Statement"]} == {"Allow"}


def test_only_ec2_hands_the_role_on():
    trust = stack.translate(stack.LIVE)["Resources"]["LiveTranscoderRole"]["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    assert statement == {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


class Enforced:
    """A stack that also has a pair, on a server of moto that enforces IAM."""

    def __init__(self, endpoint):
        client = stack.clients(endpoint)
        self.outputs = stack.create(stack.PAIR | stack.LIVE, client)
        self.role_name = stack.physical_ids(client)["LiveTranscoderRole"]
        arn = client("iam").get_role(RoleName=self.role_name)["Role"]["Arn"]
        assumed = client("sts").assume_role(RoleArn=arn, RoleSessionName="transcoder")["Credentials"]
        admin = second_opinion.administrator(client)
        moto_server.enforce_iam(endpoint)
        self.admin = stack.clients(endpoint, admin["AccessKeyId"], admin["SecretAccessKey"])
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        self.transcoder = stack.clients(endpoint, *(assumed[name] for name in names))

    def attempts(self, only=None):
        """What the role lets through of these attempts, or of those that are named."""
        bucket, public = self.outputs["LiveBucketName"], self.outputs["PairPublicBucketName"]
        s3, iam = self.transcoder("s3"), self.transcoder("iam")

        def of(name, bucket, key):
            place = {"Bucket": bucket, "Key": key}
            # It may have been deleted the last time.
            self.admin("s3").put_object(**place, Body=b"seed")
            return {
                f"read{name}": lambda: s3.get_object(**place),
                f"write{name}": lambda: s3.put_object(**place, Body=b"new"),
                f"delete{name}": lambda: s3.delete_object(**place),
            }

        calls = of("", bucket, "live/show/index.m3u8")
        calls |= of(" beside the prefix", bucket, "live2/index.m3u8")
        calls |= of(" the prefix itself", bucket, "live")
        calls |= of(" the player's page", bucket, "player/index.html")
        calls |= of(" of the pair", public, "show/index.m3u8")
        calls |= {
            "read what is not there": lambda: s3.get_object(Bucket=bucket, Key="live/none.m3u8"),
            "delete in a batch": lambda: deleted(s3, bucket, "live/1.ts"),
            "delete the page in a batch": lambda: deleted(s3, bucket, "player/index.html"),
            "list": lambda: s3.list_objects_v2(Bucket=bucket, Prefix="live/"),
            "list the pair's": lambda: s3.list_objects_v2(Bucket=public),
            "list versions": lambda: s3.list_object_versions(Bucket=bucket),
            "list buckets": lambda: s3.list_buckets(),
            "change the bucket's policy": lambda: s3.delete_bucket_policy(Bucket=bucket),
            "change what expires": lambda: s3.delete_bucket_lifecycle(Bucket=bucket),
            "give itself more": lambda: iam.put_role_policy(
                RoleName=self.role_name, PolicyName="more", PolicyDocument='{"Version": "2012-10-17", "Statement": []}'
            ),
        }
        return {what for what, call in calls.items() if (only is None or what in only) and is_allowed(call)}


def deleted(s3, bucket, key):
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    for error in answer.get("Errors", []):
        raise ClientError({"Error": error}, "DeleteObjects")


def is_allowed(call):
    try:
        call()
    except ClientError as error:
        # NoSuchKey means allowed: without the permission, the error is a refusal.
        assert error.response["Error"]["Code"] in ("AccessDenied", "NoSuchKey"), error
        return error.response["Error"]["Code"] == "NoSuchKey"
    return True


@pytest.fixture(scope="module")
def enforced():
    with moto_server.running() as endpoint:
        yield Enforced(endpoint)


def test_under_the_role_a_transcoder_can_do_this_and_nothing_else(enforced):
    assert enforced.attempts() == MAY


@pytest.mark.parametrize("sid", EXPECTED)
def test_without_one_of_its_statements_it_cannot_do_just_that(enforced, sid):
    before = second_opinion.leave_out(sid, enforced.admin, enforced.role_name)
    assert enforced.attempts(MAY) == MAY - NEEDED_FOR[sid]
    role.put(enforced.admin, enforced.role_name, before)
