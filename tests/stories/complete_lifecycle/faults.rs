//! Every call of a run fails once in every way, or the process is killed there; then comes what
//! would come anyway: the same event if it failed, the agents, the schedule. Promise P107: all
//! cases, not samples.

use serde_json::Value;
use stand_in::{Answer, Fault};
use stories::faults::{DisruptedRun, Disruption, PreparedRun, every_request_disrupted, usual};
use stories::fleet::{Fleet, GROUP, INSTANCE, OTHER, launched, playbook, terminating, tick};
use stories::response;

/// A run whose end must not depend on a disruption.
#[derive(Clone, Copy)]
struct Scene {
    name: &'static str,
    /// Brings the group into the state before the run.
    prepare: fn(&Fleet),
    /// Whether agents have run, after a first undisturbed run.
    agents: Option<fn(&Fleet)>,
    event: fn() -> Value,
    /// How many commands there are in the end.
    commands: usize,
    /// How the waits end.
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

/// The group before the run, and the function that is about to get the event.
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

/// What comes after a disrupted run: the same event if the run failed, the agents, the schedule.
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
            // Sending is tried once: an answer that was lost would make two commands of one.
            // S3 asks for patience by 503, and knows nothing of the other services' words.
            let is_strange = call.service == "s3" && disruption.is_status(400);
            let is_final =
                disruption.is_status(403) || is_strange || call.operation == "SendCommand";
            assert!(error_type == "Aws" && is_final, "{when}");
        }
        // What a retry can mend is mended within the run.
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
    // No disruption makes a second command of one.
    assert_eq!(fleet.ssm.commands().len(), scene.commands, "{when}");
}

async fn every_call_in_trouble(scene: Scene) {
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

/// Promise P107.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_a_playbook_is_sent() {
    let results = &[(INSTANCE, "CONTINUE")];
    let scene = Scene {
        name: "launch",
        prepare: one_launch,
        agents: None,
        event: a_launch,
        commands: 1,
        results,
    };
    every_call_in_trouble(scene).await;
}

/// Promise P107.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_a_playbook_is_judged() {
    let results = &[(INSTANCE, "CONTINUE")];
    let scene = Scene {
        name: "passed",
        prepare: one_launch,
        agents: Some(agents),
        event: a_launch,
        commands: 1,
        results,
    };
    every_call_in_trouble(scene).await;
    // What is not let in waits to go, and goes without a command.
    let results = &[(INSTANCE, "ABANDON"), (INSTANCE, "CONTINUE")];
    let scene = Scene {
        name: "failed",
        prepare: one_launch,
        agents: Some(failing),
        event: tick,
        commands: 1,
        results,
    };
    every_call_in_trouble(scene).await;
}

/// Promise P107.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_logs_are_saved() {
    let results = &[(INSTANCE, "CONTINUE")];
    let scene = Scene {
        name: "terminate",
        prepare: one_goes,
        agents: None,
        event: a_termination,
        commands: 1,
        results,
    };
    every_call_in_trouble(scene).await;
    let scene = Scene {
        name: "saved",
        prepare: one_goes,
        agents: Some(agents),
        event: a_termination,
        commands: 1,
        results,
    };
    every_call_in_trouble(scene).await;
}

/// Promise P107.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_the_schedule_does_it_all() {
    let results = &[(INSTANCE, "CONTINUE"), (OTHER, "CONTINUE")];
    let scene = Scene {
        name: "both",
        prepare: one_each,
        agents: None,
        event: tick,
        commands: 2,
        results,
    };
    every_call_in_trouble(scene).await;
    let scene = Scene {
        name: "both ran",
        prepare: one_each,
        agents: Some(agents),
        event: tick,
        commands: 2,
        results,
    };
    every_call_in_trouble(scene).await;
}
