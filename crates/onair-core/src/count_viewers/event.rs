//! Triggers: an access log in S3, or a batch of CloudWatch Logs.

use crate::event::{Event, LogBatch, ObjectCreated, OnAir, Payload};
use std::fmt;

pub use crate::event::BadEvent;

/// A decoded event: the log to count, and whether the run is a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRequest {
    /// The log to count.
    pub source: LogSource,
    /// Whether the event requests a dry run.
    pub dry_run: bool,
}

/// The place of an access log.
#[derive(Clone, PartialEq, Eq)]
pub enum LogSource {
    /// An object in S3.
    Object {
        /// The bucket of the object.
        bucket: String,
        /// The key of the object.
        key: String,
    },
    /// The lines that the event itself contains.
    Lines(Vec<u8>),
    /// The event contains no access log.
    Ignored {
        /// The reason as a sentence.
        why: String,
    },
}

/// Without the lines: they must not be in a log.
impl fmt::Debug for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Lines(lines) => write!(f, "{} bytes of lines", lines.len()),
            Self::Ignored { why } => write!(f, "ignored: {why}"),
        }
    }
}

/// Reads which log to count.
///
/// # Errors
///
/// [`BadEvent`] if the detail is not valid, and for a manual event, which brings no log.
pub fn decode(event: &Event) -> Result<CountRequest, BadEvent> {
    let OnAir { dry_run } = event.onair()?;
    let source = match &event.payload {
        Payload::Service(service) if service.kind() == ("aws.s3", "Object Created") => {
            let ObjectCreated { bucket, object } = service.detail()?;
            LogSource::Object {
                bucket: bucket.name,
                key: object.key,
            }
        }
        Payload::Logs(LogBatch::Messages(messages)) => LogSource::Lines(lines(messages)),
        Payload::Logs(LogBatch::ReachabilityCheck) => LogSource::Ignored {
            why: "CloudWatch Logs checks that the function is reachable".to_owned(),
        },
        Payload::Service(_) | Payload::AlarmAction(_) => LogSource::Ignored {
            why: format!("{} brings no log", event.payload),
        },
        Payload::Manual => {
            return Err(BadEvent(
                "a manual event brings no log; send an event of S3 with onair beside it".to_owned(),
            ));
        }
    };
    Ok(CountRequest { source, dry_run })
}

fn lines(messages: &[String]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(messages.iter().map(|message| message.len() + 1).sum());
    for message in messages {
        lines.extend_from_slice(message.as_bytes());
        lines.push(b'\n');
    }
    lines
}
