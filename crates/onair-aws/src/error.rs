use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error as StdError;

/// Whether the same request may succeed later, by the error code that a service returned.
///
/// The codes are from "Common Error Types" in the API references of SSM and EC2 Auto Scaling, and
/// from the list of error codes in the S3 API reference. `ResourceContention` of Auto Scaling means
/// that another change of the same group is in progress.
pub(crate) fn is_retryable(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "ResourceContention"
            | "SlowDown"
            | "InternalError"
            | "ServiceUnavailable"
            | "RequestTimeout"
            | "OperationAborted"
    )
}

/// A request to AWS that failed after the SDK's own retries.
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    target: String,
    source: Box<dyn StdError + Send + Sync>,
    is_retryable: bool,
}

impl Error {
    /// `operation` is AWS's name of the request. `target` is the object for an operator to check,
    /// for example `s3://bucket/key`.
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

    /// An error that the SDK returned. Its code shows whether a retry is useful.
    pub(crate) fn of<E, R>(
        operation: &'static str,
        target: impl Into<String>,
        error: SdkError<E, R>,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let service = error.as_service_error();
        let code = service.and_then(ProvideErrorMetadata::code);
        Self {
            is_retryable: code.is_some_and(is_retryable),
            ..Self::new(operation, target, error)
        }
    }

    /// Whether the service is only busy: the same request may succeed later, and nothing has to be
    /// repaired.
    pub fn is_retryable(&self) -> bool {
        self.is_retryable
    }
}

impl std::fmt::Display for Error {
    /// Prints the whole chain of causes, because the SDK's own text for a refused request is only
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
