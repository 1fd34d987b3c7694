use lambda_runtime::Diagnostic;
use onair_core::event::BadEvent;
use onair_core::metrics::{Metric, MetricSample};

/// The failure of an invocation. The variants show who has to act. Lambda retries an asynchronous
/// invocation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The function cannot act on this event. Check what sent the event.
    #[error("{0}")]
    BadEvent(String),
    /// A setting is missing or wrong. Correct it and deploy again.
    #[error("{0}")]
    Config(String),
    /// A request to AWS failed. A retry may succeed.
    #[error("{0}")]
    Aws(String),
    /// The time limit was too short. The retry continues the work.
    #[error("{0}")]
    Incomplete(String),
}

impl Error {
    /// The value of a setting is not accepted. `accepted` describes the values that are.
    pub fn setting(name: &str, value: &str, accepted: &str) -> Self {
        Self::Config(format!("{name} is {value:?}; it accepts {accepted}"))
    }

    /// The `errorType` that Lambda reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadEvent(_) => "BadEvent",
            Self::Config(_) => "Config",
            Self::Aws(_) => "Aws",
            Self::Incomplete(_) => "Incomplete",
        }
    }
}

impl From<onair_aws::Error> for Error {
    fn from(error: onair_aws::Error) -> Self {
        Self::Aws(error.to_string())
    }
}

impl From<BadEvent> for Error {
    fn from(error: BadEvent) -> Self {
        Self::BadEvent(error.to_string())
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.kind().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// An error, with the metrics of the work that was done before it.
#[derive(Debug)]
pub struct Failure {
    /// The error.
    pub error: Error,
    /// Metrics of this run.
    pub metrics: Vec<Metric>,
    /// Metrics of earlier times. Each gets a log line of its own.
    pub samples: Vec<MetricSample>,
}

impl Failure {
    /// A failure after some work, which these metrics count.
    pub fn after(error: Error, metrics: Vec<Metric>) -> Self {
        Self {
            error,
            metrics,
            samples: Vec::new(),
        }
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::after(error.into(), Vec::new())
    }
}
