//! Every crate from outside has one set of features, so that it is compiled once.

use super::dependencies::{cargo, packages};
use super::{assert_none, files, read};
use std::collections::{BTreeMap, BTreeSet};

/// How names of features end that only tests should have.
const OF_TESTS: [&str; 3] = ["test-util", "test-utils", "testing"];
/// aws-config itself asks for these.
const ASKED_FOR_BY_THE_SDK: [&str; 3] =
    ["aws-credential-types", "aws-smithy-runtime-api", "aws-smithy-types"];

#[test]
fn after_the_tests_a_package_compiles_nothing_from_outside() {
    let compiled = features(&["--workspace", "--edges", "all"]);
    let mut breaches = Vec::new();
    for package in packages() {
        let needed = features(&["--package", &package.name, "--edges", "normal,build"]);
        for (outside, sets) in needed {
            let known = compiled.get(&outside).cloned().unwrap_or_default();
            for features in sets.difference(&known) {
                breaches.push(format!(
                    "{}: {outside} has the features [{features}], and with all of the workspace {known:?}: write what \
                     is missing into [workspace.dependencies], and name the crate in crates/workspace-hack",
                    package.name
                ));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn no_product_has_a_feature_that_is_for_tests() {
    let mut breaches = Vec::new();
    for package in packages() {
        for (outside, sets) in features(&["--package", &package.name, "--edges", "normal,build"]) {
            let name = outside.split(' ').next().unwrap_or_default();
            let all: BTreeSet<&str> = sets.iter().flat_map(|set| set.split(',')).collect();
            for feature in all.iter().filter(|feature| OF_TESTS.contains(feature)) {
                if !ASKED_FOR_BY_THE_SDK.contains(&name) {
                    breaches.push(format!("{} has {outside} with {feature}", package.name));
                }
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn features_of_outside_crates_are_written_once() {
    let mut breaches = Vec::new();
    for manifest in files(&["crates", "functions", "tests", "bench", "fuzz"], "Cargo.toml") {
        for (number, line) in read(&manifest).lines().enumerate() {
            let is_ours = line.starts_with("onair-") || line.starts_with("workspace-hack");
            if line.contains("features = [") && line.contains('{') && !is_ours {
                breaches.push(format!(
                    "{manifest}:{}: {line}: write the features into [workspace.dependencies]",
                    number + 1
                ));
            }
        }
    }
    assert_none(&breaches);
}

/// The crates from outside that `cargo tree` shows, each with every set of features that it is compiled with.
fn features(of: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    // A tab stands in no name and no feature.
    let tree = cargo(&[&["tree", "--frozen", "--prefix", "none", "--format", "{p}\t{f}"], of].concat());
    let mut features: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in tree.lines() {
        let Some((package, set)) = line.split_once('\t') else { continue };
        // Ours has its folder behind its version.
        if !package.contains('/') {
            let set = set.trim_end_matches(" (*)").to_owned();
            features.entry(package.trim_end_matches(" (proc-macro)").to_owned()).or_default().insert(set);
        }
    }
    assert!(!features.is_empty(), "`cargo tree` shows nothing from outside: {tree}");
    features
}
