//! How the binary starts when something is wrong. This test is also why `cargo test` builds the
//! binary that the stories start.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]

use stand_in::start_fails;
use std::path::Path;
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_prune-recording");

/// Promise P26. A missing or invalid setting stops the start with an error that names the variable
/// and what it accepts.
#[test]
fn a_wrong_or_missing_setting_stops_the_start_and_is_named() {
    let settings = [("RECORDING_BUCKETS", "b"), ("KEEP_RENDITIONS", "<=tall")];
    let log = start_fails(Path::new(BINARY), &settings);
    assert!(
        log.contains("KEEP_RENDITIONS: ") && log.contains("`highest`, `lowest`"),
        "{log}"
    );
    assert!(start_fails(Path::new(BINARY), &[]).contains("RECORDING_BUCKETS is not set"));
}

/// Promise P26. A missing or invalid setting stops the start with an error that names the variable
/// and what it accepts.
#[test]
fn a_start_by_hand_says_how_it_is_meant_to_be_started() {
    let settings = [("RECORDING_BUCKETS", "b"), ("KEEP_RENDITIONS", "highest")];
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", "us-west-2");
    let output = command.envs(settings).output().unwrap();
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{log}");
    assert!(
        log.contains("is started by Lambda") && log.contains("make invoke"),
        "{log}"
    );
}
