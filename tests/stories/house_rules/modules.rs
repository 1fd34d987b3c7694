//! Modules of the core import each other in one direction, so that each can be read after those
//! that it uses. A module and its parent count as one.

use super::{assert_none, files, read};
use std::collections::{BTreeMap, BTreeSet};

const CORE: &str = "crates/onair-core/src";

#[test]
fn modules_of_the_core_do_not_import_each_other_in_a_circle() {
    let sources: BTreeMap<Vec<String>, String> = files(&[CORE], ".rs")
        .iter()
        .map(|file| (module(file), read(file)))
        .collect();
    let modules: BTreeSet<&Vec<String>> = sources.keys().collect();
    let imports: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = sources
        .iter()
        .map(|(module, text)| (module, imports(module, text, &modules)))
        .collect();
    let reachable: BTreeMap<_, _> = imports
        .keys()
        .map(|module| (*module, reachable(module, &imports)))
        .collect();

    let mut breaches = Vec::new();
    for (module, others) in &reachable {
        let circle = others
            .iter()
            .filter(|other| module < *other && reachable[*other].contains(module));
        let circle: Vec<String> = circle.map(|other| other.join("::")).collect();
        if !circle.is_empty() {
            let (module, circle) = (module.join("::"), circle.join(", "));
            breaches.push(format!("{module} is in a circle with {circle}"));
        }
    }
    assert_none(&breaches);
}

/// `crates/onair-core/src/pair/state.rs` -> `pair::state`
fn module(file: &str) -> Vec<String> {
    let path = file.trim_start_matches(CORE).trim_end_matches(".rs");
    let parts = path.split('/').filter(|part| !["", "lib"].contains(part));
    parts.map(str::to_owned).collect()
}

/// The modules that a module names, without its parents and children.
fn imports<'a>(
    module: &[String],
    text: &str,
    modules: &BTreeSet<&'a Vec<String>>,
) -> BTreeSet<&'a Vec<String>> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join(" ");
    let mut imported = BTreeSet::new();
    for start in ["super::", "crate::"] {
        for (place, _) in code.match_indices(start) {
            let is_continued = code[..place].ends_with("::");
            if !is_continued {
                let mut paths = Vec::new();
                expand(&code[place..], &mut Vec::new(), &mut paths);
                imported.extend(
                    paths
                        .iter()
                        .filter_map(|path| resolve(module, path, modules)),
                );
            }
        }
    }
    imported.retain(|other| !other.starts_with(module) && !module.starts_with(other));
    imported
}

/// The paths of `a::{b, c::d}` at the beginning of a text, each in parts: `a b` and `a c d`.
/// Returns the rest of the text.
fn expand<'t>(text: &'t str, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'t str {
    let text = text.trim_start();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let end = text.find(|letter| !is_word(letter)).unwrap_or(text.len());
    let length = path.len();
    let mut rest = &text[end..];
    if end > 0 {
        path.push(text[..end].to_owned());
    }
    if let Some(after) = rest.strip_prefix("::") {
        rest = expand(after, path, paths);
    } else if let Some(after) = rest.strip_prefix('{') {
        rest = expand(after, path, paths);
        while let Some(after) = rest.trim_start().strip_prefix(',') {
            rest = expand(after, path, paths);
        }
        rest = rest.trim_start().trim_start_matches('}');
    } else {
        paths.push(path.clone());
    }
    path.truncate(length);
    rest
}

/// The module that a path in `from` leads to.
fn resolve<'a>(
    from: &[String],
    path: &[String],
    modules: &BTreeSet<&'a Vec<String>>,
) -> Option<&'a Vec<String>> {
    let mut absolute = from.to_vec();
    for part in path {
        match part.as_str() {
            "crate" => absolute.clear(),
            "super" => drop(absolute.pop()),
            part => absolute.push(part.to_owned()),
        }
    }
    let prefixes = (1..=absolute.len()).rev();
    let mut prefixes = prefixes.map(|length| absolute[..length].to_vec());
    prefixes.find_map(|prefix| modules.get(&prefix).copied())
}

fn reachable<'a>(
    from: &'a Vec<String>,
    imports: &BTreeMap<&'a Vec<String>, BTreeSet<&'a Vec<String>>>,
) -> BTreeSet<&'a Vec<String>> {
    let mut found = BTreeSet::new();
    let mut pending = vec![from];
    while let Some(module) = pending.pop() {
        let next = imports.get(module).into_iter().flatten();
        pending.extend(next.filter(|other| found.insert(**other)));
    }
    found
}

#[test]
fn a_nested_import_is_read_in_parts() {
    let mut paths = Vec::new();
    expand("super::{a, b::{C, d::E}}; x", &mut Vec::new(), &mut paths);
    let paths: Vec<String> = paths.iter().map(|path| path.join(" ")).collect();
    assert_eq!(paths, ["super a", "super b C", "super b d E"]);
}
