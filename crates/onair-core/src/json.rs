//! JSON objects and nothing else where objects are meant.
//!
//! serde takes a list for a struct, too, value by value: `"onair": []` would be a wish for a real
//! run, and a rendition written as a list would be read and then not found when it is to be
//! removed.

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// For `#[serde(deserialize_with)]`, and for a whole text.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    json: D,
) -> Result<T, D::Error> {
    json.deserialize_map(Object(PhantomData))
}

/// The same for a list of them.
pub(crate) fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    json: D,
) -> Result<Vec<T>, D::Error> {
    let all = Vec::<One<T>>::deserialize(json)?;
    Ok(all.into_iter().map(|One(one)| one).collect())
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
struct One<T>(#[serde(deserialize_with = "object")] T);

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
