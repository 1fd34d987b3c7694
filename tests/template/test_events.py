"""Which event reaches the function by which rule: each file of events/ against the deployed rules' own patterns. Promise P30."""

import copy
import json

import moto
import pytest
import stack
from moto.events.models import EventPattern

NONE = set()
BY_IVS = {"RecordingEnd"}
BY_S3 = {"RecordingEndedObject"}

EXPECTED = {
    "prune-recording/dry-run.json": BY_IVS,
    "prune-recording/object-created.json": BY_S3,
    "prune-recording/object-created-other.json": NONE,
    "prune-recording/recording-end.json": BY_IVS,
    "prune-recording/recording-end-failure.json": NONE,
    "prune-recording/recording-start.json": NONE,
    "prune-recording/recording-start-failure.json": NONE,
    "prune-recording/stream-end.json": NONE,
}


def event(file):
    return json.loads((stack.EVENTS / file).read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=[stack.KEEP, stack.DELETE], ids=["one bucket", "two buckets"])
def matching(request):
    """A function: event -> the event sources of the template that match it."""
    with moto.mock_aws():
        client = stack.clients()
        stack.create(request.param, client)
        patterns = {
            logical_id.removeprefix("PruneRecordingFunction"): EventPattern.load(
                client("events").describe_rule(Name=name)["EventPattern"]
            )
            for logical_id, name in stack.physical_ids(client).items()
            if name in [rule["Name"] for rule in client("events").list_rules()["Rules"]]
        }
    assert set(patterns) == BY_IVS | BY_S3
    return lambda event: {source for source, pattern in patterns.items() if pattern.matches_event(event)}


def test_every_file_has_an_expectation():
    files = {path.relative_to(stack.EVENTS).as_posix() for path in stack.EVENTS.rglob("*.json")}
    assert files == set(EXPECTED)


@pytest.mark.parametrize("file", EXPECTED)
def test_the_file_comes_by_the_expected_rule(matching, file):
    assert matching(event(file)) == EXPECTED[file]


@pytest.mark.parametrize("file", [file for file, sources in EXPECTED.items() if sources])
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
    with moto.mock_aws():
        client = stack.clients()
        stack.create(stack.DELETE, client)
        patterns = [json.loads(rule["EventPattern"]) for rule in client("events").list_rules()["Rules"]]
    listed = [p["detail"].get("recording_s3_bucket_name") or p["detail"]["bucket"]["name"] for p in patterns]
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
