//! Variables of the environment.

use super::{GONE, SECONDS, TARGET, onair, run};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Promise P132: an error about the command line does not name a variable.
#[test]
fn an_error_of_the_command_line_does_not_name_a_variable() {
    let set = [
        ("ONAIR_KEEP", "1"),
        ("ONAIR_LOG", "text"),
        ("ONAIR_KEEP_WINDOW", "5"),
    ];
    let rows: [&[&str]; 5] = [
        &["--keep=true"],
        &["--keep", "--keep"],
        &["--log", "json", "--log", "json"],
        &["--keep-window"],
        &["--keep-window="],
    ];
    for (arguments, variables) in rows
        .iter()
        .flat_map(|row| [(row, &[][..]), (row, &set[..])])
    {
        let (code, _, stderr) = run(
            &[&["publish-live", GONE, TARGET], *arguments].concat(),
            variables,
        );
        assert!(
            code == Some(2) && !stderr.contains("variable"),
            "{arguments:?}: {stderr}"
        );
    }
}

/// Promise P132. A wrong or missing argument or variable stops the start with exit code 2.
#[test]
fn a_value_that_is_not_utf_8_is_named() {
    let wrong = OsStr::from_bytes(b"js\xffn");
    let rows: [(&[&str], &str, &str); 3] = [
        (
            &["publish-live", GONE, TARGET],
            "ONAIR_REPORT_EVERY",
            "variable ONAIR_REPORT_EVERY is not UTF-8: 'js\u{fffd}n'",
        ),
        (
            &["publish-live", GONE, TARGET],
            "ONAIR_KEEP",
            "variable ONAIR_KEEP is not UTF-8: 'js\u{fffd}n'",
        ),
        (
            &["publish-live", GONE],
            "ONAIR_TARGET",
            "variable ONAIR_TARGET is not UTF-8: 'js\u{fffd}n'",
        ),
    ];
    for (arguments, name, expected) in rows {
        let output = onair(arguments, &[]).env(name, wrong).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && stderr.contains(expected),
            "{name}: {stderr}"
        );
    }
    // A folder may have such a name, so that the error is about the other argument.
    let rows: [(&[&str], &str); 3] = [
        (
            &["--keep-window"],
            "argument '--keep-window js\u{fffd}n' is not UTF-8",
        ),
        (
            &["--report-every"],
            "argument '--report-every js\u{fffd}n' is not UTF-8",
        ),
        (&[], "argument 'js\u{fffd}n' is not UTF-8"),
    ];
    for (option, expected) in rows {
        let mut command = onair(&["publish-live"], &[]);
        let output = command
            .arg(OsStr::from_bytes(b"/nowhere/\xff"))
            .args(option)
            .arg(wrong)
            .output();
        let output = output.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && stderr.contains(expected),
            "{option:?}: {stderr}"
        );
        assert!(!stderr.contains("nowhere"), "{stderr}");
    }
}

/// Promise P132. A wrong or missing argument or variable stops the start with exit code 2.
#[test]
fn a_wrong_variable_is_named_with_its_value_and_what_is_accepted() {
    let rows: [(&str, &str, &[&str]); 7] = [
        (
            "ONAIR_TARGET",
            "onair-live/show",
            &["'onair-live/show'", "s3://BUCKET/PREFIX"],
        ),
        ("ONAIR_KEEP", "ture", &["'ture'", "true or false"]),
        ("ONAIR_KEEP_WINDOW", "-1", &["'-1'", SECONDS]),
        (
            "ONAIR_DIR",
            TARGET,
            &["'s3://onair-live/show'", "expected a folder"],
        ),
        ("ONAIR_ON_LOST", "gaps", &["'gaps'", "gap, hold"]),
        (
            "ONAIR_REPORT_EVERY",
            "0",
            &["'0'", "expected a whole number of seconds from 1 to 86400"],
        ),
        ("ONAIR_LOG", "JSON", &["'JSON'", "text, json"]),
    ];
    for (name, value, expected) in rows {
        let usual = [("ONAIR_DIR", GONE), ("ONAIR_TARGET", TARGET)];
        let variables = [&usual[..], &[(name, value)]].concat();
        let (code, _, stderr) = run(&["publish-live"], &variables);
        assert!(
            code == Some(2) && stderr.contains(&format!("the value is from the variable {name}")),
            "{stderr}"
        );
        for text in expected {
            assert!(
                stderr.contains(text),
                "{name}={value}: no {text:?} in {stderr}"
            );
        }
        // The command line has priority, so that the error is about it.
        let option = format!(
            "--{}",
            name.trim_start_matches("ONAIR_")
                .to_lowercase()
                .replace('_', "-")
        );
        if !["--dir", "--target", "--keep"].contains(&option.as_str()) {
            let (code, _, stderr) = run(&["publish-live", &option, "wrong"], &variables);
            assert!(
                code == Some(2)
                    && stderr.contains("'wrong'")
                    && !stderr.contains("from the variable"),
                "{stderr}"
            );
        }
    }
}

/// Promise P132. A wrong or missing argument or variable stops the start with exit code 2.
#[test]
fn an_empty_variable_counts_as_not_set() {
    let all = ["KEEP", "KEEP_WINDOW", "ON_LOST", "REPORT_EVERY", "LOG"]
        .map(|name| format!("ONAIR_{name}"));
    let empty: Vec<(&str, &str)> = all.iter().map(|name| (name.as_str(), "")).collect();
    let (code, _, stderr) = run(&["publish-live", GONE, TARGET], &empty);
    assert!(
        code == Some(1) && stderr.contains("/nowhere/hls cannot be watched"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["publish-live", "."], &[("ONAIR_TARGET", "")]);
    assert!(
        code == Some(2) && stderr.contains("not provided:\n  <TARGET>"),
        "{stderr}"
    );
}

#[test]
fn an_argument_may_be_given_and_the_other_set_and_the_argument_wins() {
    for (arguments, variables) in [
        (
            &["publish-live"][..],
            &[("ONAIR_DIR", GONE), ("ONAIR_TARGET", TARGET)][..],
        ),
        (&["publish-live", GONE], &[("ONAIR_TARGET", TARGET)]),
        (
            &["publish-live", GONE, TARGET],
            &[("ONAIR_DIR", "/set"), ("ONAIR_TARGET", "s3://set")],
        ),
    ] {
        let (code, _, stderr) = run(arguments, variables);
        assert!(
            code == Some(1) && stderr.contains("/nowhere/hls cannot be watched"),
            "{arguments:?}: {stderr}"
        );
    }
}

/// Promise P131. Every variable that `onair` defines begins with `ONAIR_`.
#[test]
fn a_former_name_of_a_variable_is_ignored_and_one_warning_names_the_new_one() {
    // Values that would cause an error or another format if they were read.
    let rows = [
        ("KEEP", "ture"),
        ("KEEP_WINDOW", "5m"),
        ("ON_LOST", "gaps"),
        ("REPORT_EVERY", "0"),
        ("LOG", "json"),
    ];
    let given = ["publish-live", GONE, TARGET];
    let warnings = |stderr: &str| {
        stderr
            .lines()
            .filter(|line| line.contains("former names"))
            .count()
    };
    for row @ (name, value) in rows {
        let (code, out, stderr) = run(&given, &[row]);
        let ended = "ERROR /nowhere/hls cannot be watched";
        assert!(
            code == Some(1) && stderr.contains(ended) && out.is_empty(),
            "{name}={value}: {stderr}"
        );
        let warning = format!(
            "WARN former names of variables are set and not read: {name}; set ONAIR_{name} instead"
        );
        assert!(
            stderr.contains(&warning) && warnings(&stderr) == 1,
            "{name}={value}: {stderr}"
        );
        let (_, _, stderr) = run(
            &given,
            &[
                row,
                (
                    &format!("ONAIR_{name}"),
                    if name == "LOG" { "text" } else { "1" },
                ),
            ],
        );
        assert_eq!(warnings(&stderr), 0, "{stderr}");
        let (_, _, stderr) = run(&given, &[(name, "")]);
        assert_eq!(warnings(&stderr), 0, "{stderr}");
    }
    // One line for all, in the format of the log.
    let (code, _, stderr) = run(&[&given[..], &["--log", "json"]].concat(), &rows);
    let expected = "not read: KEEP_WINDOW, KEEP, ON_LOST, REPORT_EVERY; \
                    set ONAIR_KEEP_WINDOW, ONAIR_KEEP, ONAIR_ON_LOST, ONAIR_REPORT_EVERY instead";
    assert!(
        code == Some(1) && stderr.contains(expected) && warnings(&stderr) == 1,
        "{stderr}"
    );
    assert!(stderr.lines().all(|line| line.starts_with('{')), "{stderr}");
}

/// Promise P131: after an upgrade that left the file of variables as it was.
#[test]
fn former_names_of_required_arguments_are_named_beside_the_error() {
    let former = [("DIR", GONE), ("TARGET", TARGET)];
    let (code, _, stderr) = run(&["publish-live"], &former);
    let warning = "onair publish-live: former names of variables are set and not read: DIR, TARGET; \
                   set ONAIR_DIR, ONAIR_TARGET instead\n";
    assert!(
        code == Some(2) && stderr.starts_with(warning) && stderr.contains("<TARGET>"),
        "{stderr}"
    );
    assert_eq!(stderr.matches("former names").count(), 1, "{stderr}");
    // New names and the command line have priority: the former names would not have been read.
    let new = [("ONAIR_DIR", "/new"), ("ONAIR_TARGET", TARGET)];
    for (arguments, variables) in [
        (&["publish-live"][..], &[&former[..], &new].concat()[..]),
        (&["publish-live", "/new", TARGET], &former),
    ] {
        let (code, _, stderr) = run(arguments, variables);
        assert!(
            code == Some(1) && stderr.contains("/new cannot be watched"),
            "{stderr}"
        );
        assert!(!stderr.contains("former names"), "{stderr}");
    }
    // An error of the command line is the only error: the former names do not matter.
    let all = [
        ("KEEP", "1"),
        ("DIR", "x"),
        ("TARGET", "y"),
        ("LOG", "json"),
    ];
    for arguments in [
        &["publish-live", "--log", "xml", "--keep", GONE, TARGET][..],
        &["publish-live", "--keeps", "--keep", GONE, TARGET],
    ] {
        let (code, _, stderr) = run(arguments, &all);
        assert!(
            code == Some(2) && !stderr.contains("former names"),
            "{stderr}"
        );
    }
    // Shells use such names for other purposes: other subcommands and the help do not mention them.
    for arguments in [
        &["viewers", "no-such-file"][..],
        &["completions", "bash"],
        &["publish-live", "--help"],
        &[],
    ] {
        let (_, out, stderr) = run(arguments, &former);
        assert!(!(out + &stderr).contains("former names"), "{arguments:?}");
    }
}
