"""What every function of the template must have, and the exceptions.

Each rule asks by meaning (which alarm watches this?) and not by a resource name. It reads the translated template, where an
event of SAM is a rule of EventBridge and a reference is still a reference.
"""

# (function, missing part) -> reason. An exception that is not needed is reported.
EXCEPTIONS = {
    ("CountViewersFunction", "an alarm on Held"): "It never answers `held`: it deletes nothing and switches nothing.",
    ("PublishPlaylistFunction", "an alarm on not running"): "What is published stays valid; a switch publishes by itself.",
    ("FailBackFunction", "an alarm on not running"): "While a side is out, FailOverUnarmedAlarm is on.",
}
# Metric -> the latest time in seconds at which its alarm fires. A single error is normal where a retry recovers it.
LONGEST_SECONDS = {
    "Errors": 15 * 60,
    "Held": 5 * 60,
    "Invocations": 5 * 60,
    "ApproximateNumberOfMessagesVisible": 5 * 60,
}
TOPIC = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}


def names(template):
    """Logical ids of the functions."""
    types = ("AWS::Serverless::Function", "AWS::Lambda::Function")
    return [name for name, resource in template["Resources"].items() if resource["Type"] in types]


def of_type(resources, kind):
    """Logical id -> properties."""
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def attribute(value):
    """The resource with this ARN."""
    return value.get("Fn::GetAtt", [None])[0] if isinstance(value, dict) else None


def has_alarm(resources, function, namespace, metric, dimension, watched):
    """Whether an alarm fires if this metric is above 0, and does not fire without data."""
    return any(
        (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
        and alarm["TreatMissingData"] == "notBreaching"
        and alarm["Statistic"] in ("Sum", "Maximum")
        for alarm in alarms_on(resources, function, namespace, metric, dimension, watched)
    )


def alarms_on(resources, function, namespace, metric, dimension, watched):
    """Alarms on this metric that exist whenever the function does, notify the topic, and fire in time."""
    condition = resources[function].get("Condition")
    return [
        alarm
        for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items()
        if (alarm.get("Namespace"), alarm.get("MetricName")) == (namespace, metric)
        and alarm["Dimensions"] == [{"Name": dimension, "Value": watched}]
        and resources[name].get("Condition") == condition
        and alarm.get("AlarmActions") == TOPIC
        and alarm["Period"] * alarm["EvaluationPeriods"] <= LONGEST_SECONDS[metric]
        and alarm.get("AlarmDescription")
    ]


def is_watched_queue(resources, function, arn):
    """Whether this is the ARN of a queue of the stack with an alarm on its messages."""
    queue = attribute(arn)
    if resources.get(queue, {}).get("Type") != "AWS::SQS::Queue":
        return False
    watched = {"Fn::GetAtt": [queue, "QueueName"]}
    return has_alarm(resources, function, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", watched)


def triggers(resources, function):
    """(rule or schedule, target) of every rule of EventBridge and every schedule of its Scheduler that invokes the function."""
    rules = of_type(resources, "AWS::Events::Rule").values()
    schedules = of_type(resources, "AWS::Scheduler::Schedule").values()
    all_targets = [(rule, target) for rule in rules for target in rule["Targets"]]
    all_targets += [(schedule, schedule["Target"]) for schedule in schedules]
    return [(trigger, target) for trigger, target in all_targets if attribute(target["Arn"]) == function]


def has_trigger(resources, function):
    return bool(triggers(resources, function))


def has_alarm_on_errors(resources, function):
    return has_alarm(resources, function, "AWS/Lambda", "Errors", "FunctionName", {"Ref": function})


def has_alarm_on_held(resources, function):
    return has_alarm(resources, function, "OnAir", "Held", "Function", {"Ref": function})


def keeps_failed_deliveries(resources, function):
    """Of each rule and schedule: the queue of events that could not be delivered, with its alarm."""
    queues = [target.get("DeadLetterConfig", {}).get("Arn") for _, target in triggers(resources, function)]
    return all(is_watched_queue(resources, function, queue) for queue in queues)


def keeps_failed_invocations(resources, function):
    """The queue of events for which the function failed until the last retry, with its alarm."""
    configs = of_type(resources, "AWS::Lambda::EventInvokeConfig").values()
    own = [config for config in configs if config["FunctionName"] == {"Ref": function}]
    queues = [config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") for config in own]
    return any(is_watched_queue(resources, function, queue) for queue in queues)


def has_log_group(resources, function):
    """The function's own log group, with the retention of the parameter. It is kept when the stack is deleted, as a record."""
    config = resources[function]["Properties"].get("LoggingConfig", {})
    group = config.get("LogGroup", {}).get("Ref")
    users = [
        each
        for each in of_type(resources, "AWS::Lambda::Function").values()
        if each.get("LoggingConfig", {}).get("LogGroup") == {"Ref": group}
    ]
    resource = resources.get(group, {"Type": None})
    # A metrics line has no level. Lambda treats it as INFO, so a higher level would drop it.
    return (
        len(users) == 1
        and (config["LogFormat"], config["ApplicationLogLevel"]) == ("JSON", "INFO")
        # Lambda's own lines: the report of each run, with its duration and memory.
        and config.get("SystemLogLevel") == "INFO"
        and resource["Type"] == "AWS::Logs::LogGroup"
        and resource["Properties"].get("RetentionInDays") == {"Ref": "LogRetentionDays"}
        and resource.get("DeletionPolicy") == "RetainExceptOnCreate"
    )


def has_role_of_its_own(resources, function):
    """A role that only this function has, and that only Lambda may assume."""
    role = attribute(resources[function]["Properties"].get("Role"))
    users = [each for each in of_type(resources, "AWS::Lambda::Function").values() if attribute(each["Role"]) == role]
    if role is None or len(users) > 1:
        return False
    trust = resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    return [statement["Principal"] for statement in trust] == [{"Service": "lambda.amazonaws.com"}]


def has_alarm_on_silence(resources, function):
    """An alarm that fires if a schedule does not run the function. Without a schedule, no runs are normal."""
    if not any("ScheduleExpression" in trigger for trigger, _ in triggers(resources, function)):
        return True
    watching = alarms_on(resources, function, "AWS/Lambda", "Invocations", "FunctionName", {"Ref": function})
    return any(
        (alarm["ComparisonOperator"], alarm["Threshold"], alarm["TreatMissingData"])
        == ("LessThanThreshold", 1, "breaching")
        for alarm in watching
    )


RULES = {
    "a rule or schedule that invokes it": has_trigger,
    "an alarm on errors": has_alarm_on_errors,
    "an alarm on Held": has_alarm_on_held,
    "a watched queue of failed deliveries": keeps_failed_deliveries,
    "a watched queue of failed invocations": keeps_failed_invocations,
    "a log group": has_log_group,
    "a role of its own": has_role_of_its_own,
    "an alarm on not running": has_alarm_on_silence,
}
