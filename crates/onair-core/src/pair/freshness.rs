//! Whether a side is advancing, by a probe of one of its media playlists.

use chrono::{DateTime, TimeDelta, Utc};
use m3u8_rs::MediaPlaylist;
use serde::{Deserialize, Serialize};

/// A probe: one GET of a media playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaylistProbe {
    /// `X-MediaPackage-Manifest-Last-Updated`: when MediaPackage created the newest segment of the
    /// playlist, Unix time in milliseconds (MediaPackage User Guide, "Monitoring manifest update
    /// time").
    pub last_updated_ms: Option<i64>,
    /// The body.
    pub text: String,
    /// The time of the probe.
    pub at: DateTime<Utc>,
}

/// The newest segment at an earlier probe, for playlists without timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSegment {
    /// The media sequence number of the segment that follows it.
    pub sequence: u64,
    /// The time of the earlier probe.
    pub at: DateTime<Utc>,
}

/// Whether a side adds new segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// It does.
    Advancing,
    /// It has added no segment for too long, or it has ended.
    Stale(String),
    /// The probe does not show it.
    Unknown(String),
}

/// The evaluation of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// Whether the side is advancing.
    pub freshness: Freshness,
    /// The segment with which the next probe is compared. Only for playlists without timestamps.
    pub last_segment: Option<LastSegment>,
}

/// A new segment is due each target duration. A client should try another rendition after 1.5
/// target durations without one (RFC 8216bis, 6.3.4). Twice that time, so that a late segment does
/// not prevent a fail-over.
const MAX_TARGET_DURATIONS: i32 = 3;
/// PROGRAM-DATE-TIME is the time of capture. Encoding and packaging need this time after it.
const ENCODING_DELAY: TimeDelta = TimeDelta::seconds(20);

/// Evaluates a probe by the best source that the playlist offers. The order is: the header of
/// MediaPackage, PROGRAM-DATE-TIME, the growth of the sequence numbers since an `earlier` probe.
pub fn evaluate(probe: &PlaylistProbe, earlier: Option<LastSegment>) -> ProbeResult {
    let Some(playlist) = parse(&probe.text) else {
        let why = "the media playlist cannot be parsed".to_owned();
        return ProbeResult::without_memory(Freshness::Unknown(why));
    };
    let freshness = ended(&playlist)
        .or_else(|| by_header(probe, &playlist))
        .or_else(|| by_date_time(probe, &playlist));
    match freshness {
        Some(freshness) => ProbeResult::without_memory(freshness),
        None => by_sequence(probe, &playlist, earlier),
    }
}

impl ProbeResult {
    fn without_memory(freshness: Freshness) -> Self {
        Self {
            freshness,
            last_segment: None,
        }
    }
}

fn ended(playlist: &MediaPlaylist) -> Option<Freshness> {
    let why = if playlist.end_list {
        "the media playlist has ended (EXT-X-ENDLIST)"
    } else if playlist.segments.is_empty() {
        "the media playlist has no segments"
    } else {
        return None;
    };
    Some(Freshness::Stale(why.to_owned()))
}

fn by_header(probe: &PlaylistProbe, playlist: &MediaPlaylist) -> Option<Freshness> {
    let created = DateTime::from_timestamp_millis(probe.last_updated_ms?)?;
    let target = target_duration(playlist);
    if probe.at - created <= target * MAX_TARGET_DURATIONS {
        return Some(Freshness::Advancing);
    }
    Some(Freshness::Stale(format!(
        "the newest segment was created {} s ago, and the target duration is {} s",
        (probe.at - created).num_seconds(),
        target.num_seconds()
    )))
}

fn by_date_time(probe: &PlaylistProbe, playlist: &MediaPlaylist) -> Option<Freshness> {
    let edge = edge(playlist)?;
    let target = target_duration(playlist);
    if probe.at - edge <= target * MAX_TARGET_DURATIONS + ENCODING_DELAY {
        return Some(Freshness::Advancing);
    }
    Some(Freshness::Stale(format!(
        "the newest segment ended {} s ago by its PROGRAM-DATE-TIME, and the target duration is \
         {} s",
        (probe.at - edge).num_seconds(),
        target.num_seconds()
    )))
}

fn target_duration(playlist: &MediaPlaylist) -> TimeDelta {
    seconds(playlist.target_duration as f32)
}

/// Parses a media playlist. ffmpeg writes the offset of PROGRAM-DATE-TIME without a colon
/// (`+0000`): players accept it, but m3u8-rs does not.
fn parse(text: &str) -> Option<MediaPlaylist> {
    let text: String = text
        .split_inclusive('\n')
        .map(|line| with_colon(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    m3u8_rs::parse_media_playlist(text.as_bytes())
        .ok()
        .map(|(_, playlist)| playlist)
}

/// The line with a colon in its offset, if it is a PROGRAM-DATE-TIME that lacks one.
fn with_colon(line: &str) -> Option<String> {
    let time = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:")?.trim_end();
    let (start, offset) = time.split_at_checked(time.len().checked_sub("+0000".len())?)?;
    let is_offset = offset.starts_with(['+', '-'])
        && offset.chars().skip(1).all(|digit| digit.is_ascii_digit());
    let (hours, minutes) = offset.split_at_checked("+00".len()).filter(|_| is_offset)?;
    Some(format!(
        "#EXT-X-PROGRAM-DATE-TIME:{start}{hours}:{minutes}\n"
    ))
}

/// The number of segments by which B's sequence numbers are ahead of A's at the same time. `None`
/// if a side has no PROGRAM-DATE-TIME.
///
/// hls.js selects a segment by its sequence number. If the numbers of the new side are a little
/// lower, playback freezes until they pass the last played number (hls.js 1.7.4, measured). Equal
/// numbers are best. An offset that is longer than the show is harmless.
pub fn media_sequence_offset(a: &PlaylistProbe, b: &PlaylistProbe) -> Option<i64> {
    let (a, b) = (LiveEdge::of(a)?, LiveEdge::of(b)?);
    let expected = (b.time_ms - a.time_ms) / a.mean_segment_ms;
    Some((b.sequence - a.sequence - expected).round() as i64)
}

/// The end of the newest segment.
struct LiveEdge {
    sequence: f64,
    time_ms: f64,
    mean_segment_ms: f64,
}

impl LiveEdge {
    fn of(probe: &PlaylistProbe) -> Option<Self> {
        let playlist = parse(&probe.text)?;
        let ms: f32 = playlist
            .segments
            .iter()
            .map(|segment| segment.duration * 1000.0)
            .sum();
        let edge = Self {
            sequence: next_sequence(&playlist) as f64,
            time_ms: edge(&playlist)?.timestamp_millis() as f64,
            mean_segment_ms: f64::from(ms) / playlist.segments.len().max(1) as f64,
        };
        (edge.mean_segment_ms > 0.0).then_some(edge)
    }
}

/// The end of the newest segment by PROGRAM-DATE-TIME.
fn edge(playlist: &MediaPlaylist) -> Option<DateTime<Utc>> {
    let dated = playlist
        .segments
        .iter()
        .rposition(|segment| segment.program_date_time.is_some())?;
    let start = playlist.segments[dated].program_date_time?.to_utc();
    start.checked_add_signed(seconds(
        playlist.segments[dated..]
            .iter()
            .map(|segment| segment.duration)
            .sum(),
    ))
}

/// The media sequence number of the segment that follows the newest one.
fn next_sequence(playlist: &MediaPlaylist) -> u64 {
    let count = u64::try_from(playlist.segments.len()).unwrap_or_default();
    playlist.media_sequence.saturating_add(count)
}

/// Evaluates a playlist without timestamps.
fn by_sequence(
    probe: &PlaylistProbe,
    playlist: &MediaPlaylist,
    earlier: Option<LastSegment>,
) -> ProbeResult {
    let newest = LastSegment {
        sequence: next_sequence(playlist),
        at: probe.at,
    };
    // An encoder that has restarted counts from the beginning.
    let Some(earlier) = earlier.filter(|earlier| earlier.sequence <= newest.sequence) else {
        return ProbeResult {
            freshness: no_timestamps("there is no earlier probe to compare with"),
            last_segment: Some(newest),
        };
    };
    if newest.at - earlier.at < target_duration(playlist) * MAX_TARGET_DURATIONS {
        let freshness = if newest.sequence > earlier.sequence {
            Freshness::Advancing
        } else {
            no_timestamps("the earlier probe is too recent to compare with")
        };
        // The next probe is compared with the same one.
        return ProbeResult {
            freshness,
            last_segment: Some(earlier),
        };
    }
    ProbeResult {
        freshness: by_rate(playlist, earlier, newest),
        last_segment: Some(newest),
    }
}

fn no_timestamps(why: &str) -> Freshness {
    Freshness::Unknown(format!("the media playlist has no timestamps, and {why}"))
}

/// Compares the duration of the new segments with the elapsed time.
fn by_rate(playlist: &MediaPlaylist, earlier: LastSegment, newest: LastSegment) -> Freshness {
    let total: f32 = playlist
        .segments
        .iter()
        .map(|segment| segment.duration)
        .sum();
    let mean = total / playlist.segments.len() as f32;
    let added = newest.sequence.saturating_sub(earlier.sequence);
    let elapsed = newest.at - earlier.at;
    let due = elapsed - target_duration(playlist) * MAX_TARGET_DURATIONS;
    if seconds(added as f32 * mean) >= due {
        return Freshness::Advancing;
    }
    let elapsed_s = elapsed.num_seconds();
    Freshness::Stale(format!(
        "only {added} new segments in the last {elapsed_s} s"
    ))
}

/// A duration of at most a year: a number in a playlist must not cause an overflow.
fn seconds(seconds: f32) -> TimeDelta {
    const YEAR_MS: f64 = 365.0 * 86_400_000.0;
    TimeDelta::milliseconds((f64::from(seconds) * 1000.0).clamp(-YEAR_MS, YEAR_MS) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_700_000_000_000;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(T + ms).unwrap()
    }

    fn playlist(sequence: u64, tags: &str, end: &str) -> String {
        format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n{tags}#EXTINF:6.000,\n\
             1.ts\n#EXTINF:6.000,\n2.ts\n#EXTINF:6.000,\n3.ts\n{end}"
        )
    }

    fn evaluated(
        last_updated_ms: Option<i64>,
        text: String,
        now_ms: i64,
        earlier: Option<LastSegment>,
    ) -> ProbeResult {
        evaluate(
            &PlaylistProbe {
                last_updated_ms,
                text,
                at: at(now_ms),
            },
            earlier,
        )
    }

    fn is_stale(result: &ProbeResult) -> bool {
        matches!(result.freshness, Freshness::Stale(_))
    }

    #[test]
    fn the_header_of_mediapackage_dates_the_newest_segment() {
        assert_eq!(
            evaluated(Some(T), playlist(1, "", ""), 18_000, None).freshness,
            Freshness::Advancing
        );
        assert!(is_stale(&evaluated(
            Some(T),
            playlist(1, "", ""),
            18_001,
            None
        )));
    }

    #[test]
    fn without_the_header_program_date_time_counts() {
        let dated = || playlist(1, "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z\n", "");
        // The edge is 18 s after the start of the first segment; 18 s and 20 s more are allowed.
        assert_eq!(
            evaluated(None, dated(), 56_000, None).freshness,
            Freshness::Advancing
        );
        assert!(is_stale(&evaluated(None, dated(), 56_001, None)));
    }

    #[test]
    fn program_date_time_may_have_an_offset_without_a_colon() {
        let dated = playlist(
            1,
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T23:13:20.000+0100\n",
            "",
        );
        assert_eq!(
            evaluated(None, dated.clone(), 56_000, None).freshness,
            Freshness::Advancing
        );
        assert!(is_stale(&evaluated(None, dated, 56_001, None)));
    }

    #[test]
    fn the_media_sequence_offset_follows_from_program_date_time() {
        let probe = |sequence, seconds: u32| {
            let date = format!("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:{seconds:02}.000Z\n");
            PlaylistProbe {
                last_updated_ms: None,
                text: playlist(sequence, &date, ""),
                at: at(0),
            }
        };
        assert_eq!(
            media_sequence_offset(&probe(100, 20), &probe(100, 20)),
            Some(0)
        );
        // B is one segment ahead, in time and in sequence number.
        assert_eq!(
            media_sequence_offset(&probe(100, 20), &probe(101, 26)),
            Some(0)
        );
        assert_eq!(
            media_sequence_offset(&probe(100, 20), &probe(97, 20)),
            Some(-3)
        );
        assert_eq!(
            media_sequence_offset(&probe(100, 20), &probe(104, 26)),
            Some(3)
        );
    }

    #[test]
    fn without_timestamps_sequence_numbers_must_keep_up_with_real_time() {
        let earlier = LastSegment {
            sequence: 4,
            at: at(0),
        };
        assert!(matches!(
            evaluated(None, playlist(1, "", ""), 0, None).freshness,
            Freshness::Unknown(_)
        ));
        assert_eq!(
            evaluated(None, playlist(1, "", ""), 0, None).last_segment,
            Some(earlier)
        );
        // Ten segments are due within a minute. Seven are enough, six are not.
        assert_eq!(
            evaluated(None, playlist(8, "", ""), 60_000, Some(earlier)).freshness,
            Freshness::Advancing
        );
        assert!(is_stale(&evaluated(
            None,
            playlist(7, "", ""),
            60_000,
            Some(earlier)
        )));
        // Three seconds after the earlier probe no segment is due. The next probe is compared with
        // the earlier one.
        let soon = evaluated(None, playlist(1, "", ""), 3_000, Some(earlier));
        assert!(matches!(soon.freshness, Freshness::Unknown(_)));
        assert_eq!(soon.last_segment, Some(earlier));
        assert_eq!(
            evaluated(None, playlist(2, "", ""), 3_000, Some(earlier)).freshness,
            Freshness::Advancing
        );
    }

    #[test]
    fn absurd_numbers_cause_no_panic() {
        for (target, sequence, length) in [
            ("18446744073709551615", "18446744073709551615", "3e38"),
            ("0", "0", "0"),
        ] {
            let text = format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n\
                 #EXT-X-PROGRAM-DATE-TIME:+262142-12-31T23:59:59Z\n#EXTINF:{length},\n1.ts\n"
            );
            let earlier = LastSegment {
                sequence: 0,
                at: at(-1),
            };
            for last_updated_ms in [
                None,
                Some(i64::MAX),
                Some(i64::MIN),
                Some(8_210_266_876_799_999),
            ] {
                let _ = evaluated(last_updated_ms, text.clone(), 0, Some(earlier));
            }
            let probe = PlaylistProbe {
                last_updated_ms: None,
                text,
                at: at(0),
            };
            let _ = media_sequence_offset(&probe, &probe);
        }
    }

    #[test]
    fn a_playlist_that_has_ended_or_has_no_segments_is_stale() {
        assert!(is_stale(&evaluated(
            Some(T),
            playlist(1, "", "#EXT-X-ENDLIST\n"),
            0,
            None
        )));
        let empty = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:1\n";
        assert!(is_stale(&evaluated(Some(T), empty.to_owned(), 0, None)));
        assert!(matches!(
            evaluated(Some(T), "<html>".to_owned(), 0, None).freshness,
            Freshness::Unknown(_)
        ));
    }
}
