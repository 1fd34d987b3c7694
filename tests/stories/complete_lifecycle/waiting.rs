//! Waits that take long without a failure, waits whose event was lost, failures, held waits, dry
//! runs.

use serde_json::{Value, json};
use stand_in::{Fault, PLAYBOOK_PARAMETERS};
use std::time::Duration;
use stories::fleet::{
    Fleet, GROUP, INSTANCE, OTHER, PLAYBOOKS, invocation, launched, terminating, tick,
};
use stories::{error, event, response};

fn outcomes(answer: &Value) -> Vec<&str> {
    answer["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["outcome"].as_str().unwrap())
        .collect()
}

/// Promise P101. A delay is not a failure: the schedule checks again.
#[tokio::test]
async fn an_agent_that_is_not_registered_yet_is_waited_for_without_a_heartbeat() {
    let fleet = Fleet::new();
    fleet.ssm.deregister(INSTANCE);
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(&[]);
    for event in [launched(INSTANCE), tick(), tick()] {
        let answer = response(function.invoke(event).await);
        assert_eq!(
            (answer["outcome"].as_str(), outcomes(&answer)),
            (Some("waiting"), vec!["agent missing"])
        );
    }
    let missing = function
        .stdout()
        .into_iter()
        .filter(|line| line.contains(r#""AgentMissing":1"#))
        .count();
    assert_eq!((missing, fleet.ssm.commands().len()), (3, 0));
    // Without a heartbeat, the hook's timeout ends the wait of an agent that never registers.
    assert!(fleet.autoscaling.heartbeats().is_empty());

    fleet.ssm.register(INSTANCE);
    assert_eq!(outcomes(&response(function.invoke(tick()).await)), ["sent"]);
    fleet.agents();
    assert_eq!(
        outcomes(&response(function.invoke(tick()).await)),
        ["continued"]
    );
}

/// Promise P101. A delay is not a failure: the schedule checks again.
#[tokio::test]
async fn while_a_command_is_in_progress_the_wait_is_extended_and_no_second_command_is_sent() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(&[]);
    response(function.invoke(launched(INSTANCE)).await);
    let id = fleet.ssm.commands()[0].id.clone();
    for (number, status) in ["Pending", "Delayed", "InProgress", "Cancelling"]
        .into_iter()
        .enumerate()
    {
        fleet.ssm.end(&id, status, status, "");
        let answer = response(function.invoke(tick()).await);
        assert_eq!(
            (answer["outcome"].as_str(), outcomes(&answer)),
            (Some("waiting"), vec!["running"]),
            "{status}"
        );
        assert_eq!(fleet.autoscaling.heartbeats().len(), number + 1);
    }
    assert_eq!(fleet.ssm.commands().len(), 1);
}

/// Promise P101. A delay is not a failure: the schedule checks again.
#[tokio::test]
async fn a_result_that_ssm_does_not_have_yet_is_waited_for() {
    let fleet = Fleet::new();
    fleet.ssm.hide_results(true);
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(&[]);
    response(function.invoke(launched(INSTANCE)).await);
    let ran = fleet.agents();
    for event in [invocation(&ran[0]), tick()] {
        assert_eq!(
            outcomes(&response(function.invoke(event).await)),
            ["running"]
        );
    }
    fleet.ssm.hide_results(false);
    assert_eq!(
        outcomes(&response(function.invoke(tick()).await)),
        ["continued"]
    );
}

/// For promise P101: while the command is in progress, a step without a name is not a failure
/// (`Pending`, above).
#[tokio::test]
async fn a_step_that_is_missing_after_a_success_is_an_error() {
    let fleet = Fleet::new();
    fleet
        .ssm
        .create_document(PLAYBOOKS, &["another"], &PLAYBOOK_PARAMETERS);
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(&[]);
    response(function.invoke(launched(INSTANCE)).await);
    fleet.agents();
    let (error_type, message) = error(function.invoke(tick()).await);
    assert!(
        error_type == "Aws" && message.contains("InvalidPluginName"),
        "{error_type} {message}"
    );
    assert!(fleet.autoscaling.heartbeats().is_empty());
}

/// Promise P101. A delay is not a failure: the schedule checks again.
#[tokio::test]
async fn a_request_that_is_throttled_is_retried_by_the_schedule() {
    const SSM: [&str; 3] = ["ListCommands", "SendCommand", "GetCommandInvocation"];
    let mut throttled = Vec::new();
    for call in 0..8 {
        let fleet = Fleet::new();
        fleet.autoscaling.launch(GROUP, INSTANCE);
        let function = fleet.start(&[]);
        if call >= 4 {
            response(function.invoke(launched(INSTANCE)).await);
            fleet.agents();
        }
        fleet.traffic.reset_calls();
        // As many faults as the SDK makes attempts.
        for again in 0..6 {
            let code = if [2, 3, 6].contains(&(call % 8)) {
                "ThrottlingException"
            } else {
                "Throttling"
            };
            fleet
                .traffic
                .fault(call % 4 + again, Fault::Status { status: 400, code });
        }
        let answer = response(function.invoke(tick()).await);
        assert_eq!(
            answer["outcome"],
            "waiting",
            "{call}: {answer:#} {:?}",
            fleet.operations()
        );
        throttled.push(fleet.operations().last().unwrap().clone());
        fleet.traffic.reset_calls();
        for _ in 0..2 {
            response(function.invoke(tick()).await);
            fleet.agents();
        }
        response(function.invoke(tick()).await);
        assert_eq!(fleet.results(INSTANCE), ["CONTINUE"], "{call}");
        assert_eq!(fleet.ssm.commands().len(), 1);
    }
    assert!(
        SSM.iter()
            .all(|operation| throttled.iter().any(|other| other == operation)),
        "{throttled:?}"
    );
}

/// Promises P96 and P109.
#[tokio::test]
async fn the_schedule_handles_instances_whose_event_was_lost() {
    let fleet = Fleet::new();
    fleet.serving(OTHER);
    fleet.autoscaling.terminate(OTHER);
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(&[]);
    assert_eq!(
        outcomes(&response(function.invoke(tick()).await)),
        ["sent", "sent"]
    );
    fleet.agents();
    assert_eq!(
        outcomes(&response(function.invoke(tick()).await)),
        ["continued", "continued"]
    );
    assert_eq!(
        (
            fleet.autoscaling.state(INSTANCE),
            fleet.autoscaling.state(OTHER)
        ),
        ("InService".into(), "Terminated".into())
    );
    // The metrics report that no instance waits any more.
    response(function.invoke(tick()).await);
    let last = function.stdout().pop().unwrap();
    assert!(last.contains(r#""Waiting":0,"AgentMissing":0"#), "{last}");
}

/// Promise P96. Lifecycle actions, command status changes, the schedule and people are hints: each
/// starts a check of one instance, or of all that wait.
#[tokio::test]
async fn sixty_instances_are_handled_in_one_run() {
    let fleet = Fleet::new();
    let instances: Vec<String> = (0..60).map(|number| format!("i-{number:017x}")).collect();
    for (number, instance) in instances.iter().enumerate() {
        fleet.ssm.register(instance);
        match number % 2 {
            0 => fleet.autoscaling.launch(GROUP, instance),
            _ => fleet.autoscaling.launch_into_warm_pool(GROUP, instance),
        }
    }
    let function = fleet.start(&[]);
    assert_eq!(
        outcomes(&response(function.invoke(tick()).await)),
        vec!["sent"; 60]
    );
    fleet.agents();
    assert_eq!(
        outcomes(&response(function.invoke(tick()).await)),
        vec!["continued"; 60]
    );
    assert_eq!(fleet.ssm.commands().len(), 60);
}

/// Promise P102. A wait that has ended in the meantime (`No active Lifecycle Action`) is not a
/// failure.
#[tokio::test]
async fn a_wait_that_has_ended_meanwhile_is_not_a_failure() {
    // Auto Scaling still lists the instance, and rejects the action because the wait is over.
    for has_command in [true, false] {
        let fleet = Fleet::new();
        fleet.autoscaling.launch(GROUP, INSTANCE);
        let function = fleet.start(&[]);
        response(function.invoke(launched(INSTANCE)).await);
        if has_command {
            fleet.agents();
        }
        fleet.traffic.reset_calls();
        // CompleteLifecycleAction or RecordLifecycleActionHeartbeat
        let autoscaling = (*fleet.autoscaling).clone();
        fleet
            .traffic
            .before_call(4, move || autoscaling.time_out(INSTANCE));
        let answer = response(function.invoke(tick()).await);
        assert_eq!(
            (answer["outcome"].as_str(), outcomes(&answer)),
            (Some("unchanged"), vec!["unchanged"])
        );
        assert_eq!(fleet.operations().len(), 5);
        assert_eq!(
            (
                fleet.autoscaling.state(INSTANCE).as_str(),
                fleet.results(INSTANCE).len()
            ),
            ("Terminating:Wait", 0)
        );
    }
}

/// Promise P104. A failure of one instance does not delay others, and is reported as an error all
/// the same.
#[tokio::test]
async fn a_failure_of_one_instance_does_not_affect_the_others() {
    let fleet = Fleet::new();
    for instance in [INSTANCE, OTHER] {
        fleet.autoscaling.launch(GROUP, instance);
    }
    let function = fleet.start(&[]);
    // The first of the two SendCommands.
    fleet.traffic.fault(3, Fault::status(403));
    let (error_type, message) = error(function.invoke(tick()).await);
    assert!(
        error_type == "Aws" && message.contains("SendCommand"),
        "{error_type} {message}"
    );
    assert_eq!(fleet.ssm.commands().len(), 1);
    assert!(
        function
            .stdout()
            .concat()
            .contains(r#""CommandsSent":1,"Failed":1"#),
        "{:?}",
        function.stdout()
    );
    response(function.invoke(tick()).await);
    assert_eq!(fleet.ssm.commands().len(), 2);
    fleet.agents();
    fleet.traffic.reset_calls();
    // One of the two results cannot be read.
    fleet.traffic.fault(3, Fault::status(403));
    let (_, message) = error(function.invoke(tick()).await);
    assert!(message.contains("GetCommandInvocation"), "{message}");
    assert_eq!(fleet.autoscaling.completed().len(), 1);
    assert_eq!(
        outcomes(&response(function.invoke(tick()).await)),
        ["continued"]
    );
    for instance in [INSTANCE, OTHER] {
        assert_eq!(fleet.results(instance), ["CONTINUE"]);
    }
}

/// Promise P107. If any one call fails, or the run is killed at any call, the schedule's next runs
/// reach the end state of an undisturbed run.
#[tokio::test]
async fn a_run_without_a_response_stops_before_its_deadline() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(&[]);
    fleet.traffic.fault(3, Fault::HoldAfter);
    let (error_type, message) = error(function.invoke_within(tick(), Duration::from_secs(3)).await);
    assert!(
        error_type == "Incomplete" && message.contains("the next scheduled run continues"),
        "{error_type} {message}"
    );
    // The next run finds the command that this one sent.
    assert_eq!(
        outcomes(&response(function.invoke(tick()).await)),
        ["running"]
    );
    assert_eq!(fleet.ssm.commands().len(), 1);
}

/// Promise P105. In doubt the run is `held`, and nothing is sent or ended.
#[tokio::test]
async fn an_instance_that_no_activity_names_is_held() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    fleet.autoscaling.launch(GROUP, OTHER);
    fleet.autoscaling.forget_activities(INSTANCE);
    let function = fleet.start(&[]);
    let answer = response(function.invoke(tick()).await);
    assert_eq!(answer["outcome"], "held", "{answer:#}");
    let why = format!(
        "{INSTANCE}: no scaling activity in progress names the instance: \
         commands of this wait cannot be distinguished from commands of an earlier one"
    );
    assert_eq!(answer["why"], why.as_str());
    assert_eq!(
        (&answer["code"], &answer["instances"][1]["code"]),
        (&json!("no_scaling_activity"), &json!("no_scaling_activity"))
    );
    // The other instance is not held.
    assert_eq!(
        (outcomes(&answer), fleet.ssm.commands().len()),
        (vec!["sent", "held"], 1)
    );
    assert!(function.stdout().concat().contains(r#""Held":1"#));
    assert!(fleet.autoscaling.heartbeats().is_empty());
}

/// Promise P105. In doubt the run is `held`, and nothing is sent or ended.
#[tokio::test]
async fn a_group_that_does_not_exist_is_held() {
    let fleet = Fleet::new();
    let answer = response(fleet.call(&[("AUTO_SCALING_GROUP", "gone")], tick()).await);
    assert_eq!(
        answer,
        json!({
            "outcome": "held",
            "group": "gone",
            "code": "group_not_found",
            "why": "Auto Scaling group \"gone\" does not exist",
        })
    );
}

/// Promise P106. A dry run (`DRY_RUN=true` or `"onair": {"dry_run": true}`) reports what would be
/// done, and changes nothing.
#[tokio::test]
async fn a_dry_run_reports_what_would_be_done_and_changes_nothing() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let reads = |fleet: &Fleet| {
        let operations = fleet.operations();
        operations.iter().all(|name| {
            ["Describe", "List", "Get", "Head"]
                .iter()
                .any(|read| name.starts_with(read))
        })
    };
    let answer = response(
        fleet
            .call(&[], event("complete-lifecycle/dry-run.json"))
            .await,
    );
    assert_eq!(
        (answer["outcome"].as_str(), outcomes(&answer)),
        (Some("planned"), vec!["would send"])
    );
    let answer = response(fleet.call(&[("DRY_RUN", "true")], launched(INSTANCE)).await);
    assert_eq!(
        (answer["outcome"].as_str(), outcomes(&answer)),
        (Some("planned"), vec!["would send"])
    );
    assert!(reads(&fleet), "{:?}", fleet.operations());

    response(fleet.call(&[], launched(INSTANCE)).await);
    fleet.traffic.reset_calls();
    let dry = [("DRY_RUN", "true")];
    let answer = response(fleet.call(&dry, tick()).await);
    assert_eq!(
        (answer["outcome"].as_str(), outcomes(&answer)),
        (Some("unchanged"), vec!["running"])
    );
    fleet.agents();
    let answer = response(fleet.call(&dry, tick()).await);
    assert_eq!(
        (answer["outcome"].as_str(), outcomes(&answer)),
        (Some("planned"), vec!["would continue"])
    );

    fleet.autoscaling.finish(INSTANCE);
    fleet.autoscaling.terminate(INSTANCE);
    response(fleet.call(&[], terminating(INSTANCE)).await);
    fleet.traffic.reset_calls();
    fleet.ssm.run(|command| fleet.receipt(command, "{}", 1, 1));
    let answer = response(fleet.call(&dry, tick()).await);
    assert_eq!(
        (answer["outcome"].as_str(), outcomes(&answer)),
        (Some("planned"), vec!["would abandon"])
    );
    assert!(reads(&fleet), "{:?}", fleet.operations());
}
