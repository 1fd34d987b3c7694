//! A dry run changes nothing, in any function. Each documented event is sent to each function with
//! `dry_run` beside it. Without `dry_run`, the same event makes its own function write.

use serde_json::{Value, json};
use stand_in::ivs::Recording;
use stand_in::{Call, Function, S3, Traffic, Versioning};
use std::path::Path;
use stories::fleet::{Fleet, GROUP, INSTANCE};
use stories::pair::{ALERT, CHANNELS, Stage, alarm_action, alert_set};
use stories::{BUCKET, VERSIONED, binary, event, response, root};

const A: usize = 0;

/// A function, prepared so that each of its own events leads to a write, and its calls.
struct Scene<'a> {
    function: Function,
    traffic: &'a Traffic,
}

impl Scene<'_> {
    /// Sends every documented event with `dry_run` beside it, then one alone.
    async fn plays(self, stem: &str, real: Value) {
        self.traffic.reset_calls();
        for (file, event) in documented_events() {
            let answer = self.function.invoke(dry(event)).await;
            assert_eq!(writes(self.traffic), [], "{stem} {file}: {answer:?}");
        }

        let answer = response(self.function.invoke(real).await);

        assert_ne!(writes(self.traffic), [], "{stem}: {answer:#}");
    }
}

/// All files of `events/`, by their path.
fn documented_events() -> Vec<(String, Value)> {
    let mut events = Vec::new();
    for folder in files(&root().join("events")) {
        for file in files(&folder) {
            let text = std::fs::read_to_string(&file).unwrap();
            events.push((file.display().to_string(), text.parse().unwrap()));
        }
    }
    assert!(events.len() > 40, "{events:?}");
    events
}

/// The entries of a folder. A file has none.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn dry(mut event: Value) -> Value {
    event["onair"]["dry_run"] = true.into();
    event
}

/// The calls since the last reset that change something.
fn writes(traffic: &Traffic) -> Vec<Call> {
    let is_read = |call: &Call| {
        ["Describe", "List", "Get", "Head", "GET", "HEAD"]
            .iter()
            .any(|verb| call.operation.starts_with(verb))
    };
    let calls = traffic.calls().into_iter();
    calls.filter(|call| !is_read(call)).collect()
}

/// An S3 with the buckets that the events name, and the variables of a function that uses it.
fn s3(traffic: &Traffic, settings: &[(&str, &str)]) -> (S3, Vec<(String, String)>) {
    let s3 = S3::builder().traffic(traffic).start();
    for bucket in [BUCKET, "access-logs"] {
        s3.create_bucket(bucket, Versioning::Off);
    }
    s3.create_bucket(VERSIONED, Versioning::Enabled);
    let usual = [("AWS_ENDPOINT_URL_S3", s3.endpoint_url())];
    let environment = scenes::lambda::environment(usual, settings);
    (s3, environment)
}

/// Promise P23. A dry run (`DRY_RUN=true` or `"onair": {"dry_run": true}`) reports the figures of a
/// real run, and changes nothing.
#[tokio::test]
async fn prune_recording_writes_nothing_in_a_dry_run_by_any_event() {
    let traffic = Traffic::default();
    let settings = [
        ("RECORDING_BUCKETS", BUCKET),
        ("KEEP_RENDITIONS", "highest"),
    ];
    let (s3, environment) = s3(&traffic, &settings);
    let real = event("prune-recording/recording-end.json");
    Recording::default().put_into(&s3, BUCKET);

    let function = Function::start(&binary("prune-recording"), environment);
    let scene = Scene {
        function,
        traffic: &traffic,
    };
    scene.plays("prune-recording", real).await;
}

/// Promise P125. A dry run reports the figures of a real run, stores nothing, and reports no
/// metric.
#[tokio::test]
async fn count_viewers_writes_nothing_in_a_dry_run_by_any_event() {
    let traffic = Traffic::default();
    let settings = [
        ("STATE_BUCKET", VERSIONED),
        ("VIEWER_SECRET", "0123456789abcdefghijklmnopqrstuvwxyz"),
    ];
    for real in ["object-created", "subscription"] {
        let (s3, environment) = s3(&traffic, &settings);
        let real = event(&format!("count-viewers/{real}.json"));
        let key = event("count-viewers/object-created.json")["detail"]["object"]["key"].take();
        let line = r#"10.0.0.1 - - [01/Jan/2026:00:00:10 +0000] "GET /show/1.ts HTTP/1.1" 200 1"#;
        s3.put("access-logs", key.as_str().unwrap(), format!("{line}\n"));

        let function = Function::start(&binary("count-viewers"), environment);
        let scene = Scene {
            function,
            traffic: &traffic,
        };
        scene.plays("count-viewers", real).await;
    }
}

/// Promise P106. A dry run (`DRY_RUN=true` or `"onair": {"dry_run": true}`) reports what would be
/// done, and changes nothing.
#[tokio::test]
async fn complete_lifecycle_writes_nothing_in_a_dry_run_by_any_event() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);

    let scene = Scene {
        function: fleet.start(&[]),
        traffic: &fleet.traffic,
    };
    scene
        .plays(
            "complete-lifecycle",
            event("complete-lifecycle/launch.json"),
        )
        .await;
}

/// Promise P59. A dry run (`DRY_RUN=true` or `"onair": {"dry_run": true}`) reports what would be
/// done, and changes nothing.
#[tokio::test]
async fn the_functions_of_a_pair_write_nothing_in_a_dry_run_by_any_event() {
    let stage = Stage::new();
    let scene = |stem: &str| Scene {
        function: stage.start(stem, &[]),
        traffic: &stage.traffic,
    };
    let schedule = event("publish-playlist/schedule.json");
    scene("publish-playlist")
        .plays("publish-playlist", schedule)
        .await;

    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    scene("fail-over").plays("fail-over", alarm_action(A)).await;
    let answer = response(stage.call("fail-over", &[], dry(alert_set(A))).await);
    assert_eq!(answer["outcome"], "unchanged", "{answer:#}");

    stage.medialive.clear_alert(CHANNELS[A], 0, ALERT);
    let by_hand = json!({ "onair": { "side": "A" } });
    scene("fail-back").plays("fail-back", by_hand).await;
}
