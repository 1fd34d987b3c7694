//! The scheduled run of fail-over: it completes unfinished runs and reports problems early.

use super::{A, B, run};
use serde_json::{Value, json};
use stand_in::{Answer, Fault, SyntheticStream};
use std::time::Duration;
use stories::pair::{
    ALERT, CHANNELS, ENDPOINTS, Stage, ago, alarm, alarm_ok, alert_cleared, alert_set, by_hand,
    metrics,
};
use stories::{event, response};

fn schedule() -> Value {
    event("fail-over/schedule.json")
}

/// Promise P47: the earlier run was killed right after its first write.
#[tokio::test]
async fn the_schedule_completes_an_unfinished_run() {
    for (cut, action) in [
        ("delete", Some("delete endpoint show-a-hls")),
        ("deny", Some("deny endpoint show-a-hls")),
        ("none", None),
    ] {
        let settings = [("CUT", cut)];
        let undisturbed = Stage::published(&settings).await;
        undisturbed.traffic.reset_calls();
        run(&undisturbed, &settings, alert_set(A)).await;
        let calls = undisturbed.traffic.calls();
        let write = calls
            .iter()
            .find(|call| call.operation == "PutObject")
            .unwrap()
            .index;

        let stage = Stage::published(&settings).await;
        stage.traffic.reset_calls();
        stage.traffic.fault(write, Fault::HoldAfter);
        let fail_over = stage.start("fail-over", &settings);
        tokio::join!(fail_over.invoke(alert_set(A)), async {
            stage.traffic.held().await;
            fail_over.kill();
        });
        assert_eq!(stage.statuses()[A], "cut");
        assert_eq!(stage.steering()["PATHWAY-PRIORITY"], json!(["A", "B"]));
        let answer = run(&stage, &settings, schedule()).await;
        assert_eq!(answer["outcome"], "failed_over");
        let steps: Vec<&str> = ["steer"]
            .into_iter()
            .chain(action)
            .chain(["publish"])
            .collect();
        assert_eq!(answer["steps"], json!(steps));
        assert_eq!(stage.picture(), undisturbed.picture());
        assert_eq!(
            run(&stage, &settings, schedule()).await["outcome"],
            "unchanged"
        );
    }
}

/// Promises P47 and P60.
#[tokio::test]
async fn a_stale_side_is_reported_before_it_is_needed() {
    let stage = Stage::published(&[]).await;
    let fail_over = stage.start("fail-over", &[]);
    let answer = response(fail_over.invoke(schedule()).await);
    assert_eq!(
        (&answer["outcome"], &answer["stale"]),
        (&json!("unchanged"), &Value::Null),
        "{answer:#}"
    );
    assert_eq!(
        (&metrics(&fail_over)["Stale"], &metrics(&fail_over)["Cut"]),
        (&json!(0), &json!(0))
    );
    let before = [stage.steering(), stage.public("index.m3u8").into()];
    stage.mediapackage.stall(CHANNELS[B]);
    tokio::time::sleep(Duration::from_millis(3_600)).await;
    let answer = response(fail_over.invoke(schedule()).await);
    assert_eq!(answer["outcome"], "unchanged");
    assert!(
        answer["stale"][0]
            .as_str()
            .unwrap()
            .starts_with("B: the newest segment was created"),
        "{answer:#}"
    );
    assert_eq!(
        (&metrics(&fail_over)["Stale"], &metrics(&fail_over)["Cut"]),
        (&json!(1), &json!(0))
    );
    stage.mediapackage.delete(ENDPOINTS[A]);
    let answer = response(fail_over.invoke(schedule()).await);
    assert!(
        answer["stale"][0]
            .as_str()
            .unwrap()
            .starts_with("A: GET http"),
        "{answer:#}"
    );
    assert_eq!(metrics(&fail_over)["Stale"], 2);
    assert_eq!(
        [stage.steering(), stage.public("index.m3u8").into()],
        before
    );
}

/// Promise P47. The schedule finishes what an earlier run began, and reports sides that are not
/// advancing before they are needed (`stale`).
#[tokio::test]
async fn sequence_numbers_that_would_freeze_a_player_are_reported() {
    for (offset, is_reported) in [(0, false), (4, true), (1_000_000, false)] {
        let live = |sequence_offset| SyntheticStream {
            segment_ms: 500,
            sequence_offset,
            ..SyntheticStream::default()
        };
        let stage = Stage::with(live(0), live(offset));
        stage.publish(&[]).await;
        let answer = run(&stage, &[], schedule()).await;
        let notes = answer["notes"].to_string();
        assert_eq!(
            notes.contains("numbers of B are 4 ahead of those of A"),
            is_reported,
            "{offset}: {notes}"
        );
    }
}

/// Promise P60. Figures go to CloudWatch as embedded metrics.
#[tokio::test]
async fn a_cut_is_counted_once_and_reported_by_the_schedule_while_it_lasts() {
    let stage = Stage::published(&[]).await;
    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    let fail_over = stage.start("fail-over", &[]);
    response(fail_over.invoke(alert_set(A)).await);
    assert_eq!(metrics(&fail_over)["FailedOver"], 1);
    for _ in 0..2 {
        let answer = response(fail_over.invoke(schedule()).await);
        assert_eq!(
            (&answer["outcome"], &answer["sides"]["A"]),
            (&json!("unchanged"), &json!("cut"))
        );
        let metrics = metrics(&fail_over);
        assert_eq!(
            (&metrics["Cut"], &metrics["FailedOver"]),
            (&json!(1), &Value::Null)
        );
    }
}

/// Makes the stall of a side one minute longer.
fn a_minute_passes(stage: &Stage, side: &str) {
    let mut state = stage.state();
    let since = &mut state["sides"][side]["stood_still"]["since"];
    assert!(since.is_string(), "{since}");
    *since = ago(Duration::from_secs(60)).into();
    stage.put_state(&state);
}

/// Stalls these sides, and waits until they are stale: the target duration is one second, and three
/// target durations are allowed.
async fn stall(stage: &Stage, sides: &[usize]) {
    sides
        .iter()
        .for_each(|side| stage.mediapackage.stall(CHANNELS[*side]));
    tokio::time::sleep(Duration::from_millis(3_600)).await;
}

/// Promise P64. The schedule also treats the active side as lost if it is stalled for at least 45 s
/// while the other side advances.
#[tokio::test]
async fn viewers_are_moved_off_a_stalled_side_without_an_alert() {
    for cut in ["delete", "deny", "none"] {
        let settings = [("CUT", cut)];
        let stage = Stage::published(&settings).await;
        stage.medialive.set_state(CHANNELS[A], "IDLE");
        stall(&stage, &[A]).await;
        for _ in 0..2 {
            let answer = run(&stage, &settings, schedule()).await;
            assert_eq!(
                answer["outcome"], "unchanged",
                "one probe is not enough: {answer:#}"
            );
            assert_eq!(stage.steering()["PATHWAY-PRIORITY"], json!(["A", "B"]));
        }
        a_minute_passes(&stage, "A");
        let answer = run(&stage, &settings, schedule()).await;
        assert_eq!(
            (&answer["outcome"], &answer["cut"]),
            (&json!("failed_over"), &json!("A")),
            "{answer:#}"
        );
        assert!(
            answer["why"].as_str().unwrap().starts_with("stalled since"),
            "{answer:#}"
        );
        assert_eq!(stage.steering()["PATHWAY-PRIORITY"][0], "B");
        assert_eq!(
            run(&stage, &settings, schedule()).await["outcome"],
            "unchanged"
        );
    }
}

/// Promise P64: MediaLive returns an error for a channel that was deleted.
#[tokio::test]
async fn a_stalled_side_is_detected_although_medialive_fails() {
    let settings = [(
        "SIDE_A_CHANNEL_ARN",
        "arn:aws:medialive:us-west-2:111122223333:channel:999999",
    )];
    let stage = Stage::published(&settings).await;
    stall(&stage, &[A]).await;
    let fail_over = stage.start("fail-over", &settings);
    let error = |answer: Answer| match answer {
        Answer::Error { error_message, .. } => error_message,
        other => panic!("{other:?}"),
    };
    assert!(error(fail_over.invoke(schedule()).await).contains("ListAlerts 999999"));
    a_minute_passes(&stage, "A");
    assert_eq!(
        response(fail_over.invoke(schedule()).await)["outcome"],
        "failed_over"
    );
}

/// Promise P64. The schedule also treats the active side as lost if it is stalled for at least 45 s
/// while the other side advances.
#[tokio::test]
async fn viewers_stay_if_the_other_side_or_both_sides_are_stalled() {
    let stage = Stage::published(&[]).await;
    stall(&stage, &[B]).await;
    run(&stage, &[], schedule()).await;
    a_minute_passes(&stage, "B");
    assert_eq!(run(&stage, &[], schedule()).await["outcome"], "unchanged");
    assert_eq!(stage.statuses(), ["live", "live"]);
    // A show ends, and in the next one side B starts first.
    stall(&stage, &[A]).await;
    run(&stage, &[], schedule()).await;
    let stall_record = |side: &str| stage.state()["sides"][side]["stood_still"].clone();
    assert_eq!(
        [stall_record("A"), stall_record("B")],
        [Value::Null, Value::Null]
    );
    stage.mediapackage.resume(CHANNELS[B]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(run(&stage, &[], schedule()).await["outcome"], "unchanged");
    assert!(stall_record("A").is_object());
    stage.mediapackage.resume(CHANNELS[A]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    run(&stage, &[], schedule()).await;
    assert_eq!(stall_record("A"), Value::Null);
}

/// Promise P68. An alarm in ALARM is remembered until it changes to OK.
#[tokio::test]
async fn an_alarm_during_a_held_run_is_remembered() {
    let stage = Stage::published(&[]).await;
    stall(&stage, &[B]).await;
    assert_eq!(run(&stage, &[], alarm(A)).await["outcome"], "held");
    stage.mediapackage.resume(CHANNELS[B]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let answer = run(&stage, &[], schedule()).await;
    assert_eq!(
        (&answer["outcome"], &answer["cut"]),
        (&json!("failed_over"), &json!("A")),
        "{answer:#}"
    );
    // The side returns only after the alarm changes to OK, although MediaLive has no alert set.
    let fail_back =
        async |event| response(stage.call("fail-back", &[], event).await)["outcome"].clone();
    assert_eq!(
        fail_back(event("fail-back/schedule.json")).await,
        "unchanged"
    );
    assert_eq!(fail_back(alarm_ok(A)).await, "failed_back");
    assert_eq!(run(&stage, &[], schedule()).await["outcome"], "unchanged");
}

/// Promises P52 and P68: the strictest of several causes decides when a side returns.
#[tokio::test]
async fn a_later_cause_for_a_cut_is_remembered() {
    let stage = Stage::published(&[]).await;
    assert_eq!(
        run(&stage, &[], alert_set(A)).await["outcome"],
        "failed_over"
    );
    let fail_back =
        async |event| response(stage.call("fail-back", &[], event).await)["outcome"].clone();
    for (event, over) in [(alarm(A), alarm_ok(A)), (by_hand(A), by_hand(A))] {
        assert_eq!(run(&stage, &[], event).await["outcome"], "unchanged");
        assert_eq!(fail_back(alert_cleared(A)).await, "unchanged");
        if over == by_hand(A) {
            assert_eq!(fail_back(alarm_ok(A)).await, "unchanged");
        }
        assert_eq!(fail_back(over).await, "failed_back");
        assert_eq!(stage.state()["sides"]["A"]["alarm_since"], Value::Null);
        assert_eq!(
            run(&stage, &[], alert_set(A)).await["outcome"],
            "failed_over"
        );
    }
}

/// Promise P65. The schedule is `held` if it detects that the sides are misconfigured.
#[tokio::test]
async fn swapped_endpoints_are_held_before_a_side_is_lost() {
    let stage = Stage::published(&[]).await;
    for channel in CHANNELS {
        stage.medialive.send_to(channel, channel);
    }
    assert_eq!(run(&stage, &[], schedule()).await["outcome"], "unchanged");
    let swapped = [
        ("SIDE_A_ENDPOINT", ENDPOINTS[B]),
        ("SIDE_B_ENDPOINT", ENDPOINTS[A]),
    ];
    let answer = run(&stage, &swapped, schedule()).await;
    assert_eq!(answer["outcome"], "held");
    let why = "endpoint show-b-hls is configured for side A, but serves MediaPackage channel \
               654321; MediaLive channel 123456 sends to 123456; a fail-over would cut the healthy \
               side";
    assert_eq!(answer["why"], why);
}
