//! The only crate of On Air that uses an AWS SDK. Each service has one file, with the requests that
//! the functions need.
//!
//! The SDK resolves endpoints itself (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`). With these
//! variables, tests and the demo connect the unmodified client to a stand-in.

#![warn(missing_docs)]

#[cfg(feature = "autoscaling")]
pub mod autoscaling;
#[cfg_attr(
    not(feature = "s3"),
    allow(dead_code, reason = "without a service, no call can fail")
)]
mod error;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "medialive")]
pub mod medialive;
#[cfg(feature = "mediapackage")]
pub mod mediapackage;
#[cfg(feature = "s3")]
mod rate_limiter;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "ssm")]
pub mod ssm;

pub use error::Error;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use std::env;
use std::time::Duration;

/// The configuration that every client of a Lambda function shares, from the environment.
///
/// Credentials and region are read from Lambda's variables only. To prepare the SDK's default chain
/// of sources takes longer than the rest of a start.
///
/// Retries are the SDK's standard ones. The first pause is 100 ms, because S3 recommends short
/// pauses at first. The number of attempts is enough to outlast a slow-down. A request without a
/// response for 10 s has failed.
pub async fn connect() -> SdkConfig {
    let retries = RetryConfig::standard()
        .with_max_attempts(6)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(5));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .region(EnvironmentVariableRegionProvider::new())
        .retry_config(retries)
        .timeout_config(timeouts)
        .load()
        .await
}

/// The configuration of a program on a machine of its own. Credentials and region have the same
/// sources as for the AWS CLI, including the role of an EC2 instance.
///
/// The SDK tries a request twice, each time for at most `attempt`. Longer retries are left to the
/// caller, who may have a more urgent request by then.
pub async fn connect_anywhere(attempt: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(attempt)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .region(region_anywhere())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(2)
                .with_initial_backoff(Duration::from_millis(100)),
        )
        .timeout_config(timeouts)
        .load()
        .await
}

/// The SDK's default chain, in which an empty variable counts as not set. The SDK itself would use
/// the empty text as a region.
fn region_anywhere() -> RegionProviderChain {
    let is_set = |name| env::var(name).ok().filter(|region| !region.is_empty());
    let variable = ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .find_map(is_set);
    RegionProviderChain::first_try(variable.map(Region::new))
        .or_else(ProfileFileRegionProvider::new())
        .or_else(ImdsRegionProvider::builder().build())
}
