//! The daemon before it publishes: its unit, its region, and signals.

use super::{GONE, TARGET, onair, run};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The unit, and the file of variables that the guide shows.
#[test]
fn the_unit_starts_the_daemon_from_its_file_of_variables() {
    let read = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let unit = read("systemd/publish-live.service");
    let started = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/onair "))
        .unwrap();
    let guide = read("../../docs/guides/publish-live.md").replace("BUCKET", "my-bucket");
    let lines = guide
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("ONAIR_") || line.starts_with("AWS_"));
    let mut variables: BTreeMap<&str, &str> =
        lines.filter_map(|line| line.split_once('=')).collect();
    assert!(
        variables
            .keys()
            .eq(&["AWS_REGION", "ONAIR_DIR", "ONAIR_LOG", "ONAIR_TARGET"]),
        "{variables:?}"
    );
    variables.insert("ONAIR_DIR", GONE);

    let arguments: Vec<&str> = started.split(' ').collect();
    let variables: Vec<(&str, &str)> = variables.into_iter().collect();
    let (code, _, stderr) = run(&arguments, &variables);

    assert!(
        code == Some(1) && stderr.contains("/nowhere/hls cannot be watched"),
        "{stderr}"
    );
    assert!(
        stderr.starts_with('{'),
        "ONAIR_LOG=json is not taken: {stderr}"
    );
    // A wrong setting stays wrong after a restart.
    assert_eq!(run(&arguments, &[]).0, Some(2));
    assert!(unit.contains("\nRestartPreventExitStatus=2\n"), "{unit}");
}

/// Promise P133: a limit that stops one subcommand does not stop the others.
#[test]
fn few_open_files_fail_the_daemon_only() {
    let limited = |arguments: &[&str]| {
        let line = [
            "-c",
            "ulimit -n 4; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_onair"),
        ];
        Command::new("bash")
            .args(line)
            .args(arguments)
            .output()
            .unwrap()
    };
    assert_eq!(limited(&["--version"]).status.code(), Some(0));
    let Output { status, stderr, .. } = limited(&["publish-live", GONE, TARGET]);
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(
        status.code() == Some(1) && stderr.contains("cannot start: "),
        "{status}: {stderr}"
    );
}

/// Promise P80: also while instance metadata does not answer.
#[test]
fn a_signal_while_connecting_ends_the_daemon_with_success() {
    let metadata = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", metadata.local_addr().unwrap());
    let folder = TempDir::new().unwrap();
    for name in ["TERM", "INT"] {
        let arguments = ["publish-live", folder.path().to_str().unwrap(), TARGET];
        let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.as_str())];
        let mut daemon = onair(&arguments, &variables)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _request = metadata.accept().unwrap();

        let kill = Command::new("bash")
            .args(["-c", &format!("kill -{name} {}", daemon.id())])
            .status();

        assert!(kill.unwrap().success());
        assert_eq!(daemon.wait().unwrap().code(), Some(0), "SIG{name}");
    }
}

/// A region that is empty counts as not set, as each variable does in a file that keeps its line.
#[test]
fn an_empty_region_does_not_hide_another() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let off = ("AWS_EC2_METADATA_DISABLED", "true");
    let endpoint = ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    let mut daemon = onair(
        &["publish-live", dir, TARGET],
        &[
            off,
            endpoint,
            ("AWS_REGION", ""),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
        ],
    )
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut first = String::new();
    BufReader::new(daemon.stderr.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(
        first.contains("s3://onair-live/show/ (eu-west-1)"),
        "{first}"
    );

    let (code, _, stderr) = run(&["publish-live", dir, TARGET], &[off, ("AWS_REGION", "")]);
    assert!(
        code == Some(1) && stderr.contains("the region is not known: set AWS_REGION"),
        "{stderr}"
    );
}
