use lambda_runtime::Diagnostic;
use onair_core::metrics::{Metric, MetricSample};

/// Why an invocation failed, named for what the operator does next. Lambda tries again by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event cannot be acted on: see what sent it.
    #[error("{0}")]
    BadEvent(String),
    /// A setting is missing or wrong: deploy again with another.
    #[error("{0}")]
    Config(String),
    /// AWS did not do what was asked: a retry is sensible.
    #[error("{0}")]
    Aws(String),
    /// The time was not enough: the retry goes on.
    #[error("{0}")]
    Incomplete(String),
}

impl Error {
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

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.kind().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// An error, and the figures of what was done all the same.
#[derive(Debug)]
pub struct Failure {
    /// Why it failed.
    pub error: Error,
    /// What was done before.
    pub metrics: Vec<Metric>,
    /// Figures of other times than now, a line each.
    pub samples: Vec<MetricSample>,
}

impl Failure {
    /// A failure with the figures of what was done before.
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
