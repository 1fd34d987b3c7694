//! Loopback AWS for tests, demo and bench.
//!
//! Real clients and real function binaries run unmodified against it: only their endpoint URL
//! differs.
//!
//! - [`S3`]: Amazon S3 in memory, as strict as the real one where a client could notice.
//! - [`MediaPackage`]: origin endpoints, and the [`Live`] streams or ffmpeg's files that they
//!   serve.
//! - [`MediaLive`]: channels and their alerts.
//! - [`AutoScaling`]: groups, warm pools and lifecycle hooks.
//! - [`Ssm`]: commands to instances, run by an agent that a test gives.
//! - [`Service`]: what these five have in common.
//! - [`Site`]: the objects of the buckets as viewers get them.
//! - [`Traffic`]: the log of the calls to all of these, with [`Fault`]s that strike at an exact
//!   call.
//! - [`ivs`]: recordings as Amazon IVS leaves them.
//! - [`RuntimeApi`] and [`Function`]: the Lambda Runtime API and a function's binary running under
//!   it; [`start_fails`] for one that must not start.
//!
//! Every server listens on a free port of 127.0.0.1 and runs on threads of its own, so that a test
//! with a current-thread runtime, or with a paused clock, cannot starve it.

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
pub use live::{Live, Variant};
pub use medialive::{Channels, MediaLive};
pub use mediapackage::{Endpoints, MediaPackage, Reply, Source};
pub use runtime_api::{Answer, RuntimeApi};
pub use s3::{Buckets, Builder, Object, S3, Snapshot, Version, Versioning};
pub use service::Service;
pub use site::Site;
pub use ssm::{Command, Commands, PLAYBOOK_PARAMETERS, Ran, Ssm};
pub use traffic::{Call, Fault, Traffic};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The only access key id that is accepted.
pub const ACCESS_KEY_ID: &str = "test";

/// The secret of [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "test";

/// The region of everything here.
pub const REGION: &str = "us-west-2";

/// The account that owns every bucket and function: AWS documentation's example account.
pub const ACCOUNT_ID: &str = "123456789012";

/// Locks, also after a panic elsewhere: a test that failed already must not fail again in its
/// clean-up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
