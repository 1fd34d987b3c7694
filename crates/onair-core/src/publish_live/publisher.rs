//! Receives each change on the disk and each result from S3, and decides on the next job.
//!
//! A playlist is published only after everything that it names is in S3. A newer snapshot replaces
//! a pending one. Renditions do not wait for each other.

use super::job::{FinishedJob, Job, LivePolicy, RetryLater, StoredText, UploadError};
use super::media_playlist::{MediaPlaylist, MediaPlaylistError};
use super::names::{FileId, FileKind, file_kind, file_of};
use super::objects::LiveObjects;
use super::published::PublishedPlaylist;
use super::rendition::{Context, LiveRendition};
pub use super::rendition::{PublishLag, RenditionStatus};
use super::vod::{is_vod_name, vod_multivariant, vod_name};
use crate::playlist::MultivariantPlaylist;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

/// The most uploads of one rendition in flight. The limit leaves capacity for other renditions.
const MAX_UPLOADS_PER_RENDITION: usize = 4;
/// The most objects that one request deletes (S3 API reference, DeleteObjects).
const MAX_DELETES_PER_REQUEST: usize = 1_000;

/// The state of one published folder, and the decision on the next job. It has no clock and no
/// network: `now` is the time since the process started.
#[derive(Debug)]
pub struct LivePublisher {
    policy: LivePolicy,
    objects: LiveObjects,
    /// The playlists in S3, by name.
    published: BTreeMap<String, PublishedPlaylist>,
    renditions: BTreeMap<String, LiveRendition>,
    multivariants: BTreeMap<String, LiveMultivariant>,
    /// In the order in which they are tried.
    pending_deletes: VecDeque<PendingDelete>,
    /// For each stream that has ended: the objects that its visible playlist names.
    ended: BTreeMap<String, BTreeSet<String>>,
    /// Objects whose deletion is in flight. Nothing is uploaded under these names.
    deleting: BTreeSet<String>,
    /// The rendition that was served last. Renditions take turns.
    last_served: String,
    lags: Vec<PublishLag>,
    gaps: Vec<String>,
}

#[derive(Debug)]
struct PendingDelete {
    due_at: Duration,
    name: String,
}

#[derive(Debug)]
struct LiveMultivariant {
    text: String,
    /// The playlists that must be visible before it.
    names: Vec<String>,
    first_read_at: Duration,
}

/// The reasons for which a playlist that was read is not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedPlaylist {
    /// The name is reserved for a VOD playlist.
    #[error("with --keep this is the name of a VOD playlist")]
    VodName,
    /// The media playlist is not complete, or cannot be published.
    #[error(transparent)]
    Media(#[from] MediaPlaylistError),
    /// The multivariant playlist cannot be parsed.
    #[error("{0}")]
    Multivariant(String),
    /// The last line has no line end, and names a file that does not exist.
    #[error("the last line is cut off: it has no line end, and names no known file")]
    CutOff,
    /// A URI leads out of the folder, so that its file is not published.
    #[error("{0:?} leads out of the published folder")]
    OutsideFolder(String),
}

/// Changes on the disk.
impl LivePublisher {
    /// A publisher that knows no file and no playlist.
    pub fn new(policy: LivePolicy) -> Self {
        Self {
            policy,
            objects: LiveObjects::default(),
            published: BTreeMap::new(),
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

    /// Handles a file that was closed, or moved to this path. An empty file is ignored: the
    /// transcoder has not written it yet. A file other than a segment is ignored until a playlist
    /// names it.
    pub fn file_closed(&mut self, path: &str, file: FileId, now: Duration) {
        let is_segment = file_kind(path).is_some_and(|(kind, _)| kind == FileKind::Segment);
        let mut renditions = self.renditions.values();
        let is_wanted = is_segment || renditions.any(|rendition| rendition.waits_for_file(path));
        if is_wanted && file.size_bytes > 0 {
            self.add_file(path, file, now);
        }
    }

    /// Handles a new snapshot of a playlist. `files` are the files that it names, if they exist and
    /// are not empty.
    ///
    /// # Errors
    ///
    /// [`RefusedPlaylist`]. The last valid snapshot stays published.
    pub fn playlist_read(
        &mut self,
        path: &str,
        text: &str,
        files: &BTreeMap<String, FileId>,
        now: Duration,
    ) -> Result<(), RefusedPlaylist> {
        if self.makes_vod() && is_vod_name(path) {
            return Err(RefusedPlaylist::VodName);
        }
        match MediaPlaylist::parse(text) {
            Ok(snapshot) => {
                check(path, text, &snapshot, files)?;
                self.snapshot_read(path, snapshot, files, now);
                Ok(())
            }
            Err(MediaPlaylistError::Multivariant) => self.multivariant_read(path, text, now),
            Err(error) => Err(error.into()),
        }
    }

    fn snapshot_read(
        &mut self,
        path: &str,
        mut snapshot: MediaPlaylist,
        files: &BTreeMap<String, FileId>,
        now: Duration,
    ) {
        let unknown = self.rename_files(path, &mut snapshot, files, now);
        let makes_vod = self.makes_vod();
        if self.ended.remove(path).is_some() {
            self.published.remove(path);
            self.published.remove(&vod_name(path));
        }
        if makes_vod {
            self.published.entry(vod_name(path)).or_default();
        }
        let published = self.published.entry(path.to_owned()).or_default();
        let rendition = self.renditions.entry(path.to_owned());
        let rendition = rendition.or_insert_with(|| LiveRendition::new(path, makes_vod));
        let context = Context {
            objects: &self.objects,
            now,
        };
        rendition.snapshot_read(snapshot, unknown, published, context);
    }

    /// Replaces each URI of a snapshot by the one under which its file is published. Returns the
    /// files that do not exist yet.
    fn rename_files(
        &mut self,
        path: &str,
        snapshot: &mut MediaPlaylist,
        files: &BTreeMap<String, FileId>,
        now: Duration,
    ) -> BTreeSet<String> {
        let mut unknown = BTreeSet::new();
        let mut published = |uri: &str| {
            let file_path = file_of(path, uri)?;
            let file = files.get(&file_path).copied();
            let Some(file) = file.or_else(|| self.objects.newest(&file_path)) else {
                unknown.insert(file_path);
                return None;
            };
            self.add_file(&file_path, file, now);
            self.objects.set_named(&file.published_name(&file_path));
            Some(file.published_name(uri))
        };
        for segment in &mut snapshot.segments {
            segment.rename(&mut published);
        }
        unknown
    }

    fn add_file(&mut self, path: &str, file: FileId, now: Duration) {
        if !self.objects.insert(path, file, now) {
            return;
        }
        let name = file.published_name(path);
        let mut renditions = self.renditions.values();
        if renditions.any(|rendition| rendition.is_visible(&name)) {
            self.objects.set_stored(&name);
        }
        let context = Context {
            objects: &self.objects,
            now,
        };
        let mut is_named = false;
        for rendition in self.renditions.values_mut() {
            is_named |= rendition.file_closed(path, file, context);
        }
        if is_named {
            self.objects.set_named(&name);
        }
    }

    fn multivariant_read(
        &mut self,
        path: &str,
        text: &str,
        now: Duration,
    ) -> Result<(), RefusedPlaylist> {
        let last = text.lines().last().and_then(|line| file_of(path, line));
        if !text.ends_with('\n') && !last.is_some_and(|last| self.published.contains_key(&last)) {
            return Err(RefusedPlaylist::CutOff);
        }
        let playlist = MultivariantPlaylist::parse(text)
            .map_err(|error| RefusedPlaylist::Multivariant(error.to_string()))?;
        let names = playlist
            .playable_uris()
            .filter_map(|uri| file_of(path, uri))
            .collect();
        self.set_multivariant(path.to_owned(), text.to_owned(), names, now);
        if self.makes_vod() {
            let (text, names) = vod_multivariant(path, &playlist);
            self.set_multivariant(vod_name(path), text, names, now);
        }
        Ok(())
    }

    fn set_multivariant(&mut self, name: String, text: String, names: Vec<String>, now: Duration) {
        self.published.entry(name.clone()).or_default();
        let before = self.multivariants.get(&name);
        let multivariant = LiveMultivariant {
            text,
            names,
            first_read_at: before.map_or(now, |before| before.first_read_at),
        };
        self.multivariants.insert(name, multivariant);
    }

    /// Handles the removal of a playlist from the disk. If the playlist is not written again, the
    /// stream ends.
    pub fn playlist_removed(&mut self, path: &str, now: Duration) {
        if let Some(rendition) = self.renditions.get_mut(path) {
            rendition.playlist_removed(now);
        }
    }

    fn makes_vod(&self) -> bool {
        self.policy.delete_after.is_none()
    }
}

/// Checks that a snapshot is complete and stays in the published folder.
fn check(
    path: &str,
    text: &str,
    snapshot: &MediaPlaylist,
    files: &BTreeMap<String, FileId>,
) -> Result<(), RefusedPlaylist> {
    if let Some(uri) = snapshot.uri_outside_folder(path) {
        return Err(RefusedPlaylist::OutsideFolder(uri.to_owned()));
    }
    // On a full disk the last line may be only the beginning of a name.
    let last = snapshot.segments.last();
    let last = last.and_then(|segment| file_of(path, &segment.uri));
    if !text.ends_with('\n') && last.is_some_and(|last| !files.contains_key(&last)) {
        return Err(RefusedPlaylist::CutOff);
    }
    Ok(())
}

/// The decision on the next job.
impl LivePublisher {
    /// The most urgent job that can start now. Playlists have priority over uploads, and uploads
    /// over deletions.
    pub fn next(&mut self, now: Duration) -> Option<Job> {
        self.next_read(now)
            .or_else(|| self.next_playlist(now))
            .or_else(|| self.next_upload(now))
            .or_else(|| self.next_delete(now))
    }

    fn next_read(&mut self, now: Duration) -> Option<Job> {
        let mut published = self.published.iter_mut();
        let (name, due) = published.find(|(_, published)| published.is_read_due(now))?;
        due.begin_read();
        Some(Job::ReadPublished(name.clone()))
    }

    fn next_playlist(&mut self, now: Duration) -> Option<Job> {
        let (name, text) = self
            .ready_live_playlist(now)
            .or_else(|| self.ready_multivariant(now))
            .or_else(|| self.ready_vod_playlist(now))?;
        self.published.get_mut(&name)?.begin_write();
        Some(Job::Publish { name, text })
    }

    fn ready_live_playlist(&mut self, now: Duration) -> Option<(String, String)> {
        let context = Context {
            objects: &self.objects,
            now,
        };
        for (name, rendition) in &mut self.renditions {
            let Some(published) = writable(&self.published, name, now) else {
                continue;
            };
            rendition.end_if_removed(now, published);
            self.gaps
                .extend(rendition.give_up_lost(self.policy.on_lost, context));
            if let Some(text) = rendition.ready_playlist(&self.objects) {
                return Some((name.clone(), text));
            }
        }
        None
    }

    fn ready_multivariant(&self, now: Duration) -> Option<(String, String)> {
        let (name, multivariant) = self.multivariants.iter().find(|(name, multivariant)| {
            writable(&self.published, name, now)
                .is_some_and(|published| !published.shows(&multivariant.text))
                && self.missing_playlists(multivariant).next().is_none()
        })?;
        Some((name.clone(), multivariant.text.clone()))
    }

    fn ready_vod_playlist(&mut self, now: Duration) -> Option<(String, String)> {
        let context = Context {
            objects: &self.objects,
            now,
        };
        let mut renditions = self.renditions.iter_mut();
        renditions.find_map(|(path, rendition)| {
            let name = vod_name(path);
            writable(&self.published, &name, now)?;
            Some((name, rendition.ready_vod(context)?))
        })
    }

    fn next_upload(&mut self, now: Duration) -> Option<Job> {
        self.sweep(now);
        let after = self
            .renditions
            .range::<String, _>((Excluded(&self.last_served), Unbounded));
        let before = self.renditions.range::<String, _>(..=&self.last_served);
        let found = after.chain(before).find_map(|(path, rendition)| {
            Some((path.clone(), self.next_upload_of(rendition, now)?))
        });
        let name = if let Some((path, name)) = found {
            self.last_served = path;
            name
        } else {
            // No rendition waits: upload a segment that a playlist will soon name.
            self.objects
                .first_unnamed(now, MAX_UPLOADS_PER_RENDITION, &self.deleting)?
        };
        self.objects.begin_upload(name)
    }

    /// The first due object of a rendition, unless the rendition has enough uploads in flight.
    fn next_upload_of(&self, rendition: &LiveRendition, now: Duration) -> Option<String> {
        let mut in_flight = 0;
        for name in rendition.missing() {
            if self.objects.is_in_flight(name) {
                in_flight += 1;
            } else if self.objects.is_due(name, now) && !self.deleting.contains(name) {
                return Some(name.clone());
            }
            if in_flight == MAX_UPLOADS_PER_RENDITION {
                break;
            }
        }
        None
    }

    /// The next deletion, if none is in flight. Skips objects that a playlist names again.
    fn next_delete(&mut self, now: Duration) -> Option<Job> {
        if !self.deleting.is_empty() {
            return None;
        }
        let pending = self.pending_deletes.iter();
        let due = pending.take_while(|delete| delete.due_at <= now).count();
        let due = due.min(MAX_DELETES_PER_REQUEST);
        let due = self.pending_deletes.drain(..due);
        let mut names: Vec<String> = due.map(|delete| delete.name).collect();
        names.retain(|name| !self.objects.contains(name) && !self.is_used(name));
        if names.is_empty() {
            return None;
        }
        self.deleting = names.iter().cloned().collect();
        Some(Job::Delete(names))
    }

    /// Removes files that no playlist needs, and streams that have ended, once a minute.
    fn sweep(&mut self, now: Duration) {
        let Self {
            objects,
            renditions,
            published,
            ..
        } = self;
        let is_needed = |name: &str| renditions.values().any(|rendition| rendition.uses(name));
        if !objects.sweep(now, is_needed) {
            return;
        }
        let finished = renditions.iter().filter(|(name, rendition)| {
            published.get(*name).is_some_and(|published| {
                !published.is_write_in_flight() && rendition.is_finished(now, published)
            })
        });
        let finished: Vec<String> = finished.map(|(name, _)| name.clone()).collect();
        for name in finished {
            self.forget_rendition(name);
        }
    }

    fn forget_rendition(&mut self, path: String) {
        for name in [path.clone(), vod_name(&path)] {
            if let Some(published) = self.published.get_mut(&name) {
                published.forget_text();
            }
        }
        if let Some(rendition) = self.renditions.remove(&path) {
            self.ended.insert(path, rendition.visible_names().clone());
        }
    }
}

fn writable<'a>(
    published: &'a BTreeMap<String, PublishedPlaylist>,
    name: &str,
    now: Duration,
) -> Option<&'a PublishedPlaylist> {
    let published = published.get(name)?;
    published.is_writable(now).then_some(published)
}

/// The results of jobs.
impl LivePublisher {
    /// Handles the result of a job.
    pub fn done(&mut self, job: FinishedJob, now: Duration) {
        match job {
            FinishedJob::ReadPublished { name, result } => self.read_done(&name, result, now),
            FinishedJob::Upload { name, result } => self.upload_done(&name, result, now),
            FinishedJob::Publish { name, text, result } => {
                self.publish_done(&name, text, result, now);
            }
            FinishedJob::Delete { names, result } => self.delete_done(names, result, now),
        }
    }

    fn read_done(
        &mut self,
        name: &str,
        result: Result<Option<StoredText>, RetryLater>,
        now: Duration,
    ) {
        let Some(published) = self.published.get_mut(name) else {
            return;
        };
        let read = published.end_read(result, now);
        let Some(path) = self.rendition_of(name) else {
            return;
        };
        match read {
            Ok(()) => self.adopt(&path, now),
            Err(cause) => {
                if let Some(rendition) = self.renditions.get_mut(&path) {
                    rendition.request_failed(cause);
                }
            }
        }
    }

    /// The rendition whose live or VOD playlist has this name. The live playlist has priority: a
    /// transcoder may use the name of a VOD playlist for its own.
    fn rendition_of(&self, name: &str) -> Option<String> {
        if self.renditions.contains_key(name) {
            return Some(name.to_owned());
        }
        let mut paths = self.renditions.keys();
        paths.find(|path| vod_name(path) == name).cloned()
    }

    /// Continues a rendition from its published playlists, once all of them have been read.
    fn adopt(&mut self, path: &str, now: Duration) {
        let Some(rendition) = self.renditions.get_mut(path) else {
            return;
        };
        let published = &self.published;
        let read = |name: &str| published.get(name).filter(|published| published.is_read());
        let Some(live) = read(path) else {
            return;
        };
        let vod = if rendition.has_vod() {
            let Some(vod) = read(&vod_name(path)) else {
                return;
            };
            vod.media_playlist()
        } else {
            None
        };
        let context = Context {
            objects: &self.objects,
            now,
        };
        rendition.adopt(live, vod, context);
        for name in rendition.visible_names() {
            self.objects.set_stored(name);
        }
    }

    fn upload_done(&mut self, name: &str, result: Result<(), UploadError>, now: Duration) {
        if let Err(UploadError::Retry(failed)) = &result {
            for rendition in self.renditions.values_mut() {
                rendition.upload_failed(name, &failed.cause);
            }
        }
        self.objects.end_upload(name, result, now);
        if self.objects.is_stored(name) {
            for rendition in self.renditions.values_mut() {
                rendition.object_stored(name);
            }
        }
    }

    fn publish_done(
        &mut self,
        name: &str,
        text: String,
        result: Result<(), RetryLater>,
        now: Duration,
    ) {
        let Some(published) = self.published.get_mut(name) else {
            return;
        };
        match published.end_write(text, result, now) {
            Ok(()) => self.playlist_visible(name, now),
            Err(cause) => {
                if let Some(rendition) = self.renditions.get_mut(name) {
                    rendition.request_failed(cause);
                }
            }
        }
    }

    /// Records that viewers see the playlist of this name.
    fn playlist_visible(&mut self, name: &str, now: Duration) {
        let Some(published) = self.published.get(name) else {
            return;
        };
        let Some(playlist) = published.media_playlist() else {
            return;
        };
        let context = Context {
            objects: &self.objects,
            now,
        };
        if let Some(rendition) = self.renditions.get_mut(name) {
            let change = rendition.playlist_published(&playlist, published, context);
            self.lags.extend(change.lag);
            self.delete_later(change.dropped, now);
        } else if let Some(path) = self.rendition_of(name)
            && let Some(rendition) = self.renditions.get_mut(&path)
        {
            rendition.vod_published(&playlist, context);
        }
    }

    /// Schedules the deletion of objects that no playlist names any more.
    fn delete_later(&mut self, dropped: Vec<String>, now: Duration) {
        for name in dropped {
            if self.is_used(&name) {
                continue;
            }
            self.objects.forget(&name);
            if let Some(keep_window) = self.policy.delete_after {
                let due_at = now.saturating_add(keep_window);
                self.pending_deletes
                    .push_back(PendingDelete { due_at, name });
            }
        }
    }

    fn delete_done(&mut self, names: Vec<String>, result: Result<(), RetryLater>, now: Duration) {
        self.deleting.clear();
        if let Err(failed) = result {
            let due_at = now.saturating_add(failed.pause);
            for name in names.into_iter().rev() {
                self.pending_deletes
                    .push_front(PendingDelete { due_at, name });
            }
        }
    }
}

/// Values for the log, the metrics and the terminal.
impl LivePublisher {
    /// Whether everything that can be published now is published.
    pub fn is_idle(&self) -> bool {
        let is_in_flight = self
            .published
            .values()
            .any(PublishedPlaylist::is_write_in_flight);
        !is_in_flight
            && self.renditions.iter().all(|(name, rendition)| {
                let published = self.published.get(name);
                published.is_some_and(|published| rendition.is_up_to_date(published))
                    && !rendition.is_vod_due(&self.objects)
            })
            && self.multivariants.iter().all(|(name, multivariant)| {
                self.is_shown(name, multivariant)
                    || self.missing_playlists(multivariant).next().is_some()
            })
    }

    /// The multivariant playlists that were first read before this time and are not published yet.
    /// Each has the media playlists that it waits for.
    pub fn waiting_multivariants(&self, before: Duration) -> BTreeMap<&str, Vec<&str>> {
        let waiting = self.multivariants.iter().filter(|(name, multivariant)| {
            multivariant.first_read_at < before && !self.is_shown(name, multivariant)
        });
        waiting
            .map(|(name, multivariant)| {
                let missing = self.missing_playlists(multivariant).collect();
                (name.as_str(), missing)
            })
            .filter(|(_, missing): &(_, Vec<&str>)| !missing.is_empty())
            .collect()
    }

    /// The lags since the last call.
    pub fn take_lags(&mut self) -> Vec<PublishLag> {
        std::mem::take(&mut self.lags)
    }

    /// The segments that became gaps since the last call, each with the reason.
    pub fn take_gaps(&mut self) -> Vec<String> {
        std::mem::take(&mut self.gaps)
    }

    /// The state of each rendition, by the path of its playlist.
    pub fn renditions(&self) -> impl Iterator<Item = (&str, RenditionStatus)> {
        let renditions = self.renditions.iter();
        renditions.map(|(name, rendition)| (name.as_str(), rendition.status(&self.objects)))
    }

    fn is_shown(&self, name: &str, multivariant: &LiveMultivariant) -> bool {
        let published = self.published.get(name);
        published.is_some_and(|published| published.shows(&multivariant.text))
    }

    /// The playlists for which a multivariant playlist waits.
    fn missing_playlists<'a>(
        &self,
        multivariant: &'a LiveMultivariant,
    ) -> impl Iterator<Item = &'a str> {
        let is_visible = |name: &str| {
            let published = self.published.get(name);
            published.is_some_and(PublishedPlaylist::is_visible)
        };
        let names = multivariant.names.iter().map(String::as_str);
        names.filter(move |name| !is_visible(name))
    }

    /// Whether a playlist needs an object or names it.
    fn is_used(&self, name: &str) -> bool {
        let mut renditions = self.renditions.values();
        renditions.any(|rendition| rendition.uses(name))
            || self.ended.values().any(|names| names.contains(name))
    }
}
