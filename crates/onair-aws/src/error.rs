use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error as StdError;

/// How services say that there are too many requests, or that another change of the same thing is
/// not done yet (SSM and EC2 Auto Scaling API references, "Common Error Types";
/// `ResourceContention`, Auto Scaling).
const RETRYABLE: [&str; 5] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ResourceContention",
];

/// A call to AWS that did not do what was asked, after the SDK's own retries.
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    target: String,
    source: Box<dyn StdError + Send + Sync>,
    is_retryable: bool,
}

impl Error {
    /// `operation` as AWS names it, `target` as an operator would look it up (`s3://bucket/key`).
    pub(crate) fn new(
        operation: &'static str,
        target: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            operation,
            target: target.into(),
            source: source.into(),
            is_retryable: false,
        }
    }

    /// The same of an answer of the SDK's, which says by its code whether AWS only asks for
    /// patience.
    pub(crate) fn of<E, R>(
        operation: &'static str,
        target: impl Into<String>,
        error: SdkError<E, R>,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let code = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::code)
            .unwrap_or_default();
        let is_retryable = RETRYABLE.contains(&code);
        Self {
            is_retryable,
            ..Self::new(operation, target, error)
        }
    }

    /// AWS asks for patience: the same request is sensible later, and nothing is wrong.
    pub fn is_retryable(&self) -> bool {
        self.is_retryable
    }
}

impl std::fmt::Display for Error {
    /// The whole chain of causes: the SDK's own text for a refused request is the two words
    /// "service error".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.operation, self.target)?;
        let mut cause: Option<&(dyn StdError + 'static)> = Some(self.source.as_ref());
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {}
