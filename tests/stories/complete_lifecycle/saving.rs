//! Which saved logs let an instance terminate.

use serde_json::{Value, json};
use stand_in::{Command, CommandResult, Fault};
use stories::fleet::{FLEET, Fleet, INSTANCE, OTHER, base64_sha256, invocation, terminating, tick};
use stories::{error, response};

/// Lets the agent of a terminating instance do this, and returns the instance's part of the answer.
async fn ends(agent: impl Fn(&Fleet, &Command) -> CommandResult) -> Value {
    let fleet = Fleet::new();
    fleet.serving(INSTANCE);
    fleet.autoscaling.terminate(INSTANCE);
    let function = fleet.start(&[]);
    assert_eq!(
        response(function.invoke(terminating(INSTANCE)).await)["outcome"],
        "sent"
    );
    let ran = fleet.ssm.run(|command| agent(&fleet, command));
    let answer = response(function.invoke(invocation(&ran[0])).await);
    let entry = answer["instances"][0].clone();
    let state = fleet.autoscaling.state(INSTANCE);
    let metrics = function.stdout().concat();
    match entry["outcome"].as_str() {
        Some("continued") => {
            assert_eq!(
                (state.as_str(), metrics.contains("LogsUnverified")),
                ("Terminated", false)
            );
        }
        Some("abandoned") => {
            assert_eq!(
                (state.as_str(), metrics.contains(r#""LogsUnverified":1"#)),
                ("Terminating:Retained", true)
            );
        }
        _ => panic!("{answer:#}"),
    }
    entry
}

/// Lets the agent save and report this manifest. S3 has only `a.gz`, with the text `one`.
async fn ends_with(manifest: impl Fn(&str) -> Value, files: usize, bytes: usize) -> Value {
    ends(|fleet, command| {
        fleet.put_log(command, "a.gz", b"one");
        fleet.receipt(
            command,
            &manifest(&command.instance).to_string(),
            files,
            bytes,
        )
    })
    .await
}

#[track_caller]
fn assert_retained(entry: &Value, why: &str) {
    assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
    assert!(
        entry["why"].as_str().unwrap().contains(why),
        "{why}: {entry:#}"
    );
}

/// Promises P99 and P109.
#[tokio::test]
async fn an_instance_whose_command_failed_is_retained() {
    let failed = |_: &Fleet, _: &Command| CommandResult {
        status: "Failed".to_owned(),
        stdout: String::new(),
    };
    assert_retained(
        &ends(failed).await,
        "the command that saves the logs ended with status Failed",
    );
    // The command succeeds, and its output has no receipt.
    for stdout in [
        "",
        "done\n",
        "onair-manifest\n",
        "onair-manifest sha256=00 files=1 bytes=1\n",
    ] {
        let without_receipt = |_: &Fleet, _: &Command| CommandResult {
            status: "Success".to_owned(),
            stdout: stdout.to_owned(),
        };
        assert_retained(
            &ends(without_receipt).await,
            "does not end with the line onair-manifest",
        );
    }
    // The receipt is not the last line.
    let with_more_output = |fleet: &Fleet, command: &Command| {
        let ran = fleet.agent(command);
        CommandResult {
            stdout: ran.stdout + "and then\n",
            ..ran
        }
    };
    assert_retained(
        &ends(with_more_output).await,
        "does not end with the line onair-manifest",
    );
}

/// Promise P99. An instance terminates only if its logs are in S3.
#[tokio::test]
async fn an_instance_whose_logs_are_not_in_s3_is_retained() {
    let tampered = |start: &'static str, body: Option<&'static [u8]>| {
        move |fleet: &Fleet, command: &Command| {
            let ran = fleet.agent(command);
            let keys = fleet.s3.keys(
                FLEET,
                &format!("{}/{start}", command.parameters["Prefix"][0]),
            );
            let [key] = &keys[..] else { panic!("{keys:?}") };
            match body {
                None => fleet.s3.delete(FLEET, key),
                Some(body) => fleet.put(key, body),
            }
            ran
        }
    };
    assert_retained(
        &ends(tampered("manifest-", None)).await,
        "the manifest does not exist in S3",
    );
    assert_retained(
        &ends(tampered("manifest-", Some(b"{}"))).await,
        "differs from the one that the command reported",
    );
    assert_retained(
        &ends(tampered("manifest-", Some(&[0xff; 20]))).await,
        "cannot be read: the object is not UTF-8",
    );
    assert_retained(
        &ends(tampered("error.log-1.gz", None)).await,
        "error.log-1.gz does not exist in S3",
    );
    assert_retained(
        &ends(tampered("error.log-1.gz", Some(b"short"))).await,
        "has 5 bytes in S3 and 6 in the manifest",
    );
    assert_retained(
        &ends(tampered("error.log-1.gz", Some(b"twelfe"))).await,
        "another SHA-256",
    );
    let without_checksum = |fleet: &Fleet, command: &Command| {
        let ran = fleet.agent(command);
        let key = format!("{}/error.log-1.gz", command.parameters["Prefix"][0]);
        let body = stand_in::Object {
            body: "twelve".into(),
            ..stand_in::Object::default()
        };
        fleet.s3.put_object(FLEET, &key, body);
        ran
    };
    assert_retained(
        &ends(without_checksum).await,
        "error.log-1.gz has no SHA-256 in S3",
    );
}

/// Promise P99. An instance terminates only if its logs are in S3.
#[tokio::test]
async fn an_instance_with_a_wrong_manifest_is_retained() {
    let file = |name: &str, body: &str| json!({ "name": name, "bytes": body.len(), "sha256": base64_sha256(body.as_bytes()) });
    let good = ends_with(
        |id| json!({ "instance": id, "files": [file("a.gz", "one")] }),
        1,
        3,
    )
    .await;
    assert_eq!(good["outcome"], "continued", "{good:#}");
    let entry = ends_with(
        |_| json!({ "instance": OTHER, "files": [file("a.gz", "one")] }),
        1,
        3,
    )
    .await;
    assert_retained(&entry, "belongs to another instance");
    assert_retained(
        &ends_with(|id| json!({ "instance": id, "files": [] }), 0, 0).await,
        "lists 0 files",
    );
    let many = |id: &str| {
        let files: Vec<Value> = (0..1001)
            .map(|number| file(&format!("{number}.gz"), "one"))
            .collect();
        json!({ "instance": id, "files": files })
    };
    assert_retained(
        &ends_with(many, 1001, 3003).await,
        "lists 1001 files; 1 to 1000 are accepted",
    );
    let twice =
        |id: &str| json!({ "instance": id, "files": [file("a.gz", "one"), file("a.gz", "one")] });
    assert_retained(&ends_with(twice, 2, 6).await, "a file twice");
    let one = |id: &str| json!({ "instance": id, "files": [file("a.gz", "one")] });
    assert_retained(&ends_with(one, 2, 3).await, "differ in number or size");
    assert_retained(&ends_with(one, 1, 4).await, "differ in number or size");
    assert_retained(&ends_with(|id| json!([id]), 1, 3).await, "is malformed");
    assert_retained(
        &ends_with(
            |id| json!({ "instance": id, "files": [["a.gz", 3, ""]] }),
            1,
            3,
        )
        .await,
        "is malformed",
    );
}

/// Promise P100. Nothing of an event or of an instance's output reaches a key, a command or a log
/// before it is checked.
#[tokio::test]
async fn a_name_that_is_not_one_plain_file_is_rejected_and_not_quoted() {
    for name in [
        "../a.gz",
        "/a.gz",
        "b/a.gz",
        "",
        ".",
        "..",
        ".a",
        "-a",
        "a b",
        "a\nb",
        "$(reboot)",
        "ä",
        &"a".repeat(129),
    ] {
        let sha256 = base64_sha256(b"one");
        let hostile = |id: &str| json!({ "instance": id, "files": [{ "name": name, "bytes": 3, "sha256": sha256 }] });
        let entry = ends_with(hostile, 1, 3).await;
        assert_retained(&entry, "lists a file with an invalid name or SHA-256");
    }
    let sha256 = "not base64 at all".repeat(3);
    let hostile = |id: &str| json!({ "instance": id, "files": [{ "name": "a.gz", "bytes": 3, "sha256": sha256 }] });
    assert_retained(
        &ends_with(hostile, 1, 3).await,
        "lists a file with an invalid name or SHA-256",
    );
}

/// Promise P99. An instance terminates only if its logs are in S3.
#[tokio::test]
async fn a_failed_request_to_s3_ends_no_wait_and_the_schedule_retries() {
    let fleet = Fleet::new();
    fleet.serving(INSTANCE);
    fleet.autoscaling.terminate(INSTANCE);
    let function = fleet.start(&[]);
    response(function.invoke(terminating(INSTANCE)).await);
    let ran = fleet.agents();
    fleet.traffic.reset_calls();
    let reading = 5;
    fleet.traffic.fault(reading, Fault::status(403));
    let (error_type, message) = error(function.invoke(invocation(&ran[0])).await);
    assert_eq!(fleet.operations().last().unwrap(), "GetObject");
    assert!(
        error_type == "Aws" && message.contains("GetObject"),
        "{error_type} {message}"
    );
    assert_eq!(fleet.autoscaling.state(INSTANCE), "Terminating:Wait");
    assert_eq!(
        response(function.invoke(tick()).await)["outcome"],
        "completed"
    );
    assert_eq!(fleet.results(INSTANCE), ["CONTINUE"]);
}
