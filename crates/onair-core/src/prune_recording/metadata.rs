//! `recording-started.json` and `recording-ended.json`.
//!
//! Source of the fields: IVS Low-Latency User Guide, "Auto-Record to Amazon S3", "JSON Metadata
//! Files". Only the fields of these types are read. An edit keeps all others.

use crate::json::{object, objects};
use serde::Deserialize;
use serde_json::Value;

/// The fields of a metadata file that On Air reads.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordingMetadata {
    /// `RECORDING_STARTED`, `RECORDING_ENDED` or `RECORDING_ENDED_WITH_FAILURE`.
    pub recording_status: String,
    /// The object that describes the recorded files.
    #[serde(deserialize_with = "object")]
    pub media: Media,
}

/// The object `media` of a metadata file.
#[derive(Debug, Clone, Deserialize)]
pub struct Media {
    /// The HLS output. IVS records no other format.
    #[serde(deserialize_with = "object")]
    pub hls: Hls,
}

/// The object `media.hls` of a metadata file.
#[derive(Debug, Clone, Deserialize)]
pub struct Hls {
    /// The folder of the entry playlists, relative to the recording's prefix.
    pub path: String,
    /// The entry playlist's file name.
    pub playlist: String,
    /// The file name of the entry playlist with byte ranges, if the recording has one.
    pub byte_range_playlist: Option<String>,
    /// The renditions. IVS does not document their order.
    #[serde(deserialize_with = "objects")]
    pub renditions: Vec<RenditionMetadata>,
}

/// An entry of the list `media.hls.renditions`.
#[derive(Debug, Clone, Deserialize)]
pub struct RenditionMetadata {
    /// The rendition's folder, relative to `media.hls.path`.
    pub path: String,
    /// The height in pixels, if the rendition has a video track.
    pub resolution_height: Option<u64>,
}

/// Parses a metadata file.
///
/// # Errors
///
/// If the text is not JSON, or a field is missing or has another type.
pub fn parse(text: &str) -> Result<RecordingMetadata, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let metadata = object(&mut json)?;
    json.end()?;
    Ok(metadata)
}

/// The file without the renditions for which `drop` returns true and, if `drop_thumbnails` is set,
/// without the thumbnail fields. Keeps unknown fields and their order. `None` if the file has
/// nothing to remove.
///
/// # Errors
///
/// If the text is not JSON, or has a number that is out of range.
pub fn without(
    text: &str,
    drop: impl Fn(&str) -> bool,
    drop_thumbnails: bool,
) -> Result<Option<String>, serde_json::Error> {
    let original: Value = serde_json::from_str(text)?;
    let mut edited = original.clone();
    if let Some(Value::Array(renditions)) = edited.pointer_mut("/media/hls/renditions") {
        renditions.retain(|rendition| !rendition["path"].as_str().is_some_and(&drop));
    }
    if drop_thumbnails && let Some(Value::Object(media)) = edited.get_mut("media") {
        // Unlike `remove`, `shift_remove` keeps the order of the other fields.
        media.shift_remove("thumbnails");
        media.shift_remove("latest_thumbnail");
    }
    Ok((edited != original).then(|| edited.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_their_order_stay() {
        let text = r#"{"z":1.50,"version":"v1","media":{"thumbnails":{"path":"t"},"hls":{"new":[1,{"b":0,"a":1}],"renditions":[{"path":"720p30","x":true},{"path":"160p30"}],"path":"media/hls"},"future":null},"a":"é\n"}"#;
        let edited = without(text, |name| name == "160p30", false)
            .unwrap()
            .unwrap();
        insta::assert_snapshot!(edited, @r#"{"z":1.5,"version":"v1","media":{"thumbnails":{"path":"t"},"hls":{"new":[1,{"b":0,"a":1}],"renditions":[{"path":"720p30","x":true}],"path":"media/hls"},"future":null},"a":"é\n"}"#);
        let edited = without(text, |_| false, true).unwrap().unwrap();
        assert!(!edited.contains("thumbnails") && edited.contains(r#""future":null"#));
        assert_eq!(without(text, |name| name == "480p30", false).unwrap(), None);
    }
}
