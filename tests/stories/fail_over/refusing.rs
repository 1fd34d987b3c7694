//! When a lost side is not cut, and how the freshness of the other side is determined.

use super::{A, B, run};
use serde_json::{Value, json};
use stand_in::{Reply, SyntheticStream};
use std::time::{Duration, SystemTime};
use stories::event;
use stories::pair::{ALERT, CHANNELS, ENDPOINTS, Stage, ago, alert_set, by_hand, metrics, now};
use stories::response;

/// A media playlist of three segments of two seconds. The newest has this sequence number.
fn playlist(newest: u64, date: Option<&str>, end: &str) -> Reply {
    let date = date
        .map(|date| format!("#EXT-X-PROGRAM-DATE-TIME:{date}\n"))
        .unwrap_or_default();
    Reply::Text(format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{}\n{date}#EXTINF:2.000,\n1.ts\n\
         #EXTINF:2.000,\n2.ts\n#EXTINF:2.000,\n3.ts\n{end}",
        newest - 2
    ))
}

/// A published stage whose side B has this media playlist.
async fn b_answers(reply: Reply) -> Stage {
    let stage = Stage::published(&[]).await;
    stage
        .mediapackage
        .set_reply(ENDPOINTS[B], "index_1.m3u8", reply);
    stage
}

/// Runs fail-over: it is `held` for this reason, and changes nothing.
async fn assert_held(stage: &Stage, settings: &[(&str, &str)], event: Value, reason: &str) {
    let before = stage.snapshot();
    let fail_over = stage.start("fail-over", settings);
    let answer = response(fail_over.invoke(event).await);
    assert_eq!(answer["outcome"], "held", "{answer:#}");
    let why = answer["why"].as_str().unwrap();
    assert!(why.contains(reason), "{reason}: {why}");
    assert_eq!(stage.snapshot(), before, "{why}");
    assert_eq!(metrics(&fail_over)["Held"], 1);
}

/// Promise P42. A fail-over is `held`, with nothing changed, unless the other side is live and
/// known to be advancing.
#[tokio::test]
async fn the_last_live_side_is_never_cut() {
    for cut in ["delete", "deny", "none"] {
        let settings = [("CUT", cut)];
        let stage = Stage::published(&settings).await;
        assert_eq!(
            run(&stage, &settings, alert_set(A)).await["outcome"],
            "failed_over"
        );
        stage.medialive.set_alert(CHANNELS[B], 0, ALERT);
        for event in [alert_set(B), by_hand(B), event("fail-over/schedule.json")] {
            assert_held(
                &stage,
                &settings,
                event,
                "side A is not live: the last live side stays in service",
            )
            .await;
        }
    }
}

/// Promise P42. A fail-over is `held`, with nothing changed, unless the other side is live and
/// known to be advancing.
#[tokio::test]
async fn if_both_sides_are_lost_nothing_is_cut() {
    let stage = Stage::published(&[]).await;
    CHANNELS
        .iter()
        .for_each(|channel| stage.medialive.set_alert(channel, 0, ALERT));
    assert_held(
        &stage,
        &[],
        event("fail-over/schedule.json"),
        "both sides have lost their input",
    )
    .await;
    // The same for an alert that is too old to be trusted.
    let late = super::late(alert_set(A), Duration::from_secs(300));
    assert_held(&stage, &[], late, "both sides have lost their input").await;
}

/// Promises P42 and P43.
#[tokio::test]
async fn viewers_are_not_sent_to_a_side_of_unknown_freshness() {
    let elsewhere = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://192.0.2.1/1.m3u8\n";
    for (reply, reason) in [
        (Reply::Status(404), "returned 404"),
        (Reply::Status(500), "returned 500"),
        (
            Reply::Redirect("https://example.com/".to_owned()),
            "returned 302",
        ),
        (
            Reply::Text("<html>".to_owned()),
            "the media playlist cannot be parsed",
        ),
        (
            Reply::Text(format!("#EXTM3U\n{}", "#".repeat(1024 * 1024))),
            "the answer is longer than",
        ),
        (
            Reply::Late(Duration::from_secs(60)),
            "is advancing is unknown: GET http",
        ),
        (
            playlist(7, None, ""),
            "has no timestamps, and there is no earlier probe",
        ),
    ] {
        assert_held(&b_answers(reply).await, &[], alert_set(A), reason).await;
    }
    let stage = Stage::new();
    stage.mediapackage.set_reply(
        ENDPOINTS[B],
        "index.m3u8",
        Reply::Text(elsewhere.to_owned()),
    );
    assert_held(
        &stage,
        &[],
        alert_set(A),
        "http://192.0.2.1/1.m3u8 is not https",
    )
    .await;
    stage
        .mediapackage
        .set_reply(ENDPOINTS[B], "index.m3u8", Reply::Status(503));
    assert_held(&stage, &[], alert_set(A), "index.m3u8 returned 503").await;
    stage.mediapackage.delete(ENDPOINTS[B]);
    assert_held(
        &stage,
        &[],
        alert_set(A),
        "MediaPackage has no endpoint for it",
    )
    .await;
}

/// Promises P42 and P43.
#[tokio::test]
async fn viewers_are_not_sent_to_a_side_that_has_ended_or_has_no_segments() {
    let ended = playlist(7, Some(&now()), "#EXT-X-ENDLIST\n");
    let empty =
        Reply::Text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n".to_owned());
    for (reply, reason) in [
        (ended, "side B is stale: the media playlist has ended"),
        (empty, "side B is stale: the media playlist has no segments"),
    ] {
        assert_held(&b_answers(reply).await, &[], alert_set(A), reason).await;
    }
}

/// Promises P42 and P43: a stream with MediaPackage's headers.
#[tokio::test]
async fn a_stale_side_is_detected_by_the_header_of_mediapackage() {
    let stage = Stage::published(&[]).await;
    stage.mediapackage.stall(CHANNELS[B]);
    // The target duration is one second, and three target durations are allowed.
    tokio::time::sleep(Duration::from_millis(3_600)).await;
    assert_held(&stage, &[], alert_set(A), "the newest segment was created").await;
    stage.mediapackage.resume(CHANNELS[B]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(
        run(&stage, &[], alert_set(A)).await["outcome"],
        "failed_over"
    );
}

/// Promise P43. One GET of a media playlist shows whether a side is advancing.
#[tokio::test]
async fn without_the_header_program_date_time_counts() {
    // The newest segment ends six seconds later. Three target durations and 20 s are allowed.
    let fresh = playlist(7, Some(&ago(Duration::from_secs(20))), "");
    assert_eq!(
        run(&b_answers(fresh).await, &[], alert_set(A)).await["outcome"],
        "failed_over"
    );
    let stale = playlist(7, Some(&ago(Duration::from_secs(40))), "");
    assert_held(
        &b_answers(stale).await,
        &[],
        alert_set(A),
        "by its PROGRAM-DATE-TIME",
    )
    .await;
}

/// Promise P43. One GET of a media playlist shows whether a side is advancing.
#[tokio::test]
async fn without_timestamps_the_sequence_numbers_since_an_earlier_probe_count() {
    let schedule = || event("fail-over/schedule.json");
    let stage = b_answers(playlist(7, None, "")).await;
    let first = run(&stage, &[], schedule()).await;
    assert!(
        first["stale"][0]
            .as_str()
            .unwrap()
            .contains("no earlier probe"),
        "{first:#}"
    );
    let sighting = &stage.state()["sides"]["B"]["sighting"];
    assert_eq!(sighting["sequence"], 8, "the number of the next segment");

    // A minute passes, in which thirty segments are due.
    let mut state = stage.state();
    let minute_ago = SystemTime::now() - Duration::from_secs(60);
    state["sides"]["B"]["sighting"]["at"] = stories::pair::time(minute_ago).into();
    stage.put_state(&state);
    stage
        .mediapackage
        .set_reply(ENDPOINTS[B], "index_1.m3u8", playlist(12, None, ""));
    assert_held(
        &stage,
        &[],
        alert_set(A),
        "only 5 new segments in the last 6",
    )
    .await;
    stage
        .mediapackage
        .set_reply(ENDPOINTS[B], "index_1.m3u8", playlist(36, None, ""));
    assert_eq!(
        run(&stage, &[], alert_set(A)).await["outcome"],
        "failed_over"
    );
}

/// Promise P43: ffmpeg writes another form of ISO 8601, without a colon in the offset.
#[tokio::test]
async fn a_live_stream_without_headers_is_advancing_by_its_program_date_time() {
    let live = || SyntheticStream {
        segment_ms: 500,
        has_manifest_headers: false,
        ..SyntheticStream::default()
    };
    let stage = Stage::with(live(), live());
    stage.publish(&[]).await;
    assert_eq!(
        run(&stage, &[], alert_set(A)).await["outcome"],
        "failed_over"
    );
    let basic = now().replace('Z', "+0000");
    let stage = b_answers(playlist(7, Some(&basic), "")).await;
    assert_eq!(
        run(&stage, &[], alert_set(A)).await["outcome"],
        "failed_over"
    );
}

/// Promise P49. If the state cannot be parsed, the run is `held`: nothing is guessed, and nothing
/// is changed.
#[tokio::test]
async fn a_state_that_cannot_be_parsed_is_held_by_all_three_functions() {
    let side = |status: Value| json!({ "pathway": "A", "status": status });
    let cut = || side(json!({ "cut": { "by": "none", "why": "both" } }));
    let state = |version: &str, sides: [Value; 2]| {
        let [a, b] = sides;
        json!({ "version": version, "generation": 3, "first": "A", "sides": { "A": a, "B": b } })
            .to_string()
    };
    let live = || side(json!("live"));
    let with_more = state("1", [live(), live()]).replacen('{', "{\"newer\": 1, ", 1);
    for (state, reason) in [
        (String::new(), "EOF"),
        ("{}".to_owned(), "missing field"),
        ("null".to_owned(), "invalid type"),
        (state("2", [live(), live()]), "unknown variant `2`"),
        (
            state("1", [live(), side(json!("dead"))]),
            "unknown variant `dead`",
        ),
        (state("1", [cut(), cut()]), "neither side is live"),
        (with_more, "unknown field `newer`"),
        ("x".repeat(300_000), "the limit is 262144"),
    ] {
        let stage = Stage::published(&[]).await;
        stage
            .s3
            .put(stories::pair::CONTROL, stories::pair::STATE, state.clone());
        stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
        let before = stage.snapshot();
        stage.traffic.reset_calls();
        for (stem, event) in [
            ("fail-over", alert_set(A)),
            ("fail-over", event("fail-over/schedule.json")),
            ("fail-back", event("fail-back/schedule.json")),
            ("fail-back", by_hand(A)),
            ("publish-playlist", event("publish-playlist/schedule.json")),
        ] {
            let answer = response(stage.call(stem, &[], event).await);
            assert_eq!(answer["outcome"], "held", "{stem} {reason}");
            let why = answer["why"].as_str().unwrap();
            assert!(
                why.contains("pairs/show/state.json") && why.contains(reason),
                "{stem}: {why}"
            );
        }
        assert_eq!(stage.snapshot(), before, "{reason}");
        let changes =
            |operation: &str| !["GetObject", "DescribeOriginEndpoint", "GET"].contains(&operation);
        assert!(
            !stage
                .traffic
                .calls()
                .iter()
                .any(|call| changes(&call.operation)),
            "{reason}"
        );
    }
}
