//! Instances serve only after their playbook passed, and terminate only after their logs are saved.

mod any_ssm;
mod faults;
mod hints;
mod launching;
mod orders;
mod saving;
mod waiting;

use serde_json::{Value, json};
use stories::fleet::{
    FLEET, Fleet, GROUP, INSTANCE, PLAYBOOKS, invocation, launched, terminating, tick,
};
use stories::{event, response};

/// Promises P95 and P97.
#[tokio::test]
async fn an_instance_serves_once_its_playbook_passed() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let function = fleet.start(&[("EXTRA_VARIABLES", "origin=live.example.com tier=web")]);

    let answer = response(function.invoke(launched(INSTANCE)).await);
    assert_eq!(answer["outcome"], "sent", "{answer:#}");
    let [command] = &fleet.ssm.commands()[..] else {
        panic!("{:?}", fleet.ssm.commands())
    };
    assert_eq!(
        (command.document.as_str(), command.instance.as_str()),
        (PLAYBOOKS, INSTANCE)
    );
    let parameter = |name: &str| command.parameters[name][0].as_str();
    assert_eq!(
        serde_json::from_str::<Value>(parameter("SourceInfo")).unwrap(),
        json!({ "path": format!("https://s3.us-west-2.amazonaws.com/{FLEET}/ansible/") })
    );
    let rest = [
        "SourceType",
        "PlaybookFile",
        "Check",
        "TimeoutSeconds",
        "ExtraVariables",
    ]
    .map(parameter);
    assert_eq!(
        rest,
        [
            "S3",
            "web.yml",
            "False",
            "1800",
            "origin=live.example.com tier=web"
        ]
    );
    assert_eq!(fleet.autoscaling.state(INSTANCE), "Pending:Wait");

    let ran = fleet.agents();
    let answer = response(function.invoke(invocation(&ran[0])).await);
    assert_eq!(answer["outcome"], "completed", "{answer:#}");
    assert_eq!(
        answer["instances"],
        json!([{
            "instance": INSTANCE,
            "state": "Pending:Wait",
            "outcome": "continued",
            "command": command.id,
            "why": "the playbook passed",
            "recap": { "hosts": 1, "ok": 5, "changed": 2, "unreachable": 0, "failed": 0 },
        }])
    );
    assert_eq!(fleet.autoscaling.state(INSTANCE), "InService");

    // A duplicate of any event changes nothing.
    for event in [
        launched(INSTANCE),
        invocation(&ran[0]),
        tick(),
        event("complete-lifecycle/by-hand.json"),
    ] {
        let answer = response(function.invoke(event).await);
        assert_eq!(
            (&answer["outcome"], &answer["instances"]),
            (&json!("unchanged"), &json!([]))
        );
    }
    assert_eq!(
        (fleet.ssm.commands().len(), fleet.results(INSTANCE)),
        (1, vec!["CONTINUE".to_owned()])
    );
}

/// Promises P95, P98 and P99.
#[tokio::test]
async fn an_instance_terminates_once_s3_has_its_logs() {
    let fleet = Fleet::new();
    fleet.serving(INSTANCE);
    fleet.autoscaling.terminate(INSTANCE);
    let function = fleet.start(&[("LOG_DIRECTORY", "/srv/log")]);

    let answer = response(function.invoke(terminating(INSTANCE)).await);
    assert_eq!(answer["outcome"], "sent", "{answer:#}");
    let [command] = &fleet.ssm.commands()[..] else {
        panic!("{:?}", fleet.ssm.commands())
    };
    let prefix = command.parameters["Prefix"][0].as_str();
    let parts: Vec<&str> = prefix.split('/').collect();
    let wait = parts[2].as_bytes();
    assert_eq!(
        (parts[0], parts[1], wait.len(), wait[8], wait[15]),
        ("logs", INSTANCE, 16, b'T', b'Z'),
        "{prefix}"
    );
    assert_eq!(
        (
            &command.parameters["Bucket"][0],
            &command.parameters["Directory"][0]
        ),
        (&FLEET.to_owned(), &"/srv/log".to_owned())
    );

    let ran = fleet.agents();
    let answer = response(function.invoke(invocation(&ran[0])).await);
    assert_eq!(answer["instances"][0]["outcome"], "continued", "{answer:#}");
    assert_eq!(
        answer["instances"][0]["why"],
        "2 log files with 9 bytes are in S3"
    );
    assert_eq!(fleet.autoscaling.state(INSTANCE), "Terminated");
}
