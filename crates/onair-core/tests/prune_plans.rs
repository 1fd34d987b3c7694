use crate::ladder::{Rung, after, delete, keep, metadata, playlist, recording, usual, why};
use onair_core::prune_recording::plan::{Wish, plan};

fn kept(ladder: &[Rung], wish: &Wish) -> String {
    plan(&recording(ladder), wish).unwrap().kept.join(" ")
}

#[test]
fn a_plan_reads_like_the_work_it_stands_for() {
    insta::assert_snapshot!(plan(&recording(&usual()), &keep("highest")).unwrap(), @r"
    keep    720p30
    check   media/hls/720p30/byte-range-variant.m3u8
    check   media/hls/720p30/playlist.m3u8
    rewrite media/hls/byte-range-multivariant.m3u8
    rewrite media/hls/master.m3u8
    rewrite events/recording-ended.json
    delete  media/hls/160p30/
    delete  media/hls/360p30/
    delete  media/hls/480p30/
    ");
}

#[test]
fn rules_name_what_they_say() {
    for (wish, expected) in [
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
        assert_eq!(kept(&usual(), &wish), expected, "{wish:?}");
    }
}

#[test]
fn at_one_height_the_frame_rate_decides_and_then_the_bandwidth() {
    let by_name = [Rung::new("720p30", 720, 9), Rung::new("720p60", 720, 1), Rung::new("160p30", 160, 1)];
    assert_eq!(kept(&by_name, &keep("highest")), "720p60");
    assert_eq!(kept(&by_name, &delete("highest")), "720p30 160p30");
    let mut by_attribute = [Rung::new("a", 720, 9), Rung::new("b", 720, 1), Rung::new("c", 160, 1)];
    by_attribute[1].frame_rate = Some(50.0);
    assert_eq!(kept(&by_attribute, &keep("highest")), "b");
    let by_bandwidth = [Rung::new("a", 720, 9), Rung::new("b", 720, 1), Rung::new("c", 160, 1)];
    assert_eq!(kept(&by_bandwidth, &keep("highest")), "a");
    assert_eq!(kept(&by_bandwidth, &delete("highest")), "b c");
    let low = [Rung::new("a", 720, 9), Rung::new("b", 160, 1), Rung::new("c", 160, 2)];
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
    for wish in [keep("highest"), delete("lowest"), delete("highest"), delete("<=360p")] {
        let inventory = recording(&usual());
        let first = plan(&inventory, &wish).unwrap();
        let gone: Vec<&str> = first.deletions.iter().map(|deletion| deletion.name.as_str()).collect();
        let second = plan(&after(&inventory, &first, 9, &gone), &wish).unwrap();
        assert!(second.is_empty(), "{wish:?}: {second}");
        assert_eq!(second.kept, first.kept);
    }
}

#[test]
fn a_rule_that_a_second_run_would_read_differently_is_held() {
    let mut inventory = recording(&usual());
    inventory.started = None;
    assert!(why(&inventory, &delete("lowest")).contains("would not come out the same a second time"));
    // A rule that looks only at what stays needs no memory.
    assert_eq!(plan(&inventory, &keep("highest")).unwrap().kept, ["720p30"]);
    assert_eq!(plan(&inventory, &delete("160p30")).unwrap().deletions.len(), 1);
    // A folder whose name says nothing could not be told from a stranger's once nothing lists it.
    let mut real_time = recording(&[Rung::new("high", 720, 9), Rung::new("low", 160, 1)]);
    assert_eq!(plan(&real_time, &keep("highest")).unwrap().kept, ["high"]);
    real_time.started = None;
    assert!(why(&real_time, &keep("highest")).contains("would not come out the same"));
}

#[test]
fn what_an_interrupted_run_left_is_found_by_its_folder() {
    let mut inventory = recording(&usual()[..1]);
    inventory.folders.extend(["360p30".to_owned(), "160p30-abc".to_owned()]);
    let plan = plan(&inventory, &keep("highest")).unwrap();
    assert!(plan.rewrites.is_empty());
    let names: Vec<_> = plan.deletions.iter().map(|deletion| deletion.folder.as_str()).collect();
    assert_eq!(names, ["media/hls/160p30-abc/", "media/hls/360p30/"]);
}

#[test]
fn folders_that_are_no_rendition_stay() {
    let mut inventory = recording(&usual());
    inventory.folders.extend(["audio", "subtitles", "720p30 copy", "poster"].map(str::to_owned));
    let names: Vec<_> = plan(&inventory, &keep("highest")).unwrap().deletions;
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|deletion| deletion.folder.ends_with("p30/")));
}

#[test]
fn a_rule_that_would_leave_nothing_that_plays_is_held() {
    let inventory = recording(&usual());
    insta::assert_snapshot!(why(&inventory, &keep("1080p60")), @"held: KEEP_RENDITIONS matches none of the renditions 160p30, 360p30, 480p30, 720p30");
    insta::assert_snapshot!(why(&inventory, &delete("<=720p")), @"held: the rule would leave nothing that plays of 160p30, 360p30, 480p30, 720p30");
    let mut listed_only = recording(&usual());
    listed_only.folders.remove("720p30");
    insta::assert_snapshot!(why(&listed_only, &keep("highest")), @"held: the rule would leave nothing that plays of 160p30, 360p30, 480p30, 720p30");
    let mut uneven = recording(&usual());
    uneven
        .playlists
        .insert("byte-range-multivariant.m3u8".into(), playlist(&usual()[1..], "byte-range-variant.m3u8"));
    insta::assert_snapshot!(why(&uneven, &keep("highest")), @"held: the rule would leave media/hls/byte-range-multivariant.m3u8 unusable: line 1: starts a playlist that names no variant");
}

#[test]
fn what_cannot_be_understood_is_held() {
    let mut broken = recording(&usual());
    broken.playlists.insert("master.m3u8".into(), "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=x\na/p\n".into());
    insta::assert_snapshot!(why(&broken, &keep("highest")), @"held: media/hls/master.m3u8 cannot be understood: line 2: is an EXT-X-STREAM-INF that cannot be understood");
    let mut failed = recording(&usual());
    failed.ended = metadata(&usual(), "RECORDING_ENDED_WITH_FAILURE");
    insta::assert_snapshot!(why(&failed, &keep("highest")), @r#"held: events/recording-ended.json says "RECORDING_ENDED_WITH_FAILURE", not RECORDING_ENDED"#);
    let mut no_json = recording(&usual());
    no_json.ended = "{".into();
    insta::assert_snapshot!(why(&no_json, &keep("highest")), @"held: events/recording-ended.json cannot be understood: EOF while parsing an object at line 1 column 1");
    let mut missing = recording(&usual());
    missing.playlists.remove("master.m3u8");
    insta::assert_snapshot!(why(&missing, &keep("highest")), @"not whole: media/hls/master.m3u8 is not there, though events/recording-ended.json names it");
    let mut unknown = recording(&usual());
    unknown.ended = unknown.ended.replace("master.m3u8", "index.m3u8");
    insta::assert_snapshot!(why(&unknown, &keep("highest")), @r#"held: events/recording-ended.json names the entry playlist "index.m3u8", which is none of ["master.m3u8", "byte-range-multivariant.m3u8", "multivariant.m3u8"]"#);
}

#[test]
fn metadata_cannot_lead_out_of_the_recording() {
    for path in ["..", "../other", "/", "", "720p30/..", "a/b", "."] {
        let mut hostile = recording(&usual());
        hostile.ended = hostile.ended.replace("\"160p30\"", &format!("{path:?}"));
        assert!(why(&hostile, &keep("highest")).contains("which is not one folder"), "{path:?}");
    }
    let mut elsewhere = recording(&usual());
    elsewhere.ended = elsewhere.ended.replace("\"media/hls\"", "\"../other/media/hls\"");
    assert!(why(&elsewhere, &keep("highest")).contains("puts the playlists into"));
}

#[test]
fn a_playlist_cannot_lead_out_of_the_recording() {
    for uri in [
        "../other/p.m3u8",
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
        let text = hostile.playlists["master.m3u8"].replace("720p30/playlist.m3u8", uri);
        hostile.playlists.insert("master.m3u8".into(), text);
        assert!(why(&hostile, &keep("highest")).contains("which is no file in a folder beside it"), "{uri}");
    }
}

#[test]
fn a_group_that_stays_must_not_name_what_goes() {
    let mut shared = recording(&usual());
    let audio = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"160p30/audio.m3u8\"";
    let text = shared.playlists["master.m3u8"].replace("#EXTM3U", audio);
    shared.playlists.insert("master.m3u8".into(), text);
    insta::assert_snapshot!(why(&shared, &keep("highest")), @r#"held: media/hls/master.m3u8 would still name "160p30/audio.m3u8", which would be deleted"#);
}

#[test]
fn names_are_found_however_a_uri_spells_them() {
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
        assert!(plan.must_play.contains("media/hls/720p 30/playlist.m3u8"));
    }
    // Both spellings exist: nobody can tell which one is meant.
    let mut ambiguous = recording(&[Rung::new("a%20b", 720, 2), Rung::new("c", 160, 1)]);
    ambiguous.folders.insert("a b".to_owned());
    assert!(why(&ambiguous, &keep("highest")).contains("which is no file in a folder beside it"));
}

#[test]
fn thumbnails_go_only_if_asked() {
    let wish = Wish { delete_thumbnails: true, ..keep("highest,lowest,360p30,480p30") };
    insta::assert_snapshot!(plan(&recording(&usual()), &wish).unwrap(), @r"
    keep    720p30, 480p30, 360p30, 160p30
    check   media/hls/160p30/byte-range-variant.m3u8
    check   media/hls/160p30/playlist.m3u8
    check   media/hls/360p30/byte-range-variant.m3u8
    check   media/hls/360p30/playlist.m3u8
    check   media/hls/480p30/byte-range-variant.m3u8
    check   media/hls/480p30/playlist.m3u8
    check   media/hls/720p30/byte-range-variant.m3u8
    check   media/hls/720p30/playlist.m3u8
    rewrite events/recording-ended.json
    delete  media/thumbnails/
    delete  media/latest_thumbnail/
    ");
}
