//! Which logs let an instance go.

use serde_json::{Value, json};
use stand_in::{Command, CommandResult, Fault};
use stories::fleet::{FLEET, Fleet, INSTANCE, OTHER, base64_sha256, invocation, terminating, tick};
use stories::{error, response};

/// How the wait of an instance that goes ends whose agent does this: the answer's words for it.
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

/// A manifest of these files, told of as it is, while S3 has `a.gz` with `one` only.
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
fn assert_kept(entry: &Value, why: &str) {
    assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
    assert!(
        entry["why"].as_str().unwrap().contains(why),
        "{why}: {entry:#}"
    );
}

/// Promises P99 and P109.
#[tokio::test]
async fn an_instance_whose_command_failed_is_kept() {
    let failed = |_: &Fleet, _: &Command| CommandResult {
        status: "Failed".to_owned(),
        stdout: String::new(),
    };
    assert_kept(
        &ends(failed).await,
        "the command that saves the logs ended with status Failed",
    );
    // It says that it is done, and nothing of what it saved.
    for stdout in [
        "",
        "done\n",
        "onair-manifest\n",
        "onair-manifest sha256=00 files=1 bytes=1\n",
    ] {
        let quiet = |_: &Fleet, _: &Command| CommandResult {
            status: "Success".to_owned(),
            stdout: stdout.to_owned(),
        };
        assert_kept(
            &ends(quiet).await,
            "does not end with the line onair-manifest",
        );
    }
    // Something came after the line, or it was cut off.
    let noisy = |fleet: &Fleet, command: &Command| {
        let ran = fleet.agent(command);
        CommandResult {
            stdout: ran.stdout + "and then\n",
            ..ran
        }
    };
    assert_kept(
        &ends(noisy).await,
        "does not end with the line onair-manifest",
    );
}

/// Promise P99.
#[tokio::test]
async fn an_instance_whose_logs_s3_does_not_have_is_kept() {
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
    assert_kept(
        &ends(tampered("manifest-", None)).await,
        "the manifest does not exist in S3",
    );
    assert_kept(
        &ends(tampered("manifest-", Some(b"{}"))).await,
        "differs from the one that the command reported",
    );
    assert_kept(
        &ends(tampered("manifest-", Some(&[0xff; 20]))).await,
        "cannot be read: the object is not UTF-8",
    );
    assert_kept(
        &ends(tampered("error.log-1.gz", None)).await,
        "error.log-1.gz does not exist in S3",
    );
    assert_kept(
        &ends(tampered("error.log-1.gz", Some(b"short"))).await,
        "has 5 bytes in S3 and 6 in the manifest",
    );
    assert_kept(
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
    assert_kept(
        &ends(without_checksum).await,
        "error.log-1.gz has no SHA-256 in S3",
    );
}

/// Promise P99.
#[tokio::test]
async fn an_instance_whose_manifest_is_not_its_own_or_senseless_is_kept() {
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
    assert_kept(&entry, "belongs to another instance");
    assert_kept(
        &ends_with(|id| json!({ "instance": id, "files": [] }), 0, 0).await,
        "lists 0 files",
    );
    let many = |id: &str| {
        let files: Vec<Value> = (0..1001)
            .map(|number| file(&format!("{number}.gz"), "one"))
            .collect();
        json!({ "instance": id, "files": files })
    };
    assert_kept(
        &ends_with(many, 1001, 3003).await,
        "lists 1001 files; 1 to 1000 are accepted",
    );
    let twice =
        |id: &str| json!({ "instance": id, "files": [file("a.gz", "one"), file("a.gz", "one")] });
    assert_kept(&ends_with(twice, 2, 6).await, "a file twice");
    let one = |id: &str| json!({ "instance": id, "files": [file("a.gz", "one")] });
    assert_kept(&ends_with(one, 2, 3).await, "differ in number or size");
    assert_kept(&ends_with(one, 1, 4).await, "differ in number or size");
    assert_kept(&ends_with(|id| json!([id]), 1, 3).await, "is malformed");
    assert_kept(
        &ends_with(
            |id| json!({ "instance": id, "files": [["a.gz", 3, ""]] }),
            1,
            3,
        )
        .await,
        "is malformed",
    );
}

/// Promise P100.
#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused_and_not_repeated() {
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
        assert_kept(&entry, "lists a file with an invalid name or SHA-256");
    }
    let sha256 = "not base64 at all".repeat(3);
    let hostile = |id: &str| json!({ "instance": id, "files": [{ "name": "a.gz", "bytes": 3, "sha256": sha256 }] });
    assert_kept(
        &ends_with(hostile, 1, 3).await,
        "lists a file with an invalid name or SHA-256",
    );
}

/// Promise P99.
#[tokio::test]
async fn s3_in_trouble_ends_nothing_and_the_schedule_looks_again() {
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
