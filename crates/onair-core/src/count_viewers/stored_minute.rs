//! What is kept of a minute between runs: one object in S3, a JSON text. No address is in it.

use super::CountingRules;
use super::audience::{Audience, Minute, StreamViewers};
use super::viewer_set::ViewerSet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A minute's text that was not written by these rules, or not by us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not what is kept of a minute: {0}")]
pub struct StoredMinuteError(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredMinute<'a> {
    version: u32,
    minute: String,
    key: String,
    #[serde(borrow = "'a")]
    streams: BTreeMap<std::borrow::Cow<'a, str>, StoredStream>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredStream {
    whole: ViewerSet,
    #[serde(default, skip_serializing_if = "ViewerSet::is_empty")]
    tail: ViewerSet,
}

const VERSION: u32 = 1;

/// Where a minute is kept. Other rules keep theirs elsewhere, so that nothing is merged that does
/// not belong together.
pub fn key(minute: Minute, rules: &CountingRules) -> String {
    let text = minute.text();
    let (day, time) = text.split_once('T').unwrap_or_default();
    format!(
        "viewers/{}/{day}/{}.json",
        rules.fingerprint(),
        &time.get(..5).unwrap_or_default().replace(':', "")
    )
}

/// What is to be kept of a minute.
pub fn write(audience: &Audience, minute: Minute, rules: &CountingRules) -> String {
    let stream = |present: &StreamViewers| StoredStream {
        whole: present.whole.clone(),
        tail: present.tail.clone(),
    };
    let streams = audience.streams(minute);
    let stored = StoredMinute {
        version: VERSION,
        minute: minute.text(),
        key: rules.viewer_key.name().to_owned(),
        streams: streams
            .into_iter()
            .map(|(name, present)| (name.into(), stream(present)))
            .collect(),
    };
    serde_json::to_string(&stored).unwrap_or_default()
}

/// Adds what was kept of a minute.
///
/// # Errors
///
/// [`StoredMinuteError`], and then nothing is merged.
pub fn read(
    audience: &mut Audience,
    minute: Minute,
    text: &str,
    rules: &CountingRules,
) -> Result<(), StoredMinuteError> {
    let stored: StoredMinute<'_> =
        serde_json::from_str(text).map_err(|error| StoredMinuteError(error.to_string()))?;
    if stored.version != VERSION || stored.minute != minute.text() {
        return Err(StoredMinuteError(format!(
            "version {} of {}",
            stored.version, stored.minute
        )));
    }
    audience.minute(minute.begins_s());
    for (name, StoredStream { whole, tail }) in stored.streams {
        audience.merge(minute, &name, &StreamViewers { whole, tail }, rules);
    }
    Ok(())
}
