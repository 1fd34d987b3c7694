//! The common parts of all services: a server, its traffic and its content.

use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;

use crate::server::{HandlerResult, Server, to_its_end};
use crate::tls::Identity;
use crate::{Call, Fault, Traffic};

/// A running service, which stops when dropped. It dereferences to its content. The server shares
/// the content; tests read and change it without a request.
pub struct Service<C> {
    server: Server,
    /// Servers of the same content at other addresses.
    others: Vec<Server>,
    traffic: Traffic,
    content: C,
    ca_pem: Option<String>,
}

impl<C: Clone + Send + Sync + 'static> Service<C> {
    /// Starts to serve over plain HTTP.
    pub(crate) fn serve<A, F>(name: &str, traffic: &Traffic, content: C, answer: A) -> Self
    where
        A: Fn(C, Traffic, Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        Self::serve_as(None, name, traffic, content, answer)
    }

    /// Starts to serve, over HTTPS if there is an identity.
    pub(crate) fn serve_as<A, F>(
        identity: Option<Identity>,
        name: &str,
        traffic: &Traffic,
        content: C,
        answer: A,
    ) -> Self
    where
        A: Fn(C, Traffic, Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        let (acceptor, ca_pem) = identity
            .map(|identity| (identity.acceptor, identity.ca_pem))
            .unzip();
        let server = Server::start(name, acceptor, {
            let (content, traffic) = (content.clone(), traffic.clone());
            move |request| to_its_end(answer(content.clone(), traffic.clone(), request))
        });
        Self {
            server,
            others: Vec::new(),
            traffic: traffic.clone(),
            content,
            ca_pem,
        }
    }

    /// Runs `hook` on the content just before the next call of this operation takes effect. See
    /// [`Traffic::before_first`].
    pub fn before_first(&self, operation: &str, hook: impl FnOnce(&C) + Send + 'static) {
        let content = self.content.clone();
        self.traffic.before_first(operation, move || hook(&content));
    }

    /// Runs `hook` on the content just before the call of this index takes effect. See
    /// [`Traffic::before_call`].
    pub fn before_call(&self, index: usize, hook: impl FnOnce(&C) + Send + 'static) {
        let content = self.content.clone();
        self.traffic.before_call(index, move || hook(&content));
    }
}

impl<C> Service<C> {
    /// Keeps another server running as long as this one.
    pub(crate) fn beside(mut self, server: Server) -> Self {
        self.others.push(server);
        self
    }

    /// The value of `AWS_ENDPOINT_URL` or of the service's own variable, such as
    /// `AWS_ENDPOINT_URL_S3`.
    pub fn endpoint_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.server.address())
    }

    /// The certificate of the authority that clients must trust, if this serves HTTPS, as PEM. In a
    /// file, it is the value of `SSL_CERT_FILE` (Rust SDK) and `AWS_CA_BUNDLE` (boto3, AWS CLI).
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The calls of this service and of all services that share its traffic.
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

    /// See [`Traffic::held`].
    pub async fn held(&self) {
        self.traffic.held().await;
    }
}

impl<C> Deref for Service<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.content
    }
}
