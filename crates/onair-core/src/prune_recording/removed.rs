//! The list of removed renditions, stored in the user metadata of `recording-ended.json`.
//!
//! A run needs the list for two reasons. `DELETE_RENDITIONS=lowest` must name the same rendition in
//! a second run. And a folder that no playlist names any more may be a rendition to delete, or may
//! belong to someone else.
//!
//! The other sources do not show this. Playlists and metadata name only the remaining renditions,
//! and `recording-started.json` can differ from the renditions that were recorded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The name of the user metadata (`x-amz-meta-onair-removed`).
pub const REMOVED: &str = "onair-removed";

/// The longest value, in bytes. S3 stores at most 2 KB of user metadata for an object, and the
/// object may have other user metadata.
pub const MAX_BYTES: usize = 1_500;

/// The characters of a name that are not encoded. User metadata is ASCII, and a name must not
/// contain the separators of the list.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A rendition that was removed, with the height that a rule compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedRendition {
    /// The rendition's folder under `media/hls/`.
    pub name: String,
    /// The height in pixels.
    pub height: Option<u64>,
}

/// Formats the list, for example as `160p30:160,audio:`.
pub fn write(removed: &[RemovedRendition]) -> String {
    let part = |RemovedRendition { name, height }: &RemovedRendition| {
        let height = height.map(|height| height.to_string()).unwrap_or_default();
        format!("{}:{height}", utf8_percent_encode(name, NAME))
    };
    removed.iter().map(part).collect::<Vec<_>>().join(",")
}

/// Parses the list. `None` if the value is not a list that [`write()`] formats.
pub fn read(value: &str) -> Option<Vec<RemovedRendition>> {
    let part = |part: &str| {
        let (name, height) = part.split_once(':')?;
        let name = percent_decode_str(name).decode_utf8().ok()?.into_owned();
        let height = if height.is_empty() {
            None
        } else {
            Some(height.parse().ok()?)
        };
        Some(RemovedRendition { name, height })
    };
    if value.is_empty() {
        Some(Vec::new())
    } else {
        value.split(',').map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_ascii_and_is_read_as_it_was_written() {
        let removed = |name: &str, height| RemovedRendition {
            name: name.to_owned(),
            height,
        };
        let all = vec![removed("160p30", Some(160)), removed("grün, a:b", None)];
        let value = write(&all);
        insta::assert_snapshot!(value, @"160p30:160,gr%C3%BCn%2C%20a%3Ab:");
        assert_eq!(read(&value), Some(all));
        assert_eq!(read(""), Some(Vec::new()));
        for junk in ["x", "a:b", "a:1:2", "a:1,", "%ff:1"] {
            assert_eq!(read(junk), None, "{junk}");
        }
    }
}
