//! Reads the playlists of both sides by the URLs of viewers, and handles the failures of that.

use super::{run, tags};
use serde_json::json;
use stand_in::{Reply, SyntheticStream, Variant, Versioning};
use std::time::{Duration, Instant};
use stories::pair::{CHANNELS, ENDPOINTS, PUBLIC, Stage, alert_set, metrics, now};
use stories::{event, response};

const A: usize = 0;
const B: usize = 1;

/// The only variant of a side.
fn one_variant() -> Variant {
    Variant::new(2_340_800, "1280x720")
}

/// A stage whose sides have one variant, and no audio group.
fn plain_stage() -> Stage {
    let live = || SyntheticStream {
        variants: vec![one_variant()],
        ..SyntheticStream::default()
    };
    Stage::with(live(), live())
}

/// The text of a multivariant playlist whose only variant has this URI.
fn multivariant(uri: &str) -> String {
    let Variant {
        bandwidth_bps: bps,
        resolution,
        frame_rate,
        codecs,
        ..
    } = one_variant();
    format!(
        "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-STREAM-INF:BANDWIDTH={bps},AVERAGE-BANDWIDTH={bps},RESOLUTION={resolution},\
         FRAME-RATE={frame_rate},CODECS=\"{codecs}\"\n{uri}\n"
    )
}

/// Promise P36. A side that does not respond keeps its published part, and an empty playlist is
/// never published.
#[tokio::test]
async fn a_side_that_does_not_answer_keeps_its_published_part() {
    let stage = Stage::published(&[]).await;
    let before = stage.snapshot();
    stage
        .mediapackage
        .set_reply(ENDPOINTS[A], "index.m3u8", Reply::Status(503));
    let publish = stage.start("publish-playlist", &[]);
    let answer = response(
        publish
            .invoke(event("publish-playlist/schedule.json"))
            .await,
    );
    assert_eq!(answer["outcome"], "held", "{answer:#}");
    let why = answer["why"].as_str().unwrap();
    assert!(
        why.starts_with("the published playlist stays: A: ") && why.contains("returned 503"),
        "{why}"
    );
    assert_eq!(stage.snapshot(), before);
    assert_eq!(metrics(&publish)["Held"], 1);

    // The other side changes its ladder.
    let mut variants = SyntheticStream::default().variants;
    variants.push(Variant::new(400_000, "320x180"));
    stage.mediapackage.create_channel(
        CHANNELS[B],
        SyntheticStream {
            variants,
            has_audio_group: true,
            ..SyntheticStream::default()
        },
    );
    let of_a = |stage: &Stage| {
        let variants = stage.variants().into_iter();
        variants
            .filter(|(pathway, _)| pathway == "A")
            .map(|(_, url)| url)
            .collect::<Vec<_>>()
    };
    let a = of_a(&stage);
    let answer = response(
        publish
            .invoke(event("publish-playlist/schedule.json"))
            .await,
    );
    assert_eq!(
        (&answer["outcome"], &answer["variants"]),
        (&json!("published"), &json!({ "A": 3, "B": 4 })),
        "{answer:#}"
    );
    assert!(
        answer["missing"][0]
            .as_str()
            .unwrap()
            .contains("returned 503"),
        "{answer:#}"
    );
    assert_eq!(of_a(&stage), a);
}

/// Promise P36: an encoder that has just started adds its variants one by one.
#[tokio::test]
async fn a_side_that_lists_fewer_variants_keeps_its_published_part_unless_a_person_publishes() {
    let stage = Stage::published(&[]).await;
    let before = stage.snapshot();
    let fewer = SyntheticStream {
        variants: SyntheticStream::default().variants[..1].to_vec(),
        has_audio_group: true,
        ..SyntheticStream::default()
    };
    CHANNELS
        .iter()
        .for_each(|channel| stage.mediapackage.create_channel(channel, fewer.clone()));
    let answer = run(&stage, &[]).await;
    assert_eq!(answer["outcome"], "held");
    assert!(
        answer["why"]
            .as_str()
            .unwrap()
            .contains("A: the side lists 1 of 3 variants"),
        "{answer:#}"
    );
    assert_eq!(stage.snapshot(), before);
    let answer = response(
        stage
            .call(
                "publish-playlist",
                &[],
                event("publish-playlist/by-hand.json"),
            )
            .await,
    );
    assert_eq!(
        (&answer["outcome"], &answer["variants"]),
        (&json!("published"), &json!({ "A": 1, "B": 1 }))
    );
    // More variants than before are published at once.
    stage.mediapackage.create_channel(
        CHANNELS[A],
        SyntheticStream {
            has_audio_group: true,
            ..SyntheticStream::default()
        },
    );
    assert_eq!(
        run(&stage, &[]).await["variants"],
        json!({ "A": 3, "B": 1 })
    );
}

/// Promises P36 and P39.
#[tokio::test]
async fn without_a_published_part_of_a_side_the_other_side_is_published_alone() {
    let stage = Stage::new();
    let elsewhere = stage.mediapackage.url(ENDPOINTS[B]);
    let long = format!("#EXTM3U\n{}", "#".repeat(1024 * 1024));
    let cases = [
        (Reply::Status(404), "returned 404"),
        (Reply::Redirect(elsewhere), "returned 302"),
        (Reply::Late(Duration::from_secs(60)), "GET http"),
        (Reply::Text(long), "the answer is longer than"),
        (Reply::Text("<html>".to_owned()), "cannot be parsed"),
        (Reply::Text("#EXTM3U\n".to_owned()), "cannot be parsed"),
        (
            Reply::Text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n".to_owned()),
            "cannot be parsed",
        ),
        (
            Reply::Text(format!(
                "{}#EXT-X-DEFINE:NAME=\"n\",VALUE=\"v\"\n",
                multivariant("1.m3u8")
            )),
            "EXT-X-DEFINE is not supported",
        ),
        (Reply::Text(multivariant("http://[1.m3u8")), "is invalid"),
    ];
    let publish = stage.start("publish-playlist", &[]);
    for (reply, reason) in cases {
        stage.s3.delete(PUBLIC, "show/index.m3u8");
        stage
            .mediapackage
            .set_reply(ENDPOINTS[A], "index.m3u8", reply.clone());
        let begin = Instant::now();
        let answer = response(
            publish
                .invoke(event("publish-playlist/schedule.json"))
                .await,
        );
        assert_eq!(
            (&answer["outcome"], &answer["variants"]),
            (&json!("published"), &json!({ "A": 0, "B": 3 }))
        );
        let missing = answer["missing"][0].as_str().unwrap();
        assert!(
            missing.starts_with("A: ") && missing.contains(reason),
            "{reply:?}: {missing}"
        );
        assert!(
            stage.variants().iter().all(|(pathway, _)| pathway == "B"),
            "{reply:?}"
        );
        assert!(begin.elapsed() < Duration::from_secs(30), "{reply:?}");
    }
}

/// Promise P36. A side that does not respond keeps its published part, and an empty playlist is
/// never published.
#[tokio::test]
async fn a_side_without_an_endpoint_is_left_out() {
    let stage = Stage::published(&[]).await;
    stage.mediapackage.delete(ENDPOINTS[A]);
    let answer = run(&stage, &[]).await;
    assert_eq!(answer["outcome"], "published");
    assert_eq!(
        answer["missing"],
        json!(["A: MediaPackage has no endpoint show-a-hls"])
    );
    assert!(
        stage.variants().len() == 3 && stage.variants().iter().all(|(pathway, _)| pathway == "B")
    );
    assert_eq!(
        run(&stage, &[]).await["outcome"],
        "held",
        "a person should repair the side"
    );
}

/// Promise P36. A side that does not respond keeps its published part, and an empty playlist is
/// never published.
#[tokio::test]
async fn an_empty_playlist_is_never_published() {
    let stage = Stage::new();
    for endpoint in ENDPOINTS {
        stage
            .mediapackage
            .set_reply(endpoint, "index.m3u8", Reply::Text("nothing".to_owned()));
    }
    let before = stage.snapshot();
    let answer = run(&stage, &[]).await;
    assert_eq!(answer["outcome"], "held");
    assert!(
        answer["why"]
            .as_str()
            .unwrap()
            .starts_with("no side has a playlist to publish (A: "),
        "{answer:#}"
    );
    assert_eq!(stage.snapshot(), before);

    ENDPOINTS
        .iter()
        .for_each(|endpoint| stage.mediapackage.clear_replies(endpoint));
    stage.publish(&[]).await;
    ENDPOINTS
        .iter()
        .for_each(|endpoint| stage.mediapackage.delete(endpoint));
    let before = stage.snapshot();
    assert_eq!(run(&stage, &[]).await["outcome"], "held");
    assert_eq!(
        stage.snapshot(),
        before,
        "the published playlist may work again; an empty one never does"
    );
}

/// Promise P38. With `SIDE_A_BASE_URL` viewers get side A from that address.
#[tokio::test]
async fn viewers_and_on_air_use_the_base_url_of_a_side() {
    let stage = plain_stage();
    stage.s3.create_bucket("cdn", Versioning::Off);
    let front = format!("{}/cdn/live/a", stage.site.url());
    let url = stage.mediapackage.url(ENDPOINTS[A]);
    let path = url
        .strip_prefix(&stage.mediapackage.origin_url())
        .unwrap()
        .to_owned();
    let there = |file: &str| format!("live/a{}", path.replace("index.m3u8", file));
    // The playlist of the origin is a different one.
    stage.s3.put(
        "cdn",
        &there("index.m3u8"),
        multivariant("from-the-cdn.m3u8"),
    );

    let settings = [("SIDE_A_BASE_URL", front.as_str())];
    let answer = run(&stage, &settings).await;
    assert_eq!(
        (&answer["outcome"], &answer["steered"]),
        (&json!("published"), &json!(true))
    );
    let a = format!("{front}{}", path.replace("index.m3u8", "from-the-cdn.m3u8"));
    let b = format!("{}index_1.m3u8", stage.bases()[B].clone().unwrap());
    assert_eq!(stage.variants(), [("A".to_owned(), a), ("B".to_owned(), b)]);

    // A fail-over also probes the URL of viewers: the CDN may fail while the endpoint is healthy.
    let answer = response(stage.call("fail-over", &settings, alert_set(B)).await);
    assert_eq!(answer["outcome"], "held");
    assert!(
        answer["why"]
            .as_str()
            .unwrap()
            .contains(&format!("{front}/out/v1/")),
        "{answer:#}"
    );
    let playlist = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:2,\n1.ts\n",
        now()
    );
    stage.s3.put("cdn", &there("from-the-cdn.m3u8"), playlist);
    let answer = response(stage.call("fail-over", &settings, alert_set(B)).await);
    assert_eq!(answer["outcome"], "failed_over", "{answer:#}");
    let base = stage.bases()[A]
        .clone()
        .unwrap()
        .replace(&stage.mediapackage.origin_url(), "");
    let calls = stage.traffic.calls();
    assert!(
        !calls.iter().any(|call| call.key.starts_with(&base)),
        "no request went to the origin of A: {calls:?}"
    );
}

/// Promise P38. With `SIDE_A_BASE_URL` viewers get side A from that address.
#[tokio::test]
async fn the_path_of_the_base_url_is_put_first_with_or_without_a_slash() {
    for base in ["/cdn", "/cdn/", ""] {
        let stage = plain_stage();
        let url = stage.mediapackage.url(ENDPOINTS[A]);
        let path = url.strip_prefix(&stage.mediapackage.origin_url()).unwrap();
        stage.s3.create_bucket("cdn", Versioning::Off);
        stage.s3.create_bucket("out", Versioning::Off);
        match base {
            "" => stage.s3.put(
                "out",
                path.trim_start_matches("/out/"),
                multivariant("1.m3u8"),
            ),
            _ => stage
                .s3
                .put("cdn", path.trim_start_matches('/'), multivariant("1.m3u8")),
        }
        let front = format!("{}{base}", stage.site.url());
        run(&stage, &[("SIDE_A_BASE_URL", &front)]).await;
        let expected = format!(
            "{}{}",
            front.trim_end_matches('/'),
            path.replace("index.m3u8", "1.m3u8")
        );
        assert_eq!(stage.variants()[0], ("A".to_owned(), expected));
        assert_eq!(tags(&stage, "#EXT-X-STREAM-INF").len(), 2);
    }
}
