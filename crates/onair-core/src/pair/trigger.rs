//! What tells a pair's functions to look: events of MediaLive, of CloudWatch and of the schedule,
//! and people.

use super::{Pair, Side};
use crate::event::{Sent, read, sent};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

pub use crate::event::BadEvent;

/// An event, as far as a pair is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEvent {
    /// What it says.
    pub trigger: Trigger,
    /// The event itself asks for the plan only.
    pub dry_run: bool,
    /// A person sent it.
    pub by_hand: bool,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// An alert or an alarm of a side's input began.
    InputLost {
        /// Which side's.
        side: Side,
        /// When, by the event.
        at: DateTime<Utc>,
        /// What it was, in words.
        what: String,
        /// It was a CloudWatch alarm, and not an alert of MediaLive.
        is_alarm: bool,
    },
    /// It ended.
    InputRecovered {
        /// Which side's.
        side: Side,
        /// It was a CloudWatch alarm, and not an alert of MediaLive.
        is_alarm: bool,
    },
    /// The schedule: look at everything.
    ScheduledCheck,
    /// A person names a side, and what is to be done by which function is called.
    Manual {
        /// The side.
        side: Side,
    },
    /// Something else, which is not ours to act on.
    Ignored {
        /// What it was.
        why: String,
    },
}

/// What a person can add or send alone. Unknown fields are refused: a misspelt `dry_run` must not
/// cut.
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

/// Reads an event as EventBridge sends it, or as a person does who sends the same JSON, or only
/// `{"onair": {…}}`.
///
/// # Errors
///
/// Anything that is not such an event.
pub fn decode(event: &Value, pair: &Pair) -> Result<PairEvent, BadEvent> {
    let Sent {
        source,
        detail_type,
        time: at,
        detail,
        by_hand,
        onair,
    } = sent::<OnAir>(event)?;
    if !by_hand && onair.side.is_some() {
        return Err(BadEvent(
            "onair.side stands beside an event: send {\"onair\": {\"side\": …}} alone".to_owned(),
        ));
    }
    let nothing = |why: String| Trigger::Ignored { why };
    let trigger = match (source.as_str(), detail_type.as_str()) {
        _ if by_hand => onair
            .side
            .map_or(Trigger::ScheduledCheck, |side| Trigger::Manual { side }),
        ("aws.events", "Scheduled Event") => Trigger::ScheduledCheck,
        ("aws.medialive", "MediaLive Channel Alert") => {
            let alert: AlertDetail = read("the detail of a MediaLive Channel Alert", &detail)?;
            let AlertDetail {
                alarm_state,
                alert_type,
                pipeline,
                channel_arn,
            } = &alert;
            let is_its = |side: &Side| {
                pair.sides[*side].channel_arn == *channel_arn
                    && pair.sides[*side].pipeline == *pipeline
            };
            match Side::BOTH.into_iter().find(is_its) {
                None => nothing(format!(
                    "pipeline {pipeline} of {channel_arn} is no side of this pair"
                )),
                Some(_) if !pair.alert_types.contains(alert_type) => {
                    nothing(format!("an alert {alert_type:?} is not one of ALERT_TYPES"))
                }
                Some(side) => match alarm_state.as_str() {
                    "SET" => {
                        let what = format!("MediaLive alert {alert_type:?}");
                        Trigger::InputLost {
                            side,
                            at: time(at.as_deref())?,
                            what,
                            is_alarm: false,
                        }
                    }
                    "CLEARED" => Trigger::InputRecovered {
                        side,
                        is_alarm: false,
                    },
                    other => nothing(format!("the alert's state is {other:?}")),
                },
            }
        }
        ("aws.cloudwatch", "CloudWatch Alarm State Change") => {
            let alarm: AlarmDetail =
                read("the detail of a CloudWatch Alarm State Change", &detail)?;
            let AlarmDetail { alarm_name, state } = &alarm;
            let is_its = |side: &Side| pair.sides[*side].alarm.as_ref() == Some(alarm_name);
            match (Side::BOTH.into_iter().find(is_its), state.value.as_str()) {
                (None, _) => nothing(format!("alarm {alarm_name:?} is no side's of this pair")),
                (Some(side), "ALARM") => {
                    let what = format!("CloudWatch alarm {alarm_name:?}");
                    Trigger::InputLost {
                        side,
                        at: time(at.as_deref())?,
                        what,
                        is_alarm: true,
                    }
                }
                (Some(side), "OK") => Trigger::InputRecovered {
                    side,
                    is_alarm: true,
                },
                (Some(_), other) => nothing(format!("the alarm's state is {other:?}")),
            }
        }
        (source, kind) => nothing(format!(
            "an event {kind:?} of {source:?} says nothing of a pair"
        )),
    };
    Ok(PairEvent {
        trigger,
        dry_run: onair.dry_run,
        by_hand,
    })
}

fn time(time: Option<&str>) -> Result<DateTime<Utc>, BadEvent> {
    let time = time.ok_or_else(|| BadEvent("the event has no time".to_owned()))?;
    let parsed = DateTime::parse_from_rfc3339(time);
    parsed
        .map(|time| time.to_utc())
        .map_err(|error| BadEvent(format!("the event's time {time:?}: {error}")))
}
