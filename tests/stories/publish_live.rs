//! Promises of publish-live: the real daemon with the real SDK, against an S3 on loopback.

mod by_hand;
mod disk;
mod ends;
mod operator;

use onair_core::publish_live::media_playlist::MediaPlaylist;
use onair_core::publish_live::names::file_of;
use scenes::live_stream::{self, BUCKET, LiveStream};
use scenes::program::Program;
use stand_in::{Buckets, Fault, S3};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;
use stories::audience::SeededRandom;

const PATIENCE: Duration = Duration::from_secs(20);

/// The command that publishes this folder.
fn publisher(s3: &S3, dir: &Path, more: &[&str]) -> Command {
    live_stream::publisher(s3, dir, more).unwrap()
}

/// Checks all the time that S3 has every object that a visible playlist names.
struct Checker {
    stop: Arc<AtomicBool>,
    breaches: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<u64>>,
}

impl Checker {
    fn start(s3: &S3) -> Self {
        let (stop, breaches) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let (buckets, stopped, found) =
            (Buckets::clone(s3), Arc::clone(&stop), Arc::clone(&breaches));
        let thread = std::thread::spawn(move || {
            let (mut checks, mut sequences) = (0, BTreeMap::new());
            while !stopped.load(Ordering::Relaxed) {
                let wrong = check(&buckets, &mut sequences);
                found.lock().unwrap().extend(wrong);
                checks += 1;
                sleep(Duration::from_millis(1));
            }
            checks
        });
        Self {
            stop,
            breaches,
            thread: Some(thread),
        }
    }

    /// Stops, and returns the number of checks.
    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let checks = self.thread.take().unwrap().join().unwrap();
        let breaches = self.breaches.lock().unwrap();
        assert!(breaches.is_empty(), "{breaches:#?}");
        checks
    }
}

fn check(buckets: &Buckets, sequences: &mut BTreeMap<String, u64>) -> Vec<String> {
    let mut wrong = Vec::new();
    let keys = buckets.keys(BUCKET, "");
    for playlist in keys.iter().filter(|key| key.ends_with(".m3u8")) {
        let Some(text) = buckets.text(BUCKET, playlist) else {
            continue;
        };
        let Ok(snapshot) = MediaPlaylist::parse(&text) else {
            continue;
        };
        let before = sequences.insert(playlist.clone(), snapshot.sequence);
        if before.is_some_and(|before| before > snapshot.sequence) {
            wrong.push(format!("{playlist} went back to {}", snapshot.sequence));
        }
        for need in snapshot.needs() {
            let key = file_of(playlist, need).unwrap();
            if buckets.object(BUCKET, &key).is_none() {
                wrong.push(format!("{playlist} names {key}, which is not in S3"));
            }
        }
    }
    wrong
}

/// Starts ffmpeg, which writes a stream of two renditions for so many seconds.
fn ffmpeg(dir: &Path, seconds: u32, more: &[&str]) -> Child {
    let words = |text: &'static str| text.split(' ');
    let mut command = Command::new("ffmpeg");
    command.args(words("-nostdin -v error -re -f lavfi -i"));
    command.arg(format!("testsrc=size=160x90:rate=25:duration={seconds}"));
    command.args(words("-filter_complex split=2[a][b] -map [a] -map [b]"));
    command.args(words(
        "-c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -b:v 100k",
    ));
    command.args(words(
        "-f hls -hls_time 1 -hls_list_size 4 -hls_flags delete_segments",
    ));
    command.args(more).args(["-master_pl_name", "master.m3u8"]);
    command.args(["-var_stream_map", "v:0,name:hd v:1,name:sd"]);
    command.arg(dir.join("%v/index.m3u8"));
    command.stdin(Stdio::null()).spawn().unwrap()
}

fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    stories::wait_until(what, PATIENCE, is_so);
}

/// A stream before its first segment.
struct Live(LiveStream);

impl Deref for Live {
    type Target = LiveStream;

    fn deref(&self) -> &LiveStream {
        &self.0
    }
}

impl Live {
    fn new() -> Self {
        Self(LiveStream::new(S3::start()).unwrap())
    }

    fn daemon(&self, more: &[&str]) -> Program {
        Program::start(&mut publisher(&self.s3, self.dir.path(), more)).unwrap()
    }

    /// Waits for the end of the stream. Returns the number of published segments of each rendition.
    fn ends(&self) -> [u64; 2] {
        ["hd", "sd"].map(|rendition| {
            wait_until("the end", || {
                self.playlist(rendition).contains("#EXT-X-ENDLIST")
            });
            let snapshot = MediaPlaylist::parse(&self.playlist(rendition)).unwrap();
            snapshot.sequence + snapshot.segments.len() as u64
        })
    }
}

/// Promises P69, P72 and P74.
#[test]
fn a_stream_of_ffmpeg_is_published_and_no_object_is_named_before_it_is_stored() {
    for naming in [&[][..], &["-hls_segment_type", "fmp4"]] {
        let live = Live::new();
        live.s3.set_latency(Duration::from_millis(25));
        let checker = Checker::start(&live.s3);
        let _daemon = live.daemon(&[]);
        let mut encoder = ffmpeg(live.dir.path(), 8, naming);
        assert!(encoder.wait().unwrap().success());

        assert_eq!(live.ends(), [8, 8]);
        assert!(checker.end() > 1_000);
        let object = live.s3.object(BUCKET, "live/hd/index.m3u8").unwrap();
        assert_eq!(
            object.content_type.as_deref(),
            Some("application/vnd.apple.mpegurl")
        );
        assert_eq!(object.cache_control.as_deref(), Some("max-age=0"));
        let snapshot = MediaPlaylist::parse(&live.playlist("hd")).unwrap();
        let segment = format!("live/hd/{}", snapshot.segments[0].uri);
        let object = live.s3.object(BUCKET, &segment).unwrap();
        assert!(
            object
                .cache_control
                .as_deref()
                .unwrap()
                .contains("immutable")
        );
        let is_fmp4 = snapshot.segments[0].map.is_some();
        assert_eq!(
            object.content_type.as_deref(),
            Some(if is_fmp4 { "video/mp4" } else { "video/mp2t" })
        );
        assert_eq!(is_fmp4, !naming.is_empty());
        wait_until("the multivariant playlist", || {
            live.text("master.m3u8").contains("hd/index.m3u8")
        });
    }
}

/// Promise P71. The daemon can be killed at any moment and started again: P69 holds, and
/// `EXT-X-MEDIA-SEQUENCE` never decreases.
#[test]
fn however_often_the_daemon_is_killed_every_named_object_is_stored() {
    // `make nightly` asks for more.
    let wanted = std::env::var("ONAIR_KILLS").map_or(100, |kills| kills.parse().unwrap());
    let live = Live::new();
    live.s3.set_latency(Duration::from_millis(10));
    let checker = Checker::start(&live.s3);
    let mut encoder = ffmpeg(live.dir.path(), 3_600, &[]);
    let mut random = SeededRandom::new(1);
    for kills in 1..=wanted {
        let mut daemon = live.daemon(&["--log", "json"]);
        sleep(Duration::from_millis(20 + random.roll(250)));
        daemon.kill();
        if kills % 100 == 0 {
            println!("killed {kills} times");
        }
    }
    let _daemon = live.daemon(&[]);
    // ffmpeg finishes its segments and ends its playlists.
    assert!(
        Command::new("kill")
            .arg(encoder.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    encoder.wait().unwrap();
    println!("published {:?}", live.ends());
    assert!(checker.end() > 1_000);
}

/// Promise P70. Whatever S3 answers, a stream continues: failed requests are retried after pauses
/// that grow, and P69 holds.
#[test]
fn whatever_s3_answers_every_named_object_is_stored_and_the_stream_goes_on() {
    for seed in 0..3 {
        let live = Live::new();
        live.s3.set_latency(Duration::from_millis(10));
        let mut random = SeededRandom::new(seed);
        for call in 0..2_000 {
            let fault = match random.roll(20) {
                0 | 1 => Fault::status(500),
                2 => Fault::status(503),
                3 => Fault::ResetBefore,
                4 => Fault::ResetAfter,
                5 if random.roll(8) == 0 => Fault::HoldAfter,
                _ => continue,
            };
            live.s3.fault(call, fault);
        }
        let checker = Checker::start(&live.s3);
        let _daemon = live.daemon(&[]);
        let mut encoder = ffmpeg(live.dir.path(), 12, &[]);
        assert!(encoder.wait().unwrap().success());

        assert_eq!(live.ends(), [12, 12], "seed {seed}");
        assert!(checker.end() > 1_000);
    }
}

/// Promise P73: ffmpeg restarts with the same names.
#[test]
fn an_encoder_that_restarts_continues_after_a_discontinuity() {
    let live = Live::new();
    let checker = Checker::start(&live.s3);
    let _daemon = live.daemon(&[]);
    let mut encoder = ffmpeg(live.dir.path(), 60, &[]);
    wait_until("a few segments", || {
        live.playlist("hd").contains("#EXT-X-MEDIA-SEQUENCE:2")
    });
    encoder.kill().unwrap();
    encoder.wait().unwrap();
    let before = MediaPlaylist::parse(&live.playlist("hd")).unwrap();
    let mut encoder = ffmpeg(live.dir.path(), 6, &[]);
    wait_until("the second run", || {
        live.playlist("hd").contains("#EXT-X-DISCONTINUITY\n")
    });
    let after = MediaPlaylist::parse(&live.playlist("hd")).unwrap();
    assert!(after.sequence >= before.sequence);
    assert_eq!(
        after
            .segments
            .iter()
            .filter(|segment| segment.discontinuity)
            .count(),
        1
    );
    assert!(encoder.wait().unwrap().success());
    let before = before.sequence + before.segments.len() as u64;
    assert_eq!(live.ends()[0], before + 6);
    checker.end();
}

/// Promise P75. A publisher that finds another one active at its target ends and names the other
/// one.
#[test]
fn a_second_publisher_is_refused() {
    let live = Live::new();
    let _daemon = live.daemon(&[]);
    let mut encoder = ffmpeg(live.dir.path(), 60, &[]);
    wait_until("the stream", || !live.playlist("hd").is_empty());
    let other = tempfile::tempdir().unwrap();
    let mut other_encoder = ffmpeg(other.path(), 60, &[]);
    let mut command = publisher(&live.s3, other.path(), &[]);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        log.contains("index.m3u8 belongs to another publisher"),
        "{log}"
    );
    for encoder in [&mut encoder, &mut other_encoder] {
        encoder.kill().unwrap();
        encoder.wait().unwrap();
    }
}
