//! Amazon S3 in memory: the `s3s` crate speaks the protocol, everything behind it is here.

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

use std::ops::Deref;
use std::time::Duration;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Error, S3ErrorCode};

use crate::server::{Server, to_its_end};
use crate::tls::Identity;
use crate::{ACCESS_KEY_ID, Call, Fault, SECRET_ACCESS_KEY, Traffic};
use gate::Gate;
use protocol::Protocol;

/// A running S3. It ends when dropped. Its content is that of the [`Buckets`] it dereferences to.
///
/// Requests are path-style and signed with [`ACCESS_KEY_ID`] and [`SECRET_ACCESS_KEY`]. With this endpoint
/// URL the SDKs choose path style by themselves, because its host is an address.
pub struct S3 {
    server: Server,
    buckets: Buckets,
    traffic: Traffic,
    ca_pem: Option<String>,
}

/// What can be chosen before the start.
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
        Self { latency: Some(latency), ..self }
    }

    /// Counts and fails its calls together with those of other services.
    #[must_use]
    pub fn traffic(self, traffic: &Traffic) -> Self {
        Self { traffic: traffic.clone(), ..self }
    }

    /// Serves HTTPS, with a certificate for 127.0.0.1 that [`S3::ca_pem`] vouches for.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Starts the server.
    pub fn start(self) -> S3 {
        let Self { traffic, latency, tls } = self;
        if let Some(latency) = latency {
            traffic.set_latency(latency);
        }
        let buckets = Buckets::default();
        let identity = tls.then(Identity::new);
        let (acceptor, ca_pem) = identity.map(|identity| (identity.acceptor, identity.ca_pem)).unzip();

        let mut service = S3ServiceBuilder::new(Protocol(buckets.clone()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        service.set_access(Gate(traffic.clone()));
        let service = service.build();

        let server = Server::start("s3", acceptor, {
            let traffic = traffic.clone();
            move |request| to_its_end(gate::pass(traffic.clone(), request, service.clone()))
        });
        S3 { server, buckets, traffic, ca_pem }
    }
}

impl S3 {
    /// Starts an empty S3 over plain HTTP.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Starts to choose.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What goes into `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3`.
    pub fn endpoint_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.server.address())
    }

    /// The certificate of the authority that clients must trust, if this serves HTTPS: PEM. Written to a
    /// file, it is what `SSL_CERT_FILE` (Rust SDK) and `AWS_CA_BUNDLE` (boto3, AWS CLI) point to.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The calls of this and of every other service that was started with the same.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// See [`Traffic::calls`].
    pub fn calls(&self) -> Vec<Call> {
        self.traffic.calls()
    }

    /// See [`Traffic::reset_calls`].
    pub fn reset_calls(&self) {
        self.traffic.reset_calls();
    }

    /// See [`Traffic::set_latency`].
    pub fn set_latency(&self, latency: Duration) {
        self.traffic.set_latency(latency);
    }

    /// See [`Traffic::fault`].
    pub fn fault(&self, index: usize, fault: Fault) {
        self.traffic.fault(index, fault);
    }

    /// See [`Traffic::before_call`].
    pub fn before_call(&self, index: usize, hook: impl FnOnce(&Buckets) + Send + 'static) {
        let buckets = self.buckets.clone();
        self.traffic.before_call(index, move || hook(&buckets));
    }

    /// See [`Traffic::held`].
    pub async fn held(&self) {
        self.traffic.held().await;
    }
}

impl Deref for S3 {
    type Target = Buckets;

    fn deref(&self) -> &Buckets {
        &self.buckets
    }
}

/// The error of a request that a test has chosen to fail.
fn refused(code: &'static str) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    S3Error::with_message(code, "refused on purpose")
}
