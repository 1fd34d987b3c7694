"""What a person is asked for, what is refused before anything is created, and what reaches the functions.
Promises P31, P62, P90 and P111."""

import re

import pytest
import stack

TEMPLATE = stack.template()
PARAMETERS = TEMPLATE["Parameters"]

# What CloudFormation allows in Rules beside Ref, as far as the template uses it; any other function is a KeyError.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-rules.html
RULE_FUNCTIONS = {
    "Fn::And": lambda *conditions: all(conditions),
    "Fn::Contains": lambda members, value: value in members,
    "Fn::EachMemberEquals": lambda members, value: all(member == value for member in members),
    "Fn::Equals": lambda one, other: one == other,
    "Fn::Not": lambda condition: not condition,
    "Fn::Or": lambda *conditions: any(conditions),
}


def evaluate(expression, values):
    if not isinstance(expression, dict):
        return expression
    ((function, argument),) = expression.items()
    if function == "Ref":
        return values[argument]
    return RULE_FUNCTIONS[function](*(evaluate(part, values) for part in argument))


def refusals(given):
    """The texts of the assertions that stop a deployment with these parameters."""
    values = {name: given.get(name, parameter["Default"]) for name, parameter in PARAMETERS.items()}
    lists = [name for name, parameter in PARAMETERS.items() if parameter["Type"] == "CommaDelimitedList"]
    values |= {name: values[name].split(",") for name in lists}
    return [
        assertion["AssertDescription"]
        for rule in TEMPLATE["Rules"].values()
        if evaluate(rule.get("RuleCondition", True), values)
        for assertion in rule["Assertions"]
        if not evaluate(assertion["Assert"], values)
    ]


@pytest.mark.parametrize("buckets", ["one-bucket", "one-bucket,another-bucket"])
def test_a_bucket_without_a_rule_is_refused(buckets):
    (text,) = refusals({"RecordingBuckets": buckets})
    assert "KeepRenditions or DeleteRenditions is required" in text


@pytest.mark.parametrize("buckets", ["one-bucket,,another-bucket", "one-bucket,", ",one-bucket"])
def test_an_empty_part_between_buckets_is_refused(buckets):
    (text,) = refusals({"RecordingBuckets": buckets, "KeepRenditions": "highest"})
    assert "empty part" in text


def test_both_rules_are_refused():
    (text,) = refusals({"RecordingBuckets": "b-1", "KeepRenditions": "highest", "DeleteRenditions": "lowest"})
    assert "not both" in text


@pytest.mark.parametrize("rule", [{"KeepRenditions": "highest"}, {"DeleteRenditions": "<=480p"}])
def test_exactly_one_rule_is_accepted(rule):
    assert refusals({"RecordingBuckets": "one-bucket"} | rule) == []


@pytest.mark.parametrize("rules", [{}, {"KeepRenditions": "highest", "DeleteRenditions": "lowest"}])
def test_without_a_bucket_the_rules_do_not_matter(rules):
    assert refusals(rules) == []


@pytest.mark.parametrize("parameter", ["KeepRenditions", "DeleteRenditions"])
@pytest.mark.parametrize(
    "rule",
    [
        "",
        "highest",
        "lowest",
        "160p30",
        "720p60",
        "720p30-abc123",
        "high",
        "<=480p",
        ">=720p",
        "<480p",
        ">720p",
        "highest,160p30",
        "lowest, <=480p",
    ],
)
def test_a_rule_of_the_grammar_is_accepted(parameter, rule):
    assert re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], rule)


@pytest.mark.parametrize("parameter", ["KeepRenditions", "DeleteRenditions"])
@pytest.mark.parametrize(
    "rule",
    [
        " ",
        ",",
        "highest,",
        ",highest",
        "highest,,lowest",
        "highest lowest",
        "highest;lowest",
        "=480p",
        "==480p",
        "<>480p",
        "<=480",
        "<= 480p",
        "<=0p",
        "<=999999p",
        ">=p",
        "*",
        "720*",
        "../720p60",
        "media/hls/720p60",
        "-720p",
    ],
)
def test_any_other_rule_is_refused(parameter, rule):
    assert not re.fullmatch(PARAMETERS[parameter]["AllowedPattern"], rule)


@pytest.mark.parametrize("bucket", ["", "abc", "r2s3-dev-channel-1-recordings", "a.bucket.with.dots", "b" * 63])
def test_a_bucket_name_is_accepted(bucket):
    assert re.fullmatch(PARAMETERS["RecordingBuckets"]["AllowedPattern"], bucket)


@pytest.mark.parametrize(
    "bucket",
    ["*", "b-*", "b?cket", "bucket/folder", "${aws:username}", "arn:aws:s3:::b", "ab", "Bucket", "-abc", "b" * 64],
)
def test_nothing_that_could_widen_the_permissions_is_a_bucket_name(bucket):
    assert not re.fullmatch(PARAMETERS["RecordingBuckets"]["AllowedPattern"], bucket)


@pytest.mark.parametrize("pair", [stack.PAIR, stack.PAIR_OTHERWISE], ids=["a pair", "a pair otherwise"])
def test_a_whole_pair_is_accepted(pair):
    assert refusals(pair) == []
    assert_each_value_is_accepted(pair)


def assert_each_value_is_accepted(parameters):
    for name, value in parameters.items():
        values = value.split(",") if PARAMETERS[name]["Type"] == "CommaDelimitedList" else [value]
        for each in values:
            assert re.fullmatch(PARAMETERS[name].get("AllowedPattern", ".*"), each), name
            assert each in PARAMETERS[name].get("AllowedValues", [each]), name
            if PARAMETERS[name]["Type"] == "Number":
                limits = PARAMETERS[name]
                assert limits.get("MinValue", 0) <= int(each) <= limits.get("MaxValue", int(each)), name


@pytest.mark.parametrize("missing", [name for name in stack.PAIR if name != "Pair"])
def test_a_pair_with_a_gap_is_refused(missing):
    (text,) = refusals({name: value for name, value in stack.PAIR.items() if name != missing})
    assert text == f"Pair is set, so {missing} is required."


def test_the_same_pipeline_twice_is_refused_and_two_pipelines_of_a_channel_are_not():
    one_channel = stack.PAIR | {"SideBChannelArn": stack.PAIR["SideAChannelArn"]}
    (text,) = refusals(one_channel)
    assert "the same pipeline of the same channel" in text
    assert refusals(one_channel | {"SideBPipeline": "1"}) == []


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"SideBEndpoint": "show-a"}, "the same endpoint"),
        ({"SideAAlarm": "lost", "SideBAlarm": "lost"}, "the same alarm"),
        ({"Cut": "none", "Steering": "off"}, "no viewer would be moved"),
        ({"EndpointRoleArns": "arn:aws:iam::123456789012:role/a,"}, "empty part"),
    ],
)
def test_a_pair_that_could_not_fail_over_is_refused(change, refusal):
    (text,) = refusals(stack.PAIR | change)
    assert refusal in text


@pytest.mark.parametrize(
    "change", [{"SideAAlarm": "lost"}, {"SideBAlarm": "lost"}, {"Cut": "none"}, {"Steering": "off"}, {"Cut": "deny"}]
)
def test_any_other_choice_for_a_pair_is_accepted(change):
    assert refusals(stack.PAIR | change) == []


def test_without_a_name_nothing_else_of_a_pair_matters():
    one_of_everything = stack.PAIR_OTHERWISE | {"SideBEndpoint": "first", "Cut": "none"}
    assert refusals({name: value for name, value in one_of_everything.items() if name != "Pair"}) == []


@pytest.mark.parametrize("live", [stack.LIVE, stack.LIVE_KEPT], ids=["leftovers go", "everything stays"])
def test_a_folder_for_live_streams_is_all_that_they_need(live):
    assert refusals(live) == []


def test_the_folder_of_the_players_page_is_not_for_streams():
    (text,) = refusals({"LivePrefix": "player"})
    assert "Choose another folder" in text
    assert refusals({"LivePrefix": "players"}) == []


@pytest.mark.parametrize("fleet", [stack.FLEET, stack.FLEET_OTHERWISE, stack.WEB, stack.WEB_OTHERWISE])
def test_a_whole_fleet_is_accepted(fleet):
    assert refusals(fleet) == []
    assert_each_value_is_accepted(fleet)


@pytest.mark.parametrize("missing", ["WebVpc", "WebOrigin"])
def test_web_servers_with_a_gap_are_refused(missing):
    (text,) = refusals({name: value for name, value in stack.WEB.items() if name != missing})
    assert text == f"WebSubnets is set, so {missing} is required."


@pytest.mark.parametrize("change", [{"CheckMode": "true"}, {"PassRule": "changed=0"}, {"DryRun": "true"}])
def test_web_servers_of_which_none_would_ever_serve_are_refused(change):
    (text,) = refusals(stack.WEB | change)
    assert "would ever serve" in text
    assert refusals(stack.FLEET | change) == []


def test_a_group_that_there_is_and_one_of_the_stacks_own_are_one_too_many():
    (text,) = refusals(stack.FLEET | stack.WEB)
    assert "not both" in text


def test_without_subnets_nothing_else_of_the_web_servers_matters():
    assert refusals({name: value for name, value in stack.WEB_OTHERWISE.items() if name != "WebSubnets"}) == []


@pytest.mark.parametrize("count", [stack.COUNT, stack.COUNT_GROUP, stack.COUNT_OTHERWISE])
def test_each_source_of_access_logs_is_accepted(count):
    assert refusals(count) == []
    assert_each_value_is_accepted(count)


def test_who_believes_a_header_says_of_whom():
    (text,) = refusals(stack.COUNT | {"ViewerKey": "x-forwarded-for"})
    assert "TrustedProxies is required" in text
    assert refusals(stack.COUNT | {"ViewerKey": "x-forwarded-for", "TrustedProxies": "10.0.0.0/8"}) == []


@pytest.mark.parametrize(
    ("parameter", "member", "others"),
    [
        ("WebSubnets", "subnet-0a1b2c3d", stack.WEB),
        ("WebLoadBalancerSubnets", "subnet-0a1b2c3d", stack.WEB),
        ("AccessLogBuckets", "some-logs", {}),
        ("TrustedProxies", "10.0.0.0/8", stack.COUNT),
        ("StreamPath", "/{stream}/*", stack.COUNT),
    ],
)
def test_an_empty_part_of_a_list_is_refused(parameter, member, others):
    for value in (f"{member},", f",{member}", f"{member},,{member}"):
        (text,) = refusals(others | {parameter: value})
        assert text == f"{parameter} has an empty part between two commas, or at an end."


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        (
            "AutoScalingGroup",
            ["", "web", "Web_Servers-2", "a/b", "x" * 255],
            ["*", "web*", "we?", "${aws:username}", "a b", "a:b", "-web", "x" * 256, '"', "l\u00f6st"],
        ),
        (
            "PlaybookFile",
            ["web.yml", "site/web.yaml", "a-b/c_d.e.yml"],
            ["", "web", "../web.yml", "a/../web.yml", "/web.yml", "-i.yml", "a//b.yml", "a b.yml", "a;b.yml", "$(x).yml"],
        ),
        (
            "ExtraVariables",
            ["", "a=1", "web_port=8080 web_origin=cdn.example.com/live", "_a=x,y"],
            ["a", "a=", "=1", "a=1  b=2", "a=1 ", "a='1 2'", 'a="', "a=$(id)", "a=`id`", "a=1;id", "a=1&b", "a=1|b"]
            + ["a={{ b }}", "a=1\nb=2", "a=https://x", "1a=2", "@file", "a-b=1", "a=(1)", "a=\\x", "a=*"],
        ),
        (
            "LogDirectory",
            ["/var/log/nginx", "/log", "/var/log/nginx-1.2_x"],
            ["", "/", "var/log", "/var/log/", "/var/../etc", "/var//log", "/a b", "/a'b", "/a$b", "/a;b", "/-a", "/a\nb"],
        ),
        ("WebSubnets", ["", "subnet-0a1b2c3d", "subnet-0a1b2c3d4e5f60718"], ["subnet", "subnet-", "vpc-0a1b2c3d", "*"]),
        ("WebVpc", ["", "vpc-0a1b2c3d4e5f60718"], ["vpc-", "subnet-0a1b2c3d", "default", "*"]),
        (
            "WebOrigin",
            ["", "https://d1.cloudfront.net", "https://d1.cloudfront.net/live", "https://cdn.example.com/a/b_c"],
            ["http://d1.cloudfront.net", "d1.cloudfront.net", "https://d1/", "https://d1:8443/live", "https://d1/live/"]
            + ["https://d1/a?b", "https://d1/$x", "https://d1/a;b", "https://d1/a b", "https://u@d1/", "https://d1/{a}"],
        ),
        ("WebClientCidr", ["10.0.0.0/8", "0.0.0.0/0", "192.168.1.7/32"], ["", "10.0.0.0", "10.0.0.0/33", "::/0", "any"]),
        ("WebInstanceType", ["", "c7g.large", "m7i-flex.xlarge", "u-6tb1.metal"], ["c7g", "c7g.", ".large", "C7G.large"]),
        (
            "AccessLogGroup",
            ["", "/nginx/access", "web.access-1_x"],
            ["*", "/nginx/*", "a b", "a:b", "$x", "x" * 513],
        ),
        ("TrustedProxies", ["", "10.0.0.0/8", "2001:db8::/32"], ["10.0.0.1", "any", "10.0.0.0/8 ", "*"]),
        (
            "StreamPath",
            ["", "/live/{stream}/*", "/{stream}.m3u8"],
            ["/live/*", "{stream}.m3u8", "/{streams}/", "/{stream}/{stream}/", "/{stream}/(x)", "/{stream} "],
        ),
    ],
)
def test_of_a_fleet_and_of_access_logs_only_what_can_be_meant_is_accepted(parameter, accepted, refused):
    pattern = PARAMETERS[parameter]["AllowedPattern"]
    assert [value for value in accepted if not re.fullmatch(pattern, value)] == []
    assert [value for value in refused if re.fullmatch(pattern, value)] == []


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        ("Bucket", ["abc", "on-air-fleetbucket-1a2b"], ["", "Abc", "a'b", "a b", "$(id)", "a;id", "a\nb"]),
        (
            "Prefix",
            ["logs/i-0a1b2c3d4e5f60718/20261121T211340Z", "logs/i-0a1b2c3d/20261121T211340Z"],
            ["", "logs/i-0a1b2c3d/", "logs/../i-0a1b2c3d/20261121T211340Z", "logs/i-xyz/20261121T211340Z"]
            + ["ansible/web.yml", "logs/i-0a1b2c3d/20261121T211340Z'", "logs/i-0a1b2c3d/$(id)", "logs/i-0a1b2c3d/x y"],
        ),
        ("Directory", ["/var/log/nginx"], ["", "/", "var", "/var/../etc", "/a'b", "/a b", "/$(id)", "/a;id", "/a\nb"]),
    ],
)
def test_the_document_that_saves_logs_takes_nothing_that_a_shell_would_read(parameter, accepted, refused):
    described = TEMPLATE["Resources"]["FleetLogDocument"]["Properties"]["Content"]["parameters"]
    assert set(described) == {"Bucket", "Prefix", "Directory"}
    pattern = described[parameter]["allowedPattern"]
    assert pattern.startswith("^") and pattern.endswith("$")
    assert [value for value in accepted if not re.fullmatch(pattern, value)] == []
    assert [value for value in refused if re.fullmatch(pattern, value)] == []


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        ("LivePrefix", ["", "live", "tv-2026", "x" * 63], ["-a", "Live", "a/b", "a/", "a.b", "x" * 64, "*", "a*", "$a"]),
        ("Pair", ["", "show", "a", "2026-final", "x" * 63], ["-show", "Show", "a/b", "a.b", "x" * 64, "*", "a b"]),
        (
            "Side?ChannelArn",
            ["", "arn:aws:medialive:eu-central-1:111122223333:channel:1234567"],
            [
                "123456",
                "arn:aws:medialive:us-west-2:111122223333:channel:*",
                "arn:aws:medialive:us-west-2:111122223333:input:123456",
                "arn:aws:medialive:us-west-2:1:channel:123456",
                "arn:aws:medialive:us-west-2:111122223333:channel:123456 ",
            ],
        ),
        ("Side?Endpoint", ["", "show-a", "Show_A-1"], ["a/b", "a b", "*", "https://abc.mediapackage.us-west-2", "a.b"]),
        (
            "Side?BaseUrl",
            ["", "https://cdn.example.com", "https://cdn.example.com:8443/live/a/", "https://d1.cloudfront.net/a%20b"],
            [
                "http://cdn.example.com",
                "cdn.example.com",
                "https://",
                "https://cdn.example.com/?x=1",
                "https://cdn.example.com/#x",
                "https://cdn example.com/",
                "https://user@cdn.example.com/",
            ],
        ),
        (
            "Side?Alarm",
            ["", "lost", "Side A, lost (main)", "x" * 255],
            [" lost", "lost ", "x" * 256, "l\u00f6st", "a\nb"],
        ),
        ("AlertTypes", ["Video Not Detected", "RTMP Has No Audio/Video"], ["", " Video", "a*b", '"', "{", "x" * 101]),
        (
            "EndpointRoleArns",
            ["", "arn:aws:iam::123456789012:role/speke", "arn:aws:iam::123456789012:role/path/SPEKE_role-1"],
            [
                "speke",
                "*",
                "arn:aws:iam::123456789012:role/*",
                "arn:aws:iam::123456789012:user/x",
                "arn:aws:iam::1:role/x",
            ],
        ),
    ],
)
def test_of_a_pair_and_of_live_streams_only_what_can_be_meant_is_accepted(parameter, accepted, refused):
    for name in {parameter.replace("?", side) for side in "AB"}:
        pattern = PARAMETERS[name]["AllowedPattern"]
        assert [value for value in accepted if not re.fullmatch(pattern, value)] == []
        assert [value for value in refused if re.fullmatch(pattern, value)] == []


def test_the_alerts_that_mean_a_lost_input_are_worded_as_medialive_words_them():
    # https://docs.aws.amazon.com/medialive/latest/ug/monitor-activity-types-alerts-channels.html
    assert PARAMETERS["AlertTypes"]["Default"].split(",") == [
        "Video Not Detected",  # 5201
        "Stopped Receiving UDP Input",  # 5302
        "RTMP Has No Audio/Video",  # 5307
        "RTMP Stream Not Found",  # 5305
        "RTMP Server Disconnected",  # 5308
    ]


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_described_and_has_a_default_a_label_and_one_group(name):
    shown = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    assert PARAMETERS[name]["Description"].endswith(".")
    assert "Default" in PARAMETERS[name]
    assert shown["ParameterLabels"][name]["default"]
    assert [name in group["Parameters"] for group in shown["ParameterGroups"]].count(True) == 1


# What only the template needs to know: it changes permissions, and no decision.
FOR_IAM_ONLY = ["EndpointRoleArns", "OnlyTaggedEndpoints"]
# What only CloudFormation needs to know, or the rules.
FOR_THE_TEMPLATE_ONLY = ["HookTimeoutSeconds", "AccessLogBuckets", "AccessLogGroup"]
GROUPS = {
    group["Label"]["default"].split(":")[0]: group["Parameters"]
    for group in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
}


@pytest.mark.parametrize(
    ("group", "function", "made_by_the_template"),
    [
        ("prune-recording", "PruneRecordingFunction", []),
        ("publish-playlist, fail-over, fail-back", "PublishPlaylistFunction", ["CONTROL_BUCKET", "PUBLIC_BUCKET"]),
        ("publish-playlist, fail-over, fail-back", "FailOverFunction", ["CONTROL_BUCKET", "PUBLIC_BUCKET"]),
        ("publish-playlist, fail-over, fail-back", "FailBackFunction", ["CONTROL_BUCKET", "PUBLIC_BUCKET"]),
        (
            "complete-lifecycle",
            "CompleteLifecycleFunction",
            ["LAUNCH_HOOK", "TERMINATE_HOOK", "PLAYBOOK_BUCKET", "LOG_BUCKET", "LOG_DOCUMENT"],
        ),
        ("count-viewers", "CountViewersFunction", ["STATE_BUCKET", "VIEWER_SECRET"]),
    ],
)
def test_a_functions_settings_are_its_parameters_names_in_upper_snake_case(group, function, made_by_the_template):
    variables = TEMPLATE["Resources"][function]["Properties"]["Environment"]["Variables"]
    named = [name for name in variables if name not in made_by_the_template]
    assert set(made_by_the_template) <= set(variables)
    parameters = [name for name in GROUPS[group] if name not in FOR_IAM_ONLY + FOR_THE_TEMPLATE_ONLY]
    # Common to all jobs.
    parameters.append("DryRun")
    assert "DryRun" in GROUPS["All jobs"]
    assert named == [stack.snake(name) for name in parameters]


def test_the_three_functions_of_a_pair_get_the_same_settings():
    one, two, three = (
        TEMPLATE["Resources"][f"{name}Function"]["Properties"]["Environment"]
        for name in ("PublishPlaylist", "FailOver", "FailBack")
    )
    assert one == two == three
