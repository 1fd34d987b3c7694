//! What must hold for every recording and every rule.

use crate::ladder::{Rung, after, recording};
use onair_core::playlist::MultivariantPlaylist;
use onair_core::prune_recording::HLS;
use onair_core::prune_recording::plan::{Plan, Wish, plan};
use onair_core::prune_recording::recording::Inventory;
use onair_core::prune_recording::rule::{Comparison, Rule, Term, Terms};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeSet;

const HEIGHTS: [u64; 5] = [160, 360, 480, 720, 1080];

fn rung() -> impl Strategy<Value = Rung> {
    // Names of every kind: telling their quality, starting alike, telling nothing, odd.
    let name = prop_oneof![
        (select(&HEIGHTS[..]), select(&[30, 50, 60][..]))
            .prop_map(|(height, rate)| format!("{height}p{rate}")),
        (select(&HEIGHTS[..]), "[a-f0-9]{3}").prop_map(|(height, hash)| format!("{height}p30-{hash}")),
        "[a-c]{1,2}",
        select(&["720p 30", "a&b", "50%25", "grün", "x+y"][..]).prop_map(str::to_owned),
    ];
    (name, select(&HEIGHTS[..]), 1..4_u64, proptest::option::of(select(&[25.0, 29.97, 60.0][..]))).prop_map(
        |(name, height, bandwidth_bps, frame_rate)| Rung { name, height, bandwidth_bps, frame_rate },
    )
}

fn ladder() -> impl Strategy<Value = Vec<Rung>> {
    proptest::collection::vec(rung(), 1..6).prop_map(|mut rungs| {
        let mut seen = BTreeSet::new();
        rungs.retain(|rung| seen.insert(rung.name.clone()));
        rungs
    })
}

fn wish(ladder: &[Rung]) -> impl Strategy<Value = Wish> + use<> {
    let names: Vec<String> =
        ladder.iter().map(|rung| rung.name.clone()).chain(["999p1".to_owned()]).collect();
    let comparison =
        select(&[Comparison::Below, Comparison::AtMost, Comparison::AtLeast, Comparison::Above][..]);
    let term = prop_oneof![
        Just(Term::Highest),
        Just(Term::Lowest),
        select(names).prop_map(Term::Name),
        (comparison, select(&HEIGHTS[..])).prop_map(|(how, bound)| Term::Height(how, bound)),
    ];
    let terms = proptest::collection::vec(term, 1..3).prop_map(Terms);
    (terms, any::<bool>(), any::<bool>()).prop_map(|(terms, keep, delete_thumbnails)| Wish {
        rule: if keep { Rule::Keep(terms) } else { Rule::Delete(terms) },
        delete_thumbnails,
    })
}

/// A recording that may lack things or have more than it should, and a wish.
fn case() -> impl Strategy<Value = (Inventory, Wish)> {
    ladder()
        .prop_flat_map(|ladder| {
            let all: Vec<String> = ladder.iter().map(|rung| rung.name.clone()).collect();
            let few = (0..=all.len()).prop_flat_map(move |n| subsequence(all.clone(), n));
            (wish(&ladder), Just(ladder), few, any::<(bool, bool, bool)>())
        })
        .prop_map(|(wish, ladder, few, (forgotten, uneven, strangers))| {
            let mut inventory = recording(&ladder);
            if forgotten {
                inventory.started = None;
            } else if uneven {
                // What was announced and what came may differ.
                let came: Vec<Rung> =
                    ladder.iter().filter(|rung| !few.contains(&rung.name)).cloned().collect();
                inventory.started = Some(crate::ladder::metadata(&came, "RECORDING_STARTED"));
            }
            if uneven {
                inventory.folders.retain(|folder| !few.contains(folder));
            }
            if strangers {
                inventory.folders.extend(["240p24".to_owned(), "notes".to_owned()]);
            }
            (inventory, wish)
        })
}

fn end(inventory: &Inventory, plan: &Plan) -> Inventory {
    let gone: Vec<&str> = plan.deletions.iter().map(|deletion| deletion.name.as_str()).collect();
    after(inventory, plan, usize::MAX, &gone)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_kept_playlist_names_is_ever_deleted((inventory, wish) in case()) {
        let Ok(plan) = plan(&inventory, &wish) else { return Ok(()) };
        for text in end(&inventory, &plan).playlists.values() {
            // A second opinion on the rewritten text, by a parser that had no part in it.
            let named = quick_uris(text);
            for deletion in &plan.deletions {
                let folder = deletion.folder.strip_prefix(HLS).unwrap_or("media/thumbnails");
                prop_assert!(!named.iter().any(|uri| uri.starts_with(folder)), "{} named in {text}", deletion.folder);
            }
        }
    }

    #[test]
    fn a_rewritten_playlist_parses_to_exactly_the_kept_variants((inventory, wish) in case()) {
        let Ok(plan) = plan(&inventory, &wish) else { return Ok(()) };
        for (file, text) in &end(&inventory, &plan).playlists {
            let before = MultivariantPlaylist::parse(&inventory.playlists[file]).unwrap();
            let stays = |uri: &str| plan.kept.iter().any(|name| uri.starts_with(&format!("{name}/")));
            let expected: Vec<_> = before.variants().filter(|variant| stays(&variant.uri)).cloned().collect();
            let rewritten = MultivariantPlaylist::parse(text).unwrap();
            prop_assert_eq!(rewritten.variants().cloned().collect::<Vec<_>>(), expected);
            prop_assert_eq!(quick_uris(text), rewritten.variants().map(|v| v.uri.clone()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_run_that_is_cut_short_anywhere_and_repeated_ends_the_same(
        (inventory, wish) in case(), written in 0..5_usize, deleted in any::<u8>()
    ) {
        let Ok(first) = plan(&inventory, &wish) else { return Ok(()) };
        // Deleting starts only when everything is written.
        let gone: Vec<&str> = match written < first.rewrites.len() {
            true => Vec::new(),
            false => first.deletions.iter().enumerate().filter(|(i, _)| deleted & (1 << i) != 0).map(|(_, d)| d.name.as_str()).collect(),
        };
        let cut = after(&inventory, &first, written, &gone);
        let second = plan(&cut, &wish).unwrap();
        prop_assert_eq!(end(&cut, &second), end(&inventory, &first));
        prop_assert_eq!(second.kept, first.kept);
    }

    #[test]
    fn something_that_plays_is_left((inventory, wish) in case()) {
        let Ok(plan) = plan(&inventory, &wish) else { return Ok(()) };
        let end = end(&inventory, &plan);
        if end != inventory {
            let plays = |name: &String| end.folders.contains(name)
                && end.playlists.values().any(|text| quick_uris(text).iter().any(|uri| uri.starts_with(&format!("{name}/"))));
            prop_assert!(plan.kept.iter().any(plays) || plan.deletions.iter().all(|d| d.name == "thumbnails"));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic_or_change_a_byte(
        lines in proptest::collection::vec(prop_oneof![
            Just("#EXT-X-STREAM-INF:BANDWIDTH=1,VIDEO=\"a\"".to_owned()), Just("a/p.m3u8".to_owned()),
            Just("#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"a\",NAME=\"a\"".to_owned()), "[ -~]{0,30}", "\\PC{0,10}",
        ], 0..8),
        line_end in select(&["\n", "\r\n"][..]),
    ) {
        let text = format!("#EXTM3U{line_end}{}", lines.join(line_end));
        if let Ok(playlist) = MultivariantPlaylist::parse(&text) {
            prop_assert_eq!(playlist.without(|_| false), text);
        }
    }
}

/// The variants' URIs as quick-m3u8 reads them.
fn quick_uris(text: &str) -> Vec<String> {
    use quick_m3u8::config::ParsingOptions;
    use quick_m3u8::{HlsLine, Reader};
    let mut reader = Reader::from_str(text, ParsingOptions::default());
    let mut uris = Vec::new();
    while let Ok(Some(line)) = reader.read_line() {
        if let HlsLine::Uri(uri) = line {
            uris.push(uri.to_string());
        }
    }
    uris
}

/// Properties that skip refused cases prove nothing if nearly all are refused.
#[test]
fn most_cases_are_plans_that_do_something() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases = (0..500).map(|_| case().new_tree(&mut runner).unwrap().current());
    let busy =
        cases.filter(|(inventory, wish)| plan(inventory, wish).is_ok_and(|plan| plan.deletions.len() > 1));
    let busy = busy.count();
    assert!(busy > 150, "{busy} of 500");
}
