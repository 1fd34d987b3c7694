"""complete-lifecycle, the web servers and count-viewers may do what they do and nothing else; and moto enforces it, as far as it
can. Promises P111, P112 and P117."""

import re

import moto_server
import pytest
import role
import second_opinion
import stack
from botocore.exceptions import ClientError

GROUP = f"arn:aws:autoscaling:{stack.REGION}:123456789012:autoScalingGroup:*:autoScalingGroupName/"
INSTANCES = f"arn:aws:ec2:{stack.REGION}:123456789012:instance/*"
DOCUMENTS = f"arn:aws:ssm:{stack.REGION}"
ALB = "alb/AWSLogs/123456789012/elasticloadbalancing/*"
EVERYTHING = stack.WEB | {"AccessLogBuckets": "cdn-logs,load-balancer-logs"}


def complete_lifecycle(group):
    """Sid -> what it allows, and on what; $F is the fleet's bucket."""
    return {
        "DescribeInstances": ("autoscaling:DescribeAutoScalingInstances", "*"),
        "DescribeGroup": ("autoscaling:DescribeAutoScalingGroups", "*"),
        "DescribeWarmPool": ("autoscaling:DescribeWarmPool", "*"),
        "DescribeActivities": ("autoscaling:DescribeScalingActivities", "*"),
        "CompleteAction": ("autoscaling:CompleteLifecycleAction", GROUP + group),
        "RecordHeartbeat": ("autoscaling:RecordLifecycleActionHeartbeat", GROUP + group),
        "SendPlaybook": ("ssm:SendCommand", f"{DOCUMENTS}::document/AWS-ApplyAnsiblePlaybooks"),
        "SendLogs": ("ssm:SendCommand", f"{DOCUMENTS}:123456789012:document/$D"),
        "SendToInstances": ("ssm:SendCommand", INSTANCES),
        "ListCommands": ("ssm:ListCommands", "*"),
        "ReadResults": ("ssm:GetCommandInvocation", "*"),
        "VerifyLogs": ("s3:GetObject", "$F/logs/*"),
        "FindLogs": ("s3:ListBucket", "$F"),
    }


COUNT_VIEWERS = {
    "ReadAccessLogs": ("s3:GetObject", ["arn:aws:s3:::cdn-logs/*", "arn:aws:s3:::load-balancer-logs/*"]),
    "FindAccessLogs": ("s3:ListBucket", ["arn:aws:s3:::cdn-logs", "arn:aws:s3:::load-balancer-logs"]),
    "ReadLoadBalancerLogs": ("s3:GetObject", f"$F/{ALB}"),
    "FindLoadBalancerLogs": ("s3:ListBucket", "$F"),
    "ReadState": ("s3:GetObject", "$V/viewers/*"),
    "WriteState": ("s3:PutObject", "$V/viewers/*"),
    "FindState": ("s3:ListBucket", "$V"),
}
# What a web server may do in S3. What its agent needs is listed below.
WEB_SERVER = {
    "ReadPlaybook": ("s3:GetObject", "$F/ansible/*"),
    "ListPlaybook": ("s3:ListBucket", "$F"),
    "SaveLogs": ("s3:PutObject", "$F/logs/*"),
}
LAMBDA = ["WriteLogs", "ReportInvocationFailures"]


def shortened(resource):
    if isinstance(resource, list):
        return [shortened(one) for one in resource]
    for short, bucket in (("$F", "fleetbucket"), ("$V", "countviewersbucket")):
        resource = re.sub(rf"arn:aws:s3:::{stack.NAME}-{bucket}-\w+", short, resource)
    # moto makes up a name for a document that has none.
    return re.sub(r"document/[0-9a-f-]{36}$", "document/$D", resource)


def of(parameters, function):
    """Sid -> statement, but for those of Lambda itself."""
    return {s["Sid"]: s for s in role.statements(role.policies(parameters, function)) if s["Sid"] not in LAMBDA}


def granted(statements):
    return {sid: (s["Action"], shortened(s["Resource"])) for sid, s in statements.items()}


@pytest.mark.parametrize(("parameters", "group"), [(stack.FLEET, "my-asg"), (stack.WEB, "on-air-web")])
def test_complete_lifecycle_may_do_exactly_this_with_one_group_and_its_instances(parameters, group):
    statements = of(parameters, "complete-lifecycle")
    assert granted(statements) == complete_lifecycle(group)
    conditions = {sid: s["Condition"] for sid, s in statements.items() if "Condition" in s}
    assert conditions == {"SendToInstances": {"StringEquals": {"aws:ResourceTag/aws:autoscaling:groupName": group}}}


def test_count_viewers_may_read_the_logs_that_were_named_and_keep_its_minutes():
    assert granted(of(EVERYTHING, "count-viewers")) == COUNT_VIEWERS
    assert not [s for s in of(EVERYTHING, "count-viewers").values() if "Condition" in s]
    by_group = {sid: what for sid, what in COUNT_VIEWERS.items() if not sid.endswith("Logs")}
    assert granted(of(stack.COUNT_GROUP, "count-viewers")) == by_group
    assert set(of(stack.COUNT, "count-viewers")) == {*by_group, "ReadAccessLogs", "FindAccessLogs"}
    assert set(of(stack.WEB, "count-viewers")) == {*by_group, "ReadLoadBalancerLogs", "FindLoadBalancerLogs"}


def test_a_web_server_may_fetch_its_playbook_leave_its_logs_and_talk_to_systems_manager():
    statements = of(stack.WEB, "web server")
    agent = {sid: statements.pop(sid) for sid in ("Register", "TakeCommands")}
    assert granted(statements) == WEB_SERVER
    conditions = {sid: s["Condition"] for sid, s in statements.items() if "Condition" in s}
    assert conditions == {"ListPlaybook": {"StringEquals": {"s3:prefix": ["ansible", "ansible/"]}}}
    actions = [action for statement in agent.values() for action in role.actions(statement)]
    # No parameter, no document, no secret of the account, and nothing that could send a command.
    assert not [action for action in actions if "Parameter" in action or "SendCommand" in action or "*" in action]
    assert {action.split(":")[0] for action in actions} == {"ssm", "ssmmessages", "ec2messages"}


@pytest.mark.parametrize("function", ["complete-lifecycle", "count-viewers", "web server"])
def test_every_statement_allows_and_has_a_name_of_its_own(function):
    statements = role.statements(role.policies(EVERYTHING, function))
    assert {s["Effect"] for s in statements} == {"Allow"}
    assert len({s["Sid"] for s in statements}) == len(statements)
    several = {"WriteLogs", "Register", "TakeCommands"}
    assert all(len(role.actions(s)) == 1 for s in statements if s["Sid"] not in several)


def test_the_policy_for_a_group_that_there_is_is_that_of_the_stacks_own_servers():
    policy = stack.template()["Resources"]["FleetInstancePolicy"]
    assert policy["Condition"] == "Fleet"
    assert {s["Sid"] for s in policy["Properties"]["PolicyDocument"]["Statement"]} == set(WEB_SERVER)


@pytest.mark.parametrize(("name", "service"), [("CompleteLifecycle", "lambda"), ("CountViewers", "lambda"), ("WebServer", "ec2")])
def test_only_its_service_hands_a_role_on(name, service):
    trust = stack.template()["Resources"][f"{name}Role"]["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"Service": f"{service}.amazonaws.com"}, "sts:AssumeRole")


# ---- moto enforces it: S3, and what Auto Scaling and Systems Manager are asked. It knows no CompleteLifecycleAction and no
# heartbeat, and of SendCommand the document (moto_gaps.py) but not the instance.

LOG = "logs/i-0a1b2c3d4e5f60718/20261121T211340Z/manifest-0a1b.json"
ALB_LOG = "alb/AWSLogs/123456789012/elasticloadbalancing/us-west-2/2026/11/21/x.log.gz"
MAY = {
    "complete-lifecycle": {
        "read logs",
        "read what is not there",
        "list the fleet's",
        "describe group",
        "describe instances",
        "describe activities",
        "list commands",
        "send the playbook",
        "send for the logs",
    },
    "count-viewers": {
        "read access logs",
        "read access log that is not there",
        "list access logs",
        "read load balancer's",
        "read load balancer's that is not there",
        "list the fleet's",
        "read minute",
        "write minute",
        "read minute that is not there",
        "list minutes",
    },
    # Its ListBucket has a condition, of which moto knows nothing (moto_gaps.py).
    "web server": {"read playbook", "write logs"},
}
NEEDED_FOR = {
    "complete-lifecycle": {
        "VerifyLogs": {"read logs", "read what is not there"},
        "FindLogs": {"read what is not there", "list the fleet's"},
        "DescribeGroup": {"describe group"},
        "DescribeInstances": {"describe instances"},
        "DescribeActivities": {"describe activities"},
        "ListCommands": {"list commands"},
        "SendPlaybook": {"send the playbook"},
        "SendLogs": {"send for the logs"},
    },
    "count-viewers": {
        "ReadAccessLogs": {"read access logs", "read access log that is not there"},
        "FindAccessLogs": {"read access log that is not there", "list access logs"},
        "ReadLoadBalancerLogs": {"read load balancer's", "read load balancer's that is not there"},
        "FindLoadBalancerLogs": {"read load balancer's that is not there", "list the fleet's"},
        "ReadState": {"read minute", "read minute that is not there"},
        "WriteState": {"write minute"},
        "FindState": {"read minute that is not there", "list minutes"},
    },
    "web server": {"ReadPlaybook": {"read playbook"}, "SaveLogs": {"write logs"}},
}


class Enforced:
    """A stack with a fleet, on a server of moto that enforces IAM."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        client = stack.clients(endpoint)
        for name in ("cdn-logs", "load-balancer-logs"):
            client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": stack.REGION})
        self.outputs = stack.create(EVERYTHING, client)
        ids = stack.physical_ids(client)
        self.roles = {function: ids[role.ROLES[function]] for function in MAY}
        # Before IAM is enforced, since only a service may assume these roles.
        assumed = {function: self.assume(client, name) for function, name in self.roles.items()}
        admin = second_opinion.administrator(client)
        moto_server.enforce_iam(endpoint)
        self.admin = stack.clients(endpoint, admin["AccessKeyId"], admin["SecretAccessKey"])
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        self.clients = {f: stack.clients(endpoint, *(keys[name] for name in names)) for f, keys in assumed.items()}

    def assume(self, client, name):
        arn = client("iam").get_role(RoleName=name)["Role"]["Arn"]
        return client("sts").assume_role(RoleArn=arn, RoleSessionName="try")["Credentials"]

    def attempts(self, function, only=None):
        """What the role lets through of these attempts, or of those that are named."""
        client = self.clients[function]
        s3, scaling, ssm = client("s3"), client("autoscaling"), client("ssm")
        fleet, minutes = self.outputs["FleetBucketName"], self.outputs["CountViewersBucketName"]

        def on(name, bucket, key):
            place = {"Bucket": bucket, "Key": key}
            self.admin("s3").put_object(**place, Body=b"seed")
            return {
                f"read {name}": lambda: s3.get_object(**place),
                f"write {name}": lambda: s3.put_object(**place, Body=b"new"),
                f"delete {name}": lambda: s3.delete_object(**place),
            }

        def send(document):
            return ssm.send_command(DocumentName=document, InstanceIds=["i-0a1b2c3d4e5f60718"])

        calls = on("logs", fleet, LOG) | on("playbook", fleet, "ansible/web.yml")
        calls |= on("load balancer's", fleet, ALB_LOG) | on("of another account", fleet, "alb/AWSLogs/210987654321/x.gz")
        calls |= on("access logs", "cdn-logs", "E1.gz") | on("minute", minutes, "viewers/show/1.json")
        calls |= on("something beside the minutes", minutes, "viewers.json")
        calls |= {
            "read what is not there": lambda: s3.get_object(Bucket=fleet, Key="logs/none"),
            "read access log that is not there": lambda: s3.get_object(Bucket="cdn-logs", Key="none"),
            "read load balancer's that is not there": lambda: s3.get_object(Bucket=fleet, Key=ALB_LOG + ".none"),
            "read minute that is not there": lambda: s3.get_object(Bucket=minutes, Key="viewers/none"),
            "list the fleet's": lambda: s3.list_objects_v2(Bucket=fleet, Prefix="logs/"),
            "list minutes": lambda: s3.list_objects_v2(Bucket=minutes, Prefix="viewers/"),
            "list access logs": lambda: s3.list_objects_v2(Bucket="cdn-logs"),
            "list versions": lambda: s3.list_object_versions(Bucket=fleet),
            "change what expires": lambda: s3.delete_bucket_lifecycle(Bucket=fleet),
            "describe group": lambda: scaling.describe_auto_scaling_groups(),
            "describe instances": lambda: scaling.describe_auto_scaling_instances(),
            "describe activities": lambda: scaling.describe_scaling_activities(AutoScalingGroupName="on-air-web"),
            "end an instance": lambda: scaling.terminate_instance_in_auto_scaling_group(
                InstanceId="i-0a1b2c3d4e5f60718", ShouldDecrementDesiredCapacity=False
            ),
            "change the group": lambda: scaling.update_auto_scaling_group(AutoScalingGroupName="on-air-web", MinSize=0),
            "delete a hook": lambda: scaling.delete_lifecycle_hook(
                AutoScalingGroupName="on-air-web", LifecycleHookName="onair-launch"
            ),
            "list commands": lambda: ssm.list_commands(),
            "send the playbook": lambda: send("AWS-ApplyAnsiblePlaybooks"),
            "send for the logs": lambda: send(self.outputs["FleetLogDocumentName"]),
            "run a shell": lambda: send("AWS-RunShellScript"),
            "send a document of one's own": lambda: send("on-air-something-else"),
            "read a parameter": lambda: ssm.get_parameter(Name="secret"),
        }
        return {what for what, call in calls.items() if (only is None or what in only) and is_allowed(call)}


def is_allowed(call):
    try:
        call()
    except ClientError as error:
        # NoSuchKey means allowed: without the permission, the error is a refusal.
        assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403", "NoSuchKey"), error
        return error.response["Error"]["Code"] == "NoSuchKey"
    return True


@pytest.fixture(scope="module")
def enforced():
    with moto_server.running() as endpoint:
        yield Enforced(endpoint)


@pytest.mark.parametrize("function", MAY)
def test_under_its_role_each_can_do_this_and_nothing_else(enforced, function):
    assert enforced.attempts(function) == MAY[function]


@pytest.mark.parametrize(("function", "sid"), [(f, sid) for f, sids in NEEDED_FOR.items() for sid in sids])
def test_without_one_of_its_statements_it_cannot_do_just_that(enforced, function, sid):
    before = second_opinion.leave_out(sid, enforced.admin, enforced.roles[function])
    assert enforced.attempts(function, MAY[function]) == MAY[function] - NEEDED_FOR[function][sid]
    role.put(enforced.admin, enforced.roles[function], before)
