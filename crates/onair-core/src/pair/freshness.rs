//! Whether a side moves: what one look at one of its media playlists says.

use chrono::{DateTime, TimeDelta, Utc};
use m3u8_rs::MediaPlaylist;
use serde::{Deserialize, Serialize};

/// One look at a media playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaylistProbe {
    /// `X-MediaPackage-Manifest-Last-Updated`: when MediaPackage made the newest segment that the
    /// playlist names, Unix time in milliseconds (MediaPackage User Guide, "Monitoring manifest
    /// update time").
    pub last_updated_ms: Option<i64>,
    /// The playlist.
    pub text: String,
    /// When this was.
    pub at: DateTime<Utc>,
}

/// The newest segment at an earlier look, for playlists that tell no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSegment {
    /// Its media sequence number.
    pub sequence: u64,
    /// When it was seen.
    pub at: DateTime<Utc>,
}

/// What a look says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// New segments come.
    Advancing,
    /// None came for too long, or it ended.
    Stale(String),
    /// It cannot be told.
    Unknown(String),
}

/// A look, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// What it says.
    pub freshness: Freshness,
    /// What to remember until the next look: only if nothing in the playlist tells a time.
    pub last_segment: Option<LastSegment>,
}

/// A new segment is due each target duration; a client should look elsewhere after 1.5 without one
/// (RFC 8216bis, 6.3.4). Twice that keeps a segment that came late from stopping a fail-over.
const TARGETS: i32 = 3;
/// PROGRAM-DATE-TIME is the time of the picture: encoder and packager come after it.
const PICTURE_TO_PLAYLIST: TimeDelta = TimeDelta::seconds(20);

/// Whether a side moves, from the best that its playlist offers: MediaPackage's header, else
/// PROGRAM-DATE-TIME, else how far the sequence numbers came since an `earlier` look.
pub fn understand(look: &PlaylistProbe, earlier: Option<LastSegment>) -> ProbeResult {
    let known = |freshness| ProbeResult {
        freshness,
        last_segment: None,
    };
    let Some(playlist) = parse(&look.text) else {
        return known(Freshness::Unknown(
            "its media playlist cannot be read".to_owned(),
        ));
    };
    if playlist.end_list {
        return known(Freshness::Stale("it has ended (EXT-X-ENDLIST)".to_owned()));
    }
    if playlist.segments.is_empty() {
        return known(Freshness::Stale(
            "its media playlist names no segment".to_owned(),
        ));
    }
    let target = seconds(playlist.target_duration as f32);
    match by_time(look, &playlist, target) {
        Some(freshness) => known(freshness),
        None => by_sequence(look, &playlist, target, earlier),
    }
}

/// From MediaPackage's header or PROGRAM-DATE-TIME. `None` if the side has neither.
fn by_time(look: &PlaylistProbe, playlist: &MediaPlaylist, target: TimeDelta) -> Option<Freshness> {
    let updated = look.last_updated_ms;
    let (last, allowed, what) = match updated.and_then(DateTime::from_timestamp_millis) {
        Some(updated) => (updated, target * TARGETS, "its newest segment was made"),
        None => (
            edge(playlist)?,
            target * TARGETS + PICTURE_TO_PLAYLIST,
            "its newest picture was taken",
        ),
    };
    let ago = look.at - last;
    if ago <= allowed {
        return Some(Freshness::Advancing);
    }
    let (ago_s, target_s) = (ago.num_seconds(), target.num_seconds());
    Some(Freshness::Stale(format!(
        "{what} {ago_s} s ago, with a target duration of {target_s} s"
    )))
}

/// ffmpeg writes the offset of PROGRAM-DATE-TIME without a colon (`+0000`), which players read and
/// m3u8-rs does not.
fn parse(text: &str) -> Option<MediaPlaylist> {
    let line = |line: &str| {
        let is_offset = |offset: &str| {
            offset.starts_with(['+', '-'])
                && offset.chars().skip(1).all(|digit| digit.is_ascii_digit())
        };
        let time = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:")?.trim_end();
        let (start, offset) = time.split_at_checked(time.len().checked_sub("+0000".len())?)?;
        let (hours, minutes) = offset
            .split_at_checked("+00".len())
            .filter(|_| is_offset(offset))?;
        Some(format!(
            "#EXT-X-PROGRAM-DATE-TIME:{start}{hours}:{minutes}\n"
        ))
    };
    let text: String = text
        .split_inclusive('\n')
        .map(|l| line(l).unwrap_or_else(|| l.to_owned()))
        .collect();
    m3u8_rs::parse_media_playlist(text.as_bytes())
        .ok()
        .map(|(_, playlist)| playlist)
}

/// How many segments B's numbers are ahead of A's for the same moment, if both tell their time.
///
/// hls.js takes a segment by its number: after a switch to a side whose numbers are a little lower
/// it shows nothing new until they are past those that it had (hls.js 1.7.4, measured). Equal
/// numbers are best, and numbers that are further apart than a show is long do no harm.
pub fn media_sequence_offset(a: &PlaylistProbe, b: &PlaylistProbe) -> Option<i64> {
    let place = |look: &PlaylistProbe| {
        let playlist = parse(&look.text)?;
        let newest = playlist
            .media_sequence
            .saturating_add(u64::try_from(playlist.segments.len()).ok()?);
        let ms: f32 = playlist
            .segments
            .iter()
            .map(|segment| segment.duration * 1000.0)
            .sum();
        let mean_ms = f64::from(ms) / playlist.segments.len().max(1) as f64;
        let edge_ms = edge(&playlist)?.timestamp_millis();
        (mean_ms > 0.0).then_some((newest as f64, edge_ms as f64, mean_ms))
    };
    let ((a, a_ms, mean_ms), (b, b_ms, _)) = (place(a)?, place(b)?);
    Some((b - a - (b_ms - a_ms) / mean_ms).round() as i64)
}

/// When the newest segment ends, by PROGRAM-DATE-TIME.
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

fn by_sequence(
    look: &PlaylistProbe,
    playlist: &MediaPlaylist,
    target: TimeDelta,
    earlier: Option<LastSegment>,
) -> ProbeResult {
    let count = playlist.segments.len();
    let newest = playlist
        .media_sequence
        .saturating_add(u64::try_from(count).unwrap_or_default());
    let last_segment = Some(LastSegment {
        sequence: newest,
        at: look.at,
    });
    // An encoder that began again counts from the start.
    let Some(earlier) = earlier.filter(|earlier| earlier.sequence <= newest) else {
        let why = "its media playlist tells no time, and there was no earlier look to compare with"
            .to_owned();
        return ProbeResult {
            freshness: Freshness::Unknown(why),
            last_segment,
        };
    };
    let elapsed = look.at - earlier.at;
    if elapsed < target * TARGETS {
        // Too soon to tell; the next look compares with the same one.
        let why = "its media playlist tells no time, and the last look was too short a time ago"
            .to_owned();
        let freshness = if newest > earlier.sequence {
            Freshness::Advancing
        } else {
            Freshness::Unknown(why)
        };
        return ProbeResult {
            freshness,
            last_segment: Some(earlier),
        };
    }
    let came = newest.saturating_sub(earlier.sequence);
    ProbeResult {
        freshness: by_growth(playlist, came, elapsed, target),
        last_segment,
    }
}

/// Compares the length of the `came` new segments with the `elapsed` time.
fn by_growth(
    playlist: &MediaPlaylist,
    came: u64,
    elapsed: TimeDelta,
    target: TimeDelta,
) -> Freshness {
    let durations = playlist.segments.iter().map(|segment| segment.duration);
    let mean: f32 = durations.sum::<f32>() / playlist.segments.len() as f32;
    let due = elapsed - target * TARGETS;
    if seconds(came as f32 * mean) >= due {
        return Freshness::Advancing;
    }
    let elapsed_s = elapsed.num_seconds();
    Freshness::Stale(format!(
        "only {came} new segments came in the last {elapsed_s} s"
    ))
}

/// At most a year: what a playlist says is not to be trusted with an overflow.
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

    fn say(
        last_updated_ms: Option<i64>,
        text: String,
        now_ms: i64,
        earlier: Option<LastSegment>,
    ) -> ProbeResult {
        understand(
            &PlaylistProbe {
                last_updated_ms,
                text,
                at: at(now_ms),
            },
            earlier,
        )
    }

    fn is_stale(understood: &ProbeResult) -> bool {
        matches!(understood.freshness, Freshness::Stale(_))
    }

    #[test]
    fn media_packages_header_says_when_the_newest_segment_was_made() {
        assert_eq!(
            say(Some(T), playlist(1, "", ""), 18_000, None).freshness,
            Freshness::Advancing
        );
        assert!(is_stale(&say(Some(T), playlist(1, "", ""), 18_001, None)));
    }

    #[test]
    fn else_the_newest_pictures_time_counts() {
        let dated = || playlist(1, "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z\n", "");
        // The edge is 18 s after the first segment's start; 18 s and 20 s more are allowed.
        assert_eq!(
            say(None, dated(), 56_000, None).freshness,
            Freshness::Advancing
        );
        assert!(is_stale(&say(None, dated(), 56_001, None)));
    }

    #[test]
    fn an_offset_without_a_colon_is_a_time_too() {
        let dated = playlist(
            1,
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T23:13:20.000+0100\n",
            "",
        );
        assert_eq!(
            say(None, dated.clone(), 56_000, None).freshness,
            Freshness::Advancing
        );
        assert!(is_stale(&say(None, dated, 56_001, None)));
    }

    #[test]
    fn how_far_the_sides_numbers_are_apart_is_told_by_their_times() {
        let look = |sequence, seconds: u32| {
            let date = format!("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:{seconds:02}.000Z\n");
            PlaylistProbe {
                last_updated_ms: None,
                text: playlist(sequence, &date, ""),
                at: at(0),
            }
        };
        assert_eq!(
            media_sequence_offset(&look(100, 20), &look(100, 20)),
            Some(0)
        );
        // One segment further on in time and in number.
        assert_eq!(
            media_sequence_offset(&look(100, 20), &look(101, 26)),
            Some(0)
        );
        assert_eq!(
            media_sequence_offset(&look(100, 20), &look(97, 20)),
            Some(-3)
        );
        assert_eq!(
            media_sequence_offset(&look(100, 20), &look(104, 26)),
            Some(3)
        );
    }

    #[test]
    fn else_sequence_numbers_must_come_as_fast_as_time_goes() {
        let earlier = LastSegment {
            sequence: 4,
            at: at(0),
        };
        assert!(matches!(
            say(None, playlist(1, "", ""), 0, None).freshness,
            Freshness::Unknown(_)
        ));
        assert_eq!(
            say(None, playlist(1, "", ""), 0, None).last_segment,
            Some(earlier)
        );
        // A minute later ten new segments are due; seven are enough, six are not.
        assert_eq!(
            say(None, playlist(8, "", ""), 60_000, Some(earlier)).freshness,
            Freshness::Advancing
        );
        assert!(is_stale(&say(
            None,
            playlist(7, "", ""),
            60_000,
            Some(earlier)
        )));
        // Right after the earlier look nothing need have come, and that look stays the one to
        // compare with.
        let soon = say(None, playlist(1, "", ""), 3_000, Some(earlier));
        assert!(matches!(soon.freshness, Freshness::Unknown(_)));
        assert_eq!(soon.last_segment, Some(earlier));
        assert_eq!(
            say(None, playlist(2, "", ""), 3_000, Some(earlier)).freshness,
            Freshness::Advancing
        );
    }

    #[test]
    fn absurd_numbers_are_no_reason_to_fail() {
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
                let _ = say(last_updated_ms, text.clone(), 0, Some(earlier));
            }
            let look = PlaylistProbe {
                last_updated_ms: None,
                text,
                at: at(0),
            };
            let _ = media_sequence_offset(&look, &look);
        }
    }

    #[test]
    fn a_stream_that_has_ended_or_is_no_stream_does_not_move() {
        assert!(is_stale(&say(
            Some(T),
            playlist(1, "", "#EXT-X-ENDLIST\n"),
            0,
            None
        )));
        let empty = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:1\n";
        assert!(is_stale(&say(Some(T), empty.to_owned(), 0, None)));
        assert!(matches!(
            say(Some(T), "<html>".to_owned(), 0, None).freshness,
            Freshness::Unknown(_)
        ));
    }
}
