//! What is kept of a minute between runs: one object in S3, a JSON text. No address is in it.

use super::Rules;
use super::audience::{Audience, Minute, Present};
use super::viewers::Viewers;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A minute's text that was not written by these rules, or not by us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not what is kept of a minute: {0}")]
pub struct NotAMinute(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    version: u32,
    minute: String,
    key: String,
    #[serde(borrow = "'a")]
    streams: BTreeMap<std::borrow::Cow<'a, str>, Stream>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    whole: Viewers,
    #[serde(default, skip_serializing_if = "Viewers::is_empty")]
    tail: Viewers,
}

const VERSION: u32 = 1;

/// Where a minute is kept. Other rules keep theirs elsewhere, so that nothing is merged that does
/// not belong together.
pub fn key(minute: Minute, rules: &Rules) -> String {
    let text = minute.text();
    let (day, time) = text.split_once('T').unwrap_or_default();
    format!(
        "viewers/{}/{day}/{}.json",
        rules.fingerprint(),
        &time.get(..5).unwrap_or_default().replace(':', "")
    )
}

/// What is to be kept of a minute.
pub fn write(audience: &Audience, minute: Minute, rules: &Rules) -> String {
    let stream = |present: &Present| Stream {
        whole: present.whole.clone(),
        tail: present.tail.clone(),
    };
    let streams = audience.streams(minute);
    let document = Document {
        version: VERSION,
        minute: minute.text(),
        key: rules.keying.name().to_owned(),
        streams: streams
            .into_iter()
            .map(|(name, present)| (name.into(), stream(present)))
            .collect(),
    };
    serde_json::to_string(&document).unwrap_or_default()
}

/// Adds what was kept of a minute.
///
/// # Errors
///
/// [`NotAMinute`], and then nothing is merged.
pub fn read(
    audience: &mut Audience,
    minute: Minute,
    text: &str,
    rules: &Rules,
) -> Result<(), NotAMinute> {
    let document: Document<'_> =
        serde_json::from_str(text).map_err(|error| NotAMinute(error.to_string()))?;
    if document.version != VERSION || document.minute != minute.text() {
        return Err(NotAMinute(format!(
            "version {} of {}",
            document.version, document.minute
        )));
    }
    audience.minute(minute.begins_s());
    for (name, Stream { whole, tail }) in document.streams {
        audience.merge(minute, &name, &Present { whole, tail }, rules);
    }
    Ok(())
}
