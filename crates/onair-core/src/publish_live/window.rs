//! What viewers see of a rendition: one window that slides on, whatever the transcoder does.
//!
//! A transcoder that begins again counts from the start, often under the same file names. Viewers'
//! numbers never go back (RFC 8216bis, 6.2.1 and 6.2.2): what came from before stays in the window
//! while there is room, and what comes now follows behind a discontinuity.

use super::media_playlist::{MediaPlaylist, Segment};
use super::names::written;
use std::collections::VecDeque;

/// How much is remembered of what has left the window, in seconds: a day.
const REMEMBERED_S: f64 = 86_400.0;

/// The window that is published of a rendition, and what was in it before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlidingWindow {
    version: u64,
    target_s: u64,
    header: Vec<String>,
    sequence: u64,
    discontinuity_sequence: u64,
    entries: VecDeque<WindowSegment>,
    ended: bool,
    /// How many segments the transcoder's window has had at most.
    window: usize,
    run: Option<TranscoderRun>,
    /// What has left the window, if that is to be remembered.
    past: Option<WindowHistory>,
}

/// What has left the window.
#[derive(Debug, Clone, Default, PartialEq)]
struct WindowHistory {
    /// The number of its first segment, counted over all of it: the window's own unless something
    /// was missed.
    sequence: u64,
    discontinuity_sequence: u64,
    segments: VecDeque<Segment>,
    duration_s: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct WindowSegment {
    segment: Segment,
    /// It is from the transcoder's present run.
    is_present: bool,
    /// Viewers have seen it: what it needs stays the same.
    is_shown: bool,
}

/// The transcoder's present run.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TranscoderRun {
    /// What is added to its numbers.
    offset: i128,
    /// The number of its first segment, if that does not continue what was before.
    break_at: Option<i128>,
}

impl SlidingWindow {
    /// What an earlier process has published: the window, and all that was, if that is remembered.
    pub fn adopt(published: MediaPlaylist, all: Option<MediaPlaylist>) -> Self {
        let past = all.map(|all| WindowHistory::before(all, &published));
        let entry = |segment| WindowSegment {
            segment,
            is_present: false,
            is_shown: true,
        };
        let entries: VecDeque<WindowSegment> = published.segments.into_iter().map(entry).collect();
        Self {
            past,
            version: published.version,
            target_s: published.target_s,
            header: published.header,
            sequence: published.sequence,
            discontinuity_sequence: published.discontinuity_sequence,
            ended: published.ended,
            window: entries.len(),
            entries,
            run: None,
        }
    }

    /// The window after a new snapshot, whose URIs are those under which its files are published:
    /// no two contents have the same. If the transcoder begins again, what was before leaves the
    /// window at once when `is_over`: whoever was watching that is not any more.
    pub fn follow(&self, snapshot: &MediaPlaylist, is_over: bool) -> Self {
        let mut next = self.clone();
        // Without a segment it says nothing of where it is: it was cut off, or comes before the
        // first.
        if snapshot.segments.is_empty() {
            next.ended |= snapshot.ended;
            return next;
        }
        next.version = snapshot.version.max(self.version);
        next.target_s = snapshot.target_s.max(self.target_s);
        next.header.clone_from(&snapshot.header);
        next.ended = snapshot.ended;
        next.window = self.window.max(snapshot.segments.len());
        let run = self
            .continues(snapshot)
            .unwrap_or_else(|| next.begin_run(snapshot));
        next.run = Some(run);
        if is_over && run.break_at == Some(self.end()) {
            while next.drop_first() {}
        }
        if self.entries.is_empty() {
            let first = u64::try_from(run.published(snapshot.sequence)).unwrap_or_default();
            next.sequence = self.sequence.max(first);
            next.discontinuity_sequence = self
                .discontinuity_sequence
                .max(snapshot.discontinuity_sequence);
            if let Some(past) = next.past.as_mut().filter(|past| past.segments.is_empty()) {
                past.sequence = next.sequence;
                past.discontinuity_sequence = next.discontinuity_sequence;
            }
        }
        for (number, segment) in (snapshot.sequence..).zip(&snapshot.segments) {
            next.add(run.published(number), segment.clone());
        }
        next.slide(run.published(snapshot.sequence));
        next
    }

    /// The run that this snapshot continues, if it continues one.
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
        // An earlier process has published this: where the two have a segment in common, they go
        // on.
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

    /// Whether a snapshot goes on from what is published: does not contradict it, nor lies before
    /// or behind it.
    fn agrees(&self, run: TranscoderRun, snapshot: &MediaPlaylist) -> bool {
        let after = run.published(snapshot.sequence) + snapshot.segments.len() as i128;
        let is_same = |(number, segment): (u64, &Segment)| match self.at(run.published(number)) {
            None => true,
            Some(entry) if entry.segment.uri == segment.uri => true,
            // What was there may be gone from the disk, and what was never there may have turned
            // up, too late: unless there is less than before, which is a transcoder that began
            // again.
            Some(WindowSegment { segment: known, .. }) => {
                let is_rewritten = after >= self.end() && written(&known.uri) == segment.written_as;
                segment.is_absent_of(known)
                    || known.gap && (known.uri == segment.written_as || is_rewritten)
            }
        };
        let adjoins =
            run.published(snapshot.sequence) <= self.end() && after > i128::from(self.sequence);
        adjoins && (snapshot.sequence..).zip(&snapshot.segments).all(is_same)
    }

    fn begin_run(&mut self, snapshot: &MediaPlaylist) -> TranscoderRun {
        for entry in &mut self.entries {
            entry.is_present = false;
        }
        TranscoderRun {
            offset: self.end() - i128::from(snapshot.sequence),
            break_at: Some(self.end()),
        }
    }

    fn add(&mut self, number: i128, mut segment: Segment) {
        if let Some(entry) = self.at_mut(number) {
            // What was said once stays so: it is a gap, or it begins a run.
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
                is_present: true,
                ..*entry
            };
            return;
        }
        if number != self.end() {
            // Long gone.
            return;
        }
        segment.discontinuity |= self.run.is_some_and(|run| run.break_at == Some(number));
        self.entries.push_back(WindowSegment {
            segment,
            is_present: true,
            is_shown: false,
        });
    }

    /// Says of the segments with such URIs, which nobody has seen yet, that they will never be
    /// there. Whether there were any.
    pub fn lose(&mut self, is_it: impl Fn(&str) -> bool) -> bool {
        let past = self.past.iter_mut().flat_map(|past| &mut past.segments);
        let all = past.chain(self.entries.iter_mut().map(|entry| &mut entry.segment));
        let lost = all.filter(|segment| !segment.gap && is_it(&segment.uri));
        lost.map(|segment| segment.gap = true).count() > 0
    }

    /// Says the same of all segments that need something under a name (`is_it`), that nobody has
    /// seen, and that the transcoder names no more: nobody waits for them. Whether there were any.
    pub fn lose_previous_run(&mut self, is_it: impl Fn(&str) -> bool) -> bool {
        let previous_run = self
            .entries
            .iter_mut()
            .filter(|entry| !entry.is_present && !entry.is_shown);
        let lost =
            previous_run.filter(|entry| !entry.segment.gap && entry.segment.needs().any(&is_it));
        lost.map(|entry| entry.segment.gap = true).count() > 0
    }

    /// Viewers have seen all before this number.
    pub fn shown(&mut self, end: u64) {
        let count = usize::try_from(end.saturating_sub(self.sequence)).unwrap_or(usize::MAX);
        self.entries
            .iter_mut()
            .take(count)
            .for_each(|entry| entry.is_shown = true);
    }

    /// Says that nothing comes after it, though the transcoder does not.
    pub fn finish(&mut self) {
        self.ended = true;
        self.entries
            .iter_mut()
            .for_each(|entry| entry.is_present = false);
    }

    /// Gives what is named under a name for the time being the one under which it is published.
    pub fn rename(&mut self, published: impl Fn(&str) -> Option<String>) {
        let unseen = self
            .entries
            .iter_mut()
            .filter(|entry| !entry.is_shown && !entry.segment.gap);
        unseen.for_each(|entry| entry.segment.rename(&published));
    }

    /// Lets go of what the transcoder has let go of. What is from before its present run stays
    /// while there is room.
    fn slide(&mut self, first: i128) {
        let first_present = self.entries.iter().position(|entry| entry.is_present);
        let first_present = first_present.map(|place| i128::from(self.sequence) + place as i128);
        if first_present.is_some_and(|present| first > present)
            || first_present == Some(i128::from(self.sequence))
        {
            while i128::from(self.sequence) < first && self.drop_first() {}
        }
        while self.entries.len() > self.window
            && self.entries.front().is_some_and(|entry| !entry.is_present)
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
        if let Some(past) = &mut self.past {
            past.push(entry.segment);
        }
        true
    }

    /// The number behind the last.
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

    /// What is in the window.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> + Clone {
        self.entries.iter().map(|entry| &entry.segment)
    }

    /// The number of the first segment.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How long a segment is at most, in seconds.
    pub fn target_s(&self) -> u64 {
        self.target_s
    }

    /// Nothing comes after it.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The playlist.
    pub fn render(&self) -> String {
        let (sequence, discontinuities) = (self.sequence, self.discontinuity_sequence);
        self.render_as("", sequence, discontinuities, self.segments(), self.ended)
    }

    /// What has left the window, from this number of the playlist of all on, with its numbers
    /// there.
    pub fn past(&self, first: u64) -> impl Iterator<Item = (u64, &Segment)> {
        self.past.iter().flat_map(move |past| {
            let start = usize::try_from(first.saturating_sub(past.sequence)).unwrap_or(usize::MAX);
            let start = start.min(past.segments.len());
            (past.sequence + start as u64..).zip(past.segments.range(start..))
        })
    }

    /// The number that a number of the window has in the playlist of all, if that is remembered.
    pub fn number_in_all(&self, number: u64) -> Option<u64> {
        let past = self.past.as_ref()?;
        (past.sequence + past.segments.len() as u64 + number).checked_sub(self.sequence)
    }

    /// The playlist of all that was and is, up to this number of it, if it is remembered.
    pub fn render_all(&self, end: u64) -> Option<String> {
        let past = self.past.as_ref()?;
        let length = usize::try_from(end.saturating_sub(past.sequence)).unwrap_or(usize::MAX);
        let segments = past.segments.iter().chain(self.segments());
        let ended = self.ended && length >= segments.clone().count();
        let segments = segments.take(length);
        let kind = if ended {
            "#EXT-X-PLAYLIST-TYPE:VOD"
        } else {
            ""
        };
        Some(self.render_as(
            kind,
            past.sequence,
            past.discontinuity_sequence,
            segments,
            ended,
        ))
    }

    fn render_as<'a>(
        &self,
        kind: &str,
        sequence: u64,
        discontinuity_sequence: u64,
        segments: impl Iterator<Item = &'a Segment> + Clone,
        ended: bool,
    ) -> String {
        // RFC 8216bis, 8: EXT-X-GAP needs 8.
        let has_gap = segments.clone().any(|segment| segment.gap);
        let version = if has_gap {
            self.version.max(8)
        } else {
            self.version
        };
        let mut lines = vec!["#EXTM3U".to_owned(), format!("#EXT-X-VERSION:{version}")];
        lines.extend((!kind.is_empty()).then(|| kind.to_owned()));
        lines.extend(self.header.iter().cloned());
        lines.push(format!("#EXT-X-TARGETDURATION:{}", self.target_s));
        lines.push(format!("#EXT-X-MEDIA-SEQUENCE:{sequence}"));
        if discontinuity_sequence > 0 {
            lines.push(format!(
                "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}"
            ));
        }
        let (mut keys, mut map) = (&Vec::new(), &None);
        for segment in segments {
            if segment.discontinuity {
                lines.push("#EXT-X-DISCONTINUITY".to_owned());
            }
            // Nobody fetches what a gap would need, and it may not be there either.
            if !segment.gap {
                lines.extend(segment.attached(keys, map));
                (keys, map) = (&segment.keys, &segment.map);
            }
            if segment.gap {
                lines.push("#EXT-X-GAP".to_owned());
            }
            lines.extend(segment.tags.iter().cloned());
            lines.push(segment.uri.clone());
        }
        if ended {
            lines.push("#EXT-X-ENDLIST".to_owned());
        }
        lines.join("\n") + "\n"
    }
}

impl WindowHistory {
    /// What of all that was comes before a window. No two segments have the same name, gaps aside.
    fn before(mut all: MediaPlaylist, window: &MediaPlaylist) -> Self {
        let names = |segments: &[Segment]| -> Vec<String> {
            segments.iter().map(|segment| segment.uri.clone()).collect()
        };
        let (known, window) = (names(&all.segments), names(&window.segments));
        let shortest = known.len().saturating_sub(window.len());
        let end = (shortest..known.len()).find(|end| window.starts_with(&known[*end..]));
        all.segments.truncate(end.unwrap_or(known.len()));
        Self {
            sequence: all.sequence,
            discontinuity_sequence: all.discontinuity_sequence,
            duration_s: all.segments.iter().map(|segment| segment.duration_s).sum(),
            segments: all.segments.into(),
        }
    }

    fn push(&mut self, segment: Segment) {
        self.duration_s += segment.duration_s;
        self.segments.push_back(segment);
        while self.duration_s > REMEMBERED_S
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

    /// Promise P73.
    #[test]
    fn a_transcoder_that_begins_again_goes_on_behind_what_was_or_alone() {
        let before = SlidingWindow::adopt(MediaPlaylist::default(), Some(MediaPlaylist::default()))
            .follow(&snapshot(5, &["a", "b", "c"]), false);
        for (is_over, expected) in [(false, &["b", "c", "x"][..]), (true, &["x"])] {
            let again = before.follow(&snapshot(0, &["x"]), is_over);
            assert_eq!(names(&again), expected);
            assert_eq!(again.sequence(), 9 - expected.len() as u64);
            let last = again.segments().last().unwrap();
            assert!(last.discontinuity && !again.render().contains("DISCONTINUITY-SEQUENCE"));
            let later = again.follow(&snapshot(1, &["y", "z", "w"]), is_over);
            assert_eq!((names(&later), later.sequence()), (vec!["y", "z", "w"], 9));
            assert!(later.render().contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
            let all = later.render_all(12).unwrap();
            assert_eq!(all.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
            assert_eq!(
                all.lines().filter(|line| !line.starts_with('#')).count(),
                7,
                "{all}"
            );
        }
        // Who goes on does so, however long it took.
        assert_eq!(
            names(&before.follow(&snapshot(6, &["b", "c", "d"]), true)),
            ["b", "c", "d"]
        );
    }
}
