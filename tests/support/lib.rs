//! Support for the stories: an S3, recordings, the real binaries, the event files.

pub mod any_pair;
pub mod audience;
pub mod cloud;
mod external;
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

/// A second bucket, which is versioned.
pub const VERSIONED: &str = "second-channel-recordings";

/// A binary of this build: a function or a program. Cargo builds it for the integration test of its
/// package.
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
/// If it does not exist, or is not JSON.
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

/// A recording with its own prefix for each story, so that stories can share a bucket.
pub fn recording(story: &str) -> Recording {
    let mut recording = Recording::default();
    for rendition in &mut recording.renditions {
        rendition.segment_bytes = rendition.height;
    }
    recording.prefix = format!("ivs/v1/123456789012/AbCdef1G2hij/2020/6/23/20/12/{story}");
    recording
}

/// Starts `prune-recording` with these settings and invokes it once.
pub async fn prune(cloud: &Cloud, settings: &[(&str, &str)], event: Value) -> Answer {
    start(cloud, settings).invoke(event).await
}

/// Starts `prune-recording` with these settings in addition to the usual ones.
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

/// The function's result.
///
/// # Panics
///
/// If the function failed.
pub fn response(answer: Answer) -> Value {
    answer.into_response()
}

/// The type and the message of the error that the function reported.
///
/// # Panics
///
/// If the function did not report an error.
pub fn error(answer: Answer) -> (String, String) {
    match answer {
        Answer::Error {
            error_type,
            error_message,
        } => (error_type, error_message),
        other => panic!("no error, but {other:?}"),
    }
}

/// Waits until a condition holds.
///
/// # Panics
///
/// If it does not hold within this time.
pub fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(10));
    }
}
