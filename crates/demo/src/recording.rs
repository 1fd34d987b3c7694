//! The objects of an IVS recording, read without On Air's code: the checks of the demo must not
//! share a mistake with it.

use crate::narrate::{count, size};
use anyhow::Context as _;
use serde_json::Value;
use stand_in::{Object, Snapshot};
use std::collections::{BTreeMap, BTreeSet};

/// The metadata of a recording.
pub(crate) const ENDED: &str = "events/recording-ended.json";
/// The entry playlist of players.
pub(crate) const MASTER: &str = "media/hls/master.m3u8";
/// The folder of the renditions and of the entry playlists.
const HLS: &str = "media/hls/";

/// The objects of a recording, by their path below its prefix.
pub(crate) struct RecordingObjects(pub(crate) BTreeMap<String, Object>);

/// The files that a player finds if it reads all entry playlists and follows every URI.
#[derive(Default)]
pub(crate) struct PlayedRecording {
    /// The folder of each variant.
    pub(crate) variants: BTreeSet<String>,
    /// The paths of all segments.
    pub(crate) segments: BTreeSet<String>,
    /// URIs whose object does not exist.
    pub(crate) dead_ends: Vec<String>,
}

impl RecordingObjects {
    /// The objects of a bucket under a prefix.
    pub(crate) fn of(bucket: &Snapshot, prefix: &str) -> Self {
        let path = |key: &str| Some(key.strip_prefix(prefix)?.strip_prefix('/')?.to_owned());
        Self(
            bucket
                .objects()
                .filter_map(|(key, object)| Some((path(key)?, object)))
                .collect(),
        )
    }

    /// All objects of a bucket, by key.
    pub(crate) fn of_all(bucket: &Snapshot) -> Self {
        Self(
            bucket
                .objects()
                .map(|(key, object)| (key.to_owned(), object))
                .collect(),
        )
    }

    /// The objects for which `is_first` holds, and the others.
    pub(crate) fn split(&self, is_first: impl Fn(&str) -> bool) -> (Self, Self) {
        let (first, others) = self
            .0
            .clone()
            .into_iter()
            .partition(|(path, _)| is_first(path));
        (Self(first), Self(others))
    }

    /// The objects whose bytes or headers are different from `before`, as text.
    pub(crate) fn differences(&self, before: &Self) -> Vec<String> {
        let lost = before.0.keys().filter(|path| !self.0.contains_key(*path));
        let lost = lost.map(|path| format!("{path} was deleted"));
        let other = self
            .0
            .iter()
            .filter_map(|(path, object)| match before.0.get(path) {
                None => Some(format!("{path} is new")),
                Some(then) => (then != object).then(|| format!("{path} has changed")),
            });
        lost.chain(other).collect()
    }

    pub(crate) fn text(&self, path: &str) -> anyhow::Result<String> {
        let object = self
            .0
            .get(path)
            .with_context(|| format!("{path} does not exist"))?;
        Ok(String::from_utf8_lossy(&object.body).into_owned())
    }

    /// The number of objects below a path, and their bytes.
    pub(crate) fn amount(&self, start: &str) -> (u64, u64) {
        let sizes = self
            .0
            .iter()
            .filter(|(path, _)| path.starts_with(start))
            .map(|(_, object)| object.size_bytes);
        sizes.fold((0, 0), |(objects, bytes), size_bytes| {
            (objects + 1, bytes + size_bytes)
        })
    }

    /// A row for each of these renditions, for the rest and for all.
    pub(crate) fn rows(&self, renditions: &[&str]) -> Vec<[String; 3]> {
        let row = |name: &str, (objects, bytes): (u64, u64)| match objects {
            0 => [name.to_owned(), "deleted".to_owned(), "–".to_owned()],
            _ => [name.to_owned(), count(objects), size(bytes)],
        };
        let amounts = renditions
            .iter()
            .map(|name| (*name, self.amount(&folder(name))));
        let mut rows: Vec<_> = amounts.map(|(name, amount)| row(name, amount)).collect();
        let all = self.amount("");
        let rest = renditions
            .iter()
            .map(|name| self.amount(&folder(name)))
            .fold(all, |(objects, bytes), part| {
                (objects - part.0, bytes - part.1)
            });
        rows.push(row("everything else", rest));
        rows.push(row("all", all));
        rows
    }

    /// The renditions that `recording-ended.json` lists.
    pub(crate) fn listed(&self) -> anyhow::Result<Vec<String>> {
        let ended: Value = serde_json::from_str(&self.text(ENDED)?).context(ENDED)?;
        let renditions = ended["media"]["hls"]["renditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        Ok(renditions
            .iter()
            .filter_map(|rendition| Some(rendition["path"].as_str()?.to_owned()))
            .collect())
    }

    /// The paths of the entry playlists.
    pub(crate) fn entry_playlists(&self) -> impl Iterator<Item = &str> {
        let is_entry = |path: &&String| {
            path.strip_prefix(HLS)
                .is_some_and(|name| name.ends_with(".m3u8") && !name.contains('/'))
        };
        self.0.keys().filter(is_entry).map(String::as_str)
    }

    /// The folders of the variants in a playlist, in its order.
    pub(crate) fn variants(&self, entry: &str) -> anyhow::Result<Vec<String>> {
        let text = self.text(entry)?;
        Ok(uris(&text)
            .filter_map(|uri| Some(uri.split_once('/')?.0.to_owned()))
            .collect())
    }

    /// Reads all playlists and finds their segments, as a player does.
    pub(crate) fn play(&self) -> anyhow::Result<PlayedRecording> {
        let mut found = PlayedRecording::default();
        for entry in self.entry_playlists() {
            for uri in uris(&self.text(entry)?) {
                let path = format!("{HLS}{uri}");
                let (Some((name, _)), true) = (uri.split_once('/'), self.0.contains_key(&path))
                else {
                    let dead_end = format!("{entry} names {uri}, which does not exist");
                    found.dead_ends.push(dead_end);
                    continue;
                };
                found.variants.insert(name.to_owned());
                self.play_variant(name, &path, &mut found)?;
            }
        }
        if found.segments.is_empty() {
            found
                .dead_ends
                .push("no entry playlist leads to a segment".to_owned());
        }
        Ok(found)
    }
}

impl RecordingObjects {
    fn play_variant(
        &self,
        name: &str,
        playlist: &str,
        found: &mut PlayedRecording,
    ) -> anyhow::Result<()> {
        for segment in uris(&self.text(playlist)?) {
            let segment = format!("{}{segment}", folder(name));
            if self.0.contains_key(&segment) {
                found.segments.insert(segment);
            } else {
                let dead_end = format!("{playlist} names {segment}, which does not exist");
                found.dead_ends.push(dead_end);
            }
        }
        Ok(())
    }
}

/// The path of a rendition. The slash at its end excludes renditions with a longer name.
pub(crate) fn folder(rendition: &str) -> String {
    format!("{HLS}{rendition}/")
}

/// The lines of a playlist that are not tags (RFC 8216, 4.1).
fn uris(playlist: &str) -> impl Iterator<Item = &str> {
    playlist
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stand_in::ivs::Recording;

    #[test]
    fn missing_objects_are_found() {
        let recording = Recording::default();
        let path = |key: String| key[recording.prefix.len() + 1..].to_owned();
        let objects = recording
            .objects()
            .into_iter()
            .map(|(key, object)| (path(key), object));
        let mut contents = RecordingObjects(objects.collect());
        let found = contents.play().unwrap();
        assert_eq!(
            (
                found.variants.len(),
                found.segments.len(),
                found.dead_ends.len()
            ),
            (4, 12, 0)
        );
        contents.0.remove("media/hls/160p30/1.ts");
        contents.0.remove("media/hls/480p30/playlist.m3u8");
        let dead_ends = contents.play().unwrap().dead_ends;
        assert!(
            dead_ends
                .iter()
                .any(|dead_end| dead_end.contains("names media/hls/160p30/1.ts"))
        );
        assert!(
            dead_ends
                .iter()
                .any(|dead_end| dead_end.contains("names 480p30/playlist.m3u8"))
        );
        contents.0.clear();
        assert_eq!(contents.play().unwrap().dead_ends.len(), 1);
    }
}
