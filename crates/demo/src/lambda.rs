//! The functions as Lambda would run them, and the events that they are sent.

use crate::program;
use anyhow::{Context as _, bail};
use serde_json::Value;
use stand_in::{Answer, Function};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many of its last lines are shown of a function that gave no answer.
const LAST_LINES: usize = 3;

/// A running function.
pub(crate) struct Lambda {
    stem: &'static str,
    function: Function,
}

impl Lambda {
    /// Starts the function's real binary.
    pub(crate) fn start(stem: &'static str, settings: Vec<(String, String)>) -> anyhow::Result<Self> {
        Ok(Self { stem, function: Function::start(&program::built(stem)?, settings) })
    }

    /// Sends an event; returns the function's answer, and how long that took.
    pub(crate) async fn send(&self, event: &Value) -> anyhow::Result<(Value, Duration)> {
        let sent_at = Instant::now();
        let stem = self.stem;
        match self.function.invoke(event.clone()).await {
            Answer::Response(answer) => Ok((answer, sent_at.elapsed())),
            Answer::Error { error_type, error_message } => {
                bail!("{stem} failed with {error_type}: {error_message}")
            }
            Answer::InitError { error_type, error_message } => {
                bail!("{stem} did not start: {error_type}: {error_message}")
            }
            Answer::Died { status } => {
                bail!("{stem} ended without an answer ({status}); it said: {}", self.last_words())
            }
            Answer::TimedOut => {
                bail!("{stem} did not answer in time; it said: {}", self.last_words())
            }
        }
    }

    /// The newest line of metrics that the function wrote.
    pub(crate) fn metrics(&self) -> Option<Value> {
        let lines = self.function.stdout().into_iter().rev();
        lines
            .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
            .find(|line| line.get("_aws").is_some())
    }

    /// The figures of other times than now that the function reported.
    pub(crate) fn readings(&self) -> Vec<Value> {
        let lines = self.function.stdout().into_iter();
        lines
            .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
            .filter(|line| line.get("_aws").is_some() && line.get("minute").is_some())
            .collect()
    }

    /// What the process wrote last, to tell why it gave no answer.
    fn last_words(&self) -> String {
        let said = [self.function.stdout(), self.function.stderr()].concat();
        let last = &said[said.len().saturating_sub(LAST_LINES)..];
        if last.is_empty() {
            "nothing".to_owned()
        } else {
            last.iter().map(|line| message(line)).collect::<Vec<_>>().join(" | ")
        }
    }
}

/// The message of a log line; another line as it is.
fn message(line: &str) -> String {
    let message = |line: &Value| line["message"].as_str().map(str::to_owned);
    serde_json::from_str(line).ok().as_ref().and_then(message).unwrap_or_else(|| line.to_owned())
}

/// An event file, by its path below `events/`.
pub(crate) fn event(file: &str) -> anyhow::Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// A text in an event.
pub(crate) fn text<'a>(event: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    event
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("the event has no text at {pointer}"))
}
