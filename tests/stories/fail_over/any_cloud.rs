//! Stories that run against any S3, MediaPackage and MediaLive: the stand-ins, and moto with the
//! role of the template. The name of each begins with the kind of cut that its role permits.

use super::{A, B};
use serde_json::{Value, json};
use stories::pair::{ALERT, alarm, alert_set, by_hand};
use stories::{AnyPair, event};

const DELETE: [(&str, &str); 1] = [("CUT", "delete")];
const DENY: [(&str, &str); 1] = [("CUT", "deny")];
const NONE: [(&str, &str); 1] = [("CUT", "none")];

async fn published() -> AnyPair {
    let pair = AnyPair::of("fail-over").await;
    pair.publish().await;
    pair
}

/// Runs the function once, and returns its answer.
async fn run(pair: &AnyPair, settings: &[(&str, &str)], event: Value) -> Value {
    pair.run("fail-over", settings, event).await
}

/// The pathways of the published variants.
async fn pathways(pair: &AnyPair) -> Vec<String> {
    pair.variants()
        .await
        .into_iter()
        .map(|(pathway, _)| pathway)
        .collect()
}

/// The definition of the endpoint in the state of a side that was cut.
async fn saved_definition(pair: &AnyPair, side: &str) -> Value {
    pair.state().await["sides"][side]["status"]["cut"]["endpoint"].clone()
}

/// Promises P40, P41 and P44.
#[tokio::test]
async fn deleting_on_an_alert_leaves_no_endpoint_and_everybody_on_the_other_side() {
    for side in [A, B] {
        let pair = published().await;
        let (lost, other) = (["A", "B"][side], ["B", "A"][side]);
        let definitions = [pair.endpoint(A).await, pair.endpoint(B).await];
        let answer = run(&pair, &DELETE, alert_set(side)).await;
        assert_eq!(
            (&answer["outcome"], &answer["cut"]),
            (&json!("failed_over"), &json!(lost)),
            "{answer:#}"
        );
        assert_eq!(pair.endpoint(side).await, None);
        assert_eq!(pair.endpoint(1 - side).await, definitions[1 - side]);
        let saved = saved_definition(&pair, lost).await;
        for name in [
            "url",
            "arn",
            "channelId",
            "description",
            "tags",
            "whitelist",
            "startoverWindowSeconds",
        ] {
            assert_eq!(
                saved[name],
                definitions[side].as_ref().unwrap()[name],
                "{name}"
            );
        }
        assert_eq!(pair.state().await["first"], other);
        assert_eq!(pair.steering().await["PATHWAY-PRIORITY"], json!([other]));
        assert_eq!(pathways(&pair).await, [other; 3]);
    }
}

/// Promise P40. Four triggers make fail-over check a side: an alert, the side's alarm, the
/// schedule, and a person.
#[tokio::test]
async fn deleting_on_what_the_schedule_finds_set() {
    let pair = published().await;
    let before = pair.snapshot().await;
    assert_eq!(
        run(&pair, &DELETE, event("fail-over/schedule.json")).await["outcome"],
        "unchanged"
    );
    assert_eq!(pair.snapshot().await, before);
    pair.set_alert(B).await;
    let answer = run(&pair, &DELETE, event("fail-over/schedule.json")).await;
    assert_eq!(
        (&answer["outcome"], &answer["cut"]),
        (&json!("failed_over"), &json!("B")),
        "{answer:#}"
    );
    assert!(
        answer["why"].as_str().unwrap().contains(ALERT),
        "{answer:#}"
    );
    assert_eq!(pair.endpoint(B).await, None);
}

/// Promises P41 and P42: the other side is probed at the URL of its endpoint.
#[tokio::test]
async fn deleting_where_nothing_was_published_publishes() {
    let pair = published().await;
    pair.unpublish().await;
    let answer = run(&pair, &DELETE, alert_set(A)).await;
    assert_eq!(answer["outcome"], "failed_over", "{answer:#}");
    assert_eq!(
        (pair.endpoint(A).await, pathways(&pair).await),
        (None, vec!["B".to_owned(); 3])
    );
    assert_eq!(pair.steering().await["PATHWAY-PRIORITY"], json!(["B"]));
}

/// Promises P45 and P48.
#[tokio::test]
async fn deleting_once_is_all_also_where_somebody_made_the_endpoint_again() {
    let pair = published().await;
    for event in [alert_set(A), alarm(A), by_hand(A)] {
        run(&pair, &DELETE, event).await;
    }
    pair.set_alert(A).await;
    let repeated = [
        alert_set(A),
        alarm(A),
        event("fail-over/schedule.json"),
        by_hand(A),
    ];
    for is_made_again in [false, true] {
        if is_made_again {
            pair.recreate_endpoint(A).await;
        }
        let before = pair.snapshot().await;
        for event in &repeated {
            let answer = run(&pair, &DELETE, event.clone()).await;
            assert_eq!(answer["outcome"], "unchanged", "{event}: {answer:#}");
            assert_eq!(pair.snapshot().await, before, "{event}");
        }
    }
}

/// Promises P44 and P45.
#[tokio::test]
async fn denying_changes_whether_it_serves_and_nothing_else_and_only_once() {
    let pair = published().await;
    let mut expected = [
        pair.endpoint(A).await.unwrap(),
        pair.endpoint(B).await.unwrap(),
    ];
    let answer = run(&pair, &DENY, alert_set(A)).await;
    assert_eq!(
        (&answer["outcome"], &answer["notes"]),
        (&json!("failed_over"), &Value::Null),
        "{answer:#}"
    );
    expected[A]["origination"] = "DENY".into();
    assert_eq!(
        [
            pair.endpoint(A).await.unwrap(),
            pair.endpoint(B).await.unwrap()
        ],
        expected
    );
    assert_eq!(pair.steering().await["PATHWAY-PRIORITY"], json!(["B", "A"]));
    assert_eq!(pathways(&pair).await, ["B", "A", "B", "A", "B", "A"]);
    let before = pair.snapshot().await;
    for event in [alert_set(A), event("fail-over/schedule.json")] {
        assert_eq!(run(&pair, &DENY, event).await["outcome"], "unchanged");
        assert_eq!(pair.snapshot().await, before);
    }
}

/// Promises P44 and P45.
#[tokio::test]
async fn steering_alone_touches_no_endpoint_and_only_once() {
    let pair = published().await;
    let endpoints = [pair.endpoint(A).await, pair.endpoint(B).await];
    pair.set_alert(A).await;
    for outcome in ["failed_over", "unchanged"] {
        let answer = run(&pair, &NONE, event("fail-over/schedule.json")).await;
        assert_eq!(answer["outcome"], outcome, "{answer:#}");
        assert_eq!([pair.endpoint(A).await, pair.endpoint(B).await], endpoints);
        assert_eq!(pair.steering().await["PATHWAY-PRIORITY"], json!(["B", "A"]));
        assert_eq!(pathways(&pair).await, ["B", "A", "B", "A", "B", "A"]);
    }
}
