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
use std::time::Duration;

/// The state.
#[derive(Debug)]
pub struct Publisher {
    pub(super) rules: Rules,
    /// By the name under which it is published.
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) renditions: BTreeMap<String, Rendition>,
    pub(super) multivariants: BTreeMap<String, Multivariant>,
    pub(super) trash: VecDeque<(Duration, String)>,
    /// Whose turn it was last.
    pub(super) last_served: String,
    /// When a file was put last.
    last_success: Duration,
    lags: Vec<Lag>,
}

/// How far viewers were behind the transcoder when a playlist was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The playlist.
    pub rendition: String,
    /// From when its newest segment was closed until that was there.
    pub object: Duration,
    /// From when its newest segment was closed until the playlist named it.
    pub playlist: Duration,
}

#[derive(Debug)]
pub(super) struct Object {
    pub(super) path: String,
    pub(super) file: FileId,
    pub(super) state: State,
    /// When the file was closed, or else first heard of.
    pub(super) since: Duration,
    /// When it was put.
    pub(super) there_since: Option<Duration>,
    pub(super) last_failure: Option<Duration>,
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
pub(super) struct Multivariant {
    pub(super) recalled: Recall,
    pub(super) text: String,
    pub(super) renditions: BTreeSet<String>,
    pub(super) visible: Option<String>,
    pub(super) busy: bool,
    pub(super) not_before: Duration,
}

/// Who refuses a playlist for what it is will hardly take it the next second.
const HOPELESS: Duration = Duration::from_secs(5);
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
            lags: Vec::new(),
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
        of_path.max_by_key(|object| object.since).map(|object| object.file)
    }

    fn object(&mut self, path: &str, file: FileId, now: Duration) {
        let name = file.published(path);
        if self.objects.contains_key(&name) {
            return;
        }
        // A playlist may have named it before it was there.
        for (playlist, rendition) in &mut self.renditions {
            let published =
                |uri: &str| (file_of(playlist, uri).as_deref() == Some(path)).then(|| file.published(uri));
            rendition.timeline.rename(published);
        }
        let is_visible = self.renditions.values().any(|rendition| rendition.named.contains(&name));
        let state = if is_visible { State::There } else { State::Due(now) };
        let object = Object {
            path: path.to_owned(),
            file,
            state,
            since: now,
            there_since: None,
            last_failure: None,
            failed_alone: 0,
        };
        self.objects.insert(name, object);
    }

    /// Takes note of what came of a job.
    pub fn done(&mut self, job: Job, outcome: Outcome, now: Duration) {
        match job {
            Job::Recall(name) => self.recalled(&name, outcome, now),
            Job::Upload { name, .. } => {
                let Some(object) = self.objects.get_mut(&name) else { return };
                object.state = match outcome {
                    Outcome::Done | Outcome::Recalled(_) => {
                        self.last_success = now;
                        object.there_since = Some(now);
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

    fn recalled(&mut self, name: &str, outcome: Outcome, now: Duration) {
        let text = match outcome {
            Outcome::Recalled(text) => text,
            Outcome::Done => None,
            Outcome::Failed { pause, .. } => return self.recall_later(name, now + pause),
            Outcome::Hopeless(_) => return self.recall_later(name, now + HOPELESS),
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

    fn recall_later(&mut self, name: &str, at: Duration) {
        if let Some(multivariant) = self.multivariants.get_mut(name) {
            (multivariant.recalled, multivariant.not_before) = (Recall::Due, at);
        } else if let Some(rendition) = self.renditions.get_mut(name) {
            (rendition.recalled, rendition.not_before) = (Recall::Due, at);
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
        rendition.trouble = None;
        let Ok(visible) = Snapshot::parse(&text) else { return };
        rendition.visible = Some(text);
        rendition.waits_since = (!rendition.is_up_to_date()).then_some(now);
        let newest = visible.segments.last().and_then(|segment| file_of(name, &segment.uri));
        if let Some(newest) = newest.filter(|newest| !rendition.named.contains(newest))
            && let Some(Object { since, there_since: Some(there), .. }) = self.objects.get(&newest)
        {
            let (object, playlist) = (there.saturating_sub(*since), now.saturating_sub(*since));
            self.lags.push(Lag { rendition: name.to_owned(), object, playlist });
        }
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

    /// What was measured since this was asked last.
    pub fn take_lags(&mut self) -> Vec<Lag> {
        std::mem::take(&mut self.lags)
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
