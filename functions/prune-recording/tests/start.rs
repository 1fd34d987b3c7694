//! How the binary starts when something is wrong. This test is also why `cargo test` builds the binary that
//! the stories start.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in what tests share")]

use std::process::Command;

fn start(settings: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prune-recording"));
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-west-2");
    let output = command.envs(settings.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Promise P26.
#[test]
fn a_wrong_or_missing_setting_stops_the_start_and_is_named() {
    let api = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9");
    let log = start(&[api, ("RECORDING_BUCKETS", "b"), ("KEEP_RENDITIONS", "<=tall")]);
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains(r#""level":"ERROR""#) && log.contains(r#""error.type":"Config""#), "{log}");
    assert!(log.contains("KEEP_RENDITIONS: ") && log.contains("`highest`, `lowest`"), "{log}");
    assert!(start(&[api]).contains("RECORDING_BUCKETS is not set"));
}

/// Promise P26.
#[test]
fn a_start_by_hand_says_how_it_is_meant_to_be_started() {
    let log = start(&[("RECORDING_BUCKETS", "b"), ("KEEP_RENDITIONS", "highest")]);
    assert!(log.contains("is started by Lambda") && log.contains("make invoke"), "{log}");
}
