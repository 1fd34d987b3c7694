//! A rendition: its window, and what keeps it from being published.

use super::job::OnLost;
use super::media_playlist::{MediaPlaylist, Segment};
use super::names::file_of;
use super::objects::{FAILED_ALONE, LiveObject, LiveObjects, ObjectState};
use super::published::PublishedPlaylist;
use super::vod::VodState;
use super::window::SlidingWindow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many target durations a playlist waits for what it names, before that is lost.
const PATIENCE_TARGETS: u32 = 3;
/// How long a playlist must be gone from the disk to have ended: some remove theirs before they
/// write it again.
const GONE: Duration = Duration::from_secs(30);
/// Who begins again after this time begins another show.
const OVER: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct LiveRendition {
    /// What an earlier process has published is known.
    pub(super) is_recalled: bool,
    /// Files that its last snapshot names and that were not there then.
    pub(super) unknown: BTreeSet<String>,
    /// The last snapshot, until it is known what it continues.
    pub(super) unread: Option<(MediaPlaylist, Duration)>,
    pub(super) window: SlidingWindow,
    /// When its playlist was read last, and how old it was then.
    last_read: (Duration, Duration),
    /// When the snapshot was read that is not published yet.
    pub(super) waits_since: Option<Duration>,
    /// What the visible playlist names.
    pub(super) named: BTreeSet<String>,
    /// The segments among that.
    segments: BTreeSet<String>,
    /// That, and what it has named that is still needed.
    seen: BTreeSet<String>,
    /// The names of what it needs: its window, and what has left that and is to be kept.
    needs: BTreeSet<String>,
    /// What of its window was not there when that was last looked at, in its order; and the same of
    /// what has left it.
    missing: [Vec<String>; 2],
    /// Since when that has been so of what its window misses.
    missing_since: BTreeMap<String, Duration>,
    /// The number behind the last segment that the visible playlist names.
    pub(super) visible_end: u64,
    /// The last of them.
    newest: Option<String>,
    /// How long that took from when it was closed.
    pub(super) lag: Option<Duration>,
    pub(super) cause: Option<String>,
    /// Since when its playlist has been gone from the disk.
    pub(super) gone_since: Option<Duration>,
    /// The playlist of all that was, if there is one.
    pub(super) vod: Option<VodState>,
}

impl LiveRendition {
    /// Goes on from what an earlier process has published.
    pub(super) fn adopt(
        &mut self,
        playlist: &str,
        published: Option<MediaPlaylist>,
        all: Option<MediaPlaylist>,
        last_read: (Duration, Duration),
    ) {
        self.last_read = last_read;
        let published = published.unwrap_or_default();
        self.visible_end = published.sequence + published.segments.len() as u64;
        self.named = names(playlist, &published.segments).into_iter().collect();
        self.segments = segment_names(playlist, &published);
        self.seen.clone_from(&self.named);
        let all = self.vod.is_some().then(|| {
            let (sequence, discontinuity_sequence) =
                (published.sequence, published.discontinuity_sequence);
            all.unwrap_or(MediaPlaylist {
                sequence,
                discontinuity_sequence,
                ..MediaPlaylist::default()
            })
        });
        self.vod = all.as_ref().map(VodState::of);
        self.window = SlidingWindow::adopt(published, all);
        self.is_recalled = true;
    }

    pub(super) fn follow(
        &mut self,
        snapshot: &MediaPlaylist,
        read: Duration,
        document: &PublishedPlaylist,
    ) {
        let (then, age) = std::mem::replace(&mut self.last_read, (read, Duration::ZERO));
        let is_over = self.window.has_ended() || read.saturating_sub(then) + age > OVER;
        self.window = self.window.follow(snapshot, is_over);
        self.changed(read, document);
    }

    /// Its playlist has been gone from the disk for so long that nothing comes any more.
    pub(super) fn end_if_gone(&mut self, now: Duration, document: &PublishedPlaylist) {
        let is_over = self
            .gone_since
            .is_some_and(|since| now.saturating_sub(since) >= GONE);
        if is_over && self.is_recalled && !self.window.has_ended() {
            self.window.finish();
            self.changed(now, document);
        }
    }

    fn changed(&mut self, at: Duration, document: &PublishedPlaylist) {
        match self.is_up_to_date(document) {
            true => self.waits_since = None,
            false => drop(self.waits_since.get_or_insert(at)),
        }
    }

    /// Viewers see this of it from now on. Returns the segments that were named before and are not
    /// any more. (What they needed is small, and may be named again or be another rendition's, too:
    /// that stays.)
    pub(super) fn now_visible(
        &mut self,
        playlist: &str,
        visible: &MediaPlaylist,
        document: &PublishedPlaylist,
        now: Duration,
    ) -> Vec<String> {
        self.cause = None;
        self.visible_end = visible.sequence + visible.segments.len() as u64;
        self.newest = visible.segments.last().map(|segment| segment.uri.clone());
        self.waits_since = (!self.is_up_to_date(document)).then_some(now);
        self.window.shown(self.visible_end);
        let segments = segment_names(playlist, visible);
        let gone = self.segments.difference(&segments).cloned().collect();
        self.segments = segments;
        self.named = names(playlist, &visible.segments).into_iter().collect();
        self.seen.extend(self.named.iter().cloned());
        gone
    }

    /// Looks at what it needs. To be called after each change of that.
    pub(super) fn refresh(&mut self, playlist: &str, objects: &LiveObjects, now: Duration) {
        let not_in_vod = self.not_in_vod().map(|(_, segment)| segment);
        let needs = [
            names(playlist, self.window.segments()),
            names(playlist, not_in_vod),
        ];
        let unread = self
            .unread
            .iter()
            .flat_map(|(snapshot, _)| &snapshot.segments);
        self.needs = needs
            .iter()
            .flatten()
            .cloned()
            .chain(names(playlist, unread))
            .collect();
        let Self {
            needs: needed,
            named,
            ..
        } = self;
        self.seen
            .retain(|name| needed.contains(name) || named.contains(name));
        self.missing = needs.map(|names| {
            names
                .into_iter()
                .filter(|name| !self.is_there(name, objects))
                .collect()
        });
        let since = |name: &String| self.missing_since.get(name).copied().unwrap_or(now);
        self.missing_since = self.missing[0]
            .iter()
            .map(|name| (name.clone(), since(name)))
            .collect();
    }

    /// A file is there.
    pub(super) fn found(&mut self, name: &str) {
        self.missing
            .iter_mut()
            .for_each(|missing| missing.retain(|missing| missing != name));
    }

    /// What it needs and may not be there yet: what its window does first.
    pub(super) fn missing(&self) -> impl Iterator<Item = &String> {
        self.missing.iter().flatten()
    }

    /// Whether nothing comes any more, and all of it is published.
    pub(super) fn is_over(&self, now: Duration, document: &PublishedPlaylist) -> bool {
        self.gone_since
            .is_some_and(|since| now.saturating_sub(since) >= GONE)
            && self.window.has_ended()
            && self.is_up_to_date(document)
            && self.vod.as_ref().is_none_or(|vod| vod.has_ended)
    }

    /// Whether its window waits for an object.
    pub(super) fn waits_for(&self, name: &str) -> bool {
        self.missing[0].iter().any(|missing| missing == name)
    }

    /// Whether it needs an object, or names it.
    pub(super) fn involves(&self, name: &str) -> bool {
        self.needs.contains(name) || self.named.contains(name)
    }

    pub(super) fn is_up_to_date(&self, document: &PublishedPlaylist) -> bool {
        let is_empty = self.window.segments().next().is_none();
        self.unread.is_none() && (is_empty || document.has(&self.window.render()))
    }

    pub(super) fn is_there(&self, name: &str, objects: &LiveObjects) -> bool {
        self.seen.contains(name)
            || objects
                .get(name)
                .is_some_and(|object| object.state == ObjectState::There)
    }

    /// The playlist, if it is to be published and all that it names is there.
    pub(super) fn ready(
        &mut self,
        playlist: &str,
        objects: &LiveObjects,
        on_lost: OnLost,
        now: Duration,
        gaps: &mut Vec<String>,
    ) -> Option<String> {
        self.waits_since?;
        self.window.segments().next()?;
        let patience = Duration::from_secs(self.window.target_s().max(1)) * PATIENCE_TARGETS;
        let mut lost = BTreeMap::new();
        for name in self.missing[0]
            .iter()
            .filter(|name| !self.is_there(name, objects))
        {
            let since = self.missing_since.get(name).copied().unwrap_or(now);
            let is_late = now.saturating_sub(since) > patience;
            let why = match objects.get(name) {
                Some(LiveObject {
                    state: ObjectState::Lost(why),
                    ..
                }) => why.clone(),
                Some(object) if object.failed_alone >= FAILED_ALONE && is_late => {
                    format!(
                        "{name} could not be put, {} times while others could",
                        object.failed_alone
                    )
                }
                None if is_late => format!("{name} is not there"),
                _ => return None,
            };
            lost.insert(name.clone(), why);
        }
        if !lost.is_empty() {
            self.cause = lost.values().next().cloned();
            let is_it =
                |uri: &str| file_of(playlist, uri).is_some_and(|name| lost.contains_key(&name));
            let is_gap = on_lost == OnLost::Gap && self.window.lose(is_it);
            let is_previous_run = self.window.lose_previous_run(is_it);
            if is_gap || is_previous_run {
                self.refresh(playlist, objects, now);
                gaps.extend(lost.into_values().map(|why| format!("{playlist}: {why}")));
            }
        }
        // Without its key or its initialization section no segment plays, so gaps would be all
        // there is.
        let is_whole = self.missing[0]
            .iter()
            .all(|name| self.is_there(name, objects));
        is_whole.then(|| self.window.render())
    }
}

fn segment_names(playlist: &str, snapshot: &MediaPlaylist) -> BTreeSet<String> {
    let there = snapshot.segments.iter().filter(|segment| !segment.gap);
    there
        .filter_map(|segment| file_of(playlist, &segment.uri))
        .collect()
}

/// The names of what segments need, each once, in their order.
fn names<'a>(playlist: &str, segments: impl IntoIterator<Item = &'a Segment>) -> Vec<String> {
    let mut known = BTreeSet::new();
    let names = segments
        .into_iter()
        .flat_map(Segment::needs)
        .filter_map(|uri| file_of(playlist, uri));
    names.filter(|name| known.insert(name.clone())).collect()
}

/// How a rendition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenditionStatus {
    /// The last segment that viewers see.
    pub newest: Option<String>,
    /// How long it took from when that was closed until viewers saw it, if it was closed while this
    /// process ran.
    pub lag: Option<Duration>,
    /// Since when its newest playlist has been waiting, if it is not published yet.
    pub waits_since: Option<Duration>,
    /// How many of its files are not there yet.
    pub to_upload: usize,
    /// What keeps its playlist from being published.
    pub cause: Option<String>,
    /// Nothing comes any more.
    pub has_ended: bool,
}

impl LiveRendition {
    pub(super) fn progress(&self, objects: &LiveObjects) -> RenditionStatus {
        RenditionStatus {
            newest: self.newest.clone(),
            lag: self.lag,
            waits_since: self.waits_since,
            to_upload: self
                .missing()
                .filter(|name| !self.is_there(name, objects))
                .count(),
            cause: self.cause.clone(),
            has_ended: self.window.has_ended(),
        }
    }
}
