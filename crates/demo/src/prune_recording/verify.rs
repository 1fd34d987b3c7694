//! Whether what was promised has happened: judged by what lies in the bucket, not by what the
//! function says.

use super::DemoRecording;
use crate::narrate::{Narrator, count, size};
use crate::recording::{ENDED, PlayedRecording, RecordingObjects, folder};
use serde_json::{Value, json};
use stand_in::Object;
use std::collections::BTreeSet;

/// Checks the end of the story. Returns what a player finds.
pub(super) fn verify(
    narrator: &mut Narrator,
    show: &DemoRecording,
    answer: &Value,
) -> anyhow::Result<PlayedRecording> {
    let (before, after) = (show.at_first(), show.now());
    let best = show
        .recording
        .renditions
        .iter()
        .max_by_key(|rendition| rendition.height);
    let best = best
        .map(|rendition| rendition.name.as_str())
        .unwrap_or_default();
    let dropped: Vec<&str> = show
        .renditions()
        .into_iter()
        .filter(|name| *name != best)
        .collect();
    let is_dropped = |path: &str| dropped.iter().any(|name| path.starts_with(&folder(name)));
    let (gone, rest) = before.split(is_dropped);

    let (objects, bytes) = gone.amount("");
    narrator.check(
        &format!(
            "gone: all {} objects of {}",
            count(objects),
            dropped.join(", ")
        ),
        after
            .0
            .keys()
            .filter(|path| is_dropped(path))
            .map(|path| format!("{path} is still there")),
    );
    let figures = [("objects_deleted", objects), ("bytes_deleted", bytes)];
    narrator.check(
        &format!(
            "the function's own figures agree: {} objects, {}",
            count(objects),
            size(bytes)
        ),
        figures
            .into_iter()
            .filter(|(name, figure)| answer[name] != json!(figure))
            .map(|(name, figure)| format!("{name} is {} instead of {figure}", answer[name])),
    );

    let documents: BTreeSet<&str> = rest.entry_playlists().chain([ENDED]).collect();
    let (documents_before, kept) = rest.split(|path| documents.contains(path));
    let (_, left) = after.split(is_dropped);
    let (documents_after, others) = left.split(|path| documents.contains(path));
    narrator.check(
        &format!(
            "untouched: all {} objects of {best}, thumbnails and whatever else was there",
            count(kept.amount("").0)
        ),
        others.differences(&kept),
    );
    let contradictions = documents_before.0.iter().filter_map(|(path, document)| {
        let Some(now) = documents_after.0.get(path) else {
            return Some(format!("{path} is gone"));
        };
        wrong_rewrite(path, document, now, &dropped)
    });
    narrator.check(
        &format!(
            "rewritten: {} files, which lost the dropped renditions and nothing else",
            documents.len()
        ),
        contradictions,
    );

    let found = after.play()?;
    let only_best = found.variants.iter().eq([best]);
    let others = (!only_best).then(|| format!("they name {:?}", found.variants));
    narrator.check(
        &format!(
            "it plays: every playlist leads to {best} only, and to {} segments that are there",
            count(found.segments.len() as u64)
        ),
        found.dead_ends.iter().cloned().chain(others),
    );
    let listed = after.listed()?;
    narrator.check(
        "recording-ended.json lists exactly what is left",
        (listed != [best]).then(|| format!("it lists {listed:?}")),
    );

    let neighbour = &show.neighbour.prefix;
    let now = RecordingObjects::of(&show.archive.contents(), neighbour);
    let then = RecordingObjects::of(&show.before, neighbour);
    narrator.check(
        &format!(
            "untouched: the recording beside it whose prefix starts alike, …/{}",
            super::last_part(neighbour)
        ),
        now.differences(&then),
    );
    Ok(found)
}

/// What is wrong with a rewritten file.
fn wrong_rewrite(path: &str, before: &Object, now: &Object, dropped: &[&str]) -> Option<String> {
    let headers = |object: &Object| {
        let mut headers = Object {
            body: Default::default(),
            size_bytes: 0,
            etag: String::new(),
            ..object.clone()
        };
        // In which the function remembers what it removed.
        let memory = headers.metadata.remove("onair-removed");
        (headers, memory)
    };
    let (headers_before, _) = headers(before);
    let (headers_now, memory) = headers(now);
    let remembers = |name: &&str| memory.as_ref().is_some_and(|memory| memory.contains(*name));
    if path == ENDED && !dropped.iter().all(remembers) {
        return Some(format!(
            "{path} does not remember what was removed: {memory:?}"
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
    (!is_right).then(|| format!("{path} is not what it was without {}", dropped.join(", ")))
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

/// Whether a playlist lost only lines that speak of a dropped rendition.
fn lost_lines(before: &str, now: &str, dropped: &[&str]) -> bool {
    let speaks_of = |line: &str, name: &str| {
        line.starts_with(&format!("{name}/")) || line.contains(&format!("\"{name}\""))
    };
    let stays = |line: &&str| !dropped.iter().any(|name| speaks_of(line, name));
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
