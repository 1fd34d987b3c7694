//! Failures around the daemon, and what its operator reads about them.

use super::by_hand::{Transcoder, signal};
use super::{BUCKET, Live, publisher, wait_until};
use scenes::live_stream::LiveStream;
use scenes::program::Program;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// The log of a daemon that fails.
fn log_of_failure(mut command: Command) -> String {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Promise P75. A publisher that finds another one active at its target ends and names the other
/// one.
#[test]
fn a_second_daemon_on_the_same_folder_is_refused_at_once() {
    let live = Live::new();
    let daemon = live.daemon(&[]);
    let mut hd = Transcoder::new(&live, "hd");
    hd.next_segment();
    wait_until("the first segment", || live.count("hd") == 1);
    let log = log_of_failure(publisher(&live.s3, live.dir.path(), &["--keep"]));
    assert!(
        log.contains("another publish-live on this machine publishes"),
        "{log}"
    );
    drop(daemon);
    let _daemon = live.daemon(&[]);
    hd.next_segment();
    wait_until("the next segment", || live.count("hd") == 2);
}

/// Promise P75: the name of the lock never changes, so that a daemon of an earlier version, which
/// was a separate program, is noticed.
#[test]
fn a_daemon_of_an_earlier_version_is_noticed() {
    let live = Live::new();
    let dir = live.dir.path().canonicalize().unwrap();
    let target = format!("s3://{BUCKET}/live/");
    let endpoints = [Some(live.s3.endpoint_url()), None::<String>];
    let mut hasher = DefaultHasher::new();
    (&dir, &target, endpoints).hash(&mut hasher);
    let name = format!("onair/publish-live/{:x}", hasher.finish());
    let earlier = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();

    let log = log_of_failure(publisher(&live.s3, live.dir.path(), &[]));

    assert!(
        log.contains("another publish-live on this machine publishes"),
        "{log}"
    );
    drop(earlier);
}

/// Promise P75: two machines are copies of one image.
#[test]
fn another_machine_of_the_same_name_is_refused() {
    let live = Live::new();
    let mut command = publisher(&live.s3, live.dir.path(), &[]);
    let mut daemon = Program::start(command.stderr(Stdio::piped())).unwrap();
    let mut hd = Transcoder::new(&live, "hd");
    let ended = loop {
        hd.next_segment();
        sleep(Duration::from_millis(100));
        if let Some(mut object) = live.s3.object(BUCKET, "live/hd/index.m3u8") {
            object
                .metadata
                .insert("onair-run".to_owned(), "of the other one".to_owned());
            object.body = format!("{}\n", String::from_utf8_lossy(&object.body)).into();
            live.s3.put_object(BUCKET, "live/hd/index.m3u8", object);
        }
        if let Some(ended) = daemon.try_wait().unwrap() {
            break ended;
        }
        assert!(hd.next < 100, "the daemon continues beside the other one");
    };
    let mut log = String::new();
    daemon
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(
        ended.code() == Some(1) && log.contains("another process of the same name"),
        "{log}"
    );
}

/// Promise P75: half a minute after the other publisher stopped.
#[test]
fn playlists_of_another_publisher_are_taken_over_when_they_are_old() {
    let live = Live::new();
    let mut hd = Transcoder::new(&live, "hd");
    hd.next_segment();
    let body =
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:1,\nold.ts\n".into();
    let metadata = [("onair-publisher", "other%3A%2Fhls"), ("onair-run", "1")];
    let metadata = metadata
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let object = stand_in::Object {
        body,
        metadata,
        ..stand_in::Object::default()
    };
    live.s3.put_object(BUCKET, "live/hd/index.m3u8", object);
    let log = log_of_failure(publisher(&live.s3, live.dir.path(), &[]));
    assert!(
        log.contains("index.m3u8 belongs to another publisher (other:/hls, "),
        "{log}"
    );
    sleep(Duration::from_secs(31));
    let _daemon = live.daemon(&[]);
    wait_until("the next segment", || live.count("hd") == 9);
}

/// Promise P70: at 100 kB/s, a segment takes longer than the timeout of a request.
#[test]
fn a_slow_uplink_delays_the_stream_and_does_not_stop_it() {
    let live = Live::new();
    let s3 = live
        .s3
        .endpoint_url()
        .trim_start_matches("http://")
        .to_owned();
    let uplink = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = uplink.local_addr().unwrap();
    spawn(move || {
        for client in uplink.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&s3) else {
                return;
            };
            let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
            let (mut to_server, mut from_server) = (server.try_clone().unwrap(), server);
            spawn(move || std::io::copy(&mut from_server, &mut to_client));
            spawn(move || {
                let mut bytes = [0; 5_000];
                while let Ok(length @ 1..) = from_client.read(&mut bytes) {
                    if to_server.write_all(&bytes[..length]).is_err() {
                        break;
                    }
                    sleep(Duration::from_millis(50));
                }
            });
        }
    });
    let mut command = publisher(&live.s3, live.dir.path(), &[]);
    command.env("AWS_ENDPOINT_URL_S3", format!("http://{address}"));
    let _daemon = Program::start(&mut command).unwrap();
    let mut hd = Transcoder::new(&live, "hd");
    hd.segment(&"x".repeat(700_000));
    hd.playlist();
    wait_until("the segment", || live.count("hd") == 1);
}

/// Promise P80: a log shipper may end at any time.
#[test]
fn the_daemon_survives_the_reader_of_its_log() {
    let live = Live::new();
    let mut command = publisher(
        &live.s3,
        live.dir.path(),
        &["--log", "json", "--report-every", "1"],
    );
    let mut daemon = Program::start(command.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap();
    drop((daemon.stdout.take(), daemon.stderr.take()));
    let mut hd = Transcoder::new(&live, "hd");
    for number in 1..=3 {
        hd.next_segment();
        wait_until("the segment", || live.count("hd") == number);
        sleep(Duration::from_secs(1));
    }
}

/// Promises P80 and P81: the most frequent mistake is a bucket that does not exist or may not be
/// read.
#[test]
fn a_bucket_that_cannot_be_read_is_logged_at_once_and_counts_as_behind() {
    let live = Live(LiveStream {
        s3: stand_in::S3::start(),
        dir: tempfile::tempdir().unwrap(),
    });
    let mut command = publisher(
        &live.s3,
        live.dir.path(),
        &["--log", "json", "--report-every", "1"],
    );
    let mut daemon = Program::start(command.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap();
    let mut log = BufReader::new(daemon.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(log.any(|line| line.contains("is published to s3://onair-live/live/")));
    let refused = log
        .find(|line| line.contains("bucket onair-live cannot be read"))
        .unwrap();
    assert!(refused.contains("NoSuchBucket"), "{refused}");
    Transcoder::new(&live, "hd").next_segment();
    let mut figures = BufReader::new(daemon.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(
        figures.any(|line| line.contains("\"Behind\":1")),
        "no playlist is behind"
    );
    let behind = log
        .find(|line| line.contains("playlist hd/index.m3u8 is behind"))
        .unwrap();
    assert!(behind.contains("NoSuchBucket"), "{behind}");
    signal(&daemon, "TERM");
    assert!(
        log.any(|line| line.contains("playlist hd/index.m3u8 stopped before its newest version"))
    );
}

/// Promises P76 and P81.
#[test]
fn a_gap_is_logged() {
    let live = Live::new();
    let mut command = publisher(
        &live.s3,
        live.dir.path(),
        &["--log", "json", "--report-every", "1"],
    );
    let mut daemon = Program::start(command.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap();
    let mut hd = Transcoder::new(&live, "hd");
    fs::remove_file(hd.segment("lost")).unwrap();
    hd.next_segment();
    let mut log = BufReader::new(daemon.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(log.any(|line| {
        line.contains("segment replaced by a gap: hd/index.m3u8: hd/0.ts does not exist")
    }));
    let mut figures = BufReader::new(daemon.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(figures.any(|line| line.contains("\"Gaps\":1")));
}

/// Promise P77: a program that may write into the folder cannot publish files outside of it, and
/// cannot block the daemon.
#[test]
fn links_to_other_folders_and_pipes_are_not_published() {
    let live = Live::new();
    let link = live.dir.path().join("hls");
    let real = tempfile::tempdir().unwrap();
    // The folder itself may be a link.
    symlink(real.path(), &link).unwrap();
    let _daemon = Program::start(&mut publisher(&live.s3, &link, &[])).unwrap();
    let pipe = Command::new("mkfifo")
        .arg(real.path().join("pipe.m3u8"))
        .status();
    assert!(pipe.unwrap().success());
    let mut hd = Transcoder::at(real.path().join("hd"));
    hd.next_segment();
    symlink("/etc/hostname", hd.folder.join("1.ts")).unwrap();
    hd.next += 1;
    hd.next_segment();
    wait_until("the stream", || live.count("hd") == 3);
    let gaps: Vec<bool> = live
        .snapshot("hd")
        .unwrap()
        .segments
        .iter()
        .map(|segment| segment.gap)
        .collect();
    assert_eq!(gaps, [false, true, false]);
    assert_eq!(live.s3.keys(BUCKET, "live/hd/1.").len(), 0);
}

/// Promise P80. On SIGTERM or Ctrl-C the daemon finishes what it began, for at most ten seconds,
/// logs what remains, and exits with 0.
#[test]
fn a_folder_that_is_moved_away_ends_the_daemon() {
    let live = Live::new();
    let folder = live.dir.path().join("hls");
    fs::create_dir(&folder).unwrap();
    let mut command = publisher(&live.s3, &folder, &[]);
    let daemon = command.stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(500));
    fs::rename(&folder, live.dir.path().join("elsewhere")).unwrap();
    let output = daemon.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && log.contains("was moved away"),
        "{log}"
    );
}

/// All settings are set to their defaults.
#[test]
fn the_defaults_are_accepted() {
    let live = Live::new();
    let mut command = publisher(&live.s3, live.dir.path(), &[]);
    command
        .env("ONAIR_KEEP", "false")
        .env("ONAIR_KEEP_WINDOW", "300");
    command
        .env("ONAIR_ON_LOST", "gap")
        .env("ONAIR_REPORT_EVERY", "60")
        .env("ONAIR_LOG", "text");
    let _daemon = Program::start(&mut command).unwrap();
    Transcoder::new(&live, "hd").next_segment();
    wait_until("the segment", || live.count("hd") == 1);
}
