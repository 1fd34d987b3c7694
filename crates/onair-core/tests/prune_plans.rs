use crate::ladder::{Rung, after, delete, keep, metadata, playlist, recording, usual, why};
use onair_core::prune_recording::HeldReason;
use onair_core::prune_recording::plan::{
    Deletion, DeletionEffect, PrunePlan, RetentionPolicy, Rewrite, Versions, plan,
};
use onair_core::prune_recording::recording::Versioning;

fn removed_list(plan: &PrunePlan) -> &str {
    match plan.rewrites.last() {
        Some(Rewrite::Metadata { removed, .. }) => removed,
        other => panic!("no metadata is written last: {other:?}"),
    }
}

fn kept(ladder: &[Rung], policy: &RetentionPolicy) -> String {
    plan(&recording(ladder), policy).unwrap().kept.join(" ")
}

#[test]
fn a_plan_prints_its_steps_in_order() {
    insta::assert_snapshot!(plan(&recording(&usual()), &keep("highest")).unwrap(), @r"
    keep    720p30
    check   media/hls/720p30/byte-range-variant.m3u8
    check   media/hls/720p30/playlist.m3u8
    check   media/hls/720p30/
    rewrite media/hls/byte-range-multivariant.m3u8
    rewrite media/hls/master.m3u8
    rewrite events/recording-ended.json
    delete  media/hls/160p30/
    delete  media/hls/360p30/
    delete  media/hls/480p30/
    ");
}

#[test]
fn a_rule_keeps_or_deletes_the_renditions_that_it_names() {
    for (policy, expected) in [
        (keep("highest"), "720p30"),
        (keep("lowest"), "160p30"),
        (keep("highest,lowest"), "720p30 160p30"),
        (keep("360p30"), "360p30"),
        (keep("360p30, 480p30, 999p99"), "480p30 360p30"),
        (keep("<=480p"), "480p30 360p30 160p30"),
        (keep("<480p"), "360p30 160p30"),
        (keep(">=480p"), "720p30 480p30"),
        (keep(">480p"), "720p30"),
        (delete("highest"), "480p30 360p30 160p30"),
        (delete("lowest"), "720p30 480p30 360p30"),
        (delete("highest,lowest"), "480p30 360p30"),
        (delete("160p30"), "720p30 480p30 360p30"),
        (delete("<=360p"), "720p30 480p30"),
        (delete(">=720p,160p30"), "480p30 360p30"),
        (delete("1080p60"), "720p30 480p30 360p30 160p30"),
    ] {
        assert_eq!(kept(&usual(), &policy), expected, "{policy:?}");
    }
}

#[test]
fn at_one_height_the_frame_rate_decides_and_then_the_bandwidth() {
    let by_name = [
        Rung::new("720p30", 720, 9),
        Rung::new("720p60", 720, 1),
        Rung::new("160p30", 160, 1),
    ];
    assert_eq!(kept(&by_name, &keep("highest")), "720p60");
    assert_eq!(kept(&by_name, &delete("highest")), "720p30 160p30");
    let mut by_attribute = [
        Rung::new("a", 720, 9),
        Rung::new("b", 720, 1),
        Rung::new("c", 160, 1),
    ];
    by_attribute[1].frame_rate = Some(50.0);
    assert_eq!(kept(&by_attribute, &keep("highest")), "b");
    let by_bandwidth = [
        Rung::new("a", 720, 9),
        Rung::new("b", 720, 1),
        Rung::new("c", 160, 1),
    ];
    assert_eq!(kept(&by_bandwidth, &keep("highest")), "a");
    assert_eq!(kept(&by_bandwidth, &delete("highest")), "b c");
    let low = [
        Rung::new("a", 720, 9),
        Rung::new("b", 160, 1),
        Rung::new("c", 160, 2),
    ];
    assert_eq!(kept(&low, &keep("lowest")), "b");
    assert_eq!(kept(&low, &delete("lowest")), "a c");
}

#[test]
fn the_order_in_the_metadata_does_not_matter() {
    let mut shuffled = usual();
    shuffled.rotate_left(2);
    let mut inventory = recording(&usual());
    inventory.ended = metadata(&shuffled, "RECORDING_ENDED");
    assert_eq!(plan(&inventory, &keep("highest")).unwrap().kept, ["720p30"]);
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    for policy in [
        keep("highest"),
        delete("lowest"),
        delete("highest"),
        delete("<=360p"),
    ] {
        let inventory = recording(&usual());
        let first = plan(&inventory, &policy).unwrap();
        let deleted: Vec<&str> = first.deletions.iter().map(Deletion::label).collect();
        let second = plan(&after(&inventory, &first, 9, &deleted), &policy).unwrap();
        assert!(second.is_empty(), "{policy:?}: {second}");
        assert_eq!(second.kept, first.kept);
    }
}

#[test]
fn a_run_records_what_it_removes_so_that_a_rule_does_not_name_the_next_rendition() {
    let mut inventory = recording(&usual());
    // This needs neither the start metadata nor a name that contains the height.
    inventory.started = None;
    let odd = recording(&[
        Rung::new("high", 720, 9),
        Rung::new("low", 160, 1),
        Rung::new("mid", 360, 3),
    ]);
    for (inventory, name) in [(inventory, "160p30"), (odd, "low")] {
        let first = plan(&inventory, &delete("lowest")).unwrap();
        assert_eq!(first.deletions.len(), 1);
        let list = removed_list(&first);
        assert!(list.starts_with(&format!("{name}:160")), "{list}");
        let interrupted = after(&inventory, &first, 9, &[]);
        assert_eq!(
            plan(&interrupted, &delete("lowest")).unwrap().deletions,
            first.deletions
        );
        let end = after(&inventory, &first, 9, &[name]);
        assert!(plan(&end, &delete("lowest")).unwrap().is_empty());
        // The list keeps what was removed before when another rule removes more.
        let more = plan(&end, &keep("highest")).unwrap();
        assert!(removed_list(&more).contains(list));
    }
}

#[test]
fn a_rendition_that_an_interrupted_run_would_forget_is_held() {
    let mut inventory = recording(&usual());
    inventory.started = None;
    inventory.ended = metadata(&usual()[..3], "RECORDING_ENDED");
    // Only playlists name 160p30. If a run is interrupted after the playlists are written, and
    // before the metadata is, no file names it any more.
    assert!(
        why(&inventory, &keep("highest"))
            .contains("gives another result when an interrupted run is repeated")
    );
    assert!(plan(&inventory, &keep("<=480p")).is_ok());
}

#[test]
fn renditions_that_differ_from_the_start_metadata_are_planned() {
    let more = [
        usual(),
        vec![Rung::new("1080p60", 1080, 9), Rung::new("90p30", 90, 1)],
    ]
    .concat();
    let mut inventory = recording(&usual());
    inventory.started = Some(metadata(&more, "RECORDING_STARTED"));
    assert_eq!(
        plan(&inventory, &delete("highest,lowest")).unwrap().kept,
        ["480p30", "360p30"]
    );
    let mut other_height = usual();
    other_height[1].height = Some(482);
    inventory.started = Some(metadata(&other_height, "RECORDING_STARTED"));
    assert_eq!(
        plan(&inventory, &delete("<=480p")).unwrap().kept,
        ["720p30"]
    );
    inventory.started = Some("{".to_owned());
    assert_eq!(plan(&inventory, &keep("highest")).unwrap().kept, ["720p30"]);
}

#[test]
fn an_audio_rendition_is_highest_only_without_video() {
    let mut ladder = usual();
    ladder[3] = Rung {
        height: None,
        ..Rung::new("audio_only", 0, 160_000)
    };
    let inventory = recording(&ladder);
    assert_eq!(plan(&inventory, &keep("lowest")).unwrap().kept, ["360p30"]);
    assert_eq!(
        plan(&inventory, &keep("audio_only")).unwrap().kept,
        ["audio_only"]
    );
    let only = after(
        &inventory,
        &plan(&inventory, &keep("audio_only")).unwrap(),
        9,
        &["720p30", "480p30", "360p30"],
    );
    assert!(plan(&only, &keep("highest")).unwrap().is_empty());
}

#[test]
fn folders_that_an_interrupted_run_left_are_found_by_its_list() {
    let mut inventory = recording(&usual()[..1]);
    inventory
        .folders
        .extend(["360p30".to_owned(), "low".to_owned()]);
    inventory.removed = "360p30:360,gone:90,low:160".to_owned();
    let plan = plan(&inventory, &keep("highest")).unwrap();
    assert!(plan.rewrites.is_empty());
    let names: Vec<_> = plan.deletions.iter().map(Deletion::folder).collect();
    assert_eq!(names, ["media/hls/360p30/", "media/hls/low/"]);
}

#[test]
fn folders_that_no_file_names_are_kept_whatever_their_name() {
    let mut inventory = recording(&usual());
    let strangers = [
        "audio",
        "480p300",
        "1080p",
        "720p30-backup",
        "90p",
        "poster",
    ];
    inventory.folders.extend(strangers.map(str::to_owned));
    for (policy, deleted) in [
        (keep("highest"), 3),
        (delete("lowest"), 1),
        (delete("<=480p"), 3),
    ] {
        let deletions = plan(&inventory, &policy).unwrap().deletions;
        assert_eq!(deletions.len(), deleted, "{policy:?}");
        assert!(
            !deletions
                .iter()
                .any(|deletion| strangers.contains(&deletion.label()))
        );
    }
}

#[test]
fn an_unknown_playlist_is_held_because_it_may_name_a_deleted_rendition() {
    let mut inventory = recording(&usual());
    inventory
        .other_playlists
        .insert("clip_master.m3u8".to_owned());
    insta::assert_snapshot!(why(&inventory, &keep("highest")), @"held: media/hls/clip_master.m3u8 is next to the entry playlists and may name a rendition that the rule deletes; move or delete the file");
    assert!(plan(&inventory, &delete("1080p60")).unwrap().is_empty());
}

#[test]
fn a_rule_that_leaves_no_playable_rendition_is_held() {
    let inventory = recording(&usual());
    insta::assert_snapshot!(why(&inventory, &keep("1080p60")), @"held: KEEP_RENDITIONS matches none of the renditions 160p30, 360p30, 480p30, 720p30");
    insta::assert_snapshot!(why(&inventory, &delete("<=720p")), @"held: the rule leaves no playable rendition; the recording has 160p30, 360p30, 480p30, 720p30");
    let mut listed_only = recording(&usual());
    listed_only.folders.remove("720p30");
    insta::assert_snapshot!(why(&listed_only, &keep("highest")), @"held: the rule leaves no playable rendition; the recording has 160p30, 360p30, 480p30, 720p30");
    let mut uneven = recording(&usual());
    uneven.playlists.insert(
        "byte-range-multivariant.m3u8".into(),
        playlist(&usual()[1..], "byte-range-variant.m3u8"),
    );
    insta::assert_snapshot!(why(&uneven, &keep("highest")), @"held: the rule leaves media/hls/byte-range-multivariant.m3u8 unusable: line 1: the playlist has no variant");
}

#[test]
fn files_that_cannot_be_parsed_are_held() {
    let mut broken = recording(&usual());
    broken.playlists.insert(
        "master.m3u8".into(),
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=x\na/p\n".into(),
    );
    insta::assert_snapshot!(why(&broken, &keep("highest")), @"held: media/hls/master.m3u8 cannot be parsed: line 2: the EXT-X-STREAM-INF cannot be parsed");
    let mut failed = recording(&usual());
    failed.ended = metadata(&usual(), "RECORDING_ENDED_WITH_FAILURE");
    insta::assert_snapshot!(why(&failed, &keep("highest")), @r#"held: events/recording-ended.json has the recording status "RECORDING_ENDED_WITH_FAILURE"; expected RECORDING_ENDED"#);
    let mut no_json = recording(&usual());
    no_json.ended = "{".into();
    insta::assert_snapshot!(why(&no_json, &keep("highest")), @"held: events/recording-ended.json cannot be parsed: EOF while parsing an object at line 1 column 1");
    for (what, instead) in [
        // serde alone would accept a list for an object, and the edit would not find the rendition
        // in it.
        (
            r#"{"path":"160p30","playlist":"playlist.m3u8","resolution_height":160}"#,
            r#"["160p30",160]"#,
        ),
        // It is ambiguous which of the two counts.
        (r#""thumbnails":"#, r#""hls":"#),
        ("}}}", "}}}}"),
    ] {
        let mut odd = recording(&usual());
        assert!(odd.ended.contains(what), "{}", odd.ended);
        odd.ended = odd.ended.replace(what, instead);
        assert!(
            why(&odd, &keep("highest")).contains("cannot be parsed"),
            "{instead}"
        );
    }
    let mut missing = recording(&usual());
    missing.playlists.remove("master.m3u8");
    insta::assert_snapshot!(why(&missing, &keep("highest")), @"missing: media/hls/master.m3u8 does not exist, but events/recording-ended.json names it");
    let mut unknown = recording(&usual());
    unknown.ended = unknown.ended.replace("master.m3u8", "index.m3u8");
    insta::assert_snapshot!(why(&unknown, &keep("highest")), @r#"held: events/recording-ended.json names the entry playlist "index.m3u8"; expected one of ["master.m3u8", "byte-range-multivariant.m3u8", "multivariant.m3u8"]"#);
}

#[test]
fn metadata_cannot_lead_out_of_the_recording() {
    for path in ["..", "../other", "/", "", "720p30/..", "a/b", "."] {
        let mut hostile = recording(&usual());
        hostile.ended = hostile.ended.replace("\"160p30\"", &format!("{path:?}"));
        assert!(
            why(&hostile, &keep("highest")).contains("which is not the name of one folder"),
            "{path:?}"
        );
    }
    let mut elsewhere = recording(&usual());
    elsewhere.ended = elsewhere
        .ended
        .replace("\"media/hls\"", "\"../other/media/hls\"");
    assert!(why(&elsewhere, &keep("highest")).contains("places the playlists in"));
}

#[test]
fn a_playlist_cannot_lead_out_of_the_recording() {
    for uri in [
        "../other/p.m3u8",
        "../hls/160p30/p.m3u8",
        "https://cdn.example.com/720p30/p.m3u8",
        "/720p30/p.m3u8",
        "720p30/../p.m3u8",
        "p.m3u8",
        "720p30/",
        "%2e%2e/p.m3u8",
        "a%2Fb%2F..%2Fp.m3u8",
        "data:x/y",
    ] {
        let mut hostile = recording(&usual());
        let master = hostile.playlists["master.m3u8"].clone();
        for text in [
            master.replace("720p30/playlist.m3u8", uri),
            format!("{master}\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"{uri}\""),
            format!("{master}\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"{uri}\""),
        ] {
            hostile.playlists.insert("master.m3u8".into(), text);
            assert!(
                why(&hostile, &keep("highest"))
                    .contains("which is not a file in a folder next to the playlist"),
                "{uri}"
            );
        }
    }
}

#[test]
fn a_kept_group_that_needs_a_deleted_rendition_is_held() {
    let mut shared = recording(&usual());
    let audio =
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"160p30/audio.m3u8\"";
    let text = shared.playlists["master.m3u8"].replace("#EXTM3U", audio);
    shared.playlists.insert("master.m3u8".into(), text);
    insta::assert_snapshot!(why(&shared, &keep("highest")), @r#"held: media/hls/master.m3u8 still needs "160p30/audio.m3u8", which the rule deletes"#);
}

#[test]
fn a_rendition_is_found_by_an_encoded_and_by_a_plain_uri() {
    let odd = ["720p 30", "a&b", "50%25", "grün", "x+y"];
    let ladder: Vec<Rung> = odd
        .iter()
        .zip([720, 480, 360, 240, 160])
        .map(|(name, height)| Rung::new(name, height, height))
        .collect();
    let plain = recording(&ladder);
    let mut encoded = plain.clone();
    for text in encoded.playlists.values_mut() {
        *text = text
            .replace("\n720p 30/", "\n720p%2030/")
            .replace("\n50%25/", "\n50%2525/")
            .replace("\ngrün/", "\ngr%C3%BCn/");
    }
    for inventory in [plain, encoded] {
        let plan = plan(&inventory, &keep("highest")).unwrap();
        assert_eq!(plan.kept, ["720p 30"]);
        assert_eq!(plan.deletions.len(), 4);
        assert!(
            plan.required_playlists
                .contains("media/hls/720p 30/playlist.m3u8")
        );
    }
    // Both spellings are folders, so the URI is ambiguous.
    let mut ambiguous = recording(&[Rung::new("a%20b", 720, 2), Rung::new("c", 160, 1)]);
    ambiguous.folders.insert("a b".to_owned());
    assert!(
        why(&ambiguous, &keep("highest"))
            .contains("which is not a file in a folder next to the playlist")
    );
}

#[test]
fn thumbnails_are_deleted_only_if_the_policy_says_so() {
    let policy = RetentionPolicy {
        delete_thumbnails: true,
        ..keep("highest,lowest,360p30,480p30")
    };
    insta::assert_snapshot!(plan(&recording(&usual()), &policy).unwrap(), @r"
    keep    720p30, 480p30, 360p30, 160p30
    check   media/hls/160p30/byte-range-variant.m3u8
    check   media/hls/160p30/playlist.m3u8
    check   media/hls/360p30/byte-range-variant.m3u8
    check   media/hls/360p30/playlist.m3u8
    check   media/hls/480p30/byte-range-variant.m3u8
    check   media/hls/480p30/playlist.m3u8
    check   media/hls/720p30/byte-range-variant.m3u8
    check   media/hls/720p30/playlist.m3u8
    check   media/hls/160p30/
    check   media/hls/360p30/
    check   media/hls/480p30/
    check   media/hls/720p30/
    rewrite events/recording-ended.json
    delete  media/thumbnails/
    delete  media/latest_thumbnail/
    ");
}

#[test]
fn all_versions_are_deleted_only_by_policy_and_only_in_a_bucket_that_keeps_some() {
    use Versioning::{Enabled, Off, Suspended};
    use Versions::{All, Current};
    for (versioning, asked, versions, effect) in [
        (Off, Current, Current, DeletionEffect::Permanent),
        (Off, All, Current, DeletionEffect::Permanent),
        (Enabled, Current, Current, DeletionEffect::Hidden),
        (Enabled, All, All, DeletionEffect::Permanent),
        (Suspended, Current, Current, DeletionEffect::PartlyHidden),
        (Suspended, All, All, DeletionEffect::Permanent),
    ] {
        let mut inventory = recording(&usual());
        inventory.versioning = versioning;
        let policy = RetentionPolicy {
            versions: asked,
            ..keep("highest")
        };

        let plan = plan(&inventory, &policy).unwrap();

        assert_eq!(
            (plan.versions, plan.effect()),
            (versions, effect),
            "{versioning:?}, {asked:?}"
        );
        let verb = if versions == All { "purge" } else { "delete" };
        assert!(plan.to_string().contains(&format!("\n{verb} ")), "{plan}");
    }
}

/// The metadata is parsed field by field, but edited as a whole.
#[test]
fn metadata_that_can_be_read_but_not_edited_is_held() {
    let mut inventory = recording(&usual());
    inventory.ended = inventory.ended.replacen('{', r#"{"new":1e999,"#, 1);

    insta::assert_snapshot!(why(&inventory, &keep("highest")), @"held: events/recording-ended.json cannot be rewritten: number out of range at line 1 column 12");
}

/// Alarms and log queries of users contain these codes.
#[test]
fn the_codes_of_reasons_for_held_stay_the_same() {
    let codes = <HeldReason as strum::VariantNames>::VARIANTS.join(" ");

    insta::assert_snapshot!(codes, @"unreadable_file invalid_metadata not_ended unknown_entry_playlist playlists_elsewhere invalid_rendition_name invalid_removed_list invalid_playlist unknown_location nothing_matches nothing_playable other_playlist unusable_playlist deleted_rendition_needed too_many_removed uneditable_metadata not_repeatable missing_media_playlist no_segments concurrent_writes");
}
