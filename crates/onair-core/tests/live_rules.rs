//! Rules of publish-live, each on a stream of a few segments.

use onair_core::publish_live::job::{
    FinishedJob, Job, LivePolicy, OnLost, RetryLater, StoredText, UploadError,
};
use onair_core::publish_live::names::FileId;
use onair_core::publish_live::publisher::{LivePublisher, RefusedPlaylist};
use std::collections::BTreeMap;
use std::time::Duration;

const KEPT_S: u64 = 300;

/// A disk, a bucket, and the publisher between them. The content of a file is the time at which the
/// file was written.
struct Stream {
    publisher: LivePublisher,
    files: BTreeMap<String, FileId>,
    bucket: BTreeMap<String, String>,
    /// Files that are rewritten before they can be read.
    rewritten: Vec<&'static str>,
    /// Whether S3 refuses playlists.
    is_refusing: bool,
}

impl Stream {
    fn new(files: &[(&str, u64)]) -> Self {
        let mut stream = Self {
            publisher: publisher(),
            files: BTreeMap::new(),
            bucket: BTreeMap::new(),
            rewritten: Vec::new(),
            is_refusing: false,
        };
        files
            .iter()
            .for_each(|(path, time)| stream.write(path, *time));
        stream
    }

    fn write(&mut self, path: &str, modified_ms: u64) {
        self.files.insert(
            path.to_owned(),
            FileId {
                size_bytes: 10,
                modified_ms,
            },
        );
    }

    fn read(&mut self, path: &str, text: &str, at_s: u64) -> Result<(), RefusedPlaylist> {
        let read = self
            .publisher
            .playlist_read(path, text, &self.files, Duration::from_secs(at_s));
        self.work(at_s);
        read
    }

    /// Runs all jobs that are due at this time.
    fn work(&mut self, at_s: u64) {
        let now = Duration::from_secs(at_s);
        while let Some(job) = self.publisher.next(now) {
            let finished = self.perform(job);
            self.publisher.done(finished, now);
        }
    }

    fn perform(&mut self, job: Job) -> FinishedJob {
        match job {
            Job::ReadPublished(name) => {
                let stored = self.bucket.get(&name).map(|text| StoredText {
                    text: text.clone(),
                    age: Duration::from_secs(1),
                });
                FinishedJob::ReadPublished {
                    name,
                    result: Ok(stored),
                }
            }
            Job::Upload { path, name, .. } => {
                let result = if self.rewritten.contains(&path.as_str()) {
                    Err(UploadError::Permanent(format!("{path} was rewritten")))
                } else {
                    self.bucket.insert(name.clone(), "content".to_owned());
                    Ok(())
                };
                FinishedJob::Upload { name, result }
            }
            Job::Publish { name, text } => {
                let result = if self.is_refusing {
                    Err(RetryLater {
                        cause: "refused".to_owned(),
                        pause: Duration::from_secs(1),
                    })
                } else {
                    self.bucket.insert(name.clone(), text.clone());
                    Ok(())
                };
                FinishedJob::Publish { name, text, result }
            }
            Job::Delete(names) => {
                names.iter().for_each(|name| drop(self.bucket.remove(name)));
                FinishedJob::Delete {
                    names,
                    result: Ok(()),
                }
            }
        }
    }

    fn restart(&mut self) {
        self.publisher = publisher();
    }

    fn visible(&self) -> &str {
        self.bucket.get("index.m3u8").map_or("", String::as_str)
    }
}

fn publisher() -> LivePublisher {
    LivePublisher::new(LivePolicy {
        on_lost: OnLost::Gap,
        delete_after: Some(Duration::from_secs(KEPT_S)),
    })
}

fn playlist(first: u64, lines: &str) -> String {
    format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{lines}"
    )
}

fn segments(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("#EXTINF:2,\n{name}\n"))
        .collect()
}

/// Promise P78. A segment that no playlist names is deleted after `--keep-window` seconds (300),
/// unless a playlist names it again.
#[test]
fn a_segment_that_is_named_again_is_not_deleted() {
    let mut stream = Stream::new(&[
        ("slate.ts", 1),
        ("a.key", 2),
        ("b.key", 3),
        ("1.ts", 4),
        ("2.ts", 5),
    ]);
    let with_key = |key: &str, name: &str| {
        format!(
            "#EXT-X-KEY:METHOD=AES-128,URI=\"{key}.key\"\n{}",
            segments(&[name])
        )
    };
    for (number, (key, name), at_s) in [
        (0, ("a", "slate.ts"), 0),
        (1, ("b", "1.ts"), 10),
        (2, ("a", "slate.ts"), 100),
        (3, ("b", "2.ts"), 350),
    ] {
        stream
            .read("index.m3u8", &playlist(number, &with_key(key, name)), at_s)
            .unwrap();
        if at_s == 100 {
            stream.work(at_s + KEPT_S - 80);
            assert!(
                stream.bucket.contains_key("slate.1.ts"),
                "{:?}",
                stream.bucket
            );
        }
    }
    stream.work(350 + KEPT_S + 10);
    let left: Vec<&str> = stream.bucket.keys().map(String::as_str).collect();
    assert_eq!(left, ["2.5.ts", "a.2.key", "b.3.key", "index.m3u8"]);
}

/// Promise P78. A segment that no playlist names is deleted after `--keep-window` seconds (300),
/// unless a playlist names it again.
#[test]
fn the_longest_window_keeps_everything() {
    let mut stream = Stream::new(&[("1.ts", 1), ("2.ts", 2)]);
    let rules = LivePolicy {
        on_lost: OnLost::Gap,
        delete_after: Some(Duration::MAX),
    };
    stream.publisher = LivePublisher::new(rules);

    stream
        .read("index.m3u8", &playlist(1, &segments(&["1.ts"])), 1)
        .unwrap();
    stream
        .read("index.m3u8", &playlist(2, &segments(&["2.ts"])), 10)
        .unwrap();
    stream.work(1000);

    let kept: Vec<&str> = stream.bucket.keys().map(String::as_str).collect();
    assert_eq!(kept, ["1.1.ts", "2.2.ts", "index.m3u8"]);
}

/// Promise P71: a file that was deleted from the disk is not another content.
#[test]
fn a_named_file_that_was_deleted_is_not_a_restart() {
    let text = playlist(5, &segments(&["5.ts", "6.ts", "7.ts"]));
    let mut stream = Stream::new(&[("5.ts", 5), ("6.ts", 6), ("7.ts", 7)]);
    stream.rewritten = vec!["6.ts"];
    stream.read("index.m3u8", &text, 0).unwrap();
    stream.work(10);
    let before = stream.visible().to_owned();
    assert_eq!(before.matches("#EXT-X-GAP").count(), 1);
    stream.restart();
    stream.files.remove("5.ts");
    stream.files.remove("6.ts");
    stream.read("index.m3u8", &text, 20).unwrap();
    (20..60).for_each(|at_s| stream.work(at_s));
    assert_eq!(stream.visible(), before);
}

/// Promise P71: a stream that has ended, and whose files were cleaned up, still plays.
#[test]
fn a_published_stream_survives_an_empty_disk() {
    let text = playlist(5, &segments(&["5.ts", "6.ts"])) + "#EXT-X-ENDLIST\n";
    let mut stream = Stream::new(&[("5.ts", 5), ("6.ts", 6)]);
    stream.read("index.m3u8", &text, 0).unwrap();
    let before = stream.visible().to_owned();
    stream.restart();
    stream.files.clear();
    stream.read("index.m3u8", &text, 20).unwrap();
    (20..400).for_each(|at_s| stream.work(at_s));
    assert_eq!(stream.visible(), before);
    assert!(stream.bucket.contains_key("5.5.ts") && stream.bucket.contains_key("6.6.ts"));
}

/// Promise P76: one file has two addresses.
#[test]
fn a_file_that_is_lost_is_a_gap_wherever_it_is_named() {
    let mut stream = Stream::new(&[("1.ts", 5)]);
    stream
        .read(
            "index.m3u8",
            &playlist(0, &segments(&["0.ts?a", "0.ts?b", "./0.ts", "1.ts"])),
            0,
        )
        .unwrap();
    stream.work(7);
    assert_eq!(
        stream.visible().matches("#EXT-X-GAP").count(),
        3,
        "{}",
        stream.visible()
    );
}

/// Promises P69 and P88: viewers still watch a stream that has ended and was forgotten.
#[test]
fn an_ended_stream_keeps_its_segments_and_counts_as_published() {
    let mut stream = Stream::new(&[("0.ts", 1), ("1.ts", 2), ("2.ts", 3)]);
    let shared = playlist(0, &segments(&["0.ts", "1.ts"]));
    for name in ["a.m3u8", "b.m3u8"] {
        stream.read(name, &shared, 0).unwrap();
    }
    stream.publisher.playlist_removed("b.m3u8", Duration::ZERO);
    (0..200).step_by(10).for_each(|at_s| stream.work(at_s));
    assert_eq!(stream.publisher.renditions().count(), 1);
    stream
        .read("a.m3u8", &playlist(2, &segments(&["2.ts"])), 200)
        .unwrap();
    let master =
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nb.m3u8\n";
    stream.read("master.m3u8", master, 201).unwrap();
    stream.work(201 + 2 * KEPT_S);
    assert!(stream.bucket.contains_key("0.1.ts") && stream.bucket.contains_key("1.2.ts"));
    assert_eq!(stream.bucket["master.m3u8"], master);
}

/// Promise P69: a deletion is due, and the same file is closed again before a playlist names it.
#[test]
fn a_file_that_is_uploaded_again_is_not_deleted_before_it_is_named() {
    let mut stream = Stream::new(&[("slate.ts", 1), ("1.ts", 2), ("2.ts", 3)]);
    stream
        .read("index.m3u8", &playlist(0, &segments(&["slate.ts"])), 0)
        .unwrap();
    stream
        .read("index.m3u8", &playlist(1, &segments(&["1.ts"])), 1)
        .unwrap();
    let slate = stream.files["slate.ts"];
    stream
        .publisher
        .file_closed("slate.ts", slate, Duration::from_secs(KEPT_S));
    (KEPT_S..KEPT_S + 10).for_each(|at_s| stream.work(at_s));
    stream
        .read(
            "index.m3u8",
            &playlist(2, &segments(&["slate.ts"])),
            KEPT_S + 10,
        )
        .unwrap();
    assert!(stream.visible().ends_with("slate.1.ts\n") && stream.bucket.contains_key("slate.1.ts"));
}

/// Promise P73: S3 does not answer at the start, and a file is closed after the playlist that names
/// it.
#[test]
fn a_file_that_is_closed_before_s3_answers_is_not_a_restart() {
    let mut stream = Stream::new(&[("0.ts", 1)]);
    let text = playlist(0, &segments(&["0.ts", "1.ts"]));
    let now = Duration::from_secs(1);
    stream
        .publisher
        .playlist_read("index.m3u8", &text, &stream.files, now)
        .unwrap();
    stream.write("1.ts", 2);
    stream
        .publisher
        .file_closed("1.ts", stream.files["1.ts"], now);
    stream.work(2);
    stream.write("2.ts", 3);
    stream
        .read(
            "index.m3u8",
            &playlist(0, &segments(&["0.ts", "1.ts", "2.ts"])),
            3,
        )
        .unwrap();
    assert!(
        stream.visible().ends_with("1.2.ts\n#EXTINF:2,\n2.3.ts\n"),
        "{}",
        stream.visible()
    );
    assert!(!stream.visible().contains("DISCONTINUITY"));
}

/// Promise P76. A segment that cannot be published becomes an `EXT-X-GAP`, stays one, and is
/// logged.
#[test]
fn a_gap_stays_a_gap_when_its_file_is_written_again() {
    let mut stream = Stream::new(&[("5.ts", 5), ("6.ts", 6), ("7.ts", 7), ("8.ts", 8)]);
    stream.rewritten = vec!["6.ts"];
    stream
        .read(
            "index.m3u8",
            &playlist(5, &segments(&["5.ts", "6.ts", "7.ts"])),
            0,
        )
        .unwrap();
    stream.work(10);
    stream.rewritten.clear();
    stream.write("6.ts", 66);
    stream
        .read(
            "index.m3u8",
            &playlist(6, &segments(&["6.ts", "7.ts", "8.ts"])),
            12,
        )
        .unwrap();
    stream.work(30);
    let lines = "#EXT-X-GAP\n#EXTINF:2,\n6.6.ts\n#EXTINF:2,\n7.7.ts\n#EXTINF:2,\n8.8.ts\n";
    assert!(stream.visible().ends_with(lines), "{}", stream.visible());
}

/// Promise P76: the time starts when the file is named, and not when the playlist starts to wait.
#[test]
fn a_late_file_is_waited_for() {
    let mut stream = Stream::new(&[("0.ts", 1)]);
    stream.is_refusing = true;
    stream
        .read("index.m3u8", &playlist(0, &segments(&["0.ts"])), 0)
        .unwrap();
    (1..60).for_each(|at_s| stream.work(at_s));
    stream.is_refusing = false;
    stream
        .read("index.m3u8", &playlist(0, &segments(&["0.ts", "1.ts"])), 60)
        .unwrap();
    stream.work(65);
    assert_eq!(stream.visible(), "");
    stream.work(67);
    assert!(
        stream.visible().ends_with("#EXT-X-GAP\n#EXTINF:2,\n1.ts\n"),
        "{}",
        stream.visible()
    );
    assert_eq!(
        stream.publisher.take_gaps(),
        ["index.m3u8: 1.ts does not exist"]
    );
}

/// Promise P72. A file is published under its name with its modification time (`12.mwql1xyw.ts`),
/// so that no name ever means two contents.
#[test]
fn a_segment_that_viewers_saw_keeps_its_initialization_section() {
    let mut stream = Stream::new(&[("init.mp4", 1), ("0.m4s", 5), ("1.m4s", 6), ("2.m4s", 9)]);
    let text = |names: &[&str]| {
        playlist(
            0,
            &format!("#EXT-X-MAP:URI=\"init.mp4\"\n{}", segments(names)),
        )
    };
    stream
        .read("index.m3u8", &text(&["0.m4s", "1.m4s"]), 0)
        .unwrap();
    stream.write("init.mp4", 8);
    stream
        .read("index.m3u8", &text(&["0.m4s", "1.m4s", "2.m4s"]), 1)
        .unwrap();
    let maps: Vec<&str> = stream
        .visible()
        .lines()
        .filter(|line| !line.starts_with("#EXTINF"))
        .skip(4)
        .collect();
    let (old, new) = (
        "#EXT-X-MAP:URI=\"init.1.mp4\"",
        "#EXT-X-MAP:URI=\"init.8.mp4\"",
    );
    assert_eq!(maps, [old, "0.5.m4s", "1.6.m4s", new, "2.9.m4s"]);
}

/// Promise P69: the order in which a player applies them.
#[test]
fn an_initialization_section_before_the_first_key_stays_before_it() {
    let (map, key) = (
        "#EXT-X-MAP:URI=\"init.mp4\"\n",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"https://keys/1\"\n",
    );
    for tags in [[map, key], [key, map]] {
        let mut stream = Stream::new(&[("init.mp4", 1), ("0.m4s", 5)]);
        let text = playlist(
            0,
            &format!("{}{}{}", tags[0], tags[1], segments(&["0.m4s"])),
        );
        stream.read("index.m3u8", &text, 0).unwrap();
        let expected = text
            .replace("init.mp4", "init.1.mp4")
            .replace("0.m4s", "0.5.m4s");
        assert_eq!(stream.visible(), expected);
    }
}

/// Promise P77: recordings and keys of another program are in the same folder.
#[test]
fn a_file_that_may_not_belong_to_the_stream_is_uploaded_when_it_is_named() {
    let mut stream = Stream::new(&[]);
    for (path, size_bytes) in [
        ("small.ts", 1_000),
        ("large.ts", 100 << 20),
        ("film.mp4", 1_000),
        ("a.key", 16),
    ] {
        let file = FileId {
            size_bytes,
            modified_ms: 1,
        };
        stream.files.insert(path.to_owned(), file);
        stream.publisher.file_closed(path, file, Duration::ZERO);
    }
    stream.work(0);
    assert_eq!(stream.bucket.keys().collect::<Vec<_>>(), ["small.1.ts"]);
    let lines = format!(
        "#EXT-X-KEY:METHOD=AES-128,URI=\"a.key\"\n{}",
        segments(&["large.ts"])
    );
    stream.read("index.m3u8", &playlist(0, &lines), 1).unwrap();
    let keys: Vec<&str> = stream.bucket.keys().map(String::as_str).collect();
    assert_eq!(keys, ["a.1.key", "index.m3u8", "large.1.ts", "small.1.ts"]);
}

/// Promise P72. A file is published under its name with its modification time (`12.mwql1xyw.ts`),
/// so that no name ever means two contents.
#[test]
fn a_query_is_not_part_of_a_name() {
    let mut stream = Stream::new(&[("0.ts", 5)]);
    stream
        .read("index.m3u8", &playlist(0, &segments(&["0.ts?v=1.5/x"])), 0)
        .unwrap();
    assert!(
        stream.visible().ends_with("\n0.5.ts?v=1.5/x\n") && stream.bucket.contains_key("0.5.ts")
    );
}

/// Promise P77. A file is uploaded once it is closed, or moved to its path, and is not empty.
#[test]
fn an_unusable_playlist_is_refused_and_the_last_one_stays() {
    let mut stream = Stream::new(&[("0.ts", 5)]);
    stream
        .read("index.m3u8", &playlist(0, &segments(&["0.ts"])), 0)
        .unwrap();
    let before = stream.visible().to_owned();
    let whole = playlist(0, &segments(&["0.ts"]));
    for (text, why) in [
        (playlist(u64::MAX, &segments(&["0.ts"])), "out of range"),
        (
            whole.replace("DURATION:2", "DURATION:18446744073709551615"),
            "out of range",
        ),
        (
            whole.replace("#EXTINF", "#EXT-X-BYTERANGE:5@0\n#EXTINF"),
            "a file for each segment",
        ),
        (
            playlist(0, &segments(&["../0.ts"])),
            "\"../0.ts\" leads out of the published folder",
        ),
        (
            playlist(0, &segments(&["/etc/passwd"])),
            "leads out of the published folder",
        ),
        (
            playlist(0, &segments(&["a//0.ts"])),
            "leads out of the published folder",
        ),
    ] {
        let refused = stream.read("index.m3u8", &text, 1).unwrap_err();
        let refused = refused.to_string();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(stream.visible(), before);
    }
}

/// Promise P77. A file is uploaded once it is closed, or moved to its path, and is not empty.
#[test]
fn a_uri_of_another_host_is_published_as_it_is() {
    let mut stream = Stream::new(&[]);
    stream
        .read(
            "index.m3u8",
            &playlist(1, &segments(&["https://ads.example.com/1.ts"])),
            2,
        )
        .unwrap();
    assert!(stream.visible().ends_with("https://ads.example.com/1.ts\n"));
}

/// Promise P77. A file is uploaded once it is closed, or moved to its path, and is not empty.
#[test]
fn a_multivariant_playlist_that_is_cut_off_changes_nothing() {
    let mut stream = Stream::new(&[("0.ts", 5)]);
    for name in ["a.m3u8", "b.m3u8"] {
        stream
            .read(name, &playlist(0, &segments(&["0.ts"])), 0)
            .unwrap();
    }
    let whole =
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nb.m3u8\n";
    stream.read("master.m3u8", whole, 0).unwrap();
    for length in 0..whole.len() {
        let _refused = stream.read("master.m3u8", &whole[..length], 1);
        // A playlist that ends after a line could be complete.
        let is_one = whole[..length].trim_end().ends_with("a.m3u8");
        assert!(
            is_one || stream.bucket["master.m3u8"].trim_end() == whole.trim_end(),
            "{length}"
        );
        stream.read("master.m3u8", whole, 2).unwrap();
    }
}

/// Promise P88: one station publishes many shows.
#[test]
fn an_ended_stream_is_forgotten_and_may_start_again() {
    let mut stream = Stream::new(&[("0.ts", 5), ("1.ts", 6)]);
    stream
        .read("index.m3u8", &playlist(0, &segments(&["0.ts"])), 0)
        .unwrap();
    stream
        .publisher
        .playlist_removed("index.m3u8", Duration::from_secs(10));
    (10..200).step_by(10).for_each(|at_s| stream.work(at_s));
    assert!(stream.visible().ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(stream.publisher.renditions().count(), 0);
    stream
        .read("index.m3u8", &playlist(0, &segments(&["1.ts"])), 300)
        .unwrap();
    stream.work(300);
    assert!(
        stream
            .visible()
            .contains("#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-DISCONTINUITY\n"),
        "{}",
        stream.visible()
    );
}
