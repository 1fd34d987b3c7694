//! What brings access logs: an object in S3, or a batch of CloudWatch Logs.

use crate::event::{Envelope, ObjectCreated, read};
use crate::json::object;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::io::Read;

pub use crate::event::BadEvent;

/// Where the log is.
#[derive(Clone, PartialEq, Eq)]
pub enum LogSource {
    /// In S3.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The event itself asks for the figures only.
        dry_run: bool,
    },
    /// In the event: lines.
    Lines(Vec<u8>),
    /// Nowhere.
    Ignored {
        /// What the event says instead.
        why: String,
    },
}

/// Never the lines themselves.
impl fmt::Debug for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object {
                bucket,
                key,
                dry_run,
            } => write!(f, "s3://{bucket}/{key} dry_run {dry_run}"),
            Self::Lines(lines) => write!(f, "{} bytes of lines", lines.len()),
            Self::Ignored { why } => write!(f, "ignored: {why}"),
        }
    }
}

/// CloudWatch Logs sends at most 1 MB at a time, unpacked (Lambda's own limit of an event is 6 MB,
/// and it is packed).
pub const MAX_BATCH_BYTES: u64 = 64 << 20;

/// CloudWatch Logs User Guide, "Subscription filters with AWS Lambda".
#[derive(Deserialize)]
struct Subscription {
    #[serde(deserialize_with = "object")]
    awslogs: Packed,
}

#[derive(Deserialize)]
struct Packed {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    message_type: String,
    #[serde(default)]
    log_events: Vec<LogEvent>,
}

#[derive(Deserialize)]
struct LogEvent {
    message: String,
}

/// Reads an event of EventBridge, or of a subscription of CloudWatch Logs.
///
/// # Errors
///
/// [`BadEvent`], for anything else.
pub fn decode(event: &Value) -> Result<LogSource, BadEvent> {
    if event.get("awslogs").is_some() {
        return batch(
            &read::<Subscription>("an event of CloudWatch Logs", event)?
                .awslogs
                .data,
        );
    }
    let Envelope {
        source,
        detail_type,
        detail,
        onair,
    } = read("an EventBridge event", event)?;
    if (source.as_str(), detail_type.as_str()) != ("aws.s3", "Object Created") {
        return Ok(LogSource::Ignored {
            why: format!("an event {detail_type:?} of {source:?} brings no log"),
        });
    }
    let ObjectCreated { bucket, object } =
        read("the detail of an S3 Object Created event", &detail)?;
    Ok(LogSource::Object {
        bucket: bucket.name,
        key: object.key,
        dry_run: onair.dry_run,
    })
}

/// base64 of gzip of JSON.
fn batch(data: &str) -> Result<LogSource, BadEvent> {
    let bad = |problem: String| BadEvent(format!("the batch of CloudWatch Logs {problem}"));
    let packed = BASE64
        .decode(data)
        .map_err(|error| bad(format!("is no base64: {error}")))?;
    let mut json = Vec::new();
    let read = GzDecoder::new(packed.as_slice())
        .take(MAX_BATCH_BYTES + 1)
        .read_to_end(&mut json);
    read.map_err(|error| bad(format!("is no gzip: {error}")))?;
    if u64::try_from(json.len()).map_or(true, |size| size > MAX_BATCH_BYTES) {
        return Err(bad(format!(
            "has more than {MAX_BATCH_BYTES} bytes unpacked"
        )));
    }
    // serde would quote what is in it.
    let batch: Batch = object(&mut serde_json::Deserializer::from_slice(&json))
        .map_err(|_| bad("is not what CloudWatch Logs sends".to_owned()))?;
    match batch.message_type.as_str() {
        "DATA_MESSAGE" => {
            let mut lines = Vec::with_capacity(json.len());
            for LogEvent { message } in batch.log_events {
                lines.extend_from_slice(message.as_bytes());
                lines.push(b'\n');
            }
            Ok(LogSource::Lines(lines))
        }
        // "to check whether the destination is reachable"
        "CONTROL_MESSAGE" => Ok(LogSource::Ignored {
            why: "CloudWatch Logs asks whether anybody is there".to_owned(),
        }),
        _ => Err(bad("has an unknown messageType".to_owned())),
    }
}
