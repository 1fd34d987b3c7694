//! Which events start a check of an instance or of the group, and which are ignored.

use serde_json::{Value, json};
use stories::fleet::{DOCUMENT, Fleet, GROUP, INSTANCE, launched, terminating};
use stories::{error, event, response};

/// Promise P96. Lifecycle actions, command status changes, the schedule and people are hints: each
/// starts a check of one instance, or of all that wait.
#[tokio::test]
async fn every_trigger_starts_the_same_check() {
    for file in [
        "launch",
        "launch-into-warm-pool",
        "command-invocation",
        "schedule",
        "by-hand",
    ] {
        let fleet = Fleet::new();
        fleet.autoscaling.launch(GROUP, INSTANCE);
        let answer = response(
            fleet
                .call(&[], event(&format!("complete-lifecycle/{file}.json")))
                .await,
        );
        assert_eq!(
            (answer["outcome"].as_str(), fleet.ssm.commands().len()),
            (Some("sent"), 1),
            "{file}"
        );
    }
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    // The event may name the wrong hook: the function reads for which one the instance waits.
    assert_eq!(
        response(
            fleet
                .call(&[], event("complete-lifecycle/terminate.json"))
                .await
        )["outcome"],
        "sent"
    );
    assert_eq!(
        fleet.ssm.commands()[0].document,
        "AWS-ApplyAnsiblePlaybooks"
    );
    let answer = response(fleet.call(&[], json!({ "onair": {} })).await);
    assert_eq!(answer["outcome"], "waiting", "{answer:#}");
}

/// Promise P96. Lifecycle actions, command status changes, the schedule and people are hints: each
/// starts a check of one instance, or of all that wait.
#[tokio::test]
async fn events_of_others_are_ignored_without_a_request() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(&[]);
    for file in [
        "launch-other-group",
        "launch-other-hook",
        "command-invocation-other-document",
        "command-status",
    ] {
        let answer = response(
            function
                .invoke(event(&format!("complete-lifecycle/{file}.json")))
                .await,
        );
        assert_eq!(answer["outcome"], "ignored", "{file}");
    }
    let mut machine = event("complete-lifecycle/command-invocation.json");
    machine["detail"]["instance-id"] = "mi-1234567890abcdef0".into();
    assert_eq!(
        response(function.invoke(machine).await)["outcome"],
        "ignored"
    );
    assert!(fleet.traffic.calls().is_empty());
    // An instance of another group that runs a command of the same document.
    fleet
        .autoscaling
        .create_group("other", "onair-launch", "onair-terminate");
    fleet.autoscaling.launch("other", "i-00000000000000001");
    let mut invocation = event("complete-lifecycle/command-invocation.json");
    invocation["detail"]["instance-id"] = "i-00000000000000001".into();
    assert_eq!(
        response(function.invoke(invocation).await)["outcome"],
        "unchanged"
    );
    assert!(fleet.ssm.commands().is_empty());
}

/// Promise P96. Lifecycle actions, command status changes, the schedule and people are hints: each
/// starts a check of one instance, or of all that wait.
#[tokio::test]
async fn a_direction_without_a_hook_is_left_alone() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let only_logs = fleet.start(&[("LAUNCH_HOOK", ""), ("PLAYBOOK_BUCKET", "")]);
    assert_eq!(
        response(only_logs.invoke(launched(INSTANCE)).await)["outcome"],
        "ignored"
    );
    assert_eq!(
        response(
            only_logs
                .invoke(event("complete-lifecycle/schedule.json"))
                .await
        )["outcome"],
        "unchanged"
    );
    fleet.autoscaling.finish(INSTANCE);
    fleet.autoscaling.terminate(INSTANCE);
    let only_playbooks = fleet.start(&[
        ("TERMINATE_HOOK", ""),
        ("LOG_BUCKET", ""),
        ("LOG_DOCUMENT", ""),
    ]);
    assert_eq!(
        response(only_playbooks.invoke(terminating(INSTANCE)).await)["outcome"],
        "ignored"
    );
    assert_eq!(
        response(only_logs.invoke(terminating(INSTANCE)).await)["outcome"],
        "sent"
    );
    assert_eq!(fleet.ssm.commands()[0].document, DOCUMENT);
}

/// Promise P100. Nothing of an event or of an instance's output reaches a key, a command or a log
/// before it is checked.
#[tokio::test]
async fn a_malformed_event_is_a_bad_event_and_is_not_quoted() {
    let fleet = Fleet::new();
    let function = fleet.start(&[]);
    let hostile = [
        "",
        "i-",
        "i-1234",
        "i-1234567890ABCDEF0",
        "i-1234567890abcdef0 ",
        "i-1234567890abcdef0;reboot",
        "$(reboot)",
        "../../i-1234567890abcdef0",
        "i-1234567890abcdef\u{0660}",
        "arn:aws:ec2:::instance/i-1234567890abcdef0",
    ];
    let mut events: Vec<Value> = Vec::new();
    for id in hostile
        .into_iter()
        .map(str::to_owned)
        .chain(["i-".to_owned() + &"a".repeat(1 << 20)])
    {
        events.push(launched(&id));
        events.push(terminating(&id));
        events.push(json!({ "onair": { "instance": id } }));
        let mut invocation = event("complete-lifecycle/command-invocation.json");
        invocation["detail"]["instance-id"] = id.into();
        events.push(invocation);
    }
    let launch = launched(INSTANCE);
    let without = |field: &str| {
        let mut event = launch.clone();
        event["detail"].as_object_mut().unwrap().remove(field);
        event
    };
    events.extend(["AutoScalingGroupName", "LifecycleHookName", "EC2InstanceId"].map(without));
    let with = |field: &str, value: Value| {
        let mut event = launch.clone();
        event[field] = value;
        event
    };
    events.extend([
        with("detail", json!(null)),
        with("detail", json!([GROUP, "onair-launch", INSTANCE])),
        with(
            "detail",
            json!({ "AutoScalingGroupName": GROUP, "LifecycleHookName": 7, "EC2InstanceId": INSTANCE }),
        ),
        with("onair", json!([])),
        with("onair", json!({ "dryrun": true })),
        with("onair", json!({ "instance": INSTANCE })),
        json!(null),
        json!([]),
        json!({}),
        json!("launch"),
        json!({ "onair": { "instance": 7 } }),
        json!({ "onair": null }),
    ]);
    for event in events {
        let (error_type, message) = error(function.invoke(event).await);
        assert_eq!(error_type, "BadEvent", "{message}");
        assert!(
            message.len() < 200 && !message.contains("reboot"),
            "{message}"
        );
    }
    assert!(fleet.traffic.calls().is_empty());
}
