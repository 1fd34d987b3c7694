//! Checks the contents of the bucket at the end, independently of the function's answer.

use super::DemoRecording;
use crate::narrate::{Narrator, count, size};
use crate::recording::{ENDED, PlayedRecording, RecordingObjects, folder};
use serde_json::{Value, json};
use stand_in::Object;
use std::collections::BTreeSet;

/// Checks the bucket at the end of the chapter. Returns the files that a player finds.
pub(super) fn verify(
    narrator: &mut Narrator,
    show: &DemoRecording,
    answer: &Value,
) -> anyhow::Result<PlayedRecording> {
    let expected = Expected::of(show);
    expected.check_deletions(narrator, answer);
    expected.check_other_objects(narrator);
    let found = expected.check_playback(narrator)?;
    let neighbour = &show.neighbour.prefix;
    let now = RecordingObjects::of(&show.archive.contents(), neighbour);
    let before = RecordingObjects::of(&show.before, neighbour);
    narrator.check(
        &format!(
            "unchanged: another recording with a similar prefix, …/{}",
            super::last_part(neighbour)
        ),
        now.differences(&before),
    );
    Ok(found)
}

/// The recording before and after, and the renditions that the rule keeps and drops.
struct Expected<'a> {
    before: RecordingObjects,
    after: RecordingObjects,
    best: &'a str,
    dropped: Vec<&'a str>,
}

impl<'a> Expected<'a> {
    fn of(show: &'a DemoRecording) -> Self {
        let renditions = show.recording.renditions.iter();
        let best = renditions.max_by_key(|rendition| rendition.height);
        let best = best.map_or("", |rendition| rendition.name.as_str());
        let mut dropped = show.renditions();
        dropped.retain(|name| *name != best);
        Self {
            before: show.at_start(),
            after: show.now(),
            best,
            dropped,
        }
    }

    fn is_dropped(&self, path: &str) -> bool {
        self.dropped
            .iter()
            .any(|name| path.starts_with(&folder(name)))
    }

    fn check_deletions(&self, narrator: &mut Narrator, answer: &Value) {
        let (deleted, _) = self.before.split(|path| self.is_dropped(path));
        let (objects, bytes) = deleted.amount("");
        let left = self.after.0.keys().filter(|path| self.is_dropped(path));
        narrator.check(
            &format!(
                "deleted: all {} objects of {}",
                count(objects),
                self.dropped.join(", ")
            ),
            left.map(|path| format!("{path} still exists")),
        );
        let figures = [("objects_deleted", objects), ("bytes_deleted", bytes)];
        let wrong = figures
            .into_iter()
            .filter(|(name, figure)| answer[name] != json!(figure))
            .map(|(name, figure)| format!("{name} is {} instead of {figure}", answer[name]));
        narrator.check(
            &format!(
                "the answer has the same figures: {} objects, {}",
                count(objects),
                size(bytes)
            ),
            wrong,
        );
    }

    fn check_other_objects(&self, narrator: &mut Narrator) {
        let (_, rest) = self.before.split(|path| self.is_dropped(path));
        let (_, left) = self.after.split(|path| self.is_dropped(path));
        let documents: BTreeSet<&str> = rest.entry_playlists().chain([ENDED]).collect();
        let (documents_before, others_before) = rest.split(|path| documents.contains(path));
        let (documents_after, others_after) = left.split(|path| documents.contains(path));
        narrator.check(
            &format!(
                "unchanged: all {} other objects, such as {} and the thumbnails",
                count(others_before.amount("").0),
                self.best
            ),
            others_after.differences(&others_before),
        );
        let wrong = documents_before.0.iter().filter_map(|(path, document)| {
            let Some(now) = documents_after.0.get(path) else {
                return Some(format!("{path} was deleted"));
            };
            wrong_rewrite(path, document, now, &self.dropped)
        });
        narrator.check(
            &format!(
                "rewritten: {} files, which lost only the dropped renditions",
                documents.len()
            ),
            wrong,
        );
    }

    fn check_playback(&self, narrator: &mut Narrator) -> anyhow::Result<PlayedRecording> {
        let best = self.best;
        let found = self.after.play()?;
        let only_best = found.variants.iter().eq([best]);
        let others = (!only_best).then(|| format!("the playlists name {:?}", found.variants));
        narrator.check(
            &format!(
                "it plays: every playlist names only {best}, and all {} segments exist",
                count(found.segments.len() as u64)
            ),
            found.dead_ends.iter().cloned().chain(others),
        );
        let listed = self.after.listed()?;
        narrator.check(
            "recording-ended.json lists exactly the kept rendition",
            (listed != [best]).then(|| format!("it lists {listed:?}")),
        );
        Ok(found)
    }
}

/// The error of a rewritten file, if there is one.
fn wrong_rewrite(path: &str, before: &Object, now: &Object, dropped: &[&str]) -> Option<String> {
    let headers = |object: &Object| {
        let mut headers = Object {
            body: Default::default(),
            size_bytes: 0,
            etag: String::new(),
            ..object.clone()
        };
        // The list of renditions that runs of the function removed.
        let removed = headers.metadata.remove("onair-removed");
        (headers, removed)
    };
    let (headers_before, _) = headers(before);
    let (headers_now, removed) = headers(now);
    let is_recorded = |name: &&str| {
        removed
            .as_ref()
            .is_some_and(|removed| removed.contains(*name))
    };
    if path == ENDED && !dropped.iter().all(is_recorded) {
        return Some(format!(
            "{path} does not have the removed renditions in its metadata: {removed:?}"
        ));
    }
    if headers_before != headers_now {
        return Some(format!("{path} has other headers"));
    }
    let (before, now) = (
        String::from_utf8_lossy(&before.body),
        String::from_utf8_lossy(&now.body),
    );
    let is_right = if path == ENDED {
        lost_renditions(&before, &now, dropped)
    } else {
        lost_lines(&before, &now, dropped)
    };
    (!is_right).then(|| format!("{path} lost more or less than {}", dropped.join(", ")))
}

/// Whether the metadata lost the dropped renditions only.
fn lost_renditions(before: &str, now: &str, dropped: &[&str]) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(mut expected), Some(now)) = (parsed(before), parsed(now)) else {
        return false;
    };
    if let Some(renditions) = expected
        .pointer_mut("/media/hls/renditions")
        .and_then(Value::as_array_mut)
    {
        renditions.retain(|rendition| !dropped.iter().any(|name| rendition["path"] == *name));
    }
    expected == now
}

/// Whether a playlist lost only lines that name a dropped rendition.
fn lost_lines(before: &str, now: &str, dropped: &[&str]) -> bool {
    let names = |line: &str, name: &str| {
        line.starts_with(&format!("{name}/")) || line.contains(&format!("\"{name}\""))
    };
    let stays = |line: &&str| !dropped.iter().any(|name| names(line, name));
    before
        .split_inclusive('\n')
        .filter(stays)
        .eq(now.split_inclusive('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2,VIDEO=\"720p30\"\n720p30/playlist.m3u8\n\
                          #EXT-X-STREAM-INF:BANDWIDTH=1,VIDEO=\"160p30\"\n160p30/playlist.m3u8";
    const AFTER: &str =
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2,VIDEO=\"720p30\"\n720p30/playlist.m3u8\n";

    #[test]
    fn a_rewritten_playlist_may_lose_the_dropped_renditions_and_nothing_else() {
        assert!(lost_lines(BEFORE, AFTER, &["160p30"]));
        assert!(!lost_lines(BEFORE, BEFORE, &["160p30"]));
        assert!(!lost_lines(
            BEFORE,
            &AFTER.replace("#EXTM3U\n", ""),
            &["160p30"]
        ));
        assert!(!lost_lines(
            BEFORE,
            &AFTER.replace('\n', "\r\n"),
            &["160p30"]
        ));
    }

    #[test]
    fn rewritten_metadata_may_lose_the_dropped_renditions_and_nothing_else() {
        let metadata = |renditions: &[&str], version: &str| {
            let renditions: Vec<Value> = renditions
                .iter()
                .map(|name| json!({ "path": name }))
                .collect();
            json!({ "version": version, "media": { "hls": { "renditions": renditions } } })
                .to_string()
        };
        let before = metadata(&["160p30", "720p30"], "v1");
        assert!(lost_renditions(
            &before,
            &metadata(&["720p30"], "v1"),
            &["160p30"]
        ));
        assert!(!lost_renditions(
            &before,
            &metadata(&["720p30"], "v2"),
            &["160p30"]
        ));
        assert!(!lost_renditions(&before, &before, &["160p30"]));
        assert!(!lost_renditions(&before, "{", &["160p30"]));
    }
}
