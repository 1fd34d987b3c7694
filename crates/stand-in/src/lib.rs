//! AWS on loopback for tests, demo and bench.
//!
//! Real clients and real function binaries run against it unmodified: only their endpoint URL
//! differs.
//!
//! - [`S3`]: Amazon S3 in memory, as strict as the real service where a client can notice it.
//! - [`MediaPackage`]: origin endpoints, and the streams that they serve: [`SyntheticStream`] or
//!   ffmpeg's files.
//! - [`MediaLive`]: channels and their alerts.
//! - [`AutoScaling`]: groups, warm pools and lifecycle hooks.
//! - [`Ssm`]: commands to instances; an agent that the test provides runs them.
//! - [`Service`]: what these five have in common.
//! - [`Site`]: the objects of the buckets as viewers get them.
//! - [`Traffic`]: the log of the calls to all of these, with [`Fault`]s for chosen calls.
//! - [`ivs`]: recordings as Amazon IVS stores them.
//! - [`RuntimeApi`] and [`Function`]: the Lambda Runtime API and the process of a function;
//!   [`start_fails`] for a function that must not start.
//!
//! Every server listens on a free port of 127.0.0.1 and runs on its own threads. So a test with a
//! current-thread runtime, or with a paused clock, cannot starve the server.

mod autoscaling;
mod clock;
mod function;
pub mod ivs;
mod live;
mod medialive;
mod mediapackage;
mod rest;
mod runtime_api;
mod s3;
mod server;
mod service;
mod site;
mod ssm;
mod tls;
mod traffic;
mod web;

pub use autoscaling::{AutoScaling, Groups};
pub use function::{Function, start_fails};
pub use live::{SyntheticStream, Variant};
pub use medialive::{Channels, MediaLive};
pub use mediapackage::{Endpoints, MediaPackage, Reply, Source};
pub use runtime_api::{Answer, RuntimeApi};
pub use s3::{Buckets, Builder, Object, S3, Snapshot, Version, Versioning};
pub use service::Service;
pub use site::Site;
pub use ssm::{Command, CommandResult, Commands, PLAYBOOK_PARAMETERS, Ssm};
pub use traffic::{Call, Fault, Traffic};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The only access key id that the services accept.
pub const ACCESS_KEY_ID: &str = "test";

/// The secret of [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "test";

/// The region of all services here.
pub const REGION: &str = "us-west-2";

/// The account that owns every bucket and function: the example account of the AWS documentation.
pub const ACCOUNT_ID: &str = "123456789012";

/// Locks even after a panic in another thread, so that a failed test does not fail again in its
/// clean-up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
