//! Stories that run against any S3 and MediaPackage: the stand-ins, and moto with the role of the
//! template.

use serde_json::{Value, json};
use stories::pair::{INDEX, STEERING, alert_set};
use stories::{AnyPair, event};

async fn pair() -> AnyPair {
    AnyPair::of("publish-playlist").await
}

/// Runs the function once, and returns its answer.
async fn run(pair: &AnyPair, settings: &[(&str, &str)]) -> Value {
    pair.run(
        "publish-playlist",
        settings,
        event("publish-playlist/schedule.json"),
    )
    .await
}

/// The folder in the URLs of an endpoint, without scheme and host.
async fn folder(pair: &AnyPair, side: usize) -> String {
    let url = pair.endpoint(side).await.unwrap()["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, path) = url.split_once("/out/v1/").unwrap();
    format!("/out/v1/{}/", path.trim_end_matches("/index.m3u8"))
}

/// Promises P33 and P35.
#[tokio::test]
async fn the_variants_of_both_sides_and_a_steering_manifest_are_published() {
    let pair = pair().await;
    assert_eq!(
        (pair.index().await, pair.steering().await),
        (None, Value::Null)
    );
    let answer = run(&pair, &[]).await;
    assert_eq!(
        (&answer["outcome"], &answer["steered"]),
        (&json!("published"), &json!(true)),
        "{answer:#}"
    );
    let folders = [folder(&pair, 0).await, folder(&pair, 1).await];
    let variants = pair.variants().await;
    assert_eq!(variants.len(), 6);
    for (number, (pathway, url)) in variants.iter().enumerate() {
        assert_eq!(pathway, ["A", "B"][number % 2]);
        let file = format!("{}index_{}.m3u8", folders[number % 2], number / 2 + 1);
        assert!(url.ends_with(&file), "{url} is not {file}");
    }
    assert_eq!(pair.steering().await["PATHWAY-PRIORITY"], json!(["A", "B"]));
    let index = pair.index().await.unwrap();
    assert_eq!(
        index.content_type.as_deref(),
        Some("application/vnd.apple.mpegurl")
    );
    assert_eq!(index.cache_control.as_deref(), Some("max-age=5"));
    assert_eq!(pair.state().await, Value::Null);
}

/// Promise P37. An object is written only if it changes, if it is still what was read, and never
/// from an older state than published.
#[tokio::test]
async fn a_second_run_changes_nothing_and_foreign_documents_are_replaced() {
    let pair = pair().await;
    run(&pair, &[]).await;
    let published = pair.snapshot().await;
    assert_eq!(run(&pair, &[]).await["outcome"], "unchanged");
    assert_eq!(pair.snapshot().await, published);
    pair.put_public(
        INDEX,
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://elsewhere.example.com/1.m3u8\n",
    )
    .await;
    pair.put_public(STEERING, "not JSON").await;
    assert_eq!(run(&pair, &[]).await["outcome"], "published");
    assert_eq!(pair.snapshot().await, published);
}

/// Promise P36. A side that does not respond keeps its published part, and an empty playlist is
/// never published.
#[tokio::test]
async fn a_side_without_an_endpoint_is_left_out() {
    let pair = pair().await;
    run(&pair, &[]).await;
    let answer = pair
        .run("fail-over", &[("CUT", "delete")], alert_set(0))
        .await;
    assert_eq!(answer["outcome"], "failed_over", "{answer:#}");
    let before = pair.snapshot().await;
    assert_eq!(run(&pair, &[]).await["outcome"], "unchanged");
    assert_eq!(pair.snapshot().await, before);
    assert!(
        pair.variants()
            .await
            .iter()
            .all(|(pathway, _)| pathway == "B")
    );
}
