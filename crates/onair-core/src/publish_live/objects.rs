//! Files on the disk, and how far each is on its way into the bucket.

use super::job::{Job, Outcome};
use super::names::FileId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often a file must fail while others do not, to be lost: when S3 is away, none is.
pub(super) const FAILED_ALONE: u32 = 3;
/// A file that no playlist names after this time belongs to none.
const UNNAMED: Duration = Duration::from_secs(60);

/// A larger file waits until a playlist names it, in bytes: it may be a recording, and hold
/// everything else up.
const LARGE_BYTES: u64 = 32 * 1024 * 1024;

/// All files that are known, by the name under which each is published.
#[derive(Debug, Default)]
pub(super) struct LiveObjects {
    by_name: BTreeMap<String, LiveObject>,
    /// Those that no playlist has named yet.
    unnamed: BTreeSet<String>,
    /// When a file was put last.
    last_success: Duration,
    /// When what nobody needs was forgotten last.
    swept: Duration,
}

#[derive(Debug)]
pub(super) struct LiveObject {
    path: String,
    file: FileId,
    pub(super) state: ObjectState,
    /// When the file was closed, or else first heard of.
    pub(super) since: Duration,
    /// When it was put.
    pub(super) there_since: Option<Duration>,
    last_failure: Option<Duration>,
    /// How often it failed while others did not.
    pub(super) failed_alone: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ObjectState {
    /// It is to be put, not before this time.
    Due(Duration),
    Busy,
    There,
    Lost(String),
}

impl LiveObject {
    pub(super) fn is_due(&self, now: Duration) -> bool {
        matches!(self.state, ObjectState::Due(at) if at <= now)
    }

    /// The folder that its file is in.
    fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

impl LiveObjects {
    pub(super) fn get(&self, name: &str) -> Option<&LiveObject> {
        self.by_name.get(name)
    }

    /// The content that this file had when it was last closed.
    pub(super) fn newest(&self, path: &str) -> Option<FileId> {
        let of_path = self.by_name.values().filter(|object| object.path == path);
        of_path
            .max_by_key(|object| object.since)
            .map(|object| object.file)
    }

    /// Takes note of a content of a file; whether it was unknown.
    pub(super) fn insert(&mut self, path: &str, file: FileId, now: Duration) -> bool {
        let name = file.published(path);
        if self.by_name.contains_key(&name) {
            return false;
        }
        self.unnamed.insert(name.clone());
        let object = LiveObject {
            path: path.to_owned(),
            file,
            state: ObjectState::Due(now),
            since: now,
            there_since: None,
            last_failure: None,
            failed_alone: 0,
        };
        self.by_name.insert(name, object);
        true
    }

    /// A playlist names it.
    pub(super) fn named(&mut self, name: &str) {
        self.unnamed.remove(name);
    }

    /// It is there, by what a playlist says that is visible.
    pub(super) fn found(&mut self, name: &str) {
        if let Some(object) = self.by_name.get_mut(name) {
            object.state = ObjectState::There;
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
        self.unnamed.remove(name);
    }

    /// Forgets, now and then, what no playlist names or needs; whether it was time for that.
    pub(super) fn sweep(&mut self, now: Duration, is_needed: impl Fn(&str) -> bool) -> bool {
        if now.saturating_sub(self.swept) < UNNAMED {
            return false;
        }
        self.swept = now;
        self.by_name.retain(|name, object| {
            object.state == ObjectState::Busy
                || now.saturating_sub(object.since) < UNNAMED
                || is_needed(name)
        });
        let by_name = &self.by_name;
        self.unnamed.retain(|name| by_name.contains_key(name));
        true
    }

    /// The one that was closed first of those that no playlist names yet, if one is due. Those of a
    /// folder in which so many are busy wait, and so does what is in `not`.
    pub(super) fn first_unnamed(
        &self,
        now: Duration,
        at_once: usize,
        not: &BTreeSet<String>,
    ) -> Option<String> {
        let mut due: Vec<(&String, &LiveObject)> = self
            .unnamed
            .iter()
            .filter_map(|name| Some((name, self.by_name.get(name)?)))
            .filter(|(_, object)| object.is_due(now) && now.saturating_sub(object.since) < UNNAMED)
            .filter(|(name, object)| object.file.size_bytes <= LARGE_BYTES && !not.contains(*name))
            .collect();
        due.sort_by_key(|(_, object)| object.since);
        if due.is_empty() {
            return None;
        }
        let mut busy: BTreeMap<&str, usize> = BTreeMap::new();
        for object in self
            .by_name
            .values()
            .filter(|object| object.state == ObjectState::Busy)
        {
            *busy.entry(object.folder()).or_default() += 1;
        }
        let has_room =
            |object: &LiveObject| busy.get(object.folder()).copied().unwrap_or_default() < at_once;
        due.into_iter()
            .find(|(_, object)| has_room(object))
            .map(|(name, _)| name.clone())
    }

    /// Begins to put it.
    pub(super) fn upload(&mut self, name: String) -> Option<Job> {
        let object = self.by_name.get_mut(&name)?;
        object.state = ObjectState::Busy;
        Some(Job::Upload {
            path: object.path.clone(),
            file: object.file,
            name,
        })
    }

    /// Takes note of what came of that; whether it is there now.
    pub(super) fn uploaded(&mut self, name: &str, outcome: Outcome, now: Duration) -> bool {
        let Some(object) = self.by_name.get_mut(name) else {
            return false;
        };
        object.state = match outcome {
            Outcome::Done | Outcome::Recalled(_) => {
                self.last_success = now;
                object.there_since = Some(now);
                ObjectState::There
            }
            Outcome::Failed { pause, .. } => {
                let others_went = object
                    .last_failure
                    .is_some_and(|last| self.last_success > last);
                object.failed_alone += u32::from(others_went);
                object.last_failure = Some(now);
                ObjectState::Due(now.saturating_add(pause))
            }
            Outcome::Permanent(why) => ObjectState::Lost(why),
        };
        object.state == ObjectState::There
    }
}
