"""Every statement that allows something names its actions: roles, policies of buckets, queues and endpoints. Promise P29."""

import json

import pytest
import stack

# Under these keys a statement allows everything but what it names.
EXCLUDING = ("NotAction", "NotResource", "NotPrincipal")


def dicts(value):
    """Every mapping in a part of a template. A policy may also be the text of a JSON document."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from dicts(entry)


def texts(value):
    """Every text in a part of a template, including the texts that an intrinsic function selects or joins."""
    if isinstance(value, str):
        return [value]
    entries = value.values() if isinstance(value, dict) else value
    return [text for entry in entries for text in texts(entry)]


def allowing(template):
    """Statements that allow something. An effect that an intrinsic function decides may be Allow."""
    return [each for each in dicts(template) if each.get("Effect", "Deny") != "Deny"]


def breaches(template):
    """What the statements of a template allow without naming it."""
    wrong = []
    for statement in allowing(template):
        wrong += [f"{key} allows everything else: {statement}" for key in EXCLUDING if key in statement]
        wrong += [
            f"name the actions instead of {action}: {statement}"
            for action in texts(statement.get("Action", []))
            if "*" in action or "?" in action
        ]
    return wrong


@pytest.mark.parametrize("parameters", [None, stack.OFF, *stack.ALL], ids=["as written", "off", "plain", "rich"])
def test_no_statement_of_the_template_allows_an_action_by_a_wildcard(parameters):
    template = stack.template() if parameters is None else stack.translate(parameters)
    # The roles of the functions alone have more.
    assert len(allowing(template)) > 50
    assert breaches(template) == []


MADE_UP = {
    "a plain key": "{Effect: Allow, Action: s3:*}",
    "a quoted key": '{"Effect": "Allow", "Action": "s3:*"}',
    "the effect last": "Action: ['*']\nEffect: Allow",
    "lines of a list": "Effect: Allow\nAction:\n  - s3:PutObject\n  - s3:Get*",
    "a list in one line": "{Effect: Allow, Action: [s3:PutObject, s3:Get*]}",
    "one unknown letter": "{Effect: Allow, Action: 's3:GetObjec?'}",
    "a choice": "{Effect: Allow, Action: !If [Purges, s3:Delete*, s3:DeleteObject]}",
    "a substitution": "{Effect: Allow, Action: [!Sub 's3:*']}",
    "a chosen effect": "{Effect: !If [Denies, Deny, Allow], Action: s3:*}",
    "every action but one": "{Effect: Allow, NotAction: s3:DeleteObject, Resource: '*'}",
    "every resource but one": "{Effect: Allow, Action: s3:GetObject, NotResource: 'arn:aws:s3:::a'}",
    "everybody but one": "{Effect: Allow, Action: s3:GetObject, NotPrincipal: {AWS: '111122223333'}}",
}
TYPES = ["AWS::IAM::Policy", "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::EC2::VPCEndpoint"]


def with_policy(kind, document):
    return {"Resources": {"Policy": {"Type": kind, "Properties": {"PolicyDocument": document}}}}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("statement", MADE_UP.values(), ids=MADE_UP)
def test_a_wildcard_is_seen_however_it_is_written(statement, kind):
    statement = stack.yaml_parse(statement)
    one, listed = ({"Statement": written} for written in (statement, [statement]))
    as_text = json.dumps(listed)
    assert [len(breaches(with_policy(kind, document))) for document in (one, listed, as_text)] == [1, 1, 1]


def test_a_policy_that_sam_writes_is_seen():
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "CodeUri": "s3://code/function.zip",
            "Policies": [{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}],
        },
    }
    source = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Function": function}}
    assert len(breaches(stack.translated(source, {}))) == 1


def test_what_is_denied_may_be_everything():
    denied = stack.yaml_parse("{Effect: Deny, Principal: '*', Action: s3:*, NotResource: 'arn:aws:s3:::a'}")
    named = stack.yaml_parse("{Effect: Allow, Action: s3:GetObject, Resource: 'arn:aws:s3:::a/*'}")
    assert breaches(with_policy("AWS::S3::BucketPolicy", {"Statement": [denied, named]})) == []
