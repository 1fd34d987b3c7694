//! Rules for the width of comments, and for names that files must not contain.

use super::{assert_none, files, read};
use std::path::Path;
use std::process::Command;
use stories::root;

const SOURCES: [&str; 5] = ["crates", "functions", "tests", "bench", "fuzz"];

/// rustfmt breaks code at this column, but not comments.
const LINE_WIDTH: usize = 100;

#[test]
fn no_comment_line_is_longer_than_100_columns() {
    let mut breaches = Vec::new();
    for file in files(&SOURCES, ".rs") {
        for (number, line) in read(&file).lines().enumerate() {
            let columns = line.chars().count();
            if columns > LINE_WIDTH && is_comment(line) && can_be_wrapped(line) {
                breaches.push(format!(
                    "{file}:{}: this comment has {columns} columns: wrap it at {LINE_WIDTH}",
                    number + 1
                ));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn only_an_address_that_cannot_be_broken_may_be_longer() {
    let address = format!("https://example.com/{}", "a".repeat(LINE_WIDTH));
    assert!(!can_be_wrapped(&format!("    /// {address}")));
    assert!(can_be_wrapped(&format!("    /// The source is {address}")));
    assert!(can_be_wrapped(&format!("// {}", "word ".repeat(30))));
    assert!(is_comment("    //! text") && !is_comment(r#"let a = "https://a";"#));
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// A comment with one word, such as a long address, cannot be wrapped.
fn can_be_wrapped(comment: &str) -> bool {
    comment.split_whitespace().count() > 2
}

/// The table in `tests/template/test_events.py` does not count: it has every file by itself.
#[test]
fn every_event_file_is_sent_in_a_story_or_in_the_demo() {
    let users = files(&["tests/stories", "tests/support", "crates/demo"], ".rs");
    let users: Vec<String> = users
        .iter()
        .filter(|file| !is_house_rule(file))
        .map(|file| read(file))
        .collect();
    let mut breaches = Vec::new();
    for file in files(&["events"], ".json") {
        let path = file.trim_start_matches("events/");
        let case = Path::new(path)
            .file_stem()
            .and_then(|case| case.to_str())
            .unwrap_or_default();
        let quoted = [format!("\"{path}\""), format!("\"{case}\"")];
        if !users
            .iter()
            .any(|text| quoted.iter().any(|name| text.contains(name)))
        {
            breaches.push(format!(
                "{file} is used by no story: neither {} nor {} is found",
                quoted[0], quoted[1]
            ));
        }
    }
    assert_none(&breaches);
}

/// A path or a host of one machine is useless on another machine.
#[test]
fn no_file_names_the_place_where_it_was_made() {
    if !root().join(".git").exists() {
        // A source archive has no list of its files, and was made from a commit that passed.
        return;
    }
    // Put together here, so that this file does not name them.
    let forbidden = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["crates", ".io"],
        ["pypi", ".org"],
        ["python", "hosted.org"],
        ["npmjs", ".org"],
        ["npmjs", ".com"],
        ["deb.debian", ".org"],
        ["ghcr", ".io"],
        ["docker", ".io"],
    ]
    .map(|halves| halves.concat());
    let mut breaches = Vec::new();
    for file in tracked() {
        // Cargo writes the registry's address into its lock file.
        if file == "Cargo.lock" {
            continue;
        }
        // The file is deleted, but git still lists it.
        let Ok(bytes) = std::fs::read(root().join(&file)) else {
            continue;
        };
        for (number, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            for name in forbidden.iter().filter(|name| line.contains(*name)) {
                breaches.push(format!("{file}:{}: names {name}", number + 1));
            }
        }
    }
    assert_none(&breaches);
}

/// The files that git tracks, or would track after `git add`.
fn tracked() -> Vec<String> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root())
        .output();
    let output = output.unwrap_or_else(|error| panic!("git: {error}"));
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .split_terminator('\0')
        .map(str::to_owned)
        .collect()
}

pub(super) fn is_house_rule(file: &str) -> bool {
    file.starts_with("tests/stories/house_rules")
}
