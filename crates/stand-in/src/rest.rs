//! REST-JSON, the protocol of the media services (smithy.io, "AWS restJson1 protocol").

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::server::{HandlerResult, whole};
use crate::service::Service;
use crate::traffic::{CallTarget, InjectedFailure, Traffic};
use crate::{ACCESS_KEY_ID, REGION};

/// A decoded request.
pub(crate) struct RestRequest {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: HashMap<String, String>,
    /// `null` if the request has no body, or if the body is not a JSON object.
    pub(crate) body: Value,
}

/// The operation that a request names.
pub(crate) struct Operation {
    name: &'static str,
    key: String,
    act: Box<dyn FnOnce() -> OperationResult + Send>,
}

impl Operation {
    /// `key` names the resource, usually by its id, and is passed to `act`.
    pub(crate) fn new(
        name: &'static str,
        key: &str,
        act: impl FnOnce(&str) -> OperationResult + Send + 'static,
    ) -> Self {
        let (key, id) = (key.to_owned(), key.to_owned());
        Self {
            name,
            key,
            act: Box::new(move || act(&id)),
        }
    }
}

pub(crate) type OperationResult = Result<(StatusCode, Value), ServiceError>;

#[derive(Debug)]
pub(crate) struct ServiceError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl ServiceError {
    /// The modelled error of the media services for a status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code: usual_code(status),
            message: message.into(),
        }
    }

    /// An error that only its code identifies. All of these have status 400.
    pub(crate) fn coded(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

/// Starts a service. `route` finds the operation of a request, if there is one.
pub(crate) fn serve<C>(
    service: &'static str,
    traffic: &Traffic,
    content: C,
    route: fn(&C, RestRequest) -> Option<Operation>,
) -> Service<C>
where
    C: Clone + Send + Sync + 'static,
{
    Service::serve(
        service,
        traffic,
        content,
        move |content, traffic, request| {
            let operation = route(&content, RestRequest::new(&request)).unwrap_or_else(unknown);
            answer(service, traffic, request, operation)
        },
    )
}

async fn answer(
    service: &'static str,
    traffic: Traffic,
    request: Request<Bytes>,
    operation: Operation,
) -> HandlerResult {
    let Operation { name, key, act } = operation;
    let target = CallTarget {
        operation: name.to_owned(),
        key,
        ..CallTarget::default()
    };
    let api = Api {
        service,
        usual_code,
    };
    let outcome = pass(api, &traffic, request.headers(), target, act).await?;
    let (head, body) = match outcome {
        Ok((status, body)) => (Response::builder().status(status), body),
        Err(ServiceError {
            status,
            code,
            message,
        }) => (
            Response::builder()
                .status(status)
                .header("x-amzn-errortype", code),
            json!({"message": message}),
        ),
    };
    // An operation without output members answers without a body.
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    head.header(CONTENT_TYPE, "application/json")
        .body(whole(body))
        .map_err(io::Error::other)
}

/// A service and its error codes.
pub(crate) struct Api {
    pub(crate) service: &'static str,
    pub(crate) usual_code: fn(StatusCode) -> &'static str,
}

/// Runs a request: a planned fault, an error in its signature, or what `act` does.
pub(crate) async fn pass<T>(
    api: Api,
    traffic: &Traffic,
    headers: &HeaderMap,
    target: CallTarget,
    act: impl FnOnce() -> Result<T, ServiceError>,
) -> io::Result<Result<T, ServiceError>> {
    let arrival = traffic.arrive(api.service);
    let outcome = match traffic.before(&arrival, target).await {
        Ok(()) => check_signature(api.service, headers).and_then(|()| act()),
        Err(InjectedFailure::Status(status, code)) => {
            let code = if code.is_empty() {
                (api.usual_code)(status)
            } else {
                code
            };
            Err(ServiceError {
                status,
                code,
                message: "refused by the test".to_owned(),
            })
        }
        Err(InjectedFailure::Reset) => Err(ServiceError::coded("", "")),
    };
    traffic.after(&arrival).await?;
    Ok(outcome)
}

/// Checks the access key and the scope of the signature. The signature itself is not verified: an
/// SDK can only have a wrong secret, and the stand-in for S3 detects that.
fn check_signature(service: &str, headers: &HeaderMap) -> Result<(), ServiceError> {
    let forbidden = |code, message: &str| {
        Err(ServiceError {
            status: StatusCode::FORBIDDEN,
            code,
            message: message.to_owned(),
        })
    };
    let Some(header) = headers
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok())
    else {
        return forbidden(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        );
    };
    let credential = header
        .split_once("Credential=")
        .and_then(|(_, rest)| rest.split(',').next());
    let scope: Vec<_> = credential.unwrap_or_default().split('/').collect();
    match scope.as_slice() {
        [ACCESS_KEY_ID, _date, REGION, scope, "aws4_request"] if *scope == service => Ok(()),
        [ACCESS_KEY_ID, ..] => forbidden(
            "InvalidSignatureException",
            "Credential should be scoped to this region and service.",
        ),
        _ => forbidden(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    }
}

/// The codes of the models of MediaPackage and MediaLive. Denials of IAM are not modelled: IAM user
/// guide, "Troubleshoot access denied error messages".
fn usual_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "BadRequestException",
        403 => "AccessDeniedException",
        404 => "NotFoundException",
        409 => "ConflictException",
        422 => "UnprocessableEntityException",
        429 => "TooManyRequestsException",
        502 => "BadGatewayException",
        503 => "ServiceUnavailableException",
        504 => "GatewayTimeoutException",
        _ => "InternalServerErrorException",
    }
}

fn unknown() -> Operation {
    Operation::new("", "", |_| {
        Err(ServiceError::new(
            StatusCode::NOT_IMPLEMENTED,
            "the stand-in has no such operation",
        ))
    })
}

impl RestRequest {
    fn new(request: &Request<Bytes>) -> Self {
        let uri = request.uri();
        let pairs = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        Self {
            method: request.method().clone(),
            path: uri.path().split('/').skip(1).map(decoded).collect(),
            query: pairs
                .map(|(name, value)| (decoded(name), decoded(&value.replace('+', " "))))
                .collect(),
            body: serde_json::from_slice(request.body())
                .map(Value::Object)
                .unwrap_or_default(),
        }
    }

    /// The page of `all` that `maxResults` and `nextToken` request, in a member of this name, with
    /// the token of the next page. The token is a position.
    pub(crate) fn page(&self, name: &str, all: Vec<Value>, most: usize) -> Result<Value, String> {
        let number = |name: &str| match self.query.get(name).map(|text| text.parse::<usize>()) {
            Some(Err(_)) => Err(format!("{name} is not valid")),
            Some(Ok(number)) => Ok(Some(number)),
            None => Ok(None),
        };
        let max = number("maxResults")?.unwrap_or(most);
        if !(1..=most).contains(&max) {
            return Err(format!("maxResults must be between 1 and {most}"));
        }
        let start = number("nextToken")?.unwrap_or(0);
        let is_last = all.len().saturating_sub(start) <= max;
        let page: Vec<_> = all.into_iter().skip(start).take(max).collect();
        let mut answer = json!({name: page});
        if !is_last {
            answer["nextToken"] = json!((start + max).to_string());
        }
        Ok(answer)
    }
}

pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
