//! Invariants for every input, valid or not: each function panics if its invariant does not hold.
//!
//! libFuzzer calls them (`make fuzz`) with mutations of the files in `seeds/`. This works on stable
//! Rust, because the coverage that steers it is a pass of LLVM. The address sanitizer would need a
//! nightly compiler, but has nothing to find in a core without `unsafe`. Overflow checks and debug
//! assertions are on.

mod case;

use case::Case;
use chrono::{DateTime, TimeDelta};
use onair_core::count_viewers::audience::{Audience, DataPoint};
use onair_core::count_viewers::log::{Limits, LineCounts, LogReader};
use onair_core::count_viewers::stream::StreamRule;
use onair_core::count_viewers::viewer_key::{ViewerKey, ViewerSecret};
use onair_core::count_viewers::{CountingRules, stored_minute};
use onair_core::event::{Event, Payload, ServiceEvent};
use onair_core::pair::Sides;
use onair_core::pair::freshness::{PlaylistProbe, evaluate, media_sequence_offset};
use onair_core::pair::state::PairState;
use onair_core::playlist::MultivariantPlaylist;
use onair_core::prune_recording::event::{RecordingTrigger, decode};
use onair_core::prune_recording::plan::{
    Deletion, PrunePlan, RetentionPolicy, Rewrite, plan as decide,
};
use onair_core::prune_recording::recording::Inventory;
use onair_core::prune_recording::{ENDED, ENTRY_PLAYLISTS, HLS, THUMBNAILS};
use onair_core::publish_playlist::{SidePlaylist, index, steering};
use serde_json::Value;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// Panics if the invariant does not hold for the input.
type Check = fn(&[u8]);

/// The kinds of input, by the folder of their seeds, and the check of each.
const CHECKS: [(&str, Check); 4] = [
    ("playlist", playlist),
    ("event", event),
    ("plan", plan),
    ("log", |bytes| _ = log(bytes)),
];

/// The names of the kinds of input.
pub fn names() -> [&'static str; CHECKS.len()] {
    CHECKS.map(|(name, _)| name)
}

/// The check of this kind of input.
pub fn check(name: &str) -> Option<Check> {
    CHECKS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, check)| *check)
}

/// A playlist is edited line by line. If nothing is dropped, nothing changes. After a drop, the
/// rest are lines of the original, which are a valid playlist or have no variant.
pub fn playlist(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    probe(text);
    redundant(text);
    let Ok(playlist) = MultivariantPlaylist::parse(text) else {
        return;
    };
    assert_eq!(playlist.without(|_| false), text);
    let folders: BTreeSet<&str> = playlist
        .variants()
        .map(|variant| folder(&variant.uri))
        .collect();
    for dropped in folders {
        let left = playlist.without(|uri| folder(uri) == dropped);
        assert!(is_part_of(&left, text), "{left:?} is not lines of {text:?}");
        let expected: Vec<_> = playlist
            .variants()
            .filter(|variant| folder(&variant.uri) != dropped)
            .collect();
        match MultivariantPlaylist::parse(&left) {
            Ok(left) => assert!(left.variants().eq(expected)),
            Err(error) => assert!(expected.is_empty(), "{error} in {left:?}"),
        }
    }
}

/// Every text is accepted as a media playlist when its freshness is determined.
fn probe(text: &str) {
    let probe = PlaylistProbe {
        last_updated_ms: None,
        text: text.to_owned(),
        at: DateTime::UNIX_EPOCH,
    };
    let _ = evaluate(&probe, evaluate(&probe, None).last_segment);
    let _ = media_sequence_offset(&probe, &probe);
}

/// Every pair of valid playlists can be rendered, and the result is parsed or refused.
fn redundant(text: &str) {
    let playlist = |url: &str| {
        url.parse()
            .ok()
            .and_then(|url| SidePlaylist::parse(text, &url).ok())
    };
    let playlists = Sides {
        a: playlist("https://a.example.com/1/i.m3u8"),
        b: playlist("https://b.example.com/2/i.m3u8"),
    };
    if playlists.a.is_none() {
        return;
    }
    let state = PairState::default();
    let rendered = index::render(&state, &playlists, true);
    if let Ok(known) = index::parse(&rendered.text) {
        index::render(&state, &index::split(&known, &state), true);
    }
    let manifest = steering::render(&state, &playlists, TimeDelta::seconds(1));
    assert!(
        serde_json::from_str::<Value>(&manifest).is_ok(),
        "{manifest}"
    );
}

/// The prefix in an accepted event cannot lead out of the recording.
pub fn event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let Ok(RecordingTrigger::RecordingEnded(request)) = decode(&service_event(&event)) else {
        return;
    };
    let prefix = request.prefix.to_string();
    assert!(
        !prefix.is_empty() && !prefix.starts_with('/') && !prefix.ends_with('/'),
        "{prefix:?}"
    );
    assert!(
        !prefix
            .split('/')
            .any(|part| matches!(part, "" | "." | "..")),
        "{prefix:?}"
    );
    assert_eq!(request.dry_run, event["onair"]["dry_run"] == true);
    // Keys in events are not URIs: each character is literal.
    let detail = &event["detail"];
    let of_s3 = (
        detail["bucket"]["name"].as_str(),
        detail["object"]["key"].as_str(),
    );
    let of_ivs = (
        detail["recording_s3_bucket_name"].as_str(),
        detail["recording_s3_key_prefix"].as_str(),
    );
    let bucket = Some(request.bucket.as_str());
    let key = request.prefix.key(ENDED);
    assert!(
        of_s3 == (bucket, Some(&key)) || of_ivs == (bucket, Some(&prefix)),
        "{key:?} of {event}"
    );
}

/// The event of a service in this JSON. Other forms end no recording; `onair-lambda`, which reads
/// them all, is too much to build for a fuzzer.
fn service_event(event: &Value) -> Event {
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    Event {
        payload: Payload::Service(ServiceEvent {
            source: text("source"),
            detail_type: text("detail-type"),
            detail: event["detail"].clone(),
        }),
        onair: event.get("onair").cloned(),
        time: None,
    }
}

/// Each line of a log is counted in one way. The result does not depend on the chunks in which the
/// log is read.
pub fn log(bytes: &[u8]) -> LineCounts {
    let rules = CountingRules {
        window_s: NonZeroU32::MIN.saturating_add(89),
        viewer_key: ViewerKey::Address,
        secret: ViewerSecret::new("a secret of some length"),
        streams: StreamRule::Usual,
        format: None,
        exact_up_to: 5,
        max_streams: 3,
    };
    let whole = read_log(&[bytes], &rules);
    let (counts, figures) = (&whole.counts, whole.audience.data_points(&rules));
    let ways = counts.counted + counts.other + counts.unkeyed + counts.dropped + counts.malformed;
    assert_eq!(counts.lines, ways);
    assert_eq!(counts.malformed > 0, counts.first_error.is_some());
    let (early, late) = bytes.split_at(bytes.len() / 3);
    let chunked = read_log(&[early, b"", late], &rules);
    // A broken log may break at another place.
    let is_same = chunked.counts == *counts && chunked.audience.data_points(&rules) == figures;
    assert!(whole.is_broken || is_same);
    assert_eq!(stored_and_read(&whole.audience, &rules), figures);
    whole.counts
}

/// A log that was read.
struct ReadLog {
    audience: Audience,
    counts: LineCounts,
    is_broken: bool,
}

fn read_log(chunks: &[&[u8]], rules: &CountingRules) -> ReadLog {
    const LIMITS: Limits = Limits {
        unpacked_bytes: 1 << 20,
        minutes: usize::MAX,
    };
    let mut audience = Audience::default();
    let mut log = LogReader::new(rules, &mut audience, LIMITS);
    let error = chunks.iter().find_map(|chunk| log.push(chunk).err());
    let (counts, ended) = log.end();
    ReadLog {
        audience,
        counts,
        is_broken: error.is_some() || ended.is_some(),
    }
}

/// The figures after all minutes were stored and read again.
fn stored_and_read(audience: &Audience, rules: &CountingRules) -> Vec<DataPoint> {
    let mut stored = Audience::default();
    for minute in audience.minutes() {
        let text = stored_minute::serialize(audience, minute, rules);
        let merged = stored_minute::merge(&mut stored, minute, &text, rules);
        assert!(merged.is_ok(), "{text}");
    }
    stored.data_points(rules)
}

/// A plan deletes whole folders of the recording, and nothing that a playlist still names. A second
/// run has nothing to do.
pub fn plan(bytes: &[u8]) {
    let Some(Case { inventory, policy }) = std::str::from_utf8(bytes).ok().and_then(Case::parse)
    else {
        return;
    };
    let Ok(plan) = decide(&inventory, &policy) else {
        return;
    };
    check_deletions(&plan, &policy);
    check_rewrites(&plan, &inventory);

    let end = end_of(&plan, &inventory);
    check_playlists(&plan, &end, &known_folders(&inventory));
    check_removed_list(&plan, &end);
    let again = decide(&end, &policy).unwrap_or_else(|why| panic!("{why} the second time"));
    assert!(
        again.rewrites.is_empty(),
        "a second run would write\n{again}"
    );
    assert!(deleted_renditions(&again).is_empty(), "{again}");
}

fn deleted_renditions(plan: &PrunePlan) -> BTreeSet<&str> {
    let deletions = plan.deletions.iter();
    deletions
        .filter_map(|deletion| match deletion {
            Deletion::Rendition(name) => Some(name.as_str()),
            Deletion::Thumbnails(_) => None,
        })
        .collect()
}

fn check_deletions(plan: &PrunePlan, policy: &RetentionPolicy) {
    for deletion in &plan.deletions {
        let folder = deletion.folder();
        let is_in_recording = match deletion {
            Deletion::Rendition(name) => {
                assert!(!plan.kept.contains(name), "{name:?} is kept and deleted");
                !matches!(name.as_str(), "" | "." | "..")
                    && folder == format!("{HLS}{name}/")
                    && !name.contains('/')
            }
            Deletion::Thumbnails(folder) => policy.delete_thumbnails && THUMBNAILS.contains(folder),
        };
        assert!(is_in_recording, "{folder:?} would be deleted");
        let mut needed = plan.required_playlists.iter().chain(&plan.required_folders);
        assert!(
            !needed.any(|path| path.starts_with(&folder)),
            "{folder:?} is still played"
        );
    }
    assert!(!plan.kept.is_empty() || deleted_renditions(plan).is_empty());
}

fn check_rewrites(plan: &PrunePlan, inventory: &Inventory) {
    for rewrite in &plan.rewrites {
        if let Rewrite::Playlist { file, text } = rewrite {
            assert!(
                ENTRY_PLAYLISTS.contains(&file.as_str()),
                "{file} would be written"
            );
            assert!(is_part_of(text, &inventory.playlists[file]), "{text}");
        }
    }
}

/// The recording after the plan has been applied.
fn end_of(plan: &PrunePlan, inventory: &Inventory) -> Inventory {
    let mut end = inventory.clone();
    let deleted = deleted_renditions(plan);
    end.folders.retain(|name| !deleted.contains(name.as_str()));
    for rewrite in &plan.rewrites {
        match rewrite {
            Rewrite::Playlist { file, text } => {
                end.playlists.insert(file.clone(), text.clone());
            }
            Rewrite::Metadata { text, removed } => {
                end.ended.clone_from(text);
                end.removed.clone_from(removed);
            }
        }
    }
    end
}

fn check_playlists(plan: &PrunePlan, end: &Inventory, known: &BTreeSet<String>) {
    let deleted = deleted_renditions(plan);
    for text in end.playlists.values() {
        let playlist =
            MultivariantPlaylist::parse(text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        for uri in playlist.playable_uris() {
            let raw = folder(uri);
            assert!(
                !deleted.contains(raw) && !deleted.contains(decoded(raw).as_str()),
                "{uri:?} is named and deleted"
            );
            // A URI is decoded once and as a whole, unless a folder has the encoded name.
            let path = if known.contains(raw) {
                path(uri).to_owned()
            } else {
                decoded(path(uri))
            };
            assert!(
                plan.required_playlists.contains(&format!("{HLS}{path}")),
                "{uri:?} is not {path:?} in\n{plan}"
            );
        }
    }
}

fn check_removed_list(plan: &PrunePlan, end: &Inventory) {
    let removed: BTreeSet<String> = end
        .removed
        .split([',', ':'])
        .step_by(2)
        .map(decoded)
        .collect();
    for name in deleted_renditions(plan) {
        assert!(
            removed.contains(name),
            "{name:?} is not in {:?}",
            end.removed
        );
    }
}

/// The path of a URI, not decoded.
fn path(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.strip_prefix("./").unwrap_or(path)
}

/// The first folder of a URI's path.
fn folder(uri: &str) -> &str {
    path(uri).split('/').next().unwrap_or_default()
}

/// Decodes percent-encoded text, independently of the core's code. An escape of two digits is a
/// byte; every other character, including the plus, is literal.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = after
            .first_chunk::<2>()
            .filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte =
            byte.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The folders in the recording's metadata, in its list of removed renditions, and in S3.
fn known_folders(inventory: &Inventory) -> BTreeSet<String> {
    let ended: Value = serde_json::from_str(&inventory.ended).unwrap_or_default();
    let listed = ended["media"]["hls"]["renditions"]
        .as_array()
        .into_iter()
        .flatten();
    let listed = listed.filter_map(|rendition| rendition["path"].as_str().map(str::to_owned));
    let removed = inventory.removed.split([',', ':']).step_by(2).map(decoded);
    listed
        .chain(removed)
        .chain(inventory.folders.iter().cloned())
        .collect()
}

/// Whether a text consists of lines of another text in their order.
fn is_part_of(part: &str, whole: &str) -> bool {
    let mut lines = whole.split_inclusive('\n');
    part.split_inclusive('\n')
        .all(|line| lines.any(|other| other == line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn seeds(folder: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = std::fs::read_dir(&folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path());
        let seeds: Vec<_> = entries
            .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
            .collect();
        assert!(!seeds.is_empty(), "{} has no seed", folder.display());
        seeds
    }

    #[test]
    fn every_folder_of_seeds_is_a_kind_of_input() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
        let entries = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let folders: BTreeSet<String> = entries.map(|name| name.into_string().unwrap()).collect();
        assert_eq!(folders, names().map(str::to_owned).into());
    }

    // A seed that is refused at its first line would be useless for the fuzzer.

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
        for (path, seed) in seeds("seeds/event")
            .into_iter()
            .chain(seeds("../events/prune-recording"))
        {
            assert!(
                decode(&service_event(&serde_json::from_slice(&seed).unwrap())).is_ok(),
                "{path}"
            );
            event(&seed);
        }
    }

    #[test]
    fn every_log_seed_is_a_log_with_viewers() {
        for (path, seed) in seeds("seeds/log") {
            let counts = log(&seed);
            assert!(
                counts.counted > 0 && counts.malformed == 0,
                "{path}: {counts:?}"
            );
        }
    }

    #[test]
    fn every_plan_seed_is_a_plan_that_deletes() {
        for (path, seed) in seeds("seeds/plan") {
            let Case { inventory, policy } =
                Case::parse(std::str::from_utf8(&seed).unwrap()).unwrap();
            let decided = decide(&inventory, &policy).unwrap_or_else(|why| panic!("{path}: {why}"));
            assert!(
                !decided.deletions.is_empty() && !decided.rewrites.is_empty(),
                "{path}: {decided}"
            );
            plan(&seed);
        }
    }
}
