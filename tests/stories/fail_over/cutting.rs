//! What is done to the endpoint of the side that is lost.

use super::{A, B, run};
use serde_json::{Value, json};
use stand_in::{Endpoints, Fault};
use std::time::Duration;
use stories::pair::{
    CHANNELS, ENDPOINTS, PUBLIC, STEERING, Stage, alert_cleared, alert_set, by_hand,
};
use stories::{event, response};

/// The definition that the state has saved of A.
fn saved(stage: &Stage) -> Value {
    stage.state()["sides"]["A"]["status"]["cut"]["endpoint"].clone()
}

/// The index of the call that changes an endpoint in an undisturbed run of this.
async fn strike(settings: &[(&str, &str)]) -> usize {
    let stage = Stage::published(settings).await;
    stage.traffic.reset_calls();
    run(&stage, settings, alert_set(A)).await;
    let strikes = ["DeleteOriginEndpoint", "UpdateOriginEndpoint"];
    let calls = stage.traffic.calls();
    calls
        .iter()
        .find(|call| strikes.contains(&call.operation.as_str()))
        .unwrap()
        .index
}

/// Promise P44.
#[tokio::test]
async fn deleting_saves_the_whole_definition_first() {
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
    assert_eq!(saved(&stage), definition);
    assert_eq!(stage.mediapackage.endpoint(ENDPOINTS[B]), other);
}

/// Promise P44.
#[tokio::test]
async fn denying_changes_whether_it_serves_and_nothing_else() {
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
    assert_eq!(saved(&stage), definitions[A]);
}

/// Promise P44: "nothing else" is not taken for granted.
#[tokio::test]
async fn what_changed_with_an_update_all_the_same_is_said() {
    let settings = [("CUT", "deny")];
    let call = strike(&settings).await;
    let stage = Stage::published(&settings).await;
    stage.traffic.reset_calls();
    let endpoints = Endpoints::clone(&stage.mediapackage);
    stage.traffic.before_call(call, move || {
        // Neither tags nor what makes an endpoint that endpoint can be updated.
        let mut other = endpoints.endpoint(ENDPOINTS[A]).unwrap();
        other["tags"] = json!({ "show": "another" });
        endpoints.delete(ENDPOINTS[A]);
        endpoints.create(&other);
    });
    let answer = run(&stage, &settings, alert_set(A)).await;
    assert_eq!(answer["outcome"], "failed_over");
    let note = answer["notes"][0].as_str().unwrap_or_default();
    assert!(
        note.starts_with("endpoint show-a-hls is denied, but its arn, ") && note.contains("tags"),
        "{answer:#}"
    );
}

/// Promise P44.
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
async fn without_steering_the_playlist_and_the_cut_move_viewers() {
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

/// Promise P48.
#[tokio::test]
async fn an_endpoint_that_somebody_made_again_is_left_alone() {
    for cut in ["delete", "deny"] {
        let settings = [("CUT", cut)];
        let stage = Stage::published(&settings).await;
        let mut definition = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
        for event in [alert_set(A), by_hand(A)] {
            run(&stage, &settings, event).await;
        }
        stage.mediapackage.delete(ENDPOINTS[A]);
        definition["description"] = "made by hand".into();
        stage.mediapackage.create(&definition);
        stage
            .medialive
            .set_alert(CHANNELS[A], 0, "Video Not Detected");
        let before = stage.snapshot();
        for event in [alert_set(A), event("fail-over/schedule.json"), by_hand(A)] {
            let answer = run(&stage, &settings, event).await;
            let note = "endpoint show-a-hls was made again since A was cut, and is left alone";
            assert_eq!(
                (&answer["outcome"], &answer["notes"]),
                (&json!("unchanged"), &json!([note]))
            );
        }
        assert_eq!(stage.snapshot(), before, "{cut}");
    }
}

/// Promise P48: what a run that is late would do is not done to what came meanwhile.
#[tokio::test]
async fn what_was_made_again_while_a_cut_was_unfinished_is_left_alone() {
    let stage = Stage::published(&[]).await;
    // The run is killed before it deletes.
    let call = strike(&[]).await;
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

/// Promise P41.
#[tokio::test]
async fn a_side_whose_endpoint_is_gone_already_is_cut_all_the_same() {
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
            (stage.statuses(), saved(&stage)),
            (["cut".to_owned(), "live".to_owned()], Value::Null)
        );
    }
}

/// Promises P41 and P42: nothing was published yet, so the other side itself is asked.
#[tokio::test]
async fn a_pair_that_was_never_published_fails_over_too() {
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

/// A was cut and is back, and B was lost then: its endpoint is not touched yet.
async fn b_waits(settings: &[(&str, &str)]) -> Stage {
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
        note.starts_with("endpoint show-b-hls is not touched before"),
        "{answer:#}"
    );
    assert_eq!(
        stage.steering()["PATHWAY-PRIORITY"][0],
        "A.2",
        "they are told at once"
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

/// Promise P66.
#[tokio::test]
async fn a_side_is_cut_only_when_all_who_watch_have_heard_of_the_one_that_came_back() {
    for (cut, step) in [
        ("delete", "delete endpoint show-b-hls"),
        ("deny", "deny endpoint show-b-hls"),
    ] {
        let settings = [("STEERING_TTL_SECONDS", "600"), ("CUT", cut)];
        let stage = b_waits(&settings).await;
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

/// Promise P66: what was not touched is the way out if the other side is lost meanwhile.
#[tokio::test]
async fn a_side_whose_cut_waits_is_spared_if_the_other_stands_still_and_comes_back_as_it_is() {
    let settings = [("STEERING_TTL_SECONDS", "600")];
    let stage = b_waits(&settings).await;
    let endpoint = stage.mediapackage.endpoint(ENDPOINTS[B]);
    stage.an_hour_passes();
    stage.mediapackage.stall(CHANNELS[A]);
    tokio::time::sleep(Duration::from_millis(3_600)).await;
    let answer = run(&stage, &settings, event("fail-over/schedule.json")).await;
    assert!(
        answer["notes"]
            .to_string()
            .contains("B is not cut yet: A does not move"),
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
