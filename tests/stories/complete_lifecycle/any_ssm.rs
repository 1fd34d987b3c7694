//! Against the stand-in's Systems Manager, or another one that `ONAIR_SSM_ENDPOINT` names:
//! `tests/clients/test_fleet.py` lets moto be it, and so does `tests/template/second_opinion.py`,
//! under the template's own role.
//!
//! moto runs nothing: each command has succeeded at once, without an output, in a step of another
//! name than a playbook's.

use serde_json::Value;
use stand_in::CommandResult;
use std::{env, process};
use stories::fleet::{Fleet, GROUP, launched, terminating};
use stories::response;

/// What the function is told, if the environment says so, in the place of the stand-in's.
const ELSEWHERE: [(&str, &str); 5] = [
    ("AWS_ENDPOINT_URL_SSM", "ONAIR_SSM_ENDPOINT"),
    ("AWS_ACCESS_KEY_ID", "ONAIR_FUNCTION_ACCESS_KEY_ID"),
    ("AWS_SECRET_ACCESS_KEY", "ONAIR_FUNCTION_SECRET_ACCESS_KEY"),
    ("AWS_SESSION_TOKEN", "ONAIR_FUNCTION_SESSION_TOKEN"),
    ("LOG_DOCUMENT", "ONAIR_LOG_DOCUMENT"),
];

/// An instance of this run, since moto keeps the commands of the runs before.
fn instance(fleet: &Fleet) -> String {
    let instance = format!("i-{:017x}", process::id());
    fleet.ssm.register(&instance);
    instance
}

async fn invoke(fleet: &Fleet, event: Value) -> Value {
    let given = ELSEWHERE
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

/// Promise P101.
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

/// Promise P99.
#[tokio::test]
async fn a_command_that_saved_nothing_lets_nothing_go() {
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
