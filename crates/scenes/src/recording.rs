//! A bucket with recordings of Amazon IVS.

use crate::lambda::{self, Environment};
use serde_json::Value;
use stand_in::ivs::Recording;
use stand_in::{S3, Snapshot, Versioning};

/// The bucket of the documented events.
pub const BUCKET: &str = "r2s3-dev-channel-1-recordings";

/// A bucket that `prune-recording` may prune.
pub struct Archive {
    pub s3: S3,
    pub bucket: String,
}

impl Archive {
    /// Creates an empty bucket without versioning.
    pub fn new(s3: S3, bucket: &str) -> Self {
        s3.create_bucket(bucket, Versioning::Off);
        Self {
            s3,
            bucket: bucket.to_owned(),
        }
    }

    /// The environment of `prune-recording`. `settings` override the usual values.
    pub fn environment(&self, settings: &[(&str, &str)]) -> Environment {
        let usual = [
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint_url()),
            ("RECORDING_BUCKETS", self.bucket.clone()),
        ];
        lambda::environment(usual, settings)
    }

    /// All that the bucket has now.
    pub fn contents(&self) -> Snapshot {
        self.s3.snapshot(&self.bucket)
    }

    pub fn put(&self, recording: &Recording) {
        recording.put_into(&self.s3, &self.bucket);
    }
}

/// A documented event of IVS, for this recording.
pub fn ended(mut event: Value, bucket: &str, recording: &Recording) -> Value {
    event["detail"]["recording_s3_bucket_name"] = bucket.into();
    event["detail"]["recording_s3_key_prefix"] = recording.prefix.clone().into();
    event
}

/// A documented event of S3, for this recording's metadata.
pub fn created(mut event: Value, bucket: &str, recording: &Recording) -> Value {
    event["detail"]["bucket"]["name"] = bucket.into();
    event["detail"]["object"]["key"] =
        format!("{}/events/recording-ended.json", recording.prefix).into();
    event
}
