//! Each call of a run fails once in every way, or the process is killed at it. After that follow
//! the usual events: the same event if the run failed, and the schedules. Promises P42, P46 and
//! P47: all cases, not samples.
//!
//! A monitor checks at each call that viewers have a live side.

use super::A;
use serde_json::Value;
use stand_in::{Answer, Call, Fault, Function, Object};
use std::collections::HashSet;
use std::sync::Mutex;
use stories::faults::{DisruptedRun, Disruption, PreparedRun, every_request_disrupted, usual};
use stories::pair::{
    ALERT, CHANNELS, CONTROL, ENDPOINTS, INDEX, PUBLIC, STATE, STEERING, Stage, ViewerMonitor,
    alert_set,
};
use stories::{event, response};

/// A run whose end must not depend on a disruption.
pub(crate) struct Scene {
    /// Which function runs.
    pub(crate) stem: &'static str,
    /// Its settings, and those of the schedules.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// Whether A's alert is set during all runs.
    pub(crate) is_lost: bool,
    pub(crate) event: fn() -> Value,
    /// Whether the process has run before.
    pub(crate) is_warm: bool,
}

/// The documents and the endpoint before a run. A stage cannot be copied, so each run gets a new
/// stage with these.
pub(crate) struct Before {
    origin: String,
    documents: Vec<(&'static str, &'static str, Object)>,
    a: Option<Value>,
}

impl Before {
    /// Reads them from a stage.
    pub(crate) fn of(stage: &Stage) -> Self {
        let all = [(CONTROL, STATE), (PUBLIC, INDEX), (PUBLIC, STEERING)].into_iter();
        Self {
            origin: stage.mediapackage.origin_url(),
            documents: all
                .filter_map(|(bucket, key)| Some((bucket, key, stage.s3.object(bucket, key)?)))
                .collect(),
            a: stage.mediapackage.endpoint(ENDPOINTS[A]),
        }
    }

    /// A new stage with the same contents.
    fn new_stage(&self, scene: &Scene) -> Stage {
        let stage = Stage::new();
        for (bucket, key, object) in &self.documents {
            let text = String::from_utf8(object.body.to_vec()).unwrap();
            let body = text
                .replace(&self.origin, &stage.mediapackage.origin_url())
                .into();
            stage.s3.put_object(
                bucket,
                key,
                Object {
                    body,
                    size_bytes: 0,
                    ..object.clone()
                },
            );
        }
        match &self.a {
            None => stage.mediapackage.delete(ENDPOINTS[A]),
            Some(definition) => drop(stage.mediapackage.update(ENDPOINTS[A], definition)),
        }
        if scene.is_lost {
            stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
        }
        stage
    }
}

/// Starts the function, and runs it once if the scene is warm.
async fn start(scene: &Scene, stage: &Stage) -> Function {
    let function = stage.start(scene.stem, scene.settings);
    if scene.is_warm {
        let dry_run = serde_json::json!({ "onair": { "dry_run": true } });
        function.invoke(dry_run).await.into_response();
    }
    function
}

/// Runs both schedules once.
async fn schedules(scene: &Scene, stage: &Stage) {
    for (stem, file) in [
        ("fail-over", "fail-over/schedule.json"),
        ("fail-back", "fail-back/schedule.json"),
    ] {
        let answer = stage.call(stem, scene.settings, event(file)).await;
        assert!(matches!(answer, Answer::Response(_)), "{stem}: {answer:?}");
    }
}

fn assert_no_breaches(watch: &ViewerMonitor, when: &str) {
    let breaches = watch.breaches();
    assert!(breaches.is_empty(), "{when}: {breaches:#?}");
}

/// The same, except after a failed write of the steering manifest: the lost side is still cut, and
/// players switch without steering.
fn assert_no_breaches_after(watch: &ViewerMonitor, faulty: &Call, when: &str) {
    let mut breaches = watch.breaches();
    breaches.retain(|breach| {
        faulty.key != STEERING || !breach.contains("the first pathway is not on a serving endpoint")
    });
    assert!(breaches.is_empty(), "{when}: {breaches:#?}");
}

/// A stage, and the monitor that checks it at each call.
struct Watched {
    stage: Stage,
    watch: ViewerMonitor,
}

/// The result of the undisturbed run, and the results that need no second check.
struct Expected {
    undisturbed: Value,
    /// The results of disrupted runs, each with whether the event is repeated, that led to the
    /// expected end. A function depends only on what it reads, so one check of each is enough.
    ended_well: Mutex<HashSet<(String, bool)>>,
}

/// Runs what follows a disrupted run: the same event if it is repeated, and the schedules.
async fn ends_the_same(scene: &Scene, expected: &Expected, disrupted: DisruptedRun<Watched>) {
    let Expected {
        undisturbed,
        ended_well,
    } = expected;
    let when = format!("{} {:?}: {disrupted}", scene.stem, scene.settings);
    let DisruptedRun {
        world: Watched { stage, watch },
        function,
        event,
        disruption,
        call,
        answer,
    } = disrupted;
    assert_no_breaches_after(&watch, &call, &when);

    let is_forbidden = disruption.is_status(403);
    let left = stage.picture();
    let is_done = left == *undisturbed;
    match &answer {
        Answer::Died { .. } => {}
        // A failed request for a playlist is not an error, but a reason to wait.
        Answer::Response(_) if call.service == "origin" => {}
        Answer::Error { error_type, .. } if is_forbidden => assert_eq!(error_type, "Aws", "{when}"),
        // The endpoint exists, but the run cannot know that it created the endpoint.
        Answer::Error { error_type, .. } if call.operation == "CreateOriginEndpoint" => {
            assert!(
                error_type == "Aws" && disruption == Disruption::Fault(Fault::ResetAfter),
                "{when}"
            );
        }
        // The run itself retries transient failures.
        Answer::Response(_) => assert!(is_done && !is_forbidden, "{when}"),
        _ => panic!("{when}"),
    }
    // A failed event is repeated. A person whose request is held repeats it as well.
    let is_by_hand = event["onair"].is_object();
    let comes_again = is_by_hand || matches!(answer, Answer::Error { .. } | Answer::Died { .. });
    let left = (left.to_string(), comes_again);
    if is_done || ended_well.lock().unwrap().contains(&left) {
        return;
    }
    let watch = stage.monitor_viewers();
    if comes_again {
        let again = match answer {
            Answer::Died { .. } => stage.start(scene.stem, scene.settings),
            _ => function,
        };
        response(again.invoke(event).await);
    }
    assert_no_breaches_after(&watch, &call, &when);
    let watch = stage.monitor_viewers();
    schedules(scene, &stage).await;
    assert_no_breaches(&watch, &when);
    assert_eq!(
        format!("{:#}", stage.picture()),
        format!("{undisturbed:#}"),
        "{when}"
    );
    ended_well.lock().unwrap().insert(left);
}

/// Checks the undisturbed run, and returns its result.
async fn ends_well(
    scene: &Scene,
    at_first: &Value,
    run: Watched,
    function: &Function,
    answer: Answer,
) -> Value {
    let Watched { stage, watch } = run;
    let answer = response(answer);
    assert!(
        ["failed_over", "failed_back"].contains(&answer["outcome"].as_str().unwrap()),
        "{answer:#}"
    );
    assert_no_breaches(&watch, "undisturbed");
    let undisturbed = stage.picture();
    assert_ne!(*at_first, undisturbed);
    // The same event and the schedules change nothing afterwards.
    let answer = response(function.invoke((scene.event)()).await);
    assert_eq!(answer["outcome"], "unchanged", "{answer:#}");
    schedules(scene, &stage).await;
    assert_eq!(stage.picture(), undisturbed);
    undisturbed
}

/// Disrupts each call of a run in every way.
pub(crate) async fn every_faulty_call(scene: Scene, before: Before) {
    let at_first = before.new_stage(&scene).picture();
    let prepare = async || {
        let stage = before.new_stage(&scene);
        let function = start(&scene, &stage).await;
        let watch = stage.monitor_viewers();
        let traffic = stage.traffic.clone();
        PreparedRun {
            world: Watched { stage, watch },
            traffic,
            function,
            event: (scene.event)(),
        }
    };
    let undisturbed = async |run, function: &Function, answer| Expected {
        undisturbed: ends_well(&scene, &at_first, run, function, answer).await,
        ended_well: Mutex::default(),
    };
    let check =
        async |expected: &Expected, disrupted| ends_the_same(&scene, expected, disrupted).await;
    let calls = every_request_disrupted(scene.stem, &usual(), prepare, undisturbed, check).await;
    assert!(calls.len() >= 7, "{calls:?}");
}

/// A published pair whose side A loses its input.
async fn on_an_alert(settings: &'static [(&'static str, &'static str)], is_warm: bool) {
    let before = Before::of(&Stage::published(settings).await);
    let event = || alert_set(A);
    every_faulty_call(
        Scene {
            stem: "fail-over",
            settings,
            is_lost: true,
            event,
            is_warm,
        },
        before,
    )
    .await;
}

#[tokio::test]
async fn every_faulty_call_ends_the_same_where_the_side_is_deleted() {
    on_an_alert(&[("CUT", "delete")], false).await;
}

#[tokio::test]
async fn every_faulty_call_ends_the_same_where_the_side_is_denied() {
    on_an_alert(&[("CUT", "deny")], false).await;
}

#[tokio::test]
async fn every_faulty_call_ends_the_same_where_steering_alone_moves_viewers() {
    on_an_alert(&[("CUT", "none")], false).await;
}

/// A process that has run before probes the other side while it reads the documents.
#[tokio::test]
async fn every_faulty_call_ends_the_same_in_a_warm_process() {
    on_an_alert(&[("CUT", "delete")], true).await;
}

/// The run of the schedule.
async fn on_the_schedule(settings: &'static [(&'static str, &'static str)], before: Before) {
    let event = || event("fail-over/schedule.json");
    every_faulty_call(
        Scene {
            stem: "fail-over",
            settings,
            is_lost: true,
            event,
            is_warm: false,
        },
        before,
    )
    .await;
}

/// The schedule detects the loss.
#[tokio::test]
async fn every_faulty_call_ends_the_same_where_the_schedule_detects_the_loss() {
    let settings = &[("CUT", "delete")];
    on_the_schedule(settings, Before::of(&Stage::published(settings).await)).await;
}

/// The earlier run wrote only the state.
#[tokio::test]
async fn every_faulty_call_ends_the_same_where_the_schedule_completes_the_run() {
    let settings = &[("CUT", "delete")];
    let stage = Stage::published(settings).await;
    let mut before = Before::of(&stage);
    stage
        .call("fail-over", settings, alert_set(A))
        .await
        .into_response();
    before.documents.extend(
        Before::of(&stage)
            .documents
            .into_iter()
            .filter(|(_, key, _)| *key == STATE),
    );
    on_the_schedule(settings, before).await;
}
