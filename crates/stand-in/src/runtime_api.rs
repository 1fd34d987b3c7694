//! The Lambda Runtime API (AWS Lambda developer guide, "Using the Lambda runtime API for custom
//! runtimes").

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::response::Builder;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use crate::server::{HandlerResult, Server, whole};
use crate::{ACCOUNT_ID, REGION, lock};

/// How long an invocation waits until the function requests it. Lambda allows 10 s for a start; a
/// debug build on a busy machine may need more.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The result of the function.
    Response(Value),
    /// The function failed. This is its error report.
    Error {
        error_type: String,
        error_message: String,
    },
    /// The function failed to start. This is its error report.
    InitError {
        error_type: String,
        error_message: String,
    },
    /// The process ended without an answer.
    Died {
        /// How the process ended: `exit status: 1`, `signal: 9 (SIGKILL)`.
        status: String,
    },
    /// The function did not answer by the deadline, or did not request the invocation within a
    /// minute.
    TimedOut,
}

impl Answer {
    /// The result of the function.
    ///
    /// Panics with the answer if it is not a result.
    #[track_caller]
    pub fn into_response(self) -> Value {
        match self {
            Self::Response(response) => response,
            other => panic!("the function gave no response but {other:?}"),
        }
    }
}

/// A running Runtime API for one function, which stops when dropped.
pub struct RuntimeApi {
    server: Server,
    invocations: Arc<InvocationQueue>,
}

/// The queues of invocations: some wait for a request of the function, some for its answer.
struct InvocationQueue {
    function_arn: String,
    counter: Mutex<Counter>,
    queued: Notify,
}

#[derive(Default)]
struct Counter {
    queue: VecDeque<Invocation>,
    unanswered: HashMap<String, oneshot::Sender<Answer>>,
    last_request: u64,
    first_next_at: Option<Instant>,
    end: Option<Answer>,
}

struct Invocation {
    request_id: String,
    event: Bytes,
    time_limit: Duration,
}

impl RuntimeApi {
    /// Starts a Runtime API for the function of this name.
    pub fn start(function_name: &str) -> Self {
        let queue = Arc::new(InvocationQueue {
            function_arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function_name}"),
            counter: Mutex::default(),
            queued: Notify::new(),
        });
        let server = Server::start("runtime-api", None, {
            let queue = Arc::clone(&queue);
            move |request| {
                let queue = Arc::clone(&queue);
                async move { queue.answer(request).await }
            }
        });
        Self {
            server,
            invocations: queue,
        }
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`: host and port.
    pub fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// Queues an event at once. The future returns its answer. The time limit starts when the
    /// function gets the event.
    pub fn invoke(
        &self,
        event: &Value,
        time_limit: Duration,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let mut counter = lock(&self.invocations.counter);
        match counter.end.clone() {
            Some(end) => {
                let _ = answer.send(end);
            }
            None => {
                counter.last_request += 1;
                let request_id = format!("00000000-0000-4000-8000-{:012}", counter.last_request);
                counter.unanswered.insert(request_id.clone(), answer);
                let invocation = Invocation {
                    request_id: request_id.clone(),
                    event: event.to_string().into(),
                    time_limit,
                };
                counter.queue.push_back(invocation);
                self.invocations.queued.notify_one();
                let expiry =
                    Arc::clone(&self.invocations).expire(request_id, START_LIMIT + time_limit);
                self.server.runtime().spawn(expiry);
            }
        }
        async { answered.await.unwrap_or(Answer::TimedOut) }
    }

    /// When the function first requested an invocation, which ends its start.
    pub fn first_next_at(&self) -> Option<Instant> {
        lock(&self.invocations.counter).first_next_at
    }

    /// Returns a function that answers all waiting and future invocations. Only its first call has
    /// an effect.
    pub(crate) fn end(&self) -> impl Fn(Answer) + Send + use<> {
        let queue = Arc::clone(&self.invocations);
        move |answer| queue.end(&answer)
    }

    /// The runtime of the server.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        self.server.runtime()
    }
}

impl InvocationQueue {
    async fn answer(self: Arc<Self>, request: Request<Bytes>) -> HandlerResult {
        let path = request
            .uri()
            .path()
            .strip_prefix("/2018-06-01/runtime/")
            .unwrap_or_default()
            .to_owned();
        let path: Vec<_> = path.split('/').collect();
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", request_id, "response"]) => {
                accepted(self.settle(request_id, response(request.body())))
            }
            (&Method::POST, ["invocation", request_id, "error"]) => {
                let (error_type, error_message) = report(request.body());
                let answer = Answer::Error {
                    error_type,
                    error_message,
                };
                accepted(self.settle(request_id, answer))
            }
            (&Method::POST, ["init", "error"]) => {
                let (error_type, error_message) = report(request.body());
                self.end(&Answer::InitError {
                    error_type,
                    error_message,
                });
                accepted(true)
            }
            _ => refuse(StatusCode::NOT_FOUND, "NoSuchPath"),
        }
    }

    async fn next(self: Arc<Self>) -> HandlerResult {
        lock(&self.counter)
            .first_next_at
            .get_or_insert_with(Instant::now);
        let invocation = loop {
            let queued = self.queued.notified();
            let invocation = lock(&self.counter).queue.pop_front();
            match invocation {
                Some(invocation) => break invocation,
                None => queued.await,
            }
        };
        let Invocation {
            request_id,
            event,
            time_limit,
        } = invocation;
        let deadline = (SystemTime::now() + time_limit)
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        tokio::spawn(Arc::clone(&self).expire(request_id.clone(), time_limit));
        let head = Response::builder()
            .header("Lambda-Runtime-Aws-Request-Id", &request_id)
            .header(
                "Lambda-Runtime-Deadline-Ms",
                deadline.as_millis().to_string(),
            )
            .header("Lambda-Runtime-Invoked-Function-Arn", &self.function_arn)
            .header(
                "Lambda-Runtime-Trace-Id",
                "Root=1-00000000-000000000000000000000000;Sampled=0",
            );
        respond(head, event)
    }

    async fn expire(self: Arc<Self>, request_id: String, time_limit: Duration) {
        tokio::time::sleep(time_limit).await;
        self.settle(&request_id, Answer::TimedOut);
    }

    /// Answers an invocation, and returns whether it existed.
    fn settle(&self, request_id: &str, answer: Answer) -> bool {
        let mut counter = lock(&self.counter);
        counter
            .queue
            .retain(|invocation| invocation.request_id != request_id);
        let waiting = counter.unanswered.remove(request_id);
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }

    fn end(&self, answer: &Answer) {
        let mut counter = lock(&self.counter);
        counter.end.get_or_insert_with(|| answer.clone());
        counter.queue.clear();
        for (_, waiting) in counter.unanswered.drain() {
            let _ = waiting.send(answer.clone());
        }
    }
}

fn response(body: &[u8]) -> Answer {
    match serde_json::from_slice(body) {
        Ok(response) => Answer::Response(response),
        // The error type that Lambda itself reports for this.
        Err(error) => Answer::Error {
            error_type: "Runtime.InvalidResponse".to_owned(),
            error_message: format!(
                "the response is not JSON ({error}): {}",
                String::from_utf8_lossy(body)
            ),
        },
    }
}

fn report(body: &[u8]) -> (String, String) {
    let report: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
    (field("errorType"), field("errorMessage"))
}

fn accepted(known: bool) -> HandlerResult {
    if known {
        return respond(
            Response::builder().status(StatusCode::ACCEPTED),
            r#"{"status": "OK"}"#,
        );
    }
    refuse(StatusCode::BAD_REQUEST, "InvalidRequestID")
}

fn refuse(status: StatusCode, error_type: &str) -> HandlerResult {
    let report = json!({"errorType": error_type, "errorMessage": "refused by the Runtime API"});
    respond(Response::builder().status(status), report.to_string())
}

fn respond(head: Builder, body: impl Into<Bytes>) -> HandlerResult {
    head.header(CONTENT_TYPE, "application/json")
        .body(whole(body))
        .map_err(io::Error::other)
}
