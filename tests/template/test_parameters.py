"""What a person is asked for, what is refused before anything is created, and what reaches the functions.
Promises P31, P62 and P90."""

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
    assert "set KeepRenditions or DeleteRenditions too" in text


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
    for name, value in pair.items():
        values = value.split(",") if PARAMETERS[name]["Type"] == "CommaDelimitedList" else [value]
        for each in values:
            assert re.fullmatch(PARAMETERS[name].get("AllowedPattern", ".*"), each), name
            assert each in PARAMETERS[name].get("AllowedValues", [each]), name


@pytest.mark.parametrize("missing", [name for name in stack.PAIR if name != "Pair"])
def test_a_pair_with_a_gap_is_refused(missing):
    (text,) = refusals({name: value for name, value in stack.PAIR.items() if name != missing})
    assert text == f"Pair is set, so set {missing} too."


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
        ({"Cut": "none", "Steering": "off"}, "nothing would move a viewer"),
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
    ],
)
def test_a_functions_settings_are_its_parameters_names_in_upper_snake_case(group, function, made_by_the_template):
    variables = TEMPLATE["Resources"][function]["Properties"]["Environment"]["Variables"]
    named = [name for name in variables if name not in made_by_the_template]
    assert set(made_by_the_template) <= set(variables)
    parameters = [name for name in GROUPS[group] if name not in FOR_IAM_ONLY]
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
