//! The runtime side of every On Air function. It reads the settings once, decodes events, and
//! returns one JSON object. Errors show who has to act. Logs and metrics are lines on standard
//! output.

#![warn(missing_docs)]

mod attempts;
mod deadline;
mod error;
pub mod event;
mod report;
mod settings;

pub use attempts::{Attempts, Stop};
pub use deadline::Deadline;
pub use error::{Error, Failure};
pub use report::Report;
pub use settings::{Accepts, Environment};

use lambda_runtime::{LambdaEvent, service_fn};
use onair_core::event::Event;
use onair_core::metrics::{Metric, MetricSample, embedded_metrics, embedded_sample};
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// One event, and the time that is left for it.
#[derive(Debug)]
pub struct Invocation {
    /// The event.
    pub event: Event,
    /// When Lambda kills the process.
    pub deadline: Deadline,
}

/// Runs `serve`, which is all of a function's `main`, with logs on standard output, one JSON object
/// a line. The level is Lambda's (`AWS_LAMBDA_LOG_LEVEL`), else that of `RUST_LOG`, else `INFO`.
pub async fn start(serve: impl Future<Output = Result<(), Error>>) -> ExitCode {
    start_logs();
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
            log_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn start_logs() {
    let level = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let level = level
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    // The runtime would log each failure a second time, with another text.
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
}

/// Handles Lambda's invocations with `handle` until the process is killed.
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
            let deadline = Deadline::after(time_left(context.deadline, now_ms()));
            let handled = match event::decode(payload) {
                // Boxed: a handler with the SDK inside is too deep a type for the compiler's
                // default limit.
                Ok(event) => Box::pin(handle(Invocation { event, deadline })).await,
                Err(bad_event) => Err(bad_event.into()),
            };
            finish(&context.env_config.function_name, handled)
        },
    );
    lambda_runtime::run(service)
        .await
        .map_err(|error| Error::Aws(format!("the Lambda Runtime API: {error}")))
}

/// Writes the log line and the metrics of an invocation, and returns the result for Lambda.
fn finish(function: &str, handled: Result<Report, Failure>) -> Result<Value, Error> {
    match handled {
        Ok(report) => {
            log_answer(&report.answer);
            print_metrics(function, &report.metrics, &report.samples);
            Ok(report.answer)
        }
        Err(mut failure) => {
            log_error(&failure.error);
            failure.metrics.push(Metric::count("Failed", 1));
            print_metrics(function, &failure.metrics, &failure.samples);
            Err(failure.error)
        }
    }
}

/// The time until an invocation's deadline.
///
/// Lambda sends a point in time. cargo-lambda always sends 600,000, which it means as a duration
/// (`functions_router.rs` of cargo-lambda 1.9.2). As a point in time it would be in 1970.
fn time_left(deadline_ms: u64, now_ms: u64) -> Duration {
    const LONGEST_SPAN_MS: u64 = 900_000;
    let left_ms = if deadline_ms <= LONGEST_SPAN_MS {
        deadline_ms
    } else {
        deadline_ms.saturating_sub(now_ms)
    };
    Duration::from_millis(left_ms)
}

fn log_answer(answer: &Value) {
    let field = |name: &str| answer[name].as_str().unwrap_or_default();
    let (outcome, why) = (field("outcome"), field("why"));
    match outcome {
        "held" => {
            tracing::warn!(outcome, code = field("code"), why, answer = %answer, "held");
        }
        "ignored" => tracing::info!(outcome, why, "ignored"),
        _ => tracing::info!(outcome, answer = %answer, "{outcome}"),
    }
}

fn log_error(error: &Error) {
    tracing::error!(error.r#type = error.kind(), "{error}");
}

fn print_metrics(function: &str, metrics: &[Metric], samples: &[MetricSample]) {
    if !metrics.is_empty() {
        print_line(&embedded_metrics(function, now_ms(), metrics));
    }
    for sample in samples {
        print_line(&embedded_sample(function, sample));
    }
}

/// Writes a line. An invocation does not fail because standard output is closed.
fn print_line(line: &str) {
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
