//! What is to be done next: a state that is told what happens on the disk and in the bucket, and asked for the next job.
//!
//! No playlist is put before all that it names is known to be there; a newer one takes the place of one that waits.
//! Renditions wait for nothing of each other.

use super::job::{Job, Outcome, Rules};
use super::names::{FileId, Kind, file_of, kind};
pub use super::rendition::Progress;
use super::rendition::{Recall, Rendition, names};
use super::snapshot::{NotMedia, Segment, Snapshot};
use super::timeline::Timeline;
use crate::playlist::MultivariantPlaylist;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

/// The state.
#[derive(Debug)]
pub struct Publisher {
    rules: Rules,
    /// By the name under which it is published.
    objects: BTreeMap<String, Object>,
    renditions: BTreeMap<String, Rendition>,
    multivariants: BTreeMap<String, Multivariant>,
    trash: VecDeque<(Duration, String)>,
    /// Whose turn it was last.
    last_served: String,
    /// When a file was put last.
    last_success: Duration,
}

#[derive(Debug)]
pub(super) struct Object {
    path: String,
    file: FileId,
    pub(super) state: State,
    /// When the file was closed, or else first heard of.
    since: Duration,
    last_failure: Option<Duration>,
    /// How often it failed while others did not.
    pub(super) failed_alone: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It is to be put, not before this time.
    Due(Duration),
    Busy,
    There,
    Lost(String),
}

#[derive(Debug, Default)]
struct Multivariant {
    recalled: Recall,
    text: String,
    renditions: BTreeSet<String>,
    visible: Option<String>,
    busy: bool,
    not_before: Duration,
}

/// How many files of one rendition are put at a time: one that is slow leaves the others their share.
const UPLOADS_OF_A_RENDITION: usize = 4;
/// A file that no playlist names after this time belongs to none.
const UNNAMED: Duration = Duration::from_secs(60);
/// Who refuses a playlist for what it is will hardly take it the next second.
const HOPELESS: Duration = Duration::from_secs(5);
/// How many objects one call deletes at most (S3 API reference, DeleteObjects).
const DELETED_AT_ONCE: usize = 1_000;

impl Publisher {
    /// Nothing has happened yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            objects: BTreeMap::new(),
            renditions: BTreeMap::new(),
            multivariants: BTreeMap::new(),
            trash: VecDeque::new(),
            last_served: String::new(),
            last_success: Duration::ZERO,
        }
    }

    /// A file was closed, or moved to where it is. An empty one is none yet.
    pub fn file_closed(&mut self, path: &str, file: FileId, now: Duration) {
        if kind(path).is_some_and(|(kind, _)| kind == Kind::Media) && file.size_bytes > 0 {
            self.object(path, file, now);
        }
    }

    /// A playlist was read. `files` are those of the files it names that are there and not empty.
    ///
    /// # Errors
    ///
    /// Why it cannot be published. What was read of it before stays.
    pub fn playlist_read(
        &mut self,
        path: &str,
        text: &str,
        files: &BTreeMap<String, FileId>,
        now: Duration,
    ) -> Result<(), String> {
        let mut snapshot = match Snapshot::parse(text) {
            Ok(snapshot) => snapshot,
            Err(NotMedia::Multivariant) => return self.multivariant_read(path, text),
            Err(NotMedia::Unusable(why)) => return Err(why),
        };
        for segment in &mut snapshot.segments {
            self.as_published(path, segment, files, now);
        }
        let rendition = self.renditions.entry(path.to_owned()).or_default();
        match rendition.recalled {
            Recall::Done => rendition.follow(&snapshot, now),
            Recall::Due | Recall::Busy => rendition.unread = Some((snapshot, now)),
        }
        Ok(())
    }

    fn multivariant_read(&mut self, path: &str, text: &str) -> Result<(), String> {
        let playlist = MultivariantPlaylist::parse(text).map_err(|error| error.to_string())?;
        let renditions = playlist.uris().filter_map(|uri| file_of(path, uri)).collect();
        let known = self.multivariants.remove(path);
        let new = known.unwrap_or_default();
        self.multivariants.insert(path.to_owned(), Multivariant { text: text.to_owned(), renditions, ..new });
        Ok(())
    }

    /// Gives a segment the URIs under which it is published.
    fn as_published(
        &mut self,
        playlist: &str,
        segment: &mut Segment,
        files: &BTreeMap<String, FileId>,
        now: Duration,
    ) {
        let mut published = |uri: &str| {
            let path = file_of(playlist, uri)?;
            let file = files.get(&path).copied().or_else(|| self.newest(&path))?;
            self.object(&path, file, now);
            Some(file.published(uri))
        };
        for attached in segment.map.iter_mut().chain(&mut segment.keys) {
            if let Some(uri) = attached.uri.as_deref().and_then(&mut published) {
                *attached = attached.at(&uri);
            }
        }
        if let Some(uri) = published(&segment.uri) {
            segment.uri = uri;
        }
    }

    /// The content that this file had when it was last closed.
    fn newest(&self, path: &str) -> Option<FileId> {
        let of_path = self.objects.values().filter(|object| object.path == path);
        of_path.map(|object| object.file).max_by_key(|file| file.modified_ms)
    }

    fn object(&mut self, path: &str, file: FileId, now: Duration) {
        let name = file.published(path);
        let is_visible = self.renditions.values().any(|rendition| rendition.named.contains(&name));
        let state = if is_visible { State::There } else { State::Due(now) };
        let new =
            || Object { path: path.to_owned(), file, state, since: now, last_failure: None, failed_alone: 0 };
        self.objects.entry(name).or_insert_with(new);
    }

    /// What to do next, if anything can be done now.
    pub fn next(&mut self, now: Duration) -> Option<Job> {
        self.recall().or_else(|| self.publish(now)).or_else(|| self.upload(now)).or_else(|| self.delete(now))
    }

    fn recall(&mut self) -> Option<Job> {
        let renditions = self.renditions.iter_mut().map(|(name, rendition)| (name, &mut rendition.recalled));
        let all =
            renditions.chain(self.multivariants.iter_mut().map(|(name, known)| (name, &mut known.recalled)));
        let (name, recalled) = all.into_iter().find(|(_, recalled)| **recalled == Recall::Due)?;
        *recalled = Recall::Busy;
        Some(Job::Recall(name.clone()))
    }

    fn publish(&mut self, now: Duration) -> Option<Job> {
        for (name, rendition) in &mut self.renditions {
            if let Some(text) = rendition.ready(name, &self.objects, self.rules.on_lost, now) {
                rendition.busy = true;
                return Some(Job::Publish { name: name.clone(), text });
            }
        }
        let is_visible =
            |name: &String| self.renditions.get(name).is_some_and(|known| known.visible.is_some());
        let (name, multivariant) = self.multivariants.iter_mut().find(|(_, multivariant)| {
            multivariant.recalled == Recall::Done
                && !multivariant.busy
                && now >= multivariant.not_before
                && multivariant.visible.as_ref() != Some(&multivariant.text)
                && multivariant.renditions.iter().all(is_visible)
        })?;
        multivariant.busy = true;
        Some(Job::Publish { name: name.clone(), text: multivariant.text.clone() })
    }

    fn upload(&mut self, now: Duration) -> Option<Job> {
        // Renditions take turns.
        let after = self.renditions.range::<String, _>((Excluded(&self.last_served), Unbounded));
        let before = self.renditions.range::<String, _>(..=&self.last_served);
        let mut found = None;
        for (playlist, rendition) in after.chain(before) {
            let needs = rendition.needs(playlist);
            let state = |name: &String| self.objects.get(name).map(|object| &object.state);
            let busy = needs.iter().filter(|name| state(name) == Some(&State::Busy)).count();
            if busy < UPLOADS_OF_A_RENDITION
                && let Some(name) = needs.into_iter().find(|name| is_due(state(name), now))
            {
                found = Some((playlist.clone(), name));
                break;
            }
        }
        let name = match found {
            Some((playlist, name)) => {
                self.last_served = playlist;
                name
            }
            // What was just closed will be named in a moment.
            None => self.unnamed(now)?,
        };
        let object = self.objects.get_mut(&name)?;
        object.state = State::Busy;
        Some(Job::Upload { path: object.path.clone(), file: object.file, name })
    }

    /// The file that was closed first of those that no playlist names yet. Those of a folder in which enough is going on
    /// wait.
    fn unnamed(&mut self, now: Duration) -> Option<String> {
        let named: BTreeSet<String> =
            self.renditions.iter().flat_map(|(playlist, rendition)| rendition.needs(playlist)).collect();
        self.objects.retain(|name, object| {
            named.contains(name) || object.state == State::Busy || now.saturating_sub(object.since) < UNNAMED
        });
        let mut busy: BTreeMap<&str, usize> = BTreeMap::new();
        for object in self.objects.values().filter(|object| object.state == State::Busy) {
            *busy.entry(folder(&object.path)).or_default() += 1;
        }
        let has_room = |object: &Object| {
            busy.get(folder(&object.path)).copied().unwrap_or_default() < UPLOADS_OF_A_RENDITION
        };
        let waiting = self.objects.iter().filter(|(name, object)| {
            !named.contains(*name) && is_due(Some(&object.state), now) && has_room(object)
        });
        waiting.min_by_key(|(_, object)| object.since).map(|(name, _)| name.clone())
    }

    fn delete(&mut self, now: Duration) -> Option<Job> {
        let due = self.trash.iter().take_while(|(at, _)| *at <= now).count().min(DELETED_AT_ONCE);
        let names: Vec<String> = self.trash.drain(..due).map(|(_, name)| name).collect();
        (!names.is_empty()).then_some(Job::Delete(names))
    }

    /// Takes note of what came of a job.
    pub fn done(&mut self, job: Job, outcome: Outcome, now: Duration) {
        match job {
            Job::Recall(name) => self.recalled(&name, outcome),
            Job::Upload { name, .. } => {
                let Some(object) = self.objects.get_mut(&name) else { return };
                object.state = match outcome {
                    Outcome::Done | Outcome::Recalled(_) => {
                        self.last_success = now;
                        State::There
                    }
                    Outcome::Failed { pause, .. } => {
                        let others_went = object.last_failure.is_some_and(|last| self.last_success > last);
                        object.failed_alone += u32::from(others_went);
                        object.last_failure = Some(now);
                        State::Due(now + pause)
                    }
                    Outcome::Hopeless(why) => State::Lost(why),
                };
            }
            Job::Publish { name, text } => self.published(&name, text, outcome, now),
            Job::Delete(names) => {
                if let Outcome::Failed { pause, .. } = outcome {
                    for name in names.into_iter().rev() {
                        self.trash.push_front((now + pause, name));
                    }
                }
            }
        }
    }

    fn recalled(&mut self, name: &str, outcome: Outcome) {
        let Outcome::Recalled(text) = outcome else {
            let renditions = self.renditions.get_mut(name).map(|rendition| &mut rendition.recalled);
            let known = renditions.or(self.multivariants.get_mut(name).map(|known| &mut known.recalled));
            known.into_iter().for_each(|recalled| *recalled = Recall::Due);
            return;
        };
        if let Some(multivariant) = self.multivariants.get_mut(name) {
            multivariant.recalled = Recall::Done;
            multivariant.visible = text;
        } else if let Some(rendition) = self.renditions.get_mut(name) {
            rendition.recalled = Recall::Done;
            // What was there and is no playlist of ours is overwritten.
            if let Some(published) = text.as_deref().and_then(|text| Snapshot::parse(text).ok()) {
                rendition.timeline = Timeline::adopt(published);
                rendition.named = rendition.needs(name).into_iter().collect();
                rendition.visible = text;
            }
            for name in &rendition.named {
                if let Some(object) = self.objects.get_mut(name) {
                    object.state = State::There;
                }
            }
            if let Some((snapshot, read)) = rendition.unread.take() {
                rendition.follow(&snapshot, read);
            }
        }
    }

    fn published(&mut self, name: &str, text: String, outcome: Outcome, now: Duration) {
        let failed = match outcome {
            Outcome::Done | Outcome::Recalled(_) => None,
            Outcome::Failed { why, pause } => Some((why, pause)),
            Outcome::Hopeless(why) => Some((why, HOPELESS)),
        };
        if let Some(multivariant) = self.multivariants.get_mut(name) {
            multivariant.busy = false;
            match failed {
                None => multivariant.visible = Some(text),
                Some((_, pause)) => multivariant.not_before = now + pause,
            }
            return;
        }
        let Some(rendition) = self.renditions.get_mut(name) else { return };
        rendition.busy = false;
        if let Some((why, pause)) = failed {
            rendition.not_before = now + pause;
            rendition.trouble = Some(why);
            return;
        }
        (rendition.trouble, rendition.waits_since) = (None, None);
        let Ok(visible) = Snapshot::parse(&text) else { return };
        rendition.visible = Some(text);
        let named: BTreeSet<String> = names(name, &visible.segments).into_iter().collect();
        let gone: Vec<String> = std::mem::replace(&mut rendition.named, named).into_iter().collect();
        let still: BTreeSet<String> = self
            .renditions
            .iter()
            .flat_map(|(name, rendition)| {
                rendition.needs(name).into_iter().chain(rendition.named.iter().cloned())
            })
            .collect();
        for name in gone.into_iter().filter(|name| !still.contains(name)) {
            self.objects.remove(&name);
            if let Some(keep) = self.rules.keep {
                self.trash.push_back((now + keep, name));
            }
        }
    }

    /// Whether everything is published that was read, and can be.
    pub fn is_idle(&self) -> bool {
        let is_visible =
            |name: &String| self.renditions.get(name).is_some_and(|known| known.visible.is_some());
        self.renditions.values().all(|rendition| !rendition.busy && rendition.is_up_to_date())
            && self.multivariants.values().all(|multivariant| {
                multivariant.visible.as_ref() == Some(&multivariant.text)
                    || !multivariant.renditions.iter().all(is_visible)
            })
    }

    /// How each rendition is.
    pub fn renditions(&self) -> impl Iterator<Item = (&str, Progress)> {
        self.renditions.iter().map(|(name, rendition)| {
            let needs = rendition.needs(name);
            let is_there = |name: &&String| rendition.is_there(name, &self.objects);
            let progress = Progress {
                sequence: rendition.timeline.sequence(),
                waits_since: rendition.waits_since,
                to_upload: needs.iter().filter(|name| !is_there(name)).count(),
                trouble: rendition.trouble.clone(),
            };
            (name.as_str(), progress)
        })
    }
}

fn is_due(state: Option<&State>, now: Duration) -> bool {
    matches!(state, Some(State::Due(at)) if *at <= now)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
