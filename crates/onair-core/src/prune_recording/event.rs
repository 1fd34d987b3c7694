//! Decodes the events of IVS and S3 that report the end of a recording.

use super::ENDED;
use crate::event::{Event, ObjectCreated, OnAir, Payload, ServiceEvent};
use serde::Deserialize;

pub use crate::event::BadEvent;

/// A decoded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingTrigger {
    /// A recording has ended.
    RecordingEnded(PruneRequest),
    /// The event does not report the end of a recording.
    Ignored {
        /// The reason as a sentence.
        why: String,
    },
}

/// One recording to prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneRequest {
    /// The bucket that contains the recording.
    pub bucket: String,
    /// The prefix of the recording's keys.
    pub prefix: RecordingPrefix,
    /// Whether the event requests a dry run.
    pub dry_run: bool,
}

/// The key prefix of one recording: a relative path without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingPrefix(String);

impl RecordingPrefix {
    /// Checks the form of a prefix. Only S3 can show whether a recording has this prefix.
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

    /// The key of a file in the recording. `path` is relative to the prefix.
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

/// Decodes which recording has ended.
///
/// # Errors
///
/// [`BadEvent`] if the detail is not valid or names no usable recording, and for a manual event,
/// which names none.
pub fn decode(event: &Event) -> Result<RecordingTrigger, BadEvent> {
    let OnAir { dry_run } = event.onair()?;
    match &event.payload {
        Payload::Service(service) => match service.kind() {
            ("aws.ivs", "IVS Recording State Change") => recording_state(service, dry_run),
            ("aws.s3", "Object Created") => object_created(service, dry_run),
            _ => not_an_end(&event.payload),
        },
        Payload::AlarmAction(_) | Payload::Logs(_) => not_an_end(&event.payload),
        Payload::Manual => Err(BadEvent(
            "a manual event names no recording; send an event of IVS or S3 with onair beside it"
                .to_owned(),
        )),
    }
}

fn not_an_end(payload: &Payload) -> Result<RecordingTrigger, BadEvent> {
    ignored(format!("{payload} does not end a recording"))
}

fn ignored(why: String) -> Result<RecordingTrigger, BadEvent> {
    Ok(RecordingTrigger::Ignored { why })
}

fn recording_state(event: &ServiceEvent, dry_run: bool) -> Result<RecordingTrigger, BadEvent> {
    let detail: IvsDetail = event.detail()?;
    if detail.recording_status != "Recording End" {
        let status = detail.recording_status;
        return ignored(format!("the recording state is {status:?}"));
    }
    let missing = |name: &str| BadEvent(format!("the event's detail has no {name}"));
    let bucket = detail.recording_s3_bucket_name;
    let prefix = detail.recording_s3_key_prefix;
    ended(
        bucket.ok_or_else(|| missing("recording_s3_bucket_name"))?,
        &prefix.ok_or_else(|| missing("recording_s3_key_prefix"))?,
        dry_run,
    )
}

fn object_created(event: &ServiceEvent, dry_run: bool) -> Result<RecordingTrigger, BadEvent> {
    let ObjectCreated { bucket, object } = event.detail()?;
    match recording_of(&object.key) {
        Some(prefix) => ended(bucket.name, prefix, dry_run),
        None => ignored(format!("the object's key does not end in {ENDED}")),
    }
}

fn ended(bucket: String, prefix: &str, dry_run: bool) -> Result<RecordingTrigger, BadEvent> {
    Ok(RecordingTrigger::RecordingEnded(PruneRequest {
        bucket,
        prefix: RecordingPrefix::parse(prefix)?,
        dry_run,
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
    use serde_json::{Value, json};

    fn event(source: &str, detail_type: &str, detail: Value) -> Event {
        let service = ServiceEvent {
            source: source.to_owned(),
            detail_type: detail_type.to_owned(),
            detail,
        };
        Event {
            payload: Payload::Service(service),
            onair: None,
            time: None,
        }
    }

    fn recording_state(detail: Value) -> Event {
        event("aws.ivs", "IVS Recording State Change", detail)
    }

    fn recording_end(prefix: &str) -> Event {
        recording_state(
            json!({"recording_status": "Recording End", "recording_s3_bucket_name": "recordings",
            "recording_s3_key_prefix": prefix}),
        )
    }

    fn object_created(key: &str) -> Event {
        let detail = json!({"bucket": {"name": "recordings"}, "object": {"key": key}});
        event("aws.s3", "Object Created", detail)
    }

    fn refusal(event: &Event) -> String {
        decode(event).unwrap_err().to_string()
    }

    #[test]
    fn both_triggers_name_the_same_recording() {
        let prefix = "ivs/v1/123456789012/AbCdef1G2hij/2020/6/23/20/12/j8Z9O91ndcVs";
        let by_ivs = decode(&recording_end(prefix)).unwrap();
        let by_s3 = decode(&object_created(&format!("{prefix}/{ENDED}")));
        assert_eq!(by_ivs, by_s3.unwrap());
        let RecordingTrigger::RecordingEnded(request) = by_ivs else {
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
            assert!(
                refusal(&recording_end(prefix)).contains("key prefix"),
                "{prefix:?}"
            );
        }
        let whole_bucket = object_created(ENDED);
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
            let mut event = recording_end("ivs/v1/a");
            event.onair = Some(onair);
            assert!(refusal(&event).starts_with("onair: "));
        }
    }

    #[test]
    fn junk_says_what_is_missing() {
        let list = recording_state(json!(["Recording End", "recordings", "ivs/v1/a"]));
        insta::assert_snapshot!(refusal(&list), @r#"the detail of the event "IVS Recording State Change" is not valid: expected a JSON object"#);
        let no_bucket = recording_state(json!({"recording_status": "Recording End"}));
        insta::assert_snapshot!(refusal(&no_bucket), @"the event's detail has no recording_s3_bucket_name");
    }
}
