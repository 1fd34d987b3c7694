//! A synthetic live stream: HLS computed from the wall clock, with empty segments.

mod timeline;

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use hyper::header::HeaderName;

use crate::clock::{iso8601, unix_ms};
use crate::web::File;
pub(crate) use timeline::Timeline;

/// Segments stay available for this many windows. RFC 8216, 6.2.2, requires them for the duration
/// of a playlist after they left it.
const KEPT_WINDOWS: u64 = 3;

/// The content type of MediaPackage.
pub(crate) const PLAYLIST: &str = "application/x-mpegURL";
pub(crate) const SEGMENT: &str = "video/MP2T";

/// A live stream as MediaPackage packages it: relative URIs, `index_1.m3u8` next to `index.m3u8`,
/// sequence numbers that count segments since 2020. Two streams with the same settings have the
/// same numbers, as encoders have with epoch locking.
///
/// The packaging settings of an endpoint's definition, such as its window, do not change the
/// stream.
#[derive(Clone, Debug, PartialEq)]
pub struct SyntheticStream {
    /// The ladder, in the order of the multivariant playlist.
    pub variants: Vec<Variant>,
    /// The length of each segment in milliseconds.
    pub segment_ms: u64,
    /// The number of segments in a media playlist.
    pub window_segments: u64,
    /// Added to every sequence number. Two streams with different offsets are not aligned.
    pub sequence_offset: u64,
    /// Whether audio is a separate rendition: `EXT-X-MEDIA` with a URI.
    pub has_audio_group: bool,
    /// Whether each variant has an `EXT-X-I-FRAME-STREAM-INF`.
    pub has_iframe_playlists: bool,
    /// Whether each segment has an `EXT-X-PROGRAM-DATE-TIME`.
    pub has_program_date_time: bool,
    /// Whether responses with media playlists have the headers
    /// `X-MediaPackage-Manifest-Last-Sequence` and `-Last-Updated` (MediaPackage user guide,
    /// "Monitoring manifest update time").
    pub has_manifest_headers: bool,
}

/// A variant of the ladder. The fields are attributes of its `EXT-X-STREAM-INF`.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// `BANDWIDTH` in bits per second.
    pub bandwidth_bps: u64,
    pub resolution: String,
    pub frame_rate: String,
    pub codecs: String,
    /// Further attributes, such as `VIDEO-RANGE=PQ`, or an empty string.
    pub more: String,
}

impl Variant {
    /// A variant with 30 frames per second.
    pub fn new(bandwidth_bps: u64, resolution: &str) -> Self {
        Self {
            bandwidth_bps,
            resolution: resolution.to_owned(),
            frame_rate: "30.000".to_owned(),
            codecs: "avc1.4D401F,mp4a.40.2".to_owned(),
            more: String::new(),
        }
    }

    fn stream_inf(&self, has_audio_group: bool) -> String {
        let Self {
            bandwidth_bps,
            resolution,
            frame_rate,
            codecs,
            more,
        } = self;
        let mut tag = format!(
            "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth_bps},AVERAGE-BANDWIDTH={bandwidth_bps},\
             RESOLUTION={resolution},FRAME-RATE={frame_rate},CODECS=\"{codecs}\""
        );
        if has_audio_group {
            tag.push_str(",AUDIO=\"audio_0\"");
        }
        if !more.is_empty() {
            let _ = write!(tag, ",{more}");
        }
        tag
    }

    fn iframe_stream_inf(&self, uri: &str) -> String {
        let bandwidth_bps = self.bandwidth_bps / 10;
        let resolution = &self.resolution;
        let codec = self.codecs.split(',').next().unwrap_or_default();
        format!(
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={bandwidth_bps},RESOLUTION={resolution},\
             CODECS=\"{codec}\",URI=\"{uri}\""
        )
    }
}

impl Default for SyntheticStream {
    /// Three variants, segments of 2 s, a window of one minute.
    fn default() -> Self {
        Self {
            variants: vec![
                Variant::new(5_640_800, "1920x1080"),
                Variant::new(2_340_800, "1280x720"),
                Variant::new(1_040_800, "640x360"),
            ],
            segment_ms: 2_000,
            window_segments: 30,
            sequence_offset: 0,
            has_audio_group: false,
            has_iframe_playlists: false,
            has_program_date_time: true,
            has_manifest_headers: true,
        }
    }
}

impl SyntheticStream {
    /// The file of this name, if the stream has it at this time.
    pub(crate) fn file(
        &self,
        manifest: &str,
        name: &str,
        timeline: &Timeline,
        now: SystemTime,
    ) -> Option<File> {
        let name = name.strip_prefix(manifest)?;
        if name == ".m3u8" {
            return Some(File::new(
                PLAYLIST,
                "max-age=1",
                self.multivariant(manifest),
            ));
        }
        let name = name.strip_prefix('_')?;
        if let Some(track) = name.strip_suffix(".m3u8") {
            let media_playlist =
                || self.media_playlist(&format!("{manifest}_{track}"), timeline, now);
            return self.has(track).then(media_playlist)?;
        }
        let (track, sequence) = name.strip_suffix(".ts")?.rsplit_once('_')?;
        let sequence = sequence.parse::<u64>().ok().filter(|_| self.has(track))?;
        let sequence = sequence.checked_sub(self.sequence_offset)?;
        let edge = timeline.edge(self.segment_ms, now)?;
        let is_there = sequence <= edge && sequence + self.window_segments * KEPT_WINDOWS > edge;
        is_there.then(|| File::new(SEGMENT, "max-age=86400", PACKETS))
    }

    fn has(&self, track: &str) -> bool {
        let number = match track.strip_prefix("iframe_") {
            Some(number) if self.has_iframe_playlists => number,
            Some(_) => return false,
            None if track == "audio" => return self.has_audio_group,
            None => track,
        };
        number
            .parse()
            .is_ok_and(|number: usize| (1..=self.variants.len()).contains(&number))
    }

    fn multivariant(&self, manifest: &str) -> String {
        let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n");
        if self.has_audio_group {
            let _ = writeln!(
                text,
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio_0\",NAME=\"english\",LANGUAGE=\"eng\",DEFAULT=YES,\
                 AUTOSELECT=YES,URI=\"{manifest}_audio.m3u8\""
            );
        }
        for (number, variant) in (1..).zip(&self.variants) {
            let tag = variant.stream_inf(self.has_audio_group);
            let _ = writeln!(text, "{tag}\n{manifest}_{number}.m3u8");
        }
        if self.has_iframe_playlists {
            for (number, variant) in (1..).zip(&self.variants) {
                let tag = variant.iframe_stream_inf(&format!("{manifest}_iframe_{number}.m3u8"));
                let _ = writeln!(text, "{tag}");
            }
        }
        text
    }

    /// Returns `None` if the stream stalled before its first segment.
    fn media_playlist(&self, name: &str, timeline: &Timeline, now: SystemTime) -> Option<File> {
        let edge = timeline.edge(self.segment_ms, now)?;
        let first = (edge + 1).saturating_sub(self.window_segments);
        let mut text = self.media_playlist_head(first, timeline);
        if name.contains("_iframe_") {
            text.push_str("#EXT-X-I-FRAMES-ONLY\n");
        }
        for sequence in first..=edge {
            text.push_str(&self.segment_lines(name, sequence, timeline));
        }
        let mut file = File::new(PLAYLIST, "max-age=1", text);
        if self.has_manifest_headers {
            file.headers.extend(self.manifest_headers(edge, timeline));
        }
        Some(file)
    }

    fn media_playlist_head(&self, first: u64, timeline: &Timeline) -> String {
        let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:4\n");
        // RFC 8216, 4.3.3.1: no rounded EXTINF may exceed the target duration.
        let target_s = ((self.segment_ms + 500) / 1000).max(1);
        let sequence = first + self.sequence_offset;
        let _ = writeln!(text, "#EXT-X-TARGETDURATION:{target_s}");
        let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{sequence}");
        let breaks = timeline.breaks(first.saturating_sub(1), self.segment_ms);
        if breaks > 0 {
            let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}");
        }
        text
    }

    fn segment_lines(&self, name: &str, sequence: u64, timeline: &Timeline) -> String {
        let mut text = String::new();
        let before = sequence.saturating_sub(1);
        if timeline.breaks(sequence, self.segment_ms) > timeline.breaks(before, self.segment_ms) {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if self.has_program_date_time {
            let complete = timeline.complete(sequence, self.segment_ms);
            let start = iso8601(complete - Duration::from_millis(self.segment_ms));
            let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{start}");
        }
        let (s, ms) = (self.segment_ms / 1000, self.segment_ms % 1000);
        let number = sequence + self.sequence_offset;
        let _ = writeln!(text, "#EXTINF:{s}.{ms:03},\n{name}_{number}.ts");
        text
    }

    fn manifest_headers(&self, edge: u64, timeline: &Timeline) -> [(HeaderName, String); 2] {
        let number = edge + self.sequence_offset;
        let updated_ms = unix_ms(timeline.complete(edge, self.segment_ms));
        [
            (
                HeaderName::from_static("x-mediapackage-manifest-last-sequence"),
                number.to_string(),
            ),
            (
                HeaderName::from_static("x-mediapackage-manifest-last-updated"),
                updated_ms.to_string(),
            ),
        ]
    }
}

/// Null packets of an MPEG transport stream: ISO 13818-1, PID 0x1FFF.
const PACKETS: &[u8] = &null_packets::<{ 188 * 8 }>();

const fn null_packets<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0xFF; BYTES];
    let mut at = 0;
    while at < BYTES {
        bytes[at] = 0x47;
        bytes[at + 1] = 0x1F;
        bytes[at + 3] = 0x10;
        at += 188;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_break_is_counted_once_it_has_left_the_playlist() {
        let at = |s: u64| UNIX_EPOCH + Duration::from_secs(1_700_000_000 + s);
        let mut timeline = Timeline::default();
        timeline.stall(at(0));
        timeline.resume(at(10));
        let live = SyntheticStream {
            window_segments: 2,
            ..SyntheticStream::default()
        };
        let playlist = |s| {
            let text = live
                .file("index", "index_1.m3u8", &timeline, at(s))
                .unwrap()
                .text();
            text.strip_prefix("#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n")
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            playlist(12),
            "#EXT-X-MEDIA-SEQUENCE:61081599\n\
             #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:18.000Z\n#EXTINF:2.000,\nindex_1_61081599.ts\n\
             #EXT-X-DISCONTINUITY\n\
             #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:30.000Z\n#EXTINF:2.000,\nindex_1_61081600.ts\n"
        );
        assert!(playlist(14).starts_with(
            "#EXT-X-MEDIA-SEQUENCE:61081600\n#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:"
        ));
        assert!(playlist(16).starts_with(
            "#EXT-X-MEDIA-SEQUENCE:61081601\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-PROGRAM-DATE-TIME:"
        ));
    }
}
