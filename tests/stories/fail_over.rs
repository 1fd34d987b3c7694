//! `fail-over`: see the same heading in `docs/behaviour.md`.

mod any_cloud;
mod at_once;
mod cutting;
pub(crate) mod faults;
mod orders;
mod refusing;
mod round_trips;
mod watching;

use serde_json::{Value, json};
use std::time::Duration;
use stories::pair::{
    ALERT, CHANNELS, Stage, ago, alarm, alarm_action, alarm_ok, alert_cleared, alert_set, by_hand,
};
use stories::{error, event, response};

const A: usize = 0;
const B: usize = 1;

/// Runs the function once, and returns its answer.
async fn run(stage: &Stage, settings: &[(&str, &str)], event: Value) -> Value {
    response(stage.call("fail-over", settings, event).await)
}

/// The same event at an earlier time.
fn late(mut event: Value, by: Duration) -> Value {
    event["time"] = ago(by).into();
    event
}

/// Promise P40. Four triggers make fail-over check a side: an alert, the side's alarm, the
/// schedule, and a person.
#[tokio::test]
async fn an_alert_an_alarm_the_schedule_and_a_person_move_viewers() {
    for side in [A, B] {
        for event in [
            alert_set(side),
            alarm(side),
            alarm_action(side),
            event("fail-over/schedule.json"),
            by_hand(side),
        ] {
            let stage = Stage::published(&[]).await;
            if event["source"] == "aws.events" {
                stage.medialive.set_alert(CHANNELS[side], 0, ALERT);
            }
            let (lost, other) = (["A", "B"][side], ["B", "A"][side]);
            let answer = run(&stage, &[], event.clone()).await;
            assert_eq!(
                (&answer["outcome"], &answer["cut"]),
                (&json!("failed_over"), &json!(lost)),
                "{event}"
            );
            assert_ne!(answer["why"], "", "{event}");
            assert_eq!(
                (
                    stage.bases()[side].clone(),
                    stage.bases()[1 - side].is_some()
                ),
                (None, true)
            );
            assert!(
                stage.variants().iter().all(|(pathway, _)| pathway == other),
                "{event}"
            );
            assert_eq!(stage.steering()["PATHWAY-PRIORITY"], json!([other]));
            assert_eq!(stage.state()["first"], other);
        }
    }
}

/// Promises P40 and P51.
#[tokio::test]
async fn the_two_pipelines_of_one_channel_can_be_the_two_sides() {
    let arn = alert_set(A)["detail"]["channel_arn"]
        .as_str()
        .unwrap()
        .to_owned();
    let settings = [
        ("SIDE_B_CHANNEL_ARN", arn.as_str()),
        ("SIDE_B_PIPELINE", "1"),
    ];
    let stage = Stage::published(&settings).await;
    stage.medialive.create_channel(CHANNELS[A], 2);
    let of_b = |mut event: Value| {
        event["detail"]["pipeline"] = "1".into();
        event
    };
    assert_eq!(run(&stage, &settings, of_b(alert_set(A))).await["cut"], "B");
    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    let back = response(
        stage
            .call("fail-back", &settings, of_b(alert_cleared(A)))
            .await,
    );
    assert_eq!(
        (&back["outcome"], &back["returned"]),
        (&json!("failed_back"), &json!("B"))
    );
    assert_eq!(
        run(&stage, &settings, event("fail-over/schedule.json")).await["cut"],
        "A"
    );
}

/// Promise P40. Four triggers make fail-over check a side: an alert, the side's alarm, the
/// schedule, and a person.
#[tokio::test]
async fn which_alerts_count_is_a_setting() {
    let stage = Stage::published(&[]).await;
    let mut other = event("fail-over/alert-other-type.json");
    other["time"] = alert_set(A)["time"].clone();
    let types = [(
        "ALERT_TYPES",
        "Failed to Create Output File or Socket, RTMP Stream Not Found",
    )];
    let before = stage.snapshot();
    assert_eq!(
        run(&stage, &types, alert_set(A)).await["outcome"],
        "ignored"
    );
    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    assert_eq!(
        run(&stage, &types, event("fail-over/schedule.json")).await["outcome"],
        "unchanged"
    );
    assert_eq!(run(&stage, &[], other.clone()).await["outcome"], "ignored");
    assert_eq!(stage.snapshot(), before);
    assert_eq!(run(&stage, &types, other).await["outcome"], "failed_over");
}

/// Promise P40. Four triggers make fail-over check a side: an alert, the side's alarm, the
/// schedule, and a person.
#[tokio::test]
async fn other_alerts_pipelines_alarms_and_events_are_ignored_without_a_call() {
    let stage = Stage::new();
    let fail_over = stage.start("fail-over", &[]);
    let mut foreign_alarm = alarm(A);
    foreign_alarm["detail"]["alarmName"] = "another-alarm".into();
    let mut foreign_channel = alert_set(A);
    foreign_channel["detail"]["channel_arn"] =
        "arn:aws:medialive:us-west-2:111122223333:channel:9".into();
    for event in [
        event("fail-over/alert-other-pipeline.json"),
        event("fail-over/alert-other-type.json"),
        event("fail-over/alarm-insufficient-data.json"),
        event("fail-over/channel-state-change.json"),
        alert_cleared(A),
        alarm_ok(A),
        foreign_alarm,
        foreign_channel,
        json!({ "source": "aws.s3", "detail-type": "Object Created", "detail": {} }),
    ] {
        let answer = response(fail_over.invoke(event.clone()).await);
        assert_eq!(answer["outcome"], "ignored", "{event}");
        assert_ne!(answer["why"], "", "{event}");
    }
    assert_eq!(stage.traffic.calls(), []);
}

/// Promise P40. Four triggers make fail-over check a side: an alert, the side's alarm, the
/// schedule, and a person.
#[tokio::test]
async fn junk_is_refused_without_a_call() {
    let stage = Stage::new();
    let fail_over = stage.start("fail-over", &[]);
    let with = |event: Value, change: fn(&mut Value)| {
        let mut event = event;
        change(&mut event);
        event
    };
    let remove = |event: Value, name: &str| {
        let mut event = event;
        event.as_object_mut().unwrap().remove(name);
        event
    };
    for event in [
        json!({}),
        json!(null),
        json!("alert"),
        json!({ "onair": {} , "source": 1 }),
        json!({ "onair": { "side": "C" } }),
        json!({ "onair": { "side": "a" } }),
        json!({ "onair": { "side": "A", "dryrun": true } }),
        json!({ "onair": { "side": "A", "dry_run": "yes" } }),
        remove(alert_set(A), "detail"),
        remove(alert_set(A), "time"),
        remove(alarm(A), "time"),
        with(alert_set(A), |event| event["time"] = "yesterday".into()),
        with(alert_set(A), |event| event["detail"]["pipeline"] = 0.into()),
        with(alert_set(A), |event| {
            event["onair"] = json!({ "side": "A" });
        }),
        with(alarm(A), |event| event["detail"]["state"] = "ALARM".into()),
    ] {
        let (kind, why) = error(fail_over.invoke(event.clone()).await);
        assert_eq!(
            (kind.as_str(), why.is_empty()),
            ("BadEvent", false),
            "{event}: {why}"
        );
    }
    assert_eq!(stage.traffic.calls(), []);
}

/// Promise P41. A fail-over writes the state, steers viewers to the other side, cuts the lost side
/// and renders the playlist, in this order.
#[tokio::test]
async fn the_state_is_written_first_then_the_manifest_then_the_cut_then_the_playlist() {
    for (cut, change) in [
        ("delete", Some("DeleteOriginEndpoint")),
        ("deny", Some("UpdateOriginEndpoint")),
        ("none", None),
    ] {
        let stage = Stage::published(&[]).await;
        stage.traffic.reset_calls();
        run(&stage, &[("CUT", cut)], alert_set(A)).await;
        let calls = stage.traffic.calls();
        let is_change = |operation: &str| {
            ["Put", "Delete", "Update", "Create"]
                .iter()
                .any(|verb| operation.starts_with(verb))
        };
        let changes: Vec<(&str, &str)> = calls
            .iter()
            .filter(|call| is_change(&call.operation))
            .map(|call| (call.operation.as_str(), call.key.as_str()))
            .collect();
        let mut expected = vec![
            ("PutObject", "pairs/show/state.json"),
            ("PutObject", "show/steering.json"),
        ];
        expected.extend(change.map(|change| (change, "show-a-hls")));
        expected.push(("PutObject", "show/index.m3u8"));
        assert_eq!(changes, expected, "{cut}");
    }
}

/// Promise P45. Alerts that arrive twice, late, or in any order lead to the same end state.
#[tokio::test]
async fn a_repeated_alert_changes_nothing() {
    for cut in ["delete", "deny", "none"] {
        let stage = Stage::published(&[]).await;
        let (alert, settings) = (alert_set(A), [("CUT", cut)]);
        // An alarm and a person each make the return of the side stricter, which is stored once.
        for event in [alert.clone(), alarm(A), by_hand(A)] {
            run(&stage, &settings, event).await;
        }
        let before = stage.snapshot();
        for event in [
            alert.clone(),
            alarm(A),
            by_hand(A),
            late(alert, Duration::from_secs(600)),
        ] {
            assert_eq!(
                run(&stage, &settings, event.clone()).await["outcome"],
                "unchanged",
                "{cut} {event}"
            );
            assert_eq!(stage.snapshot(), before, "{cut} {event}");
        }
    }
}

/// Promise P45. Alerts that arrive twice, late, or in any order lead to the same end state.
#[tokio::test]
async fn an_old_alert_is_not_trusted() {
    for event in [alert_set(A), alarm(A)] {
        let stage = Stage::published(&[]).await;
        let fail_over = stage.start("fail-over", &[]);
        let old = late(event.clone(), Duration::from_secs(125));
        let before = stage.snapshot();
        assert_eq!(
            response(fail_over.invoke(old.clone()).await)["outcome"],
            "unchanged"
        );
        assert_eq!(stage.snapshot(), before);
        stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
        assert_eq!(
            response(fail_over.invoke(old).await)["outcome"],
            "failed_over"
        );

        let stage = Stage::published(&[]).await;
        let recent = late(event, Duration::from_secs(60));
        assert_eq!(run(&stage, &[], recent).await["outcome"], "failed_over");
    }
}

/// Promise P45. Alerts that arrive twice, late, or in any order lead to the same end state.
#[tokio::test]
async fn an_alert_from_before_the_return_of_a_side_is_not_trusted() {
    let stage = Stage::published(&[]).await;
    let fail_over = stage.start("fail-over", &[]);
    let alert = alert_set(A);
    assert_eq!(
        response(fail_over.invoke(alert.clone()).await)["outcome"],
        "failed_over"
    );
    assert_eq!(
        response(stage.call("fail-back", &[], alert_cleared(A)).await)["outcome"],
        "failed_back"
    );
    let before = stage.snapshot();
    assert_eq!(
        response(fail_over.invoke(alert.clone()).await)["outcome"],
        "unchanged"
    );
    assert_eq!(stage.snapshot(), before);
    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    assert_eq!(
        response(fail_over.invoke(alert).await)["outcome"],
        "failed_over"
    );
}

/// Promise P50. A fail-over on an alert makes at most four sequential round trips before the cut.
#[tokio::test]
async fn an_alert_needs_three_services_one_probe_and_four_round_trips_before_the_cut() {
    const LATENCY: Duration = Duration::from_millis(500);
    for cut in ["delete", "deny"] {
        let stage = Stage::published(&[]).await;
        stage.traffic.reset_calls();
        stage.traffic.set_latency(LATENCY);
        assert_eq!(
            run(&stage, &[("CUT", cut)], alert_set(A)).await["outcome"],
            "failed_over"
        );
        let calls = stage.traffic.calls();
        assert!(
            calls
                .iter()
                .all(|call| ["s3", "mediapackage", "origin"].contains(&call.service)),
            "{calls:?}"
        );
        assert_eq!(
            calls.iter().filter(|call| call.service == "origin").count(),
            1,
            "{calls:?}"
        );
        let b = stage.bases()[B].clone().unwrap();
        let probe = calls.iter().find(|call| call.service == "origin").unwrap();
        assert!(
            b.ends_with(probe.key.trim_end_matches("index_1.m3u8")),
            "{probe:?}"
        );
        let action = calls.iter().find(|call| {
            ["DeleteOriginEndpoint", "UpdateOriginEndpoint"].contains(&call.operation.as_str())
        });
        let before = action.unwrap().at - calls[0].at;
        assert!(
            before < 5 * LATENCY,
            "{before:?} are more than four times {LATENCY:?}: {calls:#?}"
        );
        assert!(before >= 3 * LATENCY, "the latency counts");
    }
}

/// Promise P50: the published playlist may be out of date.
#[tokio::test]
async fn a_failed_probe_is_repeated_at_the_present_url_of_the_endpoint() {
    let stage = Stage::published(&[]).await;
    let definition = stage
        .mediapackage
        .endpoint(stories::pair::ENDPOINTS[B])
        .unwrap();
    stage.mediapackage.delete(stories::pair::ENDPOINTS[B]);
    stage.mediapackage.create(&definition);
    let answer = run(&stage, &[], alert_set(A)).await;
    assert_eq!(answer["outcome"], "failed_over", "{answer:#}");
    let base = stage.bases()[B].clone().unwrap();
    assert!(
        stage
            .variants()
            .iter()
            .all(|(_, url)| url.starts_with(&base)),
        "{:?}",
        stage.variants()
    );
}
