//! Access logs of any content, in any pieces.

use onair_core::count_viewers::Rules;
use onair_core::count_viewers::audience::Audience;
use onair_core::count_viewers::document;
use onair_core::count_viewers::key::{Keying, Secret};
use onair_core::count_viewers::log::{Log, Tally};
use onair_core::count_viewers::stream::StreamRule;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn rules(window_s: u32, keying: Keying) -> Rules {
    Rules {
        window_s: NonZeroU32::new(window_s).unwrap(),
        keying,
        secret: Secret::new("a secret of some length"),
        streams: StreamRule::Usual,
        format: None,
        exact_up_to: 10,
        max_streams: 3,
    }
}

fn read(rules: &Rules, pieces: &[&[u8]]) -> (Audience, Tally) {
    let mut audience = Audience::default();
    let mut log = Log::new(rules, &mut audience, 1 << 20);
    let trouble = pieces.iter().find_map(|piece| log.push(piece).err());
    let (tally, ended) = log.end();
    assert!(trouble.is_none() && ended.is_none());
    (audience, tally)
}

/// Parts of real lines, put together in any order.
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

    /// Promise P126.
    #[test]
    fn every_line_is_one_thing_and_pieces_make_no_difference(
        lines in prop::collection::vec(line(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        key in 0..4_usize,
        window_s in prop::sample::select(vec![30_u32, 60, 90]),
    ) {
        let keying = match key {
            0 => Keying::Address,
            1 => Keying::AddressAgent,
            2 => Keying::CmcdSid,
            _ => Keying::ForwardedFor(vec!["203.0.113.0/24".parse().unwrap()]),
        };
        let rules = rules(window_s, keying);
        let log = lines.join(&b'\n');
        prop_assume!(!log.starts_with(&[0x1f, 0x8b]));
        let (audience, tally) = read(&rules, &[&log]);
        let Tally { lines, counted, other, unkeyed, dropped, malformed, first_problem } = tally;
        prop_assert_eq!(lines, counted + other + unkeyed + dropped + malformed);
        prop_assert_eq!(malformed > 0, first_problem.is_some());

        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).chain([0, log.len()]).collect();
        ends.sort_unstable();
        let pieces: Vec<&[u8]> = ends.windows(2).map(|ends| &log[ends[0]..ends[1]]).collect();
        let (in_pieces, again) = read(&rules, &pieces);
        prop_assert_eq!((in_pieces.figures(&rules), again), (audience.figures(&rules), tally));

        // What is kept of it is all of it, and keeping it twice adds nothing.
        let mut kept = Audience::default();
        for minute in audience.minutes() {
            let text = document::write(&audience, minute, &rules);
            prop_assert!(!text.contains("203.0.113."), "{}", text);
            document::read(&mut kept, minute, &text, &rules).unwrap();
            prop_assert!(!kept.merge_minute(&audience, minute, &rules).is_new);
        }
        prop_assert_eq!(kept.figures(&rules), audience.figures(&rules));
    }
}
