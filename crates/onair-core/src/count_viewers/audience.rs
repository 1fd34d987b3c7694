//! The viewers of each stream and minute.

use super::rules::CountingRules;
use super::viewer_set::{ViewerCount, ViewerSet};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// The viewers of each minute and stream, and the minutes that logs cover.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    /// The key is present for each minute with a line in a log, even if no stream was watched. The
    /// list is indexed by `streams`.
    minutes: BTreeMap<Minute, Vec<StreamViewers>>,
    /// The index of each stream in the lists.
    streams: HashMap<Box<str>, usize>,
}

/// The number of a minute of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i64);

impl Minute {
    /// The minute that contains this second of Unix time.
    pub fn of(at_s: i64) -> Self {
        Self(at_s.div_euclid(60))
    }

    /// Its start in ISO 8601: `2026-11-21T21:13:00Z`.
    pub fn iso8601(self) -> String {
        let start = chrono::DateTime::from_timestamp(self.start_s(), 0).unwrap_or_default();
        start.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Its start in seconds of Unix time.
    pub fn start_s(self) -> i64 {
        self.0.saturating_mul(60)
    }

    /// The minute that is this many minutes later.
    pub fn plus(self, minutes: i64) -> Self {
        Self(self.0.saturating_add(minutes))
    }
}

/// The viewers of one stream in one minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamViewers {
    /// Those with a request in the minute.
    pub whole: ViewerSet,
    /// Those with a request in its last seconds. Empty if the window is a whole number of minutes.
    pub tail: ViewerSet,
}

/// How many viewers of a stream were present at the end of a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPoint {
    /// The minute.
    pub minute: Minute,
    /// The name of the stream.
    pub stream: String,
    /// The number of viewers.
    pub count: ViewerCount,
    /// The window contains a minute that no log covers, so there may have been more viewers.
    pub is_partial: bool,
}

impl DataPoint {
    /// The data point as a JSON object, with the key that identifies viewers.
    pub fn to_json(&self, rules: &CountingRules) -> Value {
        let mut object = json!({
            "minute": self.minute.iso8601(),
            "stream": self.stream,
            "viewers": self.count.viewers,
            "exact": self.count.exact,
            "key": rules.viewer_key.name(),
        });
        if self.is_partial {
            object["partial"] = true.into();
        }
        object
    }
}

/// The result of a merge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MergeOutcome {
    /// Whether a minute or a viewer was added.
    pub is_new: bool,
    /// How many streams exceeded `max_streams` and were dropped.
    pub streams_dropped: u64,
}

impl MergeOutcome {
    /// Adds the outcome of another merge.
    pub fn add(&mut self, more: Self) {
        self.is_new |= more.is_new;
        self.streams_dropped += more.streams_dropped;
    }
}

impl Audience {
    /// Records that a log covers this moment.
    pub fn add_minute(&mut self, at_s: i64) {
        self.minutes.entry(Minute::of(at_s)).or_default();
    }

    /// Records a request of a viewer. Returns `false` if the stream exceeds `max_streams`.
    pub fn add_viewer(
        &mut self,
        at_s: i64,
        stream: &str,
        viewer: u64,
        rules: &CountingRules,
    ) -> bool {
        let Some(index) = self.index(stream, rules.max_streams) else {
            return false;
        };
        let StreamViewers { whole, tail } = self.viewers_mut(Minute::of(at_s), index);
        whole.insert(viewer, rules.exact_up_to);
        if at_s.rem_euclid(60) >= 60 - i64::from(rules.tail_s()) {
            tail.insert(viewer, rules.exact_up_to);
        }
        true
    }

    /// Adds viewers of one stream in one minute.
    pub fn merge_stream(
        &mut self,
        minute: Minute,
        stream: &str,
        more: &StreamViewers,
        rules: &CountingRules,
    ) -> MergeOutcome {
        let Some(index) = self.index(stream, rules.max_streams) else {
            return MergeOutcome {
                is_new: false,
                streams_dropped: 1,
            };
        };
        let viewers = self.viewers_mut(minute, index);
        let before = viewers.clone();
        viewers.whole.merge(&more.whole, rules.exact_up_to);
        viewers.tail.merge(&more.tail, rules.exact_up_to);
        MergeOutcome {
            is_new: before != *viewers,
            streams_dropped: 0,
        }
    }

    /// Adds one minute of another audience.
    pub fn merge_minute(
        &mut self,
        other: &Self,
        minute: Minute,
        rules: &CountingRules,
    ) -> MergeOutcome {
        let mut outcome = MergeOutcome {
            is_new: !self.minutes.contains_key(&minute),
            streams_dropped: 0,
        };
        self.minutes.entry(minute).or_default();
        for (stream, viewers) in other.watched_streams(minute) {
            outcome.add(self.merge_stream(minute, stream, viewers, rules));
        }
        outcome
    }

    fn viewers_mut(&mut self, minute: Minute, index: usize) -> &mut StreamViewers {
        let streams = self.minutes.entry(minute).or_default();
        if streams.len() <= index {
            streams.resize_with(index + 1, StreamViewers::default);
        }
        &mut streams[index]
    }

    fn index(&mut self, stream: &str, max_streams: usize) -> Option<usize> {
        if let Some(index) = self.streams.get(stream) {
            return Some(*index);
        }
        let next = self.streams.len();
        (next < max_streams).then(|| *self.streams.entry(stream.into()).or_insert(next))
    }

    /// The minutes that logs cover.
    pub fn minutes(&self) -> impl ExactSizeIterator<Item = Minute> {
        self.minutes.keys().copied()
    }

    /// Splits the audience into its minutes.
    pub fn into_minutes(self) -> impl Iterator<Item = (Minute, Self)> {
        let Self { minutes, streams } = self;
        minutes.into_iter().map(move |(minute, viewers)| {
            let one = Self {
                minutes: [(minute, viewers)].into(),
                streams: streams.clone(),
            };
            (minute, one)
        })
    }

    /// The streams with viewers in this minute, by name.
    pub fn watched_streams(&self, minute: Minute) -> BTreeMap<&str, &StreamViewers> {
        let watched = |index: &usize| {
            let viewers = self.minutes.get(&minute)?.get(*index)?;
            (!viewers.whole.is_empty()).then_some(viewers)
        };
        self.streams
            .iter()
            .filter_map(|(name, index)| Some((name.as_ref(), watched(index)?)))
            .collect()
    }

    /// The data points of all minutes that logs cover, by minute and stream.
    ///
    /// Those of a stream start with its first viewers and end with one 0 after its last viewers.
    pub fn data_points(&self, rules: &CountingRules) -> Vec<DataPoint> {
        let mut points: Vec<_> = self
            .streams
            .iter()
            .flat_map(|(stream, index)| self.stream_data_points(stream, *index, rules))
            .collect();
        points.sort_unstable_by(|one, other| {
            (one.minute, &one.stream).cmp(&(other.minute, &other.stream))
        });
        points
    }

    fn stream_data_points(
        &self,
        stream: &str,
        index: usize,
        rules: &CountingRules,
    ) -> Vec<DataPoint> {
        let Some((first, last)) = self.first_and_last_watched(index) else {
            return Vec::new();
        };
        // The window looks back, so viewers can be present after the minute of their last request.
        // One more minute has the 0.
        let points = self
            .minutes
            .range(first..=last.plus(rules.minutes_before() + 1))
            .map(|(minute, _)| DataPoint {
                minute: *minute,
                stream: stream.to_owned(),
                count: self.present_at_end(*minute, index, rules),
                is_partial: !self.covers_window(*minute, rules),
            });
        trim(points.collect())
    }

    fn first_and_last_watched(&self, index: usize) -> Option<(Minute, Minute)> {
        let mut watched = self
            .minutes
            .iter()
            .filter(|(_, streams)| {
                streams
                    .get(index)
                    .is_some_and(|viewers| !viewers.whole.is_empty())
            })
            .map(|(minute, _)| *minute);
        let first = watched.next()?;
        Some((first, watched.next_back().unwrap_or(first)))
    }

    fn covers_window(&self, minute: Minute, rules: &CountingRules) -> bool {
        (1..=rules.minutes_before()).all(|ago| self.minutes.contains_key(&minute.plus(-ago)))
    }

    /// The union of the whole minutes in the window and of the tail of the minute before them.
    fn present_at_end(&self, minute: Minute, index: usize, rules: &CountingRules) -> ViewerCount {
        let whole_minutes = i64::from(rules.window_s.get() / 60);
        let viewers = |minute: Minute| self.minutes.get(&minute)?.get(index);
        let whole = (0..whole_minutes).filter_map(|ago| Some(&viewers(minute.plus(-ago))?.whole));
        let tail = viewers(minute.plus(-whole_minutes)).map(|viewers| &viewers.tail);
        let mut sets = whole.chain(tail).filter(|set| !set.is_empty());
        let Some(first) = sets.next() else {
            return ViewerCount::ZERO;
        };
        let Some(second) = sets.next() else {
            return first.count();
        };
        let mut all = first.clone();
        // A union of exact sets is exact, however large it is.
        [second]
            .into_iter()
            .chain(sets)
            .for_each(|set| all.merge(set, usize::MAX));
        all.count()
    }
}

/// Keeps the data points from the first viewers to one minute after the last. A partial 0 is
/// dropped: a minute without a log may have had viewers.
fn trim(mut points: Vec<DataPoint>) -> Vec<DataPoint> {
    let has_viewers = |point: &DataPoint| point.count.viewers > 0;
    let end = points
        .iter()
        .rfind(|point| has_viewers(point))
        .map(|last| last.minute.plus(1));
    points.retain(|point| end.is_some_and(|end| point.minute <= end));
    points.drain(..points.iter().position(has_viewers).unwrap_or_default());
    points.retain(|point| has_viewers(point) || !point.is_partial);
    points
}
