//! The stand-in's S3, driven by the real SDK.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

mod deletes;
mod faults;
mod listings;
mod objects;
#[path = "../sdk/mod.rs"]
mod sdk;
mod versions;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use sdk::{refusal, refused};
use stand_in::{ACCESS_KEY_ID, REGION, S3, SECRET_ACCESS_KEY, Versioning};

const BUCKET: &str = "recordings";

/// A client that tries once.
fn client(s3: &S3) -> Client {
    client_with(s3, SECRET_ACCESS_KEY, RetryConfig::disabled())
}

fn client_with(s3: &S3, secret: &str, retries: RetryConfig) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new(
            ACCESS_KEY_ID,
            secret,
            None,
            None,
            "stand-in",
        ))
        .endpoint_url(s3.endpoint_url())
        .region(Region::new(REGION))
        .retry_config(retries);
    Client::from_conf(config.build())
}

/// A server with one empty bucket, and its client.
fn start(versioning: Versioning) -> (S3, Client) {
    let s3 = S3::start();
    s3.create_bucket(BUCKET, versioning);
    let client = client(&s3);
    (s3, client)
}
