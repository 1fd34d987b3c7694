//! Triggers: events of MediaLive and of CloudWatch, the schedule, and manual events.

use super::{Pair, Side};
use crate::event::{Event, Payload, ServiceEvent};
use chrono::{DateTime, Utc};
use serde::Deserialize;

pub use crate::event::BadEvent;

/// An event, decoded for a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEvent {
    /// The trigger.
    pub trigger: Trigger,
    /// Whether the event requests a dry run.
    pub dry_run: bool,
    /// Whether a person sent the event.
    pub by_hand: bool,
}

/// The reason for which a run checks a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// An alert or an alarm reports that a side has lost its input.
    InputLost {
        /// The side that has lost its input.
        side: Side,
        /// The time of the event.
        at: DateTime<Utc>,
        /// The alert or alarm in words.
        what: String,
        /// Whether this is a CloudWatch alarm, not an alert of MediaLive.
        is_alarm: bool,
    },
    /// The alert or alarm has ended.
    InputRecovered {
        /// The side that has its input back.
        side: Side,
        /// Whether this is a CloudWatch alarm, not an alert of MediaLive.
        is_alarm: bool,
    },
    /// A run of the schedule: check both sides.
    ScheduledCheck,
    /// A person names a side. The function that is called decides what to do with the side.
    Manual {
        /// The side that the person names.
        side: Side,
    },
    /// The event does not concern this pair.
    Ignored {
        /// The reason as a sentence.
        why: String,
    },
}

/// The field `onair`, which a person adds to an event or sends alone. Unknown fields are refused:
/// an event with a misspelt `dry_run` must not cut a side.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct OnAir {
    #[serde(default)]
    dry_run: bool,
    side: Option<Side>,
}

/// `MediaLive Channel Alert` (MediaLive User Guide, "JSON for channel alerts").
#[derive(Deserialize)]
struct AlertDetail {
    alarm_state: String,
    alert_type: String,
    pipeline: String,
    channel_arn: String,
}

/// `CloudWatch Alarm State Change` (CloudWatch User Guide, "Alarm events and EventBridge").
#[derive(Deserialize)]
struct AlarmDetail {
    #[serde(rename = "alarmName")]
    alarm_name: String,
    state: AlarmState,
}

#[derive(Deserialize)]
struct AlarmState {
    value: String,
}

/// Decodes an event for a pair.
///
/// # Errors
///
/// [`BadEvent`] if the detail, the time of a lost input or the field `onair` is not valid.
pub fn decode(event: &Event, pair: &Pair) -> Result<PairEvent, BadEvent> {
    let OnAir { dry_run, side } = event.onair()?;
    let by_hand = event.is_manual("side", side.is_some())?;
    let trigger = match (&event.payload, side) {
        (Payload::Manual, None) => Trigger::ScheduledCheck,
        (Payload::Manual, Some(side)) => Trigger::Manual { side },
        (Payload::AlarmAction(alarm), _) => {
            alarm_trigger(pair, &alarm.alarm_name, &alarm.state, || Ok(alarm.time))?
        }
        (Payload::Service(service), _) => match service.kind() {
            ("aws.events", "Scheduled Event") => Trigger::ScheduledCheck,
            ("aws.medialive", "MediaLive Channel Alert") => {
                alert_trigger(pair, service, || time(event))?
            }
            ("aws.cloudwatch", "CloudWatch Alarm State Change") => {
                let AlarmDetail { alarm_name, state } = service.detail()?;
                alarm_trigger(pair, &alarm_name, &state.value, || time(event))?
            }
            _ => ignored(format!("{} is not about a pair", event.payload)),
        },
        (Payload::Logs(_), _) => ignored(format!("{} is not about a pair", event.payload)),
    };
    Ok(PairEvent {
        trigger,
        dry_run,
        by_hand,
    })
}

fn ignored(why: String) -> Trigger {
    Trigger::Ignored { why }
}

fn alert_trigger(
    pair: &Pair,
    event: &ServiceEvent,
    at: impl FnOnce() -> Result<DateTime<Utc>, BadEvent>,
) -> Result<Trigger, BadEvent> {
    let AlertDetail {
        alarm_state,
        alert_type,
        pipeline,
        channel_arn,
    } = event.detail()?;
    let is_its = |side: &Side| {
        pair.sides[*side].channel_arn == channel_arn && pair.sides[*side].pipeline == pipeline
    };
    let Some(side) = Side::BOTH.into_iter().find(is_its) else {
        return Ok(ignored(format!(
            "pipeline {pipeline} of {channel_arn} is not a side of this pair"
        )));
    };
    if !pair.alert_types.contains(&alert_type) {
        return Ok(ignored(format!(
            "an alert {alert_type:?} is not one of ALERT_TYPES"
        )));
    }
    Ok(match alarm_state.as_str() {
        "SET" => Trigger::InputLost {
            side,
            at: at()?,
            what: format!("MediaLive alert {alert_type:?}"),
            is_alarm: false,
        },
        "CLEARED" => Trigger::InputRecovered {
            side,
            is_alarm: false,
        },
        other => ignored(format!("the alert's state is {other:?}")),
    })
}

fn alarm_trigger(
    pair: &Pair,
    name: &str,
    state: &str,
    time: impl Fn() -> Result<DateTime<Utc>, BadEvent>,
) -> Result<Trigger, BadEvent> {
    let is_its = |side: &Side| pair.sides[*side].alarm.as_deref() == Some(name);
    let Some(side) = Side::BOTH.into_iter().find(is_its) else {
        return Ok(ignored(format!(
            "alarm {name:?} is not an alarm of this pair"
        )));
    };
    Ok(match state {
        "ALARM" => Trigger::InputLost {
            side,
            at: time()?,
            what: format!("CloudWatch alarm {name:?}"),
            is_alarm: true,
        },
        "OK" => Trigger::InputRecovered {
            side,
            is_alarm: true,
        },
        other => ignored(format!("the alarm's state is {other:?}")),
    })
}

fn time(event: &Event) -> Result<DateTime<Utc>, BadEvent> {
    let time = event.time_text()?;
    let time = time.ok_or_else(|| BadEvent("the event has no time".to_owned()))?;
    let parsed = DateTime::parse_from_rfc3339(time);
    parsed
        .map(|time| time.to_utc())
        .map_err(|error| BadEvent(format!("the event's time {time:?} is not valid: {error}")))
}
