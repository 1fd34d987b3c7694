//! An HTTP/1.1 server on a free loopback port, on its own threads.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

/// The response of a handler. On an error the connection is closed without a response.
pub(crate) type HandlerResult = io::Result<Response<UnsyncBoxBody<Bytes, io::Error>>>;

/// A running server, which stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Starts to serve. `handler` is called when a request has arrived completely.
    #[expect(
        clippy::expect_used,
        reason = "without threads and a loopback socket there is nothing to go on with"
    )]
    pub(crate) fn start<H, F>(name: &str, tls: Option<TlsAcceptor>, handler: H) -> Self
    where
        H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(name)
            .enable_all()
            .build()
            .expect("a runtime for the server");
        let listener =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let listener = {
            let _guard = runtime.enter();
            TcpListener::from_std(listener).expect("a socket the runtime can watch")
        };
        runtime.spawn(accept(listener, tls, handler));
        Self {
            address,
            runtime: Some(runtime),
        }
    }

    /// The address on which the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The runtime of the server. Its clock is never paused.
    #[expect(clippy::expect_used, reason = "only drop takes the runtime")]
    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime
            .as_ref()
            .expect("a server has its runtime until it is dropped")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait for the end of the runtime would panic inside a test's own runtime.
            runtime.shutdown_background();
        }
    }
}

/// Completes a request even if its client has disconnected: a service finishes what it has
/// received.
pub(crate) async fn to_its_end(
    answer: impl Future<Output = HandlerResult> + Send + 'static,
) -> HandlerResult {
    tokio::spawn(answer).await.map_err(io::Error::other)?
}

/// A body that is complete.
pub(crate) fn whole(body: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, io::Error> {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

async fn accept<H, F>(listener: TcpListener, tls: Option<TlsAcceptor>, handler: H)
where
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HandlerResult> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // With Nagle's algorithm a response in two writes can wait 40 ms for the client's delayed
        // ACK.
        let _ = stream.set_nodelay(true);
        let (tls, handler) = (tls.clone(), handler.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, handler).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, handler).await;
                    }
                }
            }
        });
    }
}

async fn serve<S, H, F>(stream: S, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HandlerResult> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (parts, body) = request.into_parts();
            // If a refusal leaves a body unread, the client can see a reset instead of the
            // response.
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            handler(Request::from_parts(parts, body)).await
        }
    });
    // An error here is a client that disconnected, or a connection that a fault closes. The
    // client's test sees it.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
