//! Stories that observe, delay or disrupt single requests, which only the stand-in can do.

use super::{BYTE_RANGE, KEEP_HIGHEST, MASTER, assert_held};
use serde_json::{Value, json};
use stand_in::{Call, Fault, Function, Object, Versioning};
use std::time::Duration;
use stories::{BUCKET, Cloud, VERSIONED, error, event, recording, recording_end, response, start};

fn operations(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.operation.as_str()).collect()
}

/// The metrics that the function wrote for CloudWatch.
fn metrics(function: &Function) -> Vec<Value> {
    let lines = function
        .stdout()
        .into_iter()
        .filter(|line| line.starts_with("{\"_aws\""));
    lines
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

/// Promises P3, P4 and P5: no S3 request is sent for invalid or ignored events.
#[tokio::test]
async fn an_invalid_or_ignored_event_causes_no_s3_request() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &KEEP_HIGHEST);
    let mut events = vec![
        json!({}),
        event("prune-recording/recording-start.json"),
        event("prune-recording/stream-end.json"),
    ];
    for (field, value) in [
        ("recording_s3_key_prefix", ""),
        ("recording_s3_key_prefix", "/"),
        ("recording_s3_key_prefix", "ivs/../.."),
        ("recording_s3_bucket_name", "someone-elses-bucket"),
    ] {
        let mut event = recording_end(BUCKET, &recording("unseen"));
        event["detail"][field] = value.into();
        events.push(event);
    }
    for event in events {
        function.invoke(event).await;
    }
    assert_eq!(cloud.s3().calls(), []);
}

/// Promise P14. Nothing is deleted before every playlist and metadata file is written.
#[tokio::test]
async fn a_run_writes_playlists_then_metadata_and_then_deletes() {
    let cloud = Cloud::stand_in();
    let recording = recording("order");
    recording.put_into(cloud.s3(), BUCKET);
    response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );
    let calls = cloud.s3().calls();
    let changes = calls
        .iter()
        .filter(|call| matches!(call.operation.as_str(), "PutObject" | "DeleteObjects"));
    let changes: Vec<String> = changes
        .map(|call| format!("{} {}", call.operation, call.key))
        .collect();
    let put = |path: &str| format!("PutObject {}/{path}", recording.prefix);
    assert!(
        changes[..2].contains(&put(BYTE_RANGE)) && changes[..2].contains(&put(MASTER)),
        "{changes:?}"
    );
    assert_eq!(changes[2], put("events/recording-ended.json"));
    assert_eq!(changes[3..], ["DeleteObjects "; 3]);
    let first_put = calls
        .iter()
        .position(|call| call.operation == "PutObject")
        .unwrap();
    let heads = operations(&calls[..first_put])
        .iter()
        .filter(|operation| **operation == "HeadObject")
        .count();
    assert_eq!(
        heads, 2,
        "both kept media playlists are checked before anything is written"
    );
}

/// Promise P9: rare headers and properties.
#[tokio::test]
async fn a_rewritten_object_keeps_every_header() {
    let cloud = Cloud::stand_in();
    let recording = recording("all-headers");
    recording.put_into(cloud.s3(), BUCKET);
    let key = format!("{}/{MASTER}", recording.prefix);
    let some = |text: &str| Some(text.to_owned());
    let object = Object {
        content_disposition: some("inline"),
        content_encoding: some("identity"),
        content_language: some("de"),
        expires: some("Wed, 21 Oct 2026 07:28:00 GMT"),
        storage_class: some("STANDARD_IA"),
        encryption: [
            ("", "aws:kms"),
            ("-aws-kms-key-id", "a-key"),
            ("-bucket-key-enabled", "true"),
        ]
        .map(|(name, value)| {
            (
                format!("x-amz-server-side-encryption{name}"),
                value.to_owned(),
            )
        })
        .into(),
        ..cloud.s3().object(BUCKET, &key).unwrap()
    };
    cloud.s3().put_object(BUCKET, &key, object.clone());
    response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );
    let after = cloud.s3().object(BUCKET, &key).unwrap();
    assert_ne!(after.body, object.body);
    assert_eq!(
        after,
        Object {
            body: after.body.clone(),
            size_bytes: after.size_bytes,
            etag: after.etag.clone(),
            ..object
        }
    );
}

/// Promise P15. A playlist or metadata file is written only if it is still the version that was
/// read (`If-Match`).
#[tokio::test]
async fn a_playlist_that_another_writer_changes_is_read_again() {
    let cloud = Cloud::stand_in();
    let recording = recording("race");
    recording.put_into(cloud.s3(), BUCKET);
    let master = format!("{}/{MASTER}", recording.prefix);
    let mine = "#EXTM3U\n## mine\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p30/playlist.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\n160p30/playlist.m3u8\n";
    // Just before the first write, of the other playlist, another writer changes the master.
    let key = master.clone();
    cloud
        .s3()
        .before_first("PutObject", move |buckets| buckets.put(BUCKET, &key, mine));

    let report = response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );

    assert_eq!(
        (&report["outcome"], &report["playlists_rewritten"]),
        (&json!("pruned"), &json!(2))
    );
    let puts = cloud
        .s3()
        .calls()
        .into_iter()
        .filter(|call| call.operation == "PutObject" && call.key == master);
    assert_eq!(puts.count(), 2, "S3 refused one of the writes");
    assert_eq!(
        cloud.get(BUCKET, &recording, MASTER).await.text,
        mine.lines()
            .take(4)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    );
}

/// Promise P15. A playlist or metadata file is written only if it is still the version that was
/// read (`If-Match`).
#[tokio::test]
async fn a_playlist_that_changes_during_every_attempt_is_held() {
    let cloud = Cloud::stand_in();
    let recording = recording("contended");
    recording.put_into(cloud.s3(), BUCKET);
    let master = format!("{}/{MASTER}", recording.prefix);
    let text = cloud.get(BUCKET, &recording, MASTER).await.text;
    cloud.s3().reset_calls();
    for call in 0..100 {
        let (key, text) = (master.clone(), format!("{text}\n## {call}"));
        cloud
            .s3()
            .before_call(call, move |buckets| buckets.put(BUCKET, &key, text));
    }
    let segments = |cloud: &Cloud| cloud.s3().keys(BUCKET, &recording.prefix).len();
    let before = segments(&cloud);

    let report = response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );
    let why = "another writer changed the recording during each of 3 attempts";
    assert_held(&report, "concurrent_writes", why);
    assert_eq!(segments(&cloud), before);
}

/// Promises P13 and P15: without an `ETag`, a write cannot be conditional.
#[tokio::test]
async fn a_file_without_an_etag_is_held() {
    for path in [MASTER, BYTE_RANGE, "events/recording-ended.json"] {
        let cloud = Cloud::stand_in();
        let recording = recording("no-etag");
        recording.put_into(cloud.s3(), BUCKET);
        let before = cloud.s3().snapshot(BUCKET);
        cloud
            .s3()
            .withhold_etag(BUCKET, &format!("{}/{path}", recording.prefix));
        let report = response(
            start(&cloud, &KEEP_HIGHEST)
                .invoke(recording_end(BUCKET, &recording))
                .await,
        );
        let why = format!("{path} cannot be read: S3 returned no ETag for the object");
        assert_held(&report, "unreadable_file", &why);
        assert!(cloud.s3().snapshot(BUCKET) == before, "{path}");
    }
}

/// Promise P16. A second event finds nothing to do (`unchanged`), whatever the rule, also
/// `DELETE_RENDITIONS=lowest`.
#[tokio::test]
async fn two_runs_at_the_same_time_have_the_same_result_as_one() {
    let cloud = Cloud::stand_in();
    let recording = recording("at-once");
    recording.put_into(cloud.s3(), BUCKET);
    let alone = Cloud::stand_in();
    recording.put_into(alone.s3(), BUCKET);
    response(
        start(&alone, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );
    cloud.s3().set_latency(Duration::from_millis(5));
    let (one, other) = (start(&cloud, &KEEP_HIGHEST), start(&cloud, &KEEP_HIGHEST));
    let end = recording_end(BUCKET, &recording);
    let (one, other) = tokio::join!(one.invoke(end.clone()), other.invoke(end));
    for report in [response(one), response(other)] {
        assert!(
            ["pruned", "unchanged"].contains(&report["outcome"].as_str().unwrap()),
            "{report}"
        );
    }
    assert_eq!(cloud.s3().snapshot(BUCKET), alone.s3().snapshot(BUCKET));
}

/// Promise P19. Keys that S3 refuses in a batch are retried if the reason is transient, and
/// otherwise reported in an `Aws` error.
#[tokio::test]
async fn keys_that_s3_refuses_are_named_and_all_others_are_deleted() {
    let cloud = Cloud::stand_in();
    let recording = recording("refused");
    recording.put_into(cloud.s3(), BUCKET);
    let locked = format!("{}/media/hls/160p30/1.ts", recording.prefix);
    cloud.s3().refuse_delete(BUCKET, &locked, "AccessDenied");
    let function = start(&cloud, &KEEP_HIGHEST);
    let (kind, message) = error(function.invoke(recording_end(BUCKET, &recording)).await);
    assert_eq!(kind, "Aws");
    assert!(
        message.contains(&format!("S3 refused 1 objects: {locked}: AccessDenied")),
        "{message}"
    );
    assert_eq!(
        cloud
            .s3()
            .keys(BUCKET, &format!("{}/media/hls/", recording.prefix))
            .len(),
        2 + 5 + 1
    );
    let metrics = &metrics(&function)[0];
    assert_eq!(
        (&metrics["ObjectsDeleted"], &metrics["Failed"]),
        (&json!(14), &json!(1))
    );
}

/// Promise P19. Keys that S3 refuses in a batch are retried if the reason is transient, and
/// otherwise reported in an `Aws` error.
#[tokio::test]
async fn keys_with_a_temporary_error_are_tried_again() {
    let cloud = Cloud::stand_in();
    let recording = recording("moment");
    recording.put_into(cloud.s3(), BUCKET);
    let partly = Fault::PartialDelete {
        code: "InternalError",
        every: 2,
    };
    cloud.s3().traffic().fault_next("DeleteObjects", 18, partly);

    let report = response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );

    assert_eq!(
        (&report["outcome"], &report["objects_deleted"]),
        (&json!("pruned"), &json!(15))
    );
    assert!(
        operations(&cloud.s3().calls())
            .iter()
            .filter(|operation| **operation == "DeleteObjects")
            .count()
            > 6
    );
    assert_eq!(cloud.renditions(BUCKET, &recording).await, ["720p30"]);
}

/// Promise P20: while S3 answers Slow Down, the pauses between requests grow, and the run
/// continues. There are many more refusals here than the SDK would retry.
#[tokio::test]
async fn slow_down_lowers_the_rate_and_does_not_end_the_run() {
    let cloud = Cloud::stand_in();
    let mut recording = recording("slow-down");
    recording.segments = 3_900;
    recording.put_into(cloud.s3(), BUCKET);
    let refused = 30;
    let slow_down = Fault::Status {
        status: 503,
        code: "SlowDown",
    };
    let traffic = cloud.s3().traffic();
    traffic.fault_next("DeleteObjects", refused, slow_down);
    let end = recording_end(BUCKET, &recording);

    let answer = start(&cloud, &KEEP_HIGHEST)
        .invoke_within(end, Duration::from_secs(300))
        .await;

    assert_eq!(response(answer)["objects_deleted"], json!(3 * 3_902));
    let calls = cloud.s3().calls();
    let deletes = calls
        .iter()
        .filter(|call| call.operation == "DeleteObjects");
    let at: Vec<_> = deletes.take(refused).map(|call| call.at).collect();
    let longest = at.windows(2).map(|two| two[1] - two[0]).max().unwrap();
    assert!(longest >= Duration::from_millis(50), "{longest:?}");
}

/// Promise P21. Ten seconds before Lambda's deadline a run starts nothing more and fails as
/// `Incomplete`, and the retry continues from there.
#[tokio::test]
async fn near_the_deadline_a_run_stops_and_the_retry_continues() {
    let cloud = Cloud::stand_in();
    let mut recording = recording("deadline");
    recording.segments = 30_000;
    recording.put_into(cloud.s3(), BUCKET);
    cloud.s3().set_latency(Duration::from_millis(200));
    let function = start(&cloud, &KEEP_HIGHEST);
    let end = recording_end(BUCKET, &recording);
    let (kind, message) = error(
        function
            .invoke_within(end.clone(), Duration::from_secs(14))
            .await,
    );
    assert_eq!(kind, "Incomplete", "{message}");
    let left = cloud.s3().keys(BUCKET, &recording.prefix).len();
    let total = recording.objects().len();
    assert!(left > 30_000 && left < total, "{left} of {total}");
    assert!(message.contains(&recording.prefix), "{message}");
    assert!(
        message.contains(&format!("3 files rewritten, {} objects", total - left)),
        "{message}"
    );
    assert_eq!(metrics(&function)[0]["ObjectsDeleted"], json!(total - left));

    cloud.s3().set_latency(Duration::ZERO);

    let report = response(function.invoke(end).await);

    assert_eq!(
        (&report["outcome"], &report["playlists_rewritten"]),
        (&json!("pruned"), &json!(0))
    );
    assert_eq!(report["objects_deleted"], json!(left - 30_002 - 7));
    assert_eq!(cloud.renditions(BUCKET, &recording).await, ["720p30"]);
}

/// Promise P21. Ten seconds before Lambda's deadline a run starts nothing more and fails as
/// `Incomplete`, and the retry continues from there.
#[tokio::test]
async fn an_s3_that_does_not_answer_is_reported_before_the_deadline() {
    let cloud = Cloud::stand_in();
    let recording = recording("no-answer");
    recording.put_into(cloud.s3(), BUCKET);
    let before = cloud.s3().snapshot(BUCKET);
    cloud.s3().set_latency(Duration::from_secs(60));

    let answer = start(&cloud, &KEEP_HIGHEST)
        .invoke_within(recording_end(BUCKET, &recording), Duration::from_secs(4))
        .await;
    let (kind, message) = error(answer);
    assert_eq!(kind, "Incomplete");
    assert!(
        message.contains("0 files rewritten, 0 objects"),
        "{message}"
    );
    assert!(cloud.s3().snapshot(BUCKET) == before);
}

/// Promise P15: the last write is also conditional.
#[tokio::test]
async fn metadata_that_another_writer_changes_is_read_again() {
    let cloud = Cloud::stand_in();
    let recording = recording("metadata-race");
    recording.put_into(cloud.s3(), BUCKET);
    let ended = format!("{}/events/recording-ended.json", recording.prefix);
    let mine = cloud
        .get(BUCKET, &recording, "events/recording-ended.json")
        .await
        .text
        .replacen('{', r#"{"mine":1,"#, 1);
    cloud.s3().reset_calls();
    cloud.s3().before_first("PutObject", move |buckets| {
        buckets.put(BUCKET, &ended, mine);
    });

    let report = response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );

    assert_eq!(
        (&report["outcome"], &report["playlists_rewritten"]),
        (&json!("pruned"), &json!(2))
    );
    let text = cloud
        .get(BUCKET, &recording, "events/recording-ended.json")
        .await
        .text;
    assert!(
        text.starts_with(r#"{"mine":1,"#) && !text.contains("160p30"),
        "{text}"
    );
}

/// Promise P18: a write counts also if its answer was lost.
#[tokio::test]
async fn a_write_whose_answer_is_lost_is_counted() {
    let cloud = Cloud::stand_in();
    let recording = recording("lost-answer");
    recording.put_into(cloud.s3(), BUCKET);
    cloud
        .s3()
        .traffic()
        .fault_first("PutObject", Fault::ResetAfter);

    let report = response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );

    assert_eq!(
        (&report["outcome"], &report["playlists_rewritten"]),
        (&json!("pruned"), &json!(2)),
        "{report}"
    );
}

/// Promise P22. In a versioned bucket objects are hidden by delete markers, and `VERSIONS=purge`
/// deletes all versions of the dropped renditions.
#[tokio::test]
async fn with_suspended_versioning_the_report_notes_permanent_deletions() {
    let cloud = Cloud::stand_in();
    let recording = recording("suspended");
    recording.put_into(cloud.s3(), VERSIONED);
    cloud.s3().set_versioning(VERSIONED, Versioning::Suspended);
    // A delete marker replaces a version that was written after versioning was suspended.
    let since = format!("{}/media/hls/160p30/since.ts", recording.prefix);
    cloud.s3().put(VERSIONED, &since, "12345");

    let report = response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(VERSIONED, &recording))
            .await,
    );

    assert_eq!(
        (&report["objects_deleted"], &report["versioned"]),
        (&json!(16), &json!(true))
    );
    assert!(
        report["note"]
            .as_str()
            .unwrap()
            .contains("deleted permanently"),
        "{report}"
    );
    let left = cloud.s3().versions(VERSIONED, &since);
    assert!(
        left.iter().all(|version| version.is_delete_marker),
        "{left:?}"
    );
    let purge = [("KEEP_RENDITIONS", "highest"), ("VERSIONS", "purge")];
    response(
        start(&cloud, &purge)
            .invoke(recording_end(VERSIONED, &recording))
            .await,
    );
    let folder = format!("{}/media/hls/160p30/", recording.prefix);
    assert_eq!(cloud.s3().versions(VERSIONED, &folder), []);
}

/// Promise P23: objects that a dry run counts are not reported as deleted, also when it fails.
#[tokio::test]
async fn a_dry_run_that_fails_reports_nothing_deleted() {
    let cloud = Cloud::stand_in();
    let mut recording = recording("dry-failure");
    recording.segments = 3_000;
    recording.put_into(cloud.s3(), BUCKET);
    for call in 17..40 {
        cloud.s3().fault(
            call,
            Fault::Status {
                status: 403,
                code: "AccessDenied",
            },
        );
    }
    let function = start(
        &cloud,
        &[("KEEP_RENDITIONS", "highest"), ("DRY_RUN", "true")],
    );
    error(function.invoke(recording_end(BUCKET, &recording)).await);
    let metrics = metrics(&function);
    assert_eq!(
        (
            metrics.len(),
            metrics[0].get("ObjectsDeleted"),
            &metrics[0]["Failed"]
        ),
        (1, None, &json!(1))
    );
}

/// Promise P25. Figures go to CloudWatch as embedded metrics, and logs are JSON lines that never
/// contain the event.
#[tokio::test]
async fn metrics_are_written_and_the_log_has_nothing_of_the_event() {
    let cloud = Cloud::stand_in();
    let recording = recording("log");
    recording.put_into(cloud.s3(), BUCKET);
    let function = start(&cloud, &KEEP_HIGHEST);
    let mut end = recording_end(BUCKET, &recording);
    end["detail"]["channel_name"] = "a private name".into();
    end["secret"] = "do not print".into();
    response(function.invoke(end.clone()).await);
    end["detail"]["recording_s3_key_prefix"] = "ivs/v1/absent".into();
    error(function.invoke(end.clone()).await);
    end["detail"]["recording_status"] = json!({"do not print": "private"});
    error(function.invoke(end).await);
    let lines = function.stdout();
    let json: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        json.iter()
            .any(|line| line["recording.prefix"] == json!(recording.prefix)),
        "{lines:#?}"
    );
    assert!(
        json.iter()
            .any(|line| line["level"] == "ERROR" && line["error.type"] == "BadEvent"),
        "{lines:#?}"
    );
    assert!(
        !lines.concat().contains("private") && !lines.concat().contains("do not print"),
        "{lines:#?}"
    );
    assert_eq!(function.stderr(), Vec::<String>::new());
    let errors = json.iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, 2, "each failure is logged once: {lines:#?}");
    let [pruned, failed, _] = &metrics(&function)[..] else {
        panic!("{lines:#?}")
    };
    let figure = |name: &str| pruned[name].as_u64().unwrap();
    assert_eq!(
        (
            figure("RecordingsPruned"),
            figure("ObjectsDeleted"),
            figure("BytesDeleted")
        ),
        (1, 15, 4_662)
    );
    assert_eq!(
        (&pruned["Function"], &failed["Failed"]),
        (&json!("prune-recording"), &json!(1))
    );
}

/// Promise P27. An error names the operation, the target and the whole chain of causes.
#[tokio::test]
async fn an_error_names_operation_target_and_all_causes() {
    let cloud = Cloud::stand_in();
    let recording = recording("cause");
    recording.put_into(cloud.s3(), BUCKET);
    for call in 0..20 {
        cloud.s3().fault(
            call,
            Fault::Status {
                status: 403,
                code: "AccessDenied",
            },
        );
    }
    let (kind, message) = error(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );
    assert_eq!(kind, "Aws");
    assert!(
        message.contains("s3://") && message.contains("AccessDenied"),
        "{message}"
    );

    let nowhere = [
        ("KEEP_RENDITIONS", "highest"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"),
    ];
    let (kind, message) = error(
        start(&cloud, &nowhere)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );
    assert_eq!(kind, "Aws");
    assert!(
        message.contains("s3://") && message.contains("refused"),
        "{message}"
    );
}

/// Promise P28: a real recording, if its folder is next to the project's.
#[tokio::test]
async fn a_real_recording_is_pruned() {
    let folder = stories::root().join("../shared/recordings/ivs-720p");
    let Ok(inventory) = std::fs::read_to_string(folder.join("inventory.csv")) else {
        println!(
            "skipped: the real recording {} does not exist",
            folder.display()
        );
        return;
    };
    let cloud = Cloud::stand_in();
    let mut prefix = String::new();
    for (key, size) in inventory
        .lines()
        .skip(1)
        .filter_map(|row| row.split_once(','))
    {
        match std::fs::read(folder.join(key)) {
            Ok(body) => cloud.s3().put(BUCKET, key, body),
            Err(_) => cloud.s3().put_sized(BUCKET, key, size.parse().unwrap()),
        }
        if let Some(found) = key.strip_suffix("/events/recording-ended.json") {
            prefix = found.to_owned();
        }
    }
    let mut recording = recording("real");
    recording.prefix = prefix;
    let before = super::documents(&cloud, BUCKET, &recording).await;

    let report = response(
        start(&cloud, &KEEP_HIGHEST)
            .invoke(recording_end(BUCKET, &recording))
            .await,
    );
    // The sizes of the three deleted renditions, counted when the recording was published.
    assert_eq!(
        (&report["objects_deleted"], &report["bytes_deleted"]),
        (&json!(57), &json!(30_609_942 + 14_999_149 + 6_120_995))
    );
    assert_eq!(report["kept"], json!(["720p30"]));
    for (before, after) in before
        .iter()
        .zip(super::documents(&cloud, BUCKET, &recording).await)
    {
        if before.text.starts_with('{') {
            // Only the deleted renditions are removed.
            let [was, is]: [Value; 2] =
                [&before.text, &after.text].map(|text| serde_json::from_str(text).unwrap());
            let mut was = was;
            was["media"]["hls"]["renditions"]
                .as_array_mut()
                .unwrap()
                .truncate(1);
            assert_eq!(after.text, was.to_string());
            assert_eq!(is, was);
        } else {
            let kept: String = before.text.split_inclusive('\n').take(6).collect();
            assert_eq!(after.text, kept);
        }
    }
}
