"""Which event of Auto Scaling, Systems Manager and S3 reaches which function: AWS's own examples against the deployed rules'
patterns. Promises P110 and P117."""

import copy

import moto
import pytest
import stack
from test_events import NONE, matcher

# https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
LAUNCH = {
    "source": "aws.autoscaling",
    "detail-type": "EC2 Instance-launch Lifecycle Action",
    "account": "123456789012",
    "region": stack.REGION,
    "detail": {
        "LifecycleActionToken": "87654321-4321-4321-4321-210987654321",
        "AutoScalingGroupName": "my-asg",
        "LifecycleHookName": "onair-launch",
        "EC2InstanceId": "i-1234567890abcdef0",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "Origin": "EC2",
        "Destination": "AutoScalingGroup",
    },
}
TERMINATE = LAUNCH | {
    "detail-type": "EC2 Instance-terminate Lifecycle Action",
    "detail": LAUNCH["detail"]
    | {"LifecycleHookName": "onair-terminate", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"},
}
# https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-systems-manager-event-examples.html
COMMAND = {
    "source": "aws.ssm",
    "detail-type": "EC2 Command Invocation Status-change Notification",
    "account": "123456789012",
    "region": stack.REGION,
    "detail": {
        "command-id": "e8d3c0e4-71f7-4491-898f-c9b35bee5f3b",
        "document-name": "AWS-ApplyAnsiblePlaybooks",
        "instance-id": "i-1234567890abcdef0",
        "requested-date-time": "2026-11-21T21:13:43.049Z",
        "status": "Success",
    },
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
CREATED = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "account": "123456789012",
    "region": stack.REGION,
    "detail": {"bucket": {"name": "cdn-logs"}, "object": {"key": "E1.2026-11-21-21.abcd.gz", "size": 5}, "reason": "PutObject"},
}
BY_LAUNCH = {"CompleteLifecycleFunctionLaunchAction"}
BY_TERMINATE = {"CompleteLifecycleFunctionTerminateAction"}
BY_COMMAND = {"CompleteLifecycleFunctionCommandEnded"}
BY_OBJECT = {"CountViewersObjectRule"}


@pytest.fixture(scope="module")
def matching():
    """The rules of everything together."""
    return matcher(stack.KEEP | stack.PAIR | stack.FLEET | stack.COUNT)


def changed(event, **detail):
    """The same event with other values in its detail."""
    return event | {"detail": event["detail"] | detail}


@pytest.mark.parametrize(
    ("event", "expected"),
    [(LAUNCH, BY_LAUNCH), (TERMINATE, BY_TERMINATE), (COMMAND, BY_COMMAND), (CREATED, BY_OBJECT)],
    ids=["launch", "terminate", "command", "object"],
)
def test_each_event_comes_by_its_rule(matching, event, expected):
    assert matching(event) == expected
    for other in ("aws.ec2", "aws.events", "my.app"):
        assert matching(event | {"source": other}) == NONE


@pytest.mark.parametrize(("event", "expected"), [(LAUNCH, BY_LAUNCH), (TERMINATE, BY_TERMINATE)])
def test_an_instance_on_its_way_into_or_out_of_a_warm_pool_comes_too(matching, event, expected):
    for origin, destination in (("EC2", "WarmPool"), ("WarmPool", "AutoScalingGroup"), ("AutoScalingGroup", "WarmPool")):
        assert matching(changed(event, Origin=origin, Destination=destination)) == expected


@pytest.mark.parametrize("event", [LAUNCH, TERMINATE])
@pytest.mark.parametrize(
    "detail",
    [
        {"AutoScalingGroupName": "another-asg"},
        {"AutoScalingGroupName": "my-asg-2"},
        {"AutoScalingGroupName": "My-asg"},
        {"LifecycleHookName": "my-lifecycle-hook"},
        {"LifecycleHookName": "onair"},
        {"LifecycleHookName": None},
    ],
    ids=str,
)
def test_neither_another_group_nor_another_hook_comes(matching, event, detail):
    assert matching(changed(event, **detail)) == NONE


def test_the_hook_of_one_direction_says_nothing_of_the_other(matching):
    assert matching(changed(LAUNCH, LifecycleHookName="onair-terminate")) == NONE
    assert matching(changed(TERMINATE, LifecycleHookName="onair-launch")) == NONE
    for other in ("EC2 Instance Launch Successful", "EC2 Instance Terminate Unsuccessful"):
        assert matching(LAUNCH | {"detail-type": other}) == NONE


@pytest.mark.parametrize("status", ["InProgress", "Success", "Failed", "TimedOut", "Cancelled", "Delayed"])
def test_a_command_comes_whatever_became_of_it(matching, status):
    assert matching(changed(COMMAND, status=status)) == BY_COMMAND


def test_no_other_command_comes_and_no_sum_of_several(matching):
    for document in ("AWS-RunShellScript", "AWS-ApplyAnsiblePlaybook", "on-air-FleetLogDocument"):
        assert matching(changed(COMMAND, **{"document-name": document})) == NONE
    # It has no instance.
    assert matching(COMMAND | {"detail-type": "EC2 Command Status-change Notification"}) == NONE


def test_our_own_document_comes_under_the_name_that_the_function_is_told():
    with moto.mock_aws():
        client = stack.clients()
        outputs = stack.create(stack.FLEET, client)
        pattern = stack.properties("CompleteLifecycleFunctionCommandEnded")["EventPattern"]
    assert pattern["detail"]["document-name"] == ["AWS-ApplyAnsiblePlaybooks", outputs["FleetLogDocumentName"]]


def test_the_stacks_own_group_comes_and_a_group_of_another_name_does_not():
    matching = matcher(stack.WEB)
    assert matching(changed(LAUNCH, AutoScalingGroupName="on-air-web")) == BY_LAUNCH
    assert matching(LAUNCH) == NONE


def test_a_log_of_another_bucket_does_not_come(matching):
    for name in ("cdn-logs-2", "logs", "", stack.BUCKET):
        event = copy.deepcopy(CREATED)
        event["detail"]["bucket"]["name"] = name
        assert matching(event) == NONE
    assert matching(CREATED | {"detail-type": "Object Deleted"}) == NONE
