//! Stories against the stand-in's Systems Manager, or against the one that `ONAIR_SSM_ENDPOINT`
//! names. `tests/clients/test_fleet.py` names moto there, and so does
//! `tests/template/second_opinion.py`, under the role of the template.
//!
//! moto does not run commands: each succeeds at once, without output, and its step has another name
//! than the step of a playbook.

use serde_json::Value;
use stand_in::CommandResult;
use std::{env, process};
use stories::fleet::{Fleet, GROUP, launched, terminating};
use stories::response;

/// Settings of the function, and the variables that replace the stand-in's values if they are set.
const OVERRIDES: [(&str, &str); 5] = [
    ("AWS_ENDPOINT_URL_SSM", "ONAIR_SSM_ENDPOINT"),
    ("AWS_ACCESS_KEY_ID", "ONAIR_FUNCTION_ACCESS_KEY_ID"),
    ("AWS_SECRET_ACCESS_KEY", "ONAIR_FUNCTION_SECRET_ACCESS_KEY"),
    ("AWS_SESSION_TOKEN", "ONAIR_FUNCTION_SESSION_TOKEN"),
    ("LOG_DOCUMENT", "ONAIR_LOG_DOCUMENT"),
];

/// An instance ID that is unique to this process: moto keeps the commands of earlier runs.
fn instance(fleet: &Fleet) -> String {
    let instance = format!("i-{:017x}", process::id());
    fleet.ssm.register(&instance);
    instance
}

async fn invoke(fleet: &Fleet, event: Value) -> Value {
    let given = OVERRIDES
        .iter()
        .filter_map(|(setting, name)| Some((*setting, env::var(name).ok()?)));
    let given: Vec<_> = given.collect();
    let given: Vec<_> = given
        .iter()
        .map(|(setting, value)| (*setting, value.as_str()))
        .collect();
    let answer = response(fleet.call(&given, event).await);
    answer["instances"][0].clone()
}

/// Promise P101. A delay is not a failure: the schedule checks again.
#[tokio::test]
async fn a_playbook_is_sent_once_and_waited_for() {
    let fleet = Fleet::new();
    let instance = instance(&fleet);
    fleet.autoscaling.launch(GROUP, &instance);
    let sent = invoke(&fleet, launched(&instance)).await;
    assert_eq!(sent["outcome"], "sent", "{sent:#}");
    for again in 1..3 {
        let entry = invoke(&fleet, launched(&instance)).await;
        assert_eq!(
            (&entry["outcome"], &entry["command"]),
            (&"running".into(), &sent["command"]),
            "{entry:#}"
        );
        assert_eq!(fleet.autoscaling.heartbeats().len(), again);
    }
}

/// Promise P99. An instance terminates only if its logs are in S3.
#[tokio::test]
async fn a_command_that_saved_nothing_lets_no_instance_terminate() {
    let fleet = Fleet::new();
    let instance = instance(&fleet);
    fleet.serving(&instance);
    fleet.autoscaling.terminate(&instance);
    let sent = invoke(&fleet, terminating(&instance)).await;
    assert_eq!(sent["outcome"], "sent", "{sent:#}");
    fleet.ssm.run(|_| CommandResult {
        status: "Success".to_owned(),
        stdout: String::new(),
    });
    let entry = invoke(&fleet, terminating(&instance)).await;
    assert_eq!(
        (&entry["outcome"], &entry["command"]),
        (&"abandoned".into(), &sent["command"]),
        "{entry:#}"
    );
    assert_eq!(fleet.results(&instance), ["ABANDON"]);
}
