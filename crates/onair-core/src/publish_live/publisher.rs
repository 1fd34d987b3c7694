//! What is to be done next: a state that is told what happens on the disk and in the bucket, and
//! asked for the next job.
//!
//! No playlist is put before all that it names is known to be there; a newer one takes the place of
//! one that waits. Renditions wait for nothing of each other.

use super::job::{Job, LivePolicy, Outcome};
use super::media_playlist::{MediaPlaylist, MediaPlaylistError, Segment};
use super::names::{FileId, FileKind, file_kind, file_of};
use super::objects::{LiveObject, LiveObjects};
use super::published::{PublishedPlaylist, ReadBack};
use super::rendition::LiveRendition;
pub use super::rendition::RenditionStatus;
use super::vod::{self, VodState, is_vod_name, vod_name};
use crate::playlist::MultivariantPlaylist;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The state.
#[derive(Debug)]
pub struct LivePublisher {
    pub(super) policy: LivePolicy,
    pub(super) objects: LiveObjects,
    /// Every playlist that is put, by its name.
    pub(super) documents: BTreeMap<String, PublishedPlaylist>,
    pub(super) renditions: BTreeMap<String, LiveRendition>,
    pub(super) multivariants: BTreeMap<String, LiveMultivariant>,
    pub(super) pending_deletes: VecDeque<(Duration, String)>,
    /// What the visible playlists of streams name that are over, by playlist.
    pub(super) ended: BTreeMap<String, BTreeSet<String>>,
    /// What is being deleted: until that is done, nothing is put under the same name.
    pub(super) deleting: BTreeSet<String>,
    /// Whose turn it was last.
    pub(super) last_served: String,
    lags: Vec<PublishLag>,
    /// Why viewers were told of a gap, each time since this was asked last.
    pub(super) gaps: Vec<String>,
}

/// How far viewers were behind the transcoder when a playlist was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishLag {
    /// The playlist.
    pub rendition: String,
    /// From when its newest segment was closed until that was there.
    pub object: Duration,
    /// From when its newest segment was closed until the playlist named it.
    pub playlist: Duration,
}

#[derive(Debug)]
pub(super) struct LiveMultivariant {
    pub(super) text: String,
    /// The playlists that must be visible before it.
    pub(super) names: Vec<String>,
    /// When it was read first.
    pub(super) since: Duration,
}

/// Who refuses a playlist for what it is will hardly take it the next second.
const PERMANENT: Duration = Duration::from_secs(5);

impl LivePublisher {
    /// Nothing has happened yet.
    pub fn new(policy: LivePolicy) -> Self {
        Self {
            policy,
            objects: LiveObjects::default(),
            documents: BTreeMap::new(),
            renditions: BTreeMap::new(),
            multivariants: BTreeMap::new(),
            pending_deletes: VecDeque::new(),
            ended: BTreeMap::new(),
            deleting: BTreeSet::new(),
            last_served: String::new(),
            lags: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// A file was closed, or moved to where it is. An empty one is none yet, and what may be no
    /// part of the stream is one as soon as a playlist names it.
    pub fn file_closed(&mut self, path: &str, file: FileId, now: Duration) {
        let is_segment = file_kind(path).is_some_and(|(kind, _)| kind == FileKind::Segment);
        let is_wanted = is_segment
            || self
                .renditions
                .values()
                .any(|known| known.unknown.contains(path));
        if is_wanted && file.size_bytes > 0 {
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
        let keeps = self.policy.delete_after.is_none();
        if keeps && is_vod_name(path) {
            return Err("with --keep, this is the name of the playlist of all that was".to_owned());
        }
        let mut snapshot = match MediaPlaylist::parse(text) {
            Ok(snapshot) => snapshot,
            Err(MediaPlaylistError::Multivariant) => {
                return self.multivariant_read(path, text, now);
            }
            Err(MediaPlaylistError::Unusable(why)) => return Err(why),
        };
        if let Some(uri) = snapshot.leads_out(path) {
            return Err(format!(
                "{uri:?} leads out of the folder, where nothing is published from"
            ));
        }
        // A disk that is full cuts a name off as it does anything else.
        let last = snapshot
            .segments
            .last()
            .and_then(|segment| file_of(path, &segment.uri));
        if !text.ends_with('\n') && last.is_some_and(|last| !files.contains_key(&last)) {
            return Err("it is cut off".to_owned());
        }
        let mut unknown = BTreeSet::new();
        for segment in &mut snapshot.segments {
            self.as_published(path, segment, files, now, &mut unknown);
        }
        if self.ended.remove(path).is_some() {
            self.documents.remove(path);
            self.documents.remove(&vod_name(path));
        }
        let document = self.documents.entry(path.to_owned()).or_default();
        let rendition = self.renditions.entry(path.to_owned()).or_default();
        rendition.gone_since = None;
        rendition.unknown = unknown;
        match rendition.is_recalled {
            true => rendition.follow(&snapshot, now, document),
            false => {
                rendition.waits_since.get_or_insert(now);
                rendition.unread = Some((snapshot, now));
            }
        }
        if keeps {
            rendition.vod.get_or_insert_default();
            self.documents.entry(vod_name(path)).or_default();
        }
        rendition.refresh(path, &self.objects, now);
        Ok(())
    }

    fn multivariant_read(&mut self, path: &str, text: &str, now: Duration) -> Result<(), String> {
        let last = text.lines().last().and_then(|line| file_of(path, line));
        if !text.ends_with('\n') && !last.is_some_and(|last| self.documents.contains_key(&last)) {
            return Err(
                "it is cut off: its last line has no end, and names nothing that is there"
                    .to_owned(),
            );
        }
        let playlist = MultivariantPlaylist::parse(text).map_err(|error| error.to_string())?;
        let names = playlist
            .playable_uris()
            .filter_map(|uri| file_of(path, uri))
            .collect();
        self.multivariant(path.to_owned(), text.to_owned(), names, now);
        if self.policy.delete_after.is_none() {
            let (text, names) = vod::multivariant(path, &playlist);
            self.multivariant(vod_name(path), text, names, now);
        }
        Ok(())
    }

    fn multivariant(&mut self, name: String, text: String, names: Vec<String>, now: Duration) {
        self.documents.entry(name.clone()).or_default();
        let since = self
            .multivariants
            .get(&name)
            .map_or(now, |known| known.since);
        self.multivariants
            .insert(name, LiveMultivariant { text, names, since });
    }

    /// A playlist is gone from the disk. If it does not come back, nothing comes after what is
    /// published of it.
    pub fn playlist_gone(&mut self, path: &str, now: Duration) {
        if let Some(rendition) = self.renditions.get_mut(path) {
            rendition.gone_since.get_or_insert(now);
        }
    }

    /// Gives a segment the URIs under which it is published. `unknown` gets the files that are not
    /// there yet.
    fn as_published(
        &mut self,
        playlist: &str,
        segment: &mut Segment,
        files: &BTreeMap<String, FileId>,
        now: Duration,
        unknown: &mut BTreeSet<String>,
    ) {
        let published = |uri: &str| {
            let path = file_of(playlist, uri)?;
            let Some(file) = files
                .get(&path)
                .copied()
                .or_else(|| self.objects.newest(&path))
            else {
                unknown.insert(path);
                return None;
            };
            self.object(&path, file, now);
            self.objects.named(&file.published(&path));
            Some(file.published(uri))
        };
        segment.rename(published);
    }

    fn object(&mut self, path: &str, file: FileId, now: Duration) {
        if !self.objects.insert(path, file, now) {
            return;
        }
        let name = file.published(path);
        if self
            .renditions
            .values()
            .any(|rendition| rendition.named.contains(&name))
        {
            self.objects.found(&name);
        }
        // A playlist may have named it before it was there.
        for (playlist, rendition) in &mut self.renditions {
            if rendition.unknown.remove(path) {
                let published = |uri: &str| {
                    (file_of(playlist, uri).as_deref() == Some(path)).then(|| file.published(uri))
                };
                rendition.window.rename(published);
                let unread = rendition
                    .unread
                    .iter_mut()
                    .flat_map(|(snapshot, _)| &mut snapshot.segments);
                unread.for_each(|segment| segment.rename(published));
                self.objects.named(&name);
                rendition.refresh(playlist, &self.objects, now);
            }
        }
    }

    /// Takes note of what came of a job.
    pub fn done(&mut self, job: Job, outcome: Outcome, now: Duration) {
        match job {
            Job::ReadPublished(name) => self.recalled(&name, outcome, now),
            Job::Upload { name, .. } => {
                if let Outcome::Failed { why, .. } = &outcome {
                    let waiting = self
                        .renditions
                        .values_mut()
                        .filter(|known| known.waits_for(&name));
                    waiting.for_each(|known| known.cause = Some(why.clone()));
                }
                if self.objects.uploaded(&name, outcome, now) {
                    self.renditions
                        .values_mut()
                        .for_each(|rendition| rendition.found(&name));
                }
            }
            Job::Publish { name, text } => self.published(&name, text, outcome, now),
            Job::Delete(names) => {
                self.deleting.clear();
                if let Outcome::Failed { pause, .. } = outcome {
                    for name in names.into_iter().rev() {
                        self.pending_deletes
                            .push_front((now.saturating_add(pause), name));
                    }
                }
            }
        }
    }

    fn recalled(&mut self, name: &str, outcome: Outcome, now: Duration) {
        let Some(document) = self.documents.get_mut(name) else {
            return;
        };
        let failed = match outcome {
            Outcome::Recalled(Some((text, age))) => {
                (document.visible, document.age) = (Some(text), age);
                None
            }
            outcome => failure(outcome),
        };
        document.recalled = if failed.is_some() {
            ReadBack::Due
        } else {
            ReadBack::Done
        };
        let pause = failed.as_ref().map_or(Duration::ZERO, |(_, pause)| *pause);
        document.not_before = now.saturating_add(pause);
        // A transcoder may have given a playlist of its own the name of a VOD playlist.
        let is_own = self.renditions.contains_key(name);
        let is_its = |path: &&String| *path == name || !is_own && vod_name(path) == name;
        let Some(path) = self.renditions.keys().find(is_its).cloned() else {
            return;
        };
        match (failed, self.renditions.get_mut(&path)) {
            (Some((why, _)), Some(rendition)) => rendition.cause = Some(why),
            _ => self.adopt(&path, now),
        }
    }

    /// A rendition goes on when all that was published of it is known.
    fn adopt(&mut self, path: &str, now: Duration) {
        let known = |name: &str| {
            self.documents
                .get(name)
                .filter(|known| known.recalled == ReadBack::Done)
        };
        let (Some(document), Some(rendition)) = (known(path), self.renditions.get_mut(path)) else {
            return;
        };
        // What was there and is no playlist of ours is overwritten.
        let text = |known: &PublishedPlaylist| MediaPlaylist::parse(known.visible.as_deref()?).ok();
        let all = match rendition.vod.is_some().then(|| known(&vod_name(path))) {
            Some(None) => return,
            Some(Some(all)) => text(all),
            None => None,
        };
        rendition.adopt(path, text(document), all, (now, document.age));
        rendition
            .named
            .iter()
            .for_each(|name| self.objects.found(name));
        if let Some((snapshot, read)) = rendition.unread.take() {
            rendition.follow(&snapshot, read, document);
        }
        rendition.refresh(path, &self.objects, now);
    }

    fn published(&mut self, name: &str, text: String, outcome: Outcome, now: Duration) {
        let Some(document) = self.documents.get_mut(name) else {
            return;
        };
        document.busy = false;
        if let Some((why, pause)) = failure(outcome) {
            document.not_before = now.saturating_add(pause);
            if let Some(rendition) = self.renditions.get_mut(name) {
                rendition.cause = Some(why);
            }
            return;
        }
        let visible = MediaPlaylist::parse(&text).ok();
        document.visible = Some(text);
        let Some(visible) = visible else { return };
        if let Some(rendition) = self.renditions.get_mut(name) {
            let newest = visible
                .segments
                .last()
                .and_then(|segment| file_of(name, &segment.uri));
            if let Some(newest) = newest.filter(|newest| !rendition.named.contains(newest))
                && let Some(LiveObject {
                    since,
                    there_since: Some(there),
                    ..
                }) = self.objects.get(&newest)
            {
                let (object, playlist) = (there.saturating_sub(*since), now.saturating_sub(*since));
                self.lags.push(PublishLag {
                    rendition: name.to_owned(),
                    object,
                    playlist,
                });
                rendition.lag = Some(playlist);
            }
            let gone = rendition.now_visible(name, &visible, document, now);
            rendition.refresh(name, &self.objects, now);
            self.no_longer_named(gone, now);
        } else if let Some((path, kept)) = self
            .renditions
            .iter_mut()
            .find(|(path, _)| vod_name(path) == name)
        {
            kept.vod = Some(VodState::of(&visible));
            kept.refresh(path, &self.objects, now);
        }
    }

    /// What a playlist named before: unless another one needs it, it goes in a while.
    fn no_longer_named(&mut self, gone: Vec<String>, now: Duration) {
        let gone: Vec<String> = gone
            .into_iter()
            .filter(|name| !self.involves(name))
            .collect();
        for name in gone {
            self.objects.forget(&name);
            if let Some(keep) = self.policy.delete_after {
                self.pending_deletes
                    .push_back((now.saturating_add(keep), name));
            }
        }
    }

    /// Whether a playlist needs an object, or names it.
    pub(super) fn involves(&self, name: &str) -> bool {
        self.renditions
            .values()
            .any(|rendition| rendition.involves(name))
            || self.ended.values().any(|named| named.contains(name))
    }

    /// Whether everything is published that was read, and can be.
    pub fn is_idle(&mut self, now: Duration) -> bool {
        let objects = &self.objects;
        let is_kept = self
            .renditions
            .iter_mut()
            .all(|(name, rendition)| rendition.vod_due(name, objects, now).is_none());
        let is_up_to_date = |(name, rendition): (&String, &LiveRendition)| {
            self.documents
                .get(name)
                .is_some_and(|document| rendition.is_up_to_date(document))
        };
        is_kept
            && self.documents.values().all(|document| !document.busy)
            && self.renditions.iter().all(is_up_to_date)
            && self.multivariants.iter().all(|(name, multivariant)| {
                self.documents
                    .get(name)
                    .is_some_and(|document| document.has(&multivariant.text))
                    || self.missing(multivariant).next().is_some()
            })
    }

    /// What a multivariant playlist waits for.
    pub(super) fn missing<'a>(
        &self,
        multivariant: &'a LiveMultivariant,
    ) -> impl Iterator<Item = &'a str> {
        let is_visible = |name: &str| {
            self.documents
                .get(name)
                .is_some_and(|document| document.visible.is_some())
        };
        multivariant
            .names
            .iter()
            .map(String::as_str)
            .filter(move |name| !is_visible(name))
    }

    /// The multivariant playlists that have been waiting since before this time, and what for.
    pub fn waiting(&self, since: Duration) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let waiting = self
            .multivariants
            .iter()
            .filter(move |(name, multivariant)| {
                let is_visible = self
                    .documents
                    .get(*name)
                    .is_some_and(|known| known.has(&multivariant.text));
                multivariant.since < since && !is_visible
            });
        let missing = waiting
            .map(|(name, multivariant)| (name.as_str(), self.missing(multivariant).collect()));
        missing.filter(|(_, missing): &(_, Vec<&str>)| !missing.is_empty())
    }

    /// What was measured since this was asked last.
    pub fn take_lags(&mut self) -> Vec<PublishLag> {
        std::mem::take(&mut self.lags)
    }

    /// Why viewers are told of gaps that they were not told of when this was asked last.
    pub fn take_gaps(&mut self) -> Vec<String> {
        std::mem::take(&mut self.gaps)
    }

    /// How each rendition is.
    pub fn renditions(&self) -> impl Iterator<Item = (&str, RenditionStatus)> {
        let objects = &self.objects;
        self.renditions
            .iter()
            .map(|(name, rendition)| (name.as_str(), rendition.progress(objects)))
    }
}

/// Why something about a playlist failed, and how long to wait before the next try.
fn failure(outcome: Outcome) -> Option<(String, Duration)> {
    match outcome {
        Outcome::Done | Outcome::Recalled(_) => None,
        Outcome::Failed { why, pause } => Some((why, pause)),
        Outcome::Permanent(why) => Some((why, PERMANENT)),
    }
}
