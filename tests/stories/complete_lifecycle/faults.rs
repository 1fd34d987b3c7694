//! Every call of a run fails once in every way, or the process is killed there; then comes what would come anyway: the same
//! event if it failed, the agents, the schedule. Promise P107: all cases, not samples.

use futures::{StreamExt, stream};
use serde_json::Value;
use stand_in::{Answer, Fault};
use stories::fleet::{Fleet, GROUP, INSTANCE, OTHER, launched, playbook, terminating, tick};
use stories::response;

/// Cases at a time. They mostly wait for retries.
const AT_ONCE: usize = 8;

/// What goes wrong at one call.
#[derive(Debug, Clone)]
enum Trouble {
    Fault(Fault),
    /// The process is killed while there is no answer: before or after the effect.
    Kill(Fault),
}

fn troubles() -> [Trouble; 8] {
    [
        Trouble::Fault(Fault::status(500)),
        Trouble::Fault(Fault::status(503)),
        Trouble::Fault(Fault::status(403)),
        Trouble::Fault(Fault::Status { status: 400, code: "ThrottlingException" }),
        Trouble::Fault(Fault::ResetBefore),
        Trouble::Fault(Fault::ResetAfter),
        Trouble::Kill(Fault::HoldBefore),
        Trouble::Kill(Fault::HoldAfter),
    ]
}

/// A run whose end must not depend on trouble.
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
    fleet.ssm.run(|_| stand_in::Ran { status: "Failed".to_owned(), stdout: playbook(0, 0, 1) });
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

async fn at_the_run(scene: Scene) -> (Fleet, stand_in::Function) {
    let fleet = Fleet::new();
    (scene.prepare)(&fleet);
    let function = fleet.start(&[]);
    if let Some(agents) = scene.agents {
        response(function.invoke(tick()).await);
        agents(&fleet);
    }
    fleet.traffic.reset_calls();
    (fleet, function)
}

/// One run into trouble at one call, and what comes afterwards.
async fn troubled(scene: Scene, call: usize, trouble: &Trouble) {
    let (fleet, function) = at_the_run(scene).await;
    let answer = match trouble {
        Trouble::Fault(fault) => {
            fleet.traffic.fault(call, fault.clone());
            function.invoke((scene.event)()).await
        }
        Trouble::Kill(fault) => {
            fleet.traffic.fault(call, fault.clone());
            let killed = async {
                fleet.traffic.held().await;
                function.kill();
            };
            tokio::join!(function.invoke((scene.event)()), killed).0
        }
    };
    let struck = fleet.traffic.calls()[call].clone();
    let when = format!("{}: {trouble:?} at {struck:?}: {answer:?}", scene.name);
    match &answer {
        Answer::Died { .. } => assert!(matches!(trouble, Trouble::Kill(_)), "{when}"),
        Answer::Error { error_type, .. } => {
            let is_forbidden = matches!(trouble, Trouble::Fault(Fault::Status { status: 403, .. }));
            // Sending is tried once: an answer that was lost would make two commands of one.
            // S3 asks for patience by 503, and knows nothing of the other services' words.
            let is_strange = struck.service == "s3"
                && matches!(trouble, Trouble::Fault(Fault::Status { status: 400, .. }));
            let is_final = is_forbidden || is_strange || struck.operation == "SendCommand";
            assert!(error_type == "Aws" && is_final, "{when}");
        }
        // What a retry can mend is mended within the run.
        Answer::Response(_) => {}
        _ => panic!("{when}"),
    }
    let function = fleet.start(&[]);
    if !matches!(answer, Answer::Response(_)) {
        response(function.invoke((scene.event)()).await);
    }
    for _ in 0..2 {
        response(function.invoke(tick()).await);
        scene.agents.unwrap_or(agents)(&fleet);
    }
    response(function.invoke(tick()).await);
    let mut results = fleet.autoscaling.completed();
    results.sort();
    let mut expected: Vec<_> =
        scene.results.iter().map(|(id, result)| ((*id).to_owned(), (*result).to_owned())).collect();
    expected.sort();
    assert_eq!(results, expected, "{when}");
    // No trouble makes a second command of one.
    assert_eq!(fleet.ssm.commands().len(), scene.commands, "{when}");
}

async fn every_call_in_trouble(scene: Scene) {
    let (fleet, function) = at_the_run(scene).await;
    response(function.invoke((scene.event)()).await);
    let calls = fleet.traffic.calls().len();
    assert!(calls >= 4, "{:?}", fleet.operations());
    let cases = (0..calls).flat_map(|call| troubles().into_iter().map(move |trouble| (call, trouble)));
    let cases = stream::iter(cases).map(async |(call, trouble)| troubled(scene, call, &trouble).await);
    assert_eq!(cases.buffer_unordered(AT_ONCE).count().await, calls * troubles().len());
}

/// Promise P107.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_a_playbook_is_sent() {
    let results = &[(INSTANCE, "CONTINUE")];
    let scene =
        Scene { name: "launch", prepare: one_launch, agents: None, event: a_launch, commands: 1, results };
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
    let scene = Scene { name: "both", prepare: one_each, agents: None, event: tick, commands: 2, results };
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
