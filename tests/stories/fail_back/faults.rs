//! Each call of a fail-back fails once in every way, or the process is killed at it. Promise P58:
//! all cases, not samples; see the same file of `fail_over`.

use crate::fail_over::faults::{Before, Scene, every_faulty_call};
use stories::event;
use stories::pair::{Stage, alert_cleared, alert_set};

/// Side A was lost and cut, and is healthy again.
async fn every_fault_of_a_return(settings: &'static [(&'static str, &'static str)]) {
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
    every_faulty_call(scene, Before::of(&stage)).await;
}

#[tokio::test]
async fn every_faulty_call_ends_the_same_after_a_deletion() {
    every_fault_of_a_return(&[("CUT", "delete")]).await;
}

#[tokio::test]
async fn every_faulty_call_ends_the_same_after_a_denial() {
    every_fault_of_a_return(&[("CUT", "deny")]).await;
}

#[tokio::test]
async fn every_faulty_call_ends_the_same_after_steering_alone() {
    every_fault_of_a_return(&[("CUT", "none")]).await;
}

#[tokio::test]
async fn every_faulty_call_ends_the_same_where_viewers_return() {
    every_fault_of_a_return(&[("CUT", "delete"), ("PREFER", "A")]).await;
}

/// A person promotes a side that is live.
#[tokio::test]
async fn every_faulty_call_ends_the_same_where_a_person_promotes_a_side() {
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
    every_faulty_call(scene, Before::of(&stage)).await;
}
