//! What the tests of all services read of a failed call of an SDK.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// The HTTP status and the error code of a failed call.
pub(crate) fn refusal<T, E>(result: Result<T, SdkError<E>>) -> (u16, String)
where
    E: ProvideErrorMetadata,
{
    let Err(error) = result else {
        panic!("the call succeeded")
    };
    let status = error
        .raw_response()
        .map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or_default().to_owned())
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
