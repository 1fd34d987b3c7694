//! The documents agree with the tests and the code.

use super::{assert_none, files, files::is_house_rule, read, stems, template};
use std::collections::{BTreeMap, BTreeSet};
use strum::VariantNames as _;

#[test]
fn promises_are_numbered_from_one_without_a_gap_and_each_says_something() {
    let mut breaches = Vec::new();
    let promises = promises();
    let numbers: Vec<u32> = promises.iter().map(|(number, _)| *number).collect();
    let last = numbers.iter().copied().max().unwrap_or_default();
    assert!(
        last > 0,
        "docs/behaviour.md promises nothing: a promise is a line that starts with \"**P1.** \""
    );
    for number in 1..=last {
        match numbers.iter().filter(|known| **known == number).count() {
            1 => {}
            0 => breaches.push(format!(
                "the last promise of docs/behaviour.md is P{last}, but P{number} is missing"
            )),
            count => breaches.push(format!("docs/behaviour.md has P{number} {count} times")),
        }
    }
    let empty = promises.iter().filter(|(_, text)| text.is_empty());
    breaches.extend(empty.map(|(number, _)| format!("docs/behaviour.md: P{number} has no text")));
    assert_none(&breaches);
}

#[test]
fn a_promise_is_one_sentence_of_at_most_25_words() {
    let mut breaches = Vec::new();
    for (number, text) in promises() {
        let words = text.split_whitespace().count();
        if words > 25 {
            breaches.push(format!("docs/behaviour.md: P{number} has {words} words"));
        }
        if !text.ends_with('.') || text.contains(". ") {
            breaches.push(format!("docs/behaviour.md: P{number} is not one sentence"));
        }
    }
    assert_none(&breaches);
}

#[test]
fn promises_ascend_within_a_section() {
    let behaviour = read("docs/behaviour.md");
    let mut breaches = Vec::new();
    for section in behaviour.split("\n## ") {
        let numbers: Vec<u32> = promises_in(section)
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        for pair in numbers.windows(2).filter(|pair| pair[0] >= pair[1]) {
            breaches.push(format!(
                "docs/behaviour.md: P{} is behind P{}",
                pair[1], pair[0]
            ));
        }
    }
    assert_none(&breaches);
}

#[test]
fn every_promise_is_told_by_a_test_and_every_test_tells_a_promise_that_was_made() {
    let made: BTreeSet<u32> = promises().into_iter().map(|(number, _)| number).collect();
    let cited = cited();
    let mut breaches = Vec::new();
    for number in made.iter().filter(|number| !cited.contains_key(number)) {
        breaches.push(format!(
            "docs/behaviour.md has promise P{number}, but no test cites \"Promise P{number}\""
        ));
    }
    for (number, files) in cited.iter().filter(|(number, _)| !made.contains(number)) {
        breaches.push(format!(
            "{files:?} cite P{number}, which docs/behaviour.md does not promise"
        ));
    }
    assert_none(&breaches);
}

#[test]
fn every_setting_of_the_template_is_in_the_readmes_table() {
    let readme = read("README.md");
    let mut breaches = Vec::new();
    for setting in template::settings() {
        let named = format!("`{setting}`");
        if !readme
            .lines()
            .any(|line| line.starts_with('|') && line.contains(&named))
        {
            breaches.push(format!(
                "README.md has no row for {named} in a table of settings"
            ));
        }
    }
    assert_none(&breaches);
}

/// The heading of each table of codes in `docs/operating.md`, and the codes of its enum.
const HELD_TABLES: [(&str, &[&str]); 3] = [
    (
        "### Held recordings\n",
        onair_core::prune_recording::HeldReason::VARIANTS,
    ),
    (
        "### Held runs of the pair\n",
        onair_core::pair::held::HeldReason::VARIANTS,
    ),
    (
        "### Held instances\n",
        onair_core::complete_lifecycle::HeldReason::VARIANTS,
    ),
];

/// An operator looks up the code of a log line.
#[test]
fn every_code_for_held_is_explained_and_every_explained_code_exists() {
    let operating = read("docs/operating.md");
    let mut breaches = Vec::new();
    for (heading, codes) in HELD_TABLES {
        let (_, section) = operating
            .split_once(heading)
            .unwrap_or_else(|| panic!("docs/operating.md has no heading {heading:?}"));
        let section = section.split("\n### ").next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let explained: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        let codes: BTreeSet<&str> = codes.iter().copied().collect();
        for code in codes.difference(&explained) {
            breaches.push(format!(
                "the table below {heading:?} in docs/operating.md has no row for `{code}`"
            ));
        }
        // The head of the table has `code` in its first cell.
        for code in explained.difference(&codes).filter(|code| **code != "code") {
            breaches.push(format!(
                "docs/operating.md explains `{code}` below {heading:?}, but the enum has no such \
                 variant: remove the row"
            ));
        }
    }
    assert_none(&breaches);
}

/// An operator searches for the words of a log line.
#[test]
fn the_texts_for_held_are_quoted_from_the_code() {
    let sources = files(
        &[
            "crates/onair-core/src",
            "crates/onair-pair/src",
            "functions",
        ],
        ".rs",
    );
    let code: String = sources.iter().map(|file| read(file)).collect();
    // The compiler joins a text over several lines, and removes the blanks after `\\`.
    let code: String = code.split("\\\n").map(str::trim_start).collect();
    let operating = read("docs/operating.md");
    let tables = operating.split("| `code` | `why` | Do |\n").skip(1);
    let rows = tables.flat_map(|table| {
        let rows = table.lines().skip(1);
        rows.take_while(|line| line.starts_with('|'))
    });
    let reasons: Vec<&str> = rows.filter_map(|row| row.split(" | ").nth(1)).collect();
    assert!(
        !reasons.is_empty(),
        "docs/operating.md has no table with the texts of `why`"
    );
    let mut breaches = Vec::new();
    for reason in reasons {
        // The texts are in backticks. `…` is a placeholder for names and values.
        let quoted = reason
            .split('`')
            .skip(1)
            .step_by(2)
            .flat_map(|text| text.split('…'));
        for words in quoted.map(|words| words.trim_matches([' ', '"', ':'])) {
            if !code.contains(words) {
                breaches.push(format!(
                    "docs/operating.md explains {words:?}, which is not in the source code"
                ));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn the_sentence_of_a_promise_is_above_its_tests() {
    let sentences: BTreeMap<u32, String> = promises().into_iter().collect();
    let mut breaches = Vec::new();
    for file in files(&["crates", "functions", "tests"], ".rs") {
        if is_house_rule(&file) {
            continue;
        }
        for (number, sentence) in quoted_promises(&read(&file)) {
            if sentences.get(&number) != Some(&sentence) {
                breaches.push(format!(
                    "{file}: Promise P{number} is not the sentence of docs/behaviour.md: {sentence}"
                ));
            }
        }
    }
    assert_none(&breaches);
}

/// The doc comments that begin with one promise and its sentence.
fn quoted_promises(text: &str) -> Vec<(u32, String)> {
    let comments = text
        .split("\n")
        .map(|line| line.trim_start().strip_prefix("/// "));
    let mut quoted = Vec::new();
    let mut current: Option<(u32, String)> = None;
    for comment in comments {
        match (comment, &mut current) {
            (Some(line), Some((_, sentence))) => *sentence += &format!(" {line}"),
            (Some(line), None) => {
                let promise = line
                    .strip_prefix("Promise P")
                    .and_then(|line| line.split_once(". "));
                current = promise.and_then(|(number, sentence)| {
                    Some((number.parse().ok()?, sentence.to_owned()))
                });
            }
            (None, _) => quoted.extend(current.take()),
        }
    }
    quoted
}

/// The numbered promises with their sentences.
fn promises() -> Vec<(u32, String)> {
    promises_in(&read("docs/behaviour.md"))
}

fn promises_in(text: &str) -> Vec<(u32, String)> {
    let promise = |line: &str| {
        let (number, text) = line.strip_prefix("**P")?.split_once(".**")?;
        Some((number.parse().ok()?, text.trim().to_owned()))
    };
    text.lines().filter_map(promise).collect()
}

/// The promises that tests name (`Promise P7`, `Promises P1 and P7`), each with the files that do.
fn cited() -> BTreeMap<u32, BTreeSet<String>> {
    let functions: Vec<String> = stems()
        .iter()
        .map(|stem| format!("functions/{stem}/tests"))
        .collect();
    let folders: Vec<&str> = functions
        .iter()
        .map(String::as_str)
        .chain([
            "tests/stories",
            "tests/player",
            "tests/origin",
            "crates/onair/tests",
        ])
        .collect();
    let mut tests = files(&folders, ".rs");
    tests.extend(files(
        &["tests/template", "tests/ansible", "tests/pipelines"],
        ".py",
    ));
    tests.extend(files(&["tests/player"], ".mjs"));
    let mut cited: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for file in tests.into_iter().filter(|file| !is_house_rule(file)) {
        let text = read(&file);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        for number in words.filter_map(|word| word.strip_prefix('P')?.parse().ok()) {
            cited.entry(number).or_default().insert(file.clone());
        }
    }
    cited
}
