//! How the binary starts when something is wrong. This test is also why `cargo test` builds the
//! binary that the stories start.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]

use stand_in::start_fails;

/// Promise P26. A missing or invalid setting stops the start with an error that names the variable
/// and what it accepts.
#[test]
fn a_missing_setting_stops_the_start_and_is_named() {
    let log = start_fails(
        env!("CARGO_BIN_EXE_publish-playlist").as_ref(),
        &[("PAIR", "show")],
    );
    assert!(log.contains("SIDE_A_CHANNEL_ARN is not set"), "{log}");
}
