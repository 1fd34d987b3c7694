//! AWS Systems Manager, Run Command, and the protocol that it speaks (smithy.io, "AWS JSON 1.1 protocol").

mod commands;

use std::io;
use std::ops::Deref;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{Handled, Server, to_its_end, whole};
use crate::traffic::{Refusal, Target, Traffic};
use crate::{lock, rest};

pub use commands::{Command, Commands, Ran};

/// A running Systems Manager. It ends when dropped. Its content is that of the [`Commands`] it dereferences to.
///
/// It answers `SendCommand`, `ListCommands` and `GetCommandInvocation`, signed with
/// [`ACCESS_KEY_ID`](crate::ACCESS_KEY_ID) for the stand-in's region.
pub struct Ssm {
    server: Server,
    commands: Commands,
}

impl Ssm {
    /// Starts one that knows `AWS-ApplyAnsiblePlaybooks`, and no instance.
    pub fn start(traffic: &Traffic) -> Self {
        let commands = Commands::default();
        let server = Server::start("ssm", None, {
            let (commands, traffic) = (commands.clone(), traffic.clone());
            move |request| to_its_end(answer(commands.clone(), traffic.clone(), request))
        });
        Self { server, commands }
    }

    /// What goes into `AWS_ENDPOINT_URL_SSM`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

impl Deref for Ssm {
    type Target = Commands;

    fn deref(&self) -> &Commands {
        &self.commands
    }
}

/// A modelled error. All are the client's fault, unless they are named otherwise.
#[derive(Debug)]
struct Failure {
    status: StatusCode,
    code: String,
    message: String,
}

impl Failure {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: code.to_owned(), message: message.into() }
    }
}

async fn answer(commands: Commands, traffic: Traffic, request: Request<Bytes>) -> Handled {
    let arrival = traffic.arrive("ssm");
    let signed = rest::check_signature("ssm", request.headers());
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation =
        target.and_then(|target| target.strip_prefix("AmazonSSM.")).unwrap_or_default().to_owned();
    let input: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let key = match operation.as_str() {
        "SendCommand" => &input["InstanceIds"][0],
        "GetCommandInvocation" => &input["InstanceId"],
        _ => &Value::Null,
    };
    let key = key.as_str().unwrap_or_default().to_owned();
    let target = Target { operation: operation.clone(), key, ..Target::default() };
    let outcome = match traffic.before(&arrival, target).await {
        Ok(()) => match signed {
            Ok(()) => commands.act(&operation, &input),
            Err(rest::Failure { status, code, message }) => {
                Err(Failure { status, code: code.to_owned(), message })
            }
        },
        Err(Refusal::Status(status, code)) => {
            let code = if code.is_empty() { usual_code(status) } else { code };
            Err(Failure { status, code: code.to_owned(), message: "refused on purpose".to_owned() })
        }
        Err(Refusal::Reset) => Err(Failure::new("", "")),
    };
    traffic.after(&arrival).await?;
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(Failure { status, code, message }) => (status, json!({"__type": code, "message": message})),
    };
    let head = Response::builder().status(status).header(CONTENT_TYPE, "application/x-amz-json-1.1");
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
    fn act(&self, operation: &str, input: &Value) -> Result<Value, Failure> {
        let mut content = lock(&self.0);
        match operation {
            "SendCommand" => content.send(input),
            "ListCommands" => content.list(input),
            "GetCommandInvocation" => content.result(input),
            _ => Err(Failure::new("UnknownOperationException", "the stand-in has no such operation")),
        }
    }
}
