//! Decodes the JSON that Lambda passes on into an [`Event`] of the core.

use aws_lambda_events::cloudwatch_alarms::CloudWatchAlarm;
use aws_lambda_events::cloudwatch_logs::LogsEvent;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use onair_core::event::{AlarmAction, BadEvent, Event, LogBatch, Payload, ServiceEvent};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Read};

/// The largest batch of CloudWatch Logs that is read, in bytes of JSON. CloudWatch Logs sends at
/// most 1 MB.
pub const MAX_BATCH_BYTES: u64 = 64 << 20;

/// Decodes an event in one of the forms in which AWS sends it, with `onair` beside it or alone.
///
/// # Errors
///
/// [`BadEvent`] for anything else. The core checks the contents of `onair` and of the detail.
pub fn decode(event: Value) -> Result<Event, BadEvent> {
    let Value::Object(mut event) = event else {
        return Err(BadEvent(
            "the event is not an EventBridge event: expected a JSON object".to_owned(),
        ));
    };
    // This is checked first: the types of aws_lambda_events drop unknown fields.
    let onair = event.remove("onair");
    let time = event.get("time").filter(|time| !time.is_null()).cloned();
    let has = |field: &str| event.contains_key(field);
    let payload = if has("awslogs") {
        Payload::Logs(log_batch(event)?)
    } else if has("alarmData") {
        Payload::AlarmAction(alarm_action(&event)?)
    } else if has("source") || has("detail-type") {
        Payload::Service(service_event(event)?)
    } else if onair.is_some() {
        Payload::Manual
    } else {
        return Err(BadEvent(
            "the event is not an EventBridge event, which has source and detail-type, and not a manual event, which has onair"
                .to_owned(),
        ));
    };
    // An alarm action has its time in the payload, and a batch has one for each message.
    let has_time = matches!(payload, Payload::Service(_) | Payload::Manual);
    Ok(Event {
        payload,
        onair,
        time: time.filter(|_| has_time),
    })
}

fn service_event(mut event: Map<String, Value>) -> Result<ServiceEvent, BadEvent> {
    // Reads only the fields that the core needs. `EventBridgeEvent` would refuse an event with
    // another malformed field, for example the time, which most functions do not need.
    let mut fields = Map::new();
    for field in ["source", "detail-type"] {
        fields.extend(event.remove_entry(field));
    }
    let detail = event.remove("detail").unwrap_or_default();
    fields.insert("detail".to_owned(), detail);
    let event: EventBridgeEvent<Value> = serde_json::from_value(Value::Object(fields))
        .map_err(|error| BadEvent::not("an EventBridge event", &error))?;
    Ok(ServiceEvent {
        source: event.source,
        detail_type: event.detail_type,
        detail: event.detail,
    })
}

/// CloudWatch User Guide, "Invoke a Lambda function from an alarm".
fn alarm_action(event: &Map<String, Value>) -> Result<AlarmAction, BadEvent> {
    // Only what the core reads. `CloudWatchAlarm` would refuse an alarm for the form of another
    // field, for example of a composite alarm, and would read a missing state as OK.
    let time = event.get("time");
    let data = event.get("alarmData").unwrap_or(&Value::Null);
    let Some(state) = data.pointer("/state/value").and_then(Value::as_str) else {
        return Err(BadEvent(
            "the event is not an alarm action of CloudWatch: alarmData.state.value is missing"
                .to_owned(),
        ));
    };
    let read = json!({
        "time": time,
        "alarmData": {
            "alarmName": data.get("alarmName"),
            "state": { "value": state, "reason": "", "timestamp": time },
            "configuration": null,
        },
    });
    let alarm: CloudWatchAlarm<Value, Value> = serde_json::from_value(read)
        .map_err(|error| BadEvent::not("an alarm action of CloudWatch", &error))?;
    let state = state.to_owned();
    Ok(AlarmAction {
        alarm_name: alarm.alarm_data.alarm_name,
        state,
        time: alarm.time,
    })
}

/// CloudWatch Logs User Guide, "Subscription filters with AWS Lambda".
fn log_batch(mut event: Map<String, Value>) -> Result<LogBatch, BadEvent> {
    let data = event
        .get_mut("awslogs")
        .and_then(|logs| logs.get_mut("data"));
    let Some(Value::String(data)) = data.map(Value::take) else {
        return Err(BadEvent(
            "the event is not an event of CloudWatch Logs: awslogs.data is not a text".to_owned(),
        ));
    };
    check_batch(&data)?;
    let event = json!({ "awslogs": { "data": data } });
    // The error would quote the contents.
    let logs = LogsEvent::deserialize(&event)
        .map_err(|_| bad_batch("is not what CloudWatch Logs sends"))?
        .aws_logs
        .data;
    match logs.message_type.as_str() {
        "DATA_MESSAGE" => {
            let messages = logs.log_events.into_iter().map(|event| event.message);
            Ok(LogBatch::Messages(messages.collect()))
        }
        "CONTROL_MESSAGE" => Ok(LogBatch::ReachabilityCheck),
        _ => Err(bad_batch("has an unknown messageType")),
    }
}

/// Checks two things that `LogsEvent` does not: it decompresses without a limit, and accepts a list
/// instead of an object.
fn check_batch(data: &str) -> Result<(), BadEvent> {
    let packed = BASE64_STANDARD
        .decode(data)
        .map_err(|error| bad_batch(&format!("is not base64: {error}")))?;
    let not_gzip = |error| bad_batch(&format!("is not gzip: {error}"));
    let mut json = BufReader::new(GzDecoder::new(packed.as_slice()).take(MAX_BATCH_BYTES + 1));
    let is_object = json.fill_buf().map_err(not_gzip)?.first() == Some(&b'{');
    let bytes = std::io::copy(&mut json, &mut std::io::sink()).map_err(not_gzip)?;
    if bytes > MAX_BATCH_BYTES {
        return Err(bad_batch(&format!(
            "has more than {MAX_BATCH_BYTES} bytes unpacked"
        )));
    }
    if is_object {
        Ok(())
    } else {
        Err(bad_batch("is not what CloudWatch Logs sends"))
    }
}

fn bad_batch(problem: &str) -> BadEvent {
    BadEvent(format!("the batch of CloudWatch Logs {problem}"))
}
