use super::get_signed;
use serde_json::{Value, json};
use stand_in::{MediaLive, Traffic};
use std::time::{Duration, UNIX_EPOCH};

const VIDEO: &str = "Video Not Detected";

fn start(pipelines: u8) -> MediaLive {
    let medialive = MediaLive::start(&Traffic::default());
    let arn = medialive.create_channel("1001", pipelines);
    assert_eq!(arn, "arn:aws:medialive:us-west-2:123456789012:channel:1001");
    medialive
}

fn get(medialive: &MediaLive, path: &str) -> (u16, Value) {
    let page = get_signed(
        "medialive",
        "us-west-2",
        &format!("{}/prod/channels/{path}", medialive.endpoint_url()),
    );
    (page.status, page.json())
}

/// Pipeline, type and state of each alert.
fn alerts(medialive: &MediaLive, filter: &str) -> Vec<(String, String, String)> {
    let (status, answer) = get(medialive, &format!("1001/alerts?stateFilter={filter}"));
    assert_eq!(status, 200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let alert = |alert: &Value| {
        (
            text(&alert["pipelineId"]),
            text(&alert["alertType"]),
            text(&alert["state"]),
        )
    };
    answer["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(alert)
        .collect()
}

fn alert(pipeline: &str, alert_type: &str, state: &str) -> (String, String, String) {
    (pipeline.to_owned(), alert_type.to_owned(), state.to_owned())
}

#[test]
fn a_channel_runs_with_its_pipelines() {
    for (pipelines, class) in [(1, "SINGLE_PIPELINE"), (2, "STANDARD")] {
        let medialive = start(pipelines);
        let (_, channel) = get(&medialive, "1001");
        assert_eq!(
            (&channel["state"], &channel["channelClass"]),
            (&json!("RUNNING"), &json!(class))
        );
        assert_eq!(channel["pipelinesRunningCount"], pipelines);
        assert_eq!(
            channel["pipelineDetails"].as_array().unwrap().len(),
            usize::from(pipelines)
        );
        medialive.set_state("1001", "IDLE");
        let (_, channel) = get(&medialive, "1001");
        assert_eq!(
            (&channel["state"], &channel["pipelinesRunningCount"]),
            (&json!("IDLE"), &json!(0))
        );
        assert_eq!(channel["pipelineDetails"], json!([]));
    }
}

#[test]
fn an_alert_is_set_until_it_is_cleared() {
    let medialive = start(2);
    medialive.set_alert("1001", 0, VIDEO);
    medialive.set_alert("1001", 0, VIDEO);
    medialive.set_alert("1001", 1, VIDEO);
    medialive.clear_alert("1001", 1, VIDEO);
    medialive.clear_alert("1001", 1, "Audio Not Detected");
    let mut all = vec![alert("0", VIDEO, "SET"), alert("1", VIDEO, "CLEARED")];
    assert_eq!(alerts(&medialive, "SET"), all[..1]);
    assert_eq!(alerts(&medialive, "CLEARED"), all[1..]);
    assert_eq!(alerts(&medialive, "ALL"), all);
    // Set anew it is another alert.
    medialive.set_alert("1001", 1, VIDEO);
    all.push(alert("1", VIDEO, "SET"));
    assert_eq!(alerts(&medialive, "ALL"), all);
}

#[test]
fn a_channel_that_stops_has_no_alert_set() {
    let medialive = start(1);
    medialive.set_alert("1001", 0, VIDEO);
    medialive.set_state("1001", "UPDATING");
    assert_eq!(alerts(&medialive, "SET").len(), 1);
    medialive.set_state("1001", "STOPPING");
    assert_eq!(alerts(&medialive, "ALL"), [alert("0", VIDEO, "CLEARED")]);
}

#[test]
fn alerts_have_the_times_they_are_given() {
    let medialive = start(1);
    let at = |s| UNIX_EPOCH + Duration::from_millis(s);
    medialive.set_alert_at("1001", 0, VIDEO, at(1_700_000_000_000));
    medialive.clear_alert_at("1001", 0, VIDEO, at(1_700_000_060_500));
    let (_, answer) = get(&medialive, "1001/alerts?stateFilter=ALL");
    let alert = &answer["alerts"][0];
    assert_eq!(
        (&alert["setTimestamp"], &alert["clearedTimestamp"]),
        (
            &json!("2023-11-14T22:13:20.000Z"),
            &json!("2023-11-14T22:14:20.500Z")
        )
    );
}

#[test]
fn alerts_come_in_pages_and_of_known_states() {
    let medialive = start(1);
    for n in 0..3 {
        medialive.set_alert("1001", 0, &format!("Alert {n}"));
    }
    let (_, first) = get(&medialive, "1001/alerts?maxResults=2");
    assert_eq!(
        (
            first["alerts"].as_array().unwrap().len(),
            &first["nextToken"]
        ),
        (2, &json!("2"))
    );
    let (_, second) = get(&medialive, "1001/alerts?maxResults=2&nextToken=2");
    assert_eq!(
        (&second["alerts"][0]["alertType"], &second["nextToken"]),
        (&json!("Alert 2"), &Value::Null)
    );
    for path in [
        "1001/alerts?stateFilter=NONE",
        "1001/alerts?maxResults=x",
        "1001/alerts?nextToken=x",
    ] {
        assert_eq!(get(&medialive, path).0, 400, "{path}");
    }
    assert_eq!(
        (get(&medialive, "1002").0, get(&medialive, "1002/alerts").0),
        (404, 404)
    );
}
