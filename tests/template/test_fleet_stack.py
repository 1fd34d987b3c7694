"""The resources of a deployment with a fleet: with an existing group, and with the stack's own group. test_web_stack.py tests
the web servers. test_stack.py tests that the jobs are separate. Promises P110 and P111."""

import json
import re

import moto
import pytest
import stack

NAMED = [stack.FLEET, stack.FLEET_OTHERWISE]
OWN = [stack.WEB, stack.WEB_OTHERWISE]
GROUP = next(
    group["Parameters"]
    for group in stack.template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    if "AutoScalingGroup" in group["Parameters"]
)
EVENTS = {
    "CompleteLifecycleFunctionLaunchAction": None,
    "CompleteLifecycleFunctionTerminateAction": None,
    "CompleteLifecycleFunctionCommandEnded": None,
    "CompleteLifecycleFunctionEveryMinute": "rate(1 minute)",
}
HOOKS = {"onair-launch": "autoscaling:EC2_INSTANCE_LAUNCHING", "onair-terminate": "autoscaling:EC2_INSTANCE_TERMINATING"}


@pytest.fixture(scope="module", params=[*NAMED, *OWN], ids=["named", "named otherwise", "own", "own otherwise"])
def on(request):
    """A stack with a fleet: (clients, outputs, parameters)."""
    with moto.mock_aws():
        client = stack.clients()
        yield client, stack.create(request.param, client), request.param


def value(parameters, name):
    return str(parameters.get(name, stack.template()["Parameters"][name]["Default"]))


def test_the_function_gets_its_settings(on):
    client, outputs, parameters = on
    described = client("lambda").get_function(FunctionName=outputs["CompleteLifecycleFunctionName"])["Configuration"]
    expected = {stack.snake(name): value(parameters, name) for name in GROUP if name != "HookTimeoutSeconds"}
    extra = parameters.get("ExtraVariables")
    if "WebSubnets" in parameters:
        expected["AUTO_SCALING_GROUP"] = "on-air-web"
        given = "web_origin=d111111abcdef8.cloudfront.net/live web_log_directory=/var/log/nginx"
        extra = f"{given} {extra}" if extra else given
    expected |= {
        "LAUNCH_HOOK": "onair-launch",
        "TERMINATE_HOOK": "onair-terminate",
        "PLAYBOOK_BUCKET": outputs["FleetBucketName"],
        "LOG_BUCKET": outputs["FleetBucketName"],
        "LOG_DOCUMENT": outputs["FleetLogDocumentName"],
        "EXTRA_VARIABLES": extra,
        "DRY_RUN": value(parameters, "DryRun"),
    }
    # A setting without a value is not a variable at all.
    expected = {name: text for name, text in expected.items() if text}
    assert {name: str(text) for name, text in described["Environment"]["Variables"].items()} == expected
    assert (described["Runtime"], described["Handler"], described["Timeout"]) == ("provided.al2023", "bootstrap", 60)


def test_what_the_stack_tells_its_playbook_is_what_ssm_lets_through(on):
    # The document of AWS accepts only these characters in a value (its allowedPattern).
    client, outputs, _ = on
    described = client("lambda").get_function(FunctionName=outputs["CompleteLifecycleFunctionName"])["Configuration"]
    for pair in described["Environment"]["Variables"].get("EXTRA_VARIABLES", "a=b").split(" "):
        name, _, text = pair.partition("=")
        assert name.isidentifier() and text and not set(text) & set(" |:();&'\"$`\\")


def test_every_event_is_tried_again_for_two_minutes_and_then_kept(on):
    client, outputs, _ = on
    ids = stack.physical_ids(client)
    url = outputs["CompleteLifecycleDeliveryFailuresUrl"]
    queue = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    arns = []
    for rule, schedule in EVENTS.items():
        described = client("events").describe_rule(Name=ids[rule])
        assert described["State"] == "ENABLED" and described.get("ScheduleExpression") == schedule
        arns.append(described["Arn"])
        (target,) = client("events").list_targets_by_rule(Rule=ids[rule])["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": queue["QueueArn"]}
        assert target["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 120}
        assert set(target) == {"Id", "Arn", "DeadLetterConfig", "RetryPolicy"}
    (statement,) = json.loads(queue["Policy"])["Statement"]
    assert sorted(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == sorted(arns)
    policy = json.loads(client("lambda").get_policy(FunctionName=outputs["CompleteLifecycleFunctionName"])["Policy"])
    assert sorted(s["Condition"]["ArnLike"]["AWS:SourceArn"] for s in policy["Statement"]) == sorted(arns)


def test_a_group_that_there_is_gets_both_hooks_and_the_stacks_own_is_begun_with_them(on):
    _, _, parameters = on
    timeout = int(parameters.get("HookTimeoutSeconds", 900))
    if "WebSubnets" in parameters:
        assert not {"FleetLaunchHook", "FleetTerminateHook"} & stack.created()
        hooks = stack.properties("WebGroup")["LifecycleHookSpecificationList"]
    else:
        hooks = [stack.properties(name) for name in ("FleetLaunchHook", "FleetTerminateHook")]
        assert {hook.pop("AutoScalingGroupName") for hook in hooks} == {parameters["AutoScalingGroup"]}
    assert {hook["LifecycleHookName"]: hook["LifecycleTransition"] for hook in hooks} == HOOKS
    # A missing heartbeat is not an approval.
    assert {(hook["DefaultResult"], int(hook["HeartbeatTimeout"])) for hook in hooks} == {("ABANDON", timeout)}


def test_the_bucket_is_private_and_keeps_what_is_overwritten_and_forgets_logs(on):
    client, outputs, parameters = on
    bucket = outputs["FleetBucketName"]
    blocked = client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4 and all(blocked.values())
    assert client("s3").get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    properties = stack.properties("FleetBucket")
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert properties["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    expiring = {rule.get("Prefix"): rule.get("ExpirationInDays") for rule in properties["LifecycleConfiguration"]["Rules"]}
    # The playbook stays.
    assert expiring == {"logs/": 90, "alb/": 90, None: None}
    statements = json.loads(client("s3").get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    by_sid = {statement["Sid"]: statement for statement in statements}
    assert by_sid.pop("OnlyByTls")["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    if "WebSubnets" not in parameters:
        assert by_sid == {}
        return
    delivery = by_sid.pop("DeliverLoadBalancerLogs")
    assert by_sid == {}
    assert delivery["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert (delivery["Action"], delivery["Resource"]) == ("s3:PutObject", f"arn:aws:s3:::{bucket}/alb/AWSLogs/123456789012/*")
    source = f"arn:aws:elasticloadbalancing:{stack.REGION}:123456789012:loadbalancer/*"
    assert delivery["Condition"] == {"ArnLike": {"aws:SourceArn": source}}


@pytest.mark.parametrize(
    ("metric", "statistic", "minutes"),
    # An instance may take some minutes to come up; but the alarm fires before the shortest hook ends.
    [("Abandoned", "Sum", 1), ("LogsUnverified", "Sum", 1), ("AgentMissing", "Maximum", 3)],
)
def test_an_instance_that_needs_a_person_has_an_alarm(on, metric, statistic, minutes):
    client, outputs, _ = on
    alarm = stack.alarms(client)[f"CompleteLifecycle{metric}Alarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("OnAir", metric)
    assert alarm["Dimensions"] == [{"Name": "Function", "Value": outputs["CompleteLifecycleFunctionName"]}]
    assert (alarm["Statistic"], alarm["Period"], alarm["EvaluationPeriods"]) == (statistic, 60, minutes)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert 60 * (minutes + 1) < stack.template()["Parameters"]["HookTimeoutSeconds"]["MinValue"]


def test_the_dashboard_shows_every_metric_and_alarm_and_its_widgets_do_not_lie_on_each_other(on):
    client, outputs, parameters = on
    body = client("cloudwatch").get_dashboard(DashboardName="on-air-complete-lifecycle")["DashboardBody"]
    assert "${" not in body and outputs["FleetGroupName"] in body
    for metric in ["Continued", "Abandoned", "CommandsSent", "Waiting", "AgentMissing", "LogsUnverified", "Held", "Failed"]:
        assert f'"{metric}"' in body
    assert body.count(":alarm:") == (9 if "WebSubnets" in parameters else 8)
    assert_no_overlap(json.loads(body)["widgets"])
    # The query of the log table names outcomes of a whole run, and not those of one instance.
    (query,) = (w["properties"]["query"] for w in json.loads(body)["widgets"] if w["type"] == "log")
    asked = set(re.findall(r"'(\w+)'", query.split("outcome in")[1].split("]")[0]))
    report = (stack.ROOT / "functions/complete-lifecycle/src/report.rs").read_text(encoding="utf-8")
    outcomes = report.split("enum RunOutcome {")[1].split("}")[0].lower()
    assert asked == {"completed", "held"} and asked <= set(re.findall(r"(\w+),", outcomes))


def assert_no_overlap(widgets):
    cells = [
        (x, y)
        for w in widgets
        for x in range(w["x"], w["x"] + w["width"])
        for y in range(w["y"], w["y"] + w["height"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


def test_the_commands_in_the_outputs_are_one_line_and_name_what_exists(on):
    _, outputs, parameters = on
    assert all("\n" not in text and "${" not in text for text in outputs.values())
    for command in ("CompleteLifecycleCommand", "CompleteLifecycleInvokeCommand"):
        assert outputs["CompleteLifecycleFunctionName"] in outputs[command]
    assert outputs["FleetGroupName"] == parameters.get("AutoScalingGroup", "on-air-web")
    assert outputs["FleetBucketName"] in outputs["FleetLogsCommand"]
