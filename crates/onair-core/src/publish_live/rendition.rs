//! One rendition: its window, the files that it waits for, and its visible playlists.

use super::job::OnLost;
use super::media_playlist::{MediaPlaylist, Segment};
use super::names::{FileId, file_of};
use super::objects::{Availability, LiveObjects};
use super::published::PublishedPlaylist;
use super::window::SlidingWindow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The number of target durations after which a missing file counts as lost.
const LOST_AFTER_TARGETS: u32 = 3;
/// The time after which the removal of a playlist ends the stream. Some transcoders remove their
/// playlist before they write it again.
const ENDED_AFTER: Duration = Duration::from_secs(30);
/// A transcoder that restarts after a longer pause starts a new show.
const NEW_SHOW_AFTER: Duration = Duration::from_secs(600);

/// The inputs of a change of a rendition.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) objects: &'a LiveObjects,
    pub(super) now: Duration,
}

#[derive(Debug)]
pub(super) struct LiveRendition {
    /// Path of its playlist.
    path: String,
    window: SlidingWindow,
    /// Whether `window` continues the published playlists of an earlier process.
    is_adopted: bool,
    /// The last snapshot, until `is_adopted`.
    unread: Option<UnreadSnapshot>,
    last_read: LastRead,
    /// Files that the last snapshot names and that did not exist then.
    unknown: BTreeSet<String>,
    /// When the oldest snapshot that viewers do not see yet was read.
    waits_since: Option<Duration>,
    needs: Needs,
    visible: Visible,
    lag: Option<Duration>,
    /// The reason for which the newest snapshot is not published.
    cause: Option<String>,
    /// When its playlist was removed from the disk.
    removed_at: Option<Duration>,
    vod: Option<VodState>,
}

#[derive(Debug)]
struct UnreadSnapshot {
    playlist: MediaPlaylist,
    read_at: Duration,
}

/// When the transcoder's playlist was read last.
#[derive(Debug, Default)]
struct LastRead {
    at: Duration,
    /// Age of the playlist at that time.
    age: Duration,
}

/// The objects that must be in S3 before the playlists.
#[derive(Debug, Default)]
struct Needs {
    /// The objects of the window, and of the segments that are not in the VOD playlist.
    names: BTreeSet<String>,
    /// The objects that a visible playlist named and that are still needed. They are in S3.
    seen: BTreeSet<String>,
    /// The objects of the window that are not in S3, in its order.
    missing: Vec<String>,
    /// Since when each of these has been missing.
    missing_since: BTreeMap<String, Duration>,
    /// The same for the segments that are not in the VOD playlist.
    missing_in_vod: Vec<String>,
}

/// The contents of the playlist that viewers see.
#[derive(Debug, Default)]
struct Visible {
    names: BTreeSet<String>,
    segments: BTreeSet<String>,
    /// The number after the last segment.
    end: u64,
    /// URI of the last segment.
    newest: Option<String>,
}

/// How much of the rendition the visible VOD playlist has.
#[derive(Debug, Default)]
struct VodState {
    /// The number after its last segment.
    end: u64,
    has_ended: bool,
}

impl VodState {
    fn of(visible: &MediaPlaylist) -> Self {
        Self {
            end: visible.end(),
            has_ended: visible.ended,
        }
    }
}

/// How far viewers were behind the transcoder when a playlist was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishLag {
    /// Path of the playlist.
    pub rendition: String,
    /// Time from the close of its newest segment until the segment was uploaded.
    pub object: Duration,
    /// Time from the close of its newest segment until the playlist named the segment.
    pub playlist: Duration,
}

/// The state of a rendition, for the log and the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenditionStatus {
    /// URI of the last segment that viewers see.
    pub newest: Option<String>,
    /// Time from the close of that segment until viewers saw it, if it was closed while this
    /// process ran.
    pub lag: Option<Duration>,
    /// Since when the newest playlist has been waiting, if viewers do not see it yet.
    pub waits_since: Option<Duration>,
    /// Number of its files that are not in S3 yet.
    pub to_upload: usize,
    /// The reason for which the newest playlist is not published.
    pub cause: Option<String>,
    /// Whether the stream has ended.
    pub has_ended: bool,
}

/// The changes for viewers when a playlist was published.
pub(super) struct Change {
    /// The objects of segments that were visible before and are not any more.
    pub(super) dropped: Vec<String>,
    /// The lag of a new segment.
    pub(super) lag: Option<PublishLag>,
}

/// Changes on the disk and in S3.
impl LiveRendition {
    pub(super) fn new(path: &str, has_vod: bool) -> Self {
        Self {
            path: path.to_owned(),
            window: SlidingWindow::default(),
            is_adopted: false,
            unread: None,
            last_read: LastRead::default(),
            unknown: BTreeSet::new(),
            waits_since: None,
            needs: Needs::default(),
            visible: Visible::default(),
            lag: None,
            cause: None,
            removed_at: None,
            vod: has_vod.then(VodState::default),
        }
    }

    /// Handles a snapshot of the transcoder's playlist. `unknown` are the files that it names and
    /// that do not exist yet.
    pub(super) fn snapshot_read(
        &mut self,
        snapshot: MediaPlaylist,
        unknown: BTreeSet<String>,
        published: &PublishedPlaylist,
        context: Context<'_>,
    ) {
        self.removed_at = None;
        self.unknown = unknown;
        if self.is_adopted {
            self.follow(&snapshot, context.now, published);
        } else {
            self.waits_since.get_or_insert(context.now);
            self.unread = Some(UnreadSnapshot {
                playlist: snapshot,
                read_at: context.now,
            });
        }
        self.refresh(context);
    }

    pub(super) fn playlist_removed(&mut self, now: Duration) {
        self.removed_at.get_or_insert(now);
    }

    /// Handles a file that was closed. Returns whether a playlist has named the file before.
    pub(super) fn file_closed(&mut self, path: &str, file: FileId, context: Context<'_>) -> bool {
        if !self.unknown.remove(path) {
            return false;
        }
        let playlist = &self.path;
        let published = |uri: &str| {
            let is_file = file_of(playlist, uri).as_deref() == Some(path);
            is_file.then(|| file.published_name(uri))
        };
        self.window.rename(published);
        let unread = self.unread.iter_mut();
        let unread = unread.flat_map(|unread| &mut unread.playlist.segments);
        unread.for_each(|segment| segment.rename(published));
        self.refresh(context);
        true
    }

    /// Continues the published playlists of an earlier process: this one and the VOD playlist.
    pub(super) fn adopt(
        &mut self,
        live: &PublishedPlaylist,
        vod: Option<MediaPlaylist>,
        context: Context<'_>,
    ) {
        let playlist = live.media_playlist().unwrap_or_default();
        self.last_read = LastRead {
            at: context.now,
            age: live.age_when_read(),
        };
        self.visible = Visible::of(&self.path, &playlist);
        self.needs.seen.clone_from(&self.visible.names);
        let vod = self.vod.is_some().then(|| {
            vod.unwrap_or_else(|| MediaPlaylist {
                sequence: playlist.sequence,
                discontinuity_sequence: playlist.discontinuity_sequence,
                ..MediaPlaylist::default()
            })
        });
        self.vod = vod.as_ref().map(VodState::of);
        self.window = SlidingWindow::adopt(playlist, vod);
        self.is_adopted = true;
        if let Some(UnreadSnapshot { playlist, read_at }) = self.unread.take() {
            self.follow(&playlist, read_at, live);
        }
        self.refresh(context);
    }

    fn follow(&mut self, snapshot: &MediaPlaylist, read_at: Duration, live: &PublishedPlaylist) {
        let last = std::mem::replace(
            &mut self.last_read,
            LastRead {
                at: read_at,
                age: Duration::ZERO,
            },
        );
        let pause = read_at.saturating_sub(last.at) + last.age;
        let is_new_show = self.window.has_ended() || pause > NEW_SHOW_AFTER;
        self.window = self.window.follow(snapshot, is_new_show);
        self.update_wait(read_at, live);
    }

    /// Ends the stream if its playlist was removed long enough ago.
    pub(super) fn end_if_removed(&mut self, now: Duration, published: &PublishedPlaylist) {
        if self.is_removed(now) && self.is_adopted && !self.window.has_ended() {
            self.window.finish();
            self.update_wait(now, published);
        }
    }

    fn update_wait(&mut self, at: Duration, published: &PublishedPlaylist) {
        if self.is_up_to_date(published) {
            self.waits_since = None;
        } else {
            self.waits_since.get_or_insert(at);
        }
    }

    /// Records that viewers see this playlist. Keys and initialization sections are not in
    /// `dropped`: they are small, and another segment or rendition may need them.
    pub(super) fn playlist_published(
        &mut self,
        playlist: &MediaPlaylist,
        published: &PublishedPlaylist,
        context: Context<'_>,
    ) -> Change {
        let lag = self.lag_of(playlist, context);
        if let Some(lag) = &lag {
            self.lag = Some(lag.playlist);
        }
        let before = std::mem::replace(&mut self.visible, Visible::of(&self.path, playlist));
        self.cause = None;
        self.waits_since = (!self.is_up_to_date(published)).then_some(context.now);
        self.window.set_shown(self.visible.end);
        self.needs.seen.extend(self.visible.names.iter().cloned());
        self.refresh(context);
        let dropped = before.segments.difference(&self.visible.segments);
        Change {
            dropped: dropped.cloned().collect(),
            lag,
        }
    }

    /// The lag of the last segment, if viewers did not see it before.
    fn lag_of(&self, playlist: &MediaPlaylist, context: Context<'_>) -> Option<PublishLag> {
        let newest = playlist.segments.last()?;
        let name = file_of(&self.path, &newest.uri)?;
        if self.visible.names.contains(&name) {
            return None;
        }
        let times = context.objects.upload_times(&name)?;
        Some(PublishLag {
            rendition: self.path.clone(),
            object: times.stored_at.saturating_sub(times.closed_at),
            playlist: context.now.saturating_sub(times.closed_at),
        })
    }

    /// Records that viewers see this VOD playlist.
    pub(super) fn vod_published(&mut self, playlist: &MediaPlaylist, context: Context<'_>) {
        self.vod = Some(VodState::of(playlist));
        self.refresh(context);
    }

    pub(super) fn object_stored(&mut self, name: &str) {
        self.needs.missing.retain(|missing| missing != name);
        self.needs.missing_in_vod.retain(|missing| missing != name);
    }

    pub(super) fn upload_failed(&mut self, name: &str, cause: &str) {
        if self.needs.missing.iter().any(|missing| missing == name) {
            self.cause = Some(cause.to_owned());
        }
    }

    /// Records that its playlist could not be read or written.
    pub(super) fn request_failed(&mut self, cause: String) {
        self.cause = Some(cause);
    }

    /// Updates the objects that it needs. Each method that changes the window, the VOD state or the
    /// visible playlist ends with this.
    fn refresh(&mut self, context: Context<'_>) {
        let of_window = object_names(&self.path, self.window.segments());
        let of_vod = object_names(&self.path, self.not_in_vod().map(|(_, segment)| segment));
        let unread = self.unread.iter();
        let unread = unread.flat_map(|unread| &unread.playlist.segments);
        let all = of_window.iter().chain(&of_vod).cloned();
        let names: BTreeSet<String> = all.chain(object_names(&self.path, unread)).collect();
        let mut seen = std::mem::take(&mut self.needs.seen);
        seen.retain(|name| names.contains(name) || self.is_visible(name));
        let is_missing = |name: &String| !seen.contains(name) && !context.objects.is_stored(name);
        let missing: Vec<String> = of_window.into_iter().filter(is_missing).collect();
        let missing_in_vod = of_vod.into_iter().filter(is_missing).collect();
        let before = &self.needs.missing_since;
        let since = |name: &String| before.get(name).copied().unwrap_or(context.now);
        let missing_since = missing.iter().map(|name| (name.clone(), since(name)));
        self.needs = Needs {
            missing_since: missing_since.collect(),
            names,
            seen,
            missing,
            missing_in_vod,
        };
    }
}

/// Playlists that can be published.
impl LiveRendition {
    /// Gives up the objects that have been missing for too long, if nothing else is pending. Their
    /// segments become gaps. Returns one reason for each object.
    pub(super) fn give_up_lost(&mut self, on_lost: OnLost, context: Context<'_>) -> Vec<String> {
        if self.waits_since.is_none() {
            return Vec::new();
        }
        let missing = self.still_missing(context.objects);
        let lost = missing.map(|name| Some((name.clone(), self.why_lost(name, context)?)));
        let lost: Option<BTreeMap<String, String>> = lost.collect();
        let Some(lost) = lost.filter(|lost| !lost.is_empty()) else {
            return Vec::new();
        };
        self.cause = lost.values().next().cloned();
        let path = &self.path;
        let is_lost = |uri: &str| file_of(path, uri).is_some_and(|name| lost.contains_key(&name));
        let is_gap = on_lost == OnLost::Gap && self.window.lose(is_lost);
        let is_gap_before = self.window.lose_previous_run(is_lost);
        if !is_gap && !is_gap_before {
            return Vec::new();
        }
        self.refresh(context);
        let reasons = lost.into_values();
        reasons.map(|why| format!("{}: {why}", self.path)).collect()
    }

    /// The reason for which an object of the window is lost. `None` if it may still be uploaded.
    fn why_lost(&self, name: &str, context: Context<'_>) -> Option<String> {
        let target = Duration::from_secs(self.window.target_s().max(1));
        let since = self.needs.missing_since.get(name).copied();
        let waited = since.map_or(Duration::ZERO, |since| context.now.saturating_sub(since));
        let is_late = waited > target * LOST_AFTER_TARGETS;
        match context.objects.availability(name) {
            Availability::Lost(why) => Some(why.to_owned()),
            Availability::FailsAlone(times) if is_late => Some(format!(
                "{name} failed {times} times while other uploads succeeded"
            )),
            Availability::Unknown if is_late => Some(format!("{name} does not exist")),
            _ => None,
        }
    }

    /// The playlist, if viewers do not see it yet and everything that it names is in S3.
    ///
    /// The playlist waits for a lost key or initialization section: without that, no segment can be
    /// played.
    pub(super) fn ready_playlist(&self, objects: &LiveObjects) -> Option<String> {
        self.waits_since?;
        self.window.segments().next()?;
        let is_complete = self.still_missing(objects).next().is_none();
        is_complete.then(|| self.window.render())
    }

    fn still_missing<'a>(&'a self, objects: &'a LiveObjects) -> impl Iterator<Item = &'a String> {
        let missing = self.needs.missing.iter();
        missing.filter(|name| !self.is_stored(name, objects))
    }

    /// The VOD playlist, if it is due. Its missing segments that cannot be uploaded any more become
    /// gaps: they left the window, so that viewers do not wait for them.
    pub(super) fn ready_vod(&mut self, context: Context<'_>) -> Option<String> {
        let lost = self.vod_extent(context.objects)?.lost;
        let is_lost = |uri: &str| lost.iter().any(|lost| lost == uri);
        if self.window.lose(is_lost) {
            self.refresh(context);
        }
        let end = self.due_vod_end(context.objects)?;
        self.window.render_vod(end)
    }

    pub(super) fn is_vod_due(&self, objects: &LiveObjects) -> bool {
        self.due_vod_end(objects).is_some()
    }

    /// The number up to which the VOD playlist is due, if it is due.
    fn due_vod_end(&self, objects: &LiveObjects) -> Option<u64> {
        let end = self.vod_extent(objects)?.end;
        let vod = self.vod.as_ref()?;
        let has_ended = self.window.has_ended() && self.waits_since.is_none();
        let added = end.saturating_sub(vod.end);
        // Each write sends the whole VOD playlist. The live window still has the last segments:
        // half of it leaves enough time.
        let is_half_window = 2 * added >= self.window.segments().count() as u64;
        let is_worth_it = has_ended || vod.has_ended || is_half_window;
        (added > 0 && is_worth_it || has_ended && !vod.has_ended).then_some(end)
    }

    /// How far the VOD playlist can reach. `None` while viewers of the live playlist wait: they
    /// have priority.
    fn vod_extent(&self, objects: &LiveObjects) -> Option<VodExtent> {
        if self.visible.end < self.window.sequence() {
            return None;
        }
        let mut extent = VodExtent {
            end: self.window.number_in_vod(self.visible.end)?,
            lost: Vec::new(),
        };
        for (number, segment) in self.not_in_vod() {
            let names = segment.needs().filter_map(|uri| file_of(&self.path, uri));
            let mut missing = names.filter(|name| !self.is_stored(name, objects));
            let Some(missing) = missing.next() else {
                continue;
            };
            if objects.availability(&missing) == Availability::Pending {
                extent.end = number;
                break;
            }
            extent.lost.push(segment.uri.clone());
        }
        Some(extent)
    }

    /// The segments that left the window and are not in the VOD playlist.
    fn not_in_vod(&self) -> impl Iterator<Item = (u64, &Segment)> {
        let end = self.vod.as_ref().map_or(u64::MAX, |vod| vod.end);
        self.window.history(end)
    }
}

/// How far a VOD playlist can reach.
struct VodExtent {
    /// The number before which nothing is pending.
    end: u64,
    /// URIs of the segments before `end` that cannot be uploaded any more.
    lost: Vec<String>,
}

/// Values that the publisher reads.
impl LiveRendition {
    /// The objects to upload, those of the window first. Some of them may be in S3 by now.
    pub(super) fn missing(&self) -> impl Iterator<Item = &String> {
        self.needs.missing.iter().chain(&self.needs.missing_in_vod)
    }

    pub(super) fn waits_for_file(&self, path: &str) -> bool {
        self.unknown.contains(path)
    }

    pub(super) fn is_visible(&self, name: &str) -> bool {
        self.visible.names.contains(name)
    }

    pub(super) fn visible_names(&self) -> &BTreeSet<String> {
        &self.visible.names
    }

    /// Whether its window or its visible playlist contains this object.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.needs.names.contains(name) || self.is_visible(name)
    }

    pub(super) fn has_vod(&self) -> bool {
        self.vod.is_some()
    }

    pub(super) fn is_up_to_date(&self, published: &PublishedPlaylist) -> bool {
        let is_empty = self.window.segments().next().is_none();
        self.unread.is_none() && (is_empty || published.shows(&self.window.render()))
    }

    /// Whether the stream has ended and everything of it is published.
    pub(super) fn is_finished(&self, now: Duration, published: &PublishedPlaylist) -> bool {
        self.is_removed(now)
            && self.window.has_ended()
            && self.is_up_to_date(published)
            && self.vod.as_ref().is_none_or(|vod| vod.has_ended)
    }

    fn is_removed(&self, now: Duration) -> bool {
        self.removed_at
            .is_some_and(|since| now.saturating_sub(since) >= ENDED_AFTER)
    }

    fn is_stored(&self, name: &str, objects: &LiveObjects) -> bool {
        self.needs.seen.contains(name) || objects.is_stored(name)
    }

    pub(super) fn status(&self, objects: &LiveObjects) -> RenditionStatus {
        let missing = self.missing();
        RenditionStatus {
            newest: self.visible.newest.clone(),
            lag: self.lag,
            waits_since: self.waits_since,
            to_upload: missing
                .filter(|name| !self.is_stored(name, objects))
                .count(),
            cause: self.cause.clone(),
            has_ended: self.window.has_ended(),
        }
    }
}

impl Visible {
    fn of(path: &str, playlist: &MediaPlaylist) -> Self {
        let segments = playlist.segments.iter().filter(|segment| !segment.gap);
        let segments = segments.filter_map(|segment| file_of(path, &segment.uri));
        Self {
            names: object_names(path, &playlist.segments).into_iter().collect(),
            segments: segments.collect(),
            end: playlist.end(),
            newest: playlist.segments.last().map(|segment| segment.uri.clone()),
        }
    }
}

/// The objects that segments need, each once, in their order.
fn object_names<'a>(path: &str, segments: impl IntoIterator<Item = &'a Segment>) -> Vec<String> {
    let mut known = BTreeSet::new();
    let names = segments
        .into_iter()
        .flat_map(Segment::needs)
        .filter_map(|uri| file_of(path, uri));
    names.filter(|name| known.insert(name.clone())).collect()
}
