//! A stream through all programs that `origin/` configures. They are a camera (ffmpeg), nginx-rtmp,
//! the ladder, publish-live, an S3, three web servers, the proxy, and Chromium with hls.js.
//! Everything runs on this machine.
//!
//! `fleet` has the tests of an instance. Screenshots and logs are in `target/origin`.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

mod camera;
mod counting;
mod fleet;
mod proxy;
mod station;
#[path = "../player/viewer.rs"]
#[expect(dead_code, reason = "these tests do not switch sides")]
mod viewer;
mod web;

use camera::Camera;
use onair_core::publish_live::media_playlist::MediaPlaylist;
use scenes::live_stream::{BUCKET, publisher};
use stand_in::{S3, Site, Versioning};
use station::OriginServer;
use std::thread::sleep;
use std::time::Duration;
use stories::wait_until;
use viewer::{Browser, PlaybackEvents};

const STREAM: &str = "show";
/// How long the browser plays.
const WATCHED: Duration = Duration::from_secs(32);
/// The time from the camera's first frame until a player can start: three segments and their
/// upload.
const ON_AIR_LIMIT: Duration = Duration::from_secs(25);

fn start_publish_live(station: &mut OriginServer, s3: &S3) {
    station.start("publish-live", &publisher(s3, &station.hls(), &[]).unwrap());
}

fn segments(playlist: &str) -> usize {
    playlist.matches("#EXTINF").count()
}

/// Promise P82. A stream that a camera sends by RTMP plays in Chromium without a stall, wait or
/// jump.
#[test]
#[ignore = "needs nginx, ffmpeg, Chromium and npm: make test runs it"]
fn what_a_camera_sends_is_watched_without_a_stall() {
    let s3 = S3::start();
    s3.create_bucket(BUCKET, Versioning::Off);
    s3.set_latency(Duration::from_millis(25));
    let site = Site::start(&s3);

    let mut station = OriginServer::new("watched");
    station.start_rtmp(2);
    start_publish_live(&mut station, &s3);
    let bucket_url = format!("{}/{BUCKET}/live", site.url());
    let servers: Vec<String> = (1..=3).map(|_| station.start_web(&bucket_url)).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let proxy = station.start_proxy(&servers);
    let mut viewer = Browser::start(station.prefix());

    let _camera = Camera::start(&station.publish_url(STREAM, &station.secret()), 25);
    let lowest = format!("live/{STREAM}_90p/index.m3u8");
    let published = || s3.text(BUCKET, &lowest).unwrap_or_default();
    wait_until("three segments", ON_AIR_LIMIT, || {
        segments(&published()) >= 3
    });
    wait_until("the multivariant playlist", ON_AIR_LIMIT, || {
        s3.object(BUCKET, &format!("live/{STREAM}.m3u8")).is_some()
    });

    viewer.play(&format!("{proxy}/{STREAM}.m3u8"));
    sleep(WATCHED);
    viewer.screenshot("watched");
    let noticed = viewer.end();
    assert_eq!(
        PlaybackEvents {
            pathways: Vec::new(),
            ..noticed
        },
        PlaybackEvents {
            stalls: 0,
            waits: 0,
            jumps: 0,
            fatal: 0,
            pathways: Vec::new()
        }
    );

    let snapshot = MediaPlaylist::parse(&published()).unwrap();
    assert_eq!(snapshot.target_s, 2, "key frames were on time");
    // The first segment of nginx-rtmp has a discontinuity, because no segment came before it.
    let since_begin = snapshot.segments.iter().skip(1);
    assert_eq!(
        since_begin
            .filter(|segment| segment.discontinuity || segment.gap)
            .count(),
        0
    );
    let log = station.log("viewers.log");
    assert!(log.contains(&format!("/{STREAM}.m3u8\"")), "{log}");
    assert!(!log.contains("\"status\":5"), "{log}");
}

/// Promise P83. A camera without the exact secret gets an error and cannot publish, and nothing is
/// written.
#[test]
#[ignore = "needs nginx, ffmpeg, Chromium and npm: make test runs it"]
fn who_does_not_know_the_secret_does_not_publish() {
    let mut station = OriginServer::new("refused");
    station.start_rtmp(2);
    let secret = station.secret();
    assert!(secret.len() >= 32, "{secret}");
    let stranger = |url: &str| {
        let said = Camera::start(url, 25).ended_by_itself(Duration::from_secs(20));
        assert!(said.is_some_and(|success| !success), "{url} was accepted");
    };
    stranger(&station.publish_url(STREAM, "guess"));
    stranger(&station.publish_url(STREAM, &secret.to_uppercase()));
    stranger(&station.publish_url("..%2Fshow", &secret));
    let url = station.publish_url(STREAM, "");
    stranger(url.trim_end_matches("?key="));
    assert_eq!(station.hls_files(), Vec::<String>::new());

    let camera = Camera::start(&station.publish_url(STREAM, &secret), 25);
    wait_until("the first segment", ON_AIR_LIMIT, || {
        !station.playlist(STREAM, "90p").is_empty()
    });
    drop(camera);
    let gate: Vec<serde_json::Value> = station
        .log("gate.log")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |status: u64| gate.iter().filter(|line| line["status"] == status).count();
    assert!(
        told(403) == 4 && told(204) == 1 && gate[0]["camera"] == "127.0.0.1",
        "{gate:?}"
    );
    for (file, text) in station.logs() {
        assert!(
            !text.contains(&secret) && !text.contains("guess"),
            "{file} contains a secret"
        );
    }
}

/// Promise P84. Segments have the configured length, however rare the camera's own key frames are.
#[test]
#[ignore = "needs nginx, ffmpeg, Chromium and npm: make test runs it"]
fn a_camera_with_few_key_frames_makes_no_long_segment() {
    let mut station = OriginServer::new("seldom");
    station.start_rtmp(1);
    let _camera = Camera::start(&station.publish_url(STREAM, &station.secret()), 100);
    wait_until("six segments", ON_AIR_LIMIT, || {
        segments(&station.playlist(STREAM, "180p")) >= 6
    });
    let snapshot = MediaPlaylist::parse(&station.playlist(STREAM, "180p")).unwrap();
    assert!(
        snapshot
            .segments
            .iter()
            .all(|segment| segment.duration_s < 1.1),
        "{snapshot:?}"
    );
    assert_eq!(station.alarm(3), (true, String::new()));
}

/// Promise P84, without the ladder, so that the stream has no key frames.
#[test]
#[ignore = "needs nginx, ffmpeg, Chromium and npm: make test runs it"]
fn a_segment_without_a_key_frame_is_an_alarm_and_has_an_end() {
    let mut station = OriginServer::new("endless");
    station.start_rtmp(1);
    let _camera = Camera::start(&station.rendition_url("raw_90p"), 100_000);
    let mut alarms = String::new();
    wait_until("the third segment", ON_AIR_LIMIT, || {
        alarms += &station.alarm(1).1;
        segments(&station.playlist("raw", "90p")) >= 3
    });
    let snapshot = MediaPlaylist::parse(&station.playlist("raw", "90p")).unwrap();
    let longest = snapshot
        .segments
        .iter()
        .map(|segment| segment.duration_s)
        .fold(0.0, f64::max);
    assert!(longest < 3.2, "{longest} s");
    assert!(station.log("rtmp.log").contains("force fragment split"));
    assert!(alarms.contains("raw_90p: no key frame for"), "{alarms}");
}

/// Promise P84. Segments have the configured length, however rare the camera's own key frames are.
#[test]
#[ignore = "needs nginx, ffmpeg, Chromium and npm: make test runs it"]
fn a_stream_that_stands_still_is_an_alarm_and_its_files_go() {
    let mut station = OriginServer::new("gone");
    station.start_rtmp(1);
    let camera = Camera::start(&station.publish_url(STREAM, &station.secret()), 25);
    wait_until("two segments", ON_AIR_LIMIT, || {
        segments(&station.playlist(STREAM, "180p")) >= 2
    });
    drop(camera);
    wait_until("an alarm", ON_AIR_LIMIT, || {
        station.alarm(4).1.contains("show_180p: stalled for")
    });
    // nginx-rtmp keeps a segment for twice the playlist's length, 18 s, and checks at that
    // interval.
    wait_until("an empty folder", Duration::from_secs(45), || {
        station.hls_files().is_empty()
    });
    assert_eq!(station.alarm(4), (true, String::new()));
}

/// Promise P82: at once, when nginx-rtmp continues its existing playlist; and after it has cleaned
/// up, when it starts with number 0.
#[test]
#[ignore = "needs nginx, ffmpeg, Chromium and npm: make test runs it"]
fn a_camera_that_comes_back_goes_on_where_it_was() {
    let s3 = S3::start();
    s3.create_bucket(BUCKET, Versioning::Off);
    let mut station = OriginServer::new("back");
    station.start_rtmp(1);
    start_publish_live(&mut station, &s3);
    let playlist = format!("live/{STREAM}_90p/index.m3u8");
    let published = || MediaPlaylist::parse(&s3.text(BUCKET, &playlist)?).ok();
    let end = |snapshot: &MediaPlaylist| snapshot.sequence + snapshot.segments.len() as u64;
    let mut before = 0;
    for round in 0..3 {
        let camera = Camera::start(&station.publish_url(STREAM, &station.secret()), 25);
        wait_until("five more segments", ON_AIR_LIMIT, || {
            let Some(snapshot) = published() else {
                return false;
            };
            assert!(end(&snapshot) >= before, "round {round}: {snapshot:#?}");
            for segment in &snapshot.segments {
                let key = format!("live/{STREAM}_90p/{}", segment.uri);
                assert!(
                    !segment.gap && s3.object(BUCKET, &key).is_some(),
                    "round {round}: {key}"
                );
            }
            end(&snapshot) >= before + 5
        });
        drop(camera);
        if round == 1 {
            wait_until("an empty folder", Duration::from_secs(60), || {
                station.hls_files().is_empty()
            });
        } else {
            wait_until("the ladder's end", ON_AIR_LIMIT, || {
                station.alarm(3).1.contains("stalled for")
            });
        }
        let snapshot = published().unwrap();
        // The ladder continues for a moment.
        assert!(end(&snapshot) < before + 15, "round {round}: {snapshot:#?}");
        before = end(&snapshot);
        let again = snapshot
            .segments
            .iter()
            .skip(1)
            .filter(|segment| segment.discontinuity)
            .count();
        println!(
            "round {round}: to {before}, {again} discontinuities in {}",
            snapshot.segments.len()
        );
        assert!(round == 0 || again >= 1, "{snapshot:#?}");
    }
}
