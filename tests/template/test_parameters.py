"""What a person is asked for, what is refused before anything is created, and what reaches the function. Promise P31."""

import re

import pytest
import stack

TEMPLATE = stack.template()
PARAMETERS = TEMPLATE["Parameters"]

# What CloudFormation allows in Rules beside Ref, as far as the template uses it; any other function is a KeyError.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-rules.html
RULE_FUNCTIONS = {
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
    values["RecordingBuckets"] = values["RecordingBuckets"].split(",")
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


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_described_and_has_a_default_a_label_and_one_group(name):
    shown = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    assert PARAMETERS[name]["Description"].endswith(".")
    assert "Default" in PARAMETERS[name]
    assert shown["ParameterLabels"][name]["default"]
    assert [name in group["Parameters"] for group in shown["ParameterGroups"]].count(True) == 1


def test_the_functions_settings_are_its_parameters_names_in_upper_snake_case():
    variables = TEMPLATE["Resources"]["PruneRecordingFunction"]["Properties"]["Environment"]["Variables"]
    about_all_jobs, prune_recording = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert list(variables) == [stack.snake(name) for name in prune_recording["Parameters"]]
    assert not set(about_all_jobs["Parameters"]) & set(prune_recording["Parameters"])
