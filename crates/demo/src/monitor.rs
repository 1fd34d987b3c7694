//! Reads the bucket all the time, independently of On Air's code: everything that a playlist names
//! must exist.

use stand_in::{Buckets, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;

/// The pause between two snapshots.
const PAUSE: Duration = Duration::from_millis(2);

/// A running monitor. It stops when dropped.
pub(crate) struct BucketMonitor {
    observations: Arc<Mutex<Observations>>,
    monitoring: JoinHandle<()>,
}

/// The observations of the monitor.
#[derive(Default)]
pub(crate) struct Observations {
    pub(crate) snapshots: u64,
    /// A playlist named an object that did not exist.
    pub(crate) dead_ends: BTreeSet<String>,
    /// The media sequence number of a playlist decreased.
    pub(crate) steps_back: BTreeSet<String>,
    /// A playlist had an EXT-X-GAP.
    pub(crate) gaps: BTreeSet<String>,
    /// When each object was first in the bucket.
    uploaded: BTreeMap<String, SystemTime>,
    /// The segments that playlists named, in that order.
    pub(crate) named: Vec<PublishedSegment>,
    known: BTreeSet<String>,
    /// The media sequence number of each playlist.
    numbers: BTreeMap<String, u64>,
}

/// A segment that a playlist named.
pub(crate) struct PublishedSegment {
    pub(crate) playlist: String,
    /// When the transcoder closed the file.
    pub(crate) closed: SystemTime,
    /// The time from then until the upload.
    pub(crate) uploaded_after: Duration,
    /// The time from then until the playlist named it.
    pub(crate) named_after: Duration,
}

impl BucketMonitor {
    /// Monitors a bucket. `closed` returns when the transcoder closed the file of a key.
    pub(crate) fn start(
        buckets: &Buckets,
        bucket: &'static str,
        closed: impl Fn(&str) -> Option<SystemTime> + Send + 'static,
    ) -> Self {
        let observations = Arc::new(Mutex::new(Observations::default()));
        let (buckets, of_task) = (buckets.clone(), Arc::clone(&observations));
        let monitoring = tokio::spawn(async move {
            loop {
                let now = buckets.snapshot(bucket);
                lock(&of_task).add(&now, &closed, SystemTime::now());
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self {
            observations,
            monitoring,
        }
    }

    /// Takes one more snapshot, and returns all observations.
    pub(crate) async fn finish(self) -> Observations {
        let snapshots = lock(&self.observations).snapshots;
        while lock(&self.observations).snapshots == snapshots && !self.monitoring.is_finished() {
            tokio::time::sleep(PAUSE).await;
        }
        self.monitoring.abort();
        std::mem::take(&mut *lock(&self.observations))
    }
}

impl Drop for BucketMonitor {
    fn drop(&mut self) {
        self.monitoring.abort();
    }
}

fn lock(observations: &Mutex<Observations>) -> MutexGuard<'_, Observations> {
    observations.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PublishedSegment {
    /// When the playlist named it.
    pub(crate) fn named_at(&self) -> SystemTime {
        self.closed + self.named_after
    }
}

impl Observations {
    /// The longest time between two segments of a playlist, before `until`.
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

    fn add(&mut self, now: &Snapshot, closed: impl Fn(&str) -> Option<SystemTime>, at: SystemTime) {
        self.snapshots += 1;
        let (playlists, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
            now.objects().partition(|(key, _)| is_playlist(key));
        let exists = |key: &str| files.contains_key(key) || playlists.contains_key(key);
        for key in files.keys() {
            self.uploaded.entry((*key).to_owned()).or_insert(at);
        }
        for (key, object) in &playlists {
            let text = String::from_utf8_lossy(&object.body);
            self.count(key, &text);
            for target in targets(key, &text) {
                if !exists(&target) {
                    self.dead_ends
                        .insert(format!("{key} named {target}, which did not exist"));
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
                .insert(format!("{playlist} decreased from {before} to {number}"));
        }
        if text.lines().any(|line| line == "#EXT-X-GAP") {
            self.gaps.insert(format!("{playlist} had a gap"));
        }
    }

    fn name(&mut self, playlist: &str, segment: &str, closed: Option<SystemTime>, at: SystemTime) {
        let Some(closed) = closed else {
            self.dead_ends.insert(format!(
                "{playlist} named {segment}, which the transcoder did not write"
            ));
            return;
        };
        let since = |then: SystemTime| then.duration_since(closed).unwrap_or_default();
        let uploaded_after = since(self.uploaded.get(segment).copied().unwrap_or(at));
        self.named.push(PublishedSegment {
            playlist: playlist.to_owned(),
            closed,
            uploaded_after,
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

/// The keys of everything that a playlist names. ffmpeg's URIs are relative to the playlist's
/// folder.
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

    /// The observations of these versions of a playlist in a bucket with two segments.
    fn observed(versions: &[String]) -> Observations {
        let s3 = S3::start();
        s3.create_bucket("live", Versioning::Off);
        for segment in ["show/hd/1.ts", "show/hd/2.ts"] {
            s3.put("live", segment, "segment");
        }
        let (mut observations, written) = (Observations::default(), SystemTime::UNIX_EPOCH);
        for (second, text) in (1..).zip(versions) {
            s3.put("live", PLAYLIST, text.clone());
            let at = written + Duration::from_secs(second);
            observations.add(
                &s3.snapshot("live"),
                |key| (key != "show/hd/2.ts").then_some(written),
                at,
            );
        }
        observations
    }

    #[test]
    fn a_playlist_whose_segments_exist_has_no_finding() {
        let observed = observed(&[
            media(0, "#EXTINF:1,\n1.ts\n"),
            media(1, "#EXTINF:1,\n1.ts\n"),
        ]);
        assert!(
            observed.dead_ends.is_empty()
                && observed.steps_back.is_empty()
                && observed.gaps.is_empty()
        );
        let [named] = observed.named.as_slice() else {
            panic!("{} are named", observed.named.len())
        };
        assert_eq!(
            (named.playlist.as_str(), named.named_after),
            (PLAYLIST, Duration::from_secs(1))
        );
    }

    #[test]
    fn missing_objects_are_found_also_in_tags() {
        let observed = observed(&[media(0, "#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:1,\n3.ts\n")]);
        let expected = ["init.mp4", "3.ts"]
            .map(|name| format!("{PLAYLIST} named show/hd/{name}, which did not exist"));
        assert_eq!(observed.dead_ends, BTreeSet::from(expected));
    }

    #[test]
    fn decreasing_numbers_gaps_and_unknown_segments_are_found() {
        let observed = observed(&[media(2, ""), media(1, "#EXT-X-GAP\n#EXTINF:1,\n2.ts\n")]);
        assert_eq!(observed.steps_back.len(), 1);
        assert_eq!(observed.gaps.len(), 1);
        assert_eq!(observed.dead_ends.len(), 1);
    }
}
