"""Tests the stand-in's MediaPackage and MediaLive with an independent client."""

import copy
import json
import re
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError, WaiterError

PACKAGES = ["CmafPackage", "DashPackage", "HlsPackage", "MssPackage"]
# Attributes that AWS adds. Of these, only the manifests of CMAF have one below the top level.
OUTPUT_ONLY = ["Arn", "CreatedAt", "Url"]
VIDEO = "Video Not Detected"


@pytest.fixture
def mediapackage(stand_in):
    return stand_in.client("mediapackage")


@pytest.fixture
def medialive(stand_in):
    return stand_in.client("medialive")


def create_shape(client):
    return client.meta.service_model.operation_model("CreateOriginEndpoint").input_shape


def sample(shape, which=0):
    """A value with every member of the shape."""
    match shape.type_name:
        case "structure":
            return {name: sample(member, which) for name, member in shape.members.items()}
        case "list":
            return [sample(shape.member, which)]
        case "map":
            return {"show": "final"}
        case "integer":
            return 7
        case "boolean":
            return True
        case _:
            return shape.enum[which % len(shape.enum)] if shape.enum else f"a-{shape.name.strip('_')}"


def endpoint(client, package, which=0):
    """An endpoint with every attribute for this packager."""
    whole = sample(create_shape(client), which)
    others = [other for other in PACKAGES if other != package]
    return {name: value for name, value in whole.items() if name not in others} | {"Id": "full", "ChannelId": "a"}


def settings(described):
    """An endpoint from its description, without the attributes that AWS adds."""
    kept = {name: value for name, value in described.items() if name not in [*OUTPUT_ONLY, "ResponseMetadata"]}
    for manifest in kept.get("CmafPackage", {}).get("HlsManifests", []):
        manifest.pop("Url")
    return kept


def refusal(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response
    assert answer["Error"]["Message"]
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def get(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.headers, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_field_of_the_model_comes_back_unchanged(mediapackage, package):
    for which in range(8):
        given = endpoint(mediapackage, package, which)
        made = mediapackage.create_origin_endpoint(**copy.deepcopy(given))
        assert settings(made) == given
        assert settings(mediapackage.describe_origin_endpoint(Id="full")) == given
        assert mediapackage.delete_origin_endpoint(Id="full")["ResponseMetadata"]["HTTPStatusCode"] == 202


def fields(shape, path=()):
    """Everything below a shape: path, shape, and whether it is required."""
    for name, member in shape.members.items():
        yield (*path, name), member, name in shape.required_members
        way, inner = ((name, 0), member.member) if member.type_name == "list" else ((name,), member)
        if inner.type_name == "structure":
            yield from fields(inner, (*path, *way))


def wrong(shape):
    """Values that the shape does not allow, if boto3 can send them."""
    match shape.type_name:
        case "structure":
            return None
        case "list":
            return wrong(shape.member) and [wrong(shape.member)]
        case _:
            return {"no": 1}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wrong_value_is_refused_and_so_is_a_missing_one(stand_in, package):
    client = stand_in.client("mediapackage", parameter_validation=False)
    tried = []
    for path, shape, required in fields(create_shape(client)):
        if path[0] in PACKAGES and path[0] != package:
            continue
        *way, last = path
        for value in [wrong(shape)] + [None] * required:
            given = inner = endpoint(client, package)
            for step in way:
                inner = inner[step]
            inner[last] = value
            if value is None:
                del inner[last]
            if value or required:
                refused = refusal(client.create_origin_endpoint, **given)
                assert refused == (422, "UnprocessableEntityException"), (path, value)
                tried.append(path)
    assert len(tried) > 20
    client.create_origin_endpoint(**endpoint(client, package))


def test_what_is_left_out_has_its_default(mediapackage):
    made = mediapackage.create_origin_endpoint(Id="small", ChannelId="a", HlsPackage={})
    assert re.fullmatch(r"arn:aws:mediapackage:us-west-2:123456789012:origin_endpoints/[0-9a-f]{32}", made["Arn"])
    assert made["Url"].endswith(f"/out/v1/{made['Arn'][-32:]}/index.m3u8")
    assert made["HlsPackage"]["StreamSelection"]["MaxVideoBitsPerSecond"] == 2**31 - 1
    assert (made["ManifestName"], made["Origination"], made["Tags"], made["Whitelist"]) == ("index", "ALLOW", {}, [])
    assert (made["StartoverWindowSeconds"], made["TimeDelaySeconds"]) == (0, 0)
    datetime.fromisoformat(made["CreatedAt"])


def test_an_update_is_a_put(mediapackage):
    made = mediapackage.create_origin_endpoint(**endpoint(mediapackage, "HlsPackage"))
    mediapackage.update_origin_endpoint(Id="full", Origination="DENY")
    bare = mediapackage.describe_origin_endpoint(Id="full")
    assert (bare["Origination"], bare["Whitelist"], bare["TimeDelaySeconds"]) == ("DENY", [], 0)
    assert "Description" not in bare and "Encryption" not in bare["HlsPackage"]
    for kept in ["Arn", "ChannelId", "CreatedAt", "Id", "Tags"]:
        assert bare[kept] == made[kept]
    whole = {name: value for name, value in settings(made).items() if name not in ["ChannelId", "Tags"]}
    updated = mediapackage.update_origin_endpoint(**whole)
    for answer in [made, updated]:
        del answer["ResponseMetadata"]
    assert updated == made


def test_a_deleted_endpoint_is_gone_and_comes_back_elsewhere(mediapackage):
    first = mediapackage.describe_origin_endpoint(Id="a-hls")
    assert get(first["Url"])[0] == 200
    mediapackage.delete_origin_endpoint(Id="a-hls")
    gone = (404, "NotFoundException")
    assert refusal(mediapackage.describe_origin_endpoint, Id="a-hls") == gone
    assert refusal(mediapackage.update_origin_endpoint, Id="a-hls") == gone
    assert refusal(mediapackage.delete_origin_endpoint, Id="a-hls") == gone
    assert get(first["Url"])[0] == 404
    second = mediapackage.create_origin_endpoint(**settings(first))
    assert second["Url"] != first["Url"] and second["Arn"] != first["Arn"]
    assert settings(second) == settings(first)
    assert get(second["Url"])[0] == 200


def test_a_delete_can_take_its_time(stand_in, mediapackage):
    stand_in.do("set_delete_delay_ms", 60_000)
    url = mediapackage.describe_origin_endpoint(Id="a-hls")["Url"]
    mediapackage.delete_origin_endpoint(Id="a-hls")
    assert get(url)[0] == 200
    stand_in.do("set_delete_delay_ms", 0)
    assert get(url)[0] == 404


def test_errors_are_the_modelled_ones(mediapackage):
    errors = mediapackage.exceptions
    with pytest.raises(errors.UnprocessableEntityException, match="already exists"):
        mediapackage.create_origin_endpoint(Id="a-hls", ChannelId="a", HlsPackage={})
    with pytest.raises(errors.UnprocessableEntityException):
        mediapackage.create_origin_endpoint(Id="a hls", ChannelId="a", HlsPackage={})
    with pytest.raises(errors.UnprocessableEntityException):
        mediapackage.update_origin_endpoint(Id="a-hls", DashPackage={})
    with pytest.raises(errors.NotFoundException):
        mediapackage.create_origin_endpoint(Id="c-hls", ChannelId="c", HlsPackage={})


def test_a_list_is_of_a_channel_and_comes_in_pages(mediapackage):
    for n in range(4):
        mediapackage.create_origin_endpoint(Id=f"a-{n}", ChannelId="a", HlsPackage={})
    pages = mediapackage.get_paginator("list_origin_endpoints").paginate(
        ChannelId="a", PaginationConfig={"PageSize": 2}
    )
    ids = [[endpoint["Id"] for endpoint in page["OriginEndpoints"]] for page in pages]
    assert ids == [["a-0", "a-1"], ["a-2", "a-3"], ["a-hls"]]
    everything = mediapackage.list_origin_endpoints()["OriginEndpoints"]
    assert {endpoint["ChannelId"] for endpoint in everything} == {"a", "b"}
    assert mediapackage.list_origin_endpoints(ChannelId="c")["OriginEndpoints"] == []


def test_a_channel_runs_and_stops(stand_in, medialive):
    channel = medialive.describe_channel(ChannelId="1001")
    assert channel["Arn"] == "arn:aws:medialive:us-west-2:123456789012:channel:1001"
    assert (channel["State"], channel["ChannelClass"], channel["PipelinesRunningCount"]) == (
        "RUNNING",
        "SINGLE_PIPELINE",
        1,
    )
    assert [pipeline["PipelineId"] for pipeline in channel["PipelineDetails"]] == ["0"]
    once = {"WaiterConfig": {"Delay": 0, "MaxAttempts": 1}}
    medialive.get_waiter("channel_running").wait(ChannelId="1001", **once)
    with pytest.raises(WaiterError):
        medialive.get_waiter("channel_stopped").wait(ChannelId="1001", **once)
    stand_in.do("set_state", "1001", "IDLE")
    medialive.get_waiter("channel_stopped").wait(ChannelId="1001", **once)
    assert medialive.describe_channel(ChannelId="1001")["PipelineDetails"] == []
    with pytest.raises(medialive.exceptions.NotFoundException):
        medialive.describe_channel(ChannelId="1003")


def test_alerts_are_listed_by_state_with_their_times(stand_in, medialive):
    def alerts(state):
        listed = medialive.list_alerts(ChannelId="1001", StateFilter=state)["Alerts"]
        return [(alert["PipelineId"], alert["AlertType"], alert["State"]) for alert in listed]

    stand_in.do("set_alert", "1001", 0, VIDEO, 600)
    stand_in.do("set_alert", "1001", 0, "Audio Not Detected")
    stand_in.do("clear_alert", "1001", 0, VIDEO, 420)
    video, audio = ("0", VIDEO, "CLEARED"), ("0", "Audio Not Detected", "SET")
    assert alerts("ALL") == [video, audio]
    assert (alerts("SET"), alerts("CLEARED")) == ([audio], [video])
    (cleared,) = medialive.list_alerts(ChannelId="1001", StateFilter="CLEARED")["Alerts"]
    took = cleared["ClearedTimestamp"] - cleared["SetTimestamp"]
    assert took == pytest.approx(timedelta(seconds=180), abs=timedelta(seconds=5))
    assert datetime.now(timezone.utc) - cleared["ClearedTimestamp"] > timedelta(seconds=419)
    # Stopping the channel clears the alerts, although the input is not back.
    stand_in.do("set_state", "1001", "STOPPING")
    assert alerts("SET") == []
    with pytest.raises(medialive.exceptions.BadRequestException):
        alerts("OPEN")
    with pytest.raises(medialive.exceptions.NotFoundException):
        medialive.list_alerts(ChannelId="1003")


def test_alerts_come_in_pages(stand_in, medialive):
    for n in range(5):
        stand_in.do("set_alert", "1001", 0, f"Alert {n}")
    pages = medialive.get_paginator("list_alerts").paginate(
        ChannelId="1001", StateFilter="ALL", PaginationConfig={"PageSize": 2}
    )
    types = [[alert["AlertType"] for alert in page["Alerts"]] for page in pages]
    assert types == [["Alert 0", "Alert 1"], ["Alert 2", "Alert 3"], ["Alert 4"]]


def test_a_fault_strikes_the_call_of_its_number_in_whichever_service(stand_in, mediapackage, medialive):
    stand_in.do("fault", 1, 503)
    stand_in.do("fault", 3, 403)
    stand_in.do("fault", 4, 500)
    s3 = stand_in.client("s3")
    s3.put_object(Bucket="control", Key="state")
    assert refusal(mediapackage.describe_origin_endpoint, Id="a-hls") == (503, "ServiceUnavailableException")
    url = mediapackage.describe_origin_endpoint(Id="a-hls")["Url"]
    assert refusal(medialive.describe_channel, ChannelId="1001") == (403, "AccessDeniedException")
    assert get(url)[0] == 500
    path = "/" + url.split("/", 3)[3]
    assert stand_in.do("calls") == [
        ["s3", "PutObject", "state"],
        ["mediapackage", "DescribeOriginEndpoint", "a-hls"],
        ["mediapackage", "DescribeOriginEndpoint", "a-hls"],
        ["medialive", "DescribeChannel", "1001"],
        ["origin", "GET", path],
    ]


def test_a_client_that_retries_gets_over_a_fault(stand_in):
    stand_in.do("fault", 0, 503)
    stand_in.client("mediapackage", retries={"total_max_attempts": 2}).describe_origin_endpoint(Id="a-hls")
    assert len(stand_in.do("calls")) == 2


def test_a_stranger_is_turned_away(stand_in):
    stand_in.addresses["access_key_id"] = "stranger"
    for service, call in [
        ("mediapackage", lambda client: client.list_origin_endpoints),
        ("medialive", lambda client: lambda: client.describe_channel(ChannelId="1001")),
    ]:
        assert refusal(call(stand_in.client(service))) == (403, "UnrecognizedClientException")


def test_an_endpoint_plays(stand_in, mediapackage):
    url = mediapackage.describe_origin_endpoint(Id="b-hls")["Url"]
    status, headers, master = get(url)
    assert (status, headers["Content-Type"], headers["Access-Control-Allow-Origin"]) == (
        200,
        "application/x-mpegURL",
        "*",
    )
    variant = next(line for line in master.splitlines() if line.endswith(".m3u8"))
    stand_in.do("stall", "b")
    _, headers, playlist = get(url.replace("index.m3u8", variant))
    assert headers["X-MediaPackage-Manifest-Last-Sequence"] in playlist.splitlines()[-1]
    assert get(url.replace("index.m3u8", playlist.splitlines()[-1]))[0] == 200
    assert get(url.replace("index.m3u8", variant))[2] == playlist
    stand_in.do("resume", "b")
    mediapackage.update_origin_endpoint(Id="b-hls", Origination="DENY")
    assert get(url)[0] == 403


def test_viewers_read_what_was_put(stand_in):
    stand_in.client("s3").put_object(
        Bucket="public", Key="pair/steering.json", Body=b"{}", ContentType="application/json", CacheControl="max-age=5"
    )
    status, headers, body = get(f"{stand_in.addresses['site']}/public/pair/steering.json?_HLS_pathway=A")
    assert (status, json.loads(body), headers["Content-Type"], headers["Cache-Control"]) == (
        200,
        {},
        "application/json",
        "max-age=5",
    )
