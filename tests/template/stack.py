"""The template as CloudFormation gets it, and as a stack in moto."""

import io
import json
import re
import zipfile
from pathlib import Path

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
KEEP = {"RecordingBuckets": BUCKET, "KeepRenditions": "highest"}
DELETE = {
    "RecordingBuckets": f"{BUCKET},second-channel-recordings",
    "DeleteRenditions": "lowest,<=480p",
    "Thumbnails": "delete",
    "Versions": "purge",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:123456789012:on-call",
}


def template():
    """template.yaml as it is written."""
    return yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))


def translate(parameters):
    """What the SAM transform makes of the template: plain CloudFormation, its intrinsic functions still unresolved."""
    source = template()
    for resource in source["Resources"].values():
        # Stands for what `sam package` does: it uploads the built folder and writes the address in its place.
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://code/function.zip"
    session = boto3.Session(region_name=REGION)
    return Translator({}, Parser(), boto_session=session).translate(source, dict(parameters))


def clients(endpoint_url=None):
    """A function from a service's name to its client, with credentials that no AWS account knows."""

    def client(service):
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=endpoint_url,
            aws_access_key_id="setting-up",
            aws_secret_access_key="setting-up",
        )

    return client


def put_queue_policy(client, name, properties):
    for url in properties["Queues"]:
        policy = json.dumps(properties["PolicyDocument"])
        client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def put_alarm(client, name, properties):
    client("cloudwatch").put_metric_alarm(AlarmName=name, **properties)


def put_invoke_config(client, name, properties):
    client("lambda").put_function_event_invoke_config(**properties)


# moto's CloudFormation does not know these types, while moto's services do: they are created by the service's own
# call, which the SDK also checks the properties against.
CREATED_BY_CALL = {
    "AWS::SQS::QueuePolicy": put_queue_policy,
    "AWS::CloudWatch::Alarm": put_alarm,
    "AWS::Lambda::EventInvokeConfig": put_invoke_config,
}


def create(parameters, client):
    """Creates the stack, with the parameters given, where the clients point to. Returns its outputs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("bootstrap", "")
    s3 = client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="code", Key="function.zip", Body=buffer.getvalue())

    translated = translate(parameters)
    by_call = {name: r for name, r in translated["Resources"].items() if r["Type"] in CREATED_BY_CALL}
    by_stack = {name: r for name, r in translated["Resources"].items() if name not in by_call}
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=NAME,
        TemplateBody=json.dumps(translated | {"Resources": by_stack}),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    known = cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].get_stack(NAME).resource_map
    for name, resource in by_call.items():
        if known.lazy_condition_map[resource["Condition"]]:
            CREATED_BY_CALL[resource["Type"]](client, name, clean_json(resource["Properties"], known))

    stack = cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def physical_ids(client):
    """Logical id -> physical id of what the stack created."""
    resources = client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
    # moto lists a resource whose condition is false too, but without an id.
    return {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in resources if "LogicalResourceId" in r}


def snake(pascal):
    """RecordingBuckets -> RECORDING_BUCKETS"""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", pascal).upper()
