//! What the stories are told with: an S3, recordings in it, the real binaries, the event files.

pub mod any_pair;
pub mod audience;
pub mod cloud;
pub mod faults;
pub mod fleet;
pub mod pair;

pub use any_pair::AnyPair;
pub use cloud::{Cloud, Stored};

use serde_json::Value;
use stand_in::ivs::Recording;
use stand_in::{Answer, Function};
use std::path::{Path, PathBuf};

/// The bucket of the documented events.
pub const BUCKET: &str = "r2s3-dev-channel-1-recordings";
/// A second bucket, which keeps versions.
pub const VERSIONED: &str = "second-channel-recordings";

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A function's binary as `cargo` built it for this test run: it lies beside the test's own folder. It is
/// there because the function's package has an integration test of its own, for which cargo builds it.
///
/// # Panics
///
/// If it has not been built.
pub fn binary(stem: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let binary = test.ancestors().nth(2).map(|target| target.join(stem)).unwrap_or_default();
    assert!(binary.exists(), "{} is not there: run `cargo build --workspace`", binary.display());
    binary
}

/// An event file, by its path below `events/`.
///
/// # Panics
///
/// If it is not there, or not JSON.
pub fn event(file: &str) -> Value {
    let path = root().join("events").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `recording-end.json`, as IVS sends it for this recording.
pub fn recording_end(bucket: &str, recording: &Recording) -> Value {
    let mut event = event("prune-recording/recording-end.json");
    event["detail"]["recording_s3_bucket_name"] = bucket.into();
    event["detail"]["recording_s3_key_prefix"] = recording.prefix.clone().into();
    event
}

/// `object-created.json`, as S3 sends it for this recording's metadata.
pub fn object_created(bucket: &str, recording: &Recording) -> Value {
    let mut event = event("prune-recording/object-created.json");
    event["detail"]["bucket"]["name"] = bucket.into();
    event["detail"]["object"]["key"] = format!("{}/events/recording-ended.json", recording.prefix).into();
    event
}

/// A recording of its own for a story, so that stories can share a bucket.
pub fn recording(story: &str) -> Recording {
    let mut recording = Recording::default();
    for rendition in &mut recording.renditions {
        rendition.segment_bytes = rendition.height;
    }
    recording.prefix = format!("ivs/v1/123456789012/AbCdef1G2hij/2020/6/23/20/12/{story}");
    recording
}

/// Invokes a function that has just been started with these settings.
pub async fn prune(cloud: &Cloud, settings: &[(&str, &str)], event: Value) -> Answer {
    start(cloud, settings).invoke(event).await
}

/// Starts `prune-recording` with these settings beside the usual ones.
pub fn start(cloud: &Cloud, settings: &[(&str, &str)]) -> Function {
    let usual = [("RECORDING_BUCKETS".to_owned(), format!("{BUCKET},{VERSIONED}"))];
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Function::start(&binary("prune-recording"), cloud.environment().into_iter().chain(usual).chain(settings))
}

/// What the function answered.
///
/// # Panics
///
/// If it failed instead.
pub fn response(answer: Answer) -> Value {
    answer.into_response()
}

/// The type and the message of the error that the function reported.
///
/// # Panics
///
/// If it reported none.
pub fn error(answer: Answer) -> (String, String) {
    match answer {
        Answer::Error { error_type, error_message } => (error_type, error_message),
        other => panic!("no error, but {other:?}"),
    }
}
