//! What must hold for every input, however broken: each function panics if it does not.
//!
//! libFuzzer calls them (`make fuzz`) with mutations of the files in `seeds/`. That runs on stable Rust: the
//! coverage that steers it is a pass of LLVM, and the address sanitizer, which would need a nightly compiler,
//! has nothing to find in a core without `unsafe`. Overflow checks and debug assertions are on.

mod case;

use case::Case;
use onair_core::playlist::MultivariantPlaylist;
use onair_core::prune_recording::event::{Trigger, decode};
use onair_core::prune_recording::plan::{Deletion, Plan, plan as decide};
use onair_core::prune_recording::{ENDED, ENTRY_PLAYLISTS, HLS, THUMBNAILS};
use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;

/// A text that is taken for a playlist is edited line by line: nothing dropped means nothing changed, and what
/// is left after a drop is lines of the original that are again such a playlist, or none.
pub fn playlist(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(playlist) = MultivariantPlaylist::parse(text) else { return };
    assert_eq!(playlist.without(|_| false), text);
    let folders: BTreeSet<&str> = playlist.variants().map(|variant| folder(&variant.uri)).collect();
    for dropped in folders {
        let left = playlist.without(|uri| folder(uri) == dropped);
        assert!(is_part_of(&left, text), "{left:?} is not lines of {text:?}");
        let expected: Vec<_> =
            playlist.variants().filter(|variant| folder(&variant.uri) != dropped).collect();
        match MultivariantPlaylist::parse(&left) {
            Ok(left) => assert!(left.variants().eq(expected)),
            Err(error) => assert!(expected.is_empty(), "{error} in {left:?}"),
        }
    }
}

/// An event that is acted on names a recording by a path that cannot lead out of it.
pub fn event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice(bytes) else { return };
    let Ok(Trigger::RecordingEnded(request)) = decode(&event) else { return };
    let prefix = request.prefix.to_string();
    assert!(!prefix.is_empty() && !prefix.starts_with('/') && !prefix.ends_with('/'), "{prefix:?}");
    assert!(!prefix.split('/').any(|part| matches!(part, "" | "." | "..")), "{prefix:?}");
    assert_eq!(request.dry_run, event["onair"]["dry_run"] == true);
}

/// A plan deletes whole folders of the recording and nothing that is still named, and carrying it out leaves
/// nothing to do.
pub fn plan(bytes: &[u8]) {
    let Some(Case { inventory, wish }) = std::str::from_utf8(bytes).ok().and_then(Case::parse) else {
        return;
    };
    let Ok(plan) = decide(&inventory, &wish) else { return };
    let Plan { kept, must_play, must_hold_media, rewrites, deletions } = &plan;
    for Deletion { folder, .. } in deletions {
        let name = folder.strip_prefix(HLS).and_then(|path| path.strip_suffix('/'));
        let is_rendition = name.is_some_and(|name| !matches!(name, "" | "." | "..") && !name.contains('/'));
        let is_thumbnails = wish.delete_thumbnails && THUMBNAILS.contains(&folder.as_str());
        assert!(is_rendition || is_thumbnails, "{folder:?} would be deleted");
        let mut needed = must_play.iter().chain(must_hold_media);
        assert!(!needed.any(|path| path.starts_with(folder)), "{folder:?} is still played");
        assert!(!kept.iter().any(|kept| Some(kept.as_str()) == name), "{folder:?} is kept and deleted");
    }
    assert!(!kept.is_empty() || !deletions.iter().any(|deletion| deletion.folder.starts_with(HLS)));

    let mut end = inventory.clone();
    end.folders.retain(|name| !deletions.iter().any(|deletion| deletion.folder == format!("{HLS}{name}/")));
    for rewrite in rewrites {
        match rewrite.path.strip_prefix(HLS) {
            Some(file) => {
                assert!(ENTRY_PLAYLISTS.contains(&file), "{} would be written", rewrite.path);
                assert!(is_part_of(&rewrite.text, &inventory.playlists[file]), "{}", rewrite.text);
                end.playlists.insert(file.to_owned(), rewrite.text.clone());
            }
            None => {
                assert_eq!(rewrite.path, ENDED);
                end.ended.clone_from(&rewrite.text);
                end.removed = rewrite.removed.clone().unwrap_or_default();
            }
        }
    }
    for text in end.playlists.values() {
        let playlist =
            MultivariantPlaylist::parse(text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        for variant in playlist.variants() {
            let raw = folder(&variant.uri);
            let decoded = percent_decode_str(raw).decode_utf8_lossy();
            let is_gone = |name: &str| deletions.iter().any(|gone| gone.folder == format!("{HLS}{name}/"));
            assert!(!is_gone(raw) && !is_gone(&decoded), "{:?} is named and deleted", variant.uri);
        }
    }
    let again = decide(&end, &wish).unwrap_or_else(|why| panic!("{why} the second time"));
    assert!(again.rewrites.is_empty(), "a second run would write\n{again}");
    assert!(again.deletions.iter().all(|deletion| !deletion.folder.starts_with(HLS)), "{again}");
}

/// The first folder of a URI's path.
fn folder(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.strip_prefix("./").unwrap_or(path).split('/').next().unwrap_or_default()
}

/// Whether a text is some lines of another, in their order.
fn is_part_of(part: &str, whole: &str) -> bool {
    let mut lines = whole.split_inclusive('\n');
    part.split_inclusive('\n').all(|line| lines.any(|other| other == line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn seeds(folder: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path());
        let seeds: Vec<_> =
            entries.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect();
        assert!(!seeds.is_empty(), "{} has no seed", folder.display());
        seeds
    }

    // A seed that is refused at the first line would teach the fuzzer nothing.

    #[test]
    fn every_playlist_seed_is_a_playlist() {
        for (path, seed) in seeds("seeds/playlist") {
            let text = String::from_utf8(seed).unwrap();
            assert!(MultivariantPlaylist::parse(&text).is_ok(), "{path}");
            playlist(text.as_bytes());
        }
    }

    #[test]
    fn every_event_file_and_event_seed_is_json() {
        for (path, seed) in seeds("seeds/event").into_iter().chain(seeds("../events/prune-recording")) {
            assert!(decode(&serde_json::from_slice(&seed).unwrap()).is_ok(), "{path}");
            event(&seed);
        }
    }

    #[test]
    fn every_plan_seed_is_a_plan_that_deletes() {
        for (path, seed) in seeds("seeds/plan") {
            let Case { inventory, wish } = Case::parse(std::str::from_utf8(&seed).unwrap()).unwrap();
            let decided = decide(&inventory, &wish).unwrap_or_else(|why| panic!("{path}: {why}"));
            assert!(!decided.deletions.is_empty() && !decided.rewrites.is_empty(), "{path}: {decided}");
            plan(&seed);
        }
    }
}
