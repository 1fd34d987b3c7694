//! Reads structs from JSON objects only.
//!
//! serde also reads a struct from a JSON array, one field per value. With that, `"onair": []` would
//! request a real run. A rendition that is written as an array would be read, and later not found
//! when it is to be removed.

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// Reads a struct from a JSON object. For `#[serde(deserialize_with)]`, and for a whole text.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    json: D,
) -> Result<T, D::Error> {
    json.deserialize_map(Object(PhantomData))
}

/// Reads a list of structs from an array of JSON objects.
pub(crate) fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    json: D,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Item<T>>::deserialize(json)?;
    Ok(items.into_iter().map(|Item(item)| item).collect())
}

/// The text of an error without the value that serde would quote: the contents of an event must not
/// be in a log.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let wrong_kind = text.starts_with("invalid type") || text.starts_with("invalid value");
    match text.rsplit_once(", expected ") {
        Some((_, expected)) if wrong_kind => format!("expected {expected}"),
        _ => text,
    }
}

#[derive(Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
struct Item<T>(#[serde(deserialize_with = "object")] T);

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
