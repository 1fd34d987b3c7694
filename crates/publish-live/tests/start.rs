//! How the daemon starts when something is wrong. This test is also why `cargo test` builds the binary that the stories
//! start.

use std::process::Command;

#[test]
fn a_target_that_is_none_stops_the_start_and_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_publish-live"));
    let output = command.env_clear().args([".", "onair-live/show"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("onair-live/show") && said.contains("s3://BUCKET"), "{said}");
}
