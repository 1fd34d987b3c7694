//! `publish-playlist`: see the same heading in `docs/behaviour.md`.

mod any_cloud;
mod reading;

use serde_json::{Value, json};
use stand_in::{Object, SyntheticStream, Variant};
use std::collections::{BTreeMap, BTreeSet};
use stories::pair::{
    CONTROL, INDEX, PUBLIC, STATE, STEERING, Stage, alarm, alert_cleared, alert_set, attribute,
    by_hand, metrics,
};
use stories::{error, event, response};

/// Runs the function once, and returns its answer.
async fn run(stage: &Stage, settings: &[(&str, &str)]) -> Value {
    response(
        stage
            .call(
                "publish-playlist",
                settings,
                event("publish-playlist/schedule.json"),
            )
            .await,
    )
}

/// A stream with this ladder, an audio group and I-frame playlists.
fn live(variants: Vec<Variant>) -> SyntheticStream {
    SyntheticStream {
        variants,
        has_audio_group: true,
        has_iframe_playlists: true,
        ..SyntheticStream::default()
    }
}

/// The lines of the published playlist with this tag.
fn tags(stage: &Stage, name: &str) -> Vec<String> {
    let index = stage.public("index.m3u8");
    index
        .lines()
        .filter(|line| line.starts_with(&format!("{name}:")))
        .map(str::to_owned)
        .collect()
}

/// A state of this generation, in which B is active.
fn b_is_active(generation: u64) -> Value {
    let side = |name: &str| json!({ "pathway": name, "status": "live" });
    json!({ "version": "1", "generation": generation, "first": "B", "sides": { "A": side("A"), "B": side("B") } })
}

/// Promise P32. The schedule and a manual `{"onair": {}}` publish the playlist.
#[tokio::test]
async fn the_schedule_and_a_person_publish() {
    for file in [
        "publish-playlist/schedule.json",
        "publish-playlist/by-hand.json",
    ] {
        let stage = Stage::new();
        let publish = stage.start("publish-playlist", &[]);
        assert_eq!(
            response(publish.invoke(event(file)).await)["outcome"],
            "published",
            "{file}"
        );
        assert!(
            !stage.public("index.m3u8").is_empty() && stage.state() == Value::Null,
            "{file}"
        );
    }
}

/// Promise P32. The schedule and a manual `{"onair": {}}` publish the playlist.
#[tokio::test]
async fn other_events_are_ignored_and_junk_is_refused_without_a_call() {
    let stage = Stage::new();
    let publish = stage.start("publish-playlist", &[]);
    let others = [
        alert_set(0),
        alert_cleared(1),
        alarm(0),
        by_hand(0),
        event("fail-over/channel-state-change.json"),
    ];
    for event in others {
        let answer = response(publish.invoke(event.clone()).await);
        assert_eq!(answer["outcome"], "ignored", "{event}");
        assert_ne!(answer["why"], "", "{event}");
    }
    let beside = json!({ "source": "aws.events", "detail-type": "Scheduled Event", "onair": { "side": "A" } });
    for junk in [
        json!({}),
        json!(null),
        json!([1]),
        json!("schedule"),
        json!({ "source": 1 }),
        json!({ "onair": { "dryrun": true } }),
        json!({ "onair": { "dry_run": "true" } }),
        json!({ "onair": { "side": "C" } }),
        beside,
    ] {
        let (kind, why) = error(publish.invoke(junk.clone()).await);
        assert_eq!(
            (kind.as_str(), why.is_empty()),
            ("BadEvent", false),
            "{junk}: {why}"
        );
    }
    assert_eq!(stage.traffic.calls(), []);
}

/// Promise P33. The playlist names every variant of both sides, by absolute URLs.
#[tokio::test]
async fn the_variants_of_a_pair_are_adjacent_and_have_the_same_attributes() {
    let stage = Stage::with(
        live(SyntheticStream::default().variants),
        live(SyntheticStream::default().variants),
    );
    for (first, second) in [("A", "B"), ("B", "A")] {
        run(&stage, &[]).await;
        let variants = stage.variants();
        let pathways: Vec<&str> = variants
            .iter()
            .map(|(pathway, _)| pathway.as_str())
            .collect();
        assert_eq!(pathways, [first, second, first, second, first, second]);
        let base = |pathway: &str| stage.bases()[usize::from(pathway == "B")].clone().unwrap();
        let expected = (0..6).map(|n| format!("{}index_{}.m3u8", base(pathways[n]), n / 2 + 1));
        assert!(
            variants.iter().map(|(_, url)| url.clone()).eq(expected),
            "{variants:?}"
        );

        let own = ["PATHWAY-ID", "AUDIO", "GROUP-ID", "URI"];
        let plain = |tag: &String| {
            let values = own.map(|name| (name, attribute(tag, name).to_owned()));
            values.iter().fold(tag.clone(), |tag, (name, value)| {
                tag.replace(&format!("{name}=\"{value}\""), name)
            })
        };
        for (name, count) in [
            ("#EXT-X-STREAM-INF", 6),
            ("#EXT-X-I-FRAME-STREAM-INF", 6),
            ("#EXT-X-MEDIA", 2),
        ] {
            let tags = tags(&stage, name);
            assert_eq!(tags.len(), count, "{name}");
            for pair in tags.chunks(2) {
                assert_eq!(plain(&pair[0]), plain(&pair[1]));
                assert_ne!(pair[0], pair[1]);
            }
        }
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for tag in tags(&stage, "#EXT-X-STREAM-INF") {
            groups
                .entry(attribute(&tag, "AUDIO").to_owned())
                .or_default()
                .insert(attribute(&tag, "PATHWAY-ID").to_owned());
        }
        assert!(
            groups.len() == 2 && groups.values().all(|pathways| pathways.len() == 1),
            "{groups:?}"
        );
        let renditions = tags(&stage, "#EXT-X-MEDIA");
        assert!(
            renditions
                .iter()
                .all(|tag| groups.contains_key(attribute(tag, "GROUP-ID"))),
            "{renditions:?}"
        );
        for tag in renditions
            .iter()
            .chain(&tags(&stage, "#EXT-X-I-FRAME-STREAM-INF"))
        {
            let side = if tag.contains("-B\"") || tag.contains("PATHWAY-ID=\"B\"") {
                "B"
            } else {
                "A"
            };
            assert!(attribute(tag, "URI").starts_with(&base(side)), "{tag}");
        }
        stage.put_state(&b_is_active(1));
    }
}

/// Promises P34 and P60.
#[tokio::test]
async fn an_entry_of_only_one_side_stays_is_reported_and_turns_steering_off() {
    let b = vec![
        Variant::new(6_140_000, "1920x1080"),
        Variant::new(2_610_000, "1280x720"),
    ];
    let stage = Stage::with(live(SyntheticStream::default().variants), live(b));
    let publish = stage.start("publish-playlist", &[]);
    let answer = response(
        publish
            .invoke(event("publish-playlist/schedule.json"))
            .await,
    );
    assert_eq!(
        (&answer["outcome"], &answer["steered"]),
        (&json!("published"), &json!(false))
    );
    assert_eq!(answer["variants"], json!({ "A": 3, "B": 2 }));
    let unpaired = answer["unpaired"].to_string();
    let expected = [
        "B lacks variant 1280x720",
        "A lacks variant 1280x720",
        "B lacks variant 640x360",
        "B lacks I-frame entry",
    ];
    assert!(
        expected.iter().all(|text| unpaired.contains(text)),
        "{unpaired}"
    );
    assert!(
        !unpaired.contains("lacks variant 1920x1080"),
        "bandwidths that differ by 8 % are a pair: {unpaired}"
    );
    let bandwidths: Vec<String> = tags(&stage, "#EXT-X-STREAM-INF")
        .iter()
        .map(|tag| {
            format!(
                "{} {}",
                attribute(tag, "PATHWAY-ID"),
                attribute(tag, "BANDWIDTH")
            )
        })
        .collect();
    assert_eq!(
        bandwidths,
        [
            "A 6140000",
            "B 6140000",
            "A 2340800",
            "A 1040800",
            "B 2610000"
        ]
    );
    assert_eq!(tags(&stage, "#EXT-X-CONTENT-STEERING"), [""; 0]);
    let count = answer["unpaired"].as_array().unwrap().len();
    assert_eq!(metrics(&publish)["Unpaired"], count, "{unpaired}");
}

/// Promise P34. Variants are paired by resolution, frame rate, codecs, video range, groups, and a
/// bandwidth that differs by at most 10 %.
#[tokio::test]
async fn variants_are_paired_by_attributes_and_not_by_their_order() {
    let mut b = SyntheticStream::default().variants;
    b.reverse();
    let stage = Stage::with(live(SyntheticStream::default().variants), live(b));
    let answer = run(&stage, &[]).await;
    assert_eq!(
        (&answer["steered"], &answer["unpaired"]),
        (&json!(true), &Value::Null)
    );
    let of_b = |number: usize| format!("{}index_{number}.m3u8", stage.bases()[1].clone().unwrap());
    let b: Vec<String> = stage
        .variants()
        .into_iter()
        .filter(|(pathway, _)| pathway == "B")
        .map(|(_, url)| url)
        .collect();
    assert_eq!(b, [of_b(3), of_b(2), of_b(1)]);
}

/// Promises P35 and P37.
#[tokio::test]
async fn the_playlist_names_the_steering_manifest_which_caches_keep_only_briefly() {
    for (ttl, max_age) in [("10", "max-age=5"), ("7", "max-age=3"), ("1", "max-age=1")] {
        let stage = Stage::new();
        run(&stage, &[("STEERING_TTL_SECONDS", ttl)]).await;
        let expected = json!({ "VERSION": 1, "TTL": ttl.parse::<u64>().unwrap(), "PATHWAY-PRIORITY": ["A", "B"] });
        assert_eq!(stage.steering(), expected);
        let steering = stage.s3.object(PUBLIC, STEERING).unwrap();
        assert_eq!(steering.content_type.as_deref(), Some("application/json"));
        assert_eq!(steering.cache_control.as_deref(), Some(max_age));
        let index = stage.s3.object(PUBLIC, INDEX).unwrap();
        assert_eq!(
            index.content_type.as_deref(),
            Some("application/vnd.apple.mpegurl")
        );
        assert_eq!(index.cache_control.as_deref(), Some("max-age=5"));
        let tag = r#"#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json",PATHWAY-ID="A""#;
        assert_eq!(tags(&stage, "#EXT-X-CONTENT-STEERING"), [tag]);
    }
    let stage = Stage::new();
    run(&stage, &[("STEERING", "off")]).await;
    assert_eq!(tags(&stage, "#EXT-X-CONTENT-STEERING"), [""; 0]);
    assert_eq!(stage.s3.object(PUBLIC, STEERING), None);
    assert_eq!(stage.variants().len(), 6);
}

/// Promise P35. With `STEERING=on` the playlist names `steering.json`, which lists every live side,
/// the active side first.
#[tokio::test]
async fn the_active_side_is_first_in_the_manifest() {
    let stage = Stage::published(&[]).await;
    stage.put_state(&b_is_active(1));
    run(&stage, &[]).await;
    assert_eq!(stage.steering()["PATHWAY-PRIORITY"], json!(["B", "A"]));
    assert!(tags(&stage, "#EXT-X-CONTENT-STEERING")[0].ends_with(r#"PATHWAY-ID="B""#));
}

/// Promise P37. An object is written only if it changes, if it is still what was read, and never
/// from an older state than published.
#[tokio::test]
async fn a_second_run_writes_nothing() {
    let stage = Stage::published(&[]).await;
    let before = stage.snapshot();
    stage.traffic.reset_calls();
    assert_eq!(run(&stage, &[]).await["outcome"], "unchanged");
    assert_eq!(stage.snapshot(), before);
    let calls = stage.traffic.calls();
    assert!(
        calls.iter().all(|call| call.operation.starts_with("Get")
            || call.operation.starts_with("Describe")
            || call.operation == "GET"),
        "{calls:?}"
    );
}

/// Promise P37. An object is written only if it changes, if it is still what was read, and never
/// from an older state than published.
#[tokio::test]
async fn documents_that_on_air_did_not_write_are_replaced() {
    let stage = Stage::published(&[]).await;
    let (index, steering) = (stage.public("index.m3u8"), stage.steering());
    stage.s3.put(
        PUBLIC,
        INDEX,
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://elsewhere.example.com/1.m3u8\n",
    );
    stage.s3.put(PUBLIC, STEERING, "not JSON");
    assert_eq!(run(&stage, &[]).await["outcome"], "published");
    assert_eq!(
        (stage.public("index.m3u8"), stage.steering()),
        (index, steering)
    );
}

/// Promise P37: a fail-over runs between the reads and a write.
#[tokio::test]
async fn a_state_that_changes_during_the_run_is_published_in_its_new_form() {
    let undisturbed = Stage::new();
    run(&undisturbed, &[]).await;
    let calls = undisturbed.traffic.calls();
    let writes: Vec<usize> = calls
        .iter()
        .filter(|call| call.operation == "PutObject")
        .map(|call| call.index)
        .collect();
    assert_eq!(writes.len(), 2);
    for write in writes {
        let stage = Stage::new();
        stage.s3.before_call(write, |buckets| {
            buckets.put(CONTROL, STATE, b_is_active(5).to_string());
            for key in [STEERING, INDEX] {
                let metadata = [("onair-generation".to_owned(), "5".to_owned())].into();
                buckets.put_object(
                    PUBLIC,
                    key,
                    Object {
                        body: "newer".into(),
                        metadata,
                        ..Object::default()
                    },
                );
            }
        });
        let answer = run(&stage, &[]).await;
        assert_eq!(
            (&answer["outcome"], &answer["generation"]),
            (&json!("published"), &json!(5)),
            "{answer:#}"
        );
        assert_eq!(stage.steering()["PATHWAY-PRIORITY"], json!(["B", "A"]));
        assert_eq!(stage.variants()[0].0, "B");
    }
}

/// Promise P37. An object is written only if it changes, if it is still what was read, and never
/// from an older state than published.
#[tokio::test]
async fn documents_that_keep_changing_are_not_overwritten() {
    let stage = Stage::new();
    for call in 0..200 {
        stage.s3.before_call(call, move |buckets| {
            buckets.put(PUBLIC, STEERING, format!("{call}"));
        });
    }
    let (kind, why) = error(
        stage
            .call(
                "publish-playlist",
                &[],
                event("publish-playlist/schedule.json"),
            )
            .await,
    );
    assert_eq!(kind, "Incomplete");
    assert!(why.contains("other runs changed it"), "{why}");
    assert_eq!(stage.s3.object(PUBLIC, INDEX), None);
    assert!(stage.public("steering.json").parse::<usize>().is_ok());
}

/// Promise P37: a person restored an older state, as the operating guide describes.
#[tokio::test]
async fn documents_of_a_later_state_are_replaced_after_an_older_state_was_restored() {
    let stage = Stage::published(&[]).await;
    response(
        stage
            .call("fail-over", &[("CUT", "none")], alert_set(0))
            .await,
    );
    stage.s3.delete(CONTROL, STATE);
    let answer = run(&stage, &[]).await;
    assert_eq!(
        (&answer["outcome"], &answer["first"]),
        (&json!("published"), &json!("A"))
    );
    assert_eq!(
        (
            stage.steering()["PATHWAY-PRIORITY"].clone(),
            stage.variants()[0].0.as_str()
        ),
        (json!(["A", "B"]), "A")
    );
    assert_eq!(run(&stage, &[]).await["outcome"], "unchanged");
    let answer = response(
        stage
            .call("fail-over", &[("CUT", "none")], alert_set(0))
            .await,
    );
    assert_eq!(
        (&answer["outcome"], &answer["generation"]),
        (&json!("failed_over"), &json!(2))
    );
}

/// Promise P36. A side that does not respond keeps its published part, and an empty playlist is
/// never published.
#[tokio::test]
async fn a_side_that_was_cut_by_deletion_is_left_out_and_one_that_keeps_its_urls_stays() {
    for (cut, named) in [("delete", 3), ("deny", 6), ("none", 6)] {
        let settings = [("CUT", cut)];
        let stage = Stage::published(&settings).await;
        response(stage.call("fail-over", &settings, alert_set(0)).await);
        let answer = run(&stage, &settings).await;
        assert_eq!(answer["outcome"], "unchanged", "{answer:#}");
        assert_eq!(
            (stage.variants().len(), stage.variants()[0].0.as_str()),
            (named, "B"),
            "{cut}"
        );
    }
}
