//! How the binary answers to wrong arguments. This test is also why `cargo test` builds the binary that the stories start.

use std::process::Command;

/// Promise P130.
#[test]
fn a_wrong_argument_is_named_with_what_it_accepts() {
    let said = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_viewers")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let rows: [(&[&str], &str); 7] = [
        (&[], "<FILE>..."),
        (&["--key", "cookie", "-"], "address+agent"),
        (&["--format", "w3c", "-"], "combined, cloudfront, alb, onair"),
        (&["--window-seconds", "0", "-"], "0 is not in 1..=86400"),
        (&["--stream", "live", "-"], "no pattern of a path"),
        (&["--key", "x-forwarded-for", "-"], "needs the trusted proxies"),
        (&["--trusted-proxy", "10.0.0.0/8", "-"], "mean nothing with address"),
    ];
    for (arguments, expected) in rows {
        let (code, text) = said(arguments);
        assert!(code == Some(2) && text.contains(expected), "{arguments:?}: {code:?} {text}");
    }
}
