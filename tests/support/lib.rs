//! What the stories are told with: an S3, recordings in it, the real binaries, the event files.

pub mod any_pair;
pub mod audience;
pub mod cloud;
pub mod faults;
pub mod fleet;
pub mod pair;

pub use any_pair::AnyPair;
pub use cloud::{Cloud, StoredObject};
pub use scenes::recording::BUCKET;
pub use scenes::root;

use serde_json::Value;
use stand_in::ivs::Recording;
use stand_in::{Answer, Function};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A second bucket, which keeps versions.
pub const VERSIONED: &str = "second-channel-recordings";

/// A binary of this build: a function's, or a program's. It is there because its package has an
/// integration test of its own, for which cargo builds it.
///
/// # Panics
///
/// If it has not been built.
pub fn binary(name: &str) -> PathBuf {
    scenes::binary(name).unwrap_or_else(|error| panic!("{error:#}"))
}

/// An event file, by its path below `events/`.
///
/// # Panics
///
/// If it is not there, or not JSON.
pub fn event(file: &str) -> Value {
    scenes::event(file).unwrap_or_else(|error| panic!("{error:#}"))
}

/// `recording-end.json`, as IVS sends it for this recording.
pub fn recording_end(bucket: &str, recording: &Recording) -> Value {
    scenes::recording::ended(
        event("prune-recording/recording-end.json"),
        bucket,
        recording,
    )
}

/// `object-created.json`, as S3 sends it for this recording's metadata.
pub fn object_created(bucket: &str, recording: &Recording) -> Value {
    scenes::recording::created(
        event("prune-recording/object-created.json"),
        bucket,
        recording,
    )
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
    let usual = [(
        "RECORDING_BUCKETS".to_owned(),
        format!("{BUCKET},{VERSIONED}"),
    )];
    let settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Function::start(
        &binary("prune-recording"),
        cloud.environment().into_iter().chain(usual).chain(settings),
    )
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
        Answer::Error {
            error_type,
            error_message,
        } => (error_type, error_message),
        other => panic!("no error, but {other:?}"),
    }
}

/// Waits until something is so.
///
/// # Panics
///
/// If it is not within this time.
pub fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(10));
    }
}
