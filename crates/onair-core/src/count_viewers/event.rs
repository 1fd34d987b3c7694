//! Triggers: an access log in S3, or a batch of CloudWatch Logs.

use crate::event::{Event, LogBatch, ObjectCreated, OnAir, Payload};
use std::fmt;

pub use crate::event::BadEvent;

/// The access log that an event brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where the log is.
    pub source: LogSource,
    /// The event itself asks for the figures only.
    pub dry_run: bool,
}

/// Where the log is.
#[derive(Clone, PartialEq, Eq)]
pub enum LogSource {
    /// In S3.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// In the event: lines.
    Lines(Vec<u8>),
    /// Nowhere: the event is ignored.
    Ignored {
        /// Why.
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

/// Reads where the log is.
///
/// # Errors
///
/// [`BadEvent`] if the detail is not valid, and for a manual event, which brings no log.
pub fn decode(event: &Event) -> Result<Request, BadEvent> {
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
    Ok(Request { source, dry_run })
}

fn lines(messages: &[String]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(messages.iter().map(|message| message.len() + 1).sum());
    for message in messages {
        lines.extend_from_slice(message.as_bytes());
        lines.push(b'\n');
    }
    lines
}
