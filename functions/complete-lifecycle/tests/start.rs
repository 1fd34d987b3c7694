//! Starts the binary with wrong settings. Because of this test, `cargo test` builds the binary,
//! which the stories start.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]

use stand_in::start_fails;

/// The log of a start with these settings.
fn start(settings: &[(&str, &str)]) -> String {
    start_fails(env!("CARGO_BIN_EXE_complete-lifecycle").as_ref(), settings)
}

/// Promise P94. A missing or invalid setting stops the start with an error that names the setting
/// and what it accepts.
#[test]
fn a_missing_or_wrong_setting_stops_the_start_and_is_named() {
    const COMPLETE: [(&str, &str); 6] = [
        ("AUTO_SCALING_GROUP", "web"),
        ("LAUNCH_HOOK", "onair-launch"),
        ("TERMINATE_HOOK", "onair-terminate"),
        ("PLAYBOOK_BUCKET", "fleet-bucket"),
        ("LOG_BUCKET", "fleet-bucket"),
        ("LOG_DOCUMENT", "onair-logs"),
    ];
    for (name, _) in COMPLETE.iter().filter(|(name, _)| !name.ends_with("_HOOK")) {
        let without: Vec<_> = COMPLETE
            .into_iter()
            .filter(|(other, _)| other != name)
            .collect();
        assert!(
            start(&without).contains(&format!("{name} is not set")),
            "{name}"
        );
    }
    let neither: Vec<_> = COMPLETE
        .into_iter()
        .filter(|(name, _)| !name.ends_with("_HOOK"))
        .collect();
    assert!(start(&neither).contains("LAUNCH_HOOK and TERMINATE_HOOK are both empty"));
    for (name, value) in [
        ("LAUNCH_HOOK", "a hook"),
        ("PLAYBOOK_BUCKET", "Fleet/Bucket"),
        ("PLAYBOOK_FILE", "../web.yml"),
        ("PLAYBOOK_FILE", "web.yml; reboot"),
        ("PLAYBOOK_FILE", "web.sh"),
        ("CHECK_MODE", "yes"),
        ("PASS_RULE", "ok=1"),
        ("PLAYBOOK_TIMEOUT_SECONDS", "0"),
        ("EXTRA_VARIABLES", "origin=https://a.example"),
        ("EXTRA_VARIABLES", "a=$(reboot)"),
        ("EXTRA_VARIABLES", "a=\"b\""),
        ("EXTRA_VARIABLES", "a=b  c=d"),
        ("LOG_DOCUMENT", "onair logs"),
        ("LOG_DIRECTORY", "var/log"),
        ("LOG_DIRECTORY", "/var/log/$(reboot)"),
        ("LOG_DIRECTORY", "/var/../etc"),
        ("DRY_RUN", "1"),
    ] {
        let settings: Vec<_> = COMPLETE
            .into_iter()
            .filter(|(other, _)| *other != name)
            .chain([(name, value)])
            .collect();
        let log = start(&settings);
        assert!(
            log.contains(&format!("{name} is ")) && log.contains("it accepts"),
            "{name}={value}: {log}"
        );
    }
}
