//! Amazon S3 in memory: the `s3s` crate speaks the protocol, everything behind it is here.

mod bucket;
mod buckets;
mod listing;
mod object;
mod page;
mod precondition;
mod protocol;
mod traffic;

pub use bucket::Snapshot;
pub use buckets::Buckets;
pub use object::{Object, Version, Versioning};
pub use traffic::{Call, Fault};

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Error, S3ErrorCode};

use crate::server::Server;
use crate::tls::Identity;
use crate::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use protocol::Protocol;
use traffic::{Gate, Traffic};

/// How long [`S3::held`] waits.
const HELD_LIMIT: Duration = Duration::from_secs(60);

/// A running S3. It ends when dropped. Its content is that of the [`Buckets`] it dereferences to.
///
/// Requests are path-style and signed with [`ACCESS_KEY_ID`] and [`SECRET_ACCESS_KEY`]. With this endpoint
/// URL the SDKs choose path style by themselves, because its host is an address.
pub struct S3 {
    server: Server,
    buckets: Buckets,
    traffic: Arc<Traffic>,
    ca_pem: Option<String>,
}

/// What can be chosen before the start.
#[derive(Default)]
pub struct Builder {
    latency: Duration,
    tls: bool,
}

impl Builder {
    /// See [`S3::set_latency`].
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Serves HTTPS, with a certificate for 127.0.0.1 that [`S3::ca_pem`] vouches for.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Starts the server.
    pub fn start(self) -> S3 {
        let buckets = Buckets::default();
        let traffic = Arc::new(Traffic::new(buckets.clone(), self.latency));
        let identity = self.tls.then(Identity::new);
        let (acceptor, ca_pem) = identity.map(|identity| (identity.acceptor, identity.ca_pem)).unzip();

        let mut service = S3ServiceBuilder::new(Protocol(buckets.clone()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        service.set_access(Gate(Arc::clone(&traffic)));
        let service = service.build();

        let server = Server::start("s3", acceptor, {
            let traffic = Arc::clone(&traffic);
            move |request| {
                let (traffic, service) = (Arc::clone(&traffic), service.clone());
                // A task of its own: S3 finishes what it has received, also if the client has left.
                let answer = tokio::spawn(async move { traffic.pass(request, &service).await });
                async move { answer.await.map_err(io::Error::other)? }
            }
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

    /// Every call since the start or since [`reset_calls`](Self::reset_calls), in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.traffic.calls()
    }

    /// Forgets the calls, and every fault and hook whose call has not come. The next call has index 0.
    pub fn reset_calls(&self) {
        self.traffic.reset();
    }

    /// Lets every request wait this long before it takes effect.
    pub fn set_latency(&self, latency: Duration) {
        self.traffic.set_latency(latency);
    }

    /// Plans what goes wrong with the call of this index.
    pub fn fault(&self, index: usize, fault: Fault) {
        self.traffic.fault(index, fault);
    }

    /// Runs `hook` just before the call of this index takes effect: another client comes in between a read
    /// and a write.
    pub fn before_call(&self, index: usize, hook: impl FnOnce(&Buckets) + Send + 'static) {
        self.traffic.hook(index, Box::new(hook));
    }

    /// Returns once a request is held by [`Fault::HoldBefore`] or [`Fault::HoldAfter`]: once for each.
    ///
    /// Panics if none is held within a minute, by the wall clock also where the test's own clock is paused.
    pub async fn held(&self) {
        let traffic = Arc::clone(&self.traffic);
        let wait = async move { tokio::time::timeout(HELD_LIMIT, traffic.held()).await };
        let was_held = matches!(self.server.runtime().spawn(wait).await, Ok(Ok(())));
        assert!(was_held, "no request was held within {HELD_LIMIT:?}; the calls were {:#?}", self.calls());
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
