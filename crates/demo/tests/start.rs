//! Builds the binary for `tests/player/demo.mjs`, and checks its error without a page.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]

use std::process::Command;

#[test]
fn without_the_page_it_fails_and_the_error_names_the_command_that_builds_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--serve", "no-such-folder"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("no-such-folder cannot be read: run `make demo SERVE=1`"),
        "{stderr}"
    );
}
