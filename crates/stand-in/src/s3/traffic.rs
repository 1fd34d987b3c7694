//! The log of calls and what happens to them on purpose.
//!
//! A request passes here twice: when it arrives, which gives it its index, and once its operation is known
//! and its signature is right, which is before anything of it takes effect.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::service::S3Service;
use s3s::{S3Result, s3_error};
use tokio::sync::Semaphore;

use super::{Buckets, refused};
use crate::server::Handled;
use crate::{ACCOUNT_ID, lock};

/// One request, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Counts from 0, in the order of arrival, since the start or
    /// [`S3::reset_calls`](crate::S3::reset_calls).
    pub index: usize,
    /// As S3's API reference calls it, as in `ListObjectsV2`. Empty for what was turned away before that was
    /// known: no such operation, or a wrong signature.
    pub operation: String,
    /// The bucket, if the operation has one.
    pub bucket: String,
    /// The key, or the prefix of a list, or nothing.
    pub key: String,
    /// When it arrived.
    pub at: Instant,
}

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error is the answer, and nothing else happens: `500 InternalError`, `503 SlowDown`,
    /// `403 AccessDenied` and so on.
    Status {
        /// The HTTP status.
        status: u16,
        /// The error code, as in the error's XML.
        code: &'static str,
    },
    /// The connection is closed without an answer, and nothing else happens.
    ResetBefore,
    /// What was asked for is done, then the connection is closed without an answer.
    ResetAfter,
    /// Some keys of a `DeleteObjects` are not deleted but answered as errors. Other operations are not
    /// affected.
    PartialDelete {
        /// The error code of each of them.
        code: &'static str,
        /// Which: every n-th key of the request. 1 is all of them.
        every: usize,
    },
    /// Nothing happens, and there is never an answer. See [`S3::held`](crate::S3::held).
    HoldBefore,
    /// What was asked for is done, but there is never an answer. See [`S3::held`](crate::S3::held).
    HoldAfter,
}

type Hook = Box<dyn FnOnce(&Buckets) + Send>;

/// A request on its way.
pub(super) struct Arrival {
    fault: Option<Fault>,
    hook: Mutex<Option<Hook>>,
    at: Instant,
    call: OnceLock<Call>,
}

impl Arrival {
    /// The code for a key's error, if the n-th key (from 0) of a `DeleteObjects` is to fail.
    pub(super) fn fails_key(&self, n: usize) -> Option<&'static str> {
        match self.fault {
            Some(Fault::PartialDelete { code, every }) if (n + 1).is_multiple_of(every) => Some(code),
            _ => None,
        }
    }
}

pub(super) struct Traffic {
    plan: Mutex<Plan>,
    held: Semaphore,
    buckets: Buckets,
}

#[derive(Default)]
struct Plan {
    arrivals: Vec<Arc<Arrival>>,
    faults: HashMap<usize, Fault>,
    hooks: HashMap<usize, Hook>,
    latency: Duration,
}

impl Traffic {
    pub(super) fn new(buckets: Buckets, latency: Duration) -> Self {
        let plan = Mutex::new(Plan { latency, ..Plan::default() });
        Self { plan, held: Semaphore::new(0), buckets }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        let plan = lock(&self.plan);
        let call = |(index, arrival): (usize, &Arc<Arrival>)| {
            let empty = String::new;
            let unread = || Call { index, operation: empty(), bucket: empty(), key: empty(), at: arrival.at };
            arrival.call.get().map_or_else(unread, |call| Call { index, at: arrival.at, ..call.clone() })
        };
        plan.arrivals.iter().enumerate().map(call).collect()
    }

    pub(super) fn reset(&self) {
        let mut plan = lock(&self.plan);
        *plan = Plan { latency: plan.latency, ..Plan::default() };
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        lock(&self.plan).latency = latency;
    }

    pub(super) fn fault(&self, index: usize, fault: Fault) {
        lock(&self.plan).faults.insert(index, fault);
    }

    pub(super) fn hook(&self, index: usize, hook: Hook) {
        lock(&self.plan).hooks.insert(index, hook);
    }

    pub(super) async fn held(&self) {
        if let Ok(permit) = self.held.acquire().await {
            permit.forget();
        }
    }

    /// Never returns.
    async fn hold<T>(&self) -> T {
        self.held.add_permits(1);
        std::future::pending().await
    }

    /// Answers a request through the S3 protocol, or does not, if that is its fault.
    pub(super) async fn pass(&self, request: Request<Bytes>, service: &S3Service) -> Handled {
        let arrival = self.arrive();
        let mut request = request.map(s3s::Body::from);
        join_lines(request.headers_mut(), CONTENT_ENCODING);
        request.extensions_mut().insert(Arc::clone(&arrival));
        let response = service.call(request).await.map_err(io::Error::other)?;
        match arrival.fault {
            Some(Fault::ResetBefore | Fault::ResetAfter) => {
                Err(io::Error::other("the connection is reset on purpose"))
            }
            Some(Fault::HoldAfter) => self.hold().await,
            _ => Ok(response.map(|body| body.map_err(io::Error::other).boxed_unsync())),
        }
    }

    fn arrive(&self) -> Arc<Arrival> {
        let mut plan = lock(&self.plan);
        let index = plan.arrivals.len();
        let arrival = Arc::new(Arrival {
            fault: plan.faults.remove(&index),
            hook: Mutex::new(plan.hooks.remove(&index)),
            at: Instant::now(),
            call: OnceLock::new(),
        });
        plan.arrivals.push(Arc::clone(&arrival));
        arrival
    }
}

/// Several lines of a list header mean the same as one (RFC 9110, 5.3). SDKs send `aws-chunked` on a line of
/// its own, and `s3s` takes no second line.
fn join_lines(headers: &mut HeaderMap, name: HeaderName) {
    let lines: Vec<_> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b','))
    {
        headers.insert(name, joined);
    }
}

/// The gate between reading a request and doing what it asks for.
pub(super) struct Gate(pub(super) Arc<Traffic>);

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(arrival) = cx.extensions_mut().get::<Arc<Arrival>>().cloned() else {
            return Err(s3_error!(InternalError, "a request that did not arrive"));
        };
        let _ = arrival.call.set(call(cx));

        let latency = lock(&self.0.plan).latency;
        if !latency.is_zero() {
            // Tokio rounds up to the next millisecond and wakes a little later still: over many requests that is
            // one millisecond more than was asked for.
            tokio::time::sleep(latency.saturating_sub(Duration::from_millis(1))).await;
        }
        let hook = lock(&arrival.hook).take();
        if let Some(hook) = hook {
            hook(&self.0.buckets);
        }
        match arrival.fault {
            Some(Fault::Status { status, code }) => {
                let mut error = refused(code);
                error.set_status_code(
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                );
                return Err(error);
            }
            Some(Fault::ResetBefore) => return Err(s3_error!(RequestTimeout)),
            Some(Fault::HoldBefore) => return self.0.hold().await,
            Some(Fault::ResetAfter | Fault::PartialDelete { .. } | Fault::HoldAfter) | None => {}
        }

        if cx.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        // S3 API reference, x-amz-expected-bucket-owner: 403 if the bucket belongs to another account.
        match cx.headers().get("x-amz-expected-bucket-owner") {
            Some(owner) if owner != ACCOUNT_ID => Err(s3_error!(AccessDenied, "Access Denied")),
            _ => Ok(()),
        }
    }
}

fn call(cx: &S3AccessContext<'_>) -> Call {
    let path = cx.s3_path();
    let key = path.as_object().map(|(_, key)| key.to_owned());
    Call {
        index: 0,
        operation: cx.s3_op().name().to_owned(),
        bucket: path.get_bucket_name().unwrap_or_default().to_owned(),
        key: key.or_else(|| prefix(cx.uri())).unwrap_or_default(),
        at: Instant::now(),
    }
}

fn prefix(uri: &Uri) -> Option<String> {
    let prefix = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("prefix="))?.replace('+', " ");
    Some(percent_decode_str(&prefix).decode_utf8_lossy().into_owned())
}
