"""The resources of a deployment with a pair, for each way to use its parameters. test_stack.py tests that the jobs are
separate."""

import json

import moto
import pytest
import stack

STEMS = {"PublishPlaylist": "publish-playlist", "FailOver": "fail-over", "FailBack": "fail-back"}
FUNCTIONS = list(STEMS)
GROUP = next(
    group["Parameters"]
    for group in stack.template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    if "Pair" in group["Parameters"]
)
# These change what the functions may do, and they need not know.
PERMISSIONS_ONLY = {"EndpointRoleArns", "OnlyTaggedEndpoints"}
# Rule -> what fires it, beside its pattern.
RULES = {
    "PublishPlaylistFunctionEveryFiveMinutes": "rate(5 minutes)",
    "FailOverFunctionChannelAlert": None,
    "FailOverFunctionInputAlarm": None,
    "FailOverFunctionEveryMinute": "rate(1 minute)",
    "FailBackFunctionChannelAlertCleared": None,
    "FailBackFunctionInputAlarmOk": None,
    "FailBackFunctionEveryMinute": "rate(1 minute)",
}


@pytest.fixture(scope="module", params=[stack.PAIR, stack.PAIR_OTHERWISE], ids=["a pair", "a pair otherwise"])
def on(request):
    """A stack with a pair: (clients, outputs, parameters)."""
    with moto.mock_aws():
        client = stack.clients()
        yield client, stack.create(request.param, client), request.param


def function(client, outputs, name):
    return client("lambda").get_function(FunctionName=outputs[f"{name}FunctionName"])["Configuration"]


def queue(client, outputs, which):
    """The attributes of one of the two failure queues."""
    url = outputs[f"Pair{which}FailuresUrl"]
    return client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def rules(client):
    """Logical id -> description of the rules."""
    ids = stack.physical_ids(client)
    return {logical_id: client("events").describe_rule(Name=ids[logical_id]) for logical_id in RULES}


def alarm_of(parameters, side):
    """The name of the alarm that reports the loss of a side."""
    return parameters.get(f"Side{side}Alarm", f"onair-{parameters['Pair']}-side-{side.lower()}")


def test_everything_of_the_pair_is_created_but_an_alarm_that_there_is_already(on):
    _, _, parameters = on
    beginnings = ("Pair", *STEMS)
    of_the_pair = {name for name in stack.translate(parameters)["Resources"] if name.startswith(beginnings)}
    own = {f"PairSide{side}InputAlarm" for side in "AB" if f"Side{side}Alarm" in parameters}
    assert stack.created() == of_the_pair - own


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_gets_all_settings_of_the_pair(on, name):
    client, outputs, parameters = on
    expected = {
        "CONTROL_BUCKET": outputs["PairControlBucketName"],
        "PUBLIC_BUCKET": outputs["PairPublicBucketName"],
    }
    for parameter in [p for p in GROUP if p not in PERMISSIONS_ONLY] + ["DryRun"]:
        default = str(stack.template()["Parameters"][parameter]["Default"])
        expected[stack.snake(parameter)] = parameters.get(parameter, default)
    for side in "AB":
        expected[f"SIDE_{side}_ALARM"] = alarm_of(parameters, side)
        # A setting without a value is not a variable at all.
        if not expected[f"SIDE_{side}_BASE_URL"]:
            del expected[f"SIDE_{side}_BASE_URL"]
    variables = function(client, outputs, name)["Environment"]["Variables"]
    assert {variable: str(value) for variable, value in variables.items()} == expected


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_runs_as_a_custom_runtime_for_the_chosen_processor(on, name):
    client, outputs, parameters = on
    configuration = function(client, outputs, name)
    assert (configuration["Runtime"], configuration["Handler"]) == ("provided.al2023", "bootstrap")
    written = stack.translate(parameters)["Resources"][f"{name}Function"]["Properties"]
    assert written["Architectures"] == [{"Ref": "Architecture"}]
    assert stack.template()["Resources"][f"{name}Function"]["Properties"]["CodeUri"] == f"functions/{STEMS[name]}/"


def test_fail_over_has_a_whole_processor_and_no_function_makes_an_event_wait_for_another(on):
    client, outputs, _ = on
    assert {name: function(client, outputs, name)["MemorySize"] for name in FUNCTIONS} == {
        "PublishPlaylist": 512,
        "FailOver": 1769,
        "FailBack": 512,
    }
    for name in FUNCTIONS:
        assert function(client, outputs, name)["Timeout"] == 60
        assert "Concurrency" not in client("lambda").get_function(FunctionName=outputs[f"{name}FunctionName"])


def test_each_rule_delivers_to_its_function_and_forgets_what_is_older_than_two_minutes(on):
    client, outputs, _ = on
    assert len(client("events").list_rules()["Rules"]) == len(RULES)
    for logical_id, rule in rules(client).items():
        assert rule["State"] == "ENABLED"
        assert rule.get("ScheduleExpression") == RULES[logical_id]
        assert ("EventPattern" in rule) == (RULES[logical_id] is None)
        (target,) = client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
        (name,) = [name for name in FUNCTIONS if logical_id.startswith(name)]
        assert target["Arn"] == function(client, outputs, name)["FunctionArn"]
        assert target["DeadLetterConfig"] == {"Arn": queue(client, outputs, "Delivery")["QueueArn"]}
        assert target["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 120}
        # InputPath or a transformer would drop what the function wants to see.
        assert set(target) == {"Id", "Arn", "DeadLetterConfig", "RetryPolicy"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_its_own_rules_may_invoke_a_function(on, name):
    client, outputs, _ = on
    policy = json.loads(client("lambda").get_policy(FunctionName=outputs[f"{name}FunctionName"])["Policy"])
    callers = [(s["Principal"], s["Condition"]["ArnLike"]["AWS:SourceArn"]) for s in policy["Statement"]]
    own = [rule["Arn"] for logical_id, rule in rules(client).items() if logical_id.startswith(name)]
    assert sorted(arn for _, arn in callers) == sorted(own)
    assert all(principal == {"Service": "events.amazonaws.com"} for principal, _ in callers)


def test_only_the_rules_may_write_into_the_delivery_queue(on):
    client, outputs, _ = on
    attributes = queue(client, outputs, "Delivery")
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == attributes["QueueArn"]
    allowed = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert sorted(allowed) == sorted(rule["Arn"] for rule in rules(client).values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_failed_invocation_is_tried_once_more_and_then_kept(on, name):
    client, outputs, _ = on
    config = client("lambda").get_function_event_invoke_config(FunctionName=outputs[f"{name}FunctionName"])
    assert config["MaximumRetryAttempts"] == 1
    assert config["MaximumEventAgeInSeconds"] == 120
    assert config["DestinationConfig"]["OnFailure"] == {
        "Destination": queue(client, outputs, "Invocation")["QueueArn"]
    }


@pytest.mark.parametrize("which", ["Delivery", "Invocation"])
def test_a_failure_queue_keeps_messages_for_fourteen_days_and_encrypted(on, which):
    client, outputs, _ = on
    attributes = queue(client, outputs, which)
    assert attributes["MessageRetentionPeriod"] == str(14 * 24 * 60 * 60)
    assert attributes["SqsManagedSseEnabled"] == "true"


@pytest.mark.parametrize("side", "AB")
def test_a_side_is_lost_when_its_pipeline_has_had_no_frame_for_twenty_seconds(on, side):
    client, _, parameters = on
    alarm = stack.alarms(client).get(f"PairSide{side}InputAlarm")
    if f"Side{side}Alarm" in parameters:
        assert alarm is None
        return
    assert alarm["AlarmName"] == alarm_of(parameters, side)
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/MediaLive", "InputVideoFrameRate")
    # Not ActiveInputFailoverLabel: the side is lost when all its inputs are.
    assert alarm["Dimensions"] == [
        {"Name": "ChannelId", "Value": parameters[f"Side{side}ChannelArn"].split(":")[-1]},
        {"Name": "Pipeline", "Value": parameters[f"Side{side}Pipeline"]},
    ]
    assert (alarm["Statistic"], alarm["Period"], alarm["EvaluationPeriods"]) == ("Maximum", 10, 2)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanOrEqualToThreshold", 0)
    # A channel that is stopped is neither lost nor well.
    assert alarm["TreatMissingData"] == "ignore"


def test_a_side_that_is_cut_has_an_alarm_until_it_is_back(on):
    client, outputs, _ = on
    alarm = stack.alarms(client)["FailOverUnarmedAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("OnAir", "Cut")
    assert alarm["Dimensions"] == [{"Name": "Function", "Value": outputs["FailOverFunctionName"]}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
    # Each scheduled run reports the gauge. If it is missing, nothing has changed.
    assert alarm["TreatMissingData"] == "ignore"


def test_one_side_that_stands_still_is_told_and_two_are_not(on):
    client, outputs, _ = on
    alarm = stack.alarms(client)["FailOverOneSidedAlarm"]
    stale, one = alarm["Metrics"]
    assert stale["MetricStat"]["Metric"] == {
        "Namespace": "OnAir",
        "MetricName": "Stale",
        "Dimensions": [{"Name": "Function", "Value": outputs["FailOverFunctionName"]}],
    }
    assert one["Expression"] == f"IF({stale['Id']} == 1, 1, 0)"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


@pytest.mark.parametrize("which", ["Control", "Public"])
def test_a_bucket_is_private_encrypted_spoken_to_by_tls_and_stays(on, which):
    client, outputs, parameters = on
    bucket = outputs[f"Pair{which}BucketName"]
    blocked = client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4 and all(blocked.values())
    assert client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    deny = json.loads(client("s3").get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    written = stack.translate(parameters)["Resources"][f"Pair{which}Bucket"]
    assert (written["DeletionPolicy"], written["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_former_states_are_kept_as_long_as_the_logs_that_tell_of_them(on):
    client, outputs, _ = on
    versioning = client("s3").get_bucket_versioning(Bucket=outputs["PairControlBucketName"])
    assert versioning["Status"] == "Enabled"
    (rule,) = stack.properties("PairControlBucket")["LifecycleConfiguration"]["Rules"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert "ExpirationInDays" not in rule and rule["Status"] == "Enabled"


def test_nobody_but_this_distribution_reads_the_public_bucket_and_nothing_but_the_pairs_folder(on):
    client, outputs, parameters = on
    bucket = outputs["PairPublicBucketName"]
    _, allow = json.loads(client("s3").get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (allow["Effect"], allow["Principal"]) == ("Allow", {"Service": "cloudfront.amazonaws.com"})
    assert (allow["Action"], allow["Resource"]) == ("s3:GetObject", f"arn:aws:s3:::{bucket}/{parameters['Pair']}/*")
    distribution = stack.physical_ids(client)["PairDistribution"]
    arn = f"arn:aws:cloudfront::123456789012:distribution/{distribution}"
    assert allow["Condition"] == {"StringEquals": {"aws:SourceArn": arn}}
    control = json.loads(client("s3").get_bucket_policy(Bucket=outputs["PairControlBucketName"])["Policy"])
    assert [statement["Effect"] for statement in control["Statement"]] == ["Deny"]


def test_the_distribution_serves_the_bucket_by_tls_and_forgets_errors_after_a_second(on):
    client, outputs, _ = on
    config = stack.properties("PairDistribution")["DistributionConfig"]
    (origin,) = config["Origins"]
    assert origin["DomainName"] == f"{outputs['PairPublicBucketName']}.s3.{stack.REGION}.amazonaws.com"
    assert origin["OriginAccessControlId"] and origin["S3OriginConfig"] == {"OriginAccessIdentity": ""}
    control = stack.properties("PairOriginAccess")["OriginAccessControlConfig"]
    assert (control["SigningBehavior"], control["OriginAccessControlOriginType"]) == ("always", "s3")
    behavior = config["DefaultCacheBehavior"]
    assert behavior["TargetOriginId"] == origin["Id"] and "CacheBehaviors" not in config
    assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
    assert behavior["AllowedMethods"] == ["GET", "HEAD", "OPTIONS"]
    assert behavior["CachePolicyId"] == stack.physical_ids(client)["PairCachePolicy"]
    assert behavior["ResponseHeadersPolicyId"] == stack.physical_ids(client)["PairResponseHeaders"]
    remembered = {response["ErrorCode"]: response["ErrorCachingMinTTL"] for response in config["CustomErrorResponses"]}
    assert {403, 404} <= set(remembered) and set(remembered.values()) == {1}


def test_a_steering_manifest_is_not_cached_beyond_its_ttl_and_once_for_all_queries(on):
    _, _, parameters = on
    policy = stack.properties("PairCachePolicy")["CachePolicyConfig"]
    ttl = int(parameters.get("SteeringTtlSeconds", 10))
    assert (policy["MinTTL"], policy["DefaultTTL"], policy["MaxTTL"]) == (0, 1, ttl)
    key = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "none"}
    assert key["CookiesConfig"] == {"CookieBehavior": "none"}
    assert key["HeadersConfig"] == {"HeaderBehavior": "none"}
    # Else CloudFront compresses nothing.
    assert key["EnableAcceptEncodingGzip"] and key["EnableAcceptEncodingBrotli"]
    assert stack.properties("PairDistribution")["DistributionConfig"]["DefaultCacheBehavior"]["Compress"]


def test_any_page_may_play(on):
    cors = stack.properties("PairResponseHeaders")["ResponseHeadersPolicyConfig"]["CorsConfig"]
    assert cors["AccessControlAllowOrigins"] == {"Items": ["*"]}
    assert cors["AccessControlAllowMethods"] == {"Items": ["GET", "HEAD", "OPTIONS"]}
    assert cors["AccessControlAllowHeaders"] == {"Items": ["*"]}
    assert cors["OriginOverride"] and not cors["AccessControlAllowCredentials"]
    # S3 answers a preflight request with its own headers.
    (rule,) = stack.properties("PairPublicBucket")["CorsConfiguration"]["CorsRules"]
    assert (rule["AllowedOrigins"], rule["AllowedMethods"], rule["AllowedHeaders"]) == (["*"], ["GET", "HEAD"], ["*"])


def test_the_dashboard_shows_both_sides_every_metric_and_every_alarm(on):
    client, outputs, parameters = on
    body = client("cloudwatch").get_dashboard(DashboardName="on-air-pair")["DashboardBody"]
    assert "${" not in body
    for metric in ["FailedOver", "FailedBack", "Published", "Unpaired", "Held", "Failed", "Cut", "Stale"]:
        assert f'"{metric}"' in body
    for side in "AB":
        channel = parameters[f"Side{side}ChannelArn"].split(":")[-1]
        for metric in ["InputVideoFrameRate", "ActiveAlerts"]:
            (widget,) = [w for w in json.loads(body)["widgets"] if metric in json.dumps(w["properties"])]
            shown = [(m[3], m[5]) for m in widget["properties"]["metrics"]]
            assert (channel, parameters[f"Side{side}Pipeline"]) in shown
        assert f'OriginEndpoint=\\"{parameters[f"Side{side}Endpoint"]}\\"' in body
    for name in FUNCTIONS:
        assert outputs[f"{name}FunctionName"] in body
        assert f"SOURCE '{stack.physical_ids(client)[f'{name}Logs']}'" in body
    for which in ("Delivery", "Invocation"):
        assert outputs[f"Pair{which}FailuresUrl"].split("/")[-1] in body
    (widget,) = [w for w in json.loads(body)["widgets"] if w["type"] == "alarm"]
    known = {alarm["AlarmName"] for alarm in client("cloudwatch").describe_alarms()["MetricAlarms"]}
    known |= {alarm_of(parameters, side) for side in "AB"}
    prefix = f"arn:aws:cloudwatch:{stack.REGION}:123456789012:alarm:"
    assert sorted(widget["properties"]["alarms"]) == sorted(prefix + name for name in known)


def test_no_two_widgets_of_the_dashboard_lie_on_each_other_and_none_leaves_the_24_columns(on):
    client, _, _ = on
    body = client("cloudwatch").get_dashboard(DashboardName="on-air-pair")["DashboardBody"]
    cells = [
        (x, y)
        for w in json.loads(body)["widgets"]
        for x in range(w["x"], w["x"] + w["width"])
        for y in range(w["y"], w["y"] + w["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_outputs_name_what_exists_each_in_one_line(on):
    client, outputs, parameters = on
    assert all("\n" not in value and "${" not in value for value in outputs.values())
    assert outputs["PairPlayerUrl"] == f"https://d111111abcdef8.cloudfront.net/{parameters['Pair']}/index.m3u8"
    state = f"s3://{outputs['PairControlBucketName']}/pairs/{parameters['Pair']}/state.json"
    assert state in outputs["PairStateCommand"]
    assert outputs["PairControlBucketName"] in outputs["PairStateHistoryCommand"]
    assert outputs["PairDeliveryFailuresUrl"] in outputs["PairFetchUndeliveredCommand"]
    assert outputs["PairInvocationFailuresUrl"] in outputs["PairFetchFailedCommand"]
    for name in FUNCTIONS:
        assert outputs[f"{name}FunctionName"] in outputs[f"{name}InvokeCommand"]
        assert f"{name}Function " in outputs[f"{name}SamInvokeCommand"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_command_by_hand_sends_the_event_of_that_name(on, name):
    _, outputs, _ = on
    command = outputs[f"{name}Command"]
    assert outputs[f"{name}FunctionName"] in command
    payload = command.split("--payload '")[1].split("'")[0]
    file = stack.EVENTS / STEMS[name] / "by-hand.json"
    assert json.loads(payload) == json.loads(file.read_text(encoding="utf-8"))
