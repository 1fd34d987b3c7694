//! Fail-over changes the endpoint of the lost side.

use super::{A, B, run};
use serde_json::{Value, json};
use stand_in::{Endpoints, Fault};
use std::time::Duration;
use stories::pair::{
    CHANNELS, ENDPOINTS, PUBLIC, STEERING, Stage, alert_cleared, alert_set, by_hand,
};
use stories::{event, response};

/// The definition of A's endpoint in the state.
fn saved_definition(stage: &Stage) -> Value {
    stage.state()["sides"]["A"]["status"]["cut"]["endpoint"].clone()
}

/// The index of the call that changes the endpoint in a run without faults.
async fn endpoint_action(settings: &[(&str, &str)]) -> usize {
    let stage = Stage::published(settings).await;
    stage.traffic.reset_calls();
    run(&stage, settings, alert_set(A)).await;
    let actions = ["DeleteOriginEndpoint", "UpdateOriginEndpoint"];
    let calls = stage.traffic.calls();
    calls
        .iter()
        .find(|call| actions.contains(&call.operation.as_str()))
        .unwrap()
        .index
}

/// Promise P44. `CUT=delete` saves the endpoint's whole definition first and then deletes the
/// endpoint.
#[tokio::test]
async fn a_deletion_saves_the_whole_definition_first() {
    let stage = Stage::published(&[]).await;
    let definition = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
    assert!(
        definition["newerThanThisProgram"]["kept"].is_array()
            && definition["hlsPackage"]["alsoNewer"] == true
    );
    let other = stage.mediapackage.endpoint(ENDPOINTS[B]);
    let answer = run(&stage, &[("CUT", "delete")], alert_set(A)).await;
    assert_eq!(
        answer["steps"],
        json!(["steer", "delete endpoint show-a-hls", "publish"])
    );
    assert_eq!(stage.mediapackage.endpoint(ENDPOINTS[A]), None);
    assert_eq!(saved_definition(&stage), definition);
    assert_eq!(stage.mediapackage.endpoint(ENDPOINTS[B]), other);
}

/// Promise P44. `CUT=delete` saves the endpoint's whole definition first and then deletes the
/// endpoint.
#[tokio::test]
async fn a_denial_changes_the_origination_and_nothing_else() {
    let stage = Stage::published(&[]).await;
    let definitions = ENDPOINTS.map(|endpoint| stage.mediapackage.endpoint(endpoint).unwrap());
    let answer = run(&stage, &[("CUT", "deny")], alert_set(A)).await;
    assert_eq!(
        answer["steps"],
        json!(["steer", "deny endpoint show-a-hls", "publish"])
    );
    assert_eq!(answer["notes"], Value::Null);
    let mut expected = definitions.clone();
    expected[A]["origination"] = "DENY".into();
    assert_eq!(
        ENDPOINTS.map(|endpoint| stage.mediapackage.endpoint(endpoint).unwrap()),
        expected
    );
    assert_eq!(saved_definition(&stage), definitions[A]);
}

/// Promise P44: the response to an update is compared with the definition before it.
#[tokio::test]
async fn an_unexpected_change_by_an_update_is_reported() {
    let settings = [("CUT", "deny")];
    let call = endpoint_action(&settings).await;
    let stage = Stage::published(&settings).await;
    stage.traffic.reset_calls();
    let endpoints = Endpoints::clone(&stage.mediapackage);
    stage.traffic.before_call(call, move || {
        // An update can change neither the tags nor the ARN and the URL.
        let mut other = endpoints.endpoint(ENDPOINTS[A]).unwrap();
        other["tags"] = json!({ "show": "another" });
        endpoints.delete(ENDPOINTS[A]);
        endpoints.create(&other);
    });
    let answer = run(&stage, &settings, alert_set(A)).await;
    assert_eq!(answer["outcome"], "failed_over");
    let note = answer["notes"][0].as_str().unwrap_or_default();
    assert!(
        note.starts_with("endpoint show-a-hls: origination is DENY, but arn, ")
            && note.contains("tags"),
        "{answer:#}"
    );
}

/// Promise P44. `CUT=delete` saves the endpoint's whole definition first and then deletes the
/// endpoint.
#[tokio::test]
async fn steering_alone_touches_no_endpoint() {
    let stage = Stage::published(&[]).await;
    let definitions = ENDPOINTS.map(|endpoint| stage.mediapackage.endpoint(endpoint));
    stage.traffic.reset_calls();
    let answer = run(&stage, &[("CUT", "none")], alert_set(A)).await;
    assert_eq!(
        (&answer["outcome"], &answer["steps"]),
        (&json!("failed_over"), &json!(["steer", "publish"]))
    );
    assert!(
        stage
            .traffic
            .calls()
            .iter()
            .all(|call| call.service != "mediapackage")
    );
    assert_eq!(
        ENDPOINTS.map(|endpoint| stage.mediapackage.endpoint(endpoint)),
        definitions
    );
    assert_eq!(stage.steering()["PATHWAY-PRIORITY"], json!(["B", "A"]));
}

/// Promises P35 and P44.
#[tokio::test]
async fn without_steering_the_playlist_and_the_denial_move_viewers() {
    let settings = [("STEERING", "off"), ("CUT", "deny")];
    let stage = Stage::published(&settings).await;
    let answer = run(&stage, &settings, alert_set(A)).await;
    assert_eq!(
        answer["steps"],
        json!(["deny endpoint show-a-hls", "publish"])
    );
    assert_eq!(stage.s3.object(PUBLIC, STEERING), None);
    assert_eq!(stage.variants()[0].0, "B");
}

/// Promise P48. An endpoint that was recreated under the same id, but not by On Air, is not
/// touched.
#[tokio::test]
async fn an_endpoint_that_was_created_again_after_the_cut_is_left_alone() {
    for cut in ["delete", "deny"] {
        let settings = [("CUT", cut)];
        let stage = Stage::published(&settings).await;
        let mut definition = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
        for event in [alert_set(A), by_hand(A)] {
            run(&stage, &settings, event).await;
        }
        stage.mediapackage.delete(ENDPOINTS[A]);
        definition["description"] = "created by hand".into();
        stage.mediapackage.create(&definition);
        stage
            .medialive
            .set_alert(CHANNELS[A], 0, "Video Not Detected");
        let before = stage.snapshot();
        for event in [alert_set(A), event("fail-over/schedule.json"), by_hand(A)] {
            let answer = run(&stage, &settings, event).await;
            let note =
                "endpoint show-a-hls was created again after side A was cut, and is left alone";
            assert_eq!(
                (&answer["outcome"], &answer["notes"]),
                (&json!("unchanged"), &json!([note]))
            );
        }
        assert_eq!(stage.snapshot(), before, "{cut}");
    }
}

/// Promise P48: a delayed run does not change a newer endpoint.
#[tokio::test]
async fn an_endpoint_that_was_created_again_during_an_unfinished_cut_is_left_alone() {
    let stage = Stage::published(&[]).await;
    // The run is killed before it deletes the endpoint.
    let call = endpoint_action(&[]).await;
    stage.traffic.reset_calls();
    stage.traffic.fault(call, Fault::HoldBefore);
    let fail_over = stage.start("fail-over", &[]);
    tokio::join!(fail_over.invoke(alert_set(A)), async {
        stage.traffic.held().await;
        fail_over.kill();
    });
    let definition = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
    stage.mediapackage.delete(ENDPOINTS[A]);
    stage.mediapackage.create(&definition);
    run(&stage, &[], event("fail-over/schedule.json")).await;
    assert!(stage.mediapackage.endpoint(ENDPOINTS[A]).is_some());
}

/// Promise P41. A fail-over writes the state, steers viewers to the other side, cuts the lost side
/// and renders the playlist, in this order.
#[tokio::test]
async fn a_side_without_an_endpoint_is_cut_by_steering_alone() {
    for cut in ["delete", "deny"] {
        let settings = [("CUT", cut)];
        let stage = Stage::published(&settings).await;
        stage.mediapackage.delete(ENDPOINTS[A]);
        let answer = run(&stage, &settings, alert_set(A)).await;
        assert_eq!(
            (&answer["outcome"], &answer["steps"]),
            (&json!("failed_over"), &json!(["steer", "publish"]))
        );
        assert_eq!(
            (stage.statuses(), saved_definition(&stage)),
            (["cut".to_owned(), "live".to_owned()], Value::Null)
        );
    }
}

/// Promises P41 and P42: without a published playlist, the other side's own playlist is read.
#[tokio::test]
async fn a_pair_that_was_never_published_fails_over() {
    let stage = Stage::new();
    let answer = run(&stage, &[], alert_set(A)).await;
    assert_eq!(answer["outcome"], "failed_over", "{answer:#}");
    assert_eq!(
        stage
            .variants()
            .into_iter()
            .map(|(pathway, _)| pathway)
            .collect::<Vec<_>>(),
        ["B", "B", "B"]
    );
    assert_eq!(stage.bases()[A], None);
}

/// A pair whose side A was cut and has returned. Side B was lost shortly after that, and its
/// endpoint still serves.
async fn pair_with_deferred_cut_of_b(settings: &[(&str, &str)]) -> Stage {
    let stage = Stage::published(settings).await;
    run(&stage, settings, alert_set(A)).await;
    response(stage.call("fail-back", settings, alert_cleared(A)).await);
    let answer = run(&stage, settings, alert_set(B)).await;
    assert_eq!(
        (&answer["outcome"], &answer["steps"]),
        (&json!("failed_over"), &json!(["steer", "publish"]))
    );
    let note = answer["notes"][0].as_str().unwrap_or_default();
    assert!(
        note.starts_with("endpoint show-b-hls serves until all players know"),
        "{answer:#}"
    );
    assert_eq!(
        stage.steering()["PATHWAY-PRIORITY"][0],
        "A.2",
        "players are steered at once"
    );
    assert_eq!(
        run(&stage, settings, event("fail-over/schedule.json")).await["outcome"],
        "unchanged"
    );
    assert_eq!(
        stage.mediapackage.endpoint(ENDPOINTS[B]).unwrap()["origination"],
        "ALLOW"
    );
    stage
}

/// Promise P66. After a side returned under a new pathway, the other side's endpoint is not touched
/// for twice `STEERING_TTL_SECONDS`.
#[tokio::test]
async fn an_endpoint_is_cut_only_after_all_players_know_the_side_that_returned() {
    for (cut, step) in [
        ("delete", "delete endpoint show-b-hls"),
        ("deny", "deny endpoint show-b-hls"),
    ] {
        let settings = [("STEERING_TTL_SECONDS", "600"), ("CUT", cut)];
        let stage = pair_with_deferred_cut_of_b(&settings).await;
        stage.an_hour_passes();
        let answer = run(&stage, &settings, event("fail-over/schedule.json")).await;
        assert_eq!(
            (&answer["outcome"], &answer["steps"]),
            (&json!("failed_over"), &json!([step]))
        );
        assert_eq!(stage.bases()[B].is_none(), cut == "delete");
        let answer = response(stage.call("fail-back", &settings, by_hand(B)).await);
        assert_eq!(answer["outcome"], "failed_back");
    }
}

/// Promise P66: the endpoint that still serves is a fallback if the other side is lost meanwhile.
#[tokio::test]
async fn a_deferred_cut_is_cancelled_if_the_other_side_is_stale() {
    let settings = [("STEERING_TTL_SECONDS", "600")];
    let stage = pair_with_deferred_cut_of_b(&settings).await;
    let endpoint = stage.mediapackage.endpoint(ENDPOINTS[B]);
    stage.an_hour_passes();
    stage.mediapackage.stall(CHANNELS[A]);
    tokio::time::sleep(Duration::from_millis(3_600)).await;
    let answer = run(&stage, &settings, event("fail-over/schedule.json")).await;
    assert!(
        answer["notes"]
            .to_string()
            .contains("side B is not cut yet: side A is not advancing"),
        "{answer:#}"
    );
    let answer = response(
        stage
            .call("fail-back", &settings, event("fail-back/schedule.json"))
            .await,
    );
    assert_eq!(answer["outcome"], "failed_back");
    assert_eq!(stage.mediapackage.endpoint(ENDPOINTS[B]), endpoint);
    assert_eq!(stage.steering()["PATHWAY-PRIORITY"], json!(["A.2", "B"]));
}
