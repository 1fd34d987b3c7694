//! The window that viewers see of a rendition. It only slides forward, whatever the transcoder
//! writes.
//!
//! A transcoder that restarts counts from the start again, often under the same file names. The
//! numbers that viewers see never decrease (RFC 8216bis, 6.2.1 and 6.2.2). The segments of the
//! previous run stay in the window while there is room, and the new ones follow after a
//! discontinuity.

use super::media_playlist::{MediaPlaylist, Segment};
use super::names::written_name;
use std::collections::VecDeque;

/// How much of the segments that left the window is remembered, in seconds: a day.
const MAX_HISTORY_S: f64 = 86_400.0;

/// The segments that are published of a rendition, and with VOD playlists those before them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlidingWindow {
    version: u64,
    target_s: u64,
    header: Vec<String>,
    sequence: u64,
    discontinuity_sequence: u64,
    entries: VecDeque<WindowSegment>,
    ended: bool,
    /// The most segments that the transcoder's own window had.
    max_len: usize,
    run: Option<TranscoderRun>,
    /// The segments that left the window, if there is a VOD playlist.
    history: Option<WindowHistory>,
}

/// The segments that left the window.
#[derive(Debug, Clone, Default, PartialEq)]
struct WindowHistory {
    /// The number of its first segment in the VOD playlist. It equals the number in the window
    /// unless segments were missed.
    sequence: u64,
    discontinuity_sequence: u64,
    segments: VecDeque<Segment>,
    duration_s: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct WindowSegment {
    segment: Segment,
    /// The segment is from the transcoder's present run.
    is_of_present_run: bool,
    /// Viewers have seen the segment, so that its files stay the same.
    is_shown: bool,
}

/// The numbers of one run of the transcoder.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TranscoderRun {
    /// The difference between a number in the window and the transcoder's.
    offset: i128,
    /// The number in the window of its first segment, if that starts after a discontinuity.
    break_at: Option<i128>,
}

impl SlidingWindow {
    /// Continues the published playlists of an earlier process: the live one, and the VOD one if
    /// there is one.
    pub fn adopt(published: MediaPlaylist, vod: Option<MediaPlaylist>) -> Self {
        let history = vod.map(|vod| WindowHistory::before(vod, &published));
        let entry = |segment| WindowSegment {
            segment,
            is_of_present_run: false,
            is_shown: true,
        };
        let entries: VecDeque<WindowSegment> = published.segments.into_iter().map(entry).collect();
        Self {
            history,
            version: published.version,
            target_s: published.target_s,
            header: published.header,
            sequence: published.sequence,
            discontinuity_sequence: published.discontinuity_sequence,
            ended: published.ended,
            max_len: entries.len(),
            entries,
            run: None,
        }
    }

    /// The window after a new snapshot of the transcoder's playlist. Its URIs are those under which
    /// the files are published, so that two contents never have the same URI. `is_new_show`: if the
    /// transcoder restarted, the segments of its previous run leave the window at once.
    pub fn follow(&self, snapshot: &MediaPlaylist, is_new_show: bool) -> Self {
        let mut next = self.clone();
        // A snapshot without segments has no position: it was cut off, or precedes the first
        // segment.
        if snapshot.segments.is_empty() {
            next.ended |= snapshot.ended;
            return next;
        }
        next.version = snapshot.version.max(self.version);
        next.target_s = snapshot.target_s.max(self.target_s);
        next.header.clone_from(&snapshot.header);
        next.ended = snapshot.ended;
        next.max_len = self.max_len.max(snapshot.segments.len());
        let run = self
            .continues(snapshot)
            .unwrap_or_else(|| next.begin_run(snapshot));
        next.run = Some(run);
        if is_new_show && run.break_at == Some(self.end()) {
            while next.drop_first() {}
        }
        if self.entries.is_empty() {
            next.start_at(run.published(snapshot.sequence), snapshot);
        }
        for (number, segment) in (snapshot.sequence..).zip(&snapshot.segments) {
            next.add(run.published(number), segment.clone());
        }
        next.slide(run.published(snapshot.sequence));
        next
    }

    /// Gives an empty window its first numbers.
    fn start_at(&mut self, first: i128, snapshot: &MediaPlaylist) {
        self.sequence = self.sequence.max(u64::try_from(first).unwrap_or_default());
        self.discontinuity_sequence = self
            .discontinuity_sequence
            .max(snapshot.discontinuity_sequence);
        if let Some(history) = &mut self.history
            && history.segments.is_empty()
        {
            history.sequence = self.sequence;
            history.discontinuity_sequence = self.discontinuity_sequence;
        }
    }

    /// The run of which this is a later snapshot, if there is one.
    fn continues(&self, snapshot: &MediaPlaylist) -> Option<TranscoderRun> {
        if self.entries.is_empty() {
            return Some(self.run.unwrap_or(TranscoderRun {
                offset: 0,
                break_at: None,
            }));
        }
        if let Some(run) = self.run {
            return self.agrees(run, snapshot).then_some(run);
        }
        // An earlier process published this window: a segment that both have shows the offset.
        let numbered = (snapshot.sequence..).zip(&snapshot.segments);
        let mut runs = numbered.flat_map(|(number, segment)| {
            let places = (self.sequence..).zip(&self.entries);
            let is_it =
                move |known: &Segment| known.uri == segment.uri || segment.is_absent_of(known);
            let places = places.filter(move |(_, entry)| is_it(&entry.segment));
            places.map(move |(place, _)| TranscoderRun {
                offset: i128::from(place) - i128::from(number),
                break_at: None,
            })
        });
        runs.find(|run| self.agrees(*run, snapshot))
    }

    /// Whether a snapshot continues the window: it overlaps or adjoins the window, and does not
    /// contradict it.
    fn agrees(&self, run: TranscoderRun, snapshot: &MediaPlaylist) -> bool {
        let after = run.published(snapshot.sequence) + snapshot.segments.len() as i128;
        let reaches_end = after >= self.end();
        let is_same = |(number, segment): (u64, &Segment)| {
            let published = self.at(run.published(number));
            published.is_none_or(|entry| is_same_segment(&entry.segment, segment, reaches_end))
        };
        let adjoins =
            run.published(snapshot.sequence) <= self.end() && after > i128::from(self.sequence);
        adjoins && (snapshot.sequence..).zip(&snapshot.segments).all(is_same)
    }

    fn begin_run(&mut self, snapshot: &MediaPlaylist) -> TranscoderRun {
        for entry in &mut self.entries {
            entry.is_of_present_run = false;
        }
        TranscoderRun {
            offset: self.end() - i128::from(snapshot.sequence),
            break_at: Some(self.end()),
        }
    }

    fn add(&mut self, number: i128, mut segment: Segment) {
        if let Some(entry) = self.at_mut(number) {
            // A published segment does not change: it stays a gap, or after a discontinuity.
            segment.discontinuity |= entry.segment.discontinuity;
            segment.gap |= entry.segment.gap;
            if entry.segment.gap || entry.is_shown {
                segment.uri.clone_from(&entry.segment.uri);
            }
            if entry.is_shown {
                segment.map.clone_from(&entry.segment.map);
                segment.keys.clone_from(&entry.segment.keys);
            }
            *entry = WindowSegment {
                segment,
                is_of_present_run: true,
                ..*entry
            };
            return;
        }
        if number != self.end() {
            // The segment left the window long ago.
            return;
        }
        segment.discontinuity |= self.run.is_some_and(|run| run.break_at == Some(number));
        self.entries.push_back(WindowSegment {
            segment,
            is_of_present_run: true,
            is_shown: false,
        });
    }

    /// Makes the segments with these URIs gaps. Viewers have not seen them yet. Returns whether
    /// there were any.
    pub fn lose(&mut self, is_lost: impl Fn(&str) -> bool) -> bool {
        let history = self.history.iter_mut();
        let history = history.flat_map(|history| &mut history.segments);
        let all = history.chain(self.entries.iter_mut().map(|entry| &mut entry.segment));
        let lost = all.filter(|segment| !segment.gap && is_lost(&segment.uri));
        lost.map(|segment| segment.gap = true).count() > 0
    }

    /// Makes the segments of the previous run that need one of these URIs gaps, if viewers have not
    /// seen them. Returns whether there were any.
    pub fn lose_previous_run(&mut self, is_lost: impl Fn(&str) -> bool) -> bool {
        let previous_run = self
            .entries
            .iter_mut()
            .filter(|entry| !entry.is_of_present_run && !entry.is_shown);
        let lost =
            previous_run.filter(|entry| !entry.segment.gap && entry.segment.needs().any(&is_lost));
        lost.map(|entry| entry.segment.gap = true).count() > 0
    }

    /// Records that viewers have seen all segments before this number.
    pub fn set_shown(&mut self, end: u64) {
        let count = usize::try_from(end.saturating_sub(self.sequence)).unwrap_or(usize::MAX);
        self.entries
            .iter_mut()
            .take(count)
            .for_each(|entry| entry.is_shown = true);
    }

    /// Ends the stream, although the transcoder did not write `EXT-X-ENDLIST`.
    pub fn finish(&mut self) {
        self.ended = true;
        self.entries
            .iter_mut()
            .for_each(|entry| entry.is_of_present_run = false);
    }

    /// Replaces each URI that has no published name yet, if `published` has one.
    pub fn rename(&mut self, published: impl Fn(&str) -> Option<String>) {
        let unseen = self
            .entries
            .iter_mut()
            .filter(|entry| !entry.is_shown && !entry.segment.gap);
        unseen.for_each(|entry| entry.segment.rename(&published));
    }

    /// Drops the segments that the transcoder dropped. Those of the previous run stay while there
    /// is room.
    fn slide(&mut self, first: i128) {
        let first_present = self
            .entries
            .iter()
            .position(|entry| entry.is_of_present_run);
        let first_present = first_present.map(|place| i128::from(self.sequence) + place as i128);
        if first_present.is_some_and(|present| first > present)
            || first_present == Some(i128::from(self.sequence))
        {
            while i128::from(self.sequence) < first && self.drop_first() {}
        }
        while self.entries.len() > self.max_len
            && self
                .entries
                .front()
                .is_some_and(|entry| !entry.is_of_present_run)
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else {
            return false;
        };
        self.sequence += 1;
        self.discontinuity_sequence += u64::from(entry.segment.discontinuity);
        if let Some(history) = &mut self.history {
            history.push(entry.segment);
        }
        true
    }

    /// The number after the last segment.
    fn end(&self) -> i128 {
        i128::from(self.sequence) + self.entries.len() as i128
    }

    fn at(&self, number: i128) -> Option<&WindowSegment> {
        self.entries
            .get(usize::try_from(number - i128::from(self.sequence)).ok()?)
    }

    fn at_mut(&mut self, number: i128) -> Option<&mut WindowSegment> {
        self.entries
            .get_mut(usize::try_from(number - i128::from(self.sequence)).ok()?)
    }

    /// The segments in the window, the oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> + Clone {
        self.entries.iter().map(|entry| &entry.segment)
    }

    /// The number of the first segment in the window.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The longest duration of a segment, in seconds.
    pub fn target_s(&self) -> u64 {
        self.target_s
    }

    /// Whether no segment will be added.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The live playlist, as viewers will see it.
    pub fn render(&self) -> String {
        let numbers = FirstNumbers {
            sequence: self.sequence,
            discontinuities: self.discontinuity_sequence,
        };
        let segments: Vec<&Segment> = self.segments().collect();
        self.render_segments(&segments, numbers, PlaylistType::Live { ended: self.ended })
    }

    /// The segments that left the window, with their numbers in the VOD playlist, from `first` on.
    pub fn history(&self, first: u64) -> impl Iterator<Item = (u64, &Segment)> {
        self.history.iter().flat_map(move |history| {
            let skipped = first.saturating_sub(history.sequence);
            let start = usize::try_from(skipped).unwrap_or(usize::MAX);
            let start = start.min(history.segments.len());
            (history.sequence + start as u64..).zip(history.segments.range(start..))
        })
    }

    /// The number in the VOD playlist of a number in the window, if there is a VOD playlist.
    pub fn number_in_vod(&self, number: u64) -> Option<u64> {
        let history = self.history.as_ref()?;
        (history.end() + number).checked_sub(self.sequence)
    }

    /// The VOD playlist up to this number of it, if there is one.
    pub fn render_vod(&self, end: u64) -> Option<String> {
        let history = self.history.as_ref()?;
        let length = end.saturating_sub(history.sequence);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let all: Vec<&Segment> = history.segments.iter().chain(self.segments()).collect();
        let numbers = FirstNumbers {
            sequence: history.sequence,
            discontinuities: history.discontinuity_sequence,
        };
        let kind = if self.ended && length >= all.len() {
            PlaylistType::Vod
        } else {
            PlaylistType::Live { ended: false }
        };
        Some(self.render_segments(&all[..length.min(all.len())], numbers, kind))
    }

    fn render_segments(
        &self,
        segments: &[&Segment],
        first: FirstNumbers,
        kind: PlaylistType,
    ) -> String {
        // RFC 8216bis, 8: EXT-X-GAP needs version 8.
        let version = if segments.iter().any(|segment| segment.gap) {
            self.version.max(8)
        } else {
            self.version
        };
        let mut lines = vec!["#EXTM3U".to_owned(), format!("#EXT-X-VERSION:{version}")];
        if kind == PlaylistType::Vod {
            lines.push("#EXT-X-PLAYLIST-TYPE:VOD".to_owned());
        }
        lines.extend(self.header.iter().cloned());
        lines.push(format!("#EXT-X-TARGETDURATION:{}", self.target_s));
        lines.push(format!("#EXT-X-MEDIA-SEQUENCE:{}", first.sequence));
        if first.discontinuities > 0 {
            let number = first.discontinuities;
            lines.push(format!("#EXT-X-DISCONTINUITY-SEQUENCE:{number}"));
        }
        push_segments(&mut lines, segments);
        if kind != (PlaylistType::Live { ended: false }) {
            lines.push("#EXT-X-ENDLIST".to_owned());
        }
        lines.join("\n") + "\n"
    }
}

#[derive(Clone, Copy, PartialEq)]
enum PlaylistType {
    Live { ended: bool },
    Vod,
}

/// The numbers of the first segment of a playlist.
#[derive(Clone, Copy)]
struct FirstNumbers {
    sequence: u64,
    discontinuities: u64,
}

fn push_segments(lines: &mut Vec<String>, segments: &[&Segment]) {
    let (mut keys, mut map) = (&Vec::new(), &None);
    for segment in segments {
        if segment.discontinuity {
            lines.push("#EXT-X-DISCONTINUITY".to_owned());
        }
        if segment.gap {
            // Players do not fetch the key and the section of a gap, and these may be missing.
            lines.push("#EXT-X-GAP".to_owned());
        } else {
            lines.extend(segment.resource_tags(keys, map));
            (keys, map) = (&segment.keys, &segment.map);
        }
        lines.extend(segment.tags.iter().cloned());
        lines.push(segment.uri.clone());
    }
}

/// Whether a segment of a snapshot is the published one under the same number. `reaches_end`: the
/// snapshot is not behind the window.
fn is_same_segment(published: &Segment, segment: &Segment, reaches_end: bool) -> bool {
    if published.uri == segment.uri || segment.is_absent_of(published) {
        return true;
    }
    // The file of a gap may appear later. But a snapshot behind the window with another file is
    // from a transcoder that restarted.
    let is_rewritten = reaches_end && written_name(&published.uri) == segment.written_as;
    published.gap && (published.uri == segment.written_as || is_rewritten)
}

impl WindowHistory {
    /// The part of a VOD playlist before a window. Segments other than gaps have distinct names.
    fn before(mut vod: MediaPlaylist, window: &MediaPlaylist) -> Self {
        let names = |segments: &[Segment]| -> Vec<String> {
            segments.iter().map(|segment| segment.uri.clone()).collect()
        };
        let (known, window) = (names(&vod.segments), names(&window.segments));
        let shortest = known.len().saturating_sub(window.len());
        let end = (shortest..known.len()).find(|end| window.starts_with(&known[*end..]));
        vod.segments.truncate(end.unwrap_or(known.len()));
        Self {
            sequence: vod.sequence,
            discontinuity_sequence: vod.discontinuity_sequence,
            duration_s: vod.segments.iter().map(|segment| segment.duration_s).sum(),
            segments: vod.segments.into(),
        }
    }

    fn end(&self) -> u64 {
        self.sequence + self.segments.len() as u64
    }

    fn push(&mut self, segment: Segment) {
        self.duration_s += segment.duration_s;
        self.segments.push_back(segment);
        while self.duration_s > MAX_HISTORY_S
            && let Some(first) = self.segments.pop_front()
        {
            self.duration_s -= first.duration_s;
            self.sequence += 1;
            self.discontinuity_sequence += u64::from(first.discontinuity);
        }
    }
}

impl TranscoderRun {
    fn published(self, number: u64) -> i128 {
        i128::from(number) + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(first: u64, names: &[&str]) -> MediaPlaylist {
        let lines: String = names
            .iter()
            .map(|name| format!("#EXTINF:2,\n{name}\n"))
            .collect();
        let text =
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{lines}");
        MediaPlaylist::parse(&text).unwrap()
    }

    fn names(window: &SlidingWindow) -> Vec<&str> {
        window
            .segments()
            .map(|segment| segment.uri.as_str())
            .collect()
    }

    /// Promise P73. A transcoder that restarts with the same names, and with its numbers from the
    /// start, continues after an `EXT-X-DISCONTINUITY`.
    #[test]
    fn a_transcoder_that_restarts_continues_the_window_or_starts_a_new_one() {
        let before = SlidingWindow::adopt(MediaPlaylist::default(), Some(MediaPlaylist::default()))
            .follow(&snapshot(5, &["a", "b", "c"]), false);
        for (is_new_show, expected) in [(false, &["b", "c", "x"][..]), (true, &["x"])] {
            let again = before.follow(&snapshot(0, &["x"]), is_new_show);
            assert_eq!(names(&again), expected);
            assert_eq!(again.sequence(), 9 - expected.len() as u64);
            let last = again.segments().last().unwrap();
            assert!(last.discontinuity && !again.render().contains("DISCONTINUITY-SEQUENCE"));
            let later = again.follow(&snapshot(1, &["y", "z", "w"]), is_new_show);
            assert_eq!((names(&later), later.sequence()), (vec!["y", "z", "w"], 9));
            assert!(later.render().contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
            let vod = later.render_vod(12).unwrap();
            assert_eq!(vod.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
            assert_eq!(
                vod.lines().filter(|line| !line.starts_with('#')).count(),
                7,
                "{vod}"
            );
        }
        // A transcoder that resumes is continued, whatever the pause.
        assert_eq!(
            names(&before.follow(&snapshot(6, &["b", "c", "d"]), true)),
            ["b", "c", "d"]
        );
    }
}
