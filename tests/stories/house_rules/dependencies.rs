//! Who may depend on whom.

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
    /// It lies in this repository.
    ours: bool,
    /// Only tests and examples see it.
    dev: bool,
}

/// Which crates of ours each crate of ours may use.
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
    // It must not share a type with the code that it checks, or it would share its mistakes.
    ("stand-in", &[]),
    // Nor these, in which stories, demo and bench take place. Nothing else may use them.
    ("scenes", &["stand-in"]),
    ("fuzz", &["onair-core"]),
];
/// The same for every function. Functions never depend on each other: what two of them decide is in
/// the core, and what the three of a pair read and write in onair-pair.
const A_FUNCTION_MAY_USE: &[&str] = &["onair-core", "onair-aws", "onair-lambda", "onair-pair"];
/// Every crate may depend on these, and they on none of ours.
const HAVE_NO_CODE: [&str; 2] = ["workspace-hack", "workspace-hack-network"];
/// These look at everything from outside. They may use all of it, and nothing may use them.
const OUTSIDE: [&str; 3] = ["demo", "stories", "bench"];

/// These may name an AWS SDK outside their tests: the adapter, and the stories, which look at S3
/// themselves.
const MAY_NAME_AN_SDK: [&str; 2] = ["onair-aws", "stories"];
const SDK: [&str; 5] = [
    "aws-sdk-",
    "aws-config",
    "aws-smithy-",
    "aws-types",
    "aws-credential-types",
];

/// How names begin of crates that talk to a network, a runtime or an SDK.
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
            // Tests may start a loopback AWS; those of the core have no use for one.
            let in_tests = *dev && used == "stand-in" && name != "onair-core";
            if !may_use.contains(&used.as_str()) && !in_tests {
                breaches.push(format!(
                    "{name} depends on {used}; of ours it may use only {may_use:?}"
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
            format!("onair-core reaches {name}: `cargo tree --package onair-core --invert {name}` says how")
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
