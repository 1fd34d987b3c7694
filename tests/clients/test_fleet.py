"""Tests the stand-in's Auto Scaling and Systems Manager with an independent client; and the function
with an independent Systems Manager."""

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from conftest import ROOT

sys.path.append(str(ROOT / "tests" / "template"))
import moto_server  # noqa: E402

INSTANCE = "i-1234567890abcdef0"
PLAYBOOKS = "AWS-ApplyAnsiblePlaybooks"
HOOK = {"AutoScalingGroupName": "web", "LifecycleHookName": "onair-launch", "InstanceId": INSTANCE}


@pytest.fixture
def autoscaling(stand_in):
    return stand_in.client("autoscaling")


@pytest.fixture
def ssm(stand_in):
    return stand_in.client("ssm")


def refused(call, **arguments):
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    return refusal.value.response["Error"]


def logs(ssm, comment="onair terminate", **more):
    parameters = {"Bucket": ["a-bucket"], "Prefix": ["logs/a"], "Directory": ["/var/log/nginx"]}
    order = {"DocumentName": "onair-logs", "InstanceIds": [INSTANCE], "Parameters": parameters, "Comment": comment}
    return ssm.send_command(**order | more)["Command"]


def test_an_instance_waits_for_its_hook_until_it_is_completed(stand_in, autoscaling):
    stand_in.do("launch", INSTANCE)
    [group] = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"]
    [listed] = group["Instances"]
    [alone] = autoscaling.describe_auto_scaling_instances(InstanceIds=[INSTANCE])["AutoScalingInstances"]
    for found in (listed, alone):
        assert (found["InstanceId"], found["LifecycleState"]) == (INSTANCE, "Pending:Wait")
    assert alone["AutoScalingGroupName"] == "web" and "WarmPoolConfiguration" not in group
    [activity] = autoscaling.describe_scaling_activities(AutoScalingGroupName="web")["Activities"]
    assert activity["Description"] == f"Launching a new EC2 instance: {INSTANCE}"
    assert activity["StatusCode"] == "MidLifecycleAction" and "EndTime" not in activity
    assert timedelta() < datetime.now(timezone.utc) - activity["StartTime"] < timedelta(hours=2)

    autoscaling.record_lifecycle_action_heartbeat(**HOOK)
    other = HOOK | {"LifecycleHookName": "onair-terminate"}
    assert refused(autoscaling.record_lifecycle_action_heartbeat, **other)["Code"] == "ValidationError"
    autoscaling.complete_lifecycle_action(LifecycleActionResult="CONTINUE", **HOOK)
    over = refused(autoscaling.complete_lifecycle_action, LifecycleActionResult="CONTINUE", **HOOK)
    message = f"No active Lifecycle Action found with instance ID {INSTANCE}"
    assert (over["Code"], over["Message"], over["Type"]) == ("ValidationError", message, "Sender")
    [alone] = autoscaling.describe_auto_scaling_instances(InstanceIds=[INSTANCE])["AutoScalingInstances"]
    assert alone["LifecycleState"] == "InService"


def test_lists_come_in_pages_and_of_activities_the_newest_first(stand_in, autoscaling):
    instances = [f"i-{number:017x}" for number in range(7)]
    for instance in instances:
        stand_in.do("launch_into_warm_pool", instance)
    [group] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert group["Instances"] == [] and group["WarmPoolConfiguration"]["PoolState"] == "Stopped"
    pages = autoscaling.get_paginator("describe_warm_pool").paginate(
        AutoScalingGroupName="web", PaginationConfig={"PageSize": 3}
    )
    found = [[instance["InstanceId"] for instance in page["Instances"]] for page in pages]
    assert [len(page) for page in found] == [3, 3, 1] and sum(found, []) == instances
    pages = autoscaling.get_paginator("describe_scaling_activities").paginate(
        AutoScalingGroupName="web", PaginationConfig={"PageSize": 4}
    )
    activities = [activity for page in pages for activity in page["Activities"]]
    assert [a["Description"].split()[-1] for a in activities] == instances[::-1]
    starts = [activity["StartTime"] for activity in activities]
    assert starts == sorted(starts, reverse=True) and len(set(starts)) == 7
    assert refused(autoscaling.describe_warm_pool, AutoScalingGroupName="none")["Code"] == "ValidationError"


def test_a_command_is_sent_listed_run_and_looked_at(stand_in, ssm):
    began = datetime.now(timezone.utc) - timedelta(seconds=2)
    assert refused(logs, ssm=ssm)["Code"] == "InvalidInstanceId"
    stand_in.do("register", INSTANCE)
    command = logs(ssm)
    assert (command["Status"], command["Comment"], command["InstanceIds"]) == ("Pending", "onair terminate", [INSTANCE])
    assert abs(command["RequestedDateTime"] - datetime.now(timezone.utc)) < timedelta(minutes=1)

    def listed(**filters):
        filters = [{"key": key, "value": value} for key, value in filters.items()]
        return [found["CommandId"] for found in ssm.list_commands(Filters=filters)["Commands"]]

    iso = "%Y-%m-%dT%H:%M:%SZ"
    assert listed(DocumentName="onair-logs", InvokedAfter=began.strftime(iso)) == [command["CommandId"]]
    assert listed(InvokedAfter=(began + timedelta(hours=1)).strftime(iso)) == listed(DocumentName=PLAYBOOKS) == []
    # The command is pending, so it cannot be found by its instance.
    assert ssm.list_commands(InstanceId=INSTANCE)["Commands"] == []
    stand_in.do("run", "Success", "x" * 30_000)
    assert len(ssm.list_commands(InstanceId=INSTANCE)["Commands"]) == 1
    which = {"CommandId": command["CommandId"], "InstanceId": INSTANCE}
    result = ssm.get_command_invocation(**which)
    assert (result["Status"], result["StatusDetails"], result["ResponseCode"]) == ("Success", "Success", 0)
    assert len(result["StandardOutputContent"]) == 24_000
    assert result["StandardOutputContent"].endswith("--output truncated--")
    assert refused(ssm.get_command_invocation, PluginName="other", **which)["Code"] == "InvalidPluginName"
    elsewhere = which | {"InstanceId": "i-00000000"}
    assert refused(ssm.get_command_invocation, **elsewhere)["Code"] == "InvocationDoesNotExist"


def test_a_document_of_several_steps_wants_to_know_which(stand_in, ssm):
    stand_in.do("register", INSTANCE)
    parameters = {"PlaybookFile": ["web.yml"], "SourceType": ["S3"], "ExtraVariables": ["a=b"]}
    order = {"DocumentName": PLAYBOOKS, "InstanceIds": [INSTANCE], "Parameters": parameters}
    stand_in.do("hide_results", 1)
    command = ssm.send_command(**order)["Command"]
    which = {"CommandId": command["CommandId"], "InstanceId": INSTANCE, "PluginName": "runShellScript"}
    assert refused(ssm.get_command_invocation, **which)["Code"] == "InvocationDoesNotExist"
    stand_in.do("hide_results", 0)
    stand_in.do("run", "Failed", "PLAY RECAP")
    assert ssm.get_command_invocation(**which)["StandardOutputContent"] == "PLAY RECAP"
    assert ssm.get_command_invocation(**which | {"PluginName": "downloadContent"})["StandardOutputContent"] == ""
    del which["PluginName"]
    assert refused(ssm.get_command_invocation, **which)["Code"] == "InvalidPluginName"
    for wrong in ({"ExtraVariables": ["a=b:c"]}, {"PlaybookFile": ["web.sh"]}, {"Unknown": ["x"]}):
        refusal = refused(ssm.send_command, **order | {"Parameters": parameters | wrong})
        assert refusal["Code"] == "InvalidParameters", wrong
    assert refused(ssm.send_command, **order | {"DocumentName": "gone"})["Code"] == "InvalidDocument"
    assert refused(ssm.send_command, **order | {"TimeoutSeconds": 30, "Comment": "x" * 100, "InstanceIds": []})


def test_commands_come_in_pages_the_newest_first(stand_in, ssm):
    stand_in.do("register", INSTANCE)
    sent = [logs(ssm, str(number))["CommandId"] for number in range(5)]
    pages = ssm.get_paginator("list_commands").paginate(PaginationConfig={"PageSize": 2})
    found = [[command["CommandId"] for command in page["Commands"]] for page in pages]
    assert [len(page) for page in found] == [2, 2, 1] and sum(found, []) == sent[::-1]


def test_faults_strike_in_the_services_own_words(stand_in, autoscaling, ssm):
    stand_in.do("reset_calls")
    stand_in.do("fault", 0, 429)
    stand_in.do("fault", 1, 429)
    assert refused(autoscaling.describe_auto_scaling_groups)["Code"] == "Throttling"
    assert refused(ssm.list_commands)["Code"] == "ThrottlingException"
    assert stand_in.do("calls") == [["autoscaling", "DescribeAutoScalingGroups", ""], ["ssm", "ListCommands", ""]]


def test_moto_understands_what_the_function_asks_of_systems_manager():
    with moto_server.running() as endpoint:
        command = ["cargo", "test", "--quiet", "--package", "complete-lifecycle", "--package", "stories"]
        command += ["--test", "start", "--test", "stories", "complete_lifecycle::any_ssm"]
        environment = os.environ | {"ONAIR_SSM_ENDPOINT": endpoint}
        told = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert told.returncode == 0 and "2 passed" in told.stdout, told.stdout
