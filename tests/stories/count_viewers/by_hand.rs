//! `onair viewers` on files.

use super::{ViewerCounts, gzip, text};
use scenes::program;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use stories::audience::{
    CLOUDFRONT_HEAD, SeededRandom, SimulatedAudience, alb, at, cloudfront, combined, forwarded,
    onair,
};
use tempfile::TempDir;

fn viewers(folder: &Path, arguments: &[&str]) -> Output {
    program::onair("viewers")
        .unwrap()
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// The output of `--json` for these files. Zeros are left out.
fn figures(folder: &Path, arguments: &[&str]) -> ViewerCounts {
    let output = viewers(folder, &[&["--json"], arguments].concat());
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let figure = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["exact"], true);
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (
            (text("minute"), text("stream")),
            line["viewers"].as_u64().unwrap(),
        )
    };
    lines
        .lines()
        .map(figure)
        .filter(|(_, viewers)| *viewers > 0)
        .collect()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    files
        .iter()
        .for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

/// Promises P118, P121 and P129.
#[test]
fn each_format_window_order_and_compression_gives_the_true_audience() {
    let mut dice = SeededRandom::new(40);
    for (number, window_s) in [60, 30, 90, 120, 150, 600].into_iter().enumerate() {
        let audience = SimulatedAudience::new(200, 12, 40 + u64::try_from(number).unwrap());
        let truth = audience.truth(window_s);
        let window = window_s.to_string();
        for (format, head, lines) in [
            ("combined", "", audience.lines(3, combined)),
            ("cloudfront", CLOUDFRONT_HEAD, audience.lines(3, cloudfront)),
            ("alb", "", audience.lines(3, alb)),
            ("onair", "", audience.lines(3, onair)),
        ] {
            let mut shuffled = lines.clone();
            dice.shuffle(&mut shuffled);
            let of = |server| {
                head.to_owned() + &text(shuffled.iter().filter(move |line| line.server == server))
            };
            let folder = folder(&[
                ("whole", (head.to_owned() + &text(&lines)).as_bytes()),
                ("0.gz", &gzip(of(0).as_bytes())),
                ("1", of(1).as_bytes()),
                // Two gzip members in one file.
                (
                    "2.gz",
                    &[gzip(of(2).as_bytes()), gzip(of(1).as_bytes())].concat(),
                ),
            ]);
            for files in [
                &["whole"][..],
                &["0.gz", "1", "2.gz"],
                &["2.gz", "whole", "0.gz", "whole"],
            ] {
                for named in [&["--format", format][..], &[]] {
                    let arguments = [&["--window-seconds", &window][..], named, files].concat();

                    assert_eq!(figures(folder.path(), &arguments), truth, "{arguments:?}");
                }
            }
        }
    }
}

/// Promise P121. Logs are nginx's and Apache's `combined`, CloudFront's standard logs, those of an
/// Application Load Balancer, and those of `origin/`.
#[test]
fn the_key_decides_what_identifies_a_viewer() {
    let mut audience = SimulatedAudience::new(60, 4, 50);
    let own = audience.truth(60);
    let folder = folder(&[("forwarded", text(&audience.lines(1, forwarded)).as_bytes())]);
    let proxies = [
        "--key",
        "x-forwarded-for",
        "--trusted-proxy",
        "10.255.0.0/16",
        "forwarded",
    ];

    assert_eq!(figures(folder.path(), &proxies), own);
    // Without a trusted proxy, all requests come from one viewer: the proxy.
    assert!(
        figures(folder.path(), &["forwarded"])
            .values()
            .all(|viewers| *viewers == 1)
    );

    let others = [
        "--key",
        "x-forwarded-for",
        "--trusted-proxy",
        "192.0.2.1",
        "forwarded",
    ];

    assert!(
        figures(folder.path(), &others)
            .values()
            .all(|viewers| *viewers == 1)
    );

    // Viewers behind one address, with different players and sessions.
    for (number, viewer) in audience.viewers.iter_mut().enumerate() {
        viewer.address = "203.0.113.1".to_owned();
        viewer.agent = format!("Player/{number}");
    }
    let log = CLOUDFRONT_HEAD.to_owned() + &text(&audience.lines(1, cloudfront));
    fs::write(folder.path().join("house"), log).unwrap();

    assert_eq!(
        figures(folder.path(), &["--key", "address+agent", "house"]),
        own
    );
    assert_eq!(figures(folder.path(), &["--key", "cmcd-sid", "house"]), own);
    assert!(
        figures(folder.path(), &["house"])
            .values()
            .all(|viewers| *viewers == 1)
    );

    // A log without the key is an error, and not a log without viewers.
    let output = viewers(folder.path(), &["--key", "cmcd-sid", "forwarded"]);

    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("requests lack the key cmcd-sid (--key)")
    );
}

/// Promises P119 and P129.
#[test]
fn a_table_shows_viewers_bars_and_minutes_without_a_log() {
    let mut audience = SimulatedAudience::new(100, 9, 60);
    audience.lost = [3, 4].into();
    let folder = folder(&[("access.log", text(&audience.lines(1, combined)).as_bytes())]);

    assert_eq!(figures(folder.path(), &["access.log"]), audience.truth(60));

    let output = viewers(folder.path(), &["access.log"]);
    let table = String::from_utf8(output.stdout).unwrap();
    let row = table.lines().find(|line| line.contains("no log")).unwrap();

    assert!(
        row.contains("2026-01-01 00:03 to 2026-01-01 00:04") && row.contains('?'),
        "{table}"
    );

    for ((minute, stream), viewers) in audience.truth(60) {
        let minute = minute.replace('T', " ").replace(":00Z", "");
        let is_row = |line: &&str| {
            line.contains(&minute) && line.contains(&stream) && !line.starts_with("peak")
        };
        let row = table.lines().find(is_row).unwrap();
        let cells: Vec<_> = row.split_whitespace().collect();

        assert_eq!(
            (
                cells[3],
                cells[4].starts_with(['█', '▏', '▎', '▍', '▌', '▋', '▊', '▉'])
            ),
            (viewers.to_string().as_str(), true),
            "{row}"
        );
    }

    assert!(
        table.contains("peak of live/show: ") && table.contains("key: address, window: 60 s"),
        "{table}"
    );

    // A reader that stops early is not a failure.
    let mut child = program::onair("viewers")
        .unwrap()
        .args(["--json", "access.log"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());

    assert!(child.wait().unwrap().success());
}

/// Promise P130. A file that cannot be read or counted is named on standard error, the others are
/// counted, and the exit code is 1.
#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_counted() {
    let audience = SimulatedAudience::new(40, 3, 70);
    let log = text(&audience.lines(1, combined));
    let packed = gzip(log.as_bytes());
    let folder = folder(&[
        ("good", log.as_bytes()),
        ("cut.gz", &packed[..packed.len() / 3]),
        ("picture.png", b"\x89PNG\r\n\x1a\n\x00"),
        ("empty", b""),
        ("log.zst", b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00"),
        ("log.xz", b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46"),
        ("log.bz2", b"BZh91AY&SY"),
        ("log.zip", b"PK\x03\x04\x14\x00\x00\x00"),
    ]);
    let rows = [
        (
            "log.zst",
            "log.zst: compressed with zstd; only gzip is supported",
        ),
        (
            "log.xz",
            "log.xz: compressed with xz; only gzip is supported",
        ),
        (
            "log.bz2",
            "log.bz2: compressed with bzip2; only gzip is supported",
        ),
        (
            "log.zip",
            "log.zip: compressed with zip; only gzip is supported",
        ),
        ("gone", "gone: No such file"),
        ("a\n\u{1b}[31mb", "a\\n\\u{1b}[31mb: No such file"),
        (".", ".: is a folder: name the files in it"),
        ("cut.gz", "cut.gz: gzip data is damaged or cut off"),
        (
            "picture.png",
            "picture.png: 3 of 3 lines cannot be parsed; the first is line 1: unknown log format",
        ),
    ];
    for (file, expected) in rows {
        let output = viewers(folder.path(), &["--json", file, "good"]);
        let stderr = String::from_utf8(output.stderr).unwrap();

        assert!(stderr.contains(expected), "{stderr}");
        assert_eq!(output.status.code(), Some(1), "{file}");

        let lines = String::from_utf8(output.stdout).unwrap();
        let minutes = audience.truth(60).len();

        assert!(
            lines
                .lines()
                .filter(|line| !line.contains("\"viewers\":0"))
                .count()
                >= minutes,
            "{file}: {lines}"
        );
    }
    let output = viewers(folder.path(), &["empty"]);

    assert!(
        output.status.success()
            && String::from_utf8(output.stdout)
                .unwrap()
                .contains("no viewer was counted")
    );
}

/// Promise P130. A file that cannot be read or counted is named on standard error, the others are
/// counted, and the exit code is 1.
#[test]
fn a_file_with_too_many_malformed_lines_is_named() {
    let audience = SimulatedAudience::new(40, 3, 72);
    let log = text(&audience.lines(1, combined));
    let lines = log.lines().count();
    let other = "another format\n";
    for (broken, code) in [(lines / 8, 1), (lines / 11, 0)] {
        let mixed = log.clone() + &other.repeat(broken);
        let folder = folder(&[("mixed", mixed.as_bytes())]);
        let output = viewers(folder.path(), &["--json", "mixed"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let expected = format!(
            "mixed: {broken} of {} lines cannot be parsed",
            lines + broken
        );

        assert!(stderr.contains(&expected), "{stderr}");
        assert_eq!(output.status.code(), Some(code), "{broken} of {lines}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(&at(0)));
    }
}

/// Promise P121. Logs are nginx's and Apache's `combined`, CloudFront's standard logs, those of an
/// Application Load Balancer, and those of `origin/`.
#[test]
fn a_missing_column_is_named_if_it_is_required() {
    let audience = SimulatedAudience::new(40, 3, 71);
    // The columns of CloudFront's logs can be chosen.
    let without = |left_out: &str| {
        let (version, fields) = CLOUDFRONT_HEAD.trim_end().split_once("#Fields: ").unwrap();
        let place = fields.split(' ').position(|name| name == left_out).unwrap();
        let others = |columns: &str, separator: &str| {
            let mut columns: Vec<_> = columns.split(separator).collect();
            columns.remove(place);
            columns.join(separator)
        };
        let lines: Vec<_> = audience
            .lines(1, cloudfront)
            .iter()
            .map(|line| others(&line.text, "\t"))
            .collect();
        format!(
            "{version}#Fields: {}\n{}\n",
            others(fields, " "),
            lines.join("\n")
        )
    };
    for column in ["c-ip", "cs-method", "sc-status"] {
        let folder = folder(&[("log", without(column).as_bytes())]);
        let output = viewers(folder.path(), &["log"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let expected =
            format!("the first is line 1: #Fields does not contain {column}, which is required");

        assert!(
            stderr.contains(&expected) && output.status.code() == Some(1),
            "{stderr}"
        );
    }
    // Sessions are counted without addresses.
    let folder = folder(&[("log", without("c-ip").as_bytes())]);

    assert_eq!(
        figures(folder.path(), &["--key", "cmcd-sid", "log"]),
        audience.truth(60)
    );
}

/// Promise P119. A minute without a log has no figure, and a table shows it as such.
#[test]
fn a_data_point_is_partial_if_its_window_has_a_minute_without_a_log() {
    let line = |minute: i64, path: &str| {
        format!(
            "10.0.0.1 - - [01/Jan/2026:00:{minute:02}:20 +0000] \"GET {path} HTTP/1.1\" 200 1 \"-\" \"-\"\n"
        )
    };
    let log: String = [0, 1, 2, 3, 6, 7, 8]
        .map(|minute| line(minute, "/show/1.ts"))
        .concat();
    let folder = folder(&[("log", log.as_bytes())]);
    for (window, partial) in [("60", &[][..]), ("90", &[0, 6]), ("180", &[0, 1, 6, 7])] {
        let output = viewers(
            folder.path(),
            &["--window-seconds", window, "--json", "log"],
        );
        let lines = String::from_utf8(output.stdout).unwrap();
        let marked = lines
            .lines()
            .filter(|line| line.contains(r#""partial":true"#));
        let marked: Vec<_> = marked.map(|line| line[..32].to_owned()).collect();
        let expected: Vec<_> = partial
            .iter()
            .map(|minute| format!(r#"{{"minute":"{}""#, at(*minute)))
            .collect();

        assert_eq!(marked, expected, "{window} s");
        assert_eq!(lines.matches("partial").count(), partial.len());

        let table =
            String::from_utf8(viewers(folder.path(), &["--window-seconds", window, "log"]).stdout)
                .unwrap();
        // The first of equal data points is the peak.
        let most = usize::from(!partial.is_empty());

        assert_eq!(table.matches("≥1").count(), partial.len() + most, "{table}");
        assert_eq!(table.contains("peak of show: ≥1 at"), most == 1, "{table}");
        assert_eq!(
            table.contains("≥ is a minimum (a minute of the window has no log)"),
            window != "60",
            "{table}"
        );
    }
}

/// Promise P130. A file that cannot be read or counted is named on standard error, the others are
/// counted, and the exit code is 1.
#[test]
fn a_gzip_bomb_is_read_up_to_a_limit() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 16 << 20];
    (0..65).for_each(|_| std::io::Write::write_all(&mut bomb, &zeros).unwrap());
    let audience = SimulatedAudience::new(10, 1, 80);
    let log = text(&audience.lines(1, combined));
    let folder = folder(&[
        ("bomb.gz", &bomb.finish().unwrap()),
        ("good", log.as_bytes()),
    ]);
    let output = viewers(folder.path(), &["--json", "bomb.gz", "good"]);
    let stderr = String::from_utf8(output.stderr).unwrap();

    assert!(
        stderr.contains("bomb.gz: decompressed size exceeds 1073741824 bytes"),
        "{stderr}"
    );
    assert!(
        output.status.code() == Some(1)
            && String::from_utf8(output.stdout).unwrap().contains(&at(0))
    );
}

/// Promise P120. Up to `EXACT_UP_TO` (8,192) viewers of a stream in a minute the figure is exact,
/// and above it is an estimate (`"exact": false`).
#[test]
fn estimates_are_marked_and_within_two_percent() {
    let line = |number: u32| {
        let [_, b, c, d] = number.to_be_bytes();
        format!(
            "10.{b}.{c}.{d} - - [01/Jan/2026:00:00:00 +0000] \"GET /show/1.ts HTTP/1.1\" 200 1 \"-\" \"-\"\n"
        )
    };
    let log: String = (0..200_000).map(line).collect();
    let folder = folder(&[("log", log.as_bytes())]);
    for (limit, exact) in [("200000", true), ("199999", false), ("0", false)] {
        let output = viewers(folder.path(), &["--json", "--exact-up-to", limit, "log"]);
        let figure: Value = serde_json::from_slice(&output.stdout).unwrap();
        let viewers = figure["viewers"].as_u64().unwrap();

        assert_eq!(figure["exact"], exact);
        assert!(
            viewers.abs_diff(200_000) <= if exact { 0 } else { 4000 },
            "{figure}"
        );
    }
    let output = viewers(folder.path(), &["--exact-up-to", "0", "log"]);
    let table = String::from_utf8(output.stdout).unwrap();

    assert!(
        table.contains("peak of show: ~") && table.matches(" ~").count() > 2,
        "{table}"
    );
}
