"""The functions of a pair may do what they do, as near to their own endpoints and channels as IAM can come, and nothing
else; and moto enforces it, as far as it can. Promise P61."""

import json
import re

import moto_server
import pytest
import role
import second_opinion
import stack
from botocore.exceptions import ClientError

FUNCTIONS = ["publish-playlist", "fail-over", "fail-back"]
ENDPOINTS = f"arn:aws:mediapackage:{stack.REGION}:123456789012:origin_endpoints/*"
CHANNELS = [f"arn:aws:medialive:{stack.REGION}:123456789012:channel:{id}" for id in ("123456", "654321")]
ROLE_ARNS = stack.PAIR_OTHERWISE["EndpointRoleArns"]

# Sid -> what it allows, and on what; $C and $P are the control and the public bucket.
READING = {
    "ReadState": ("s3:GetObject", ["$C/pairs/show/state.json"]),
    "FindState": ("s3:ListBucket", ["$C"]),
    "ReadIndex": ("s3:GetObject", ["$P/show/index.m3u8"]),
    "WriteIndex": ("s3:PutObject", ["$P/show/index.m3u8"]),
    "ReadSteering": ("s3:GetObject", ["$P/show/steering.json"]),
    "WriteSteering": ("s3:PutObject", ["$P/show/steering.json"]),
    "FindPublished": ("s3:ListBucket", ["$P"]),
    "DescribeEndpoints": ("mediapackage:DescribeOriginEndpoint", [ENDPOINTS]),
}
ACTING = READING | {
    "WriteState": ("s3:PutObject", ["$C/pairs/show/state.json"]),
    "ListAlerts": ("medialive:ListAlerts", ["*"]),
    "DescribeChannels": ("medialive:DescribeChannel", CHANNELS),
}
PASS_ROLES = {"PassEndpointRoles": ("iam:PassRole", ROLE_ARNS.split(","))}
EXPECTED = {
    ("publish-playlist", "delete"): READING,
    ("publish-playlist", "deny"): READING,
    ("publish-playlist", "none"): READING,
    ("fail-over", "delete"): ACTING | {"DeleteEndpoint": ("mediapackage:DeleteOriginEndpoint", [ENDPOINTS])},
    ("fail-over", "deny"): ACTING | {"DenyEndpoint": ("mediapackage:UpdateOriginEndpoint", [ENDPOINTS])},
    ("fail-over", "none"): ACTING,
    ("fail-back", "delete"): ACTING
    | {
        "CreateEndpoint": ("mediapackage:CreateOriginEndpoint", ["*"]),
        "TagEndpoint": ("mediapackage:TagResource", [ENDPOINTS]),
    },
    ("fail-back", "deny"): ACTING | {"AllowEndpoint": ("mediapackage:UpdateOriginEndpoint", [ENDPOINTS])},
    ("fail-back", "none"): ACTING,
}
# Who sends a definition to MediaPackage hands on the roles in it.
PASSES_ROLES = {("fail-over", "deny"), ("fail-back", "delete"), ("fail-back", "deny")}


def resources(statement):
    listed = statement["Resource"]
    return [listed] if isinstance(listed, str) else listed


# What Lambda does on a function's behalf.
LAMBDA = ["WriteLogs", "ReportInvocationFailures"]


def of_the_pair(documents):
    """Sid -> statement, the buckets as $C and $P."""
    text = json.dumps(documents)
    for short, bucket in (("$C", "paircontrolbucket"), ("$P", "pairpublicbucket")):
        text = re.sub(rf"arn:aws:s3:::{stack.NAME}-{bucket}-\w+", short, text)
    return {s["Sid"]: s for s in role.statements(json.loads(text)) if s["Sid"] not in LAMBDA}


def granted(statements):
    """Sid -> action and resources; any condition is looked at elsewhere."""
    return {sid: (s["Action"], resources(s)) for sid, s in statements.items()}


@pytest.mark.parametrize("cut", ["delete", "deny", "none"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_may_do_exactly_this(function, cut):
    statements = of_the_pair(role.policies(stack.PAIR | {"Cut": cut}, function))
    assert granted(statements) == EXPECTED[function, cut]
    assert all(set(s) == {"Sid", "Effect", "Action", "Resource"} for s in statements.values())


# All that changes what the roles may do, beside Cut, and all that does not.
MORE = {"EndpointRoleArns": ROLE_ARNS, "OnlyTaggedEndpoints": "true"}
MORE |= {"DryRun": "true", "Steering": "on", "Prefer": "A", "SideAAlarm": "lost", "SideABaseUrl": "https://cdn.example"}


@pytest.mark.parametrize("cut", ["delete", "deny", "none"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_named_roles_are_passed_on_and_only_tagged_endpoints_changed_if_one_wants(function, cut):
    statements = of_the_pair(role.policies(stack.PAIR | {"Cut": cut} | MORE, function))
    passes = PASS_ROLES if (function, cut) in PASSES_ROLES else {}
    assert granted(statements) == EXPECTED[function, cut] | passes
    conditions = {sid: s["Condition"]["StringEquals"] for sid, s in statements.items() if "Condition" in s}
    if passes:
        assert conditions.pop("PassEndpointRoles") == {"iam:PassedToService": "mediapackage.amazonaws.com"}
    existing, requested = {"aws:ResourceTag/onair-pair": "show"}, {"aws:RequestTag/onair-pair": "show"}
    of_cut = {
        ("fail-over", "delete"): {"DeleteEndpoint": existing},
        ("fail-over", "deny"): {"DenyEndpoint": existing},
        ("fail-back", "delete"): {"CreateEndpoint": requested, "TagEndpoint": requested},
        ("fail-back", "deny"): {"AllowEndpoint": existing},
    }
    assert conditions == of_cut.get((function, cut), {})
    # Nothing that changes an endpoint is left without.
    of_mediapackage = {sid for sid, s in statements.items() if s["Action"].startswith("mediapackage:")}
    assert set(conditions) == of_mediapackage - {"DescribeEndpoints"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_beyond_that_a_role_may_write_its_own_log_and_report_failures(function):
    documents = role.policies(stack.PAIR, function)
    logs, failures = [s for s in role.statements(documents) if s["Sid"] in LAMBDA]
    assert role.actions(logs) == ["logs:CreateLogStream", "logs:PutLogEvents"]
    own = role.ROLES[function].replace("Role", "Logs")
    assert logs["Resource"].startswith(f"arn:aws:logs:{stack.REGION}:123456789012:log-group:{stack.NAME}-{own}-")
    assert logs["Resource"].endswith(":*")
    assert role.actions(failures) == ["sqs:SendMessage"]
    queue = f"{stack.NAME}-PairInvocationFailures"
    assert failures["Resource"].startswith(f"arn:aws:sqs:{stack.REGION}:123456789012:{queue}-")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_statement_allows_one_thing_and_has_a_name_of_its_own(function):
    statements = role.statements(role.policies(stack.PAIR | {"Cut": "deny"} | MORE, function))
    assert {s["Effect"] for s in statements} == {"Allow"}
    assert len({s["Sid"] for s in statements}) == len(statements)
    assert all(len(role.actions(s)) == 1 for s in statements if s["Sid"] != "WriteLogs")


# ---- moto enforces it

READ = {"read state", "read index", "read steering", "list control", "list public", "describe endpoint"}
PUBLISH = READ | {"write index", "write steering"}
ACT = PUBLISH | {"write state", "list alerts", "describe channel A", "describe channel B"}
MAY = {
    ("publish-playlist", "delete"): PUBLISH,
    ("fail-over", "delete"): ACT | {"delete endpoint"},
    ("fail-over", "deny"): ACT | {"update endpoint"},
    ("fail-back", "delete"): ACT | {"create endpoint", "create endpoint with tags"},
    ("fail-back", "deny"): ACT | {"update endpoint"},
}
# Statement -> what is refused without it.
NEEDED_FOR = {
    "ReadState": {"read state"},
    "WriteState": {"write state"},
    "FindState": {"list control"},
    "ReadIndex": {"read index"},
    "WriteIndex": {"write index"},
    "ReadSteering": {"read steering"},
    "WriteSteering": {"write steering"},
    "FindPublished": {"list public"},
    "DescribeEndpoints": {"describe endpoint"},
    "DeleteEndpoint": {"delete endpoint"},
    "DenyEndpoint": {"update endpoint"},
    "AllowEndpoint": {"update endpoint"},
    "CreateEndpoint": {"create endpoint", "create endpoint with tags"},
    "TagEndpoint": {"create endpoint with tags"},
    "ListAlerts": {"list alerts"},
    "DescribeChannels": {"describe channel A", "describe channel B"},
}


class Enforced:
    """A stack on a server of moto that enforces IAM."""

    def __init__(self, endpoint, parameters):
        self.endpoint = endpoint
        client = stack.clients(endpoint)
        self.outputs = stack.create(parameters, client)
        self.ids = stack.physical_ids(client)
        # Before IAM is enforced, since only a function may assume these roles.
        self.credentials = {function: self.assume(client, function) for function in FUNCTIONS}
        self.admin = self.client_of(second_opinion.administrator(client))
        moto_server.enforce_iam(endpoint)
        control, public = self.outputs["PairControlBucketName"], self.outputs["PairPublicBucketName"]
        self.objects = {
            "state": {"Bucket": control, "Key": "pairs/show/state.json"},
            "state of another pair": {"Bucket": control, "Key": "pairs/other/state.json"},
            "index": {"Bucket": public, "Key": "show/index.m3u8"},
            "steering": {"Bucket": public, "Key": "show/steering.json"},
            "index of another pair": {"Bucket": public, "Key": "other/index.m3u8"},
            "something beside the index": {"Bucket": public, "Key": "show/index.m3u8.bak"},
        }
        for place in self.objects.values():
            self.admin("s3").put_object(**place, Body=b"seed")
        self.admin("mediapackage").create_channel(Id="channel")
        second_opinion.create_channels(self.admin, "123456", "654321", "999999")

    def assume(self, client, function):
        arn = client("iam").get_role(RoleName=self.ids[role.ROLES[function]])["Role"]["Arn"]
        return client("sts").assume_role(RoleArn=arn, RoleSessionName="function")["Credentials"]

    def client_of(self, credentials):
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        return stack.clients(self.endpoint, *(credentials.get(name) for name in names))

    def attempts(self, function, of=None):
        """What the function's role lets through of these attempts, or of all that a function of a pair could try."""
        of_role = self.client_of(self.credentials[function])
        s3, mediapackage, medialive = of_role("s3"), of_role("mediapackage"), of_role("medialive")
        control, public = self.outputs["PairControlBucketName"], self.outputs["PairPublicBucketName"]
        # It may have been deleted the last time.
        self.admin("mediapackage").create_origin_endpoint(Id="show-a", ChannelId="channel")

        calls = {
            "list control": lambda: s3.list_objects_v2(Bucket=control),
            "list public": lambda: s3.list_objects_v2(Bucket=public),
            "list versions": lambda: s3.list_object_versions(Bucket=control),
            "list another bucket": lambda: s3.list_objects_v2(Bucket="code"),
            "change the bucket's policy": lambda: s3.delete_bucket_policy(Bucket=public),
            "describe endpoint": lambda: mediapackage.describe_origin_endpoint(Id="show-a"),
            "list endpoints": lambda: mediapackage.list_origin_endpoints(),
            "create endpoint": lambda: mediapackage.create_origin_endpoint(Id="show-b", ChannelId="channel"),
            "create endpoint with tags": lambda: mediapackage.create_origin_endpoint(
                Id="show-c", ChannelId="channel", Tags={"show": "evening"}
            ),
            "update endpoint": lambda: mediapackage.update_origin_endpoint(Id="show-a", Origination="DENY"),
            "delete endpoint": lambda: mediapackage.delete_origin_endpoint(Id="show-a"),
            "describe MediaPackage's channel": lambda: mediapackage.describe_channel(Id="channel"),
            "delete MediaPackage's channel": lambda: mediapackage.delete_channel(Id="channel"),
            "describe channel A": lambda: medialive.describe_channel(ChannelId="123456"),
            "describe channel B": lambda: medialive.describe_channel(ChannelId="654321"),
            "describe another channel": lambda: medialive.describe_channel(ChannelId="999999"),
            "list alerts": lambda: medialive.list_alerts(ChannelId="123456"),
            "stop channel A": lambda: medialive.stop_channel(ChannelId="123456"),
            "list channels": lambda: medialive.list_channels(),
        }
        for name, place in self.objects.items():
            calls[f"read {name}"] = lambda place=place: s3.get_object(**place)
            calls[f"write {name}"] = lambda place=place: s3.put_object(**place, Body=b"new")
            calls[f"delete {name}"] = lambda place=place: s3.delete_object(**place)
        # In this order: what is deleted cannot be described.
        return {what for what, call in calls.items() if (of is None or what in of) and is_allowed(call)}


def is_allowed(call):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403"), error
        return False
    return True


@pytest.fixture(scope="module", params=["delete", "deny"])
def enforced(request):
    with moto_server.running() as endpoint:
        yield Enforced(endpoint, stack.PAIR | {"Cut": request.param}), request.param


@pytest.mark.parametrize("function", FUNCTIONS)
def test_under_its_role_a_function_can_do_this_and_nothing_else(enforced, function):
    server, cut = enforced
    assert server.attempts(function) == MAY.get((function, cut), PUBLISH)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_without_one_of_its_statements_a_function_cannot_do_just_that(enforced, function):
    server, cut = enforced
    sids = role.enforced_sids(role.of_role(server.admin, server.ids[role.ROLES[function]]).values())
    assert set(sids) == set(EXPECTED[function, cut])
    allowed = MAY.get((function, cut), PUBLISH)
    for sid in sids:
        before = second_opinion.leave_out(sid, server.admin, server.ids[role.ROLES[function]])
        assert server.attempts(function, of=allowed) == allowed - NEEDED_FOR[sid], sid
        role.put(server.admin, server.ids[role.ROLES[function]], before)
