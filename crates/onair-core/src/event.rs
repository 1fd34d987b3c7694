//! An event, decoded: the payload, and the field `onair` that a person adds.
//!
//! `onair-lambda` decodes it from the JSON that Lambda passes on. Each vertical reads the parts
//! that it needs.

use crate::json::{object, problem};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// An event that the function cannot act on. The rule or the person that sent it must correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadEvent(pub String);

impl BadEvent {
    /// The event, or a part of it, is not `expected`. The values of the event are not quoted: they
    /// must not be in a log.
    pub fn not(expected: &str, error: &serde_json::Error) -> Self {
        Self(format!("the event is not {expected}: {}", problem(error)))
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The decoded report of AWS, or the sign of a manual event.
    pub payload: Payload,
    /// The field `onair` as it was sent. Only a person adds it.
    pub onair: Option<Value>,
    /// The field `time` of a service's event or of a manual one, unchecked: some functions do not
    /// need it.
    pub time: Option<Value>,
}

/// The payload of an event, by the form in which AWS sends it.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// An event of a service or of a schedule, which EventBridge delivers.
    Service(ServiceEvent),
    /// A CloudWatch alarm whose action is this function.
    AlarmAction(AlarmAction),
    /// A batch of a CloudWatch Logs subscription.
    Logs(LogBatch),
    /// Nothing: a person sent `onair` alone.
    Manual,
}

/// An event of a service in the envelope of EventBridge.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceEvent {
    /// The service, for example `aws.s3`.
    pub source: String,
    /// The kind of event, for example `Object Created`.
    pub detail_type: String,
    /// The detail that the service reports.
    pub detail: Value,
}

/// The new state of a CloudWatch alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmAction {
    /// The alarm's name.
    pub alarm_name: String,
    /// `ALARM`, `OK` or `INSUFFICIENT_DATA`.
    pub state: String,
    /// When the state changed.
    pub time: DateTime<Utc>,
}

/// A message of CloudWatch Logs to a subscriber.
#[derive(Clone, PartialEq, Eq)]
pub enum LogBatch {
    /// The messages of log events.
    Messages(Vec<String>),
    /// A check that the subscriber is reachable.
    ReachabilityCheck,
}

/// Without the messages: they must not be in a log.
impl fmt::Debug for LogBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(messages) => write!(f, "{} messages", messages.len()),
            Self::ReachabilityCheck => f.write_str("ReachabilityCheck"),
        }
    }
}

impl Event {
    /// Reads the field `onair`. If it is absent, all of its fields have their defaults.
    ///
    /// `T` must refuse unknown fields: a misspelt `dry_run` must not act.
    pub(crate) fn onair<T: DeserializeOwned + Default>(&self) -> Result<T, BadEvent> {
        let onair = self.onair.as_ref().map(object::<T, _>).transpose();
        let onair = onair.map_err(|error| BadEvent(format!("onair: {}", problem(&error))))?;
        Ok(onair.unwrap_or_default())
    }

    /// The time as a text, which is not parsed: only a lost input needs the time.
    pub(crate) fn time_text(&self) -> Result<Option<&str>, BadEvent> {
        match &self.time {
            None => Ok(None),
            Some(Value::String(time)) => Ok(Some(time)),
            Some(_) => Err(BadEvent("the event's time is not a string".to_owned())),
        }
    }

    /// Whether a person sent `onair` alone.
    ///
    /// # Errors
    ///
    /// `onair` names a `target` beside an event, which may contradict it, or the time is not a
    /// string.
    pub(crate) fn is_manual(&self, target: &str, has_target: bool) -> Result<bool, BadEvent> {
        let is_manual = self.payload == Payload::Manual;
        if has_target && !is_manual {
            return Err(BadEvent(format!(
                "onair.{target} must not be beside an event: send \
                 {{\"onair\": {{\"{target}\": …}}}} alone"
            )));
        }
        self.time_text()?;
        Ok(is_manual)
    }
}

/// For the reason why a function ignores an event.
impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(event) => {
                write!(f, "an event {:?} of {:?}", event.detail_type, event.source)
            }
            Self::AlarmAction(alarm) => write!(f, "the alarm {:?}", alarm.alarm_name),
            Self::Logs(_) => f.write_str("a batch of CloudWatch Logs"),
            Self::Manual => f.write_str("a manual event"),
        }
    }
}

impl ServiceEvent {
    /// Source and kind, which together name the form of the detail.
    pub(crate) fn kind(&self) -> (&str, &str) {
        (&self.source, &self.detail_type)
    }

    /// Reads the detail in the form of this kind of event.
    pub(crate) fn detail<'a, T: Deserialize<'a>>(&'a self) -> Result<T, BadEvent> {
        object(&self.detail).map_err(|error| {
            let (kind, problem) = (&self.detail_type, problem(&error));
            BadEvent(format!(
                "the detail of the event {kind:?} is not valid: {problem}"
            ))
        })
    }
}

/// The field `onair` of a function with which a person can request a dry run.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnAir {
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// `Object Created` (S3 User Guide, "EventBridge event message structure").
#[derive(Deserialize)]
pub(crate) struct ObjectCreated {
    #[serde(deserialize_with = "object")]
    pub(crate) bucket: Bucket,
    #[serde(deserialize_with = "object")]
    pub(crate) object: Object,
}

#[derive(Deserialize)]
pub(crate) struct Bucket {
    pub(crate) name: String,
}

#[derive(Deserialize)]
pub(crate) struct Object {
    pub(crate) key: String,
}
