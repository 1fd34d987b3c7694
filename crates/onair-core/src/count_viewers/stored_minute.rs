//! The viewers of a minute as one JSON object in S3, between runs. It contains no address.

use super::audience::{Audience, Minute, StreamViewers};
use super::rules::CountingRules;
use super::viewer_set::ViewerSet;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A text that is not a stored minute of these rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stored minute: {0}")]
pub struct StoredMinuteError(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredMinute<'a> {
    version: u32,
    minute: String,
    key: String,
    #[serde(borrow = "'a")]
    streams: BTreeMap<Cow<'a, str>, StoredStream>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredStream {
    whole: ViewerSet,
    #[serde(default, skip_serializing_if = "ViewerSet::is_empty")]
    tail: ViewerSet,
}

const VERSION: u32 = 1;

/// The key of the object that stores a minute. Minutes of other rules have other keys, so that
/// only what the same rules made is merged.
pub fn object_key(minute: Minute, rules: &CountingRules) -> String {
    let text = minute.iso8601();
    let (day, time) = text.split_once('T').unwrap_or_default();
    format!(
        "viewers/{}/{day}/{}.json",
        rules.fingerprint(),
        &time.get(..5).unwrap_or_default().replace(':', "")
    )
}

/// The text that stores one minute of an audience.
pub fn serialize(audience: &Audience, minute: Minute, rules: &CountingRules) -> String {
    let streams = audience.watched_streams(minute).into_iter();
    let stored = StoredMinute {
        version: VERSION,
        minute: minute.iso8601(),
        key: rules.viewer_key.name().to_owned(),
        streams: streams
            .map(|(name, viewers)| (name.into(), StoredStream::from(viewers)))
            .collect(),
    };
    serde_json::to_string(&stored).unwrap_or_default()
}

impl From<&StreamViewers> for StoredStream {
    fn from(StreamViewers { whole, tail }: &StreamViewers) -> Self {
        Self {
            whole: whole.clone(),
            tail: tail.clone(),
        }
    }
}

/// Merges a stored minute into an audience.
///
/// # Errors
///
/// [`StoredMinuteError`]; then nothing is merged.
pub fn merge(
    audience: &mut Audience,
    minute: Minute,
    text: &str,
    rules: &CountingRules,
) -> Result<(), StoredMinuteError> {
    let stored: StoredMinute<'_> =
        serde_json::from_str(text).map_err(|error| StoredMinuteError(error.to_string()))?;
    if stored.version != VERSION || stored.minute != minute.iso8601() {
        return Err(StoredMinuteError(format!(
            "version {} of {}",
            stored.version, stored.minute
        )));
    }
    audience.add_minute(minute.start_s());
    for (name, StoredStream { whole, tail }) in stored.streams {
        audience.merge_stream(minute, &name, &StreamViewers { whole, tail }, rules);
    }
    Ok(())
}
