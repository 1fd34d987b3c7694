//! How the program starts when something is wrong, and what it prints without doing a job. These tests are also why
//! `cargo test` builds the binary that the stories start.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in what tests share")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, PipeWriter, pipe};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// It gets nothing of this process's environment.
fn onair(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onair"));
    command.env_clear().args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = onair(arguments, variables).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];
/// It is not there, so that the daemon ends at once, and asks S3 for nothing.
const GONE: &str = "/nowhere/hls";
const TARGET: &str = "s3://onair-live/show";
const SECONDS: &str = "expected a whole number of seconds from 0 to 31536000, such as 300";

/// Promises P130 and P132.
#[test]
fn a_wrong_argument_is_repeated_with_what_is_accepted() {
    let rows: &[(&[&str], &[&str])] = &[
        (&[], &["Usage: onair <COMMAND>", "publish-live", "viewers", "completions"]),
        (&["viewer", "log"], &["unrecognized subcommand 'viewer'", "'viewers'"]),
        (&["publish_live"], &["unrecognized subcommand 'publish_live'", "'publish-live'"]),
        (&["--viewers"], &["unexpected argument '--viewers'"]),
        (&["publish-live"], &["<DIR>", "<TARGET>", "variables can set them: ONAIR_DIR, ONAIR_TARGET"]),
        (&["publish-live", "."], &["<TARGET>", "ONAIR_TARGET"]),
        (&["publish-live", ".", "onair-live/show"], &["'onair-live/show'", "expected s3://BUCKET"]),
        (&["publish-live", ".", "s3://BUCKET/live"], &["'s3://BUCKET/live'", "expected a bucket's name"]),
        (&["publish-live", ".", "s3://b ucket/x"], &["'s3://b ucket/x'", "expected a bucket's name"]),
        (&["publish-live", ".", "s3://bucket?x/y#z"], &["expected a bucket's name", "3 to 63"]),
        (&["publish-live", ".", "s3://-bucket"], &["expected a bucket's name"]),
        (&["publish-live", ".", "s3://bu"], &["expected a bucket's name"]),
        (&["publish-live", ".", "s3://bucket/.."], &["'s3://bucket/..'", "expected a prefix without"]),
        (&["publish-live", ".", "s3://bucket/a/./b"], &["expected a prefix without"]),
        (&["publish-live", ".", "s3://bucket/a\u{7}b"], &["expected a prefix without"]),
        (
            &["publish-live", TARGET],
            &["'s3://onair-live/show' for '<DIR>'", "expected a folder", "ONAIR_TARGET"],
        ),
        (&["publish-live", ".", TARGET, "more"], &["unexpected argument 'more'"]),
        (&["publish-live", ".", TARGET, "--on-lost", "gaps"], &["'gaps'", "gap, hold"]),
        (&["publish-live", ".", TARGET, "--log", "xml"], &["'xml'", "text, json"]),
        (
            &["publish-live", ".", TARGET, "--keep-window", "5m"],
            &["'5m'", "--keep-window <SECONDS>", SECONDS],
        ),
        (&["publish-live", ".", TARGET, "--keep-window", "-1"], &["'-1'", SECONDS]),
        (&["publish-live", ".", TARGET, "--keep-window", "31536001"], &["'31536001'", SECONDS]),
        (&["publish-live", ".", TARGET, "--keep-window", "18446744073709551615"], &[SECONDS]),
        (
            &["publish-live", ".", TARGET, "--report-every", "0"],
            &["'0'", "expected a whole number of seconds from 1 to 86400, such as 60"],
        ),
        (&["publish-live", ".", TARGET, "--keeps"], &["'--keeps'", "'--keep'"]),
        (&["publish-live", ".", TARGET, "--keep=yes"], &["unexpected value 'yes' for '--keep'"]),
        (&["viewers"], &["<FILE>..."]),
        (&["viewers", "--key", "cookie", "-"], &["'cookie'", "address+agent"]),
        (&["viewers", "--format", "w3c", "-"], &["'w3c'", "combined, cloudfront, alb, onair"]),
        (&["viewers", "--window-seconds", "0", "-"], &["'0'", "seconds from 1 to 86400, such as 60"]),
        (&["viewers", "--window-seconds", "-1", "-"], &["'-1'", "seconds from 1 to 86400, such as 60"]),
        (&["viewers", "--stream", "live", "-"], &["\"live\" is not a pattern of a path", "expected"]),
        (
            &["viewers", "--exact-up-to", "many", "-"],
            &["'many'", "expected a whole number of viewers from 0 to 1000000000, such as 100000"],
        ),
        (&["viewers", "--exact-up-to", "-1", "-"], &["'-1'", "expected a whole number of viewers"]),
        (&["viewers", "--trusted-proxy", "10.0.0.0/40", "-"], &["'10.0.0.0/40'", "expected an IP address"]),
        (
            &["viewers", "--key", "x-forwarded-for", "-"],
            &["onair viewers: --key", "needs the trusted proxies"],
        ),
        // The spaces that the help shows are accepted: the next error is the first.
        (&["viewers", "--trusted-proxy", "10.0.0.1, 10.0.0.0/8", "-"], &["mean nothing with address"]),
        (
            &["viewers", "--stream", "/a/{stream}, /b/{stream}", "--key", "x-forwarded-for", "-"],
            &["needs the"],
        ),
        (
            &["viewers", "--trusted-proxy", "10.0.0.0/8", "-"],
            &["onair viewers: --key", "mean nothing with address"],
        ),
        (&["completions"], &["<SHELL>"]),
        (&["completions", "tcsh"], &["'tcsh'", "bash, elvish, fish, powershell, zsh"]),
        (&["man"], &["<DIR>"]),
        (&["man", "a", "b"], &["unexpected argument 'b'"]),
    ];
    for &(arguments, expected) in rows {
        let (code, out, said) = run(arguments, &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {said}");
        for text in expected {
            assert!(said.contains(text), "{arguments:?}: no {text:?} in {said}");
        }
        assert!(!said.contains("from the variable") && !said.contains("use '--"), "{arguments:?}: {said}");
    }
}

/// Promise P132: an error about the line itself does not blame a variable, whatever is set.
#[test]
fn a_variable_is_not_blamed_for_the_line() {
    let set = [("ONAIR_KEEP", "1"), ("ONAIR_LOG", "text"), ("ONAIR_KEEP_WINDOW", "5")];
    let rows: [&[&str]; 5] = [
        &["--keep=true"],
        &["--keep", "--keep"],
        &["--log", "json", "--log", "json"],
        &["--keep-window"],
        &["--keep-window="],
    ];
    for (arguments, variables) in rows.iter().flat_map(|row| [(row, &[][..]), (row, &set[..])]) {
        let (code, _, said) = run(&[&["publish-live", GONE, TARGET], *arguments].concat(), variables);
        assert!(code == Some(2) && !said.contains("variable"), "{arguments:?}: {said}");
    }
}

/// Promise P132.
#[test]
fn a_value_that_is_not_utf_8_is_named() {
    let wrong = OsStr::from_bytes(b"js\xffn");
    let rows: [(&[&str], &str, &str); 3] = [
        (
            &["publish-live", GONE, TARGET],
            "ONAIR_REPORT_EVERY",
            "variable ONAIR_REPORT_EVERY is not UTF-8: 'js\u{fffd}n'",
        ),
        (&["publish-live", GONE, TARGET], "ONAIR_KEEP", "variable ONAIR_KEEP is not UTF-8: 'js\u{fffd}n'"),
        (&["publish-live", GONE], "ONAIR_TARGET", "variable ONAIR_TARGET is not UTF-8: 'js\u{fffd}n'"),
    ];
    for (arguments, name, expected) in rows {
        let output = onair(arguments, &[]).env(name, wrong).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{name}: {said}");
    }
    // A folder may have such a name: the other argument is to blame.
    let rows: [(&[&str], &str); 3] = [
        (&["--keep-window"], "argument '--keep-window js\u{fffd}n' is not UTF-8"),
        (&["--report-every"], "argument '--report-every js\u{fffd}n' is not UTF-8"),
        (&[], "argument 'js\u{fffd}n' is not UTF-8"),
    ];
    for (option, expected) in rows {
        let mut command = onair(&["publish-live"], &[]);
        let output = command.arg(OsStr::from_bytes(b"/nowhere/\xff")).args(option).arg(wrong).output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{option:?}: {said}");
        assert!(!said.contains("nowhere"), "{said}");
    }
}

/// Promise P132.
#[test]
fn a_wrong_variable_is_named_with_its_value_and_what_is_accepted() {
    let rows: [(&str, &str, &[&str]); 7] = [
        ("ONAIR_TARGET", "onair-live/show", &["'onair-live/show'", "s3://BUCKET/PREFIX"]),
        ("ONAIR_KEEP", "ture", &["'ture'", "true or false"]),
        ("ONAIR_KEEP_WINDOW", "-1", &["'-1'", SECONDS]),
        ("ONAIR_DIR", TARGET, &["'s3://onair-live/show'", "expected a folder"]),
        ("ONAIR_ON_LOST", "gaps", &["'gaps'", "gap, hold"]),
        ("ONAIR_REPORT_EVERY", "0", &["'0'", "expected a whole number of seconds from 1 to 86400"]),
        ("ONAIR_LOG", "JSON", &["'JSON'", "text, json"]),
    ];
    for (name, value, expected) in rows {
        let usual = [("ONAIR_DIR", GONE), ("ONAIR_TARGET", TARGET)];
        let variables = [&usual[..], &[(name, value)]].concat();
        let (code, _, said) = run(&["publish-live"], &variables);
        assert!(
            code == Some(2) && said.contains(&format!("the value is from the variable {name}")),
            "{said}"
        );
        for text in expected {
            assert!(said.contains(text), "{name}={value}: no {text:?} in {said}");
        }
        // The command line wins, and is the one to blame.
        let option = format!("--{}", name.trim_start_matches("ONAIR_").to_lowercase().replace('_', "-"));
        if !["--dir", "--target", "--keep"].contains(&option.as_str()) {
            let (code, _, said) = run(&["publish-live", &option, "wrong"], &variables);
            assert!(
                code == Some(2) && said.contains("'wrong'") && !said.contains("from the variable"),
                "{said}"
            );
        }
    }
}

/// Promise P132.
#[test]
fn an_empty_variable_counts_as_not_set() {
    let all = ["KEEP", "KEEP_WINDOW", "ON_LOST", "REPORT_EVERY", "LOG"].map(|name| format!("ONAIR_{name}"));
    let empty: Vec<(&str, &str)> = all.iter().map(|name| (name.as_str(), "")).collect();
    let (code, _, said) = run(&["publish-live", GONE, TARGET], &empty);
    assert!(code == Some(1) && said.contains("/nowhere/hls cannot be watched"), "{said}");
    let (code, _, said) = run(&["publish-live", "."], &[("ONAIR_TARGET", "")]);
    assert!(code == Some(2) && said.contains("not provided:\n  <TARGET>"), "{said}");
}

#[test]
fn an_argument_may_be_given_and_the_other_set_and_the_argument_wins() {
    for (arguments, variables) in [
        (&["publish-live"][..], &[("ONAIR_DIR", GONE), ("ONAIR_TARGET", TARGET)][..]),
        (&["publish-live", GONE], &[("ONAIR_TARGET", TARGET)]),
        (&["publish-live", GONE, TARGET], &[("ONAIR_DIR", "/set"), ("ONAIR_TARGET", "s3://set")]),
    ] {
        let (code, _, said) = run(arguments, variables);
        assert!(code == Some(1) && said.contains("/nowhere/hls cannot be watched"), "{arguments:?}: {said}");
    }
}

/// Promise P131.
#[test]
fn a_former_name_of_a_variable_is_not_taken_and_one_warning_names_the_new_one() {
    // What would be wrong, or be seen, if it were taken.
    let rows = [
        ("KEEP", "ture"),
        ("KEEP_WINDOW", "5m"),
        ("ON_LOST", "gaps"),
        ("REPORT_EVERY", "0"),
        ("LOG", "json"),
    ];
    let given = ["publish-live", GONE, TARGET];
    let warnings = |said: &str| said.lines().filter(|line| line.contains("former names")).count();
    for row @ (name, value) in rows {
        let (code, out, said) = run(&given, &[row]);
        let ended = "ERROR /nowhere/hls cannot be watched";
        assert!(code == Some(1) && said.contains(ended) && out.is_empty(), "{name}={value}: {said}");
        let warning =
            format!("WARN former names of variables are set and not read: {name}; set ONAIR_{name} instead");
        assert!(said.contains(&warning) && warnings(&said) == 1, "{name}={value}: {said}");
        let (_, _, said) =
            run(&given, &[row, (&format!("ONAIR_{name}"), if name == "LOG" { "text" } else { "1" })]);
        assert_eq!(warnings(&said), 0, "{said}");
        let (_, _, said) = run(&given, &[(name, "")]);
        assert_eq!(warnings(&said), 0, "{said}");
    }
    // All in one line, in the log's own format.
    let (code, _, said) = run(&[&given[..], &["--log", "json"]].concat(), &rows);
    let expected = "not read: KEEP_WINDOW, KEEP, ON_LOST, REPORT_EVERY; \
                    set ONAIR_KEEP_WINDOW, ONAIR_KEEP, ONAIR_ON_LOST, ONAIR_REPORT_EVERY instead";
    assert!(code == Some(1) && said.contains(expected) && warnings(&said) == 1, "{said}");
    assert!(said.lines().all(|line| line.starts_with('{')), "{said}");
}

/// Promise P131: whoever has put the new program in place, and left the file of variables as it was.
#[test]
fn former_names_of_what_must_be_given_are_named_beside_the_error() {
    let former = [("DIR", GONE), ("TARGET", TARGET)];
    let (code, _, said) = run(&["publish-live"], &former);
    let warning = "onair publish-live: former names of variables are set and not read: DIR, TARGET; \
                   set ONAIR_DIR, ONAIR_TARGET instead\n";
    assert!(code == Some(2) && said.starts_with(warning) && said.contains("<TARGET>"), "{said}");
    assert_eq!(said.matches("former names").count(), 1, "{said}");
    // The new ones win, and so does the command line: nothing would have been read.
    let new = [("ONAIR_DIR", "/new"), ("ONAIR_TARGET", TARGET)];
    for (arguments, variables) in [
        (&["publish-live"][..], &[&former[..], &new].concat()[..]),
        (&["publish-live", "/new", TARGET], &former),
    ] {
        let (code, _, said) = run(arguments, variables);
        assert!(code == Some(1) && said.contains("/new cannot be watched"), "{said}");
        assert!(!said.contains("former names"), "{said}");
    }
    // What is wrong in the line is the only error: nothing that the line has is missed.
    let all = [("KEEP", "1"), ("DIR", "x"), ("TARGET", "y"), ("LOG", "json")];
    for arguments in [
        &["publish-live", "--log", "xml", "--keep", GONE, TARGET][..],
        &["publish-live", "--keeps", "--keep", GONE, TARGET],
    ] {
        let (code, _, said) = run(arguments, &all);
        assert!(code == Some(2) && !said.contains("former names"), "{said}");
    }
    // Shells set such names for reasons of their own: other subcommands, and help, say nothing of them.
    for arguments in
        [&["viewers", "no-such-file"][..], &["completions", "bash"], &["publish-live", "--help"], &[]]
    {
        let (_, out, said) = run(arguments, &former);
        assert!(!(out + &said).contains("former names"), "{arguments:?}");
    }
}

/// The unit, and the file of variables that the guide shows.
#[test]
fn the_unit_starts_the_daemon_from_its_file_of_variables() {
    let read = |path: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let unit = read("systemd/publish-live.service");
    let started = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/onair ")).unwrap();
    let guide = read("../../docs/guides/publish-live.md").replace("BUCKET", "my-bucket");
    let lines =
        guide.lines().map(str::trim).filter(|line| line.starts_with("ONAIR_") || line.starts_with("AWS_"));
    let mut variables: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
    assert!(variables.keys().eq(&["AWS_REGION", "ONAIR_DIR", "ONAIR_LOG", "ONAIR_TARGET"]), "{variables:?}");
    variables.insert("ONAIR_DIR", GONE);

    let arguments: Vec<&str> = started.split(' ').collect();
    let variables: Vec<(&str, &str)> = variables.into_iter().collect();
    let (code, _, said) = run(&arguments, &variables);

    assert!(code == Some(1) && said.contains("/nowhere/hls cannot be watched"), "{said}");
    assert!(said.starts_with('{'), "ONAIR_LOG=json is not taken: {said}");
    // A wrong setting does not get better by starting again.
    assert_eq!(run(&arguments, &[]).0, Some(2));
    assert!(unit.contains("\nRestartPreventExitStatus=2\n"), "{unit}");
}

#[test]
fn the_version_has_the_commit_if_the_build_set_it() {
    let commit = option_env!("ONAIR_COMMIT").filter(|commit| !commit.is_empty());
    let commit = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
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
        assert_eq!(run(arguments, &[]), (Some(0), expected.clone(), String::new()), "{arguments:?}");
    }
}

#[test]
fn help_shows_variables_and_what_they_are_set_to() {
    let (code, help, _) = run(&["publish-live", "--help"], &[("ONAIR_TARGET", TARGET)]);
    assert_eq!(code, Some(0));
    for shown in ["[env: ONAIR_TARGET=s3://onair-live/show]", "[env: ONAIR_DIR=]", "[env: ONAIR_KEEP=]"] {
        assert!(help.contains(shown), "no {shown}: {help}");
    }
}

#[test]
fn completions_name_each_subcommand_and_bash_reads_its_own() {
    let folder = TempDir::new().unwrap();
    for shell in SHELLS {
        let (code, script, said) = run(&["completions", shell], &[]);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{shell}");
        for word in ["publish-live", "viewers", "completions", "man", "window-seconds", "trusted-proxy"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, script).unwrap();
        // Whichever of these shells this machine has reads its script. The Makefile needs bash.
        let parsed = match shell {
            "bash" | "zsh" => Command::new(shell).arg("-n").arg(&file).output(),
            "fish" => Command::new(shell).arg("--no-execute").arg(&file).output(),
            _ => continue,
        };
        match parsed {
            Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}"),
            Err(error) => assert!(shell != "bash", "bash: {error}"),
        }
    }
    // And bash completes by it.
    let complete = "source \"$0\"; COMP_WORDS=(onair publish-live --on-lost ''); COMP_CWORD=3; \
                    _onair onair '' --on-lost; echo \"${COMPREPLY[*]}\"";
    let output =
        Command::new("bash").args(["-c", complete]).arg(folder.path().join("bash")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "gap hold", "{output:?}");
}

#[test]
fn the_man_pages_name_each_variable_default_and_example() {
    let folder = TempDir::new().unwrap();
    let pages = folder.path().join("share/man1");
    let (code, out, said) = run(&["man", pages.to_str().unwrap()], &[]);
    assert_eq!((code, out, said), (Some(0), String::new(), String::new()));
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap().replace("\\-", "-");
    assert!(page("onair.1").contains("onair-publish-live(1)"), "{}", page("onair.1"));
    assert!(page("onair-completions.1").contains("powershell"));
    assert!(page("onair-man.1").contains("onair man /usr/local/share/man/man1"));
    assert!(page("onair-viewers.1").contains("onair viewers access.log access.log.1.gz"));
    let publish_live = page("onair-publish-live.1");
    for text in ["ONAIR_DIR", "ONAIR_TARGET", "ONAIR_KEEP_WINDOW", "300", "Exit codes:", "--on-lost"] {
        assert!(publish_live.contains(text), "no {text}: {publish_live}");
    }
    for name in ["onair", "onair-publish-live", "onair-viewers", "onair-completions", "onair-man"] {
        let page = page(&format!("{name}.1"));
        assert!(page.contains(&format!("\"onair {}", env!("CARGO_PKG_VERSION"))), "{name}: {page}");
    }
    assert_eq!(std::fs::read_dir(&pages).unwrap().count(), 5);
    // A folder in the place of a page.
    let taken = folder.path().join("taken/onair.1");
    std::fs::create_dir_all(&taken).unwrap();
    let (code, _, said) = run(&["man", taken.parent().unwrap().to_str().unwrap()], &[]);
    assert!(code == Some(1) && said.contains("taken/onair.1: Is a directory"), "{said}");
    assert!(said.starts_with("onair man: cannot write the man page "), "{said}");
    // Where it is a file there can be no folder.
    std::fs::write(folder.path().join("file"), "").unwrap();
    let (code, _, said) = run(&["man", folder.path().join("file/man1").to_str().unwrap()], &[]);
    assert!(
        code == Some(1)
            && said.starts_with("onair man: cannot make the folder ")
            && said.contains("file/man1: "),
        "{said}"
    );
}

/// Promise P133.
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
    let (_, _, said) = run(&viewers, &[]);
    assert!(said.ends_with("1 file, 1 line: 1 request of viewers, 0 other, 0 not understood\n"), "{said}");
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
        let status =
            onair(arguments, &[]).stdout(pipe_without_reader()).stderr(pipe_without_reader()).status();
        assert_eq!(status.unwrap().code(), Some(expected), "{arguments:?}");
    }
    for (arguments, _) in rows.into_iter().filter(|(_, expected)| *expected == 0) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = onair(arguments, &[]).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("cannot write to standard output: No space left"), "{arguments:?}: {said}");
    }
    // A shell that closes standard output altogether (`>&-`).
    let closed = "exec \"$0\" \"$@\" >&- 2>&-";
    for (arguments, expected) in rows {
        let status =
            Command::new("bash").args(["-c", closed, env!("CARGO_BIN_EXE_onair")]).args(arguments).status();
        assert_eq!(status.unwrap().code(), Some(expected), "{arguments:?}");
    }
}

/// Promise P133: a limit that one subcommand meets does not stop the others.
#[test]
fn few_open_files_fail_the_daemon_only() {
    let limited = |arguments: &[&str]| {
        let line = ["-c", "ulimit -n 4; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_onair")];
        Command::new("bash").args(line).args(arguments).output().unwrap()
    };
    assert_eq!(limited(&["--version"]).status.code(), Some(0));
    let Output { status, stderr, .. } = limited(&["publish-live", GONE, TARGET]);
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.code() == Some(1) && said.contains("cannot start: "), "{status}: {said}");
}

/// Promise P80: also while instance metadata does not answer.
#[test]
fn a_signal_while_connecting_ends_the_daemon_with_success() {
    let metadata = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", metadata.local_addr().unwrap());
    let folder = TempDir::new().unwrap();
    for name in ["TERM", "INT"] {
        let arguments = ["publish-live", folder.path().to_str().unwrap(), TARGET];
        let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.as_str())];
        let mut daemon = onair(&arguments, &variables).stderr(Stdio::piped()).spawn().unwrap();
        let _request = metadata.accept().unwrap();

        let kill = Command::new("bash").args(["-c", &format!("kill -{name} {}", daemon.id())]).status();

        assert!(kill.unwrap().success());
        assert_eq!(daemon.wait().unwrap().code(), Some(0), "SIG{name}");
    }
}

/// A region that is empty counts as not set, as each variable does in a file that keeps its line.
#[test]
fn an_empty_region_does_not_hide_another() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let off = ("AWS_EC2_METADATA_DISABLED", "true");
    let endpoint = ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    let mut daemon = onair(
        &["publish-live", dir, TARGET],
        &[off, endpoint, ("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-1")],
    )
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut first = String::new();
    BufReader::new(daemon.stderr.take().unwrap()).read_line(&mut first).unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(first.contains("s3://onair-live/show/ (eu-west-1)"), "{first}");

    let (code, _, said) = run(&["publish-live", dir, TARGET], &[off, ("AWS_REGION", "")]);
    assert!(code == Some(1) && said.contains("the region is not known: set AWS_REGION"), "{said}");
}

fn pipe_without_reader() -> PipeWriter {
    let (_, writer) = pipe().unwrap();
    writer
}
