//! What events have in common, whatever they tell of: their envelope, and what a person can add to
//! it or send alone.

use crate::json::{object, problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An event that cannot be acted on: it is not what the rule that sent it should send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadEvent(pub String);

/// An event of a service, perhaps sent again by a person. The few fields that are read; everything
/// else of the envelope is EventBridge's own business.
#[derive(Deserialize)]
pub(crate) struct Envelope {
    pub(crate) source: String,
    #[serde(rename = "detail-type")]
    pub(crate) detail_type: String,
    pub(crate) detail: Value,
    #[serde(default, deserialize_with = "object")]
    pub(crate) onair: OnAir,
}

/// What a manual invoke can add. Unknown fields are refused: a misspelt `dry_run` must not delete.
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

/// Reads `what` an event, or a part of it, should be.
pub(crate) fn read<'a, T: Deserialize<'a>>(what: &str, value: &'a Value) -> Result<T, BadEvent> {
    object(value).map_err(|error| BadEvent(format!("the event is not {what}: {}", problem(&error))))
}

/// An event of a service, or what a person sends alone: only `{"onair": {…}}`.
pub(crate) struct Sent<O> {
    pub(crate) source: String,
    pub(crate) detail_type: String,
    pub(crate) time: Option<String>,
    pub(crate) detail: Value,
    /// Nothing but what a person can say.
    pub(crate) by_hand: bool,
    pub(crate) onair: O,
}

/// Reads an event of which a person can send a part alone. What `O` does not know of `onair` it
/// should refuse.
pub(crate) fn sent<O: DeserializeOwned + Default>(event: &Value) -> Result<Sent<O>, BadEvent> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        source: String,
        #[serde(rename = "detail-type", default)]
        detail_type: String,
        time: Option<String>,
        #[serde(default)]
        detail: Value,
        onair: Option<Value>,
    }
    let Envelope {
        source,
        detail_type,
        time,
        detail,
        onair,
    } = object(event).map_err(|error| BadEvent(format!("not an event: {}", problem(&error))))?;
    let by_hand = source.is_empty() && detail_type.is_empty();
    if by_hand && onair.is_none() {
        return Err(BadEvent(
            "the event has neither source and detail-type, as EventBridge sends them, nor onair, as a person does".to_owned(),
        ));
    }
    let onair = onair.map(object::<O, _>).transpose();
    let onair = onair
        .map_err(|error| BadEvent(format!("onair: {}", problem(&error))))?
        .unwrap_or_default();
    Ok(Sent {
        source,
        detail_type,
        time,
        detail,
        by_hand,
        onair,
    })
}
