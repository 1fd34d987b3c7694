"""Fills the gaps between moto 5.2.5 and AWS that the checks of the template would fall into.

Import this module before the first call to moto. Each gap says what moto does and what AWS does instead; when moto
closes one, its block here can go.
"""

import json
from xml.sax.saxutils import escape

import moto.cloudformation.parsing as parsing
import xmltodict
from moto.iam.models import Role
from moto.logs.models import LogGroup
from moto.s3.exceptions import BucketAccessDeniedError, S3AccessDeniedError
from moto.s3.responses import S3Response


# moto leaves null in a list where an item is AWS::NoValue; CloudFormation leaves the item out.
moto_clean_json = parsing.clean_json


def clean_json(value, resources):
    cleaned = moto_clean_json(value, resources)
    return [item for item in cleaned if item is not None] if isinstance(cleaned, list) else cleaned


# moto's function calls itself by this name, so lists at every depth pass here.
parsing.clean_json = clean_json


# moto keeps an inline policy of a role in a stack as a Python object; IAM keeps JSON, which moto's own IAM reads.
moto_put_policy = Role.put_policy


def put_policy(self, name, document):
    moto_put_policy(self, name, document if isinstance(document, str) else json.dumps(document))


Role.put_policy = put_policy


# moto's attribute Arn of a log group ends in the group's name; CloudFormation's ends in :*, the group's streams.
moto_log_group_attribute = LogGroup.get_cfn_attribute


def log_group_attribute(self, name):
    return moto_log_group_attribute(self, name) + (":*" if name == "Arn" else "")


LogGroup.get_cfn_attribute = log_group_attribute


# moto asks for s3:DeleteObject on the bucket before a DeleteObjects call. S3 asks for each key of it: for
# s3:DeleteObject on the object or, with a version id, s3:DeleteObjectVersion; keys that are refused are reported
# one by one in an answer that is otherwise a success.
moto_bucket_response_post = S3Response._bucket_response_post


def bucket_response_post(self, request, bucket_name):
    self.path = self._get_path(request)
    if not self.is_delete_keys():
        return moto_bucket_response_post(self, request, bucket_name)
    delete = xmltodict.parse(self.body, strip_whitespace=False, force_list=("Object",))
    allowed, refused = [], []
    for item in delete["Delete"]["Object"]:
        self.data["Action"] = "DeleteObjectVersion" if item.get("VersionId") else "DeleteObject"
        try:
            self._authenticate_and_authorize_s3_action(bucket_name=bucket_name, key_name=item["Key"])
            allowed.append(item)
        except (BucketAccessDeniedError, S3AccessDeniedError):
            refused.append(item)
    if not refused:
        return self._bucket_response_delete_keys(bucket_name)
    if not allowed:
        return self._bucket_response_delete_keys(bucket_name, authenticated=False)
    delete["Delete"]["Object"] = allowed
    self.body = xmltodict.unparse(delete).encode()
    status, headers, answer = self._bucket_response_delete_keys(bucket_name)
    errors = "".join(
        f"<Error><Key>{escape(item['Key'])}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        for item in refused
    )
    return status, headers, answer.replace("</DeleteResult>", errors + "</DeleteResult>")


S3Response._bucket_response_post = bucket_response_post
