//! Connects the requests of S3 to the [`Traffic`].

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::service::S3Service;
use s3s::{S3Result, s3_error};

use super::refused;
use crate::ACCOUNT_ID;
use crate::server::HandlerResult;
use crate::traffic::{Arrival, CallTarget, InjectedFailure, Traffic};

/// Answers a request through the S3 protocol, unless its fault prevents the answer.
pub(super) async fn pass(
    traffic: Traffic,
    request: Request<Bytes>,
    service: S3Service,
) -> HandlerResult {
    let arrival = traffic.arrive("s3");
    let mut request = request.map(s3s::Body::from);
    join_lines(request.headers_mut(), CONTENT_ENCODING);
    request.extensions_mut().insert(Arc::clone(&arrival));
    let response = service.call(request).await.map_err(io::Error::other)?;
    traffic.after(&arrival).await?;
    Ok(response.map(|body| body.map_err(io::Error::other).boxed_unsync()))
}

/// Several header lines of one list have the same meaning as one line (RFC 9110, 5.3). SDKs send
/// `aws-chunked` on a line of its own, and `s3s` refuses a second line.
fn join_lines(headers: &mut HeaderMap, name: HeaderName) {
    let lines: Vec<_> = headers
        .get_all(&name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b','))
    {
        headers.insert(name, joined);
    }
}

/// The check between reading a request with its signature and running its operation.
pub(super) struct Gate(pub(super) Traffic);

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(arrival) = cx.extensions_mut().get::<Arc<Arrival>>().cloned() else {
            return Err(s3_error!(InternalError, "a request that did not arrive"));
        };
        match self.0.before(&arrival, target(cx)).await {
            Ok(()) => {}
            Err(InjectedFailure::Reset) => return Err(s3_error!(RequestTimeout)),
            Err(InjectedFailure::Status(status, code)) => {
                let mut error = refused(if code.is_empty() {
                    usual_code(status)
                } else {
                    code
                });
                error.set_status_code(status);
                return Err(error);
            }
        }

        if cx.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        // S3 API reference, x-amz-expected-bucket-owner: 403 if the bucket belongs to another
        // account.
        match cx.headers().get("x-amz-expected-bucket-owner") {
            Some(owner) if owner != ACCOUNT_ID => Err(s3_error!(AccessDenied, "Access Denied")),
            _ => Ok(()),
        }
    }
}

/// S3 API reference, "Error responses".
fn usual_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "AccessDenied",
        404 => "NoSuchKey",
        409 => "ConditionalRequestConflict",
        412 => "PreconditionFailed",
        503 => "SlowDown",
        _ => "InternalError",
    }
}

fn target(cx: &S3AccessContext<'_>) -> CallTarget {
    let path = cx.s3_path();
    let key = path.as_object().map(|(_, key)| key.to_owned());
    CallTarget {
        operation: cx.s3_op().name().to_owned(),
        bucket: path.get_bucket_name().unwrap_or_default().to_owned(),
        key: key.or_else(|| prefix(cx.uri())).unwrap_or_default(),
    }
}

fn prefix(uri: &Uri) -> Option<String> {
    let prefix = uri
        .query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix("prefix="))?
        .replace('+', " ");
    Some(percent_decode_str(&prefix).decode_utf8_lossy().into_owned())
}
