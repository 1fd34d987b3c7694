//! One stem, six places.

use super::dependencies::{Package, packages};
use super::{assert_none, files, stems, template};
use stories::root;

#[test]
fn a_function_has_the_same_stem_in_all_six_places() {
    let of_template = template::functions();
    let behaviour = std::fs::read_to_string(root().join("docs/behaviour.md")).unwrap_or_default();
    let mut breaches = Vec::new();
    for stem in stems() {
        let module = stem.replace('-', "_");
        let logical_id = format!("{}Function", pascal(&stem));
        let heading = format!("## {stem}");
        for (is_there, place) in [
            (
                root()
                    .join(format!("crates/onair-core/src/{module}.rs"))
                    .is_file(),
                format!("what it decides: crates/onair-core/src/{module}.rs"),
            ),
            (
                !files(&[&format!("events/{stem}")], ".json").is_empty(),
                format!("its events: a file in events/{stem}/"),
            ),
            (
                root().join(format!("tests/stories/{module}.rs")).is_file(),
                format!("its stories: tests/stories/{module}.rs"),
            ),
            (
                of_template.contains(&logical_id),
                format!("its resource in template.yaml: {logical_id}"),
            ),
            (
                behaviour.lines().any(|line| line.trim_end() == heading),
                format!("its promises: a heading \"{heading}\" in docs/behaviour.md"),
            ),
        ] {
            if !is_there {
                breaches.push(format!("functions/{stem} lacks {place}"));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn the_template_and_the_events_know_no_function_that_has_no_folder() {
    let mut breaches = Vec::new();
    let logical_ids: Vec<String> = stems()
        .iter()
        .map(|stem| format!("{}Function", pascal(stem)))
        .collect();
    for logical_id in template::functions() {
        if !logical_ids.contains(&logical_id) {
            breaches.push(format!(
                "template.yaml has {logical_id}, for which there is no folder in functions/"
            ));
        }
    }
    for file in files(&["events"], ".json") {
        let stem = file.split('/').nth(1).unwrap_or_default();
        if !stems().iter().any(|known| known == stem) {
            breaches.push(format!(
                "{file} is for {stem}, for which there is no folder in functions/"
            ));
        }
    }
    assert_none(&breaches);
}

#[test]
fn a_functions_package_and_binary_are_named_after_its_folder() {
    let packages = packages();
    let mut breaches = Vec::new();
    for stem in stems() {
        let Some(package) = packages
            .iter()
            .find(|package| package.folder == format!("functions/{stem}"))
        else {
            breaches.push(format!(
                "functions/{stem} is not a package of the workspace"
            ));
            continue;
        };
        if package.name != stem {
            breaches.push(format!(
                "the package in functions/{stem} is named {}",
                package.name
            ));
        }
        if package.binaries != [stem.as_str()] {
            breaches.push(format!(
                "functions/{stem} builds {:?}, not one binary {stem}",
                package.binaries
            ));
        }
    }
    assert_none(&breaches);
}

/// Every program for the machines of users is a subcommand of `onair`.
#[test]
fn onair_is_the_one_program() {
    const NOT_FOR_USERS: [&str; 3] = ["demo", "bench", "fuzz"];
    let is_for_users = |package: &Package| {
        !package.folder.starts_with("functions/") && !NOT_FOR_USERS.contains(&package.name.as_str())
    };
    let programs: Vec<String> = packages()
        .into_iter()
        .filter(is_for_users)
        .flat_map(|package| package.binaries)
        .collect();
    assert_eq!(programs, ["onair"]);
}

/// `prune-recording` -> `PruneRecording`
fn pascal(stem: &str) -> String {
    let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
    stem.split('-')
        .filter(|word| !word.is_empty())
        .map(capitalised)
        .collect()
}
