//! Triggers: EventBridge events of IVS and of S3, and the same JSON sent by hand.

use super::ENDED;
use crate::event::{Envelope, ObjectCreated, read};
use serde::Deserialize;
use serde_json::Value;

pub use crate::event::BadEvent;

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A recording has ended.
    RecordingEnded(Request),
    /// Something else happened, which is not ours to act on.
    Ignored {
        /// What it was.
        why: String,
    },
}

/// One recording to prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The bucket that the recording lies in.
    pub bucket: String,
    /// Where in the bucket.
    pub prefix: RecordingPrefix,
    /// The event itself asks for the plan only.
    pub dry_run: bool,
}

/// The key prefix of one recording, without a slash at its end: a relative path of plain parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingPrefix(String);

impl RecordingPrefix {
    /// Checks a prefix from an event. Whether a recording lies there only S3 can tell.
    ///
    /// # Errors
    ///
    /// An empty or absolute prefix, one with an empty part, `.`, `..` or a control character.
    pub fn parse(prefix: &str) -> Result<Self, BadEvent> {
        let refuse = |problem| {
            Err(BadEvent(format!(
                "the recording's key prefix {prefix:?} {problem}"
            )))
        };
        if prefix.is_empty() {
            return refuse("is empty: it would mean the whole bucket");
        }
        if prefix.starts_with('/') {
            return refuse("is absolute: keys of a recording start without a slash");
        }
        if prefix.chars().any(char::is_control) {
            return refuse("contains a control character");
        }
        if prefix
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
        {
            return refuse("has an empty, `.` or `..` part, or ends in a slash");
        }
        Ok(Self(prefix.to_owned()))
    }

    /// The key of something in the recording, `path` being relative to the prefix.
    pub fn key(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }
}

impl std::fmt::Display for RecordingPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// `IVS Recording State Change` (IVS Low-Latency User Guide, "Using Amazon EventBridge").
#[derive(Deserialize)]
struct IvsDetail {
    recording_status: String,
    recording_s3_bucket_name: Option<String>,
    recording_s3_key_prefix: Option<String>,
}

/// Reads an event as EventBridge sends it, or as a person does who sends the same JSON.
///
/// # Errors
///
/// Anything that is not such an event, or names no usable recording.
pub fn decode(event: &Value) -> Result<Trigger, BadEvent> {
    let Envelope {
        source,
        detail_type,
        detail,
        onair,
    } = read("an EventBridge event", event)?;
    let ignored = |why: String| Ok(Trigger::Ignored { why });
    let (bucket, prefix) = match (source.as_str(), detail_type.as_str()) {
        ("aws.ivs", "IVS Recording State Change") => {
            let detail: IvsDetail = read("the detail of an IVS Recording State Change", &detail)?;
            if detail.recording_status != "Recording End" {
                return ignored(format!(
                    "the recording state is {:?}",
                    detail.recording_status
                ));
            }
            let field = |name: &str, value: Option<String>| {
                value.ok_or_else(|| BadEvent(format!("the event's detail has no {name}")))
            };
            let bucket = field("recording_s3_bucket_name", detail.recording_s3_bucket_name)?;
            (
                bucket,
                field("recording_s3_key_prefix", detail.recording_s3_key_prefix)?,
            )
        }
        ("aws.s3", "Object Created") => {
            let ObjectCreated { bucket, object } =
                read("the detail of an S3 Object Created event", &detail)?;
            let Some(prefix) = recording_of(&object.key) else {
                return ignored(format!("the object's key does not end in {ENDED}"));
            };
            (bucket.name, prefix.to_owned())
        }
        _ => {
            return ignored(format!(
                "an event {detail_type:?} of {source:?} does not end a recording"
            ));
        }
    };
    let prefix = RecordingPrefix::parse(&prefix)?;
    Ok(Trigger::RecordingEnded(Request {
        bucket,
        prefix,
        dry_run: onair.dry_run,
    }))
}

/// The recording whose [`ENDED`] metadata has this key.
fn recording_of(key: &str) -> Option<&str> {
    let rest = key.strip_suffix(ENDED)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_suffix('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ivs(prefix: &str) -> Value {
        json!({"source": "aws.ivs", "detail-type": "IVS Recording State Change", "detail": {
            "recording_status": "Recording End", "recording_s3_bucket_name": "recordings",
            "recording_s3_key_prefix": prefix}})
    }

    fn refusal(event: &Value) -> String {
        decode(event).unwrap_err().to_string()
    }

    #[test]
    fn the_three_ways_to_trigger_name_the_same_recording() {
        let prefix = "ivs/v1/123456789012/AbCdef1G2hij/2020/6/23/20/12/j8Z9O91ndcVs";
        let by_ivs = decode(&ivs(prefix)).unwrap();
        let by_s3 = decode(
            &json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {
            "bucket": {"name": "recordings"}, "object": {"key": format!("{prefix}/events/recording-ended.json")}}}),
        );
        assert_eq!(by_ivs, by_s3.unwrap());
        let Trigger::RecordingEnded(request) = by_ivs else {
            panic!("not a recording")
        };
        assert_eq!(request.prefix.key(ENDED), format!("{prefix}/{ENDED}"));
    }

    #[test]
    fn a_prefix_that_could_reach_beyond_one_recording_is_refused() {
        for prefix in [
            "",
            "/",
            "/ivs/v1",
            "ivs/v1/",
            "ivs//v1",
            "ivs/../v1",
            "..",
            ".",
            "ivs/./v1",
            "a\nb",
        ] {
            assert!(refusal(&ivs(prefix)).contains("key prefix"), "{prefix:?}");
        }
        let whole_bucket = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {
            "bucket": {"name": "recordings"}, "object": {"key": "events/recording-ended.json"}}});
        assert!(refusal(&whole_bucket).contains("is empty"));
    }

    #[test]
    fn a_dry_run_that_is_misspelt_is_refused_and_never_taken_for_a_real_one() {
        for onair in [
            json!({"dryrun": true}),
            json!({"dry_run": "true"}),
            json!({"dry_run": 1}),
            json!(true),
            json!(null),
            json!([]),
            json!([true]),
        ] {
            let mut event = ivs("ivs/v1/a");
            event["onair"] = onair;
            assert!(refusal(&event).contains("not an EventBridge event"));
        }
    }

    #[test]
    fn junk_says_what_is_missing() {
        insta::assert_snapshot!(refusal(&json!(7)), @"the event is not an EventBridge event: something in it should be a JSON object");
        insta::assert_snapshot!(refusal(&json!({})), @"the event is not an EventBridge event: missing field `source`");
        insta::assert_snapshot!(refusal(&json!(["aws.ivs", "IVS Recording State Change", {}, {}])), @"the event is not an EventBridge event: something in it should be a JSON object");
        let mut event = ivs("ivs/v1/a");
        event["detail"] = json!(["Recording End", "recordings", "ivs/v1/a"]);
        insta::assert_snapshot!(refusal(&event), @"the event is not the detail of an IVS Recording State Change: something in it should be a JSON object");
        event = ivs("ivs/v1/a");
        event["detail"]["recording_s3_bucket_name"] = Value::Null;
        insta::assert_snapshot!(refusal(&event), @"the event's detail has no recording_s3_bucket_name");
    }
}
