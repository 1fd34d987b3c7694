//! Which segments a stream has, and when each was completed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::unix_ms;

/// Every stream began in 2020. With 1970, the numbers of short segments would exceed real ones.
const BEGAN_MS: u64 = 1_577_836_800_000;

/// The time of a stream follows the wall clock except during its pauses: nothing is encoded for a
/// pause afterwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// In order. Only the last can be open.
    pauses: Vec<Pause>,
}

#[derive(Clone, Debug)]
struct Pause {
    /// The stream's time at the pause.
    at_ms: u64,
    /// The wall clock at the start of the pause.
    began_ms: u64,
    ended_ms: Option<u64>,
}

impl Timeline {
    pub(crate) fn stall(&mut self, now: SystemTime) {
        if self
            .pauses
            .last()
            .is_none_or(|pause| pause.ended_ms.is_some())
        {
            self.pauses.push(Pause {
                at_ms: self.media_ms(now),
                began_ms: unix_ms(now),
                ended_ms: None,
            });
        }
    }

    pub(crate) fn resume(&mut self, now: SystemTime) {
        if let Some(pause) = self.pauses.last_mut() {
            pause.ended_ms.get_or_insert(unix_ms(now));
        }
    }

    /// The newest complete segment, if the stream has one.
    pub(crate) fn edge(&self, segment_ms: u64, now: SystemTime) -> Option<u64> {
        (self.media_ms(now) / segment_ms.max(1)).checked_sub(1)
    }

    /// The number of breaks up to the start of a segment. The segment that was being encoded when a
    /// pause began is the first after the break.
    pub(crate) fn breaks(&self, sequence: u64, segment_ms: u64) -> usize {
        self.pauses
            .iter()
            .filter(|pause| pause.at_ms < (sequence + 1) * segment_ms)
            .count()
    }

    /// The time at which a segment was completed.
    pub(crate) fn complete(&self, sequence: u64, segment_ms: u64) -> SystemTime {
        let media_ms = (sequence + 1) * segment_ms;
        let pauses = self.pauses.iter().filter(|pause| pause.at_ms < media_ms);
        let paused_ms: u64 = pauses.map(|pause| pause.length_ms(pause.began_ms)).sum();
        UNIX_EPOCH + Duration::from_millis(BEGAN_MS + media_ms + paused_ms)
    }

    fn media_ms(&self, now: SystemTime) -> u64 {
        let now_ms = unix_ms(now);
        let paused_ms: u64 = self
            .pauses
            .iter()
            .map(|pause| pause.length_ms(now_ms))
            .sum();
        now_ms.saturating_sub(BEGAN_MS + paused_ms)
    }
}

impl Pause {
    fn length_ms(&self, now_ms: u64) -> u64 {
        self.ended_ms
            .unwrap_or(now_ms)
            .saturating_sub(self.began_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(BEGAN_MS + ms)
    }

    #[test]
    fn the_edge_moves_with_the_clock_and_stands_through_a_pause() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.edge(1000, at(999)), None);
        assert_eq!(timeline.edge(1000, at(5_999)), Some(4));
        timeline.stall(at(6_500));
        timeline.stall(at(7_000));
        assert_eq!(timeline.edge(1000, at(60_000)), Some(5));
        assert_eq!(timeline.complete(5, 1000), at(6_000));
        timeline.resume(at(60_000));
        timeline.resume(at(99_000));
        assert_eq!(timeline.edge(1000, at(60_499)), Some(5));
        assert_eq!(timeline.edge(1000, at(60_500)), Some(6));
        assert_eq!(timeline.complete(6, 1000), at(60_500));
    }

    #[test]
    fn the_segment_in_the_making_is_the_first_behind_the_break() {
        for pause_ms in [6_000, 6_500, 6_999] {
            let mut timeline = Timeline::default();
            timeline.stall(at(pause_ms));
            timeline.resume(at(60_000));
            assert_eq!((timeline.breaks(5, 1000), timeline.breaks(6, 1000)), (0, 1));
            assert_eq!(timeline.complete(5, 1000), at(6_000));
            assert_eq!(timeline.complete(6, 1000), at(60_000 + 7_000 - pause_ms));
        }
    }
}
