use super::{ask, get, hls, start};
use serde_json::json;
use stand_in::{MediaPackage, Reply, Source, SyntheticStream, Traffic, Variant};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SEGMENT_MS: u64 = 40;

/// A stream that moves while a test waits.
fn quick() -> SyntheticStream {
    SyntheticStream {
        segment_ms: SEGMENT_MS,
        window_segments: 100,
        ..SyntheticStream::default()
    }
}

/// A MediaPackage with the channel `a` and the endpoint `a-hls`; with its URL up to the file's
/// name.
fn streaming(live: SyntheticStream) -> (MediaPackage, String) {
    let mediapackage = MediaPackage::start(&Traffic::default());
    mediapackage.create_channel("a", live);
    mediapackage.create(&hls("a-hls"));
    let base = mediapackage.url("a-hls").replace("index.m3u8", "");
    (mediapackage, base)
}

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

/// The last sequence number of the first variant.
fn edge(base: &str) -> u64 {
    get(&format!("{base}index_1.m3u8")).number("x-mediapackage-manifest-last-sequence")
}

fn wait_for(what: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !what() {
        assert!(Instant::now() < limit, "it has not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lines<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.strip_prefix(tag))
        .collect()
}

#[test]
fn a_multivariant_playlist_names_playlists_that_are_there() {
    let hdr = Variant {
        more: "VIDEO-RANGE=PQ".to_owned(),
        ..Variant::new(5_000_000, "1920x1080")
    };
    let variants = vec![hdr, Variant::new(1_000_000, "640x360")];
    let live = SyntheticStream {
        variants,
        has_audio_group: true,
        has_iframe_playlists: true,
        ..SyntheticStream::default()
    };
    let (_mediapackage, base) = streaming(live);
    let master = get(&format!("{base}index.m3u8"));
    assert_eq!(
        (master.status, master.headers["content-type"].as_str()),
        (200, "application/x-mpegURL")
    );
    assert!(
        !master
            .headers
            .contains_key("x-mediapackage-manifest-last-sequence")
    );
    let stream_inf = lines(master.text(), "#EXT-X-STREAM-INF:");
    assert_eq!(
        stream_inf[0],
        "BANDWIDTH=5000000,AVERAGE-BANDWIDTH=5000000,RESOLUTION=1920x1080,FRAME-RATE=30.000,\
         CODECS=\"avc1.4D401F,mp4a.40.2\",AUDIO=\"audio_0\",VIDEO-RANGE=PQ"
    );
    let named = master
        .text()
        .split(['"', '\n'])
        .filter(|word| word.ends_with(".m3u8"));
    let named: Vec<_> = named.collect();
    assert_eq!(
        named,
        [
            "index_audio.m3u8",
            "index_1.m3u8",
            "index_2.m3u8",
            "index_iframe_1.m3u8",
            "index_iframe_2.m3u8"
        ]
    );
    for file in named {
        let playlist = get(&format!("{base}{file}"));
        let segment = playlist.text().lines().last().unwrap();
        let segment = get(&format!("{base}{segment}?m=1"));
        assert_eq!(
            (segment.status, segment.headers["content-type"].as_str()),
            (200, "video/MP2T")
        );
        assert_eq!((segment.body[0], segment.body.len() % 188), (0x47, 0));
    }
    for file in [
        "index_3.m3u8",
        "index_0.m3u8",
        "other.m3u8",
        "index_1_1.ts",
        "index_iframe_3.m3u8",
        "index_.m3u8",
    ] {
        assert_eq!(get(&format!("{base}{file}")).status, 404, "{file}");
    }
}

#[test]
fn a_media_playlist_moves_with_the_clock() {
    let (_mediapackage, base) = streaming(quick());
    let before = now_ms();
    let playlist = get(&format!("{base}index_2.m3u8"));
    let after = now_ms();
    let updated = u128::from(playlist.number("x-mediapackage-manifest-last-updated"));
    assert!(
        before - u128::from(SEGMENT_MS) <= updated && updated <= after,
        "{before} {updated} {after}"
    );
    let first: u64 = lines(playlist.text(), "#EXT-X-MEDIA-SEQUENCE:")[0]
        .parse()
        .unwrap();
    let last = playlist.number("x-mediapackage-manifest-last-sequence");
    assert_eq!(last, first + 99);
    assert_eq!(lines(playlist.text(), "#EXTINF:"), ["0.040,"; 100]);
    assert_eq!(
        lines(playlist.text(), "#EXT-X-PROGRAM-DATE-TIME:").len(),
        100
    );
    assert_eq!(lines(playlist.text(), "#EXT-X-TARGETDURATION:"), ["1"]);
    assert!(!playlist.text().contains("DISCONTINUITY") && !playlist.text().contains("ENDLIST"));
    assert!(playlist.text().ends_with(&format!("index_2_{last}.ts\n")));
    wait_for(|| edge(&base) > last + 2);
}

#[test]
fn streams_are_in_step_unless_one_is_numbered_otherwise() {
    let (mediapackage, base) = streaming(SyntheticStream::default());
    mediapackage.create_channel(
        "b",
        SyntheticStream {
            sequence_offset: 1_000,
            ..SyntheticStream::default()
        },
    );
    mediapackage.create(&json!({"id": "b-hls", "channelId": "b", "hlsPackage": {}}));
    let other = mediapackage.url("b-hls").replace("index.m3u8", "");
    mediapackage.create_channel("c", SyntheticStream::default());
    mediapackage.create(&json!({"id": "c-hls", "channelId": "c", "hlsPackage": {}}));
    let same = mediapackage.url("c-hls").replace("index.m3u8", "");
    // A segment may end between two requests.
    let edges = || [edge(&base), edge(&same), edge(&other) - 1_000, edge(&base)];
    wait_for(|| edges().windows(2).all(|pair| pair[0] == pair[1]));
    let playlist = get(&format!("{other}index_1.m3u8"));
    let segment = playlist.text().lines().last().unwrap();
    assert_eq!(
        segment,
        format!(
            "index_1_{}.ts",
            playlist.number("x-mediapackage-manifest-last-sequence")
        )
    );
    assert_eq!(get(&format!("{other}{segment}")).status, 200);
}

#[test]
fn a_cdn_serves_an_endpoint_below_any_path() {
    let (mediapackage, base) = streaming(quick());
    let cdn = mediapackage.cdn_url("a-hls");
    for folder in ["", "/out/v1/0a1b2c"] {
        let playlist = get(&format!("{cdn}{folder}/index.m3u8"));
        assert_eq!(
            (playlist.status, playlist.text()),
            (200, get(&format!("{base}index.m3u8")).text())
        );
    }
    assert_eq!(
        get(&format!("{}/index.m3u8", mediapackage.cdn_url("another"))).status,
        404
    );
    mediapackage.delete("a-hls");
    assert_eq!(get(&format!("{cdn}/index.m3u8")).status, 404);
}

#[test]
fn dates_and_headers_can_be_left_out() {
    let live = SyntheticStream {
        has_program_date_time: false,
        has_manifest_headers: false,
        ..SyntheticStream::default()
    };
    let (_mediapackage, base) = streaming(live);
    let playlist = get(&format!("{base}index_1.m3u8"));
    assert!(!playlist.text().contains("PROGRAM-DATE-TIME"));
    assert!(
        !playlist
            .headers
            .keys()
            .any(|name| name.starts_with("x-mediapackage"))
    );
}

#[test]
fn a_stalled_stream_stands_and_goes_on_behind_a_break() {
    let (mediapackage, base) = streaming(quick());
    mediapackage.stall("a");
    let stood = get(&format!("{base}index_1.m3u8"));
    std::thread::sleep(Duration::from_millis(3 * SEGMENT_MS));
    let stands = get(&format!("{base}index_1.m3u8"));
    assert_eq!(stands.text(), stood.text());
    assert_eq!(
        stands.headers["x-mediapackage-manifest-last-updated"],
        stood.headers["x-mediapackage-manifest-last-updated"]
    );
    let last = edge(&base);
    mediapackage.resume("a");
    wait_for(|| edge(&base) >= last + 2);
    let playlist = get(&format!("{base}index_1.m3u8"));
    assert_eq!(lines(playlist.text(), "#EXT-X-DISCONTINUITY").len(), 1);
    let (_, behind) = playlist
        .text()
        .split_once("#EXT-X-DISCONTINUITY\n")
        .unwrap();
    let next = behind.lines().find(|line| line.ends_with(".ts")).unwrap();
    assert_eq!(next, format!("index_1_{}.ts", last + 1));
}

#[test]
fn a_new_endpoint_serves_late_and_a_deleted_one_longer() {
    let (mediapackage, first) = streaming(SyntheticStream::default());
    let master = |base: &str| get(&format!("{base}index.m3u8")).status;
    mediapackage.set_start_delay(Duration::from_mins(1));
    mediapackage.create(&hls("late"));
    assert_eq!(get(&mediapackage.url("late")).status, 404);
    mediapackage.set_start_delay(Duration::ZERO);
    assert_eq!(get(&mediapackage.url("late")).status, 200);

    mediapackage.set_delete_delay(Duration::from_mins(1));
    mediapackage.delete("a-hls");
    assert_eq!(master(&first), 200);
    mediapackage.create(&hls("a-hls"));
    mediapackage.set_delete_delay(Duration::ZERO);
    assert_eq!(
        (master(&first), get(&mediapackage.url("a-hls")).status),
        (404, 200)
    );
    assert_eq!(
        get(&format!(
            "{}/out/v1/0/index.m3u8",
            mediapackage.origin_url()
        ))
        .status,
        404
    );
    assert_eq!(get(&format!("{}/", mediapackage.origin_url())).status, 404);
}

#[test]
fn a_denied_endpoint_refuses_until_it_is_allowed() {
    let (mediapackage, base) = streaming(SyntheticStream::default());
    let segment = get(&format!("{base}index_1.m3u8"))
        .text()
        .lines()
        .last()
        .unwrap()
        .to_owned();
    let statuses = || {
        [
            get(&format!("{base}index.m3u8")).status,
            get(&format!("{base}{segment}")).status,
        ]
    };
    mediapackage.update("a-hls", &json!({"origination": "DENY"}));
    assert_eq!(statuses(), [403, 403]);
    mediapackage.set_denied_status(404);
    assert_eq!(statuses(), [404, 404]);
    mediapackage.update("a-hls", &json!({"origination": "ALLOW"}));
    assert_eq!(statuses(), [200, 200]);
}

#[test]
fn a_reply_takes_the_place_of_a_file_or_of_all() {
    let (mediapackage, base) = streaming(SyntheticStream::default());
    let get = |file: &str| get(&format!("{base}{file}"));
    mediapackage.set_reply(
        "a-hls",
        "index.m3u8",
        Reply::Text("#EXTM3U\nbroken".to_owned()),
    );
    assert_eq!(
        (get("index.m3u8").text(), get("index_1.m3u8").status),
        ("#EXTM3U\nbroken", 200)
    );
    mediapackage.set_reply("a-hls", "", Reply::Status(500));
    assert_eq!(
        (get("index.m3u8").status, get("index_1.m3u8").status),
        (200, 500)
    );
    mediapackage.set_reply(
        "a-hls",
        "index.m3u8",
        Reply::Redirect(format!("{base}index_2.m3u8")),
    );
    assert_eq!(
        (
            get("index.m3u8").status,
            &get("index.m3u8").headers["location"]
        ),
        (302, &format!("{base}index_2.m3u8"))
    );
    mediapackage.set_reply("a-hls", "", Reply::Late(Duration::from_millis(30)));
    let before = Instant::now();
    assert_eq!(get("index_1.m3u8").status, 200);
    assert!(before.elapsed() >= Duration::from_millis(30));
    // It is the endpoint's, whatever becomes of its URL.
    mediapackage.delete("a-hls");
    assert_eq!(get("index.m3u8").status, 404);
    mediapackage.create(&hls("a-hls"));
    assert_eq!(super::get(&mediapackage.url("a-hls")).status, 302);
    mediapackage.clear_replies("a-hls");
    assert_eq!(super::get(&mediapackage.url("a-hls")).status, 200);
}

#[test]
fn pages_of_any_origin_may_ask() {
    let (mediapackage, base) = streaming(SyntheticStream::default());
    mediapackage.set_reply("a-hls", "gone.m3u8", Reply::Status(410));
    for (file, status) in [
        ("index.m3u8", 200),
        ("index_1.m3u8", 200),
        ("nothing.ts", 404),
        ("gone.m3u8", 410),
    ] {
        let page = get(&format!("{base}{file}"));
        assert_eq!(
            (
                page.status,
                page.headers["access-control-allow-origin"].as_str()
            ),
            (status, "*")
        );
    }
    let beforehand = ask("OPTIONS", &format!("{base}index.m3u8"), &[]).unwrap();
    assert_eq!(
        (
            beforehand.status,
            beforehand.headers["access-control-allow-headers"].as_str()
        ),
        (200, "*")
    );
    let head = ask("HEAD", &format!("{base}index.m3u8"), &[]).unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.number("content-length") > 0);
    assert_eq!(
        ask("DELETE", &format!("{base}index.m3u8"), &[])
            .unwrap()
            .status,
        405
    );
}

#[test]
fn a_folder_is_served_as_ffmpeg_writes_it() {
    let (mediapackage, _) = start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("v0")).unwrap();
    std::fs::write(folder.path().join("../secret"), "").unwrap();
    let files = [
        ("master.m3u8", "application/x-mpegURL"),
        ("v0/media.m3u8", "application/x-mpegURL"),
        ("v0/0.ts", "video/MP2T"),
        ("v0/init.mp4", "video/mp4"),
        ("v0/0.m4s", "video/iso.segment"),
    ];
    for (name, _) in files {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    let source = Source::Directory {
        path: folder.path().to_owned(),
        master: "master.m3u8".to_owned(),
    };
    mediapackage.create_channel("a", source);
    let manifest = json!([{"id": "main", "manifestName": "live"}]);
    mediapackage.create(&hls("hls"));
    let made = mediapackage.create(
        &json!({"id": "cmaf", "channelId": "a", "cmafPackage": {"hlsManifests": manifest}}),
    );
    let cmaf = made["cmafPackage"]["hlsManifests"][0]["url"]
        .as_str()
        .unwrap();
    for (url, manifest) in [
        (mediapackage.url("hls").as_str(), "index.m3u8"),
        (cmaf, "live.m3u8"),
    ] {
        assert_eq!(get(url).text(), "master.m3u8");
        let base = url.strip_suffix(manifest).unwrap();
        for (name, content_type) in files {
            let page = get(&format!("{base}{name}"));
            assert_eq!(
                (page.text(), page.headers["content-type"].as_str()),
                (name, content_type)
            );
            assert_eq!(page.headers["access-control-allow-origin"], "*");
        }
        for name in [
            "v0",
            "nothing.ts",
            "../secret",
            "..%2Fsecret",
            "v0/../../secret",
            "",
        ] {
            assert_eq!(get(&format!("{base}{name}")).status, 404, "{name}");
        }
    }
    mediapackage.create(&json!({"id": "dash", "channelId": "a", "dashPackage": {}}));
    assert_eq!(get(&mediapackage.url("dash")).status, 404);
}
