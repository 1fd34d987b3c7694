//! Run Command of AWS Systems Manager and its protocol (smithy.io, "AWS JSON 1.1 protocol").

mod commands;

use std::io;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::rest::ServiceError;
use crate::server::{HandlerResult, whole};
use crate::service::Service;
use crate::traffic::{CallTarget, Traffic};
use crate::{lock, rest};

pub use commands::{Command, CommandResult, Commands, PLAYBOOK_PARAMETERS};

const API: rest::Api = rest::Api {
    service: "ssm",
    usual_code,
};

/// A running Systems Manager, which stops when dropped. It dereferences to its content, the
/// [`Commands`].
///
/// It answers `SendCommand`, `ListCommands` and `GetCommandInvocation`. Requests are signed with
/// [`ACCESS_KEY_ID`](crate::ACCESS_KEY_ID) for the stand-in's region.
pub type Ssm = Service<Commands>;

impl Ssm {
    /// Starts a Systems Manager with the document `AWS-ApplyAnsiblePlaybooks`, without instances.
    pub fn start(traffic: &Traffic) -> Self {
        Self::serve("ssm", traffic, Commands::default(), answer)
    }
}

async fn answer(commands: Commands, traffic: Traffic, request: Request<Bytes>) -> HandlerResult {
    let target = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    let operation = target
        .and_then(|target| target.strip_prefix("AmazonSSM."))
        .unwrap_or_default()
        .to_owned();
    let input: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let key = match operation.as_str() {
        "SendCommand" => &input["InstanceIds"][0],
        "GetCommandInvocation" => &input["InstanceId"],
        _ => &Value::Null,
    };
    let key = key.as_str().unwrap_or_default().to_owned();
    let target = CallTarget {
        operation: operation.clone(),
        key,
        ..CallTarget::default()
    };
    let act = || commands.act(&operation, &input);
    let outcome = rest::pass(API, &traffic, request.headers(), target, act).await?;
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(ServiceError {
            status,
            code,
            message,
        }) => (status, json!({"__type": code, "message": message})),
    };
    let head = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/x-amz-json-1.1");
    head.body(whole(body.to_string())).map_err(io::Error::other)
}

/// SSM API reference, "Common Error Types".
fn usual_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "ValidationException",
        403 => "AccessDeniedException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailable",
        _ => "InternalServerError",
    }
}

impl Commands {
    fn act(&self, operation: &str, input: &Value) -> Result<Value, ServiceError> {
        let mut content = lock(&self.0);
        match operation {
            "SendCommand" => content.send(input),
            "ListCommands" => content.list(input),
            "GetCommandInvocation" => content.result(input),
            _ => Err(ServiceError::coded(
                "UnknownOperationException",
                "the stand-in has no such operation",
            )),
        }
    }
}
