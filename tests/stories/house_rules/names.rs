//! Public type names are made of the words of the glossary.

use super::{assert_none, files, read};
use std::collections::{BTreeMap, BTreeSet};

/// These crates are for tests, demo and builds. The glossary is for the product.
const NOT_PRODUCT: [&str; 5] = [
    "crates/demo/",
    "crates/scenes/",
    "crates/stand-in/",
    "crates/workspace-hack/",
    "crates/workspace-hack-network/",
];
const GLOSSARY: &str = "docs/glossary.md";
/// The section with plain English words, and the table of names that several crates share.
const WORDS: &str = "\n## Words of type names\n";
const SHARED: &str = "\n### Names with one meaning in several places\n";

#[test]
fn public_type_names_are_made_of_the_glossarys_words() {
    let known = known_words();
    let mut breaches = Vec::new();
    for (name, files) in public_types() {
        let unknown: Vec<String> = words(&name)
            .filter(|word| !is_known(word, &known))
            .collect();
        if !unknown.is_empty() {
            breaches.push(format!(
                "{name} in {files:?} has words that {GLOSSARY} does not have: {unknown:?}. \
                 Use a word of the glossary, or add the word to a table with its meaning, \
                 or to \"Words of type names\" if it is plain English."
            ));
        }
    }
    assert_none(&breaches);
}

#[test]
fn a_public_type_name_means_one_thing() {
    let glossary = read(GLOSSARY);
    let (_, shared) = glossary
        .split_once(SHARED)
        .unwrap_or_else(|| panic!("{GLOSSARY} has no section {SHARED:?}"));
    let shared: BTreeSet<&str> = terms(shared)
        .filter_map(|term| term.strip_prefix('`')?.strip_suffix('`'))
        .collect();
    let types = public_types();
    let mut breaches = Vec::new();
    for (name, files) in &types {
        if files.len() > 1 && !shared.contains(name.as_str()) {
            breaches.push(format!(
                "{name} is defined in {files:?}. If it means different things, give one of them \
                 the noun of its vertical. Otherwise add it to the table below {SHARED:?} in \
                 {GLOSSARY}."
            ));
        }
    }
    for name in shared {
        if types.get(name).is_none_or(|files| files.len() < 2) {
            breaches.push(format!(
                "{GLOSSARY} lists {name} as a name in several places, but it is not: remove the row"
            ));
        }
    }
    assert_none(&breaches);
}

#[test]
fn a_name_is_split_where_a_word_begins() {
    let split = |name| words(name).collect::<Vec<_>>();
    assert_eq!(split("HeldReason"), ["held", "reason"]);
    assert_eq!(split("S3Client"), ["s3", "client"]);
    assert_eq!(split("SideA"), ["side", "a"]);
    assert_eq!(split("HTTPStatus"), ["http", "status"]);
    assert_eq!(split("rendition sources"), ["rendition", "sources"]);
}

/// The public types of the product's crates, each with the files that define it.
fn public_types() -> BTreeMap<String, BTreeSet<String>> {
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files(&["crates", "functions"], ".rs") {
        if !file.contains("/src/") || NOT_PRODUCT.iter().any(|crate_| file.starts_with(crate_)) {
            continue;
        }
        for name in read(&file).lines().filter_map(public_type) {
            types
                .entry(name.to_owned())
                .or_default()
                .insert(file.clone());
        }
    }
    assert!(!types.is_empty(), "no public type was found");
    types
}

/// The name that a line defines at the level of a module.
fn public_type(line: &str) -> Option<&str> {
    let item = line.strip_prefix("pub ")?;
    let definition = ["struct ", "enum ", "trait ", "type "]
        .iter()
        .find_map(|keyword| item.strip_prefix(keyword))?;
    definition
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

/// The words of all terms, and those that the last section lists in backticks.
fn known_words() -> BTreeSet<String> {
    let glossary = read(GLOSSARY);
    let (_, listed) = glossary
        .split_once(WORDS)
        .unwrap_or_else(|| panic!("{GLOSSARY} has no section {WORDS:?}"));
    let listed = listed.split_once(SHARED).map_or(listed, |(words, _)| words);
    terms(&glossary)
        .chain(listed.split('`').skip(1).step_by(2))
        .flat_map(words)
        .collect()
}

/// The first cells of the rows of all tables.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .map(str::trim)
        .filter(|term| !term.starts_with("---"))
}

/// The singular and the plural of a word are one word.
fn is_known(word: &str, known: &BTreeSet<String>) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    known.contains(word) || known.contains(singular) || known.contains(&format!("{word}s"))
}

/// The words of a name or a term, in lower case.
fn words(name: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let is_after_lower = at > 0 && !letters[at - 1].is_uppercase();
        let is_before_lower = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if !letter.is_alphanumeric() || letter.is_uppercase() && (is_after_lower || is_before_lower)
        {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.into_iter().filter(|word| !word.is_empty())
}
