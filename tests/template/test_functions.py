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
        for _, target in functions.targets(resources, function):
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
        ("EvaluationPeriods", 100),
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


@pytest.mark.parametrize("parameters", stack.ALL, ids=["no topic", "a topic"])
def test_every_alarm_of_the_stack_reaches_the_topic_if_there_is_one(parameters):
    with moto.mock_aws():
        client = stack.clients()
        stack.create(parameters, client)
        alarms = stack.alarms(client)
    assert len(alarms) >= 2 * len(FUNCTIONS)
    topic = [parameters["AlarmTopicArn"]] if "AlarmTopicArn" in parameters else []
    assert {name: alarm["AlarmActions"] for name, alarm in alarms.items()} == dict.fromkeys(alarms, topic)
