"""The resources of a deployment that counts viewers: from logs in buckets, from a log group, from the load balancer of web
servers. test_stack.py tests that the jobs are separate. Promise P117."""

import json

import moto
import pytest
import stack
from test_fleet_stack import assert_no_overlap

GROUP = next(
    group["Parameters"]
    for group in stack.template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    if "AccessLogBuckets" in group["Parameters"]
)
WAYS = [stack.COUNT, stack.COUNT_GROUP, stack.COUNT_OTHERWISE, stack.WEB, stack.WEB | stack.COUNT_OTHERWISE]


@pytest.fixture(scope="module", params=WAYS, ids=["buckets", "a log group", "otherwise", "web servers", "all"])
def on(request):
    """A stack that counts viewers: (clients, outputs, parameters)."""
    with moto.mock_aws():
        client = stack.clients()
        yield client, stack.create(request.param, client), request.param


def rules_of(parameters):
    rules = {"CountViewersObjectRule"} if "AccessLogBuckets" in parameters else set()
    return rules | ({"CountViewersLoadBalancerRule"} if "WebSubnets" in parameters else set())


def test_the_function_gets_its_settings(on):
    client, outputs, parameters = on
    described = client("lambda").get_function(FunctionName=outputs["CountViewersFunctionName"])["Configuration"]
    expected = {"STATE_BUCKET": outputs["CountViewersBucketName"], "DRY_RUN": parameters.get("DryRun", "false")}
    for name in [name for name in GROUP if name not in ("AccessLogBuckets", "AccessLogGroup")]:
        expected[stack.snake(name)] = str(parameters.get(name, stack.template()["Parameters"][name]["Default"]))
    # A setting without a value is not a variable at all.
    expected = {name: text for name, text in expected.items() if text}
    variables = {name: str(text) for name, text in described["Environment"]["Variables"].items()}
    secret = variables.pop("VIEWER_SECRET")
    assert secret.startswith("{{resolve:secretsmanager:on-air-CountViewersSecret-") and secret.endswith(":SecretString}}")
    assert variables == expected
    assert (described["Timeout"], described["MemorySize"]) == (300, 1024)


def test_a_batch_that_failed_is_kept_for_four_days(on):
    client, outputs, _ = on
    for queue, days in [("Delivery", 14), ("Invocation", 4)]:
        url = outputs[f"CountViewers{queue}FailuresUrl"]
        attributes = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes["MessageRetentionPeriod"] == str(days * 24 * 60 * 60)
        assert attributes["SqsManagedSseEnabled"] == "true"


def test_the_secret_is_made_up_and_long_enough():
    generated = stack.template()["Resources"]["CountViewersSecret"]["Properties"]["GenerateSecretString"]
    # Letters and digits: 43 of 62 are 256 bits.
    assert generated == {"PasswordLength": 43, "ExcludePunctuation": True}


def test_what_is_there_listens_to_what_was_named_and_to_nothing_else(on):
    client, outputs, parameters = on
    created = {name for name in stack.created() if name.startswith("CountViewers")}
    assert {name for name in created if name.endswith("Rule")} == rules_of(parameters)
    assert ("CountViewersSubscription" in created) == ("AccessLogGroup" in parameters)
    ids = stack.physical_ids(client)
    arns = []
    for rule in rules_of(parameters):
        described = client("events").describe_rule(Name=stack.resource_map()[rule].name)
        arns.append(described["Arn"])
        pattern = json.loads(described["EventPattern"])
        assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
        if rule == "CountViewersObjectRule":
            assert pattern["detail"] == {"bucket": {"name": parameters["AccessLogBuckets"].split(",")}}
        else:
            key = {"prefix": "alb/AWSLogs/123456789012/elasticloadbalancing/"}
            assert pattern["detail"] == {"bucket": {"name": [outputs["FleetBucketName"]]}, "object": {"key": [key]}}
        (target,) = stack.properties(rule)["Targets"]
        assert target["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}
        assert "CountViewersDeliveryFailures" in target["DeadLetterConfig"]["Arn"]
    url = outputs["CountViewersDeliveryFailuresUrl"]
    queue = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    (statement,) = json.loads(queue["Policy"])["Statement"]
    none = f"arn:aws:events:{stack.REGION}:123456789012:rule/-"
    assert sorted(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == sorted([*arns, none])
    assert ids["CountViewersFunction"] == outputs["CountViewersFunctionName"]
    if "AccessLogGroup" in parameters:
        subscription = stack.properties("CountViewersSubscription")
        assert (subscription["LogGroupName"], subscription["FilterPattern"]) == (parameters["AccessLogGroup"], "")
        permission = stack.properties("CountViewersSubscriptionPermission")
        group = f"arn:aws:logs:{stack.REGION}:123456789012:log-group:{parameters['AccessLogGroup']}:*"
        assert permission["Principal"] == "logs.amazonaws.com"
        assert (permission["SourceArn"], permission["SourceAccount"]) == (group, "123456789012")


def test_minutes_are_forgotten_after_two_weeks_in_a_private_bucket(on):
    client, outputs, _ = on
    bucket = outputs["CountViewersBucketName"]
    (rule,) = stack.properties("CountViewersBucket")["LifecycleConfiguration"]["Rules"]
    assert (rule["Prefix"], rule["ExpirationInDays"], rule["Status"]) == ("viewers/", 14, "Enabled")
    assert all(client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    (deny,) = json.loads(client("s3").get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert deny["Sid"] == "OnlyByTls"


def test_failed_logs_are_tried_again_and_then_kept(on):
    client, outputs, _ = on
    config = client("lambda").get_function_event_invoke_config(FunctionName=outputs["CountViewersFunctionName"])
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (2, 21600)
    assert "CountViewersInvocationFailures" in config["DestinationConfig"]["OnFailure"]["Destination"]


def test_the_dashboard_shows_every_metric(on):
    client, outputs, _ = on
    body = client("cloudwatch").get_dashboard(DashboardName="on-air-count-viewers")["DashboardBody"]
    assert "${" not in body
    widgets = json.loads(body)["widgets"]
    expression = widgets[0]["properties"]["metrics"][0][0]["expression"]
    assert expression == (
        "SEARCH('{OnAir,Function,Stream} MetricName=\"ConcurrentViewers\""
        f" Function=\"{outputs['CountViewersFunctionName']}\"', 'Maximum', 60)"
    )
    for metric in ("LogsRead", "LinesMalformed", "RequestsUnkeyed", "RequestsDropped"):
        assert f'"{metric}"' in body
    assert_no_overlap(widgets)
