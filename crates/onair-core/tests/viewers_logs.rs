//! Access logs of any content, in chunks of any size.

use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::{Audience, DataPoint, Minute};
use onair_core::count_viewers::log::{Limits, LineCounts, LogError, LogReader};
use onair_core::count_viewers::stored_minute;
use onair_core::count_viewers::stream::StreamRule;
use onair_core::count_viewers::viewer_key::{ViewerKey, ViewerSecret};
use proptest::prelude::*;
use std::num::NonZeroU32;

fn rules(window_s: u32, viewer_key: ViewerKey) -> CountingRules {
    CountingRules {
        window_s: NonZeroU32::new(window_s).unwrap(),
        viewer_key,
        secret: ViewerSecret::new("a secret of some length"),
        streams: StreamRule::Usual,
        format: None,
        exact_up_to: 10,
        max_streams: 3,
    }
}

const LIMITS: Limits = Limits {
    unpacked_bytes: 1 << 20,
    minutes: usize::MAX,
};

fn read(rules: &CountingRules, chunks: &[&[u8]]) -> (Audience, LineCounts) {
    let mut audience = Audience::default();
    let mut log = LogReader::new(rules, &mut audience, LIMITS);
    let error = chunks.iter().find_map(|chunk| log.push(chunk).err());
    let (line_counts, end_error) = log.end();
    assert!(error.is_none() && end_error.is_none());
    (audience, line_counts)
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[test]
fn a_log_is_read_up_to_the_limit_of_minutes() {
    let rules = rules(60, ViewerKey::Address);
    let read = |minutes: i64| {
        let mut audience = Audience::default();
        let mut log = LogReader::new(
            &rules,
            &mut audience,
            Limits {
                minutes: 5,
                ..LIMITS
            },
        );
        let text: String = (0..minutes)
            .map(|minute| line_at(minute, "/show/1.ts"))
            .collect();
        let pushed = log.push(text.trim_end().as_bytes());
        let (line_counts, end_error) = log.end();
        (
            audience.minutes().len(),
            line_counts.lines,
            pushed.err().or(end_error),
        )
    };

    assert!(matches!(read(5), (5, 5, None)));

    // The sixth line is the last and has no line end, or others follow.
    for minutes in [6, 100] {
        let (minutes_read, lines, error) = read(minutes);

        assert!(
            matches!(error, Some(LogError::TooManyMinutes(5))),
            "{error:?}"
        );
        assert_eq!((minutes_read, lines), (6, 6), "{minutes}");
    }
}

/// Promise P119. A minute without a log has no figure, and a table shows it as such.
#[test]
fn the_data_points_of_a_stream_end_with_a_zero_after_its_last_viewer() {
    let minutes = [0, 1, 2, 3, 4, 5, 6, 9];
    let mut log: String = minutes.map(|minute| line_at(minute, "/")).concat();
    for (minute, stream) in [
        (1, "/late/1.ts"),
        (3, "/late/1.ts"),
        (0, "/soon/1.ts"),
        (6, "/last/1.ts"),
    ] {
        log += &line_at(minute, stream);
    }
    let data_points = |window_s| {
        let rules = rules(window_s, ViewerKey::Address);
        let points = read(&rules, &[log.as_bytes()]).0.data_points(&rules);
        let text = |point: &DataPoint| {
            let minute = point.minute.0 - Minute::of(BEGIN_S).0;
            format!("{minute} {} {}", point.stream, point.count.viewers)
        };
        points.iter().map(text).collect::<Vec<_>>().join(", ")
    };

    assert_eq!(
        data_points(60),
        "0 soon 1, 1 late 1, 1 soon 0, 2 late 0, 3 late 1, 4 late 0, 6 last 1"
    );
    assert_eq!(
        data_points(120),
        "0 soon 1, 1 late 1, 1 soon 1, 2 late 1, 2 soon 0, 3 late 1, 4 late 1, 5 late 0, 6 last 1"
    );
    // No request is in the second half of a minute.
    assert_eq!(data_points(30), "");
}

/// Promise P119. A minute without a log has no figure, and a table shows it as such.
#[test]
fn a_minute_without_a_log_is_not_a_zero() {
    let rules = rules(180, ViewerKey::Address);
    let data_points = |minutes: &[i64]| {
        let others = minutes.iter().map(|minute| line_at(*minute, "/"));
        let log: String = others
            .chain([line_at(0, "/show/1.ts"), line_at(7, "/show/1.ts")])
            .collect();
        let points = read(&rules, &[log.as_bytes()])
            .0
            .data_points(&rules)
            .into_iter();
        let points = points.map(|point| {
            (
                point.minute.0 - Minute::of(BEGIN_S).0,
                point.count.viewers,
                point.is_partial,
            )
        });
        points.collect::<Vec<_>>()
    };

    // Minute 1 has no log, so minute 3 is not a 0. The window of minute 4 is 2, 3 and 4.
    assert_eq!(
        data_points(&[2, 3, 4]),
        [(0, 1, true), (2, 1, true), (4, 0, false), (7, 1, true)]
    );
    // The same holds after the last viewer.
    assert_eq!(
        data_points(&[9, 10]),
        [(0, 1, true), (7, 1, true), (9, 1, true)]
    );
}

/// 2026-01-01T00:00:00Z
const BEGIN_S: i64 = 1_767_225_600;

/// In the tenth second of a minute.
fn line_at(minute: i64, path: &str) -> String {
    let at = chrono::DateTime::from_timestamp(BEGIN_S + minute * 60 + 10, 0).unwrap();
    let at = at.format("%d/%b/%Y:%H:%M:%S +0000");
    format!("203.0.113.7 - - [{at}] \"GET {path} HTTP/1.1\" 200 1 \"-\" \"-\"\n")
}

/// Minutes that an earlier version stored have these names. Another name would begin each of them
/// anew.
#[test]
fn a_stored_minute_keeps_its_name() {
    let proxies = ["10.0.0.0/8", "2001:db8:1::/48"]
        .map(|block| block.parse().unwrap())
        .to_vec();
    let patterns = "/live/{stream}/**, /vod/{stream}.m3u8";
    let rows = [
        (ViewerKey::Address, "", 60, "8e7ec5b964b110ad"),
        (ViewerKey::Address, "", 90, "7fc50141b2554ff6"),
        (ViewerKey::Address, patterns, 60, "418a548307cf35af"),
        (ViewerKey::AddressAgent, "", 60, "0decd013c866a3fc"),
        (
            ViewerKey::ForwardedFor(proxies),
            patterns,
            90,
            "42293097477fa09c",
        ),
        (ViewerKey::CmcdSid, "", 60, "0a6e427e4df5dc43"),
    ];
    for (viewer_key, patterns, window_s, fingerprint) in rows {
        let rules = CountingRules {
            streams: StreamRule::parse(patterns).unwrap(),
            ..rules(window_s, viewer_key)
        };

        let key = stored_minute::object_key(Minute::of(BEGIN_S), &rules);

        assert_eq!(key, format!("viewers/{fingerprint}/2026-01-01/0000.json"));
    }
}

/// One stream with an exact set, one with an estimate, as an earlier version stored them.
#[test]
fn a_stored_minute_of_an_earlier_version_is_read_and_written_alike() {
    let stored = r#"{"version":1,"minute":"2026-01-01T00:00:00Z","key":"address","streams":{"other":{"whole":{"hll":"AwEHDwUIAAEMAAAAYL8YCkHxvBHiZU8RqBZtEkzgNAgbovcV0Q4RB1ORThi4/KAQmSfNBZsY8Q8dXQgF"}},"show":{"whole":{"exact":"E6bxH44LIxs="},"tail":{"exact":"E6bxH44LIxs="}}}}"#;
    let rules = rules(90, ViewerKey::Address);
    let minute = Minute::of(BEGIN_S);
    let mut audience = Audience::default();

    stored_minute::merge(&mut audience, minute, stored, &rules).unwrap();

    let points = audience.data_points(&rules).into_iter();
    let counts = points.map(|point| (point.stream, point.count.viewers, point.count.exact));

    assert_eq!(
        counts.collect::<Vec<_>>(),
        [
            ("other".to_owned(), 12, false),
            ("show".to_owned(), 1, true)
        ]
    );

    // The bytes of a small sketch depend on the order in which it was made.
    let (_, exact) = stored.split_once(r#""show""#).unwrap();

    assert!(stored_minute::serialize(&audience, minute, &rules).ends_with(exact));
}

/// A line of parts of real lines, in any order.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "203.0.113.7",
        "::ffff:203.0.113.8",
        "2001:db8::9",
        " - - [01/Jan/2026:00:00:10 +0000] \"GET /show/1.ts?CMCD=sid%3D%22a%22 HTTP/1.1\" 200 1 \"-\" \"Player\" \"203.0.113.9\"",
        "2026-01-01\t00:00:10\tSFO\t1\t203.0.113.7\tGET\thost\t/show/1.ts\t200\t-\tPlayer\t-",
        "https 2026-01-01T00:00:10.1Z app/web/1 203.0.113.7:1 10.0.0.1:80 0 0 0 200 200 1 1 \"GET https://h:443/show/1.ts HTTP/1.1\" \"P\"",
        "{\"time\":\"2026-01-01T00:01:10+00:00\",\"client\":\"203.0.113.7\",\"path\":\"/other/1.ts\",\"status\":200,\"bytes\":1}",
        "#Fields: date time c-ip cs-uri-stem sc-status cs-method",
        "\"",
        "\\",
        "[",
        "]",
        " ",
        "\t",
        "-",
        "%",
        "GET",
        "200",
        "\r",
    ];
    let part = prop_oneof![
        4 => prop::sample::select(parts.to_vec()).prop_map(|part| part.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Promise P126. A malformed line is counted separately, whatever is in it, and the answer
    /// reports where the first one is and why.
    #[test]
    fn every_line_is_counted_once_however_the_log_is_cut(
        lines in prop::collection::vec(line(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        key in 0..4_usize,
        window_s in prop::sample::select(vec![30_u32, 60, 90]),
    ) {
        let viewer_key = match key {
            0 => ViewerKey::Address,
            1 => ViewerKey::AddressAgent,
            2 => ViewerKey::CmcdSid,
            _ => ViewerKey::ForwardedFor(vec!["203.0.113.0/24".parse().unwrap()]),
        };
        let rules = rules(window_s, viewer_key);
        let log = lines.join(&b'\n');
        prop_assume!(!log.starts_with(&[0x1f, 0x8b]));
        let (audience, line_counts) = read(&rules, &[&log]);
        let LineCounts { lines, counted, other, unkeyed, dropped, malformed, first_error } = line_counts;

        prop_assert_eq!(lines, counted + other + unkeyed + dropped + malformed);
        prop_assert_eq!(malformed > 0, first_error.is_some());

        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).chain([0, log.len()]).collect();
        ends.sort_unstable();
        let chunks: Vec<&[u8]> = ends.windows(2).map(|ends| &log[ends[0]..ends[1]]).collect();
        let (in_chunks, again) = read(&rules, &chunks);

        prop_assert_eq!((in_chunks.data_points(&rules), again), (audience.data_points(&rules), line_counts));

        // Stored minutes contain the whole audience, and a second merge adds nothing.
        let mut stored_audience = Audience::default();
        for minute in audience.minutes() {
            let text = stored_minute::serialize(&audience, minute, &rules);

            prop_assert!(!text.contains("203.0.113."), "{}", text);

            stored_minute::merge(&mut stored_audience, minute, &text, &rules).unwrap();

            prop_assert!(!stored_audience.merge_minute(&audience, minute, &rules).is_new);
        }

        prop_assert_eq!(stored_audience.data_points(&rules), audience.data_points(&rules));
    }
}
