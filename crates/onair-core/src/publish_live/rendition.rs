//! A rendition: its window, and what keeps it from being published.

use super::job::OnLost;
use super::names::file_of;
use super::publisher::{Object, State};
use super::snapshot::{Segment, Snapshot};
use super::timeline::Timeline;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many target durations a playlist waits for what it names, before that is lost.
const PATIENCE_TARGETS: u32 = 3;
/// How often a file must fail while others do not, to be lost: when S3 is away, none is.
const FAILED_ALONE: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Rendition {
    /// What an earlier process has published is known.
    pub(super) recalled: Recall,
    /// The last snapshot, until it is known what it continues.
    pub(super) unread: Option<(Snapshot, Duration)>,
    pub(super) timeline: Timeline,
    /// When the snapshot was read that is not published yet.
    pub(super) waits_since: Option<Duration>,
    pub(super) visible: Option<String>,
    /// What the visible playlist names.
    pub(super) named: BTreeSet<String>,
    pub(super) busy: bool,
    pub(super) not_before: Duration,
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recall {
    #[default]
    Due,
    Busy,
    Done,
}

impl Rendition {
    pub(super) fn follow(&mut self, snapshot: &Snapshot, read: Duration) {
        self.timeline = self.timeline.follow(snapshot);
        match self.is_up_to_date() {
            true => self.waits_since = None,
            false => drop(self.waits_since.get_or_insert(read)),
        }
    }

    pub(super) fn is_up_to_date(&self) -> bool {
        let is_empty = self.timeline.segments().next().is_none();
        self.unread.is_none() && (is_empty || self.visible.as_ref() == Some(&self.timeline.render()))
    }

    /// The names of what its window needs.
    pub(super) fn needs(&self, playlist: &str) -> Vec<String> {
        names(playlist, self.timeline.segments())
    }

    pub(super) fn is_there(&self, name: &str, objects: &BTreeMap<String, Object>) -> bool {
        self.named.contains(name) || objects.get(name).is_some_and(|object| object.state == State::There)
    }

    /// The playlist, if it is to be published and all that it names is there.
    pub(super) fn ready(
        &mut self,
        playlist: &str,
        objects: &BTreeMap<String, Object>,
        on_lost: OnLost,
        now: Duration,
    ) -> Option<String> {
        if self.busy || self.recalled != Recall::Done || now < self.not_before {
            return None;
        }
        let since = self.waits_since?;
        self.timeline.segments().next()?;
        let patience = Duration::from_secs(self.timeline.target_s().max(1)) * PATIENCE_TARGETS;
        let is_late = now.saturating_sub(since) > patience;
        let mut lost = None;
        for segment in self.timeline.segments().filter(|segment| !segment.gap) {
            for uri in segment.needs() {
                let Some(name) = file_of(playlist, uri).filter(|name| !self.is_there(name, objects)) else {
                    continue;
                };
                let why = match objects.get(&name) {
                    Some(Object { state: State::Lost(why), .. }) => why.clone(),
                    Some(object) if object.failed_alone >= FAILED_ALONE && is_late => {
                        format!("{name} could not be put, {} times while others could", object.failed_alone)
                    }
                    None if is_late => format!("{name} is not there"),
                    _ => return None,
                };
                lost = Some((segment.uri.clone(), uri == segment.uri, why));
                break;
            }
        }
        let Some((uri, is_segment, why)) = lost else { return Some(self.timeline.render()) };
        self.trouble = Some(why);
        // Without its key or its initialization section no segment plays, so a gap would be all there is.
        if on_lost == OnLost::Gap && is_segment {
            self.timeline.lose(&uri);
            return self.ready(playlist, objects, on_lost, now);
        }
        None
    }
}

pub(super) fn names<'a>(playlist: &str, segments: impl IntoIterator<Item = &'a Segment>) -> Vec<String> {
    let mut names = Vec::new();
    for name in segments.into_iter().flat_map(Segment::needs).filter_map(|uri| file_of(playlist, uri)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// How a rendition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The number of its first segment, as viewers see it or soon will.
    pub sequence: u64,
    /// Since when its newest playlist has been waiting, if it is not published yet.
    pub waits_since: Option<Duration>,
    /// How many of its files are not there yet.
    pub to_upload: usize,
    /// What keeps its playlist from being published.
    pub trouble: Option<String>,
}
