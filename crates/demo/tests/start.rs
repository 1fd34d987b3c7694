//! That there is a binary after `cargo test`, for `tests/player/demo.mjs`, and that it says what it
//! misses.

use std::process::Command;

#[test]
fn without_its_page_it_serves_nothing_and_says_how_to_get_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--serve", "no-such-folder"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no-such-folder: `make demo SERVE=1` makes it"),
        "{said}"
    );
}
