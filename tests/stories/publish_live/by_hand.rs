//! A transcoder of which the story writes every file.

use super::{BUCKET, Live, publisher, wait_until};
use onair_core::publish_live::media_playlist::MediaPlaylist;
use onair_core::publish_live::names::FileId;
use scenes::program::Program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

/// Longer than three target durations of one second.
const LOST: Duration = Duration::from_millis(3_500);

/// A rendition in a folder of its own.
pub(super) struct Transcoder {
    pub(super) folder: PathBuf,
    pub(super) next: u64,
    window: u64,
}

impl Transcoder {
    pub(super) fn new(live: &Live, rendition: &str) -> Self {
        Self::at(live.dir.path().join(rendition))
    }

    pub(super) fn at(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            next: 0,
            window: 3,
        }
    }

    /// Closes a segment with this content.
    pub(super) fn segment(&mut self, content: &str) -> PathBuf {
        let path = self.folder.join(format!("{}.ts", self.next));
        fs::write(&path, content).unwrap();
        self.next += 1;
        path
    }

    /// Writes the playlist as nginx-rtmp does: into another file, which replaces the playlist.
    pub(super) fn playlist(&self) {
        let first = self.next.saturating_sub(self.window);
        let lines: String = (first..self.next)
            .map(|number| format!("#EXTINF:1.000,\n{number}.ts\n"))
            .collect();
        let text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n{lines}"
        );
        let beside = self.folder.join("index.m3u8.bak");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, self.folder.join("index.m3u8")).unwrap();
    }

    pub(super) fn next_segment(&mut self) -> PathBuf {
        let path = self.segment(&format!("segment {}", self.next));
        self.playlist();
        path
    }
}

impl Live {
    pub(super) fn snapshot(&self, rendition: &str) -> Option<MediaPlaylist> {
        MediaPlaylist::parse(&self.playlist(rendition)).ok()
    }

    pub(super) fn count(&self, rendition: &str) -> u64 {
        self.snapshot(rendition).map_or(0, |snapshot| {
            snapshot.sequence + snapshot.segments.len() as u64
        })
    }
}

/// The key under which a file is published.
fn key(live: &Live, path: &Path) -> String {
    let metadata = fs::metadata(path).unwrap();
    let modified_ms = metadata
        .modified()
        .unwrap()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let file = FileId {
        size_bytes: metadata.len(),
        modified_ms: modified_ms.try_into().unwrap(),
    };
    format!(
        "live/{}",
        file.published_name(
            path.strip_prefix(live.dir.path())
                .unwrap()
                .to_str()
                .unwrap()
        )
    )
}

/// Promise P76. A segment that cannot be published becomes an `EXT-X-GAP`, stays one, and is
/// logged.
#[test]
fn a_segment_that_does_not_exist_becomes_a_gap() {
    let live = Live::new();
    let _daemon = live.daemon(&[]);
    let mut hd = Transcoder::new(&live, "hd");
    hd.segment("first");
    fs::remove_file(hd.segment("second")).unwrap();
    hd.segment("third");
    hd.playlist();

    wait_until("a gap", || live.playlist("hd").contains("#EXT-X-GAP"));
    let snapshot = live.snapshot("hd").unwrap();
    assert_eq!(
        snapshot
            .segments
            .iter()
            .map(|segment| segment.gap)
            .collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(snapshot.version, 8);

    // The gap stays, and the stream continues.
    hd.next_segment();
    wait_until("the next segment", || live.count("hd") == 4);
    assert_eq!(
        live.snapshot("hd")
            .unwrap()
            .segments
            .iter()
            .filter(|segment| segment.gap)
            .count(),
        1
    );
}

/// Promise P76. A segment that cannot be published becomes an `EXT-X-GAP`, stays one, and is
/// logged.
#[test]
fn with_hold_a_playlist_waits_until_the_lost_segment_is_not_named_any_more() {
    let live = Live::new();
    let _daemon = live.daemon(&["--on-lost", "hold"]);
    let mut hd = Transcoder::new(&live, "hd");
    fs::remove_file(hd.segment("lost")).unwrap();
    hd.segment("second");
    hd.playlist();

    sleep(LOST);
    assert_eq!(live.playlist("hd"), "");

    hd.next_segment();
    hd.next_segment();
    wait_until("the playlist", || live.count("hd") == 4);
    assert!(!live.playlist("hd").contains("GAP"));
}

/// Promise P77. A file is uploaded once it is closed, or moved to its path, and is not empty.
#[test]
fn a_file_is_uploaded_when_it_is_complete() {
    let live = Live::new();
    let _daemon = live.daemon(&[]);
    let mut hd = Transcoder::new(&live, "hd");
    let path = hd.segment("");
    hd.playlist();
    sleep(Duration::from_millis(500));
    assert_eq!(live.playlist("hd"), "");

    fs::write(&path, "filled").unwrap();

    wait_until("the playlist", || live.count("hd") == 1);
    let key = key(&live, &path);
    assert_eq!(live.s3.object(BUCKET, &key).unwrap().body, "filled");
    assert!(
        live.playlist("hd")
            .ends_with(&format!("{}\n", key.trim_start_matches("live/hd/")))
    );
    hd.next_segment();
    wait_until("the next segment", || live.count("hd") == 2);
    assert!(!live.playlist("hd").contains("DISCONTINUITY"));
}

/// Promises P70 and P76: other renditions do not wait, and a file that fails alone is lost.
#[test]
fn a_failing_rendition_does_not_delay_the_others() {
    let live = Live::new();
    let (mut hd, mut sd) = (Transcoder::new(&live, "hd"), Transcoder::new(&live, "sd"));
    let path = hd.segment("refused");
    live.s3
        .refuse_put(BUCKET, &key(&live, &path), "InternalError");
    hd.playlist();
    let _daemon = live.daemon(&[]);

    for number in 1..=8 {
        sd.next_segment();
        wait_until("the other rendition", || live.count("sd") == number);
        sleep(Duration::from_secs(1));
    }
    wait_until("a gap", || live.playlist("hd").contains("#EXT-X-GAP"));
}

/// Promise P78. A segment that no playlist names is deleted after `--keep-window` seconds (300),
/// unless a playlist names it again.
#[test]
fn a_segment_that_is_not_named_any_more_is_deleted_without_a_list() {
    for (keep, are_kept) in [(&["--keep-window", "1"][..], false), (&["--keep"], true)] {
        let live = Live::new();
        let _daemon = live.daemon(keep);
        let mut hd = Transcoder::new(&live, "hd");
        let keys: Vec<String> = (1..=6)
            .map(|number| {
                let path = hd.next_segment();
                wait_until("the segment", || live.count("hd") == number);
                key(&live, &path)
            })
            .collect();
        let are_there = || {
            keys.iter()
                .filter(|key| live.s3.object(BUCKET, key).is_some())
                .count()
        };
        if are_kept {
            sleep(Duration::from_millis(1_500));
            assert_eq!(are_there(), 6);
        } else {
            wait_until("three segments are deleted", || are_there() == 3);
            assert!(
                keys[3..]
                    .iter()
                    .all(|key| live.s3.object(BUCKET, key).is_some())
            );
        }
        let calls = live.s3.calls();
        assert!(
            !calls.iter().any(|call| call.operation.starts_with("List")),
            "{calls:?}"
        );
    }
}

/// Promise P79. New folders are watched from their first file on, whatever their names are.
#[test]
fn a_folder_that_is_created_and_filled_at_once_is_published_whatever_its_name() {
    let live = Live::new();
    let _daemon = live.daemon(&[]);
    for name in ["a", "b c/ä", "d/e/f/g"] {
        let mut transcoder = Transcoder::new(&live, name);
        transcoder.next_segment();
        wait_until(name, || live.count(name) == 1);
        transcoder.next_segment();
        wait_until(name, || live.count(name) == 2);
    }
}

/// Promise P79. New folders are watched from their first file on, whatever their names are.
#[test]
fn events_that_inotify_loses_do_no_harm() {
    let limit: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let live = Live::new();
    let mut hd = Transcoder::new(&live, "hd");
    let daemon = live.daemon(&["--log", "json"]);
    hd.next_segment();
    wait_until("the first segment", || live.count("hd") == 1);
    signal(&daemon, "STOP");
    for _ in 0..=limit / 2 {
        // Two events each: created, and closed.
        let path = live.dir.path().join("noise.tmp");
        fs::write(&path, "noise").unwrap();
        fs::remove_file(&path).unwrap();
    }
    hd.next_segment();
    signal(&daemon, "CONT");

    wait_until("the second segment", || live.count("hd") == 2);
}

/// Promise P80. On SIGTERM or Ctrl-C the daemon finishes what it began, for at most ten seconds,
/// logs what remains, and exits with 0.
#[test]
fn the_daemon_finishes_its_uploads_when_it_is_stopped() {
    let live = Live::new();
    live.s3.set_latency(Duration::from_millis(200));
    let mut hd = Transcoder::new(&live, "hd");
    let mut daemon = live.daemon(&[]);
    hd.next_segment();
    wait_until("the first segment", || live.count("hd") == 1);
    hd.next_segment();
    sleep(Duration::from_millis(50));
    signal(&daemon, "TERM");

    assert!(daemon.wait().unwrap().success());
    assert_eq!(live.count("hd"), 2);
}

/// Promise P81. With `--log json` the daemon reports each minute, as embedded metrics, how late
/// segments and playlists are and how many gaps viewers got.
#[test]
fn how_far_viewers_are_behind_is_measured() {
    let live = Live::new();
    live.s3.set_latency(Duration::from_millis(50));
    let mut command = publisher(
        &live.s3,
        live.dir.path(),
        &["--log", "json", "--report-every", "1"],
    );
    let mut daemon = Program::start(command.stdout(std::process::Stdio::piped())).unwrap();
    let mut hd = Transcoder::new(&live, "hd");
    for number in 1..=3 {
        hd.next_segment();
        wait_until("the segment", || live.count("hd") == number);
    }
    sleep(Duration::from_millis(1_500));
    signal(&daemon, "TERM");
    let mut log = String::new();
    std::io::Read::read_to_string(daemon.stdout.as_mut().unwrap(), &mut log).unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let values = |name: &str| -> Vec<u64> {
        let all = lines.iter().flat_map(|line| match &line[name] {
            serde_json::Value::Array(values) => values
                .iter()
                .filter_map(serde_json::Value::as_u64)
                .collect(),
            value => value.as_u64().into_iter().collect::<Vec<_>>(),
        });
        all.collect()
    };
    let (segments, playlists) = (values("SegmentLag"), values("PlaylistLag"));
    assert_eq!((segments.len(), playlists.len()), (3, 3), "{log}");
    // One PUT for the segment, and one for the playlist.
    assert!(
        segments.iter().all(|lag| *lag >= 50) && playlists.iter().all(|lag| *lag >= 100),
        "{log}"
    );
    assert_eq!(lines[0]["Function"], "publish-live");
}

/// Promise P81: `script` provides the terminal.
#[test]
fn a_terminal_shows_the_state_of_each_rendition() {
    let live = Live::new();
    let (mut hd, mut sd) = (Transcoder::new(&live, "hd"), Transcoder::new(&live, "sd"));
    let (shown, daemon) = (
        live.dir.path().join("shown"),
        publisher(&live.s3, live.dir.path(), &[]),
    );
    let line: Vec<String> = std::iter::once(daemon.get_program())
        .chain(daemon.get_args())
        .map(|part| format!("'{}'", part.to_str().unwrap()))
        .collect();
    let mut script = Command::new("script");
    script
        .args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &line.join(" "),
        ])
        .arg(&shown);
    script.envs(
        daemon
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    script
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    let mut terminal = Program::start(&mut script).unwrap();
    for number in 1..=2 {
        hd.next_segment();
        sd.next_segment();
        wait_until("the segments", || {
            live.count("hd") == number && live.count("sd") == number
        });
        sleep(Duration::from_millis(600));
    }
    let shown = || String::from_utf8_lossy(&fs::read(&shown).unwrap_or_default()).into_owned();
    for rendition in ["hd", "sd"] {
        let newest = live
            .snapshot(rendition)
            .unwrap()
            .segments
            .pop()
            .unwrap()
            .uri;
        let line = format!("{rendition}/index.m3u8  {newest}, ");
        wait_until(&line, || {
            shown()
                .split(&line)
                .nth(1)
                .is_some_and(|rest| rest.contains("ms after it was closed"))
        });
    }
    terminal.kill();
}

/// Promise P81. With `--log json` the daemon reports each minute, as embedded metrics, how late
/// segments and playlists are and how many gaps viewers got.
#[test]
fn a_playlist_that_waits_for_a_missing_rendition_is_logged() {
    let live = Live::new();
    let mut command = publisher(&live.s3, live.dir.path(), &["--report-every", "1"]);
    let mut daemon = Program::start(command.stderr(std::process::Stdio::piped())).unwrap();
    Transcoder::new(&live, "hd").next_segment();
    let variants =
        ["hd", "sd"].map(|name| format!("#EXT-X-STREAM-INF:BANDWIDTH=1\n{name}/index.m3u8\n"));
    fs::write(
        live.dir.path().join("master.m3u8"),
        format!("#EXTM3U\n{}", variants.concat()),
    )
    .unwrap();
    let log = std::io::BufReader::new(daemon.stderr.take().unwrap());
    let named = std::io::BufRead::lines(log)
        .map_while(Result::ok)
        .find(|line| line.contains("waits for"));
    let named = named.unwrap();
    assert!(
        named.contains("not published yet: sd/index.m3u8") && named.contains("master.m3u8"),
        "{named}"
    );
}

/// Promise P80. On SIGTERM or Ctrl-C the daemon finishes what it began, for at most ten seconds,
/// logs what remains, and exits with 0.
#[test]
fn a_folder_that_does_not_exist_or_is_removed_ends_the_daemon_with_a_reason() {
    let live = Live::new();
    let absent = live.dir.path().join("absent");
    let output = publisher(&live.s3, &absent, &[])
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && log.contains("absent cannot be watched: No such file"),
        "{log}"
    );
    fs::create_dir(&absent).unwrap();
    let daemon = publisher(&live.s3, &absent, &[])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(500));
    fs::remove_dir(&absent).unwrap();
    let output = daemon.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && log.contains("absent was removed"),
        "{log}"
    );
}

pub(super) fn signal(daemon: &Program, signal: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &daemon.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}
