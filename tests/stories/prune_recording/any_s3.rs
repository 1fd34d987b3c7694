//! Stories that run on any S3: on the stand-in, and on moto under the template's own role.

use super::{BYTE_RANGE, ENDED, KEEP_HIGHEST, MASTER, assert_held, documents, listed};
use serde_json::{Value, json};
use stand_in::Object;
use stand_in::ivs::Rendition;
use std::collections::BTreeMap;
use stories::{
    BUCKET, Cloud, VERSIONED, error, event, object_created, prune, recording, recording_end,
    response, start,
};

/// Promises P1 and P7.
#[tokio::test]
async fn every_trigger_has_the_same_result() {
    let cloud = Cloud::any().await;
    let mut ends = Vec::new();
    for trigger in ["ivs", "s3", "by-hand"] {
        let recording = recording(&format!("triggers-{trigger}"));
        cloud.put_recording(BUCKET, &recording).await;
        let event = match trigger {
            "ivs" => recording_end(BUCKET, &recording),
            "s3" => object_created(BUCKET, &recording),
            // A person sends only the fields that On Air reads.
            _ => json!({
                "source": "aws.ivs",
                "detail-type": "IVS Recording State Change",
                "detail": {
                    "recording_status": "Recording End",
                    "recording_s3_bucket_name": BUCKET,
                    "recording_s3_key_prefix": recording.prefix,
                },
            }),
        };
        let mut report = response(prune(&cloud, &KEEP_HIGHEST, event).await);
        assert_eq!(
            report["recording"].take(),
            json!(format!("s3://{BUCKET}/{}", recording.prefix))
        );
        assert_eq!(cloud.renditions(BUCKET, &recording).await, ["720p30"]);
        let [master, byte_range, ended] = documents(&cloud, BUCKET, &recording).await;
        assert_eq!(master.text.matches("#EXT-X-STREAM-INF").count(), 1);
        assert_eq!(master.text.matches("#EXT-X-MEDIA").count(), 1);
        assert!(
            master.text.ends_with("\n720p30/playlist.m3u8\n"),
            "{}",
            master.text
        );
        assert!(
            byte_range
                .text
                .ends_with("\n720p30/byte-range-variant.m3u8\n"),
            "{}",
            byte_range.text
        );
        assert_eq!(listed(&ended.text), ["720p30"]);
        ends.push((report, [master.text, byte_range.text, ended.text]));
    }
    assert!(ends.iter().all(|end| *end == ends[0]));
    insta::assert_json_snapshot!(ends[0].0, @r#"
    {
      "outcome": "pruned",
      "recording": null,
      "kept": [
        "720p30"
      ],
      "deleted": {
        "160p30": {
          "objects": 5,
          "bytes": 1028
        },
        "360p30": {
          "objects": 5,
          "bytes": 1637
        },
        "480p30": {
          "objects": 5,
          "bytes": 1997
        }
      },
      "objects_deleted": 15,
      "bytes_deleted": 4662,
      "playlists_rewritten": 2,
      "versioned": false
    }
    "#);
}

/// Promise P2. Other recording states, other objects and other events are `ignored` with the
/// reason, and nothing is read or changed.
#[tokio::test]
async fn events_that_end_no_recording_are_ignored() {
    let cloud = Cloud::any().await;
    let function = start(&cloud, &KEEP_HIGHEST);
    for (file, why) in [
        (
            "recording-start",
            "the recording state is \"Recording Start\"",
        ),
        (
            "recording-start-failure",
            "the recording state is \"Recording Start Failure\"",
        ),
        (
            "recording-end-failure",
            "the recording state is \"Recording End Failure\"",
        ),
        (
            "object-created-other",
            "the object's key does not end in events/recording-ended.json",
        ),
        (
            "stream-end",
            "an event \"IVS Stream State Change\" of \"aws.ivs\" does not end a recording",
        ),
    ] {
        let report = response(
            function
                .invoke(event(&format!("prune-recording/{file}.json")))
                .await,
        );
        assert_eq!(report, json!({"outcome": "ignored", "why": why}), "{file}");
    }
}

/// Promise P6. A prefix that does not hold a whole recording is a `BadEvent`.
#[tokio::test]
async fn a_prefix_without_a_complete_recording_is_an_error_and_nothing_is_changed() {
    let cloud = Cloud::any().await;
    let whole = recording("whole");
    cloud.put_recording(BUCKET, &whole).await;
    let before = cloud.sizes(BUCKET, &whole.prefix).await;
    let function = start(&cloud, &KEEP_HIGHEST);
    // The channel's folder, a truncated prefix, a folder of the recording, an unknown prefix.
    let up = whole.prefix.rsplit_once('/').unwrap().0;
    for prefix in [
        up,
        &whole.prefix[..whole.prefix.len() - 2],
        &format!("{}/media", whole.prefix),
        "ivs/v1/nowhere",
    ] {
        let mut event = recording_end(BUCKET, &whole);
        event["detail"]["recording_s3_key_prefix"] = prefix.into();
        let (kind, message) = error(function.invoke(event).await);
        assert_eq!(kind, "BadEvent");
        assert!(
            message.contains(
                "is not a complete recording: events/recording-ended.json does not exist"
            ),
            "{message}"
        );
    }
    assert_eq!(cloud.sizes(BUCKET, &whole.prefix).await, before);

    // IVS may not have written an entry playlist yet that the metadata names.
    let early = recording("early");
    for (key, object) in early
        .objects()
        .into_iter()
        .filter(|(key, _)| !key.ends_with(MASTER))
    {
        cloud.put_object(BUCKET, key, object).await;
    }
    let (kind, message) = error(function.invoke(recording_end(BUCKET, &early)).await);
    assert_eq!(kind, "BadEvent");
    assert!(
        message.contains("media/hls/master.m3u8 does not exist"),
        "{message}"
    );
    assert_eq!(
        cloud.sizes(BUCKET, &early.prefix).await.len(),
        early.objects().len() - 1
    );
}

/// Promise P8. A rewritten playlist loses the entries of the deleted renditions, and every other
/// byte stays.
#[tokio::test]
async fn a_rewrite_keeps_every_other_byte_of_a_playlist() {
    let cloud = Cloud::any().await;
    let recording = recording("bytes");
    cloud.put_recording(BUCKET, &recording).await;
    let master = "#EXTM3U\r\n## ours\r\n#EXT-X-NEW:a=b\r\n\
        #EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"720p30\",NAME=\"720p\",DEFAULT=NO\r\n\
        #EXT-X-STREAM-INF:VIDEO=\"720p30\",X=\"1,2\",FRAME-RATE=30.000,BANDWIDTH=2440200\r\n720p30/playlist.m3u8\r\n\
        #EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"160p30\",NAME=\"160p\",DEFAULT=NO\r\n\
        #EXT-X-STREAM-INF:BANDWIDTH=230000,VIDEO=\"160p30\"\r\n160p30/playlist.m3u8\r\n\
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9000,URI=\"160p30/iframes.m3u8\"\r\n\
        \r\n#EXT-X-LAST";
    cloud
        .put(BUCKET, &format!("{}/{MASTER}", recording.prefix), master)
        .await;
    response(prune(&cloud, &KEEP_HIGHEST, recording_end(BUCKET, &recording)).await);
    let without: String = master
        .split_inclusive('\n')
        .filter(|line| !line.contains("160p30") && !line.contains("230000"))
        .collect();
    assert_eq!(cloud.get(BUCKET, &recording, MASTER).await.text, without);
}

/// Promise P9. A rewritten object keeps its headers, storage class, encryption and user metadata.
#[tokio::test]
async fn rewritten_objects_keep_their_headers_and_unknown_fields() {
    let cloud = Cloud::any().await;
    let recording = recording("headers");
    cloud.put_recording(BUCKET, &recording).await;
    let metadata = BTreeMap::from([
        ("owner".to_owned(), "sports desk".to_owned()),
        ("take".to_owned(), "2".to_owned()),
    ]);
    for (path, content_type) in [
        (MASTER, "audio/mpegurl"),
        (BYTE_RANGE, "audio/mpegurl"),
        (ENDED, "application/json"),
    ] {
        let mut text = cloud.get(BUCKET, &recording, path).await.text;
        if path == ENDED {
            text = text.replacen('{', r#"{"zebra":{"b":1,"a":[2.50,"é"]},"#, 1);
        }
        let object = Object {
            body: text.into(),
            content_type: Some(content_type.to_owned()),
            cache_control: Some("max-age=60, public".to_owned()),
            metadata: metadata.clone(),
            ..Object::default()
        };
        cloud
            .put_object(BUCKET, format!("{}/{path}", recording.prefix), object)
            .await;
    }
    let before = documents(&cloud, BUCKET, &recording).await;
    response(prune(&cloud, &KEEP_HIGHEST, recording_end(BUCKET, &recording)).await);
    for (before, after) in before
        .into_iter()
        .zip(documents(&cloud, BUCKET, &recording).await)
    {
        assert_ne!(before.text, after.text);
        assert_eq!(
            (before.content_type, before.cache_control),
            (after.content_type.clone(), after.cache_control.clone())
        );
        // recording-ended.json has the list of removed renditions besides the user's own metadata.
        let removed = [(
            "onair-removed".to_owned(),
            "160p30:160,360p30:360,480p30:480".to_owned(),
        )];
        let ours = removed.into_iter().filter(|_| after.text.starts_with('{'));
        assert_eq!(
            after.metadata,
            metadata.clone().into_iter().chain(ours).collect()
        );
        assert!(
            after.text.starts_with("#EXTM3U")
                || after
                    .text
                    .starts_with(r#"{"zebra":{"b":1,"a":[2.5,"é"]},"version""#),
            "{}",
            after.text
        );
    }
}

/// Promises P10 and P11.
#[tokio::test]
async fn neighbours_and_unknown_files_are_not_changed() {
    let cloud = Cloud::any().await;
    for (number, rule) in [
        ("KEEP_RENDITIONS", "highest"),
        ("DELETE_RENDITIONS", "<=480p"),
    ]
    .into_iter()
    .enumerate()
    {
        let recording = recording(&format!("neighbour-{number}"));
        cloud.put_recording(BUCKET, &recording).await;
        let in_recording = |path: &str| format!("{}/{path}", recording.prefix);
        let strangers = [
            // Names that start like a deleted rendition, or look like a rendition.
            in_recording("media/hls/480p30.txt"),
            in_recording("media/hls/480p300/0.ts"),
            in_recording("media/hls/480p30x/0.ts"),
            in_recording("media/hls/480p30-backup/0.ts"),
            in_recording("media/hls/90p/my-own.mp4"),
            in_recording("media/hls/notes/360p30/0.ts"),
            in_recording("media/360p30/0.ts"),
            in_recording("events/ivs-check-2"),
            in_recording("media/latest_thumbnail/thumb.jpg"),
            // A recording whose prefix starts alike, and files outside of every recording.
            format!("{}2/media/hls/480p30/0.ts", recording.prefix),
            format!("{}-old/media/hls/360p30/0.ts", recording.prefix),
            format!("media/hls/neighbour-{number}/160p30/0.ts"),
        ];
        for key in &strangers {
            cloud.put(BUCKET, key, "x").await;
        }
        response(prune(&cloud, &[rule], recording_end(BUCKET, &recording)).await);
        let after = cloud.sizes(BUCKET, &recording.prefix).await;
        let elsewhere = cloud.sizes(BUCKET, "media/hls/").await;
        for key in &strangers {
            assert!(
                after.contains_key(key) || elsewhere.contains_key(key),
                "{rule:?}: {key}"
            );
        }
        let renditions = cloud.renditions(BUCKET, &recording).await;
        assert_eq!(
            renditions,
            [
                "480p30-backup",
                "480p300",
                "480p30x",
                "720p30",
                "90p",
                "notes"
            ],
            "{rule:?}"
        );
        let own = [
            "events/ivs-check",
            "events/recording-started.json",
            "media/thumbnails/thumb0.jpg",
            "media/hls/720p30/2.ts",
        ];
        for path in own {
            assert!(after.contains_key(&in_recording(path)), "{rule:?}: {path}");
        }
    }
}

/// Promise P7: a recording of a real-time stage has one entry playlist, and other folder names.
#[tokio::test]
async fn a_real_time_recording_is_pruned_like_any_other() {
    let cloud = Cloud::any().await;
    let mut recording = recording("unused");
    recording.prefix = "AbCdef1G2hij/c0mp0s1t10n/d3st/composite".to_owned();
    recording.renditions = vec![
        Rendition::new("720p30-a1b2c3", 720, 9),
        Rendition::new("low", 160, 1),
    ];
    for (key, object) in recording.objects() {
        let text = String::from_utf8(object.body.to_vec()).unwrap();
        let text = text
            .replace(
                ",\"byte_range_playlist\":\"byte-range-multivariant.m3u8\"",
                "",
            )
            .replace("\"master.m3u8\"", "\"multivariant.m3u8\"");
        if !key.contains("byte-range") {
            let key = key.replace("master.m3u8", "multivariant.m3u8");
            cloud
                .put_object(
                    BUCKET,
                    key,
                    Object {
                        body: text.into(),
                        ..object
                    },
                )
                .await;
        }
    }

    let report = response(prune(&cloud, &KEEP_HIGHEST, object_created(BUCKET, &recording)).await);

    assert_eq!(
        (&report["kept"], &report["playlists_rewritten"]),
        (&json!(["720p30-a1b2c3"]), &json!(1)),
        "{report}"
    );
    assert_eq!(
        cloud.renditions(BUCKET, &recording).await,
        ["720p30-a1b2c3"]
    );
    let text = cloud
        .get(BUCKET, &recording, "media/hls/multivariant.m3u8")
        .await
        .text;
    assert!(text.ends_with("\n720p30-a1b2c3/playlist.m3u8\n"), "{text}");
}

/// Promise P12. Pruning works for any number of objects, and for keys with any printable character.
#[tokio::test]
async fn thousands_of_objects_with_any_name_are_deleted() {
    let cloud = Cloud::any().await;
    let mut recording = recording("pages");
    recording.renditions = vec![
        Rendition::new("720p30", 720, 2),
        Rendition::new("160p30", 160, 1),
    ];
    recording.renditions[1].segment_bytes = 1;
    cloud.put_recording(BUCKET, &recording).await;
    let odd = [
        "with space",
        "a+b",
        "100%",
        "%2F",
        "a&b<c>",
        "quo\"te's",
        "grün/日本語",
        "emoji 🎬",
        "?query#part",
        "é̂",
        "..",
        "x//y",
        "tab\ttab",
    ];
    let many = (0..2_100)
        .map(|n| format!("{n}.ts"))
        .chain(odd.map(str::to_owned));
    let puts = many.map(|name| {
        let key = format!("{}/media/hls/160p30/more {name}", recording.prefix);
        let object = Object {
            size_bytes: 1,
            ..Object::default()
        };
        cloud.put_object(BUCKET, key, object)
    });
    futures::StreamExt::collect::<()>(futures::StreamExt::buffer_unordered(
        futures::stream::iter(puts),
        16,
    ))
    .await;
    let there = cloud
        .sizes(BUCKET, &format!("{}/media/hls/160p30/", recording.prefix))
        .await;

    let report = response(prune(&cloud, &KEEP_HIGHEST, recording_end(BUCKET, &recording)).await);

    assert_eq!(report["objects_deleted"], json!(there.len()));
    assert_eq!(report["bytes_deleted"], json!(there.values().sum::<i64>()));
    assert_eq!(there.len(), 2_100 + odd.len() + 5);
    assert_eq!(cloud.renditions(BUCKET, &recording).await, ["720p30"]);
}

/// Promise P13. In doubt the run is `held`, and nothing is changed.
#[tokio::test]
async fn a_rule_that_leaves_nothing_and_a_file_that_cannot_be_parsed_are_held() {
    let cloud = Cloud::any().await;
    let recording = recording("held");
    cloud.put_recording(BUCKET, &recording).await;
    let key = |path: &str| format!("{}/{path}", recording.prefix);
    let held = async |settings: &[(&str, &str)], code: &str, why: &str| {
        let before = cloud.sizes(BUCKET, &recording.prefix).await;
        let report = response(prune(&cloud, settings, recording_end(BUCKET, &recording)).await);
        assert_held(&report, code, why);
        assert_eq!(cloud.sizes(BUCKET, &recording.prefix).await, before);
    };

    held(
        &[("KEEP_RENDITIONS", "1080p60")],
        "nothing_matches",
        "KEEP_RENDITIONS matches none of the renditions 160p30,",
    )
    .await;
    held(
        &[("DELETE_RENDITIONS", "<=720p")],
        "nothing_playable",
        "the rule leaves no playable rendition",
    )
    .await;

    let master = cloud.get(BUCKET, &recording, MASTER).await.text;
    for (junk, why) in [
        ("", "does not start with #EXTM3U"),
        (
            "#EXTM3U\n#EXTINF:10,\n0.ts\n",
            "belongs to a media playlist",
        ),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXT-X-STREAM-INF:BANDWIDTH=2\n720p30/playlist.m3u8\n",
            "the tag is between",
        ),
    ] {
        cloud.put(BUCKET, &key(MASTER), junk).await;
        held(&KEEP_HIGHEST, "invalid_playlist", why).await;
    }

    let absent = master.replace("720p30/playlist", "720p30/absent");
    cloud.put(BUCKET, &key(MASTER), &absent).await;
    let why = "media/hls/720p30/absent.m3u8 does not exist";
    held(&KEEP_HIGHEST, "missing_media_playlist", why).await;

    cloud.put(BUCKET, &key(MASTER), &master).await;
    let clip = key("media/hls/clip.m3u8");
    cloud.put(BUCKET, &clip, &master).await;
    let why = "media/hls/clip.m3u8 is next to the entry playlists";
    held(&KEEP_HIGHEST, "other_playlist", why).await;
}

/// Promise P13. In doubt the run is `held`, and nothing is changed.
#[tokio::test]
async fn a_kept_rendition_without_segments_is_held() {
    let cloud = Cloud::any().await;
    let recording = recording("nothing-to-play");
    let is_kept_segment = |key: &str| key.contains("/720p30/") && key.ends_with(".ts");
    for (key, object) in recording.objects() {
        if !is_kept_segment(&key) {
            cloud.put_object(BUCKET, key, object).await;
        }
    }
    let before = cloud.sizes(BUCKET, &recording.prefix).await;

    let report = response(prune(&cloud, &KEEP_HIGHEST, recording_end(BUCKET, &recording)).await);

    assert_eq!(
        report,
        json!({
            "outcome": "held",
            "recording": format!("s3://{BUCKET}/{}", recording.prefix),
            "code": "no_segments",
            "why": "media/hls/720p30/ has no media segments, but its rendition is kept",
        })
    );
    assert_eq!(cloud.sizes(BUCKET, &recording.prefix).await, before);
}

/// Promise P13. In doubt the run is `held`, and nothing is changed.
#[tokio::test]
async fn truncated_metadata_is_held() {
    let cloud = Cloud::any().await;
    let recording = recording("cut-short");
    cloud.put_recording(BUCKET, &recording).await;
    let ended = format!("{}/{ENDED}", recording.prefix);
    cloud.put(BUCKET, &ended, "{\"version\":").await;

    let report = response(prune(&cloud, &KEEP_HIGHEST, recording_end(BUCKET, &recording)).await);

    let why = "events/recording-ended.json cannot be parsed: EOF";
    assert_held(&report, "invalid_metadata", why);
    assert_eq!(cloud.renditions(BUCKET, &recording).await.len(), 4);
}

/// Promise P16. A second event finds nothing to do (`unchanged`), whatever the rule, also
/// `DELETE_RENDITIONS=lowest`.
#[tokio::test]
async fn a_second_event_finds_nothing_to_do_with_any_rule() {
    let cloud = Cloud::any().await;
    for (name, value) in [
        ("KEEP_RENDITIONS", "highest"),
        ("DELETE_RENDITIONS", "lowest"),
        ("DELETE_RENDITIONS", "highest,<=160p"),
    ] {
        let recording = recording(&format!("twice-{}", value.replace(['<', '=', ','], "")));
        cloud.put_recording(BUCKET, &recording).await;
        let function = start(&cloud, &[(name, value)]);
        let first = response(function.invoke(object_created(BUCKET, &recording)).await);
        assert_eq!(first["outcome"], "pruned");
        let after = cloud.sizes(BUCKET, &recording.prefix).await;
        // Events that are late, repeated, or in another order.
        let mut start_again = event("prune-recording/recording-start.json");
        start_again["detail"] = recording_end(BUCKET, &recording)["detail"].clone();
        start_again["detail"]["recording_status"] = "Recording Start".into();
        assert_eq!(
            response(function.invoke(start_again).await)["outcome"],
            "ignored"
        );
        for event in [
            recording_end(BUCKET, &recording),
            object_created(BUCKET, &recording),
            recording_end(BUCKET, &recording),
        ] {
            let again = response(function.invoke(event).await);
            assert_eq!(again["outcome"], "unchanged", "{value}: {again}");
            assert_eq!(
                (&again["kept"], &again["objects_deleted"]),
                (&first["kept"], &json!(0))
            );
        }
        assert_eq!(cloud.sizes(BUCKET, &recording.prefix).await, after);
    }
}

/// Promise P22. In a versioned bucket objects are hidden by delete markers, and `VERSIONS=purge`
/// deletes all versions of the dropped renditions.
#[tokio::test]
async fn in_a_versioned_bucket_objects_are_hidden_and_the_report_says_so() {
    let cloud = Cloud::any().await;
    let recording = recording("versioned");
    cloud.put_recording(VERSIONED, &recording).await;
    let folder = format!("{}/media/hls/160p30/", recording.prefix);

    let report = response(prune(&cloud, &KEEP_HIGHEST, recording_end(VERSIONED, &recording)).await);

    assert_eq!(
        (&report["outcome"], &report["versioned"]),
        (&json!("pruned"), &json!(true))
    );
    assert_eq!(
        (&report["objects_deleted"], &report["bytes_deleted"]),
        (&json!(15), &json!(0))
    );
    assert!(
        report["note"]
            .as_str()
            .unwrap()
            .contains("no bytes are freed"),
        "{report}"
    );
    assert_eq!(cloud.renditions(VERSIONED, &recording).await, ["720p30"]);
    assert_eq!(cloud.versions(VERSIONED, &folder).await, (5, 5));

    let again = response(prune(&cloud, &KEEP_HIGHEST, recording_end(VERSIONED, &recording)).await);

    assert_eq!(
        (&again["outcome"], again.get("note")),
        (&json!("unchanged"), None)
    );
    assert_eq!(cloud.versions(VERSIONED, &folder).await, (5, 5));
}

/// Promise P23. A dry run (`DRY_RUN=true` or `"onair": {"dry_run": true}`) reports the figures of a
/// real run, and changes nothing.
#[tokio::test]
async fn a_dry_run_reports_the_same_figures_and_changes_nothing() {
    let cloud = Cloud::any().await;
    let recording = recording("dry-run");
    cloud.put_recording(BUCKET, &recording).await;
    let before = (
        cloud.sizes(BUCKET, &recording.prefix).await,
        documents(&cloud, BUCKET, &recording).await,
    );
    let end = recording_end(BUCKET, &recording);
    let mut asked = end.clone();
    asked["onair"] = event("prune-recording/dry-run.json")["onair"].clone();
    assert_eq!(asked["onair"], json!({"dry_run": true}));

    let by_event = response(prune(&cloud, &KEEP_HIGHEST, asked.clone()).await);
    let by_setting = response(
        prune(
            &cloud,
            &[("KEEP_RENDITIONS", "highest"), ("DRY_RUN", "true")],
            end.clone(),
        )
        .await,
    );
    assert_eq!(by_event, by_setting);
    assert_eq!(
        (
            cloud.sizes(BUCKET, &recording.prefix).await,
            documents(&cloud, BUCKET, &recording).await
        ),
        before
    );
    let mut done = response(prune(&cloud, &KEEP_HIGHEST, end).await);
    assert_eq!(done["outcome"], "pruned");
    done["outcome"] = by_event["outcome"].clone();
    assert_eq!(
        (done, &by_event["outcome"]),
        (by_event.clone(), &json!("planned"))
    );
    assert_eq!(
        response(prune(&cloud, &KEEP_HIGHEST, asked).await)["outcome"],
        "unchanged"
    );
}

/// Promise P3, and of P5 a bucket that does not exist.
#[tokio::test]
async fn an_invalid_event_is_an_error_that_names_the_problem() {
    let cloud = Cloud::any().await;
    let function = start(&cloud, &KEEP_HIGHEST);
    let end = recording_end(BUCKET, &recording("junk"));
    let changed = |pointer: &str, value: Value| {
        let mut event = end.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    for (event, expected) in [
        (json!(null), "not an EventBridge event"),
        (json!([]), "not an EventBridge event"),
        (json!("Recording End"), "not an EventBridge event"),
        (json!({}), "which has source and detail-type"),
        (
            json!({"Records": [{"eventSource": "aws:s3"}]}),
            "which has source and detail-type",
        ),
        (json!({"source": "aws.ivs"}), "missing field `detail-type`"),
        (json!({"onair": {}}), "a manual event names no recording"),
        (changed("/source", json!(1)), "not an EventBridge event"),
        (
            changed("/detail", json!(null)),
            "the detail of the event \"IVS Recording State Change\" is not valid",
        ),
        (
            changed("/detail", json!({})),
            "missing field `recording_status`",
        ),
        (
            changed("/detail/recording_s3_key_prefix", json!(null)),
            "no recording_s3_key_prefix",
        ),
        (
            changed("/detail/recording_s3_key_prefix", json!("")),
            "is empty: it would mean the whole bucket",
        ),
        (
            changed("/detail/recording_s3_key_prefix", json!("/ivs/v1/a")),
            "is absolute",
        ),
        (
            changed("/detail/recording_s3_key_prefix", json!("ivs/v1/../../b")),
            "`..` part",
        ),
        (
            changed("/detail/recording_s3_key_prefix", json!("ivs/v1/a/")),
            "ends in a slash",
        ),
        (
            changed(
                "/detail/recording_s3_bucket_name",
                json!("someone-elses-bucket"),
            ),
            "is not one of RECORDING_BUCKETS",
        ),
        (
            changed(
                "/detail/recording_s3_bucket_name",
                json!(BUCKET[..BUCKET.len() - 1]),
            ),
            "is not one of RECORDING_BUCKETS",
        ),
    ] {
        let (kind, message) = error(function.invoke(event.clone()).await);
        assert_eq!(kind, "BadEvent", "{event}");
        assert!(message.contains(expected), "{event}: {message}");
    }
}
