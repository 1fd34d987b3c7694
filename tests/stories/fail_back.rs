//! `fail-back`: see the same heading in `docs/behaviour.md`.

mod all_three;
mod any_cloud;
mod faults;
mod health;
mod returning;

use serde_json::{Value, json};
use stories::pair::{CHANNELS, Stage, alarm, alarm_ok, alert_cleared, alert_set, by_hand};
use stories::{error, event, response};

const A: usize = 0;
const B: usize = 1;

/// Runs the function once, and returns its answer.
async fn run(stage: &Stage, settings: &[(&str, &str)], event: Value) -> Value {
    response(stage.call("fail-back", settings, event).await)
}

/// A pair whose inputs are healthy, and of which this side was cut.
async fn cut(settings: &[(&str, &str)], side: usize) -> Stage {
    let stage = Stage::published(settings).await;
    let answer = response(stage.call("fail-over", settings, alert_set(side)).await);
    assert_eq!(answer["outcome"], "failed_over", "{answer:#}");
    stage
}

/// Promise P51. An alert that is CLEARED, an alarm that changes to OK, the schedule and a person
/// can return a side.
#[tokio::test]
async fn a_cleared_alert_an_alarm_that_is_over_the_schedule_and_a_person_bring_a_side_back() {
    for side in [A, B] {
        for event in [
            alert_cleared(side),
            alarm_ok(side),
            event("fail-back/schedule.json"),
            by_hand(side),
        ] {
            let stage = cut(&[], side).await;
            let answer = run(&stage, &[], event.clone()).await;
            let name = ["A", "B"][side];
            assert_eq!(
                (&answer["outcome"], &answer["returned"]),
                (&json!("failed_back"), &json!(name)),
                "{event}"
            );
            assert_eq!(stage.statuses(), ["live", "live"]);
            assert!(stage.bases()[side].is_some());
            assert_eq!(
                stage
                    .variants()
                    .iter()
                    .filter(|(pathway, _)| pathway.starts_with(name))
                    .count(),
                3
            );
        }
    }
}

/// Promise P51: an event is only a trigger. Fail-back checks the side that is cut.
#[tokio::test]
async fn an_event_of_the_live_side_brings_back_the_cut_side() {
    let stage = cut(&[], A).await;
    let answer = run(&stage, &[], alert_cleared(B)).await;
    assert_eq!(
        (&answer["outcome"], &answer["returned"]),
        (&json!("failed_back"), &json!("A"))
    );
}

/// Promise P51. An alert that is CLEARED, an alarm that changes to OK, the schedule and a person
/// can return a side.
#[tokio::test]
async fn without_a_cut_side_nothing_changes() {
    let stage = Stage::published(&[]).await;
    let before = stage.snapshot();
    for event in [
        alert_cleared(A),
        alarm_ok(B),
        event("fail-back/schedule.json"),
        by_hand(A),
    ] {
        assert_eq!(
            run(&stage, &[], event.clone()).await["outcome"],
            "unchanged",
            "{event}"
        );
        assert_eq!(stage.snapshot(), before);
    }
    let stage = Stage::new();
    let before = stage.snapshot();
    assert_eq!(
        run(&stage, &[], event("fail-back/schedule.json")).await["outcome"],
        "unchanged"
    );
    assert_eq!(stage.snapshot(), before);
}

/// Promise P51. An alert that is CLEARED, an alarm that changes to OK, the schedule and a person
/// can return a side.
#[tokio::test]
async fn new_alerts_and_unrelated_events_are_ignored_without_a_call() {
    let stage = Stage::new();
    let fail_back = stage.start("fail-back", &[]);
    let cleared = |change: fn(&mut Value)| {
        let mut event = alert_cleared(A);
        change(&mut event["detail"]);
        event
    };
    for event in [
        alert_set(A),
        alarm(A),
        event("fail-over/alarm-insufficient-data.json"),
        event("fail-over/channel-state-change.json"),
        cleared(|detail| detail["pipeline"] = "1".into()),
        cleared(|detail| detail["alert_type"] = "Failed to Create Output File or Socket".into()),
        cleared(|detail| {
            detail["channel_arn"] = "arn:aws:medialive:us-west-2:111122223333:channel:9".into();
        }),
        cleared(|detail| detail["alarm_state"] = "UPDATED".into()),
    ] {
        let answer = response(fail_back.invoke(event.clone()).await);
        assert_eq!(answer["outcome"], "ignored", "{event}");
        assert_ne!(answer["why"], "", "{event}");
    }
    for junk in [
        json!({}),
        json!(7),
        json!({ "detail-type": "MediaLive Channel Alert", "source": "aws.medialive" }),
        json!({ "onair": { "side": "B", "now": true } }),
        cleared(|detail| detail["channel_arn"] = CHANNELS[A].parse::<u64>().unwrap().into()),
    ] {
        let (kind, why) = error(fail_back.invoke(junk.clone()).await);
        assert_eq!(
            (kind.as_str(), why.is_empty()),
            ("BadEvent", false),
            "{junk}: {why}"
        );
    }
    assert_eq!(stage.traffic.calls(), []);
}
