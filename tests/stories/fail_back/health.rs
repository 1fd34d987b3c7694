//! When a side counts as healthy. Promise P52.

use super::{A, B, cut, run};
use serde_json::{Value, json};
use stand_in::{Fault, Reply};
use std::time::{Duration, SystemTime};
use stories::event;
use stories::pair::{
    ALERT, CHANNELS, Stage, alarm, alarm_action_ok, alarm_ok, alert_cleared, alert_set, by_hand,
};
use stories::response;

const MINUTE: Duration = Duration::from_secs(60);

/// Side A stays cut for this reason, and viewers see no change.
async fn assert_waits(stage: &Stage, settings: &[(&str, &str)], reason: &str) {
    let seen = |stage: &Stage| {
        (
            stage.steering(),
            stage.public("index.m3u8"),
            stage.bases(),
            stage.statuses(),
        )
    };
    let before = seen(stage);
    let answer = run(stage, settings, event("fail-back/schedule.json")).await;
    let why = answer["why"].as_str().unwrap_or_default();
    // A state of another generation is published again, even if viewers see no difference.
    let is_waiting = ["unchanged", "published"].contains(&answer["outcome"].as_str().unwrap());
    assert!(is_waiting && why.contains(reason), "{reason}: {answer:#}");
    assert_eq!(seen(stage), before);
}

/// Moves the times in the state of A back.
fn let_time_pass(stage: &Stage, by: Duration) {
    let mut state = stage.state();
    let then = stories::pair::time(SystemTime::now() - by);
    state["sides"]["A"]["since"] = then.clone().into();
    let healthy_since = &mut state["sides"]["A"]["status"]["cut"]["clean_since"];
    if healthy_since.is_string() {
        *healthy_since = then.into();
    }
    stage.put_state(&state);
}

fn healthy_since(stage: &Stage) -> Value {
    stage.state()["sides"]["A"]["status"]["cut"]["clean_since"].clone()
}

/// Promise P52. A side returns after its input has been healthy for `QUIET_SECONDS` (the exceptions
/// are P57 and P67).
#[tokio::test]
async fn a_side_is_not_healthy_while_its_alert_is_set() {
    let stage = cut(&[], A).await;
    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    assert_waits(&stage, &[], "alerts are set: Video Not Detected").await;
    // Of another type, on another pipeline, of the other side: none of these is this side's lost
    // input.
    stage.medialive.clear_alert(CHANNELS[A], 0, ALERT);
    stage
        .medialive
        .set_alert(CHANNELS[A], 0, "Failed to Create Output File or Socket");
    stage.medialive.set_alert(CHANNELS[A], 1, ALERT);
    stage.medialive.set_alert(CHANNELS[B], 0, ALERT);
    assert_eq!(
        run(&stage, &[], event("fail-back/schedule.json")).await["outcome"],
        "failed_back"
    );
}

/// Promise P52: stopping a channel clears its alerts.
#[tokio::test]
async fn a_side_whose_channel_does_not_run_is_not_well_though_nothing_is_set() {
    let stage = cut(&[], A).await;
    for state in ["STOPPING", "IDLE", "STARTING", "RECOVERING"] {
        stage.medialive.set_state(CHANNELS[A], state);
        assert_waits(&stage, &[], &format!("the channel is {state}")).await;
        let answer = run(&stage, &[], alert_cleared(A)).await;
        assert_eq!(answer["outcome"], "unchanged");
    }
    stage.medialive.set_state(CHANNELS[A], "RUNNING");
    assert_eq!(
        run(&stage, &[], alert_cleared(A)).await["outcome"],
        "failed_back"
    );
}

/// Promise P52. A side returns after its input has been healthy for `QUIET_SECONDS` (the exceptions
/// are P57 and P67).
#[tokio::test]
async fn a_side_must_be_healthy_for_the_stabilization_period() {
    let settings = [("QUIET_SECONDS", "360")];
    let stage = cut(&settings, A).await;
    let_time_pass(&stage, 60 * MINUTE);
    // The time since the cut does not count: no run has found the side healthy yet.
    assert_waits(&stage, &settings, "A has been healthy for 0 s of 360 s").await;
    assert!(healthy_since(&stage).is_string());
    assert_waits(&stage, &settings, "s of 360 s").await;
    let_time_pass(&stage, 5 * MINUTE);
    assert_waits(&stage, &settings, "A has been healthy for 30").await;
    let_time_pass(&stage, 7 * MINUTE);
    assert_eq!(
        run(&stage, &settings, event("fail-back/schedule.json")).await["outcome"],
        "failed_back"
    );
}

/// Promise P52. A side returns after its input has been healthy for `QUIET_SECONDS` (the exceptions
/// are P57 and P67).
#[tokio::test]
async fn an_alert_during_a_run_restarts_the_stabilization_period() {
    let settings = [("QUIET_SECONDS", "360")];
    let stage = cut(&settings, A).await;
    assert_waits(&stage, &settings, "A has been healthy for").await;
    let_time_pass(&stage, 7 * MINUTE);
    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    assert_waits(&stage, &settings, "alerts are set").await;
    assert_eq!(healthy_since(&stage), Value::Null);
    stage
        .medialive
        .clear_alert_at(CHANNELS[A], 0, ALERT, SystemTime::now() - 10 * MINUTE);
    assert_waits(&stage, &settings, "A has been healthy for 0 s").await;
}

/// Promise P52: MediaLive lists alerts that were set and cleared between two runs.
#[tokio::test]
async fn an_alert_between_two_runs_restarts_the_stabilization_period() {
    let settings = [("QUIET_SECONDS", "360")];
    let stage = cut(&settings, A).await;
    assert_waits(&stage, &settings, "A has been healthy for").await;
    let_time_pass(&stage, 30 * MINUTE);
    stage
        .medialive
        .set_alert_at(CHANNELS[A], 0, ALERT, SystemTime::now() - 6 * MINUTE);
    stage
        .medialive
        .clear_alert_at(CHANNELS[A], 0, ALERT, SystemTime::now() - 5 * MINUTE);
    assert_waits(&stage, &settings, "A has been healthy for 30").await;
    // Alerts of another pipeline or another type do not count.
    let stage = cut(&settings, A).await;
    assert_waits(&stage, &settings, "A has been healthy for").await;
    let_time_pass(&stage, 30 * MINUTE);
    for (pipeline, kind) in [(1, ALERT), (0, "Failed to Create Output File or Socket")] {
        stage.medialive.set_alert(CHANNELS[A], pipeline, kind);
        stage.medialive.clear_alert(CHANNELS[A], pipeline, kind);
    }
    assert_eq!(
        run(&stage, &settings, event("fail-back/schedule.json")).await["outcome"],
        "failed_back"
    );
}

/// Promises P52 and P42: a returning side is lost again.
#[tokio::test]
async fn a_returning_side_that_is_lost_again_stays_cut() {
    for cut_by in ["delete", "deny"] {
        let settings = [("CUT", cut_by)];
        let stage = cut(&settings, A).await;
        let definition = stage.state()["sides"]["A"]["status"]["cut"]["endpoint"].clone();
        // The endpoint is restored, but does not serve yet.
        stage
            .mediapackage
            .set_reply("show-a-hls", "", Reply::Status(404));
        assert_eq!(
            run(&stage, &settings, alert_cleared(A)).await["outcome"],
            "held"
        );
        assert_eq!(stage.statuses(), ["returning", "live"]);
        stage.mediapackage.clear_replies("show-a-hls");
        stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
        assert_waits(&stage, &settings, "alerts are set").await;
        let answer = response(
            stage
                .call("fail-over", &settings, event("fail-over/schedule.json"))
                .await,
        );
        assert_eq!(
            (&answer["outcome"], &stage.statuses()[A]),
            (&json!("failed_over"), &"cut".to_owned())
        );
        stage.medialive.clear_alert(CHANNELS[A], 0, ALERT);
        let answer = run(&stage, &settings, alert_cleared(A)).await;
        assert_eq!(answer["outcome"], "failed_back", "{answer:#}");
        let now = stage.mediapackage.endpoint("show-a-hls").unwrap();
        assert_eq!(
            (&now["tags"], &now["hlsPackage"]),
            (&definition["tags"], &definition["hlsPackage"])
        );
    }
}

/// Promises P52 and P53: the same, but fail-back was killed before it created the endpoint.
#[tokio::test]
async fn a_side_that_is_lost_again_before_its_endpoint_exists_can_still_return() {
    let undisturbed = cut(&[], A).await;
    undisturbed.traffic.reset_calls();
    run(&undisturbed, &[], alert_cleared(A)).await;
    let calls = undisturbed.traffic.calls();
    let create = calls
        .iter()
        .find(|call| call.operation == "CreateOriginEndpoint")
        .unwrap()
        .index;

    let stage = cut(&[], A).await;
    stage.traffic.reset_calls();
    stage.traffic.fault(create, Fault::HoldBefore);
    let fail_back = stage.start("fail-back", &[]);
    tokio::join!(fail_back.invoke(alert_cleared(A)), async {
        stage.traffic.held().await;
        fail_back.kill();
    });
    assert_eq!(
        (stage.statuses()[A].as_str(), stage.bases()[A].clone()),
        ("returning", None)
    );
    let answer = response(stage.call("fail-over", &[], alert_set(A)).await);
    assert_eq!(
        (&answer["outcome"], &stage.statuses()[A]),
        (&json!("failed_over"), &"cut".to_owned())
    );
    let answer = run(&stage, &[], alert_cleared(A)).await;
    assert_eq!(answer["outcome"], "failed_back", "{answer:#}");
    let created = stage.mediapackage.endpoint("show-a-hls").unwrap();
    assert_eq!(
        created["newerThanThisProgram"],
        undisturbed.mediapackage.endpoint("show-a-hls").unwrap()["newerThanThisProgram"]
    );
}

/// Promise P52: an alarm may detect what MediaLive does not.
#[tokio::test]
async fn a_side_that_its_alarm_cut_waits_for_the_alarm() {
    for event in [alarm_ok(A), alarm_action_ok(A), by_hand(A)] {
        let stage = Stage::published(&[]).await;
        assert_eq!(
            response(stage.call("fail-over", &[], alarm(A)).await)["outcome"],
            "failed_over"
        );
        assert_waits(&stage, &[], "side A was cut by its alarm").await;
        for other in [alert_cleared(A), alarm_ok(B), by_hand(B)] {
            assert_eq!(run(&stage, &[], other).await["outcome"], "unchanged");
        }
        // A dry run returns the same decision.
        let mut dry = event.clone();
        dry["onair"]["dry_run"] = true.into();
        assert_eq!(run(&stage, &[], dry).await["outcome"], "planned");
        assert_eq!(run(&stage, &[], event).await["outcome"], "failed_back");
    }
}

/// Promise P52: after the alarm changes to OK, the conditions for an alert apply.
#[tokio::test]
async fn after_its_alarm_is_over_a_side_must_still_be_healthy_for_the_stabilization_period() {
    let settings = [("QUIET_SECONDS", "360")];
    let stage = Stage::published(&settings).await;
    assert_eq!(
        response(stage.call("fail-over", &settings, alarm(A)).await)["outcome"],
        "failed_over"
    );
    let answer = run(&stage, &settings, alarm_ok(A)).await;
    assert!(
        answer["why"]
            .as_str()
            .unwrap()
            .contains("A has been healthy for 0 s of 360 s"),
        "{answer:#}"
    );
    let_time_pass(&stage, 7 * MINUTE);
    assert_eq!(
        run(&stage, &settings, event("fail-back/schedule.json")).await["outcome"],
        "failed_back"
    );
}

/// Promise P52. A side returns after its input has been healthy for `QUIET_SECONDS` (the exceptions
/// are P57 and P67).
#[tokio::test]
async fn a_side_that_a_person_cut_waits_for_a_person() {
    let stage = Stage::published(&[]).await;
    assert_eq!(
        response(stage.call("fail-over", &[], by_hand(A)).await)["outcome"],
        "failed_over"
    );
    for event in [
        event("fail-back/schedule.json"),
        alert_cleared(A),
        alarm_ok(A),
        by_hand(B),
    ] {
        let answer = run(&stage, &[], event).await;
        assert!(
            answer["why"]
                .as_str()
                .unwrap()
                .contains("side A was cut by hand"),
            "{answer:#}"
        );
        assert_eq!(stage.statuses()[A], "cut");
    }
    assert_eq!(run(&stage, &[], by_hand(A)).await["outcome"], "failed_back");
}

/// Promise P67. If the active side is also lost, a healthy side returns after a minute, or after
/// `QUIET_SECONDS` if that is shorter.
#[tokio::test]
async fn a_healthy_side_returns_after_a_shorter_period_if_the_active_side_is_lost() {
    let settings = [("QUIET_SECONDS", "3600")];
    let set_alert = |stage: &Stage| stage.medialive.set_alert(CHANNELS[B], 0, ALERT);
    let set_alarm = |stage: &Stage| {
        let mut state = stage.state();
        state["sides"]["B"]["alarm_since"] = stories::pair::now().into();
        stage.put_state(&state);
    };
    let set_stall = |stage: &Stage| {
        let mut state = stage.state();
        state["sides"]["B"]["stood_still"] =
            json!({ "since": stories::pair::ago(MINUTE), "seen": stories::pair::now() });
        stage.put_state(&state);
    };
    let ways: [&dyn Fn(&Stage); 3] = [&set_alert, &set_alarm, &set_stall];
    for lose in ways {
        let stage = cut(&settings, A).await;
        lose(&stage);
        // The shorter period is one minute. Without steering it is not shortened, because players
        // avoid the side for longer.
        assert_waits(&stage, &settings, "A has been healthy for 0 s of 3600 s").await;
        let_time_pass(&stage, MINUTE);
        let unsteered = [settings[0], ("STEERING", "off")];
        assert_waits(&stage, &unsteered, "A has been healthy for 60 s of 3600 s").await;
        assert_eq!(
            run(&stage, &settings, event("fail-back/schedule.json")).await["outcome"],
            "failed_back"
        );
    }
    // A channel with another problem still serves.
    let stage = cut(&settings, A).await;
    stage.medialive.set_state(CHANNELS[B], "UPDATING");
    assert_waits(&stage, &settings, "A has been healthy for").await;
    let_time_pass(&stage, 10 * MINUTE);
    assert_waits(&stage, &settings, "A has been healthy for 600 s of 3600 s").await;
}
