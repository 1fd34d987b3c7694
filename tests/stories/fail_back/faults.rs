//! Every call of a side's way back fails once in every way, or the process is killed there. Promise
//! P58: all cases, not samples; see the same file of `fail_over`.

use crate::fail_over::faults::{Before, Scene, every_call_in_trouble};
use stories::event;
use stories::pair::{Stage, alert_cleared, alert_set};

/// A was lost, was cut, and is well again.
async fn on_the_way_back(settings: &'static [(&'static str, &'static str)]) {
    let stage = Stage::published(settings).await;
    stage
        .call("fail-over", settings, alert_set(0))
        .await
        .into_response();
    let event = || alert_cleared(0);
    let scene = Scene {
        stem: "fail-back",
        settings,
        is_lost: false,
        event,
        is_warm: false,
    };
    every_call_in_trouble(scene, Before::of(&stage)).await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_after_a_deletion() {
    on_the_way_back(&[("CUT", "delete")]).await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_after_a_denial() {
    on_the_way_back(&[("CUT", "deny")]).await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_after_steering_alone() {
    on_the_way_back(&[("CUT", "none")]).await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_viewers_are_led_back() {
    on_the_way_back(&[("CUT", "delete"), ("PREFER", "A")]).await;
}

/// A person leads viewers back to a side that is live.
#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_a_person_leads_viewers() {
    let settings = &[("CUT", "none")];
    let stage = Stage::published(settings).await;
    stage
        .call("fail-over", settings, alert_set(0))
        .await
        .into_response();
    stage
        .call("fail-back", settings, event("fail-back/schedule.json"))
        .await
        .into_response();
    let event = || event("fail-back/by-hand.json");
    let scene = Scene {
        stem: "fail-back",
        settings,
        is_lost: false,
        event,
        is_warm: false,
    };
    every_call_in_trouble(scene, Before::of(&stage)).await;
}
