//! Stories that run against any S3, MediaPackage and MediaLive: the stand-ins, and moto with the
//! role of the template. The name of each begins with the kind of cut that its role permits.

use super::{A, B};
use serde_json::{Value, json};
use stories::pair::{alert_cleared, alert_set};
use stories::{AnyPair, event};

const DELETE: [(&str, &str); 1] = [("CUT", "delete")];
const DENY: [(&str, &str); 1] = [("CUT", "deny")];
const NONE: [(&str, &str); 1] = [("CUT", "none")];

/// A pair whose side A was cut, and the definitions of both endpoints before the cut.
async fn cut(settings: &[(&str, &str)]) -> (AnyPair, [Value; 2]) {
    let pair = AnyPair::of("fail-back").await;
    pair.publish().await;
    let endpoints = [
        pair.endpoint(A).await.unwrap(),
        pair.endpoint(B).await.unwrap(),
    ];
    let answer = pair.run("fail-over", settings, alert_set(A)).await;
    assert_eq!(answer["outcome"], "failed_over", "{answer:#}");
    (pair, endpoints)
}

/// Runs the function once, and returns its answer.
async fn run(pair: &AnyPair, settings: &[(&str, &str)], event: Value) -> Value {
    pair.run("fail-back", settings, event).await
}

async fn bring_back(pair: &AnyPair, settings: &[(&str, &str)], event: Value) {
    let answer = run(pair, settings, event).await;
    let outcome = (&answer["outcome"], &answer["returned"], &answer["notes"]);
    assert_eq!(
        outcome,
        (&json!("failed_back"), &json!("A"), &Value::Null),
        "{answer:#}"
    );
    assert_eq!(pair.state().await["sides"]["A"]["status"], "live");
}

/// Checks that further runs change nothing.
async fn run_again(pair: &AnyPair, settings: &[(&str, &str)]) {
    let before = pair.snapshot().await;
    for event in [alert_cleared(A), event("fail-back/schedule.json")] {
        let answer = run(pair, settings, event).await;
        assert_eq!(answer["outcome"], "unchanged", "{answer:#}");
        assert_eq!(pair.snapshot().await, before);
    }
}

/// The definition without the attributes that each new endpoint changes.
fn lasting(mut definition: Value) -> Value {
    for name in ["arn", "createdAt", "url"] {
        definition.as_object_mut().unwrap().remove(name);
    }
    definition
}

/// Promises P51, P53 and P55.
#[tokio::test]
async fn deleted_an_endpoint_is_made_again_with_its_tags_and_has_another_pathway() {
    let (pair, endpoints) = cut(&DELETE).await;
    assert_eq!(pair.endpoint(A).await, None);
    bring_back(&pair, &DELETE, alert_cleared(A)).await;
    let created = pair.endpoint(A).await.unwrap();
    assert_ne!(
        (&created["url"], &created["arn"]),
        (&endpoints[A]["url"], &endpoints[A]["arn"])
    );
    assert_eq!(created["tags"], json!({ "show": "evening" }));
    let path = created["url"]
        .as_str()
        .unwrap()
        .split_once("/out/v1/")
        .unwrap()
        .1
        .replace("index.m3u8", "");
    assert_eq!(lasting(created), lasting(endpoints[A].clone()));
    assert_eq!(pair.endpoint(B).await.as_ref(), Some(&endpoints[B]));

    let of_a: Vec<(String, String)> = pair
        .variants()
        .await
        .into_iter()
        .filter(|(pathway, _)| pathway != "B")
        .collect();
    assert_eq!(of_a.len(), 3);
    assert!(
        of_a.iter()
            .all(|(pathway, url)| pathway == "A.2" && url.contains(&path)),
        "{path}: {of_a:?}"
    );
    let steering = pair.steering().await;
    assert_eq!(steering["PATHWAY-PRIORITY"], json!(["B", "A.2"]));
    assert_eq!(steering["PATHWAY-CLONES"][0]["ID"], "A.2");
    run_again(&pair, &DELETE).await;
}

/// Promises P51 and P52.
#[tokio::test]
async fn deleted_a_side_stays_away_as_long_as_its_alert_is_set() {
    let (pair, _) = cut(&DELETE).await;
    pair.set_alert(A).await;
    let answer = run(&pair, &DELETE, event("fail-back/schedule.json")).await;
    assert_eq!(
        (&answer["returned"], pair.endpoint(A).await),
        (&Value::Null, None),
        "{answer:#}"
    );
    assert_eq!(pair.steering().await["PATHWAY-PRIORITY"], json!(["B"]));
    pair.clear_alert(A).await;
    bring_back(&pair, &DELETE, event("fail-back/schedule.json")).await;
}

/// Promise P51. An alert that is CLEARED, an alarm that changes to OK, the schedule and a person
/// can return a side.
#[tokio::test]
async fn deleted_nothing_yet_there_is_nothing_to_bring_back() {
    let pair = AnyPair::of("fail-back").await;
    pair.publish().await;
    run_again(&pair, &DELETE).await;
}

/// Promises P51 and P53.
#[tokio::test]
async fn deleted_a_side_comes_back_also_where_what_was_published_is_gone() {
    let (pair, _) = cut(&DELETE).await;
    pair.unpublish().await;
    let answer = run(&pair, &DELETE, alert_cleared(A)).await;
    assert_eq!(
        (&answer["outcome"], &answer["returned"]),
        (&json!("failed_back"), &json!("A")),
        "{answer:#}"
    );
    assert!(pair.endpoint(A).await.is_some());
    assert_eq!(pair.variants().await.len(), 6);
}

/// Promise P53. A deleted endpoint is recreated from its saved definition, with its tags and with
/// attributes that On Air does not know.
#[tokio::test]
async fn denied_an_endpoint_is_allowed_again_and_is_what_it_was() {
    let (pair, mut endpoints) = cut(&DENY).await;
    assert_eq!(pair.endpoint(A).await.unwrap()["origination"], "DENY");
    bring_back(&pair, &DENY, alert_cleared(A)).await;
    endpoints[A]["origination"] = "ALLOW".into();
    assert_eq!(
        [
            pair.endpoint(A).await.unwrap(),
            pair.endpoint(B).await.unwrap()
        ],
        endpoints
    );
    run_again(&pair, &DENY).await;
}

/// Promises P51 and P53.
#[tokio::test]
async fn untouched_an_endpoint_stays_so() {
    let (pair, endpoints) = cut(&NONE).await;
    bring_back(&pair, &NONE, event("fail-back/schedule.json")).await;
    assert_eq!(
        [
            pair.endpoint(A).await.unwrap(),
            pair.endpoint(B).await.unwrap()
        ],
        endpoints
    );
    assert_eq!(pair.variants().await.len(), 6);
    run_again(&pair, &NONE).await;
}
