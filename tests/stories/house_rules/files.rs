//! How long files may be, and what they must not name.

use super::{assert_none, files, read};
use std::path::Path;
use std::process::Command;
use stories::root;

/// Folders with sources.
const SOURCES: [&str; 5] = ["crates", "functions", "tests", "bench", "fuzz"];

#[test]
fn no_source_file_is_longer_than_a_reader_can_hold() {
    let mut breaches = Vec::new();
    for file in files(&SOURCES, ".rs") {
        let text = read(&file);
        let lines = text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .count();
        let in_function = file.starts_with("functions/");
        let limit = match file.as_str() {
            file if file.starts_with("tests/") || file.contains("/tests/") => 500,
            file if in_function && file.ends_with("/src/main.rs") => 25,
            file if in_function && file.ends_with("/src/lib.rs") => 150,
            _ => 400,
        };
        if lines > limit {
            breaches.push(format!(
                "{file} has {lines} lines before its tests; {limit} are allowed"
            ));
        }
    }
    assert_none(&breaches);
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

/// A path or a host of the machine that a change was made on means nothing on the next one.
#[test]
fn no_file_names_the_place_where_it_was_made() {
    if !root().join(".git").exists() {
        // A source archive: it has no list of its files, and was made from a commit that passed.
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
        // Deleted, but not yet out of git's list.
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

/// What git tracks, or would after `git add`.
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
