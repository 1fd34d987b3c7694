//! What is printed without starting a job, and errors of printing.

use super::{TARGET, onair, run};
use std::fs::OpenOptions;
use std::io::{PipeWriter, pipe};
use std::process::Command;
use tempfile::TempDir;

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

#[test]
fn the_version_has_the_commit_if_the_build_set_it() {
    let commit = option_env!("ONAIR_COMMIT").filter(|commit| !commit.is_empty());
    let commit = commit
        .map(|commit| format!(" ({commit})"))
        .unwrap_or_default();
    let expected = format!("onair {}{commit}\n", env!("CARGO_PKG_VERSION"));
    let rows: [&[&str]; 6] = [
        &["--version"],
        &["-V"],
        &["publish-live", "--version"],
        &["viewers", "-V"],
        &["completions", "--version"],
        &["man", "--version"],
    ];
    for arguments in rows {
        assert_eq!(
            run(arguments, &[]),
            (Some(0), expected.clone(), String::new()),
            "{arguments:?}"
        );
    }
}

#[test]
fn help_shows_variables_and_what_they_are_set_to() {
    let (code, help, _) = run(&["publish-live", "--help"], &[("ONAIR_TARGET", TARGET)]);
    assert_eq!(code, Some(0));
    for shown in [
        "[env: ONAIR_TARGET=s3://onair-live/show]",
        "[env: ONAIR_DIR=]",
        "[env: ONAIR_KEEP=]",
    ] {
        assert!(help.contains(shown), "no {shown}: {help}");
    }
}

#[test]
fn completions_name_each_subcommand_and_bash_reads_its_own() {
    let folder = TempDir::new().unwrap();
    for shell in SHELLS {
        let (code, script, stderr) = run(&["completions", shell], &[]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{shell}");
        for word in [
            "publish-live",
            "viewers",
            "completions",
            "man",
            "window-seconds",
            "trusted-proxy",
        ] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, script).unwrap();
        // Each shell that this machine has checks its own script. The Makefile needs bash.
        let parsed = match shell {
            "bash" | "zsh" => Command::new(shell).arg("-n").arg(&file).output(),
            "fish" => Command::new(shell).arg("--no-execute").arg(&file).output(),
            _ => continue,
        };
        match parsed {
            Ok(output) => assert!(
                output.status.success() && output.stderr.is_empty(),
                "{shell}: {output:?}"
            ),
            Err(error) => assert!(shell != "bash", "bash: {error}"),
        }
    }
    // Bash completes with its script.
    let complete = "source \"$0\"; COMP_WORDS=(onair publish-live --on-lost ''); COMP_CWORD=3; \
                    _onair onair '' --on-lost; echo \"${COMPREPLY[*]}\"";
    let output = Command::new("bash")
        .args(["-c", complete])
        .arg(folder.path().join("bash"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "gap hold",
        "{output:?}"
    );
}

#[test]
fn the_man_pages_name_each_variable_default_and_example() {
    let folder = TempDir::new().unwrap();
    let pages = folder.path().join("share/man1");
    let (code, out, stderr) = run(&["man", pages.to_str().unwrap()], &[]);
    assert_eq!((code, out, stderr), (Some(0), String::new(), String::new()));
    let page = |name: &str| {
        std::fs::read_to_string(pages.join(name))
            .unwrap()
            .replace("\\-", "-")
    };
    assert!(
        page("onair.1").contains("onair-publish-live(1)"),
        "{}",
        page("onair.1")
    );
    assert!(page("onair-completions.1").contains("powershell"));
    assert!(page("onair-man.1").contains("onair man /usr/local/share/man/man1"));
    assert!(page("onair-viewers.1").contains("onair viewers access.log access.log.1.gz"));
    let publish_live = page("onair-publish-live.1");
    for text in [
        "ONAIR_DIR",
        "ONAIR_TARGET",
        "ONAIR_KEEP_WINDOW",
        "300",
        "Exit codes:",
        "--on-lost",
    ] {
        assert!(publish_live.contains(text), "no {text}: {publish_live}");
    }
    for name in [
        "onair",
        "onair-publish-live",
        "onair-viewers",
        "onair-completions",
        "onair-man",
    ] {
        let page = page(&format!("{name}.1"));
        assert!(
            page.contains(&format!("\"onair {}", env!("CARGO_PKG_VERSION"))),
            "{name}: {page}"
        );
    }
    assert_eq!(std::fs::read_dir(&pages).unwrap().count(), 5);
    // A folder with the name of a page.
    let taken = folder.path().join("taken/onair.1");
    std::fs::create_dir_all(&taken).unwrap();
    let (code, _, stderr) = run(&["man", taken.parent().unwrap().to_str().unwrap()], &[]);
    assert!(
        code == Some(1) && stderr.contains("taken/onair.1: Is a directory"),
        "{stderr}"
    );
    assert!(
        stderr.starts_with("onair man: cannot write the man page "),
        "{stderr}"
    );
    // A file with the name of the folder.
    std::fs::write(folder.path().join("file"), "").unwrap();
    let (code, _, stderr) = run(
        &["man", folder.path().join("file/man1").to_str().unwrap()],
        &[],
    );
    assert!(
        code == Some(1)
            && stderr.starts_with("onair man: cannot create the folder ")
            && stderr.contains("file/man1: "),
        "{stderr}"
    );
}

/// Promise P133. The exit code is 0 only if all work succeeded, 1 on failure, and 2 for a wrong
/// argument or variable.
#[test]
fn a_closed_pipe_succeeds_and_a_full_disk_fails() {
    let log = TempDir::new().unwrap();
    let file = log.path().join("access.log");
    std::fs::write(
        &file,
        "203.0.113.1 - - [01/Jan/2026:00:00:00 +0000] \"GET /show/1.ts HTTP/1.1\" 200 1 \"-\" \"p\"\n",
    )
    .unwrap();
    let viewers = ["viewers", file.to_str().unwrap()];
    let (_, _, stderr) = run(&viewers, &[]);
    assert!(
        stderr.ends_with("1 file, 1 line: 1 request of viewers, 0 other, 0 malformed\n"),
        "{stderr}"
    );
    let rows: [(&[&str], i32); 7] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["viewers", "--help"], 0),
        (&["completions", "bash"], 0),
        (&viewers, 0),
        (&["viewers", "no-such-file"], 1),
        (&[], 2),
    ];
    for (arguments, expected) in rows {
        let status = onair(arguments, &[])
            .stdout(pipe_without_reader())
            .stderr(pipe_without_reader())
            .status();
        assert_eq!(status.unwrap().code(), Some(expected), "{arguments:?}");
    }
    for (arguments, _) in rows.into_iter().filter(|(_, expected)| *expected == 0) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = onair(arguments, &[]).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("cannot write to standard output: No space left"),
            "{arguments:?}: {stderr}"
        );
    }
    // A shell that closes standard output altogether (`>&-`).
    let closed = "exec \"$0\" \"$@\" >&- 2>&-";
    for (arguments, expected) in rows {
        let status = Command::new("bash")
            .args(["-c", closed, env!("CARGO_BIN_EXE_onair")])
            .args(arguments)
            .status();
        assert_eq!(status.unwrap().code(), Some(expected), "{arguments:?}");
    }
}

fn pipe_without_reader() -> PipeWriter {
    let (_, writer) = pipe().unwrap();
    writer
}
