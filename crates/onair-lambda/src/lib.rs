//! What every On Air function shares towards Lambda: settings read once, one JSON object out,
//! errors that name what the operator does next, logs and metrics as lines on standard output.

#![warn(missing_docs)]

mod error;
mod settings;

pub use error::{Error, Failure};
pub use settings::{Environment, environment};

use lambda_runtime::{LambdaEvent, service_fn};
use onair_core::metrics::{Metric, MetricSample, embedded_metrics, embedded_sample};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// One event, and how long there is to deal with it.
#[derive(Debug)]
pub struct Invocation {
    /// The event as it was sent.
    pub event: Value,
    /// When Lambda will end the process.
    pub deadline: Instant,
}

/// What came of an event: the function's answer, and the figures for CloudWatch.
#[derive(Debug, Default)]
pub struct Report {
    answer: Value,
    metrics: Vec<Metric>,
    samples: Vec<MetricSample>,
}

impl Report {
    /// The event is not for this function.
    pub fn ignored(why: impl Into<String>) -> Self {
        Self {
            answer: json!({ "outcome": "ignored", "why": why.into() }),
            ..Self::default()
        }
    }

    /// A safety rule said no. `what` is the kind of thing that it protects, `name` the one.
    pub fn held(what: &str, name: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            answer: json!({ "outcome": "held", what: name.into(), "why": why.into() }),
            metrics: vec![Metric::count("Held", 1)],
            samples: Vec::new(),
        }
    }

    /// The same with these figures for CloudWatch, too.
    pub fn and(mut self, metrics: Vec<Metric>) -> Self {
        self.metrics.extend(metrics);
        self
    }

    /// The same with these figures of other times than now, a line each.
    pub fn with_samples(self, samples: Vec<MetricSample>) -> Self {
        Self { samples, ..self }
    }

    /// What `figures` says, which must be a JSON object with `outcome`.
    pub fn of(figures: &impl Serialize, metrics: Vec<Metric>) -> Self {
        let answer = serde_json::to_value(figures)
            .unwrap_or_else(|error| json!({ "outcome": error.to_string() }));
        Self {
            answer,
            metrics,
            samples: Vec::new(),
        }
    }
}

/// Runs `serve`, which is all of a function's `main`, with logs on standard output, a JSON object a
/// line. The level is Lambda's (`AWS_LAMBDA_LOG_LEVEL`) or `RUST_LOG`, else `INFO`.
pub async fn start(serve: impl Future<Output = Result<(), Error>>) -> ExitCode {
    let level = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let level = level
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    // The runtime would log each failure a second time, in its own words.
    let ours = Targets::new()
        .with_default(level)
        .with_target("lambda_runtime", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(ours))
        .init();
    let served = match std::env::var_os("AWS_LAMBDA_RUNTIME_API") {
        Some(_) => serve.await,
        None => Err(Error::Config(
            "AWS_LAMBDA_RUNTIME_API is not set: this program is started by Lambda, or on a developer's machine by \
             `make invoke` or `make demo`"
                .to_owned(),
        )),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error.r#type = error.kind(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers Lambda's invocations with `handle` until the process is ended.
///
/// # Errors
///
/// [`Error::Aws`] when the Runtime API fails.
pub async fn run<H>(handle: impl Fn(Invocation) -> H) -> Result<(), Error>
where
    H: Future<Output = Result<Report, Failure>>,
{
    let service = service_fn(
        async |LambdaEvent { payload, context }: LambdaEvent<Value>| {
            let left = time_left(context.deadline, now_ms());
            // Boxed: a handler with the SDK inside is too deep a type for the compiler's default
            // limit.
            let handled = Box::pin(handle(Invocation {
                event: payload,
                deadline: Instant::now() + left,
            }))
            .await;
            let function = &context.env_config.function_name;
            match handled {
                Ok(Report {
                    answer,
                    metrics,
                    samples,
                }) => {
                    log(&answer);
                    emit(function, &metrics);
                    samples
                        .iter()
                        .for_each(|sample| say(&embedded_sample(function, sample)));
                    Ok(answer)
                }
                Err(Failure {
                    error,
                    mut metrics,
                    samples,
                }) => {
                    tracing::error!(error.r#type = error.kind(), "{error}");
                    metrics.push(Metric::count("Failed", 1));
                    emit(function, &metrics);
                    samples
                        .iter()
                        .for_each(|sample| say(&embedded_sample(function, sample)));
                    Err(error)
                }
            }
        },
    );
    lambda_runtime::run(service)
        .await
        .map_err(|error| Error::Aws(format!("the Lambda Runtime API: {error}")))
}

/// The time until an invocation's deadline.
///
/// Lambda sends a point in time. cargo-lambda always sends 600,000, which as a point lies in 1970
/// and is meant as a span (`functions_router.rs` of cargo-lambda 1.9.2).
fn time_left(deadline_ms: u64, now_ms: u64) -> Duration {
    const LONGEST_SPAN_MS: u64 = 900_000;
    let left_ms = if deadline_ms <= LONGEST_SPAN_MS {
        deadline_ms
    } else {
        deadline_ms.saturating_sub(now_ms)
    };
    Duration::from_millis(left_ms)
}

fn log(answer: &Value) {
    let outcome = answer["outcome"].as_str().unwrap_or_default();
    let why = answer["why"].as_str().unwrap_or_default();
    match outcome {
        "held" => tracing::warn!(outcome, why, answer = %answer, "held"),
        "ignored" => tracing::info!(outcome, why, "ignored"),
        _ => tracing::info!(outcome, answer = %answer, "{outcome}"),
    }
}

/// Writes the metrics' line.
fn emit(function: &str, metrics: &[Metric]) {
    if !metrics.is_empty() {
        say(&embedded_metrics(function, now_ms(), metrics));
    }
}

/// Writes a line. A closed standard output is no reason to fail an invocation.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Unix time in milliseconds.
fn now_ms() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_point_in_time_for_lambda_and_a_span_for_cargo_lambda() {
        let now_ms = 1_700_000_000_000;
        assert_eq!(time_left(now_ms + 5_000, now_ms), Duration::from_secs(5));
        assert_eq!(time_left(now_ms - 5_000, now_ms), Duration::ZERO);
        assert_eq!(time_left(600_000, now_ms), Duration::from_secs(600));
    }
}
