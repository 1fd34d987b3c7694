//! The number of round trips before viewers of a lost side get errors and switch.

use super::A;
use stand_in::Call;
use std::time::Duration;
use stories::pair::{Stage, alert_set};
use stories::{event, response};

/// Requests that a function sends at the same time arrive while the first of them still waits. The
/// wait is long beside everything else, so that a busy machine does not change the count.
const LATENCY: Duration = Duration::from_millis(500);

/// The operations before the cut, those that were sent at the same time together.
fn round_trips(calls: &[Call]) -> Vec<Vec<String>> {
    let is_before_cut = |call: &&Call| call.operation != "DeleteOriginEndpoint";
    let mut trips: Vec<(Call, Vec<String>)> = Vec::new();
    for call in calls.iter().take_while(is_before_cut) {
        let operation = format!("{} {}", call.operation, call.key);
        match trips.last_mut() {
            Some((first, trip)) if call.at - first.at < LATENCY => trip.push(operation),
            _ => trips.push((call.clone(), vec![operation])),
        }
    }
    trips.into_iter().map(|(_, trip)| trip).collect()
}

async fn round_trips_of_an_alert(is_warm: bool) -> Vec<Vec<String>> {
    let stage = Stage::published(&[]).await;
    let fail_over = stage.start("fail-over", &[]);
    if is_warm {
        response(fail_over.invoke(event("fail-over/schedule.json")).await);
    }
    stage.traffic.reset_calls();
    stage.traffic.set_latency(LATENCY);

    let answer = response(fail_over.invoke(alert_set(A)).await);

    assert_eq!(answer["outcome"], "failed_over");
    round_trips(&stage.traffic.calls())
}

#[tokio::test]
async fn a_new_process_needs_four_round_trips_before_the_cut() {
    let trips = round_trips_of_an_alert(false).await;

    // The documents and the endpoint; the other side's media playlist; the state; the manifest.
    let sizes: Vec<usize> = trips.iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 1, 1, 1], "{trips:#?}");
}

#[tokio::test]
async fn a_warm_process_needs_three_round_trips_before_the_cut() {
    let trips = round_trips_of_an_alert(true).await;

    let sizes: Vec<usize> = trips.iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 1, 1], "{trips:#?}");
}
