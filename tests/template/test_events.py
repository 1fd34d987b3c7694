"""Which event reaches which function by which rule: each file of events/ against the deployed rules' own patterns.
Promises P30 and P62."""

import copy
import json

import moto
import pytest
import stack
from moto.events.models import EventPattern

NONE = set()
BY_IVS = {"PruneRecordingFunctionRecordingEnd"}
BY_S3 = {"PruneRecordingFunctionRecordingEndedObject"}
BY_ALERT_SET = {"FailOverFunctionChannelAlert"}
BY_ALARM = {"FailOverFunctionInputAlarm"}
BY_ALERT_CLEARED = {"FailBackFunctionChannelAlertCleared"}
BY_ALARM_OK = {"FailBackFunctionInputAlarmOk"}
BY_LAUNCH = {"CompleteLifecycleFunctionLaunchAction"}
BY_TERMINATE = {"CompleteLifecycleFunctionTerminateAction"}
BY_COMMAND = {"CompleteLifecycleFunctionCommandEnded"}
PATTERNS = BY_IVS | BY_S3 | BY_ALERT_SET | BY_ALARM | BY_ALERT_CLEARED | BY_ALARM_OK
BY_LOG = {"CountViewersObjectRule"}
PATTERNS |= BY_LAUNCH | BY_TERMINATE | BY_COMMAND | BY_LOG
SCHEDULES = {
    "publish-playlist/schedule.json": "PublishPlaylistFunctionEveryFiveMinutes",
    "fail-over/schedule.json": "FailOverFunctionEveryMinute",
    "fail-back/schedule.json": "FailBackFunctionEveryMinute",
    "complete-lifecycle/schedule.json": "CompleteLifecycleFunctionEveryMinute",
}

EXPECTED = {
    "prune-recording/dry-run.json": BY_IVS,
    "prune-recording/object-created.json": BY_S3,
    "prune-recording/object-created-other.json": NONE,
    "prune-recording/recording-end.json": BY_IVS,
    "prune-recording/recording-end-failure.json": NONE,
    "prune-recording/recording-start.json": NONE,
    "prune-recording/recording-start-failure.json": NONE,
    "prune-recording/stream-end.json": NONE,
    "fail-over/alarm.json": BY_ALARM,
    "fail-over/alarm-insufficient-data.json": NONE,
    "fail-over/alert-other-pipeline.json": NONE,
    "fail-over/alert-other-type.json": NONE,
    "fail-over/alert-set.json": BY_ALERT_SET,
    "fail-over/by-hand.json": NONE,
    "fail-over/channel-state-change.json": NONE,
    "fail-over/dry-run.json": BY_ALERT_SET,
    "fail-back/alarm-ok.json": BY_ALARM_OK,
    "fail-back/alert-cleared.json": BY_ALERT_CLEARED,
    "fail-back/by-hand.json": NONE,
    "fail-back/dry-run.json": BY_ALERT_CLEARED,
    "publish-playlist/by-hand.json": NONE,
    "publish-playlist/dry-run.json": NONE,
    "complete-lifecycle/by-hand.json": NONE,
    "complete-lifecycle/command-invocation.json": BY_COMMAND,
    "complete-lifecycle/command-invocation-other-document.json": NONE,
    "complete-lifecycle/command-status.json": NONE,
    "complete-lifecycle/dry-run.json": BY_LAUNCH,
    "complete-lifecycle/launch.json": BY_LAUNCH,
    "complete-lifecycle/launch-into-warm-pool.json": BY_LAUNCH,
    "complete-lifecycle/launch-other-group.json": NONE,
    "complete-lifecycle/launch-other-hook.json": NONE,
    "complete-lifecycle/terminate.json": BY_TERMINATE,
    "count-viewers/dry-run.json": BY_LOG,
    "count-viewers/object-created.json": BY_LOG,
    # Sent by the alarm itself, without a rule.
    "fail-over/alarm-action.json": NONE,
    "fail-back/alarm-action-ok.json": NONE,
    # By CloudWatch Logs, which asks no rule.
    "count-viewers/subscription.json": NONE,
    "count-viewers/subscription-control.json": NONE,
    # By the clock, not by a pattern.
    **dict.fromkeys(SCHEDULES, NONE),
}

# The bucket that the files of count-viewers tell of, and another one.
COUNT = {"AccessLogBuckets": "access-logs,cdn-logs"}
ALL = stack.KEEP | stack.PAIR | stack.FLEET | COUNT


def event(file):
    return json.loads((stack.EVENTS / file).read_text(encoding="utf-8"))


def patterns(parameters):
    """Logical id -> pattern of the rules that a stack with these parameters has, but for the schedules."""
    with moto.mock_aws():
        client = stack.clients()
        stack.create(parameters, client)
        rules = {rule["Name"]: rule for rule in client("events").list_rules()["Rules"]}
        return {
            logical_id: EventPattern.load(rules[name]["EventPattern"])
            for logical_id, name in stack.physical_ids(client).items()
            if "EventPattern" in rules.get(name, {})
        }


def matcher(parameters):
    """A function: event -> the rules that match it, by logical id."""
    known = patterns(parameters)
    return lambda event: {rule for rule, pattern in known.items() if pattern.matches_event(event)}


@pytest.fixture(
    scope="module",
    params=[ALL, stack.DELETE | stack.PAIR | stack.FLEET | COUNT | {"Cut": "deny"}],
    ids=["one", "two"],
)
def matching(request):
    """The rules of everything together, with one bucket or two."""
    return matcher(request.param)


@pytest.fixture(scope="module")
def of_one_channel():
    """The rules of a pair whose sides are the two pipelines of one channel, with alarms of its own."""
    return matcher(stack.PAIR_OTHERWISE)


def test_every_file_has_an_expectation():
    files = {path.relative_to(stack.EVENTS).as_posix() for path in stack.EVENTS.rglob("*.json")}
    assert files == set(EXPECTED)


def test_every_pattern_lets_a_file_through():
    assert set(patterns(ALL)) == PATTERNS == set().union(*EXPECTED.values())


@pytest.mark.parametrize("file", EXPECTED)
def test_the_file_comes_by_the_expected_rule(matching, file):
    assert matching(event(file)) == EXPECTED[file]


@pytest.mark.parametrize("file", SCHEDULES)
def test_a_tick_names_the_rule_of_its_function_and_says_nothing_else(file):
    tick = event(file)
    assert (tick["source"], tick["detail-type"], tick["detail"]) == ("aws.events", "Scheduled Event", {})
    (rule,) = tick["resources"]
    assert rule.startswith(f"arn:aws:events:{stack.REGION}:{tick['account']}:rule/{stack.NAME}-{SCHEDULES[file]}-")
    assert stack.translate(stack.PAIR)["Resources"][SCHEDULES[file]]["Properties"]["ScheduleExpression"]


# ---- prune-recording


@pytest.mark.parametrize("file", [file for file, sources in EXPECTED.items() if sources & (BY_IVS | BY_S3)])
@pytest.mark.parametrize("bucket", ["another-bucket", f"{stack.BUCKET}-2", stack.BUCKET[:-1], "", None])
def test_the_same_event_of_another_bucket_comes_by_none(matching, file, bucket):
    elsewhere = copy.deepcopy(event(file))
    if elsewhere["source"] == "aws.s3":
        elsewhere["detail"]["bucket"]["name"] = bucket
    else:
        elsewhere["detail"]["recording_s3_bucket_name"] = bucket
    assert matching(elsewhere) == NONE


def test_both_buckets_are_listened_to():
    both = stack.DELETE["RecordingBuckets"].split(",")
    of_bucket = [pattern.get_pattern() for rule, pattern in patterns(stack.DELETE).items() if rule in BY_IVS | BY_S3]
    listed = [p["detail"].get("recording_s3_bucket_name") or p["detail"]["bucket"]["name"] for p in of_bucket]
    assert listed == [both, both]


@pytest.mark.parametrize(
    "key",
    [
        "recording-ended.json",
        "ivs/v1/1/c/2020/1/1/1/1/r/events/recording-ended.json.bak",
        "ivs/v1/1/c/2020/1/1/1/1/r/events/not-recording-ended.json",
        "ivs/v1/1/c/2020/1/1/1/1/r/events/recording-started.json",
        "ivs/v1/1/c/2020/1/1/1/1/r/events/recording-failed.json",
    ],
)
def test_no_other_object_comes_by_the_s3_rule(matching, key):
    created = event("prune-recording/object-created.json")
    created["detail"]["object"]["key"] = key
    assert matching(created) == NONE


def test_all_events_tell_of_the_same_recording():
    end = event("prune-recording/recording-end.json")["detail"]
    created = event("prune-recording/object-created.json")["detail"]
    assert created["bucket"]["name"] == end["recording_s3_bucket_name"] == stack.BUCKET
    assert created["object"]["key"] == end["recording_s3_key_prefix"] + "/events/recording-ended.json"


# ---- a pair


def changed(file, **detail):
    """An event of a file with other values in its detail."""
    other = event(file)
    other["detail"] |= detail
    return other


ALERTS = {"fail-over/alert-set.json": BY_ALERT_SET, "fail-back/alert-cleared.json": BY_ALERT_CLEARED}
ALARMS = {"fail-over/alarm.json": BY_ALARM, "fail-back/alarm-ok.json": BY_ALARM_OK}
DEFAULT_ALERT_TYPES = stack.template()["Parameters"]["AlertTypes"]["Default"].split(",")


@pytest.mark.parametrize("file", ALERTS)
@pytest.mark.parametrize("alert_type", DEFAULT_ALERT_TYPES)
@pytest.mark.parametrize("channel", [stack.CHANNEL_A, stack.CHANNEL_B])
def test_each_alert_that_means_a_lost_input_comes_from_each_side(matching, file, alert_type, channel):
    assert matching(changed(file, alert_type=alert_type, channel_arn=channel)) == ALERTS[file]


@pytest.mark.parametrize("file", ALERTS)
@pytest.mark.parametrize(
    "detail",
    [
        {"alert_type": "Input Failed Over"},
        {"alert_type": "video not detected"},
        {"alert_type": "Video Not Detected "},
        {"alarm_state": "UPDATED"},
        {"channel_arn": stack.CHANNEL_A + "7"},
        {"channel_arn": stack.CHANNEL_A.replace("us-west-2", "us-east-1")},
        {"pipeline": "1"},
        {"pipeline": 0},
        {"pipeline": None},
    ],
    ids=str,
)
def test_no_other_alert_comes(matching, file, detail):
    assert matching(changed(file, **detail)) == NONE


@pytest.mark.parametrize("file", ALERTS)
def test_an_alert_of_something_else_than_a_channel_does_not_come(matching, file):
    assert matching(event(file) | {"detail-type": "MediaLive Multiplex Alert"}) == NONE
    assert matching(event(file) | {"source": "aws.mediapackage"}) == NONE


def test_a_pipeline_counts_only_with_the_channel_that_it_belongs_to():
    mixed = matcher(stack.PAIR | {"SideBPipeline": "1"})
    file = "fail-over/alert-set.json"
    assert mixed(changed(file, channel_arn=stack.CHANNEL_A, pipeline="0")) == BY_ALERT_SET
    assert mixed(changed(file, channel_arn=stack.CHANNEL_B, pipeline="1")) == BY_ALERT_SET
    assert mixed(changed(file, channel_arn=stack.CHANNEL_A, pipeline="1")) == NONE
    assert mixed(changed(file, channel_arn=stack.CHANNEL_B, pipeline="0")) == NONE


@pytest.mark.parametrize("file", ALERTS)
def test_two_pipelines_of_one_channel_are_two_sides_and_other_alerts_can_be_chosen(of_one_channel, file):
    for pipeline in ("0", "1"):
        assert of_one_channel(changed(file, pipeline=pipeline)) == ALERTS[file]
        assert of_one_channel(changed(file, pipeline=pipeline, alert_type="Audio Not Detected")) == ALERTS[file]
    assert of_one_channel(changed(file, alert_type="RTMP Stream Not Found")) == NONE


@pytest.mark.parametrize("file", ALARMS)
def test_the_alarms_of_both_sides_come_and_no_other(matching, file):
    for name in ("onair-show-side-a", "onair-show-side-b"):
        assert matching(changed(file, alarmName=name)) == ALARMS[file]
    for name in ("onair-show-side-c", "onair-show-side-a2", "Onair-Show-Side-A", "onair-show-side", ""):
        assert matching(changed(file, alarmName=name)) == NONE


@pytest.mark.parametrize("file", ALARMS)
def test_alarms_of_ones_own_come_instead(of_one_channel, file):
    for side in "AB":
        assert of_one_channel(changed(file, alarmName=stack.PAIR_OTHERWISE[f"Side{side}Alarm"])) == ALARMS[file]
    assert of_one_channel(event(file)) == NONE


@pytest.mark.parametrize("file", ALARMS)
@pytest.mark.parametrize(("value", "expected"), [("ALARM", BY_ALARM), ("OK", BY_ALARM_OK), ("INSUFFICIENT_DATA", NONE)])
def test_the_state_that_an_alarm_goes_to_decides_and_not_the_one_it_comes_from(matching, file, value, expected):
    state = event(file)["detail"]["state"]
    assert matching(changed(file, state=state | {"value": value})) == expected
    previous = event(file)["detail"]["previousState"]
    assert matching(changed(file, previousState=previous | {"value": value})) == ALARMS[file]


def test_all_events_tell_of_the_same_pair():
    lost, back = (event(file)["detail"] for file in ALERTS)
    different = {key: (lost[key], back[key]) for key in lost if lost[key] != back[key]}
    assert different == {"alarm_state": ("SET", "CLEARED")}
    assert (lost["channel_arn"], lost["pipeline"]) == (stack.CHANNEL_A, stack.PAIR["SideAPipeline"])
    for file in (*ALARMS, "fail-over/alarm-insufficient-data.json"):
        (metric,) = event(file)["detail"]["configuration"]["metrics"]
        dimensions = metric["metricStat"]["metric"]["dimensions"]
        assert dimensions == {"ChannelId": stack.CHANNEL_A.split(":")[-1], "Pipeline": "0"}
    gone, came = (event(file)["detail"] for file in ALARMS)
    assert (gone["alarmName"], came["previousState"]) == (came["alarmName"], gone["state"])


def test_an_alarm_event_describes_the_alarm_that_the_template_makes():
    with moto.mock_aws():
        client = stack.clients()
        stack.create(stack.PAIR, client)
        made = stack.alarms(client)["PairSideAInputAlarm"]
    for file in ALARMS:
        configuration = event(file)["detail"]["configuration"]
        (metric,) = configuration["metrics"]
        assert configuration["description"] == made["AlarmDescription"]
        assert metric["metricStat"] == {
            "metric": {
                "dimensions": {dimension["Name"]: dimension["Value"] for dimension in made["Dimensions"]},
                "name": made["MetricName"],
                "namespace": made["Namespace"],
            },
            "period": made["Period"],
            "stat": made["Statistic"],
        }


def test_a_dry_run_is_the_event_of_its_kind_with_one_word_more():
    for alert in ALERTS:
        dry_run = f"{alert.split('/')[0]}/dry-run.json"
        assert event(dry_run) == event(alert) | {"onair": {"dry_run": True}}


# ---- count-viewers


@pytest.mark.parametrize("file", [file for file, rules in EXPECTED.items() if rules == BY_LOG])
def test_a_log_comes_if_it_is_in_one_of_the_named_buckets(matching, file):
    for bucket in COUNT["AccessLogBuckets"].split(","):
        assert matching(changed(file, bucket={"name": bucket})) == BY_LOG
    for bucket in ("access-logs-2", "access-log", "", None):
        assert matching(changed(file, bucket={"name": bucket})) == NONE


def test_a_dry_run_of_counting_is_a_log_with_one_word_more():
    created = event("count-viewers/object-created.json")
    assert event("count-viewers/dry-run.json") == created | {"onair": {"dry_run": True}}
