//! Who was there in which minute.

use super::CountingRules;
use super::viewer_set::{ViewerCount, ViewerSet};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// The viewers of each minute and stream, and the minutes that a log says anything of.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    minutes: BTreeMap<Minute, Vec<StreamViewers>>,
    /// Their places in a minute's list.
    streams: HashMap<Box<str>, usize>,
}

/// A minute of Unix time: its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i64);

impl Minute {
    /// The minute of a moment, in seconds.
    pub fn of(at_s: i64) -> Self {
        Self(at_s.div_euclid(60))
    }

    /// When it begins, in ISO 8601: `2026-11-21T21:13:00Z`.
    pub fn text(self) -> String {
        let begins = chrono::DateTime::from_timestamp(self.begins_s(), 0).unwrap_or_default();
        begins.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// When it begins, as Unix time in seconds.
    pub fn begins_s(self) -> i64 {
        self.0.saturating_mul(60)
    }

    /// Another one, so many later.
    pub fn later(self, minutes: i64) -> Self {
        Self(self.0.saturating_add(minutes))
    }
}

/// Those of one stream in one minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StreamViewers {
    /// Who made a request in it.
    pub(super) whole: ViewerSet,
    /// Who made one in its last seconds, if the window is no whole number of minutes.
    pub(super) tail: ViewerSet,
}

/// How many watched a stream at the end of a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPoint {
    /// The minute.
    pub minute: Minute,
    /// The stream.
    pub stream: String,
    /// How many.
    pub count: ViewerCount,
    /// The window looks back into minutes of which there is no log: there may have been more.
    pub is_partial: bool,
}

impl DataPoint {
    /// The figure as a JSON object, which names the key that viewers are known by.
    pub fn line(&self, rules: &CountingRules) -> Value {
        let mut line = json!({
            "minute": self.minute.text(),
            "stream": self.stream,
            "viewers": self.count.viewers,
            "exact": self.count.exact,
            "key": rules.viewer_key.name(),
        });
        if self.is_partial {
            line["partial"] = true.into();
        }
        line
    }
}

/// What came of adding one audience to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeOutcome {
    /// It says more than before.
    pub is_new: bool,
    /// So many streams were too many.
    pub dropped: u64,
}

impl Audience {
    /// There is a log of this moment, whether somebody watched or not.
    pub(super) fn minute(&mut self, at_s: i64) -> Minute {
        let minute = Minute::of(at_s);
        self.minutes.entry(minute).or_default();
        minute
    }

    /// Somebody watched. `false`: there are too many streams already for this one.
    pub(super) fn insert(
        &mut self,
        minute: Minute,
        at_s: i64,
        stream: &str,
        viewer: u64,
        rules: &CountingRules,
    ) -> bool {
        let Some(place) = self.place(stream, rules.max_streams) else {
            return false;
        };
        let StreamViewers { whole, tail } = self.present(minute, place);
        whole.insert(viewer, rules.exact_up_to);
        if at_s.rem_euclid(60) >= 60 - i64::from(rules.tail_s()) {
            tail.insert(viewer, rules.exact_up_to);
        }
        true
    }

    /// These were there, too.
    pub(super) fn merge(
        &mut self,
        minute: Minute,
        stream: &str,
        more: &StreamViewers,
        rules: &CountingRules,
    ) -> MergeOutcome {
        let Some(place) = self.place(stream, rules.max_streams) else {
            return MergeOutcome {
                is_new: false,
                dropped: 1,
            };
        };
        let present = self.present(minute, place);
        let before = present.clone();
        present.whole.merge(&more.whole, rules.exact_up_to);
        present.tail.merge(&more.tail, rules.exact_up_to);
        MergeOutcome {
            is_new: before != *present,
            dropped: 0,
        }
    }

    /// What another audience says of a minute, too.
    pub fn merge_minute(
        &mut self,
        other: &Self,
        minute: Minute,
        rules: &CountingRules,
    ) -> MergeOutcome {
        let is_new = !self.minutes.contains_key(&minute);
        self.minutes.entry(minute).or_default();
        let streams = other.streams(minute).into_iter();
        streams
            .map(|(stream, present)| self.merge(minute, stream, present, rules))
            .fold(MergeOutcome { is_new, dropped: 0 }, |all, one| {
                MergeOutcome {
                    is_new: all.is_new | one.is_new,
                    dropped: all.dropped + one.dropped,
                }
            })
    }

    fn present(&mut self, minute: Minute, place: usize) -> &mut StreamViewers {
        let streams = self.minutes.entry(minute).or_default();
        if streams.len() <= place {
            streams.resize_with(place + 1, StreamViewers::default);
        }
        &mut streams[place]
    }

    fn place(&mut self, stream: &str, max_streams: usize) -> Option<usize> {
        if let Some(place) = self.streams.get(stream) {
            return Some(*place);
        }
        let place = self.streams.len();
        (place < max_streams).then(|| *self.streams.entry(stream.into()).or_insert(place))
    }

    /// The minutes of which there is a log.
    pub fn minutes(&self) -> impl ExactSizeIterator<Item = Minute> {
        self.minutes.keys().copied()
    }

    /// Each minute by itself.
    pub fn into_minutes(self) -> impl Iterator<Item = (Minute, Self)> {
        let Self { minutes, streams } = self;
        minutes.into_iter().map(move |(minute, present)| {
            (
                minute,
                Self {
                    minutes: [(minute, present)].into(),
                    streams: streams.clone(),
                },
            )
        })
    }

    /// The streams of a minute, by name, that somebody watched.
    pub(super) fn streams(&self, minute: Minute) -> BTreeMap<&str, &StreamViewers> {
        let present = |place: &usize| {
            let present = self.minutes.get(&minute)?.get(*place)?;
            (!present.whole.is_empty()).then_some(present)
        };
        self.streams
            .iter()
            .filter_map(|(name, place)| Some((name.as_ref(), present(place)?)))
            .collect()
    }

    /// The figures of all minutes of which there is a log. A stream's begin with the first that has
    /// viewers, and end with a 0 in the one after the last.
    pub fn data_points(&self, rules: &CountingRules) -> Vec<DataPoint> {
        let figures = self
            .streams
            .iter()
            .flat_map(|(stream, place)| self.of_stream(stream, *place, rules));
        let mut figures: Vec<_> = figures.collect();
        figures.sort_unstable_by(|one, other| {
            (one.minute, &one.stream).cmp(&(other.minute, &other.stream))
        });
        figures
    }

    fn of_stream(&self, stream: &str, place: usize, rules: &CountingRules) -> Vec<DataPoint> {
        let is_watched = |streams: &Vec<StreamViewers>| {
            streams
                .get(place)
                .is_some_and(|present| !present.whole.is_empty())
        };
        let mut watched = self
            .minutes
            .iter()
            .filter(|(_, streams)| is_watched(streams))
            .map(|(minute, _)| *minute);
        let Some(first) = watched.next() else {
            return Vec::new();
        };
        let last = watched.next_back().unwrap_or(first);
        let figure = |minute: Minute| {
            let count = self.count(minute, place, rules);
            let is_logged = |ago: i64| self.minutes.contains_key(&minute.later(-ago));
            let is_partial = !(1..=rules.minutes_before()).all(is_logged);
            DataPoint {
                minute,
                stream: stream.to_owned(),
                count,
                is_partial,
            }
        };
        // A window looks back, so somebody may be there after the last request; and then comes the
        // 0.
        let told = first..=last.later(rules.minutes_before() + 1);
        let mut figures: Vec<_> = self
            .minutes
            .range(told)
            .map(|(minute, _)| figure(*minute))
            .collect();
        let is_there = |figure: &DataPoint| figure.count.viewers > 0;
        let gone = figures
            .iter()
            .rfind(|figure| is_there(figure))
            .map(|last| last.minute.later(1));
        figures.retain(|figure| gone.is_some_and(|gone| figure.minute <= gone));
        figures.drain(..figures.iter().position(is_there).unwrap_or_default());
        // That nobody was there is not known of minutes without a log.
        figures.retain(|figure| is_there(figure) || !figure.is_partial);
        figures
    }

    /// Who is there at the minute's end: those of the window's whole minutes, and of its first
    /// seconds.
    fn count(&self, minute: Minute, place: usize, rules: &CountingRules) -> ViewerCount {
        let whole_minutes = i64::from(rules.window_s.get() / 60);
        let present = |minute: Minute| self.minutes.get(&minute)?.get(place);
        let whole = (0..whole_minutes).filter_map(|ago| Some(&present(minute.later(-ago))?.whole));
        let tail = present(minute.later(-whole_minutes)).map(|present| &present.tail);
        let mut sets = whole.chain(tail).filter(|set| !set.is_empty());
        let Some(first) = sets.next() else {
            return ViewerCount {
                viewers: 0,
                exact: true,
            };
        };
        let Some(second) = sets.next() else {
            return first.count();
        };
        let mut all = first.clone();
        // A window of exact sets is exact, however large.
        [second]
            .into_iter()
            .chain(sets)
            .for_each(|set| all.merge(set, usize::MAX));
        all.count()
    }
}
