"""The web servers that a stack makes: who reaches them, how they begin, when there are more. Promise P112."""

import base64

import moto
import pytest
import stack
import yaml
from test_fleet_stack import OWN, value


@pytest.fixture(scope="module", params=OWN, ids=["own", "own otherwise"])
def own(request):
    """A stack with web servers: (clients, outputs, parameters)."""
    with moto.mock_aws():
        client = stack.clients()
        yield client, stack.create(request.param, client), request.param


def test_an_instance_whose_logs_could_not_be_saved_is_retained():
    written = stack.translate(stack.WEB)["Resources"]["WebGroup"]["Properties"]
    assert written["InstanceLifecyclePolicy"] == {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
    # And rings: Auto Scaling sends only the figures that are asked for.
    (collected,) = written["MetricsCollection"]
    assert collected["Granularity"] == "1Minute" and "GroupTerminatingRetainedInstances" in collected["Metrics"]


def test_an_alarm_rings_while_the_group_retains_an_instance(own):
    client, _, _ = own
    alarm = stack.alarms(client)["WebRetainedAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/AutoScaling", "GroupTerminatingRetainedInstances")
    assert alarm["Dimensions"] == [{"Name": "AutoScalingGroupName", "Value": "on-air-web"}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"], alarm["Statistic"]) == ("GreaterThanThreshold", 0, "Maximum")


def test_the_group_is_begun_after_what_watches_over_it_and_its_function_knows_it_by_name(own):
    _, outputs, parameters = own
    written = stack.translate(parameters)["Resources"]
    assert {"CompleteLifecycleFunctionEveryMinute", "FleetBucketPolicy"} <= set(written["WebGroup"]["DependsOn"])
    properties = stack.properties("WebGroup")
    assert properties["AutoScalingGroupName"] == outputs["FleetGroupName"] == "on-air-web"
    assert properties["VPCZoneIdentifier"] == parameters["WebSubnets"].split(",")
    assert (properties["MinSize"], properties["MaxSize"]) == (
        value(parameters, "WebMinServers"), value(parameters, "WebMaxServers")
    )
    # The load balancer's health check counts, and only a configured server passes it.
    assert properties["HealthCheckType"] == "ELB"
    target = stack.properties("WebTargetGroup")
    assert (target["HealthCheckPath"], target["Matcher"]) == ("/", {"HttpCode": "404"})


def test_a_server_is_begun_with_nothing_but_what_the_playbook_needs_and_no_way_to_its_role_from_outside(own):
    client, _, parameters = own
    data = stack.properties("WebLaunchTemplate")["LaunchTemplateData"]
    assert data["ImageId"] == "{{resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64}}"
    assert data["InstanceType"] == parameters.get("WebInstanceType", "c7g.large")
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    (device,) = data["BlockDeviceMappings"]
    assert device["Ebs"]["Encrypted"] and device["Ebs"]["DeleteOnTermination"]
    # No way in but by Systems Manager.
    assert "KeyName" not in data
    text = base64.b64decode(data["UserData"]).decode()
    assert text.startswith("#cloud-config\n")
    cloud = yaml.safe_load(text)
    assert cloud["packages"] == ["nginx", "ansible-core", "logrotate"]
    # The agent is stopped once, at the beginning, and started at the end.
    (hold,) = cloud["bootcmd"]
    assert hold[:3] == ["cloud-init-per", "once", "hold-agent"] and hold[-1] == "amazon-ssm-agent"
    assert cloud["runcmd"][0].startswith("systemctl unmask") and cloud["runcmd"][-1].endswith("start --no-block amazon-ssm-agent")
    assert set(cloud) == {"bootcmd", "packages", "runcmd"}


def test_viewers_reach_the_load_balancer_only_and_it_reaches_the_servers_only(own):
    client, _, parameters = own
    ids = stack.physical_ids(client)
    ec2 = client("ec2")
    groups = {
        name: ec2.describe_security_groups(GroupIds=[ids[name]])["SecurityGroups"][0]
        for name in ("WebLoadBalancerSecurityGroup", "WebServerSecurityGroup")
    }
    front, back = groups["WebLoadBalancerSecurityGroup"], groups["WebServerSecurityGroup"]
    by_tls = "WebCertificateArn" in parameters
    assert {rule["FromPort"] for rule in front["IpPermissions"]} == ({80, 443} if by_tls else {80})
    assert {r["CidrIp"] for rule in front["IpPermissions"] for r in rule["IpRanges"]} == {value(parameters, "WebClientCidr")}
    (rule,) = back["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (80, 80, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [front["GroupId"]]
    (egress,) = stack.properties("WebLoadBalancerSecurityGroup")["SecurityGroupEgress"]
    assert (egress["DestinationSecurityGroupId"], egress["ToPort"]) == (back["GroupId"], 80)
    (egress,) = stack.properties("WebServerSecurityGroup")["SecurityGroupEgress"]
    assert (egress["FromPort"], egress["ToPort"]) == (443, 443)


def test_the_load_balancer_is_internal_unless_one_wants_and_logs_into_the_bucket(own):
    client, outputs, parameters = own
    (balancer,) = client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert balancer["Scheme"] == parameters.get("WebScheme", "internal")
    subnets = parameters.get("WebLoadBalancerSubnets", parameters["WebSubnets"]).split(",")
    assert sorted(zone["SubnetId"] for zone in balancer["AvailabilityZones"]) == sorted(subnets)
    attributes = {a["Key"]: a["Value"] for a in stack.properties("WebLoadBalancer")["LoadBalancerAttributes"]}
    assert attributes["access_logs.s3.enabled"] == "true"
    assert (attributes["access_logs.s3.bucket"], attributes["access_logs.s3.prefix"]) == (outputs["FleetBucketName"], "alb")
    assert stack.translate(parameters)["Resources"]["WebLoadBalancer"]["DependsOn"] == "FleetBucketPolicy"
    listeners = {listener["Port"]: listener for listener in client("elbv2").describe_listeners(
        LoadBalancerArn=balancer["LoadBalancerArn"]
    )["Listeners"]}
    actions = {port: (listener["Protocol"], listener["DefaultActions"][0]["Type"]) for port, listener in listeners.items()}
    if "WebCertificateArn" in parameters:
        assert actions == {443: ("HTTPS", "forward"), 80: ("HTTP", "redirect")}
        assert listeners[443]["Certificates"] == [{"CertificateArn": parameters["WebCertificateArn"]}]
    else:
        assert actions == {80: ("HTTP", "forward")}
    assert outputs["WebUrl"] == f"{'https' if 'WebCertificateArn' in parameters else 'http'}://{balancer['DNSName']}/"


def test_servers_are_added_by_the_requests_that_each_one_gets(own):
    client, _, parameters = own
    policy = stack.properties("WebScalingPolicy")
    tracking = policy["TargetTrackingConfiguration"]
    assert str(tracking["TargetValue"]) == value(parameters, "WebRequestsPerServer")
    specification = tracking["PredefinedMetricSpecification"]
    assert specification["PredefinedMetricType"] == "ALBRequestCountPerTarget"
    balancer, _, target = specification["ResourceLabel"].partition("/targetgroup/")
    (known,) = client("elbv2").describe_load_balancers()["LoadBalancers"]
    (group,) = client("elbv2").describe_target_groups()["TargetGroups"]
    assert known["LoadBalancerArn"].endswith(f":loadbalancer/{balancer}")
    assert group["TargetGroupArn"].endswith(f":targetgroup/{target}")
