//! How the program starts when something is wrong, and what it prints without starting a job.
//! Because of these tests `cargo test` builds the binary that the stories start.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

mod daemon;
mod prints;
mod variables;

use std::process::{Command, Output, Stdio};

/// The program with only these variables in its environment.
fn onair(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onair"));
    command
        .env_clear()
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = onair(arguments, variables).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// A folder that does not exist: the daemon ends at once, without a request to S3.
const GONE: &str = "/nowhere/hls";
const TARGET: &str = "s3://onair-live/show";
const SECONDS: &str = "expected a whole number of seconds from 0 to 31536000, such as 300";

/// Promises P130 and P132.
#[test]
fn a_wrong_argument_is_repeated_with_what_is_accepted() {
    let rows: &[(&[&str], &[&str])] = &[
        (
            &[],
            &[
                "Usage: onair <COMMAND>",
                "publish-live",
                "viewers",
                "completions",
            ],
        ),
        (
            &["viewer", "log"],
            &["unrecognized subcommand 'viewer'", "'viewers'"],
        ),
        (
            &["publish_live"],
            &["unrecognized subcommand 'publish_live'", "'publish-live'"],
        ),
        (&["--viewers"], &["unexpected argument '--viewers'"]),
        (
            &["publish-live"],
            &[
                "<DIR>",
                "<TARGET>",
                "variables can set them: ONAIR_DIR, ONAIR_TARGET",
            ],
        ),
        (&["publish-live", "."], &["<TARGET>", "ONAIR_TARGET"]),
        (
            &["publish-live", ".", "onair-live/show"],
            &["'onair-live/show'", "expected s3://BUCKET"],
        ),
        (
            &["publish-live", ".", "s3://BUCKET/live"],
            &["'s3://BUCKET/live'", "expected a bucket name"],
        ),
        (
            &["publish-live", ".", "s3://b ucket/x"],
            &["'s3://b ucket/x'", "expected a bucket name"],
        ),
        (
            &["publish-live", ".", "s3://bucket?x/y#z"],
            &["expected a bucket name", "3 to 63"],
        ),
        (
            &["publish-live", ".", "s3://-bucket"],
            &["expected a bucket name"],
        ),
        (
            &["publish-live", ".", "s3://bu"],
            &["expected a bucket name"],
        ),
        (
            &["publish-live", ".", "s3://bucket/.."],
            &["'s3://bucket/..'", "expected a prefix without"],
        ),
        (
            &["publish-live", ".", "s3://bucket/a/./b"],
            &["expected a prefix without"],
        ),
        (
            &["publish-live", ".", "s3://bucket/a\u{7}b"],
            &["expected a prefix without"],
        ),
        (
            &["publish-live", TARGET],
            &[
                "'s3://onair-live/show' for '<DIR>'",
                "expected a folder",
                "ONAIR_TARGET",
            ],
        ),
        (
            &["publish-live", ".", TARGET, "more"],
            &["unexpected argument 'more'"],
        ),
        (
            &["publish-live", ".", TARGET, "--on-lost", "gaps"],
            &["'gaps'", "gap, hold"],
        ),
        (
            &["publish-live", ".", TARGET, "--log", "xml"],
            &["'xml'", "text, json"],
        ),
        (
            &["publish-live", ".", TARGET, "--keep-window", "5m"],
            &["'5m'", "--keep-window <SECONDS>", SECONDS],
        ),
        (
            &["publish-live", ".", TARGET, "--keep-window", "-1"],
            &["'-1'", SECONDS],
        ),
        (
            &["publish-live", ".", TARGET, "--keep-window", "31536001"],
            &["'31536001'", SECONDS],
        ),
        (
            &[
                "publish-live",
                ".",
                TARGET,
                "--keep-window",
                "18446744073709551615",
            ],
            &[SECONDS],
        ),
        (
            &["publish-live", ".", TARGET, "--report-every", "0"],
            &[
                "'0'",
                "expected a whole number of seconds from 1 to 86400, such as 60",
            ],
        ),
        (
            &["publish-live", ".", TARGET, "--keeps"],
            &["'--keeps'", "'--keep'"],
        ),
        (
            &["publish-live", ".", TARGET, "--keep=yes"],
            &["unexpected value 'yes' for '--keep'"],
        ),
        (&["viewers"], &["<FILE>..."]),
        (
            &["viewers", "--key", "cookie", "-"],
            &["'cookie'", "address+agent"],
        ),
        (
            &["viewers", "--format", "w3c", "-"],
            &["'w3c'", "combined, cloudfront, alb, onair"],
        ),
        (
            &["viewers", "--window-seconds", "0", "-"],
            &["'0'", "seconds from 1 to 86400, such as 60"],
        ),
        (
            &["viewers", "--window-seconds", "-1", "-"],
            &["'-1'", "seconds from 1 to 86400, such as 60"],
        ),
        (
            &["viewers", "--stream", "live", "-"],
            &["\"live\" is not a pattern of a path", "expected"],
        ),
        (
            &["viewers", "--exact-up-to", "many", "-"],
            &[
                "'many'",
                "expected a whole number of viewers from 0 to 1000000000, such as 100000",
            ],
        ),
        (
            &["viewers", "--exact-up-to", "-1", "-"],
            &["'-1'", "expected a whole number of viewers"],
        ),
        (
            &["viewers", "--trusted-proxy", "10.0.0.0/40", "-"],
            &["'10.0.0.0/40'", "expected an IP address"],
        ),
        (
            &["viewers", "--key", "x-forwarded-for", "-"],
            &["onair viewers: --key", "requires trusted proxies"],
        ),
        // The spaces that the help shows are accepted: the next error is the first.
        (
            &["viewers", "--trusted-proxy", "10.0.0.1, 10.0.0.0/8", "-"],
            &["have no effect with address"],
        ),
        (
            &[
                "viewers",
                "--stream",
                "/a/{stream}, /b/{stream}",
                "--key",
                "x-forwarded-for",
                "-",
            ],
            &["requires trusted"],
        ),
        (
            &["viewers", "--trusted-proxy", "10.0.0.0/8", "-"],
            &["onair viewers: --key", "have no effect with address"],
        ),
        (&["completions"], &["<SHELL>"]),
        (
            &["completions", "tcsh"],
            &["'tcsh'", "bash, elvish, fish, powershell, zsh"],
        ),
        (&["man"], &["<DIR>"]),
        (&["man", "a", "b"], &["unexpected argument 'b'"]),
    ];
    for &(arguments, expected) in rows {
        let (code, out, stderr) = run(arguments, &[]);
        assert_eq!(
            (code, out.as_str()),
            (Some(2), ""),
            "{arguments:?}: {stderr}"
        );
        for text in expected {
            assert!(
                stderr.contains(text),
                "{arguments:?}: no {text:?} in {stderr}"
            );
        }
        assert!(
            !stderr.contains("from the variable") && !stderr.contains("use '--"),
            "{arguments:?}: {stderr}"
        );
    }
}
