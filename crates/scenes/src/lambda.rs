//! Functions as Lambda runs them.

use crate::binary;
use anyhow::{Result, bail, ensure};
use serde_json::Value;
use stand_in::{Answer, Function};
use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many of its last lines are shown of a function that gave no answer.
const LAST_LINES: usize = 3;
/// The longest that a function may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often it is asked whether it has started.
const PAUSE: Duration = Duration::from_millis(1);

/// The environment of a function: names and values.
pub type Environment = Vec<(String, String)>;

/// What a scene gives to every function, and settings that win over it.
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
    /// It has not been built.
    pub fn start(stem: &str, environment: Environment) -> Result<Self> {
        Ok(Self::start_binary(stem, &binary(stem)?, environment))
    }

    /// Starts any binary that asks for events as a function does.
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

    /// Waits until the function has started, which is when it asks for its first event. Returns how
    /// long that took.
    ///
    /// # Errors
    ///
    /// It takes too long.
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

    /// Sends an event; returns the function's answer, and how long that took.
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

    /// Sends an event to which the answer has to have this outcome. Returns how long that took.
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

    /// What the process wrote last, to tell why it gave no answer.
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

/// The lines of metrics that a function wrote so far, the oldest first.
pub fn metrics(function: &Function) -> Vec<Value> {
    let lines = function
        .stdout()
        .into_iter()
        .filter_map(|line| line.parse::<Value>().ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

/// The metric lines of an earlier minute.
pub fn past_metrics(function: &Function) -> Vec<Value> {
    let mut lines = metrics(function);
    lines.retain(|line| line.get("minute").is_some());
    lines
}

/// The message of a log line; another line as it is.
fn message(line: &str) -> String {
    let message = |line: &Value| line["message"].as_str().map(str::to_owned);
    serde_json::from_str(line)
        .ok()
        .as_ref()
        .and_then(message)
        .unwrap_or_else(|| line.to_owned())
}
