//! What all services are made of: a server, the traffic that passes through it, and its content.

use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;

use crate::server::{Handled, Server, to_its_end};
use crate::tls::Identity;
use crate::{Call, Fault, Traffic};

/// A running service. It ends when dropped. It dereferences to its content, which is shared with
/// the server and can be read and changed without a request.
pub struct Service<C> {
    server: Server,
    /// Servers of the same content at other addresses.
    others: Vec<Server>,
    traffic: Traffic,
    content: C,
    ca_pem: Option<String>,
}

impl<C: Clone + Send + Sync + 'static> Service<C> {
    /// Starts to answer requests over plain HTTP.
    pub(crate) fn serve<A, F>(name: &str, traffic: &Traffic, content: C, answer: A) -> Self
    where
        A: Fn(C, Traffic, Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Handled> + Send + 'static,
    {
        Self::serve_as(None, name, traffic, content, answer)
    }

    /// The same over HTTPS, if the server has an identity.
    pub(crate) fn serve_as<A, F>(
        identity: Option<Identity>,
        name: &str,
        traffic: &Traffic,
        content: C,
        answer: A,
    ) -> Self
    where
        A: Fn(C, Traffic, Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Handled> + Send + 'static,
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
    /// Keeps another server as long as this one.
    pub(crate) fn beside(mut self, server: Server) -> Self {
        self.others.push(server);
        self
    }

    /// What goes into `AWS_ENDPOINT_URL` or the variable of the service, such as
    /// `AWS_ENDPOINT_URL_S3`.
    pub fn endpoint_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.server.address())
    }

    /// The certificate of the authority that clients must trust, if this serves HTTPS: PEM. Written
    /// to a file, it is what `SSL_CERT_FILE` (Rust SDK) and `AWS_CA_BUNDLE` (boto3, AWS CLI) point
    /// to.
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
