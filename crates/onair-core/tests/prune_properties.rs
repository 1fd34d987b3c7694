//! Properties of every plan, for random recordings and rules.

use crate::ladder::{Rung, metadata, playlist, recording, with};
use onair_core::playlist::MultivariantPlaylist;
use onair_core::prune_recording::HLS;
use onair_core::prune_recording::plan::{Deletion, PrunePlan, RetentionPolicy, Versions, plan};
use onair_core::prune_recording::recording::Inventory;
use onair_core::prune_recording::rule::{Comparison, Rule, Term, Terms};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeSet;

const HEIGHTS: [u64; 5] = [160, 360, 480, 720, 1080];

fn rung() -> impl Strategy<Value = Rung> {
    // Names with and without a height, names that start alike, and names with odd characters.
    let name = prop_oneof![
        (select(&HEIGHTS[..]), select(&[30, 50, 60][..]))
            .prop_map(|(height, rate)| format!("{height}p{rate}")),
        (select(&HEIGHTS[..]), 0..4096_u16)
            .prop_map(|(height, hash)| format!("{height}p30-{hash:03x}")),
        select(&["a", "b", "c", "aa", "ab", "ba"][..]).prop_map(str::to_owned),
        select(&["720p 30", "a&b", "50%", "grün", "x+y"][..]).prop_map(str::to_owned),
    ];
    // Most renditions have video.
    let height = proptest::option::weighted(0.8, select(&HEIGHTS[..]));
    let frame_rate = proptest::option::of(select(&[25.0, 29.97, 60.0][..]));
    (name, height, 1..4_u64, frame_rate).prop_map(|(name, height, bandwidth_bps, frame_rate)| {
        Rung {
            name,
            height,
            bandwidth_bps,
            frame_rate,
            audio: None,
        }
    })
}

fn ladder() -> impl Strategy<Value = Vec<Rung>> {
    let rungs = proptest::collection::vec(rung(), 1..6).prop_map(|mut rungs| {
        let mut seen = BTreeSet::new();
        rungs.retain(|rung| seen.insert(rung.name.clone()));
        rungs
    });
    // In most recordings the audio is part of each rendition. Where it has a folder of its own,
    // that may also be the folder of another rung.
    rungs.prop_flat_map(|rungs| {
        let folders = ["audio-hi", "audio-lo", &rungs[0].name]
            .map(str::to_owned)
            .to_vec();
        let audio = proptest::collection::vec(proptest::option::of(select(folders)), rungs.len());
        proptest::option::weighted(0.4, audio).prop_map(move |audio| {
            let audio = audio.into_iter().flatten().chain(std::iter::repeat(None));
            rungs
                .iter()
                .cloned()
                .zip(audio)
                .map(|(rung, audio)| Rung { audio, ..rung })
                .collect()
        })
    })
}

fn policy(ladder: &[Rung]) -> impl Strategy<Value = RetentionPolicy> + use<> {
    let names: Vec<String> = ladder
        .iter()
        .map(|rung| rung.name.clone())
        .chain(["999p1".to_owned()])
        .collect();
    let comparison = select(
        &[
            Comparison::Below,
            Comparison::AtMost,
            Comparison::AtLeast,
            Comparison::Above,
        ][..],
    );
    let term = prop_oneof![
        Just(Term::Highest),
        Just(Term::Lowest),
        select(names).prop_map(Term::Name),
        (comparison, select(&HEIGHTS[..])).prop_map(|(how, bound)| Term::Height(how, bound)),
    ];
    let terms = proptest::collection::vec(term, 1..3).prop_map(Terms);
    (terms, any::<bool>(), any::<bool>()).prop_map(|(terms, keep, delete_thumbnails)| {
        RetentionPolicy {
            rule: if keep {
                Rule::Keep(terms)
            } else {
                Rule::Delete(terms)
            },
            delete_thumbnails,
            versions: Versions::Current,
        }
    })
}

/// Usually all of a ladder's rungs, sometimes only some.
fn most_of(ladder: &[Rung]) -> impl Strategy<Value = Vec<Rung>> + use<> {
    let some = subsequence(ladder.to_vec(), 1..=ladder.len());
    prop_oneof![3 => Just(ladder.to_vec()), 1 => some]
}

/// A recording whose files may name different renditions, and which may have extra folders.
fn inventory(ladder: &[Rung]) -> impl Strategy<Value = Inventory> + use<> {
    let parts = [(); 4].map(|()| most_of(ladder));
    (Just(ladder.to_vec()), parts, any::<(bool, bool, bool)>()).prop_map(
        |(
            ladder,
            [announced, mut listed, in_both_playlists, there],
            (forgotten, apart, strangers),
        )| {
            let mut inventory = recording(&ladder);
            inventory.started = (!forgotten).then(|| metadata(&announced, "RECORDING_STARTED"));
            let is_rung = |name: &String| ladder.iter().any(|rung| rung.name == *name);
            if apart {
                // The metadata may list an audio folder as a rendition of its own.
                let audio: BTreeSet<&String> = ladder.iter().flat_map(|rung| &rung.audio).collect();
                let audio = audio.into_iter().filter(|name| !is_rung(name));
                listed.extend(audio.map(|name| Rung {
                    height: None,
                    ..Rung::new(name, 0, 0)
                }));
            }
            inventory.ended = metadata(&listed, "RECORDING_ENDED");
            let byte_range = playlist(&in_both_playlists, "byte-range-variant.m3u8");
            inventory
                .playlists
                .insert("byte-range-multivariant.m3u8".to_owned(), byte_range);
            let is_there = |name: &String| there.iter().any(|rung| rung.name == *name);
            inventory
                .folders
                .retain(|folder| !is_rung(folder) || is_there(folder));
            if strangers {
                inventory
                    .folders
                    .extend(["240p24".to_owned(), "notes".to_owned()]);
            }
            inventory
        },
    )
}

/// A recording and a policy. Sometimes an earlier run with another policy was interrupted in the
/// recording.
fn case() -> impl Strategy<Value = (Inventory, RetentionPolicy)> {
    ladder()
        .prop_flat_map(|ladder| {
            let earlier = proptest::option::weighted(0.3, (policy(&ladder), any::<(u16, u16)>()));
            (inventory(&ladder), policy(&ladder), earlier)
        })
        .prop_map(|(inventory, policy, earlier)| {
            let started = earlier.and_then(|(earlier, (written, deleted))| {
                let plan = plan(&inventory, &earlier).ok()?;
                Some(interrupted(&inventory, &plan, written, deleted))
            });
            (started.unwrap_or(inventory), policy)
        })
}

/// The recording after an interrupted run. Any of the playlists are written. The metadata can be
/// written if all playlists are, and folders can be deleted if all files are written. Each bit is
/// one file or folder.
fn interrupted(inventory: &Inventory, plan: &PrunePlan, written: u16, deleted: u16) -> Inventory {
    let playlists = plan
        .rewrites
        .iter()
        .filter(|rewrite| rewrite.is_playlist())
        .count();
    let all = |count: usize| (1_u16 << count) - 1;
    // The metadata is the last of the rewrites, so its bit is above those of the playlists.
    let written = if written & all(playlists) == all(playlists) {
        written
    } else {
        written & all(playlists)
    };
    let is_written = written & all(plan.rewrites.len()) == all(plan.rewrites.len());
    any_subset(
        inventory,
        plan,
        written,
        if is_written { deleted } else { 0 },
    )
}

/// The recording when any of a plan's files are written and any of its folders deleted, in any
/// order.
fn any_subset(inventory: &Inventory, plan: &PrunePlan, written: u16, deleted: u16) -> Inventory {
    fn chosen<T>(all: &[T], bits: u16) -> impl Iterator<Item = &T> {
        all.iter()
            .enumerate()
            .filter(move |(index, _)| bits & (1 << index) != 0)
            .map(|(_, one)| one)
    }
    let folders: BTreeSet<&str> = chosen(&plan.deletions, deleted)
        .map(Deletion::label)
        .collect();
    with(inventory, chosen(&plan.rewrites, written), |folder| {
        folders.contains(folder)
    })
}

fn end(inventory: &Inventory, plan: &PrunePlan) -> Inventory {
    any_subset(inventory, plan, u16::MAX, u16::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_a_kept_playlist_names_is_ever_deleted((inventory, policy) in case()) {
        let Ok(plan) = plan(&inventory, &policy) else { return Ok(()) };
        for text in end(&inventory, &plan).playlists.values() {
            // An independent parser checks the rewritten text.
            let named = quick_uris(text).concat();
            for folder in plan.deletions.iter().map(Deletion::folder) {
                let folder = folder.strip_prefix(HLS).unwrap_or("media/thumbnails");
                prop_assert!(!named.iter().any(|uri| uri.starts_with(folder)), "{folder} named in {text}");
            }
        }
    }

    #[test]
    fn a_rewritten_playlist_parses_to_exactly_the_kept_variants((inventory, policy) in case()) {
        let Ok(plan) = plan(&inventory, &policy) else { return Ok(()) };
        for (file, text) in &end(&inventory, &plan).playlists {
            let before = MultivariantPlaylist::parse(&inventory.playlists[file]).unwrap();
            let stays = |uri: &str| plan.kept.iter().any(|name| uri.starts_with(&format!("{name}/")));
            let expected: Vec<_> = before.variants().filter(|variant| stays(&variant.uri)).cloned().collect();
            let rewritten = MultivariantPlaylist::parse(text).unwrap();
            prop_assert_eq!(rewritten.variants().cloned().collect::<Vec<_>>(), expected);
            let [variants, media] = quick_uris(text);
            prop_assert_eq!(variants, rewritten.variants().map(|v| v.uri.clone()).collect::<Vec<_>>());
            // Alternative audio is kept exactly where a kept variant refers to it.
            let groups: BTreeSet<_> = text.lines().filter_map(|line| line.split_once(",AUDIO=\"")).map(|(_, id)| id.trim_end_matches('"')).collect();
            prop_assert_eq!(media.len(), groups.len(), "{}", text);
        }
    }

    #[test]
    fn an_interrupted_and_repeated_run_reaches_the_same_end_state(
        (inventory, policy) in case(), written in any::<u16>(), deleted in any::<u16>()
    ) {
        let Ok(first) = plan(&inventory, &policy) else { return Ok(()) };
        let state = interrupted(&inventory, &first, written, deleted);
        let second = plan(&state, &policy).unwrap();
        prop_assert_eq!(end(&state, &second), end(&inventory, &first));
        prop_assert_eq!(second.kept, first.kept);
    }

    // States that no single run leaves: a person restores a playlist, or two runs overlap. Only the
    // list of removed renditions must be written before a folder is deleted.
    #[test]
    fn any_part_of_a_plan_leads_to_the_same_end_state_or_to_no_plan(
        (inventory, policy) in case(), written in any::<u16>(), deleted in any::<u16>()
    ) {
        let Ok(first) = plan(&inventory, &policy) else { return Ok(()) };
        let metadata = first.rewrites.iter().position(|rewrite| !rewrite.is_playlist());
        let is_remembered = metadata.is_none_or(|index| written & (1 << index) != 0);
        let part = any_subset(&inventory, &first, written, if is_remembered { deleted } else { 0 });
        if let Ok(second) = plan(&part, &policy) {
            prop_assert_eq!(end(&part, &second), end(&inventory, &first));
        }
    }

    #[test]
    fn a_playable_rendition_is_left((inventory, policy) in case()) {
        let Ok(plan) = plan(&inventory, &policy) else { return Ok(()) };
        let end = end(&inventory, &plan);
        if end != inventory {
            let plays = |name: &String| end.folders.contains(name)
                && end.playlists.values().any(|text| quick_uris(text)[0].iter().any(|uri| uri.starts_with(&format!("{name}/"))));
            prop_assert!(plan.kept.iter().any(plays) || plan.deletions.iter().all(|d| matches!(d, Deletion::Thumbnails(_))));
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

/// The URIs of variants, and those of EXT-X-MEDIA, as quick-m3u8 reads them.
fn quick_uris(text: &str) -> [Vec<String>; 2] {
    use quick_m3u8::config::ParsingOptions;
    use quick_m3u8::tag::{KnownTag, hls};
    use quick_m3u8::{HlsLine, Reader};
    let mut reader = Reader::from_str(text, ParsingOptions::default());
    let [mut variants, mut media] = [const { Vec::new() }; 2];
    while let Ok(Some(line)) = reader.read_line() {
        match line {
            HlsLine::Uri(uri) => variants.push(uri.to_string()),
            HlsLine::KnownTag(KnownTag::Hls(hls::Tag::Media(tag))) => {
                media.extend(tag.uri().map(str::to_owned));
            }
            _ => {}
        }
    }
    [variants, media]
}

/// The properties skip cases without a plan, so they need enough cases with one.
#[test]
fn many_cases_are_plans_with_several_deletions() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases = (0..500).map(|_| case().new_tree(&mut runner).unwrap().current());
    let busy = cases.filter(|(inventory, policy)| {
        plan(inventory, policy).is_ok_and(|plan| plan.deletions.len() > 1)
    });
    let busy = busy.count();
    assert!(busy > 150, "{busy} of 500");
}
