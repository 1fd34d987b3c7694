//! Every request of a run fails once in every way, or the process is killed at the request. After
//! that the usual events follow: the same event if the run failed, the agents, the schedule.
//! Promise P107: all cases, not samples.

use serde_json::Value;
use stand_in::{Answer, Fault};
use stories::faults::{DisruptedRun, Disruption, PreparedRun, every_request_disrupted, usual};
use stories::fleet::{Fleet, GROUP, INSTANCE, OTHER, launched, playbook, terminating, tick};
use stories::response;

/// A run that must end the same after every disruption.
#[derive(Clone, Copy)]
struct Scene {
    name: &'static str,
    prepare: fn(&Fleet),
    /// The agents' actions after a first undisturbed run. `None` if the disturbed run is the first.
    agents: Option<fn(&Fleet)>,
    event: fn() -> Value,
    /// The number of commands in the end.
    commands: usize,
    /// The results of the waits.
    results: &'static [(&'static str, &'static str)],
}

fn agents(fleet: &Fleet) {
    fleet.agents();
}

fn failing(fleet: &Fleet) {
    fleet.ssm.run(|_| stand_in::CommandResult {
        status: "Failed".to_owned(),
        stdout: playbook(0, 0, 1),
    });
}

fn one_launch(fleet: &Fleet) {
    fleet.autoscaling.launch(GROUP, INSTANCE);
}

fn one_goes(fleet: &Fleet) {
    fleet.serving(INSTANCE);
    fleet.autoscaling.terminate(INSTANCE);
}

fn one_each(fleet: &Fleet) {
    fleet.serving(OTHER);
    fleet.autoscaling.terminate(OTHER);
    fleet.autoscaling.launch(GROUP, INSTANCE);
}

fn a_launch() -> Value {
    launched(INSTANCE)
}

fn a_termination() -> Value {
    terminating(INSTANCE)
}

/// The group and the function before the disturbed run.
async fn before(scene: Scene) -> PreparedRun<Fleet> {
    let fleet = Fleet::new();
    (scene.prepare)(&fleet);
    let function = fleet.start(&[]);
    if let Some(agents) = scene.agents {
        response(function.invoke(tick()).await);
        agents(&fleet);
    }
    fleet.traffic.reset_calls();
    PreparedRun {
        traffic: fleet.traffic.clone(),
        world: fleet,
        function,
        event: (scene.event)(),
    }
}

/// Lets the usual events follow a disturbed run, and checks how they end.
async fn ends_the_same(scene: Scene, disrupted: DisruptedRun<Fleet>) {
    let when = format!("{}: {disrupted}", scene.name);
    let DisruptedRun {
        world: fleet,
        event,
        disruption,
        call,
        answer,
        ..
    } = disrupted;
    match &answer {
        Answer::Error { error_type, .. } => {
            // SendCommand is not retried: if only its response was lost, a retry would send a
            // second command. S3 throttles by 503, and has no code ThrottlingException.
            let is_unknown_code = call.service == "s3" && disruption.is_status(400);
            let is_final =
                disruption.is_status(403) || is_unknown_code || call.operation == "SendCommand";
            assert!(error_type == "Aws" && is_final, "{when}");
        }
        // The SDK retries everything else within the run.
        Answer::Response(_) | Answer::Died { .. } => {}
        _ => panic!("{when}"),
    }
    let function = fleet.start(&[]);
    if !matches!(answer, Answer::Response(_)) {
        response(function.invoke(event).await);
    }
    for _ in 0..2 {
        response(function.invoke(tick()).await);
        scene.agents.unwrap_or(agents)(&fleet);
    }
    response(function.invoke(tick()).await);
    let mut results = fleet.autoscaling.completed();
    results.sort();
    let mut expected: Vec<_> = scene
        .results
        .iter()
        .map(|(id, result)| ((*id).to_owned(), (*result).to_owned()))
        .collect();
    expected.sort();
    assert_eq!(results, expected, "{when}");
    // No disruption causes a second command.
    assert_eq!(fleet.ssm.commands().len(), scene.commands, "{when}");
}

async fn ends_the_same_after_every_fault(scene: Scene) {
    let throttling = Fault::Status {
        status: 400,
        code: "ThrottlingException",
    };
    let disruptions = [usual(), vec![Disruption::Fault(throttling)]].concat();
    let calls = every_request_disrupted(
        scene.name,
        &disruptions,
        async || before(scene).await,
        async |_, _, answer| drop(response(answer)),
        async |(), disrupted| ends_the_same(scene, disrupted).await,
    )
    .await;
    assert!(calls.len() >= 4, "{calls:?}");
}

/// Promise P107. If any one call fails, or the run is killed at any call, the schedule's next runs
/// reach the end state of an undisturbed run.
#[tokio::test]
async fn a_run_that_sends_a_playbook_ends_the_same_after_every_fault() {
    let results = &[(INSTANCE, "CONTINUE")];
    let scene = Scene {
        name: "launch",
        prepare: one_launch,
        agents: None,
        event: a_launch,
        commands: 1,
        results,
    };
    ends_the_same_after_every_fault(scene).await;
}

/// Promise P107. If any one call fails, or the run is killed at any call, the schedule's next runs
/// reach the end state of an undisturbed run.
#[tokio::test]
async fn a_run_that_judges_a_playbook_ends_the_same_after_every_fault() {
    let results = &[(INSTANCE, "CONTINUE")];
    let scene = Scene {
        name: "passed",
        prepare: one_launch,
        agents: Some(agents),
        event: a_launch,
        commands: 1,
        results,
    };
    ends_the_same_after_every_fault(scene).await;
    // An abandoned instance waits to terminate, and terminates without a command.
    let results = &[(INSTANCE, "ABANDON"), (INSTANCE, "CONTINUE")];
    let scene = Scene {
        name: "failed",
        prepare: one_launch,
        agents: Some(failing),
        event: tick,
        commands: 1,
        results,
    };
    ends_the_same_after_every_fault(scene).await;
}

/// Promise P107. If any one call fails, or the run is killed at any call, the schedule's next runs
/// reach the end state of an undisturbed run.
#[tokio::test]
async fn a_run_that_saves_logs_ends_the_same_after_every_fault() {
    let results = &[(INSTANCE, "CONTINUE")];
    let scene = Scene {
        name: "terminate",
        prepare: one_goes,
        agents: None,
        event: a_termination,
        commands: 1,
        results,
    };
    ends_the_same_after_every_fault(scene).await;
    let scene = Scene {
        name: "saved",
        prepare: one_goes,
        agents: Some(agents),
        event: a_termination,
        commands: 1,
        results,
    };
    ends_the_same_after_every_fault(scene).await;
}

/// Promise P107. If any one call fails, or the run is killed at any call, the schedule's next runs
/// reach the end state of an undisturbed run.
#[tokio::test]
async fn a_scheduled_run_ends_the_same_after_every_fault() {
    let results = &[(INSTANCE, "CONTINUE"), (OTHER, "CONTINUE")];
    let scene = Scene {
        name: "both",
        prepare: one_each,
        agents: None,
        event: tick,
        commands: 2,
        results,
    };
    ends_the_same_after_every_fault(scene).await;
    let scene = Scene {
        name: "both ran",
        prepare: one_each,
        agents: Some(agents),
        event: tick,
        commands: 2,
        results,
    };
    ends_the_same_after_every_fault(scene).await;
}
