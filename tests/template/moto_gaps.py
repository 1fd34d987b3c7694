"""Fills the gaps between moto 5.2.5 and AWS that the checks of the template would fall into.

Import this module before the first call to moto. Each gap describes the behaviour of moto and that of AWS. Delete its
block here when moto closes the gap.
"""

import json

import moto.cloudformation.models as cloudformation
import moto.cloudformation.parsing as parsing
import moto.medialive.urls as medialive_urls
import xmltodict
from moto.core.common_models import CloudFormationModel
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.elbv2.models import FakeLoadBalancer, FakeTargetGroup
from moto.iam.access_control import IAMPolicyStatement, IAMRequest, PermissionResult
from moto.iam.models import Role
from moto.logs.models import LogGroup
from moto.medialive.responses import MediaLiveResponse
from moto.mediapackage.models import MediaPackageBackend
from moto.mediapackage.responses import MediaPackageResponse
from moto.moto_api._internal import mock_random
from moto.s3.exceptions import BucketAccessDeniedError, S3AccessDeniedError
from moto.s3.responses import S3Response
from moto.ssm.responses import SimpleSystemManagerResponse


# moto leaves null in a list for an item that is AWS::NoValue; CloudFormation removes the item.
moto_clean_json = parsing.clean_json


def clean_json(value, resources):
    cleaned = moto_clean_json(value, resources)
    return [item for item in cleaned if item is not None] if isinstance(cleaned, list) else cleaned


# moto's function calls itself by this name, so nested lists pass here.
parsing.clean_json = clean_json


# moto parses every template as YAML, character by character; stack.py sends JSON.
cloudformation.Stack.parse_template = staticmethod(json.loads)


# moto splits the text of a given list parameter, but not its default; CloudFormation splits both.
moto_load_parameters = parsing.ResourceMap.load_parameters


def load_parameters(self):
    for name, parameter in self._template.get("Parameters", {}).items():
        if parameter["Type"] == "CommaDelimitedList":
            self.input_parameters.setdefault(name, parameter["Default"])
    moto_load_parameters(self)


parsing.ResourceMap.load_parameters = load_parameters


# moto's CloudFormation does not know these types, and nothing can refer to such a resource. This records them with the
# name and the attributes that the template needs; stack.py creates them.
NAME_PROPERTIES = {"AWS::CloudWatch::Alarm": "AlarmName"}
ATTRIBUTES = {
    ("AWS::CloudWatch::Alarm", "Arn"): "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
    ("AWS::CloudFront::Distribution", "DomainName"): "d111111abcdef8.cloudfront.net",
    ("AWS::CloudFront::OriginAccessControl", "Id"): "E1EXAMPLE0OAC1",
}
NOTED = [
    "AWS::AutoScaling::LifecycleHook",
    "AWS::AutoScaling::ScalingPolicy",
    "AWS::CloudFront::CachePolicy",
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Logs::SubscriptionFilter",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::Secret",
]


class Noted:
    def __init__(self, name, account, region):
        self.physical_resource_id, self.account, self.region = name, account, region

    @classmethod
    def cloudformation_name_type(cls):
        return NAME_PROPERTIES.get(cls.noted, "")

    @classmethod
    def cloudformation_type(cls):
        return cls.noted

    @classmethod
    def has_cfn_attr(cls, name):
        return (cls.noted, name) in ATTRIBUTES

    def get_cfn_attribute(self, name):
        return ATTRIBUTES[self.noted, name].format(
            account=self.account, region=self.region, name=self.physical_resource_id
        )

    @classmethod
    def create_from_cloudformation_json(cls, name, json, account, region, **_):
        return cls(name, account, region)

    def is_created(self):
        return True


# moto finds the types that it knows among the subclasses of this one.
NOTED_TYPES = [type("Noted", (Noted, CloudFormationModel), {"noted": noted}) for noted in NOTED]


# moto requires a permission on all resources. These services require one on the endpoint or the channel. An endpoint's ARN
# has a generated identifier, which the template cannot know.
def endpoint(self):
    return any_endpoint(self) if "/origin_endpoints/" in self.path else "*"


def any_endpoint(self):
    generated = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
    return f"arn:aws:mediapackage:{self.region}:{self.current_account}:origin_endpoints/{generated}"


def channel(self):
    _, _, identifier = self.path.partition("/channels/")
    if not identifier:
        return "*"
    return f"arn:aws:medialive:{self.region}:{self.current_account}:channel:{identifier.split('/')[0]}"


MediaPackageResponse._determine_resource = endpoint
MediaLiveResponse._determine_resource = channel


# To send a command, moto requires a permission on all resources. Systems Manager requires one on the document and one on
# each instance. Here moto requires the document's. The template's statement on instances has a condition, see below.
def document(self):
    if self._get_action() != "SendCommand":
        return "*"
    name = self._get_param("DocumentName")
    # AWS's own documents belong to no account.
    account = "" if name.startswith("AWS-") else self.current_account
    return f"arn:aws:ssm:{self.region}:{account}:document/{name}"


SimpleSystemManagerResponse._determine_resource = document


# moto gives a recreated endpoint its earlier URL and ARN, and the URL is not that of a playlist. MediaPackage gives it new
# ones each time, with a unique identifier.
moto_create_origin_endpoint = MediaPackageBackend.create_origin_endpoint


def create_origin_endpoint(self, **definition):
    made = moto_create_origin_endpoint(self, **definition)
    generated, manifest = mock_random.uuid4().hex, made.manifest_name or "index"
    made.arn = f"arn:aws:mediapackage:{self.region_name}:{self.account_id}:origin_endpoints/{generated}"
    host = f"0123456789abcdef.mediapackage.{self.region_name}.amazonaws.com"
    made.url = f"https://{host}/out/v1/{generated}/{manifest}.m3u8"
    return made


MediaPackageBackend.create_origin_endpoint = create_origin_endpoint


# moto requires no permission to tag an endpoint at its creation. AWS also requires mediapackage:TagResource.
moto_answer_create = MediaPackageResponse.create_origin_endpoint


def answer_create(self):
    if self._get_param("tags"):
        self._get_action = lambda: "TagResource"
        try:
            self._authenticate_and_authorize_normal_action(any_endpoint(self))
        finally:
            del self._get_action
    return moto_answer_create(self)


MediaPackageResponse.create_origin_endpoint = answer_create


# moto has no ListAlerts, and no call of AWS sets an alert. Here an alert of a channel's first pipeline is set as
# long as one of the channel's input attachments has the name of the alert's type. UpdateChannel can set the name.
def list_alerts(self):
    channel = self.medialive_backend.describe_channel(self._get_param("ChannelId"))
    types = [attachment["InputAttachmentName"] for attachment in channel.input_attachments or []]
    alerts = [{"AlertType": type, "Id": type, "PipelineId": "0", "State": "SET"} for type in types]
    return ActionResult({"Alerts": alerts})


MediaLiveResponse.list_alerts = list_alerts
medialive_urls.url_paths["{0}/prod/channels/(?P<channelid>[^/.]+)/alerts$"] = medialive_urls.response.dispatch


# moto keeps an inline policy of a role in a stack as a Python object; IAM keeps JSON, which moto's own IAM reads.
moto_put_policy = Role.put_policy


def put_policy(self, name, document):
    moto_put_policy(self, name, document if isinstance(document, str) else json.dumps(document))


Role.put_policy = put_policy


# If a condition is not fulfilled, moto treats the statement as a denial, even an Allow. IAM ignores such a statement. moto
# knows none of the conditions in the template's permissions. Callers here count as callers by TLS.
moto_is_action_permitted = IAMPolicyStatement.is_action_permitted


def is_action_permitted(self, *arguments, **named):
    if "Resource" in self._statement and "Condition" in self._statement:
        return PermissionResult.NEUTRAL
    return moto_is_action_permitted(self, *arguments, **named)


IAMPolicyStatement.is_action_permitted = is_action_permitted


# For a request without a body, moto signs its parsed parameters instead. For these REST services, these are the parts of
# the path. AWS and every SDK sign the empty body.
moto_create_aws_request = IAMRequest._create_aws_request


def create_aws_request(self):
    if self._service in ("mediapackage", "medialive"):
        self._data = b""
    return moto_create_aws_request(self)


IAMRequest._create_aws_request = create_aws_request


# moto returns every refusal as XML. These services return JSON, and the Rust SDK reads only JSON from them.
moto_raise_access_denied = IAMRequest._raise_access_denied


def raise_access_denied(self):
    if self._service not in ("mediapackage", "medialive", "ssm"):
        moto_raise_access_denied(self)
    who = self._access_key.arn
    refusal = JsonRESTError("AccessDeniedException", f"User: {who} is not authorized to perform: {self._action}")
    refusal.code = 403
    raise refusal


IAMRequest._raise_access_denied = raise_access_denied


# moto's attribute Arn of a log group ends in the group's name; CloudFormation's ends in :*, the group's streams.
moto_log_group_attribute = LogGroup.get_cfn_attribute


def log_group_attribute(self, name):
    return moto_log_group_attribute(self, name) + (":*" if name == "Arn" else "")


LogGroup.get_cfn_attribute = log_group_attribute


# moto does not have the names of a load balancer and a target group in CloudWatch: the end of their ARNs.
moto_load_balancer_attribute = FakeLoadBalancer.get_cfn_attribute


def load_balancer_attribute(self, name):
    return self.arn.partition(":loadbalancer/")[2] if name.endswith("FullName") else moto_load_balancer_attribute(self, name)


def target_group_attribute(self, name):
    return {"TargetGroupFullName": self.arn.rpartition(":")[2]}[name]


FakeLoadBalancer.get_cfn_attribute = load_balancer_attribute
FakeTargetGroup.get_cfn_attribute = target_group_attribute
FakeTargetGroup.has_cfn_attr = classmethod(lambda cls, name: name == "TargetGroupFullName")


# For a missing object, moto returns 404 to every caller that may read it. S3 returns 404 only to callers that may also list
# the bucket, and 403 to others.
moto_authorize = S3Response._authenticate_and_authorize_s3_action


def authorize(self, bucket_name=None, key_name=None):
    moto_authorize(self, bucket_name=bucket_name, key_name=key_name)
    action = self.data["Action"]
    if key_name and action == "GetObject" and self.backend.get_object(bucket_name, key_name) is None:
        self.data["Action"] = "ListBucket"
        moto_authorize(self, bucket_name=bucket_name)
        self.data["Action"] = action


S3Response._authenticate_and_authorize_s3_action = authorize


# moto names the response's element after the operation. S3 uses the name below, and the Rust SDK requires it.
moto_get_bucket_versioning = S3Response.get_bucket_versioning


def get_bucket_versioning(self):
    status, headers, answer = moto_get_bucket_versioning(self)
    return status, headers, answer.replace("GetBucketVersioningResponse", "VersioningConfiguration")


S3Response.get_bucket_versioning = get_bucket_versioning


# Before a DeleteObjects call, moto requires s3:DeleteObject on the bucket. S3 requires a permission for each key:
# s3:DeleteObject on the object or, with a version id, s3:DeleteObjectVersion. The response is a success that lists each
# refused key with its version.
moto_bucket_response_post = S3Response._bucket_response_post


def bucket_response_post(self, request, bucket_name):
    self.path = self._get_path(request)
    if not self.is_delete_keys():
        return moto_bucket_response_post(self, request, bucket_name)
    delete = xmltodict.parse(self.body, strip_whitespace=False, force_list=("Object",))
    allowed, errors = [], []
    for item in delete["Delete"]["Object"]:
        self.data["Action"] = "DeleteObjectVersion" if "VersionId" in item else "DeleteObject"
        try:
            self._authenticate_and_authorize_s3_action(bucket_name=bucket_name, key_name=item["Key"])
            allowed.append(item)
        except (BucketAccessDeniedError, S3AccessDeniedError):
            named = {name: item[name] for name in ("Key", "VersionId") if name in item}
            errors.append(named | {"Code": "AccessDenied", "Message": "Access Denied"})
    if not errors:
        return self._bucket_response_delete_keys(bucket_name)
    answer = {"DeleteResult": {"@xmlns": "http://s3.amazonaws.com/doc/2006-03-01/"}}
    if allowed:
        delete["Delete"]["Object"] = allowed
        self.body = xmltodict.unparse(delete).encode()
        _, _, deleted = self._bucket_response_delete_keys(bucket_name)
        answer = xmltodict.parse(deleted, strip_whitespace=False, force_list=("Error",))
    answer["DeleteResult"]["Error"] = answer["DeleteResult"].get("Error", []) + errors
    return 200, {}, xmltodict.unparse(answer)


S3Response._bucket_response_post = bucket_response_post
