use std::error::Error as StdError;

/// A call to AWS that did not do what was asked, after the SDK's own retries.
#[derive(Debug)]
pub struct Error {
    operation: &'static str,
    target: String,
    source: Box<dyn StdError + Send + Sync>,
}

impl Error {
    /// `operation` as AWS names it, `target` as an operator would look it up (`s3://bucket/key`).
    pub(crate) fn new(
        operation: &'static str,
        target: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { operation, target: target.into(), source: source.into() }
    }
}

impl std::fmt::Display for Error {
    /// The whole chain of causes: the SDK's own text for a refused request is the two words "service error".
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
