"""What exists after a deployment, for each way to use the parameters; of a pair see test_pair_stack.py, of publish-live
test_live_stack.py, of a fleet test_fleet_stack.py, of count-viewers test_count_stack.py."""

import json

import moto
import pytest
import stack


@pytest.fixture(scope="module", params=[stack.KEEP, stack.DELETE], ids=["keep", "delete"])
def on(request):
    """A stack with the job on: (clients, outputs, parameters)."""
    with moto.mock_aws():
        client = stack.clients()
        yield client, stack.create(request.param, client), request.param


def the_function(client):
    (function,) = client("lambda").list_functions()["Functions"]
    return function


def queue(client, outputs, which):
    """The attributes of one of the two failure queues."""
    url = outputs[f"PruneRecording{which}FailuresUrl"]
    return client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def rules(client):
    return client("events").list_rules()["Rules"]


def test_without_parameters_nothing_is_created():
    with moto.mock_aws():
        client = stack.clients()
        outputs = stack.create(stack.OFF, client)
        assert outputs == {}
        assert stack.created() == set()
        assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []


# What the names of a job's resources and outputs begin with, and the conditions under which they exist.
PRUNE = ("PruneRecording",)
PAIR = ("Pair", "PublishPlaylist", "FailOver", "FailBack")
LIVE = ("Live",)
FLEET = ("CompleteLifecycle", "Fleet")
WEB = ("Web",)
COUNT = ("CountViewers",)
JOBS = {
    PRUNE: {"PruneRecording"},
    PAIR: {"Paired", "MakesSideAAlarm", "MakesSideBAlarm"},
    LIVE: {"Live"},
    FLEET: {"Fleet", "HasGroup"},
    WEB: {"Web", "WebByTls"},
    COUNT: {"CountsViewers", "HasAccessLogBuckets", "HasAccessLogGroup", "Web"},
}


def test_every_resource_and_output_belongs_to_a_job_that_can_be_off():
    translated = stack.translate(stack.KEEP)
    for name, part in (translated["Resources"] | translated["Outputs"]).items():
        (conditions,) = [conditions for beginnings, conditions in JOBS.items() if name.startswith(beginnings)]
        assert part.get("Condition") in conditions, name


@pytest.mark.parametrize(
    ("parameters", "on"),
    [
        (stack.KEEP, [PRUNE]),
        (stack.PAIR_OTHERWISE, [PAIR]),
        (stack.LIVE, [LIVE]),
        (stack.FLEET, [FLEET]),
        (stack.COUNT, [COUNT]),
        (stack.COUNT_GROUP, [COUNT]),
        # The load balancer's own logs are counted.
        (stack.WEB, [FLEET, WEB, COUNT]),
        (stack.PAIR | stack.LIVE_KEPT, [PAIR, LIVE]),
        (stack.FLEET_OTHERWISE | stack.COUNT_OTHERWISE, [FLEET, COUNT]),
        (stack.DELETE | stack.PAIR | stack.LIVE | stack.WEB_OTHERWISE | stack.COUNT_OTHERWISE, list(JOBS)),
    ],
    ids=[
        "only prune-recording",
        "only a pair",
        "only publish-live",
        "only a fleet",
        "only count-viewers",
        "only count-viewers, by a log group",
        "web servers",
        "a pair and publish-live",
        "a fleet and count-viewers",
        "all",
    ],
)
def test_a_job_that_is_off_has_nothing_in_the_stack(parameters, on):
    with moto.mock_aws():
        client = stack.clients()
        outputs = stack.create(parameters, client)
        lists_of_names = [stack.created(), outputs]
    beginnings = tuple(beginning for job in on for beginning in job)
    for names in lists_of_names:
        assert all(name.startswith(beginnings) for name in names)
        assert all(any(name.startswith(beginning) for name in names) for beginning in beginnings)


def test_everything_of_the_job_is_created(on):
    _, _, parameters = on
    of_the_job = {name for name in stack.translate(parameters)["Resources"] if name.startswith("PruneRecording")}
    assert stack.created() == of_the_job


def test_the_function_gets_its_settings(on):
    client, _, parameters = on
    expected = {"THUMBNAILS": "keep", "VERSIONS": "keep", "DRY_RUN": "false"}
    expected |= {stack.snake(name): value for name, value in parameters.items() if name != "AlarmTopicArn"}
    # A rule that is not set is not a variable at all.
    assert the_function(client)["Environment"]["Variables"] == expected


def test_the_function_runs_as_a_custom_runtime_for_the_chosen_processor(on):
    client, _, parameters = on
    function = the_function(client)
    assert (function["Runtime"], function["Handler"], function["Timeout"]) == ("provided.al2023", "bootstrap", 900)
    written = stack.translate(parameters)["Resources"]["PruneRecordingFunction"]["Properties"]
    assert written["Architectures"] == [{"Ref": "Architecture"}]
    assert stack.template()["Parameters"]["Architecture"]["Default"] == "arm64"


def test_both_rules_deliver_to_the_function_and_lose_nothing(on):
    client, outputs, _ = on
    assert len(rules(client)) == 2
    for rule in rules(client):
        assert rule["State"] == "ENABLED"
        (target,) = client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
        assert target["Arn"] == the_function(client)["FunctionArn"]
        assert target["DeadLetterConfig"] == {"Arn": queue(client, outputs, "Delivery")["QueueArn"]}
        assert target["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}
        # InputPath or a transformer would drop what the function wants to see.
        assert set(target) == {"Id", "Arn", "DeadLetterConfig", "RetryPolicy"}


def test_only_the_two_rules_may_invoke_the_function(on):
    client, outputs, _ = on
    policy = json.loads(client("lambda").get_policy(FunctionName=outputs["PruneRecordingFunctionName"])["Policy"])
    callers = [(s["Principal"], s["Condition"]["ArnLike"]["AWS:SourceArn"]) for s in policy["Statement"]]
    assert sorted(arn for _, arn in callers) == sorted(rule["Arn"] for rule in rules(client))
    assert all(principal == {"Service": "events.amazonaws.com"} for principal, _ in callers)


def test_only_the_two_rules_may_write_into_the_delivery_queue(on):
    client, outputs, _ = on
    attributes = queue(client, outputs, "Delivery")
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == attributes["QueueArn"]
    allowed = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert sorted(allowed) == sorted(rule["Arn"] for rule in rules(client))


def test_failed_invocations_are_tried_again_and_then_kept(on):
    client, outputs, _ = on
    config = client("lambda").get_function_event_invoke_config(FunctionName=outputs["PruneRecordingFunctionName"])
    assert config["MaximumRetryAttempts"] == 2
    assert config["MaximumEventAgeInSeconds"] == 21600
    assert config["DestinationConfig"]["OnFailure"] == {
        "Destination": queue(client, outputs, "Invocation")["QueueArn"]
    }


@pytest.mark.parametrize("which", ["Delivery", "Invocation"])
def test_a_failure_queue_keeps_messages_for_fourteen_days_and_encrypted(on, which):
    client, outputs, _ = on
    attributes = queue(client, outputs, which)
    assert attributes["MessageRetentionPeriod"] == str(14 * 24 * 60 * 60)
    assert attributes["SqsManagedSseEnabled"] == "true"


def test_the_dashboard_shows_every_metric_of_the_function_and_both_queues(on):
    client, outputs, _ = on
    body = client("cloudwatch").get_dashboard(DashboardName="on-air-prune-recording")["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    assert "${" not in body
    for metric in ["RecordingsPruned", "ObjectsDeleted", "BytesDeleted", "Held", "Failed"]:
        assert f'"{metric}"' in body
    for which in ("Delivery", "Invocation"):
        assert outputs[f"PruneRecording{which}FailuresUrl"].split("/")[-1] in body
    # No two widgets lie on each other and none leaves the grid of 24 columns.
    cells = [
        (x, y)
        for w in widgets
        for x in range(w["x"], w["x"] + w["width"])
        for y in range(w["y"], w["y"] + w["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_commands_in_the_outputs_are_one_line_and_name_what_exists(on):
    client, outputs, _ = on
    assert all("\n" not in value and "${" not in value for value in outputs.values())
    assert outputs["PruneRecordingFunctionName"] in outputs["PruneRecordingInvokeCommand"]
    assert f"--stack-name {stack.NAME}" in outputs["PruneRecordingSamInvokeCommand"]
    assert outputs["PruneRecordingDeliveryFailuresUrl"] in outputs["PruneRecordingFetchUndeliveredCommand"]
    assert outputs["PruneRecordingInvocationFailuresUrl"] in outputs["PruneRecordingFetchFailedCommand"]
