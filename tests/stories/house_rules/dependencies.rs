//! Rules for dependencies between the crates of the workspace.

use super::assert_none;
use serde_json::Value;
use std::process::Command;
use stories::root;

/// A package of the workspace.
pub(super) struct Package {
    pub(super) name: String,
    /// From the project's folder.
    pub(super) folder: String,
    pub(super) binaries: Vec<String>,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    /// Whether the crate is in this repository.
    ours: bool,
    /// Only tests and examples see it.
    dev: bool,
}

/// The workspace crates that each workspace crate may use.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("workspace-hack", &[]),
    ("workspace-hack-network", &[]),
    ("onair-core", &[]),
    ("onair-aws", &["onair-core"]),
    ("onair-lambda", &["onair-core", "onair-aws"]),
    ("onair-pair", &["onair-core", "onair-aws", "onair-lambda"]),
    ("publish-live", &["onair-core", "onair-aws"]),
    ("viewers", &["onair-core"]),
    // A subcommand knows nothing of the program.
    ("onair", &["publish-live", "viewers"]),
    // The stand-in must not share a type with the code that it checks, or it would share the
    // mistakes of that code.
    ("stand-in", &[]),
    // The same holds for the scenes of stories, demo and bench. Nothing else may use them.
    ("scenes", &["stand-in"]),
    ("fuzz", &["onair-core"]),
];
/// The same for every function. Functions never depend on each other: shared decisions are in the
/// core, and shared requests of the three functions of a pair are in onair-pair.
const A_FUNCTION_MAY_USE: &[&str] = &["onair-core", "onair-aws", "onair-lambda", "onair-pair"];
/// Every crate may depend on these. They depend on no workspace crate.
const HAVE_NO_CODE: [&str; 2] = ["workspace-hack", "workspace-hack-network"];
/// These test all crates from outside. They may use every crate, and no crate may use them.
const OUTSIDE: [&str; 3] = ["demo", "stories", "bench"];

/// These may name an AWS SDK outside their tests: the adapter, and the stories, which read S3
/// themselves.
const MAY_NAME_AN_SDK: [&str; 2] = ["onair-aws", "stories"];
const SDK: [&str; 5] = [
    "aws-sdk-",
    "aws-config",
    "aws-smithy-",
    "aws-types",
    "aws-credential-types",
];

/// The prefixes of crates that use a network, a runtime or an SDK.
const NOT_PURE: [&str; 17] = [
    "aws",
    "lambda",
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "hyper",
    "h2",
    "http",
    "reqwest",
    "ureq",
    "curl",
    "rustls",
    "native-tls",
    "openssl",
    "wiremock",
];

#[test]
fn arrows_between_our_crates_point_one_way() {
    let mut breaches = Vec::new();
    for package in packages() {
        let name = package.name.as_str();
        if OUTSIDE.contains(&name) {
            continue;
        }
        let may_use = match MAY_USE.iter().find(|(known, _)| *known == name) {
            Some((_, may_use)) => *may_use,
            None if package.folder.starts_with("functions/") => A_FUNCTION_MAY_USE,
            None => {
                breaches.push(format!(
                    "{name} is new: say in this test, and in docs/architecture.md, what it may use"
                ));
                continue;
            }
        };
        for Dependency {
            name: used, dev, ..
        } in package.dependencies.iter().filter(|used| used.ours)
        {
            if HAVE_NO_CODE.contains(&used.as_str()) {
                continue;
            }
            // Tests may start a loopback AWS. Tests of the core do not need one.
            let in_tests = *dev && used == "stand-in" && name != "onair-core";
            if !may_use.contains(&used.as_str()) && !in_tests {
                breaches.push(format!(
                    "{name} depends on {used}; in the workspace it may use only {may_use:?}"
                ));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn only_the_adapter_names_an_aws_sdk() {
    let mut breaches = Vec::new();
    for package in packages() {
        if MAY_NAME_AN_SDK.contains(&package.name.as_str()) {
            continue;
        }
        for used in package.dependencies.iter().filter(|used| !used.dev) {
            if SDK.iter().any(|sdk| used.name.starts_with(sdk)) {
                breaches.push(format!(
                    "{} depends on {}: that belongs into onair-aws",
                    package.name, used.name
                ));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn the_core_reaches_no_network_and_no_runtime_not_even_through_others() {
    // Its `clippy.toml` refuses the standard library's clock, files and network.
    let arguments = [
        "tree",
        "--frozen",
        "--package",
        "onair-core",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ];
    let tree = cargo(&arguments);
    let crates: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(
        crates.contains(&"m3u8-rs"),
        "`cargo tree` shows nothing of the core's dependencies: {tree}"
    );
    let is_pure = |name: &&&str| !NOT_PURE.iter().any(|start| name.starts_with(start));
    let breaches: Vec<String> = crates
        .iter()
        .filter(|name| !is_pure(name))
        .map(|name| {
            format!("onair-core reaches {name}: `cargo tree --package onair-core --invert {name}` shows how")
        })
        .collect();
    assert_none(&breaches);
}

/// The packages of the workspace, from `cargo metadata`.
pub(super) fn packages() -> Vec<Package> {
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ]);
    let metadata: Value =
        serde_json::from_str(&metadata).unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    array(&metadata["packages"]).iter().map(package).collect()
}

#[test]
fn viewers_get_the_player_that_the_stories_watch_with() {
    let [viewers, stories] = ["player/package.json", "tests/player/package.json"].map(|path| {
        let package: Value = serde_json::from_str(&super::read(path)).unwrap();
        text(&package["dependencies"]["hls.js"])
    });
    assert!(
        !viewers.is_empty() && viewers == stories,
        "hls.js {viewers} and {stories}"
    );
}

fn package(package: &Value) -> Package {
    let manifest = text(&package["manifest_path"]);
    let is_binary = |target: &&Value| array(&target["kind"]).iter().any(|kind| kind == "bin");
    let dependency = |dependency: &Value| Dependency {
        name: text(&dependency["name"]),
        ours: dependency["path"].is_string(),
        dev: dependency["kind"] == "dev",
    };
    Package {
        name: text(&package["name"]),
        folder: super::relative(manifest.trim_end_matches("/Cargo.toml").as_ref())
            .unwrap_or_default(),
        binaries: array(&package["targets"])
            .iter()
            .filter(is_binary)
            .map(|target| text(&target["name"]))
            .collect(),
        dependencies: array(&package["dependencies"])
            .iter()
            .map(dependency)
            .collect(),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .output();
    let output = output.unwrap_or_else(|error| panic!("cargo: {error}"));
    assert!(
        output.status.success(),
        "cargo {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
