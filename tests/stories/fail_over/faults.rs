//! Every call of a run fails once in every way, or the process is killed there; then comes what
//! would come anyway: the same event if it failed, and the schedules. Promises P42, P46 and P47:
//! all cases, not samples.
//!
//! At every single call somebody looks whether viewers have somewhere to go.

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
    /// Which of A's alerts are set all the while.
    pub(crate) is_lost: bool,
    /// What it is invoked with.
    pub(crate) event: fn() -> Value,
    /// It is not its process's first run.
    pub(crate) is_warm: bool,
}

/// How things are before a run. A stage is too much to be copied, so this is put onto a new one.
pub(crate) struct Before {
    origin: String,
    documents: Vec<(&'static str, &'static str, Object)>,
    a: Option<Value>,
}

impl Before {
    /// As things are on this stage.
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

    /// The same on a stage of its own.
    fn again(&self, scene: &Scene) -> Stage {
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

/// Starts the function as the scene wants it.
async fn start(scene: &Scene, stage: &Stage) -> Function {
    let function = stage.start(scene.stem, scene.settings);
    if scene.is_warm {
        let dry_run = serde_json::json!({ "onair": { "dry_run": true } });
        function.invoke(dry_run).await.into_response();
    }
    function
}

/// What comes of itself, each minute.
async fn schedules(scene: &Scene, stage: &Stage) {
    for (stem, file) in [
        ("fail-over", "fail-over/schedule.json"),
        ("fail-back", "fail-back/schedule.json"),
    ] {
        let answer = stage.call(stem, scene.settings, event(file)).await;
        assert!(matches!(answer, Answer::Response(_)), "{stem}: {answer:?}");
    }
}

fn assert_bearable(watch: &ViewerMonitor, when: &str) {
    let breaches = watch.breaches();
    assert!(breaches.is_empty(), "{when}: {breaches:#?}");
}

/// The same, but where players cannot be told, the side that is lost is cut all the same: they go
/// by themselves.
fn assert_bearable_after(watch: &ViewerMonitor, struck: &Call, when: &str) {
    let mut breaches = watch.breaches();
    breaches.retain(|breach| {
        struck.key != STEERING || !breach.contains("the first pathway is not on a serving endpoint")
    });
    assert!(breaches.is_empty(), "{when}: {breaches:#?}");
}

/// A stage, and what was seen of it at each call so far.
struct Watched {
    stage: Stage,
    watch: ViewerMonitor,
}

/// A run that went well, and what was seen of others.
struct Expected {
    undisturbed: Value,
    /// How runs left things, and whether the event came again, where all that came then was seen to
    /// end well. A function knows nothing but what it reads, so it need not be seen twice.
    ended_well: Mutex<HashSet<(String, bool)>>,
}

/// What comes after a disrupted run: the same event if it would come again, and the schedules.
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
    assert_bearable_after(&watch, &call, &when);

    let is_forbidden = disruption.is_status(403);
    let left = stage.picture();
    let is_done = left == *undisturbed;
    match &answer {
        Answer::Died { .. } => {}
        // What a viewer does not get is no error, but a reason to wait.
        Answer::Response(_) if call.service == "origin" => {}
        Answer::Error { error_type, .. } if is_forbidden => assert_eq!(error_type, "Aws", "{when}"),
        // The endpoint is there, and whose it is must be looked at anew.
        Answer::Error { error_type, .. } if call.operation == "CreateOriginEndpoint" => {
            assert!(
                error_type == "Aws" && disruption == Disruption::Fault(Fault::ResetAfter),
                "{when}"
            );
        }
        // What a retry can mend is mended within the run.
        Answer::Response(_) => assert!(is_done && !is_forbidden, "{when}"),
        _ => panic!("{when}"),
    }
    // What failed comes again; a person who is told to wait does, too.
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
    assert_bearable_after(&watch, &call, &when);
    let watch = stage.monitor_viewers();
    schedules(scene, &stage).await;
    assert_bearable(&watch, &when);
    assert_eq!(
        format!("{:#}", stage.picture()),
        format!("{undisturbed:#}"),
        "{when}"
    );
    ended_well.lock().unwrap().insert(left);
}

/// What a run comes to that is not disrupted.
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
    assert_bearable(&watch, "undisturbed");
    let undisturbed = stage.picture();
    assert_ne!(*at_first, undisturbed);
    // The same event again, and the schedules, find nothing to do.
    let answer = response(function.invoke((scene.event)()).await);
    assert_eq!(answer["outcome"], "unchanged", "{answer:#}");
    schedules(scene, &stage).await;
    assert_eq!(stage.picture(), undisturbed);
    undisturbed
}

/// Every call of a run in every trouble.
pub(crate) async fn every_call_in_trouble(scene: Scene, before: Before) {
    let at_first = before.again(&scene).picture();
    let prepare = async || {
        let stage = before.again(&scene);
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

/// A pair that is published, and then A's input is lost.
async fn on_an_alert(settings: &'static [(&'static str, &'static str)], is_warm: bool) {
    let before = Before::of(&Stage::published(settings).await);
    let event = || alert_set(A);
    every_call_in_trouble(
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
async fn every_call_in_trouble_ends_the_same_where_the_side_is_deleted() {
    on_an_alert(&[("CUT", "delete")], false).await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_the_side_is_denied() {
    on_an_alert(&[("CUT", "deny")], false).await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_steering_alone_moves_viewers() {
    on_an_alert(&[("CUT", "none")], false).await;
}

/// A process that has run before looks at the other side while it reads.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_in_a_warm_process() {
    on_an_alert(&[("CUT", "delete")], true).await;
}

/// The schedule does it.
async fn on_the_schedule(settings: &'static [(&'static str, &'static str)], before: Before) {
    let event = || event("fail-over/schedule.json");
    every_call_in_trouble(
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

/// The schedule finds out, and does all of it.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_the_schedule_finds_out() {
    let settings = &[("CUT", "delete")];
    on_the_schedule(settings, Before::of(&Stage::published(settings).await)).await;
}

/// Only the state was written when the run before ended.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_the_schedule_finishes() {
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
