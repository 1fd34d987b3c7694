"""Every function of the template has its alarms, failure queues, log group and role, and so must a new one."""

import copy

import functions
import moto
import pytest
import stack

TRANSLATED = stack.translate(stack.OFF)
FUNCTIONS = functions.names(TRANSLATED)
EACH_RULE = pytest.mark.parametrize(("what", "has"), functions.RULES.items(), ids=functions.RULES)


def test_these_are_the_functions_of_the_repository():
    stems = [path.name for path in (stack.ROOT / "functions").iterdir() if path.is_dir()]
    assert sorted(FUNCTIONS) == sorted("".join(map(str.capitalize, stem.split("-"))) + "Function" for stem in stems)
    assert {function for function, _ in functions.EXCEPTIONS} <= set(FUNCTIONS)


@EACH_RULE
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_what_every_function_has(function, what, has):
    assert has(TRANSLATED["Resources"], function) == ((function, what) not in functions.EXCEPTIONS)


def bare(resources, function, kind):
    """A copy in which the function shares with another one, or lacks, what it had to itself."""
    resources = copy.deepcopy(resources)
    own = resources[function]["Properties"]
    if kind == "log":
        own["LoggingConfig"]["LogGroup"] = {"Ref": "PruneRecordingLogs"}
    elif kind == "role":
        own["Role"] = {"Fn::GetAtt": ["PruneRecordingRole", "Arn"]}
    elif kind == "queues":
        for _, target in functions.triggers(resources, function):
            del target["DeadLetterConfig"]
        for config in functions.of_type(resources, "AWS::Lambda::EventInvokeConfig").values():
            if config["FunctionName"] == {"Ref": function}:
                del config["DestinationConfig"]
    elif kind == "alarms":
        for alarm in functions.of_type(resources, "AWS::CloudWatch::Alarm").values():
            if any(dimension["Value"] == {"Ref": function} for dimension in alarm.get("Dimensions", [])):
                alarm["Dimensions"][0]["Value"] = {"Ref": "PruneRecordingFunction"}
    return resources


@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        ("log", {"a log group"}),
        ("role", {"a role of its own"}),
        ("queues", {"a watched queue of failed deliveries", "a watched queue of failed invocations"}),
        ("alarms", {"an alarm on errors", "an alarm on Held", "an alarm on not running"}),
    ],
)
def test_what_a_function_lacks_is_seen(kind, lost):
    resources = bare(TRANSLATED["Resources"], "FailOverFunction", kind)
    assert {what for what, has in functions.RULES.items() if not has(resources, "FailOverFunction")} == lost


# Property of an alarm on errors -> what it must not be.
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ComparisonOperator", "LessThanThreshold"),
        ("Threshold", 5),
        ("TreatMissingData", "ignore"),
        ("EvaluationPeriods", 16),
        ("AlarmActions", {"Ref": "AWS::NoValue"}),
        ("AlarmDescription", ""),
        ("Namespace", "AWS/States"),
    ],
)
def test_an_alarm_that_fires_too_late_or_reaches_no_topic_does_not_count(name, value):
    resources = copy.deepcopy(TRANSLATED["Resources"])
    resources["FailOverErrorsAlarm"]["Properties"][name] = value
    assert not functions.has_alarm_on_errors(resources, "FailOverFunction")
    assert functions.has_alarm_on_errors(resources, "FailBackFunction")


def test_an_alarm_with_another_condition_does_not_count():
    resources = copy.deepcopy(TRANSLATED["Resources"])
    resources["FailOverErrorsAlarm"]["Condition"] = "HasAlarmTopic"
    assert not functions.has_alarm_on_errors(resources, "FailOverFunction")


@pytest.mark.parametrize("queue", ["PairDeliveryFailures", "PairInvocationFailures"])
def test_a_queue_that_no_alarm_watches_does_not_count(queue):
    resources = copy.deepcopy(TRANSLATED["Resources"])
    del resources[f"{queue}Alarm"]
    without = {"PublishPlaylistFunction", "FailOverFunction", "FailBackFunction"}
    rules = [functions.keeps_failed_deliveries, functions.keeps_failed_invocations]
    assert {each for each in FUNCTIONS if not all(keeps(resources, each) for keeps in rules)} == without


# Function -> metric -> (period in seconds, how many periods must breach, of how many). Where one error may be a race of two
# runs, which the next run mends, more than one period must breach.
ONCE_IN_FIVE_MINUTES = {"Errors": (300, 1, 1), "Held": (300, 1, 1)}
PERIODS = {
    "PruneRecordingFunction": ONCE_IN_FIVE_MINUTES,
    "PublishPlaylistFunction": {"Errors": (300, 2, 3), "Held": (300, 1, 1)},
    "FailOverFunction": {"Errors": (60, 1, 1), "Held": (60, 1, 1), "Invocations": (60, 5, 5)},
    "FailBackFunction": {"Errors": (60, 3, 5), "Held": (60, 5, 5)},
    "CompleteLifecycleFunction": {"Errors": (60, 3, 5), "Held": (60, 1, 1), "Invocations": (60, 5, 5)},
    "CountViewersFunction": {"Errors": (300, 1, 1)},
}


def periods(resources, function):
    """Metric -> periods of the alarms on errors, on Held and on not running."""
    return {
        alarm["MetricName"]: (
            alarm["Period"],
            alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]),
            alarm["EvaluationPeriods"],
        )
        for alarm in functions.of_type(resources, "AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") in ("Errors", "Held", "Invocations")
        and [dimension["Value"] for dimension in alarm["Dimensions"]] == [{"Ref": function}]
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_alarm_fires_after_exactly_these_periods(function):
    assert periods(TRANSLATED["Resources"], function) == PERIODS[function]


SCHEDULED = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {
        "Function": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "CodeUri": "s3://code/function.zip",
                "Events": {"Minutely": {"Type": "ScheduleV2", "Properties": {"ScheduleExpression": "rate(1 minute)"}}},
            },
        }
    },
}


def test_a_schedule_of_eventbridge_scheduler_is_a_trigger():
    resources = stack.translated(SCHEDULED, {})["Resources"]
    ((schedule, _),) = functions.triggers(resources, "Function")
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert functions.has_trigger(resources, "Function")
    assert not functions.keeps_failed_deliveries(resources, "Function")
    assert not functions.has_alarm_on_silence(resources, "Function")


def test_a_function_that_nothing_invokes_is_seen():
    resources = copy.deepcopy(TRANSLATED["Resources"])
    for name in functions.of_type(resources, "AWS::Events::Rule"):
        if name.startswith("FailOverFunction"):
            del resources[name]
    assert [each for each in FUNCTIONS if not functions.has_trigger(resources, each)] == ["FailOverFunction"]


@pytest.mark.parametrize("level", ["WARN", None])
def test_a_function_without_the_reports_of_its_runs_is_seen(level):
    resources = copy.deepcopy(TRANSLATED["Resources"])
    config = resources["FailOverFunction"]["Properties"]["LoggingConfig"]
    del config["SystemLogLevel"]
    config |= {"SystemLogLevel": level} if level else {}
    assert [each for each in FUNCTIONS if not functions.has_log_group(resources, each)] == ["FailOverFunction"]


@pytest.fixture(scope="module", params=stack.ALL, ids=["no topic", "a topic"])
def deployed(request):
    """A stack with every function: (clients, parameters)."""
    with moto.mock_aws():
        client = stack.clients()
        stack.create(request.param, client)
        yield client, request.param


def test_every_log_group_is_deployed_with_90_days(deployed):
    client, _ = deployed
    ids = stack.physical_ids(client)
    groups = {TRANSLATED["Resources"][each]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]: each for each in FUNCTIONS}
    days = {group["logGroupName"]: group.get("retentionInDays") for group in client("logs").describe_log_groups()["logGroups"]}
    assert {groups[group]: days[ids[group]] for group in groups} == dict.fromkeys(FUNCTIONS, 90)


def test_every_alarm_of_the_stack_reaches_the_topic_if_there_is_one(deployed):
    client, parameters = deployed
    alarms = stack.alarms(client)
    assert len(alarms) >= 2 * len(FUNCTIONS)
    topic = [parameters["AlarmTopicArn"]] if "AlarmTopicArn" in parameters else []
    assert {name: alarm["AlarmActions"] for name, alarm in alarms.items()} == dict.fromkeys(alarms, topic)
