//! Functions that run as in Lambda.

use crate::binary;
use anyhow::{Result, bail, ensure};
use serde_json::Value;
use stand_in::{Answer, Function};
use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many log lines an error shows of a function that did not answer.
const LAST_LINES: usize = 3;
/// The longest time that a function may need to start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// The interval of the check whether it has started.
const PAUSE: Duration = Duration::from_millis(1);

pub type Environment = Vec<(String, String)>;

/// The environment of a scene for a function. `settings` override the usual values.
pub fn environment<const N: usize>(
    usual: [(&str, String); N],
    settings: &[(&str, &str)],
) -> Environment {
    let settings = settings
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    usual
        .into_iter()
        .chain(settings)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A running function. It dereferences to its process.
pub struct Lambda {
    name: String,
    function: Function,
}

impl Lambda {
    /// Starts a function's binary, by its stem.
    ///
    /// # Errors
    ///
    /// The binary has not been built.
    pub fn start(stem: &str, environment: Environment) -> Result<Self> {
        Ok(Self::start_binary(stem, &binary(stem)?, environment))
    }

    /// Starts any binary that requests events as a function does.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start_binary(name: &str, binary: &Path, environment: Environment) -> Self {
        Self {
            name: name.to_owned(),
            function: Function::start(binary, environment),
        }
    }

    /// Waits until the function requests its first event, which ends its start. Returns the
    /// duration of the start.
    ///
    /// # Errors
    ///
    /// The start takes too long.
    pub async fn started(&self) -> Result<Duration> {
        loop {
            if let Some(at) = self.function.first_next_at() {
                return Ok(at - self.function.started_at());
            }
            let is_late = self.function.started_at().elapsed() > START_LIMIT;
            ensure!(
                !is_late,
                "{} did not start; it logged: {}",
                self.name,
                self.last_lines()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends an event, and returns the function's answer and its duration.
    ///
    /// # Errors
    ///
    /// The function failed.
    pub async fn send(&self, event: &Value) -> Result<(Value, Duration)> {
        let (sent_at, name) = (Instant::now(), &self.name);
        match self.function.invoke(event.clone()).await {
            Answer::Response(answer) => Ok((answer, sent_at.elapsed())),
            Answer::Error {
                error_type,
                error_message,
            } => {
                bail!("{name} failed with {error_type}: {error_message}")
            }
            Answer::InitError {
                error_type,
                error_message,
            } => {
                bail!("{name} did not start: {error_type}: {error_message}")
            }
            Answer::Died { status } => {
                bail!(
                    "{name} ended without an answer ({status}); it logged: {}",
                    self.last_lines()
                )
            }
            Answer::TimedOut => bail!(
                "{name} did not answer in time; it logged: {}",
                self.last_lines()
            ),
        }
    }

    /// Sends an event whose answer must have this outcome. Returns the duration.
    ///
    /// # Errors
    ///
    /// The function failed, or the outcome is another one.
    pub async fn expect(&self, outcome: &str, event: &Value) -> Result<Duration> {
        let (answer, elapsed) = self.send(event).await?;
        ensure!(
            answer["outcome"] == outcome,
            "{}: the outcome is not {outcome}: {answer}",
            self.name
        );
        Ok(elapsed)
    }

    /// The last lines of the process, for the error of a function that did not answer.
    fn last_lines(&self) -> String {
        let lines = [self.function.stdout(), self.function.stderr()].concat();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        if last.is_empty() {
            return "nothing".to_owned();
        }
        last.iter()
            .map(|line| message(line))
            .collect::<Vec<_>>()
            .join(" | ")
    }
}

impl Deref for Lambda {
    type Target = Function;

    fn deref(&self) -> &Function {
        &self.function
    }
}

/// The metrics lines of a function, the oldest first.
pub fn metrics(function: &Function) -> Vec<Value> {
    let lines = function
        .stdout()
        .into_iter()
        .filter_map(|line| line.parse::<Value>().ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

/// The metrics lines that are for an earlier minute.
pub fn past_metrics(function: &Function) -> Vec<Value> {
    let mut lines = metrics(function);
    lines.retain(|line| line.get("minute").is_some());
    lines
}

/// The message of a log line, or a line that is not JSON as it is.
fn message(line: &str) -> String {
    let message = |line: &Value| line["message"].as_str().map(str::to_owned);
    serde_json::from_str(line)
        .ok()
        .as_ref()
        .and_then(message)
        .unwrap_or_else(|| line.to_owned())
}
