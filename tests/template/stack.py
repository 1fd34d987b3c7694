"""The template as CloudFormation gets it, and as a stack in moto."""

import copy
import functools
import io
import json
import re
import zipfile
from pathlib import Path
from unittest import mock

import moto_gaps  # noqa: F401  (before anything else of moto)
import boto3
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.core import DEFAULT_ACCOUNT_ID
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
NAME = "on-air"
REGION = "us-west-2"
BUCKET = "r2s3-dev-channel-1-recordings"

# Every condition of the template is true in one of these and false in another.
OFF = {}
# prune-recording:
KEEP = {"RecordingBuckets": BUCKET, "KeepRenditions": "highest"}
DELETE = {
    "RecordingBuckets": f"{BUCKET},second-channel-recordings",
    "DeleteRenditions": "lowest,<=480p",
    "Thumbnails": "delete",
    "Versions": "purge",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:123456789012:on-call",
}
# A pair: the one of the files in events/, whose endpoints are deleted by a cut; and one with all opposite
# settings.
CHANNEL_A, CHANNEL_B = (f"arn:aws:medialive:{REGION}:111122223333:channel:{id}" for id in ("123456", "654321"))
PAIR = {
    "Pair": "show",
    "SideAChannelArn": CHANNEL_A,
    "SideAPipeline": "0",
    "SideAEndpoint": "show-a",
    "SideBChannelArn": CHANNEL_B,
    "SideBPipeline": "0",
    "SideBEndpoint": "show-b",
}
PAIR_OTHERWISE = {
    "Pair": "one-channel",
    "SideAChannelArn": CHANNEL_A,
    "SideAPipeline": "0",
    "SideAEndpoint": "first",
    "SideABaseUrl": "https://cdn.example.com/a",
    "SideAAlarm": "Side A, by our own measure",
    "SideBChannelArn": CHANNEL_A,
    "SideBPipeline": "1",
    "SideBEndpoint": "second",
    "SideBBaseUrl": "https://cdn.example.com/b",
    "SideBAlarm": "side-b/lost",
    "Cut": "deny",
    "Steering": "off",
    "SteeringTtlSeconds": "30",
    "AlertTypes": "Video Not Detected,Audio Not Detected",
    "QuietSeconds": "600",
    "Prefer": "A",
    "EndpointRoleArns": "arn:aws:iam::123456789012:role/speke,arn:aws:iam::123456789012:role/cdn-secret",
    "OnlyTaggedEndpoints": "true",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:123456789012:on-call",
    "DryRun": "true",
}
# publish-live: leftovers expire, and they stay.
LIVE = {"LivePrefix": "live"}
LIVE_KEPT = {"LivePrefix": "tv-2026", "LiveLeftoverDays": "0"}
# complete-lifecycle: an existing group, once with all defaults and once with none; and web servers of the
# stack, with as few and as many settings as possible.
FLEET = {"AutoScalingGroup": "my-asg"}
FLEET_OTHERWISE = {
    "AutoScalingGroup": "Fleet/web_2",
    "PlaybookFile": "site/check.yaml",
    "CheckMode": "true",
    "PassRule": "changed=0",
    "PlaybookTimeoutSeconds": "600",
    "ExtraVariables": "web_port=8080 web_workers=2",
    "LogDirectory": "/var/log/httpd",
    "HookTimeoutSeconds": "1200",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:123456789012:on-call",
    "DryRun": "true",
}
WEB = {
    "WebSubnets": "subnet-0a1b2c3d4e5f60718,subnet-1a1b2c3d4e5f60718",
    "WebVpc": "vpc-0a1b2c3d4e5f60718",
    "WebOrigin": "https://d111111abcdef8.cloudfront.net/live",
}
WEB_OTHERWISE = WEB | {
    "WebScheme": "internet-facing",
    "WebLoadBalancerSubnets": "subnet-2a1b2c3d4e5f60718,subnet-3a1b2c3d4e5f60718",
    "WebClientCidr": "0.0.0.0/0",
    "WebCertificateArn": f"arn:aws:acm:{REGION}:123456789012:certificate/12345678-1234-1234-1234-123456789012",
    "WebInstanceType": "c7gn.xlarge",
    "WebMinServers": "0",
    "WebMaxServers": "40",
    "WebRequestsPerServer": "20000",
    "ExtraVariables": "web_workers=2",
}
# count-viewers: logs in buckets, logs in a log group, and no default left.
COUNT = {"AccessLogBuckets": "cdn-logs"}
COUNT_GROUP = {"AccessLogGroup": "/nginx/access"}
COUNT_OTHERWISE = {
    "AccessLogBuckets": "cdn-logs,load-balancer-logs",
    "AccessLogGroup": "/nginx/access",
    "WindowSeconds": "30",
    "ViewerKey": "x-forwarded-for",
    "TrustedProxies": "10.0.0.0/8,2001:db8::/32",
    "StreamPath": "/live/{stream}/*,/vod/{stream}.m3u8",
    "LogFormat": "onair",
    "ExactUpTo": "5000",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:123456789012:on-call",
    "DryRun": "true",
}
# Every job at once, with as few and as many settings as possible.
ALL = [
    KEEP | PAIR | LIVE | FLEET | COUNT,
    DELETE | PAIR_OTHERWISE | LIVE_KEPT | WEB_OTHERWISE | COUNT_OTHERWISE,
]


@functools.cache
def template():
    """template.yaml as it is written."""
    return yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))


def translate(parameters):
    """What the SAM transform makes of the template: plain CloudFormation, its intrinsic functions still unresolved."""
    return translation(tuple(sorted(parameters.items())))


@functools.cache
def translation(parameters):
    source = copy.deepcopy(template())
    for resource in source["Resources"].values():
        # Replaces `sam package`, which uploads the built folder and inserts its address.
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://code/function.zip"
    return translated(source, dict(parameters))


def translated(source, parameters):
    """What the SAM transform makes of any template."""
    session = boto3.Session(region_name=REGION)
    return Translator({}, Parser(), boto_session=session).translate(source, parameters)


def clients(endpoint_url=None, access_key_id="setting-up", secret_access_key="setting-up", session_token=None):
    """A function from a service's name to its client. Without given credentials, they belong to no account."""

    @functools.cache
    def client(service):
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=endpoint_url,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            aws_session_token=session_token,
        )

    return client


def put_queue_policy(client, name, properties):
    for url in properties["Queues"]:
        policy = json.dumps(properties["PolicyDocument"])
        client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def put_bucket_policy(client, name, properties):
    client("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=json.dumps(properties["PolicyDocument"]))


def put_alarm(client, name, properties):
    client("cloudwatch").put_metric_alarm(**{"AlarmName": name} | properties)


def put_invoke_config(client, name, properties):
    client("lambda").put_function_event_invoke_config(**properties)


def finish_bucket(client, name, properties):
    """moto's CloudFormation creates the bucket and ignores its other properties."""
    s3 = client("s3")
    s3.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"]
    )
    if "VersioningConfiguration" in properties:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=properties["VersioningConfiguration"])


def attach_policies(client, name, properties):
    """moto's CloudFormation creates the role and ignores its managed policies."""
    for arn in properties.get("ManagedPolicyArns", []):
        client("iam").attach_role_policy(RoleName=name, PolicyArn=arn)


# moto's CloudFormation does not know these types, or not whole (moto_gaps.py), while moto's services do: they are created
# by the service's own call, which the SDK also checks the properties against. CloudFront's types are only taken note of, since
# their calls take another form; their properties are checked against AWS's schemas by cfn-lint.
CREATED_BY_CALL = {
    "AWS::IAM::Role": attach_policies,
    "AWS::SQS::QueuePolicy": put_queue_policy,
    "AWS::S3::Bucket": finish_bucket,
    "AWS::S3::BucketPolicy": put_bucket_policy,
    "AWS::CloudWatch::Alarm": put_alarm,
    "AWS::Lambda::EventInvokeConfig": put_invoke_config,
}


def make_network(parameters, client):
    """Creates the VPC, the subnets and the certificate of the parameters, because moto would invent their ids."""
    subnets = [parameters.get(name, "").split(",") for name in ("WebSubnets", "WebLoadBalancerSubnets")]
    ec2 = client("ec2")
    with mock.patch("moto.ec2.models.vpcs.random_vpc_id", lambda: parameters["WebVpc"]):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    for number, subnet in enumerate(filter(None, sum(subnets, []))):
        zone = REGION + "ab"[number % 2]
        with mock.patch("moto.ec2.models.subnets.random_subnet_id", lambda: subnet):
            ec2.create_subnet(VpcId=parameters["WebVpc"], CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)
    if "WebCertificateArn" in parameters:
        with mock.patch("moto.acm.models.make_arn_for_certificate", lambda *_: parameters["WebCertificateArn"]):
            client("acm").request_certificate(DomainName="example.com")


def create(parameters, client):
    """Creates the stack with these parameters. Returns its outputs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("bootstrap", "")
    s3 = client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="code", Key="function.zip", Body=buffer.getvalue())
    if "WebVpc" in parameters:
        make_network(parameters, client)

    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=NAME,
        TemplateBody=json.dumps(translate(parameters)),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    for logical_id, name in physical_ids(client).items():
        by_call = CREATED_BY_CALL.get(translate(parameters)["Resources"][logical_id]["Type"])
        if name and by_call:
            by_call(client, name, properties(logical_id))

    stack = cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def resource_map():
    return cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].get_stack(NAME).resource_map


def created():
    """Logical ids of the created resources."""
    known = resource_map()
    return {logical_id for logical_id in known.resources if known[logical_id] is not None}


def properties(logical_id):
    """The properties of a resource of the stack, every intrinsic function resolved."""
    known = resource_map()
    return clean_json(known._resource_json_map[logical_id]["Properties"], known)


def physical_ids(client):
    """Logical id -> physical id of the created resources."""
    resources = client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
    # moto also lists a resource whose condition is false, but without an id.
    return {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in resources if "LogicalResourceId" in r}


def alarms(client):
    """Logical id -> description of the stack's alarms."""
    names = {physical_id: logical_id for logical_id, physical_id in physical_ids(client).items()}
    return {names[alarm["AlarmName"]]: alarm for alarm in client("cloudwatch").describe_alarms()["MetricAlarms"]}


def snake(pascal):
    """RecordingBuckets -> RECORDING_BUCKETS"""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", pascal).upper()
