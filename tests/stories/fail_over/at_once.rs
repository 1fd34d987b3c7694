//! Two runs at the same time. Promise P42: at no moment are both sides cut.

use super::{A, B};
use serde_json::Value;
use stand_in::Function;
use std::time::Duration;
use stories::pair::{ALERT, CHANNELS, Stage, ViewerMonitor, alert_cleared, alert_set, by_hand};
use stories::{event, response};

/// How often two runs are started together.
const REPETITIONS: u64 = 24;

/// The delays of both starts: from a whole run ahead to a whole run behind.
fn head_start(repetition: u64) -> (Duration, Duration) {
    let ms = |steps: u64| Duration::from_millis(5 * steps);
    let half = REPETITIONS / 2;
    (
        ms(half.saturating_sub(repetition)),
        ms(repetition.saturating_sub(half)),
    )
}

/// Restores and publishes the pair, without latency.
async fn reset_pair(stage: &Stage, publish_playlist: &Function) {
    stage.traffic.set_latency(Duration::ZERO);
    stage.renew();
    response(
        publish_playlist
            .invoke(event("publish-playlist/by-hand.json"))
            .await,
    );
}

/// Adds latency to each request and starts the monitor. Returns the start delays of two runs.
fn start_watched_race(stage: &Stage, repetition: u64) -> (ViewerMonitor, Duration, Duration) {
    let watch = stage.monitor_viewers();
    stage.traffic.set_latency(Duration::from_millis(4));
    let (a, b) = head_start(repetition);
    (watch, a, b)
}

async fn after(wait: Duration, function: &Function, event: Value) -> Value {
    tokio::time::sleep(wait).await;
    response(function.invoke(event).await)
}

/// Runs the schedules until nothing changes. Returns the breaches in the meantime.
async fn run_schedules_until_stable(
    stage: &Stage,
    fail_over: &Function,
    fail_back: &Function,
) -> Vec<String> {
    let watch = stage.monitor_viewers();
    for _ in 0..4 {
        let before = stage.snapshot();
        response(fail_over.invoke(event("fail-over/schedule.json")).await);
        response(fail_back.invoke(event("fail-back/schedule.json")).await);
        if stage.snapshot() == before {
            return watch.breaches();
        }
    }
    panic!("the pair keeps changing: {:#}", stage.state());
}

/// Both sides are lost at the same time. Each alert has its own process, and each request has
/// latency.
async fn both_lost_at_once(cut: &str) {
    let settings = [("CUT", cut)];
    let stage = Stage::new();
    let processes = [A, B].map(|_| stage.start("fail-over", &settings));
    let publish_playlist = stage.start("publish-playlist", &settings);
    let mut cuts = [0, 0];
    for repetition in 0..REPETITIONS {
        reset_pair(&stage, &publish_playlist).await;
        let (watch, a, b) = start_watched_race(&stage, repetition);
        let answers = tokio::join!(
            after(a, &processes[A], alert_set(A)),
            after(b, &processes[B], alert_set(B))
        );
        assert_eq!(watch.breaches(), [""; 0], "{repetition}: {answers:#?}");
        let lost = stage
            .statuses()
            .iter()
            .position(|status| status == "cut")
            .unwrap();
        assert_eq!(stage.statuses()[1 - lost], "live");
        let outcomes = [&answers.0["outcome"], &answers.1["outcome"]];
        assert_eq!(
            (outcomes[lost].as_str(), outcomes[1 - lost].as_str()),
            (Some("failed_over"), Some("held"))
        );
        assert!(answers.0["why"] != answers.1["why"]);
        cuts[lost] += 1;
    }
    assert!(
        cuts[A] > 0 && cuts[B] > 0,
        "the runs did not race: {cuts:?}"
    );
}

#[tokio::test]
async fn of_two_sides_that_are_lost_at_once_one_is_deleted() {
    both_lost_at_once("delete").await;
}

#[tokio::test]
async fn of_two_sides_that_are_lost_at_once_one_is_denied() {
    both_lost_at_once("deny").await;
}

#[tokio::test]
async fn of_two_sides_that_are_lost_at_once_one_is_left() {
    both_lost_at_once("none").await;
}

/// B is lost while A returns.
async fn one_is_lost_while_the_other_returns(
    settings: &[(&str, &str)],
    cleared: fn(usize) -> Value,
) {
    let stage = Stage::new();
    let (fail_over, fail_back) = (
        stage.start("fail-over", settings),
        stage.start("fail-back", settings),
    );
    let publish_playlist = stage.start("publish-playlist", settings);
    for repetition in 0..REPETITIONS {
        reset_pair(&stage, &publish_playlist).await;
        response(fail_over.invoke(alert_set(A)).await);
        stage.medialive.set_alert(CHANNELS[B], 0, ALERT);
        let (watch, a, b) = start_watched_race(&stage, repetition);
        let answers = tokio::join!(
            after(a, &fail_back, cleared(A)),
            after(b, &fail_over, alert_set(B))
        );
        assert_eq!(watch.breaches(), [""; 0], "{repetition}: {answers:#?}");
        stage.traffic.set_latency(Duration::ZERO);
        assert_eq!(
            run_schedules_until_stable(&stage, &fail_over, &fail_back).await,
            [""; 0],
            "{repetition}: {answers:#?}"
        );
        assert_eq!(
            stage.statuses(),
            ["live", "cut"],
            "{repetition}: {answers:#?}"
        );
        assert_eq!(stage.state()["first"], "A");
        stage.medialive.clear_alert(CHANNELS[B], 0, ALERT);
    }
}

#[tokio::test]
async fn a_side_that_is_lost_while_the_other_returns_from_deletion_waits_for_it() {
    one_is_lost_while_the_other_returns(&[("CUT", "delete")], alert_cleared).await;
}

#[tokio::test]
async fn a_side_that_is_lost_while_a_person_brings_the_other_back_waits_for_it() {
    one_is_lost_while_the_other_returns(&[("CUT", "deny"), ("QUIET_SECONDS", "3600")], by_hand)
        .await;
}

/// A is lost again while it returns. The end depends on which run is first, but no viewer is sent
/// to A.
#[tokio::test]
async fn a_side_that_is_lost_again_while_it_returns_stays_cut() {
    for cut in ["delete", "deny"] {
        let settings = [("CUT", cut)];
        let stage = Stage::new();
        let (fail_over, fail_back) = (
            stage.start("fail-over", &settings),
            stage.start("fail-back", &settings),
        );
        let publish_playlist = stage.start("publish-playlist", &settings);
        for repetition in 0..REPETITIONS {
            reset_pair(&stage, &publish_playlist).await;
            response(fail_over.invoke(alert_set(A)).await);
            let (watch, a, b) = start_watched_race(&stage, repetition);
            let again = async {
                tokio::time::sleep(b).await;
                stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
                response(fail_over.invoke(alert_set(A)).await)
            };
            let answers = tokio::join!(after(a, &fail_back, alert_cleared(A)), again);
            assert_eq!(watch.breaches(), [""; 0], "{repetition}: {answers:#?}");
            stage.traffic.set_latency(Duration::ZERO);
            assert_eq!(
                run_schedules_until_stable(&stage, &fail_over, &fail_back).await,
                [""; 0],
                "{repetition}: {answers:#?}"
            );
            assert_eq!(
                stage.statuses(),
                ["cut", "live"],
                "{repetition}: {answers:#?}"
            );
            assert_eq!(stage.variants()[0].0, "B");
            stage.medialive.clear_alert(CHANNELS[A], 0, ALERT);
            run_schedules_until_stable(&stage, &fail_over, &fail_back).await;
            assert_eq!(
                stage.statuses(),
                ["live", "live"],
                "{repetition}: {answers:#?}"
            );
        }
    }
}

/// Promise P37 as well: a scheduled publication runs at the same time.
#[tokio::test]
async fn publishing_at_the_same_time_changes_nothing_about_a_fail_over() {
    let settings = [("CUT", "delete")];
    let stage = Stage::new();
    let (fail_over, publish_playlist) = (
        stage.start("fail-over", &settings),
        stage.start("publish-playlist", &settings),
    );
    let mut end = None;
    for repetition in 0..REPETITIONS {
        reset_pair(&stage, &publish_playlist).await;
        let (watch, a, b) = start_watched_race(&stage, repetition);
        let publish = after(
            b,
            &publish_playlist,
            event("publish-playlist/schedule.json"),
        );
        let answers = tokio::join!(after(a, &fail_over, alert_set(A)), publish);
        assert_eq!(watch.breaches(), [""; 0], "{repetition}: {answers:#?}");
        assert_eq!(
            answers.0["outcome"], "failed_over",
            "{repetition}: {answers:#?}"
        );
        stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
        response(fail_over.invoke(event("fail-over/schedule.json")).await);
        stage.medialive.clear_alert(CHANNELS[A], 0, ALERT);
        let picture = stage.picture();
        assert_eq!(
            *end.get_or_insert_with(|| picture.clone()),
            picture,
            "{repetition}: {answers:#?}"
        );
    }
}
