//! Against the stand-in's Systems Manager, or another one that `ONAIR_SSM_ENDPOINT` names: `tests/clients/test_fleet.py` lets
//! moto be it.
//!
//! moto runs nothing: each command has succeeded at once, without an output, in a step of another name than a playbook's.

use serde_json::Value;
use stand_in::Ran;
use std::env;
use stories::fleet::{Fleet, GROUP, INSTANCE, launched, terminating};
use stories::response;

async fn invoke(fleet: &Fleet, event: Value) -> Value {
    let endpoint = env::var("ONAIR_SSM_ENDPOINT").unwrap_or_else(|_| fleet.ssm.endpoint_url());
    let answer = response(fleet.call(&[("AWS_ENDPOINT_URL_SSM", &endpoint)], event).await);
    answer["instances"][0].clone()
}

/// Promise P101.
#[tokio::test]
async fn a_playbook_is_sent_once_and_waited_for() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let sent = invoke(&fleet, launched(INSTANCE)).await;
    assert_eq!(sent["outcome"], "sent", "{sent:#}");
    for again in 1..3 {
        let entry = invoke(&fleet, launched(INSTANCE)).await;
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
    fleet.serving(INSTANCE);
    fleet.autoscaling.terminate(INSTANCE);
    let sent = invoke(&fleet, terminating(INSTANCE)).await;
    assert_eq!(sent["outcome"], "sent", "{sent:#}");
    fleet.ssm.run(|_| Ran { status: "Success".to_owned(), stdout: String::new() });
    let entry = invoke(&fleet, terminating(INSTANCE)).await;
    assert_eq!((&entry["outcome"], &entry["command"]), (&"abandoned".into(), &sent["command"]), "{entry:#}");
    assert_eq!(fleet.results(INSTANCE), ["ABANDON"]);
}
