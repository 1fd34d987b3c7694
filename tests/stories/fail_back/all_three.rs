//! The promises that all three functions of a pair keep.

use super::{A, B};
use serde_json::{Value, json};
use stand_in::{Answer, Fault, Reply};
use stories::pair::{ALERT, CHANNELS, Stage, alert_cleared, alert_set, by_hand, metrics};
use stories::{error, event, response};

/// The event as a dry run.
fn dry(mut event: Value) -> Value {
    event["onair"]["dry_run"] = true.into();
    event
}

/// Checks that a dry run returns these steps and changes nothing, and that a real run changes
/// something.
async fn assert_planned(
    stage: &Stage,
    stem: &str,
    settings: &[(&str, &str)],
    event: Value,
    steps: Value,
) {
    let before = stage.snapshot();
    let always: Vec<_> = settings
        .iter()
        .chain(&[("DRY_RUN", "true")])
        .copied()
        .collect();
    stage.traffic.reset_calls();
    for answer in [
        stage.call(stem, &always, event.clone()).await,
        stage.call(stem, settings, dry(event.clone())).await,
    ] {
        let answer = response(answer);
        assert_eq!(
            (&answer["outcome"], &answer["steps"]),
            (&json!("planned"), &steps),
            "{stem} {answer:#}"
        );
    }
    assert_eq!(stage.snapshot(), before, "{stem}");
    let changes = |operation: &str| {
        ["Put", "Delete", "Create", "Update"]
            .iter()
            .any(|verb| operation.starts_with(verb))
    };
    assert!(
        !stage
            .traffic
            .calls()
            .iter()
            .any(|call| changes(&call.operation)),
        "{stem}"
    );
    let answer = response(stage.call(stem, settings, event).await);
    assert!(
        ["failed_over", "failed_back", "published"].contains(&answer["outcome"].as_str().unwrap()),
        "{answer:#}"
    );
    assert_ne!(stage.snapshot(), before, "{stem}");
}

/// Promise P59. A dry run (`DRY_RUN=true` or `"onair": {"dry_run": true}`) reports what would be
/// done, and changes nothing.
#[tokio::test]
async fn a_dry_run_of_publishing_shows_what_would_be_published() {
    let stage = Stage::new();
    let before = stage.snapshot();
    let answers = [
        stage
            .call(
                "publish-playlist",
                &[],
                event("publish-playlist/dry-run.json"),
            )
            .await,
        stage
            .call(
                "publish-playlist",
                &[("DRY_RUN", "true")],
                event("publish-playlist/schedule.json"),
            )
            .await,
    ];
    assert_eq!(stage.snapshot(), before);
    stage.publish(&[]).await;
    for answer in answers.map(response) {
        assert_eq!(
            (&answer["outcome"], &answer["index"]),
            (&json!("planned"), &json!(stage.public("index.m3u8")))
        );
        assert_eq!(answer["steering"], stage.public("steering.json"));
    }
    let answer = response(
        stage
            .call(
                "publish-playlist",
                &[],
                event("publish-playlist/dry-run.json"),
            )
            .await,
    );
    assert_eq!(answer["outcome"], "unchanged");
}

/// Promise P59. A dry run (`DRY_RUN=true` or `"onair": {"dry_run": true}`) reports what would be
/// done, and changes nothing.
#[tokio::test]
async fn a_dry_run_of_a_fail_over_returns_its_steps() {
    for (cut, action) in [
        ("delete", Some("delete endpoint show-a-hls")),
        ("deny", Some("deny endpoint show-a-hls")),
        ("none", None),
    ] {
        let steps: Vec<&str> = ["steer"]
            .into_iter()
            .chain(action)
            .chain(["publish"])
            .collect();
        let settings = [("CUT", cut)];
        let stage = Stage::published(&settings).await;
        stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
        assert_planned(&stage, "fail-over", &settings, alert_set(A), json!(steps)).await;
        let stage = Stage::published(&settings).await;
        stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
        assert_planned(
            &stage,
            "fail-over",
            &settings,
            event("fail-over/schedule.json"),
            json!(steps),
        )
        .await;
    }
    // The documented event is old, so MediaLive is asked.
    let stage = Stage::published(&[]).await;
    let answer = response(
        stage
            .call("fail-over", &[], event("fail-over/dry-run.json"))
            .await,
    );
    assert_eq!(answer["outcome"], "unchanged");
    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    let answer = response(
        stage
            .call("fail-over", &[], event("fail-over/dry-run.json"))
            .await,
    );
    assert_eq!(
        (&answer["outcome"], &answer["cut"]),
        (&json!("planned"), &json!("A"))
    );
    assert_eq!(stage.statuses(), ["live", "live"]);
}

/// Promise P59. A dry run (`DRY_RUN=true` or `"onair": {"dry_run": true}`) reports what would be
/// done, and changes nothing.
#[tokio::test]
async fn a_dry_run_of_a_fail_back_returns_the_steps_that_can_be_planned() {
    let settings = [("CUT", "delete")];
    let stage = Stage::published(&settings).await;
    response(stage.call("fail-over", &settings, alert_set(A)).await);
    let before = stage.snapshot();
    let answer = response(
        stage
            .call("fail-back", &settings, event("fail-back/dry-run.json"))
            .await,
    );
    assert_eq!(
        (&answer["outcome"], &answer["steps"]),
        (&json!("planned"), &json!(["restore A"]))
    );
    assert_eq!(stage.snapshot(), before);
    assert_planned(
        &stage,
        "fail-back",
        &settings,
        alert_cleared(A),
        json!(["restore A"]),
    )
    .await;
    assert_planned(
        &stage,
        "fail-back",
        &settings,
        by_hand(A),
        json!(["promote A", "publish", "steer"]),
    )
    .await;
}

/// Promise P59: neither a healthy time nor a last segment is stored.
#[tokio::test]
async fn a_dry_run_remembers_nothing() {
    let settings = [("QUIET_SECONDS", "360"), ("CUT", "none")];
    let no_time = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:1,\n1.ts\n";
    let stage = Stage::published(&settings).await;
    response(stage.call("fail-over", &settings, alert_set(A)).await);
    let before = stage.snapshot();
    let answer = response(
        stage
            .call("fail-back", &settings, dry(alert_cleared(A)))
            .await,
    );
    assert_eq!(answer["outcome"], "unchanged");
    assert_eq!(stage.snapshot(), before);
    // Nothing is stored of a returning side, or of one that the schedule probes.
    stage
        .mediapackage
        .set_reply("show-a-hls", "index_1.m3u8", Reply::Status(404));
    assert_eq!(
        response(stage.call("fail-back", &settings, by_hand(A)).await)["outcome"],
        "held"
    );
    assert_eq!(
        response(
            stage
                .call("fail-back", &settings, event("fail-back/schedule.json"))
                .await
        )["outcome"],
        "held"
    );
    for endpoint in ["show-a-hls", "show-b-hls"] {
        stage
            .mediapackage
            .set_reply(endpoint, "index_1.m3u8", Reply::Text(no_time.to_owned()));
    }
    let before = stage.snapshot();
    assert_eq!(
        response(stage.call("fail-back", &settings, dry(by_hand(A))).await)["outcome"],
        "held"
    );
    assert_eq!(stage.snapshot(), before);
    let probed = response(
        stage
            .call(
                "fail-over",
                &settings,
                dry(event("fail-over/schedule.json")),
            )
            .await,
    );
    assert!(
        probed["stale"][0]
            .as_str()
            .unwrap()
            .starts_with("B: the media playlist has no timestamps"),
        "{probed:#}"
    );
    assert_eq!(stage.snapshot(), before);
}

/// Promise P60. Figures go to CloudWatch as embedded metrics.
#[tokio::test]
async fn changes_held_runs_and_failures_are_counted() {
    let stage = Stage::new();
    let functions =
        ["publish-playlist", "fail-over", "fail-back"].map(|stem| stage.start(stem, &[]));
    let [publish_playlist, fail_over, fail_back] = &functions;
    response(
        publish_playlist
            .invoke(event("publish-playlist/schedule.json"))
            .await,
    );
    assert_eq!(
        (
            &metrics(publish_playlist)["Published"],
            &metrics(publish_playlist)["Unpaired"]
        ),
        (&json!(1), &json!(0))
    );
    response(
        publish_playlist
            .invoke(event("publish-playlist/schedule.json"))
            .await,
    );
    assert_eq!(metrics(publish_playlist)["Published"], Value::Null);
    response(fail_over.invoke(alert_set(A)).await);
    assert_eq!(metrics(fail_over)["FailedOver"], 1);
    response(fail_over.invoke(alert_set(B)).await);
    assert_eq!(metrics(fail_over)["Held"], 1);
    response(fail_back.invoke(alert_cleared(A)).await);
    assert_eq!(metrics(fail_back)["FailedBack"], 1);
    for (function, stem) in functions
        .iter()
        .zip(["publish-playlist", "fail-over", "fail-back"])
    {
        let (kind, _) = error(function.invoke(json!({})).await);
        let metrics = metrics(function);
        assert_eq!((kind.as_str(), &metrics["Failed"]), ("BadEvent", &json!(1)));
        assert_eq!(
            (
                &metrics["Function"],
                &metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"]
            ),
            (&json!(stem), &json!("OnAir"))
        );
    }
}

/// Promise P60: a run that fails after its cut counts the cut.
#[tokio::test]
async fn changes_before_an_error_are_counted() {
    let undisturbed = Stage::published(&[]).await;
    undisturbed.traffic.reset_calls();
    response(undisturbed.call("fail-over", &[], alert_set(A)).await);
    let last = undisturbed.traffic.calls().len() - 1;
    let stage = Stage::published(&[]).await;
    stage.traffic.reset_calls();
    stage.traffic.fault(last, Fault::status(403));
    let fail_over = stage.start("fail-over", &[]);
    let (kind, why) = error(fail_over.invoke(alert_set(A)).await);
    assert_eq!(kind, "Aws");
    assert!(
        why.contains("PutObject s3://onair-public/show/index.m3u8") && why.contains("AccessDenied"),
        "{why}"
    );
    assert_eq!(
        (
            &metrics(&fail_over)["FailedOver"],
            &metrics(&fail_over)["Failed"]
        ),
        (&json!(1), &json!(1))
    );
}

/// Promise P26. A missing or invalid setting stops the start with an error that names the variable
/// and what it accepts.
#[tokio::test]
async fn a_wrong_setting_stops_the_start_of_each_function() {
    let stage = Stage::new();
    for stem in ["publish-playlist", "fail-over", "fail-back"] {
        for (settings, expected) in [
            (vec![("PAIR", "")], "PAIR is not set; it accepts"),
            (
                vec![("SIDE_B_PIPELINE", "2")],
                "SIDE_B_PIPELINE is \\\"2\\\"; it accepts 0 or 1",
            ),
            (
                vec![("SIDE_B_ENDPOINT", "show-a-hls")],
                "SIDE_A_ENDPOINT and SIDE_B_ENDPOINT are the same",
            ),
            (
                vec![("SIDE_A_BASE_URL", "http://cdn.example.com")],
                "SIDE_A_BASE_URL is",
            ),
            (vec![("CUT", "stop")], "it accepts delete, deny, none"),
            (
                vec![("CUT", "none"), ("STEERING", "off")],
                "a fail-over could not move viewers",
            ),
            (
                vec![("STEERING_TTL_SECONDS", "0")],
                "STEERING_TTL_SECONDS is \\\"0\\\"",
            ),
            (vec![("QUIET_SECONDS", "a while")], "QUIET_SECONDS is"),
            (vec![("PREFER", "C")], "it accepts stay, A, B"),
            (vec![("DRY_RUN", "yes")], "it accepts false, true"),
        ] {
            let function = stage.start(stem, &settings);
            let answer = function.invoke(json!({ "onair": {} })).await;
            assert!(
                matches!(answer, Answer::Died { .. }),
                "{stem} {settings:?}: {answer:?}"
            );
            let log = function.stdout().join("\n");
            assert!(
                log.contains(r#""error.type":"Config""#) && log.contains(expected),
                "{settings:?}: {log}"
            );
        }
    }
    assert_eq!(stage.traffic.calls(), []);
}
