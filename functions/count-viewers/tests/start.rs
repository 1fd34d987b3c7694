//! How the binary starts when something is wrong. This test is also why `cargo test` builds the binary that
//! the stories start.

use std::process::Command;

/// Promise P26.
#[test]
fn a_missing_setting_stops_the_start_and_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_count-viewers"));
    command.env_clear().env("AWS_REGION", "us-west-2").env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9");
    let output = command.env("STATE_BUCKET", "state").output().unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8(output.stdout).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains(r#""error.type":"Config""#) && log.contains("VIEWER_SECRET is not set"), "{log}");
}
