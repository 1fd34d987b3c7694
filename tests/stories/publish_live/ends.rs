//! The end of a stream, and its VOD playlist.

use super::by_hand::Transcoder;
use super::{BUCKET, Checker, Live, SeededRandom, ffmpeg, wait_until};
use onair_core::publish_live::media_playlist::MediaPlaylist;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// Promise P89: the VOD playlist has the whole stream, although the daemon was killed repeatedly.
#[test]
fn the_vod_playlist_has_the_whole_stream() {
    let live = Live::new();
    live.s3.set_latency(Duration::from_millis(25));
    let checker = Checker::start(&live.s3);
    let mut encoder = ffmpeg(live.dir.path(), 14, &[]);
    let mut random = SeededRandom::new(7);

    while encoder.try_wait().unwrap().is_none() {
        let mut daemon = live.daemon(&["--keep"]);
        sleep(Duration::from_millis(500 + random.roll(1_500)));
        daemon.kill();
    }
    let _daemon = live.daemon(&["--keep"]);

    for rendition in ["hd", "sd"] {
        let name = format!("{rendition}/index.vod.m3u8");
        wait_until("the VOD playlist", || {
            live.text(&name).contains("#EXT-X-ENDLIST")
        });
        let text = live.text(&name);
        assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"), "{text}");
        let vod = MediaPlaylist::parse(&text).unwrap();
        assert_eq!((vod.sequence, vod.segments.len()), (0, 14));
        let mut segments = vod.segments.iter();
        assert!(
            segments.all(|segment| !segment.gap && !segment.discontinuity),
            "{text}"
        );
        let window = live.snapshot(rendition).unwrap();
        assert_eq!(window.segments.len(), 4);
    }
    wait_until("the multivariant playlist", || {
        live.text("master.vod.m3u8").contains("hd/index.vod.m3u8")
    });
    checker.end();
    assert_eq!(seconds(&live, "live/master.vod.m3u8"), 14);
}

/// Promises P70 and P89: segments that were missed during an outage of S3 are gaps, and viewers are
/// back at the live edge.
#[test]
fn after_an_outage_of_s3_viewers_are_at_the_live_edge() {
    let live = Live::new();
    live.s3.set_latency(Duration::from_millis(10));
    let checker = Checker::start(&live.s3);
    let _daemon = live.daemon(&["--keep"]);
    let mut encoder = ffmpeg(live.dir.path(), 40, &[]);
    wait_until("the stream", || live.count("hd") >= 6);

    live.s3.set_latency(Duration::from_secs(60));
    sleep(Duration::from_secs(15));
    let seen = live.count("hd");
    live.s3.set_latency(Duration::from_millis(10));

    let on_disk = || {
        let text = fs::read_to_string(live.dir.path().join("hd/index.m3u8")).unwrap();
        MediaPlaylist::parse(&text).map_or(0, |there| there.sequence + there.segments.len() as u64)
    };
    assert!(
        seen + 10 < on_disk(),
        "S3 was not out of service: {seen} of {}",
        on_disk()
    );
    wait_until("the live edge", || live.count("hd") + 1 >= on_disk());
    assert!(encoder.wait().unwrap().success());
    assert_eq!(live.ends(), [40, 40]);
    wait_until("the VOD playlist", || {
        live.text("hd/index.vod.m3u8").contains("#EXT-X-ENDLIST")
    });
    let vod = MediaPlaylist::parse(&live.text("hd/index.vod.m3u8")).unwrap();
    let missing = vod.segments.iter().filter(|segment| segment.gap).count();
    assert!(
        vod.segments.len() == 40 && (1..=20).contains(&missing),
        "{missing} of {}",
        vod.segments.len()
    );
    checker.end();
}

/// The duration by ffprobe, on a copy of the bucket.
fn seconds(live: &Live, playlist: &str) -> u64 {
    let copy = tempfile::tempdir().unwrap();
    for key in live.s3.keys(BUCKET, "") {
        let path = copy.path().join(&key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, live.s3.object(BUCKET, &key).unwrap().body).unwrap();
    }
    // Every frame is read, because the durations in the playlist prove nothing.
    let frames = [
        "-count_packets",
        "-select_streams",
        "v:0",
        "-show_entries",
        "stream=nb_read_packets",
    ];
    let mut probe = Command::new("ffprobe");
    probe
        .args([
            "-v",
            "error",
            "-allowed_extensions",
            "ALL",
            "-of",
            "csv=p=0",
        ])
        .args(frames);
    let output = probe
        .arg(copy.path().join(Path::new(playlist)))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    let packets = log
        .split_whitespace()
        .next()
        .and_then(|line| line.trim_matches(',').parse::<u64>().ok());
    packets.unwrap_or_else(|| panic!("{log}{}", String::from_utf8_lossy(&output.stderr))) / 25
}

/// Promise P88: nginx-rtmp does not write EXT-X-ENDLIST, and removes its files.
#[test]
fn a_removed_playlist_has_ended_unless_it_is_written_again() {
    let live = Live::new();
    let _daemon = live.daemon(&[]);
    let mut removed = Transcoder::new(&live, "removed");
    let mut rewritten = Transcoder::new(&live, "rewritten");
    for transcoder in [&mut removed, &mut rewritten] {
        transcoder.next_segment();
        transcoder.next_segment();
    }
    wait_until("both streams", || {
        live.count("removed") == 2 && live.count("rewritten") == 2
    });

    fs::remove_dir_all(&removed.folder).unwrap();
    fs::remove_file(rewritten.folder.join("index.m3u8")).unwrap();
    sleep(Duration::from_secs(5));
    rewritten.next_segment();
    sleep(Duration::from_secs(20));

    let has_ended = |name| live.playlist(name).contains("#EXT-X-ENDLIST");
    assert!(!has_ended("removed"));
    wait_until("the end", || has_ended("removed"));
    sleep(Duration::from_secs(6));
    assert_eq!(live.count("rewritten"), 3);
    assert!(!has_ended("rewritten"));

    // A stream that starts again continues, as after any other end.
    Transcoder::new(&live, "removed").next_segment();
    wait_until("the next show", || live.count("removed") == 3);
    let text = live.playlist("removed");
    assert!(
        !text.contains("#EXT-X-ENDLIST") && text.contains("#EXT-X-DISCONTINUITY\n"),
        "{text}"
    );
}
