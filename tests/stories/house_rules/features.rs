//! Every crate from outside has one set of features, so that it is compiled once.

use super::assert_none;
use super::dependencies::{cargo, packages};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Features with which aws-config itself depends on other crates of the SDK.
const ASKED_FOR_BY_THE_SDK: [(&str, &str); 3] = [
    ("aws-credential-types", "test-util"),
    ("aws-smithy-runtime-api", "test-util"),
    ("aws-smithy-types", "test-util"),
];

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
            for feature in all.into_iter().filter(|feature| is_for_tests(feature)) {
                if !ASKED_FOR_BY_THE_SDK.contains(&(name, feature)) {
                    breaches.push(format!(
                        "{} has {outside} with the feature {feature}",
                        package.name
                    ));
                }
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn features_of_outside_crates_are_written_once() {
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ]);
    let written = written(&serde_json::from_str(&metadata).unwrap());
    assert_none(&written_twice(&written));
}

#[test]
fn a_manifest_with_features_of_its_own_is_seen() {
    let tokio =
        |features: Value| json!({ "name": "tokio", "source": "registry", "features": features });
    let metadata = |ours: Value, theirs: Value| {
        json!({ "packages": [
            { "name": "ours", "dependencies": [tokio(ours)] },
            { "name": "theirs", "dependencies": [tokio(theirs), { "name": "ours", "path": "/ours", "features": ["s3"] }] },
        ] })
    };
    let breaches = |ours, theirs| written_twice(&written(&metadata(ours, theirs)));
    assert!(breaches(json!(["rt", "time"]), json!(["rt", "time"])).is_empty());
    assert_eq!(breaches(json!(["rt"]), json!(["rt", "fs"])).len(), 1);
    assert!(is_for_tests("test-util") && is_for_tests("rt-test-util") && !is_for_tests("latest"));
}

/// Whether a feature is for tests, according to its name.
fn is_for_tests(feature: &str) -> bool {
    feature
        .split('-')
        .any(|word| matches!(word, "test" | "tests" | "testing"))
}

/// Each crate from outside with the sets of features that manifests name, and those manifests.
type Written = BTreeMap<String, BTreeMap<BTreeSet<String>, Vec<String>>>;

/// The features that the manifests name, as Cargo reads them: those of the workspace and those that
/// a member adds.
fn written(metadata: &Value) -> Written {
    let mut written = Written::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["path"].is_string() {
                continue;
            }
            // Two versions of one crate are two crates.
            let name = dependency["rename"]
                .as_str()
                .or(dependency["name"].as_str())
                .unwrap_or_default();
            let features = dependency["features"].as_array().into_iter().flatten();
            let mut set: BTreeSet<String> = features
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect();
            if dependency["uses_default_features"] == true {
                set.insert("default".to_owned());
            }
            let by = written
                .entry(name.to_owned())
                .or_default()
                .entry(set)
                .or_default();
            by.push(package["name"].as_str().unwrap_or_default().to_owned());
        }
    }
    assert!(
        !written.is_empty(),
        "`cargo metadata` shows no dependency from outside"
    );
    written
}

fn written_twice(written: &Written) -> Vec<String> {
    let differ = written.iter().filter(|(_, sets)| sets.len() > 1);
    let breach = |(name, sets)| {
        format!(
            "{name} has different features, by package: {sets:?}: write them into [workspace.dependencies]"
        )
    };
    differ.map(breach).collect()
}

/// The crates from outside that `cargo tree` shows, each with every set of features that it is
/// compiled with.
fn features(of: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    // Names and features contain no tab.
    let tree = cargo(
        &[
            &[
                "tree", "--frozen", "--prefix", "none", "--format", "{p}\t{f}",
            ],
            of,
        ]
        .concat(),
    );
    let mut features: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in tree.lines() {
        let Some((package, set)) = line.split_once('\t') else {
            continue;
        };
        // A workspace crate has its folder behind its version.
        if !package.contains('/') {
            let set = set.trim_end_matches(" (*)").to_owned();
            features
                .entry(package.trim_end_matches(" (proc-macro)").to_owned())
                .or_default()
                .insert(set);
        }
    }
    assert!(
        !features.is_empty(),
        "`cargo tree` shows nothing from outside: {tree}"
    );
    features
}
