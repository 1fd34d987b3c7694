//! Somebody who looks into the bucket all the time, without On Air's own eyes: whatever a playlist
//! names must be there.

use stand_in::{Buckets, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;

/// A pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks until dropped.
pub(crate) struct BucketMonitor {
    seen: Arc<Mutex<Observations>>,
    watching: JoinHandle<()>,
}

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Observations {
    pub(crate) looks: u64,
    /// A playlist named what was not there.
    pub(crate) dead_ends: BTreeSet<String>,
    /// The numbers of a playlist went back.
    pub(crate) steps_back: BTreeSet<String>,
    /// Viewers were told that a segment is lost.
    pub(crate) gaps: BTreeSet<String>,
    /// When a segment was there first.
    there: BTreeMap<String, SystemTime>,
    /// The segments that were named, in that order.
    pub(crate) named: Vec<PublishedSegment>,
    known: BTreeSet<String>,
    /// The number of each playlist's first segment.
    numbers: BTreeMap<String, u64>,
}

/// A segment that a playlist named.
pub(crate) struct PublishedSegment {
    /// The playlist.
    pub(crate) playlist: String,
    /// When the transcoder was done with its file.
    pub(crate) closed: SystemTime,
    /// From then on until it was there, and until the playlist named it.
    pub(crate) there_after: Duration,
    pub(crate) named_after: Duration,
}

impl BucketMonitor {
    /// Watches a bucket. `closed` says when the transcoder was done with the file that is published
    /// under a key.
    pub(crate) fn start(
        buckets: &Buckets,
        bucket: &'static str,
        closed: impl Fn(&str) -> Option<SystemTime> + Send + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Observations::default()));
        let (buckets, of_task) = (buckets.clone(), Arc::clone(&seen));
        let watching = tokio::spawn(async move {
            loop {
                let now = buckets.snapshot(bucket);
                lock(&of_task).look(&now, &closed, SystemTime::now());
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { seen, watching }
    }

    /// Looks once more, and says what was seen.
    pub(crate) async fn last_look(self) -> Observations {
        let looks = lock(&self.seen).looks;
        while lock(&self.seen).looks == looks && !self.watching.is_finished() {
            tokio::time::sleep(PAUSE).await;
        }
        self.watching.abort();
        std::mem::take(&mut *lock(&self.seen))
    }
}

impl Drop for BucketMonitor {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn lock(seen: &Mutex<Observations>) -> MutexGuard<'_, Observations> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PublishedSegment {
    /// When the playlist named it.
    pub(crate) fn named_at(&self) -> SystemTime {
        self.closed + self.named_after
    }
}

impl Observations {
    /// The longest time from one segment of a playlist to the next, until then.
    pub(crate) fn longest_wait(&self, until: SystemTime) -> Duration {
        let mut last = BTreeMap::new();
        let waits = self
            .named
            .iter()
            .filter(|named| named.named_at() < until)
            .filter_map(|named| {
                let before = last.insert(&named.playlist, named.named_at())?;
                named.named_at().duration_since(before).ok()
            });
        waits.max().unwrap_or_default()
    }

    fn look(
        &mut self,
        now: &Snapshot,
        closed: impl Fn(&str) -> Option<SystemTime>,
        at: SystemTime,
    ) {
        self.looks += 1;
        let (playlists, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
            now.objects().partition(|(key, _)| is_playlist(key));
        let there = |key: &str| files.contains_key(key) || playlists.contains_key(key);
        for key in files.keys() {
            self.there.entry((*key).to_owned()).or_insert(at);
        }
        for (key, object) in &playlists {
            let text = String::from_utf8_lossy(&object.body);
            self.count(key, &text);
            for target in targets(key, &text) {
                if !there(&target) {
                    self.dead_ends
                        .insert(format!("{key} named {target}, which was not there"));
                } else if !is_playlist(&target) && self.known.insert(target.clone()) {
                    self.name(key, &target, closed(&target), at);
                }
            }
        }
    }

    fn count(&mut self, playlist: &str, text: &str) {
        let Some(number) = first_number(text) else {
            return;
        };
        let before = self
            .numbers
            .insert(playlist.to_owned(), number)
            .unwrap_or_default();
        if number < before {
            self.steps_back
                .insert(format!("{playlist} went back from {before} to {number}"));
        }
        if text.lines().any(|line| line == "#EXT-X-GAP") {
            self.gaps.insert(format!("{playlist} had a gap"));
        }
    }

    fn name(&mut self, playlist: &str, segment: &str, closed: Option<SystemTime>, at: SystemTime) {
        let Some(closed) = closed else {
            self.dead_ends.insert(format!(
                "{playlist} named {segment}, which no transcoder wrote"
            ));
            return;
        };
        let since = |then: SystemTime| then.duration_since(closed).unwrap_or_default();
        let there_after = since(self.there.get(segment).copied().unwrap_or(at));
        self.named.push(PublishedSegment {
            playlist: playlist.to_owned(),
            closed,
            there_after,
            named_after: since(at),
        });
    }
}

fn is_playlist(key: &str) -> bool {
    key.ends_with(".m3u8")
}

fn first_number(playlist: &str) -> Option<u64> {
    playlist
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"))?
        .trim()
        .parse()
        .ok()
}

/// The keys of all that a playlist names. ffmpeg's URIs are names below the playlist's own folder.
fn targets(playlist: &str, text: &str) -> Vec<String> {
    let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
    let uri = |line: &str| match line.strip_prefix('#') {
        Some(tag) => Some(tag.split("URI=\"").nth(1)?.split('"').next()?.to_owned()),
        None => (!line.is_empty()).then(|| line.to_owned()),
    };
    text.lines()
        .filter_map(uri)
        .map(|uri| format!("{folder}/{uri}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stand_in::{S3, Versioning};

    const PLAYLIST: &str = "show/hd/index.m3u8";

    fn media(first: u64, lines: &str) -> String {
        format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:{first}\n{lines}")
    }

    /// What is seen of these versions of a playlist, beside two segments that are there.
    fn seen(versions: &[String]) -> Observations {
        let s3 = S3::start();
        s3.create_bucket("live", Versioning::Off);
        for segment in ["show/hd/1.ts", "show/hd/2.ts"] {
            s3.put("live", segment, "segment");
        }
        let (mut seen, written) = (Observations::default(), SystemTime::UNIX_EPOCH);
        for (second, text) in (1..).zip(versions) {
            s3.put("live", PLAYLIST, text.clone());
            let at = written + Duration::from_secs(second);
            seen.look(
                &s3.snapshot("live"),
                |key| (key != "show/hd/2.ts").then_some(written),
                at,
            );
        }
        seen
    }

    #[test]
    fn nothing_is_said_of_a_playlist_that_leads_somewhere() {
        let seen = seen(&[
            media(0, "#EXTINF:1,\n1.ts\n"),
            media(1, "#EXTINF:1,\n1.ts\n"),
        ]);
        assert!(seen.dead_ends.is_empty() && seen.steps_back.is_empty() && seen.gaps.is_empty());
        let [named] = seen.named.as_slice() else {
            panic!("{} are named", seen.named.len())
        };
        assert_eq!(
            (named.playlist.as_str(), named.named_after),
            (PLAYLIST, Duration::from_secs(1))
        );
    }

    #[test]
    fn what_is_named_and_not_there_is_seen_also_in_tags() {
        let seen = seen(&[media(0, "#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:1,\n3.ts\n")]);
        let expected = ["init.mp4", "3.ts"]
            .map(|name| format!("{PLAYLIST} named show/hd/{name}, which was not there"));
        assert_eq!(seen.dead_ends, BTreeSet::from(expected));
    }

    #[test]
    fn numbers_that_go_back_gaps_and_strange_segments_are_seen() {
        let seen = seen(&[media(2, ""), media(1, "#EXT-X-GAP\n#EXTINF:1,\n2.ts\n")]);
        assert_eq!(seen.steps_back.len(), 1);
        assert_eq!(seen.gaps.len(), 1);
        assert_eq!(seen.dead_ends.len(), 1);
    }
}
