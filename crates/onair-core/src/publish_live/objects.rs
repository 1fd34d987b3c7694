//! Files on the transcoder's disk, and whether each is stored in S3.

use super::job::{Job, RetryLater, UploadError};
use super::names::FileId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A file is lost after this many failures while other uploads succeed. During an outage of S3 all
/// uploads fail, and no file is lost.
const MAX_FAILURES_ALONE: u32 = 3;
/// A file that no playlist names after this time is not part of a stream.
const MAX_UNNAMED: Duration = Duration::from_secs(60);
/// The size in bytes above which a file waits until a playlist names it. It may be a recording, and
/// would delay all other uploads.
const LARGE_BYTES: u64 = 32 * 1024 * 1024;

/// All known files, by the name under which each is published.
#[derive(Debug, Default)]
pub(super) struct LiveObjects {
    by_name: BTreeMap<String, LiveObject>,
    /// Names that no playlist has named yet.
    unnamed: BTreeSet<String>,
    last_success: Duration,
    last_sweep: Duration,
}

#[derive(Debug)]
struct LiveObject {
    path: String,
    file: FileId,
    state: ObjectState,
    /// When the file was closed, or when it was found on the disk.
    closed_at: Duration,
    stored_at: Option<Duration>,
    last_failure: Option<Duration>,
    /// How many times it failed while other uploads succeeded.
    failures_alone: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ObjectState {
    /// The upload may start at this time.
    Due(Duration),
    InFlight,
    Stored,
    Lost(String),
}

/// The state of an object, for the playlists that name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability<'a> {
    /// No such file was closed.
    Unknown,
    /// Its upload is due or in flight.
    Pending,
    /// Its upload failed this many times while other uploads succeeded.
    FailsAlone(u32),
    /// It is in S3.
    Stored,
    /// It will never be in S3, for this reason.
    Lost(&'a str),
}

/// When a file was closed, and when its upload succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UploadTimes {
    pub(super) closed_at: Duration,
    pub(super) stored_at: Duration,
}

impl LiveObject {
    fn is_due(&self, now: Duration) -> bool {
        matches!(self.state, ObjectState::Due(at) if at <= now)
    }

    fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

impl LiveObjects {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn availability(&self, name: &str) -> Availability<'_> {
        let Some(object) = self.by_name.get(name) else {
            return Availability::Unknown;
        };
        match &object.state {
            ObjectState::Stored => Availability::Stored,
            ObjectState::Lost(why) => Availability::Lost(why),
            ObjectState::Due(_) | ObjectState::InFlight => {
                if object.failures_alone < MAX_FAILURES_ALONE {
                    Availability::Pending
                } else {
                    Availability::FailsAlone(object.failures_alone)
                }
            }
        }
    }

    pub(super) fn is_stored(&self, name: &str) -> bool {
        self.availability(name) == Availability::Stored
    }

    pub(super) fn is_in_flight(&self, name: &str) -> bool {
        let object = self.by_name.get(name);
        object.is_some_and(|object| object.state == ObjectState::InFlight)
    }

    pub(super) fn is_due(&self, name: &str, now: Duration) -> bool {
        let object = self.by_name.get(name);
        object.is_some_and(|object| object.is_due(now))
    }

    /// `None` for an object that an earlier process uploaded.
    pub(super) fn upload_times(&self, name: &str) -> Option<UploadTimes> {
        let object = self.by_name.get(name)?;
        Some(UploadTimes {
            closed_at: object.closed_at,
            stored_at: object.stored_at?,
        })
    }

    /// The content that this file had when it was last closed.
    pub(super) fn newest(&self, path: &str) -> Option<FileId> {
        let of_path = self.by_name.values().filter(|object| object.path == path);
        of_path
            .max_by_key(|object| object.closed_at)
            .map(|object| object.file)
    }

    /// Adds a content of a file. Returns whether it was unknown.
    pub(super) fn insert(&mut self, path: &str, file: FileId, now: Duration) -> bool {
        let name = file.published_name(path);
        if self.by_name.contains_key(&name) {
            return false;
        }
        self.unnamed.insert(name.clone());
        let object = LiveObject {
            path: path.to_owned(),
            file,
            state: ObjectState::Due(now),
            closed_at: now,
            stored_at: None,
            last_failure: None,
            failures_alone: 0,
        };
        self.by_name.insert(name, object);
        true
    }

    /// Records that a playlist names the object.
    pub(super) fn set_named(&mut self, name: &str) {
        self.unnamed.remove(name);
    }

    /// Records that the object is in S3, because a visible playlist names it.
    pub(super) fn set_stored(&mut self, name: &str) {
        if let Some(object) = self.by_name.get_mut(name) {
            object.state = ObjectState::Stored;
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
        self.unnamed.remove(name);
    }

    /// Removes files that no playlist names or needs, once a minute. Returns whether the minute was
    /// over.
    pub(super) fn sweep(&mut self, now: Duration, is_needed: impl Fn(&str) -> bool) -> bool {
        if now.saturating_sub(self.last_sweep) < MAX_UNNAMED {
            return false;
        }
        self.last_sweep = now;
        self.by_name.retain(|name, object| {
            object.state == ObjectState::InFlight
                || now.saturating_sub(object.closed_at) < MAX_UNNAMED
                || is_needed(name)
        });
        let by_name = &self.by_name;
        self.unnamed.retain(|name| by_name.contains_key(name));
        true
    }

    /// The first closed and due file that no playlist names yet. A folder with `limit` uploads in
    /// flight waits, and so do the names in `excluded`.
    pub(super) fn first_unnamed(
        &self,
        now: Duration,
        limit: usize,
        excluded: &BTreeSet<String>,
    ) -> Option<String> {
        let mut due: Vec<(&String, &LiveObject)> = self
            .unnamed
            .iter()
            .filter(|name| !excluded.contains(*name))
            .filter_map(|name| Some((name, self.by_name.get(name)?)))
            .filter(|(_, object)| object.is_due(now) && object.file.size_bytes <= LARGE_BYTES)
            .filter(|(_, object)| now.saturating_sub(object.closed_at) < MAX_UNNAMED)
            .collect();
        if due.is_empty() {
            return None;
        }
        due.sort_by_key(|(_, object)| object.closed_at);
        let in_flight = self.in_flight_by_folder();
        let has_room = |object: &LiveObject| {
            in_flight.get(object.folder()).copied().unwrap_or_default() < limit
        };
        due.into_iter()
            .find(|(_, object)| has_room(object))
            .map(|(name, _)| name.clone())
    }

    fn in_flight_by_folder(&self) -> BTreeMap<&str, usize> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for object in self.by_name.values() {
            if object.state == ObjectState::InFlight {
                *counts.entry(object.folder()).or_default() += 1;
            }
        }
        counts
    }

    pub(super) fn begin_upload(&mut self, name: String) -> Option<Job> {
        let object = self.by_name.get_mut(&name)?;
        object.state = ObjectState::InFlight;
        Some(Job::Upload {
            path: object.path.clone(),
            file: object.file,
            name,
        })
    }

    pub(super) fn end_upload(
        &mut self,
        name: &str,
        result: Result<(), UploadError>,
        now: Duration,
    ) {
        let Some(object) = self.by_name.get_mut(name) else {
            return;
        };
        object.state = match result {
            Ok(()) => {
                self.last_success = now;
                object.stored_at = Some(now);
                ObjectState::Stored
            }
            Err(UploadError::Retry(RetryLater { pause, .. })) => {
                let last_failure = object.last_failure.replace(now);
                let failed_alone = last_failure.is_some_and(|last| self.last_success > last);
                object.failures_alone += u32::from(failed_alone);
                ObjectState::Due(now.saturating_add(pause))
            }
            Err(UploadError::Permanent(why)) => ObjectState::Lost(why),
        };
    }
}
