//! Which results of a playbook let an instance serve.

use serde_json::Value;
use stand_in::CommandResult;
use stories::fleet::{
    Fleet, GROUP, INSTANCE, OTHER, invocation, launched, playbook, terminating, tick,
};
use stories::response;

/// Lets the command of a launched instance end so, and returns the instance's part of the answer.
async fn ends(settings: &[(&str, &str)], status: &str, details: &str, stdout: &str) -> Value {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(settings);
    assert_eq!(
        response(function.invoke(launched(INSTANCE)).await)["outcome"],
        "sent"
    );
    let command = fleet
        .ssm
        .end(&fleet.ssm.commands()[0].id, status, details, stdout);
    let answer = response(function.invoke(invocation(&command)).await);
    let entry = answer["instances"][0].clone();
    let (state, results) = (fleet.autoscaling.state(INSTANCE), fleet.results(INSTANCE));
    match entry["outcome"].as_str() {
        Some("continued") => {
            assert_eq!(
                (state.as_str(), results),
                ("InService", vec!["CONTINUE".to_owned()])
            );
        }
        Some("abandoned") => {
            assert_eq!(
                (state.as_str(), results),
                ("Terminating:Wait", vec!["ABANDON".to_owned()])
            );
        }
        _ => panic!("{answer:#}"),
    }
    entry
}

/// Promise P97. With `PASS_RULE=failed=0` an instance passes if its playbook succeeded, reached its
/// host, and no task failed.
#[tokio::test]
async fn an_instance_whose_playbook_failed_or_reached_no_host_does_not_serve() {
    let entry = ends(&[], "Failed", "Failed", &playbook(1, 0, 1)).await;
    assert_eq!(entry["outcome"], "abandoned");
    assert_eq!(
        entry["why"],
        "the playbook command ended with status Failed"
    );
    assert_eq!(
        (
            entry["recap"]["failed"].as_u64(),
            entry["recap"]["changed"].as_u64()
        ),
        (Some(1), Some(1))
    );
    // If a host is unreachable, ansible-playbook exits with 4 and the command fails. The recap is
    // enough without either.
    for (status, unreachable, failed) in [("Failed", 1, 0), ("Success", 1, 0), ("Success", 0, 1)] {
        let entry = ends(&[], status, status, &playbook(0, unreachable, failed)).await;
        assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
        assert_eq!(entry["recap"]["unreachable"], unreachable);
    }
}

/// Promise P97. With `PASS_RULE=failed=0` an instance passes if its playbook succeeded, reached its
/// host, and no task failed.
#[tokio::test]
async fn an_instance_whose_command_never_ran_does_not_serve() {
    for (status, details) in [
        ("Failed", "Failed"),
        ("Failed", "Undeliverable"),
        ("TimedOut", "DeliveryTimedOut"),
        ("TimedOut", "ExecutionTimedOut"),
        ("Cancelled", "Cancelled"),
    ] {
        let entry = ends(&[], status, details, "").await;
        assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
        assert!(
            entry["why"].as_str().unwrap().ends_with(details),
            "{entry:#}"
        );
    }
}

/// Promise P97. With `PASS_RULE=failed=0` an instance passes if its playbook succeeded, reached its
/// host, and no task failed.
#[tokio::test]
async fn with_changed_0_an_instance_that_would_change_does_not_serve() {
    let strict = [("PASS_RULE", "changed=0"), ("CHECK_MODE", "true")];
    for (changed, unreachable, failed, outcome) in [
        (0, 0, 0, "continued"),
        (1, 0, 0, "abandoned"),
        (0, 1, 0, "abandoned"),
        (0, 0, 1, "abandoned"),
    ] {
        let entry = ends(
            &strict,
            "Success",
            "Success",
            &playbook(changed, unreachable, failed),
        )
        .await;
        assert_eq!(entry["outcome"], outcome, "{entry:#}");
        let figures = format!("changed={changed} unreachable={unreachable} failed={failed}");
        assert_eq!(
            entry["why"].as_str().unwrap().ends_with(&figures),
            outcome == "abandoned",
            "{entry:#}"
        );
    }
}

/// Promise P97. With `PASS_RULE=failed=0` an instance passes if its playbook succeeded, reached its
/// host, and no task failed.
#[tokio::test]
async fn check_mode_is_a_parameter_of_the_document() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let settings = [
        ("CHECK_MODE", "true"),
        ("PLAYBOOK_FILE", "site/all.yaml"),
        ("PLAYBOOK_TIMEOUT_SECONDS", "90"),
    ];
    response(fleet.call(&settings, launched(INSTANCE)).await);
    let parameters = &fleet.ssm.commands()[0].parameters;
    let parameter = |name: &str| parameters[name][0].as_str();
    assert_eq!(
        ["Check", "PlaybookFile", "TimeoutSeconds"].map(parameter),
        ["True", "site/all.yaml", "90"]
    );
    assert!(!parameters.contains_key("ExtraVariables"), "{parameters:?}");
}

/// Promise P97. With `PASS_RULE=failed=0` an instance passes if its playbook succeeded, reached its
/// host, and no task failed.
#[tokio::test]
async fn an_output_without_a_complete_recap_does_not_pass() {
    let whole = playbook(0, 0, 0);
    let at = whole.find("PLAY RECAP").unwrap();
    let half = &whole[..whole.find("failed=0").unwrap() + "failed=0".len()];
    let no_host = "PLAY RECAP *****\n\n";
    let garbage = "PLAY RECAP *****\nno counts\n";
    for stdout in [
        "",
        &whole[..at],
        half,
        no_host,
        garbage,
        "skipping: no hosts matched\n",
    ] {
        for rule in ["failed=0", "changed=0"] {
            let entry = ends(&[("PASS_RULE", rule)], "Success", "Success", stdout).await;
            assert_eq!(
                entry["outcome"], "abandoned",
                "{rule} {stdout:?}: {entry:#}"
            );
        }
    }
    // Only the last recap counts: a task can print an earlier one.
    let faked = format!(
        "PLAY RECAP *****\nlocalhost : ok=1 changed=0 unreachable=0 failed=0 ignored=0\n\n{}",
        playbook(0, 0, 1)
    );
    assert_eq!(
        ends(&[], "Success", "Success", &faked).await["outcome"],
        "abandoned"
    );
}

/// Promise P97. With `PASS_RULE=failed=0` an instance passes if its playbook succeeded, reached its
/// host, and no task failed.
#[tokio::test]
async fn with_failed_0_the_exit_code_replaces_a_recap_that_ssm_cut_off() {
    let long = "x".repeat(24_000) + "\n" + &playbook(0, 0, 0);
    let entry = ends(&[("PASS_RULE", "failed=0")], "Success", "Success", &long).await;
    assert_eq!(
        (entry["outcome"].as_str(), entry["recap"].as_object()),
        (Some("continued"), None),
        "{entry:#}"
    );
    assert!(
        entry["why"]
            .as_str()
            .unwrap()
            .contains("longer than SSM stores"),
        "{entry:#}"
    );
    // The exit code does not show whether something changed.
    let entry = ends(&[("PASS_RULE", "changed=0")], "Success", "Success", &long).await;
    assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
    let entry = ends(&[("PASS_RULE", "failed=0")], "Failed", "Failed", &long).await;
    assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
}

/// Promise P103. With a warm pool an instance is checked when it enters the pool, and again when it
/// leaves the pool to serve.
#[tokio::test]
async fn an_instance_is_checked_when_it_enters_the_warm_pool_and_when_it_leaves_it() {
    let fleet = Fleet::new();
    let function = fleet.start(&[]);
    fleet.autoscaling.launch_into_warm_pool(GROUP, INSTANCE);
    assert_eq!(response(function.invoke(tick()).await)["outcome"], "sent");
    let first = fleet.agents();
    assert_eq!(
        response(function.invoke(invocation(&first[0])).await)["outcome"],
        "completed"
    );
    assert_eq!(fleet.autoscaling.state(INSTANCE), "Warmed:Stopped");

    fleet.autoscaling.launch_from_warm_pool(INSTANCE);
    // The event of the first command arrives late. Its success must not count for the second wait.
    assert_eq!(
        response(function.invoke(invocation(&first[0])).await)["outcome"],
        "sent"
    );
    assert_eq!(fleet.autoscaling.state(INSTANCE), "Pending:Wait");
    let [_, second] = &fleet.ssm.commands()[..] else {
        panic!("{:?}", fleet.ssm.commands())
    };
    fleet
        .ssm
        .end(&second.id, "Failed", "Failed", &playbook(0, 0, 1));
    assert_eq!(
        response(function.invoke(tick()).await)["outcome"],
        "completed"
    );
    assert_eq!(fleet.results(INSTANCE), ["CONTINUE", "ABANDON"]);
}

/// Promise P103. With a warm pool an instance is checked when it enters the pool, and again when it
/// leaves the pool to serve.
#[tokio::test]
async fn an_instance_that_terminates_in_the_warm_pool_needs_no_command() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch_into_warm_pool(GROUP, OTHER);
    fleet.autoscaling.finish(OTHER);
    fleet.autoscaling.retire(OTHER);
    // The instance is stopped, so that its agent is not registered.
    fleet.ssm.deregister(OTHER);
    let answer = response(fleet.call(&[], tick()).await);
    assert_eq!(answer["instances"][0]["outcome"], "continued", "{answer:#}");
    assert_eq!(
        (fleet.ssm.commands().len(), fleet.results(OTHER)),
        (0, vec!["CONTINUE".to_owned()])
    );
}

/// Promises P99 and P103.
#[tokio::test]
async fn an_instance_whose_launch_was_abandoned_terminates_without_a_command() {
    for (from_warm_pool, is_late) in [(false, false), (true, false), (false, true), (true, true)] {
        let fleet = Fleet::new();
        fleet.autoscaling.cancel_late(is_late);
        let function = fleet.start(&[]);
        if from_warm_pool {
            fleet.autoscaling.launch_into_warm_pool(GROUP, INSTANCE);
            fleet.autoscaling.finish(INSTANCE);
            fleet.autoscaling.launch_from_warm_pool(INSTANCE);
        } else {
            fleet.autoscaling.launch(GROUP, INSTANCE);
        }
        response(function.invoke(launched(INSTANCE)).await);
        fleet.ssm.run(|_| CommandResult {
            status: "Failed".to_owned(),
            stdout: playbook(0, 0, 1),
        });
        assert_eq!(
            response(function.invoke(tick()).await)["instances"][0]["outcome"],
            "abandoned"
        );
        let entry = response(function.invoke(terminating(INSTANCE)).await)["instances"][0].clone();
        assert_eq!(entry["outcome"], "continued", "{entry:#}");
        assert_eq!(
            entry["why"],
            "the launch was abandoned: the instance has not served and has no logs"
        );
        assert_eq!(
            (
                fleet.autoscaling.state(INSTANCE).as_str(),
                fleet.ssm.commands().len()
            ),
            ("Terminated", 1)
        );
    }
    // An instance that served needs the command, also if the launch of another was abandoned.
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, OTHER);
    fleet.autoscaling.time_out(OTHER);
    fleet.serving(INSTANCE);
    fleet.autoscaling.terminate(INSTANCE);
    let answer = response(fleet.call(&[], terminating(INSTANCE)).await);
    assert_eq!(answer["outcome"], "sent", "{answer:#}");
}

/// Promise P103. With a warm pool an instance is checked when it enters the pool, and again when it
/// leaves the pool to serve.
#[tokio::test]
async fn in_a_group_that_reuses_instances_those_in_the_warm_pool_are_held() {
    let only_logs = [("LAUNCH_HOOK", "")];
    for settings in [&[][..], &only_logs] {
        let fleet = Fleet::new();
        fleet.serving(INSTANCE);
        fleet.autoscaling.return_to_warm_pool(GROUP, INSTANCE);
        fleet.autoscaling.launch_into_warm_pool(GROUP, OTHER);
        let function = fleet.start(settings);
        for event in [tick(), terminating(INSTANCE), launched(INSTANCE)] {
            let ignored =
                event["detail-type"].as_str().unwrap().contains("launch") && !settings.is_empty();
            let answer = response(function.invoke(event).await);
            let outcome = if ignored { "ignored" } else { "held" };
            assert_eq!(answer["outcome"], outcome, "{answer:#}");
            let why = answer["why"].as_str().unwrap();
            assert!(ignored || why.contains("(ReuseOnScaleIn)"), "{answer:#}");
            assert!(ignored || answer["code"] == "warm_pool_reuse", "{answer:#}");
        }
        assert_eq!(
            (
                fleet.ssm.commands().len(),
                fleet.autoscaling.completed().len()
            ),
            (0, 0)
        );
    }
    // Instances outside of the pool are handled as usual.
    let fleet = Fleet::new();
    for instance in [INSTANCE, OTHER] {
        fleet.serving(instance);
    }
    fleet.autoscaling.return_to_warm_pool(GROUP, OTHER);
    fleet.autoscaling.terminate(INSTANCE);
    let answer = response(fleet.call(&[], tick()).await);
    let outcomes: Vec<_> = answer["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["outcome"])
        .collect();
    assert_eq!(outcomes, ["held", "sent"], "{answer:#}");
}

/// Promise P103. With a warm pool an instance is checked when it enters the pool, and again when it
/// leaves the pool to serve.
#[tokio::test]
async fn an_instance_that_served_and_returned_to_the_warm_pool_is_held() {
    let fleet = Fleet::new();
    fleet.serving(INSTANCE);
    fleet.autoscaling.return_to_warm_pool(GROUP, INSTANCE);
    fleet.autoscaling.finish(INSTANCE);
    // A person switches ReuseOnScaleIn off, which is one way to resolve `held`.
    fleet.autoscaling.reuse(GROUP, false);
    fleet.autoscaling.retire(INSTANCE);
    let answer = response(fleet.call(&[], tick()).await);
    assert_eq!(answer["outcome"], "held", "{answer:#}");
    assert!(
        answer["why"]
            .as_str()
            .unwrap()
            .contains("or did so before (ReuseOnScaleIn)"),
        "{answer:#}"
    );
    assert!(fleet.results(INSTANCE).is_empty());
}
