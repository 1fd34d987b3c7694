//! Amazon S3 in memory. The `s3s` crate implements the protocol; the storage is here.

mod bucket;
mod buckets;
mod gate;
mod listing;
mod object;
mod page;
mod precondition;
mod protocol;

pub use bucket::Snapshot;
pub use buckets::Buckets;
pub use object::{Object, Version, Versioning};

use std::time::Duration;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Error, S3ErrorCode};

use crate::service::Service;
use crate::tls::Identity;
use crate::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Traffic};
use gate::Gate;
use protocol::Protocol;

/// A running S3, which stops when dropped. It dereferences to its content, the [`Buckets`].
///
/// Requests are path-style and signed with [`ACCESS_KEY_ID`] and [`SECRET_ACCESS_KEY`]. The SDKs
/// choose path style by themselves, because the host of this endpoint URL is an IP address.
pub type S3 = Service<Buckets>;

/// The options of an [`S3`], set before its start.
#[derive(Default)]
pub struct Builder {
    traffic: Traffic,
    latency: Option<Duration>,
    tls: bool,
}

impl Builder {
    /// See [`S3::set_latency`].
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self {
            latency: Some(latency),
            ..self
        }
    }

    /// Records its calls in this traffic, and takes its faults from it, together with other
    /// services.
    #[must_use]
    pub fn traffic(self, traffic: &Traffic) -> Self {
        Self {
            traffic: traffic.clone(),
            ..self
        }
    }

    /// Serves HTTPS with a certificate for 127.0.0.1, signed by the authority of [`S3::ca_pem`].
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    pub fn start(self) -> S3 {
        let Self {
            traffic,
            latency,
            tls,
        } = self;
        if let Some(latency) = latency {
            traffic.set_latency(latency);
        }
        let buckets = Buckets::default();
        let mut service = S3ServiceBuilder::new(Protocol(buckets.clone()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        service.set_access(Gate(traffic.clone()));
        let service = service.build();
        let identity = tls.then(Identity::new);
        Service::serve_as(
            identity,
            "s3",
            &traffic,
            buckets,
            move |_, traffic, request| gate::pass(traffic, request, service.clone()),
        )
    }
}

impl S3 {
    /// Starts an empty S3 over plain HTTP.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Sets options before the start.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// The error of a request that a test refuses.
fn refused(code: &'static str) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    S3Error::with_message(code, "refused by the test")
}
