//! Variables of the environment.

use super::{GONE, SECONDS, TARGET, onair, run};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Promise P132: an error about the line itself does not blame a variable, whatever is set.
#[test]
fn a_variable_is_not_blamed_for_the_line() {
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
        let (code, _, said) = run(
            &[&["publish-live", GONE, TARGET], *arguments].concat(),
            variables,
        );
        assert!(
            code == Some(2) && !said.contains("variable"),
            "{arguments:?}: {said}"
        );
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
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && said.contains(expected),
            "{name}: {said}"
        );
    }
    // A folder may have such a name: the other argument is to blame.
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
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && said.contains(expected),
            "{option:?}: {said}"
        );
        assert!(!said.contains("nowhere"), "{said}");
    }
}

/// Promise P132.
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
        let (code, _, said) = run(&["publish-live"], &variables);
        assert!(
            code == Some(2) && said.contains(&format!("the value is from the variable {name}")),
            "{said}"
        );
        for text in expected {
            assert!(said.contains(text), "{name}={value}: no {text:?} in {said}");
        }
        // The command line wins, and is the one to blame.
        let option = format!(
            "--{}",
            name.trim_start_matches("ONAIR_")
                .to_lowercase()
                .replace('_', "-")
        );
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
    let all = ["KEEP", "KEEP_WINDOW", "ON_LOST", "REPORT_EVERY", "LOG"]
        .map(|name| format!("ONAIR_{name}"));
    let empty: Vec<(&str, &str)> = all.iter().map(|name| (name.as_str(), "")).collect();
    let (code, _, said) = run(&["publish-live", GONE, TARGET], &empty);
    assert!(
        code == Some(1) && said.contains("/nowhere/hls cannot be watched"),
        "{said}"
    );
    let (code, _, said) = run(&["publish-live", "."], &[("ONAIR_TARGET", "")]);
    assert!(
        code == Some(2) && said.contains("not provided:\n  <TARGET>"),
        "{said}"
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
        let (code, _, said) = run(arguments, variables);
        assert!(
            code == Some(1) && said.contains("/nowhere/hls cannot be watched"),
            "{arguments:?}: {said}"
        );
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
    let warnings = |said: &str| {
        said.lines()
            .filter(|line| line.contains("former names"))
            .count()
    };
    for row @ (name, value) in rows {
        let (code, out, said) = run(&given, &[row]);
        let ended = "ERROR /nowhere/hls cannot be watched";
        assert!(
            code == Some(1) && said.contains(ended) && out.is_empty(),
            "{name}={value}: {said}"
        );
        let warning = format!(
            "WARN former names of variables are set and not read: {name}; set ONAIR_{name} instead"
        );
        assert!(
            said.contains(&warning) && warnings(&said) == 1,
            "{name}={value}: {said}"
        );
        let (_, _, said) = run(
            &given,
            &[
                row,
                (
                    &format!("ONAIR_{name}"),
                    if name == "LOG" { "text" } else { "1" },
                ),
            ],
        );
        assert_eq!(warnings(&said), 0, "{said}");
        let (_, _, said) = run(&given, &[(name, "")]);
        assert_eq!(warnings(&said), 0, "{said}");
    }
    // All in one line, in the log's own format.
    let (code, _, said) = run(&[&given[..], &["--log", "json"]].concat(), &rows);
    let expected = "not read: KEEP_WINDOW, KEEP, ON_LOST, REPORT_EVERY; \
                    set ONAIR_KEEP_WINDOW, ONAIR_KEEP, ONAIR_ON_LOST, ONAIR_REPORT_EVERY instead";
    assert!(
        code == Some(1) && said.contains(expected) && warnings(&said) == 1,
        "{said}"
    );
    assert!(said.lines().all(|line| line.starts_with('{')), "{said}");
}

/// Promise P131: whoever has put the new program in place, and left the file of variables as it
/// was.
#[test]
fn former_names_of_what_must_be_given_are_named_beside_the_error() {
    let former = [("DIR", GONE), ("TARGET", TARGET)];
    let (code, _, said) = run(&["publish-live"], &former);
    let warning = "onair publish-live: former names of variables are set and not read: DIR, TARGET; \
                   set ONAIR_DIR, ONAIR_TARGET instead\n";
    assert!(
        code == Some(2) && said.starts_with(warning) && said.contains("<TARGET>"),
        "{said}"
    );
    assert_eq!(said.matches("former names").count(), 1, "{said}");
    // The new ones win, and so does the command line: nothing would have been read.
    let new = [("ONAIR_DIR", "/new"), ("ONAIR_TARGET", TARGET)];
    for (arguments, variables) in [
        (&["publish-live"][..], &[&former[..], &new].concat()[..]),
        (&["publish-live", "/new", TARGET], &former),
    ] {
        let (code, _, said) = run(arguments, variables);
        assert!(
            code == Some(1) && said.contains("/new cannot be watched"),
            "{said}"
        );
        assert!(!said.contains("former names"), "{said}");
    }
    // What is wrong in the line is the only error: nothing that the line has is missed.
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
        let (code, _, said) = run(arguments, &all);
        assert!(code == Some(2) && !said.contains("former names"), "{said}");
    }
    // Shells set such names for reasons of their own: other subcommands, and help, say nothing of
    // them.
    for arguments in [
        &["viewers", "no-such-file"][..],
        &["completions", "bash"],
        &["publish-live", "--help"],
        &[],
    ] {
        let (_, out, said) = run(arguments, &former);
        assert!(!(out + &said).contains("former names"), "{arguments:?}");
    }
}
