//! What earlier runs removed, remembered in the user metadata of `recording-ended.json`.
//!
//! `DELETE_RENDITIONS=lowest` must name the same rendition when it is read a second time, and a
//! folder that nothing names any more must be told from a stranger's. Playlists and metadata name
//! only what is left, and `recording-started.json` may differ from what came, so the run that
//! removes something writes it down.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The key of the user metadata (`x-amz-meta-onair-removed`).
pub const REMOVED: &str = "onair-removed";

/// Longest value, in bytes. S3 takes 2 KB of user metadata for an object, and others may have some
/// there.
pub const MAX_BYTES: usize = 1_500;

/// User metadata is ASCII, and the signs between the parts must not be in a name.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A rendition that was removed, and what a rule asks of it that is still known when the playlists
/// are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its folder under `media/hls/`.
    pub name: String,
    /// In pixels.
    pub height: Option<u64>,
}

/// The value: `160p30:160,audio:`.
pub fn write(removed: &[Removed]) -> String {
    let part = |Removed { name, height }: &Removed| {
        let height = height.map(|height| height.to_string()).unwrap_or_default();
        format!("{}:{height}", utf8_percent_encode(name, NAME))
    };
    removed.iter().map(part).collect::<Vec<_>>().join(",")
}

/// Reads the value back; `None` if it is not one.
pub fn read(value: &str) -> Option<Vec<Removed>> {
    let part = |part: &str| {
        let (name, height) = part.split_once(':')?;
        let name = percent_decode_str(name).decode_utf8().ok()?.into_owned();
        let height = if height.is_empty() {
            None
        } else {
            Some(height.parse().ok()?)
        };
        Some(Removed { name, height })
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
    fn what_is_written_is_read_back_and_is_ascii() {
        let removed = |name: &str, height| Removed {
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
