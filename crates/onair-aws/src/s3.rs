//! Amazon S3: reading and rewriting small texts, listing folders, and deleting them.

mod folders;
mod publishing;

pub use folders::{DeleteError, DeleteStats, Folder, Listing};
pub use publishing::{PublisherId, PutTarget, StoredPlaylist};

use crate::error::Error;
use crate::rate_limiter::AdaptiveRateLimiter;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{BucketVersioningStatus, ChecksumMode};
use onair_core::prune_recording::recording::Versioning;

/// A client for S3.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    rate_limiter: AdaptiveRateLimiter,
}

/// The result of reading an object as text.
#[derive(Debug)]
pub enum ReadOutcome {
    /// The object does not exist.
    Absent,
    /// The object cannot be read as a text. The reason is a sentence without the object's name.
    Unreadable(String),
    /// The object's text, and the attributes that a rewrite keeps.
    Text(Box<StoredText>),
}

/// A text object as it was read, with everything that a rewrite has to keep.
#[derive(Debug)]
pub struct StoredText {
    /// The object's content, in UTF-8.
    pub text: String,
    bucket: String,
    key: String,
    response: GetObjectOutput,
}

impl StoredText {
    /// The `ETag` that a conditional write expects.
    pub fn e_tag(&self) -> Option<&str> {
        self.response.e_tag()
    }

    /// A value of the user metadata.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.response
            .metadata
            .as_ref()?
            .get(name)
            .map(String::as_str)
    }
}

/// The result of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The object has the new text.
    Done,
    /// The object changed since it was read, so nothing was written. Read it again.
    Conflict,
}

impl S3 {
    /// Creates a client with the shared configuration.
    pub fn new(config: &SdkConfig) -> Self {
        let rate_limiter = AdaptiveRateLimiter::default();
        let config = aws_sdk_s3::config::Builder::from(config)
            .interceptor(rate_limiter.clone())
            .build();
        Self {
            client: Client::from_conf(config),
            rate_limiter,
        }
    }

    /// Reads an object of at most `max_bytes` as UTF-8.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request.
    pub async fn read(
        &self,
        bucket: &str,
        key: &str,
        max_bytes: usize,
    ) -> Result<ReadOutcome, Error> {
        let request = self.client.get_object().bucket(bucket).key(key);
        let mut response = match request.send().await {
            Err(error) if is_archived(&error) => {
                let problem = "the object is archived; restore it first".to_owned();
                return Ok(ReadOutcome::Unreadable(problem));
            }
            result => match existing(result, bucket, key)? {
                Some(response) => response,
                None => return Ok(ReadOutcome::Absent),
            },
        };
        if let Some(problem) = unreadable(&response, max_bytes) {
            return Ok(ReadOutcome::Unreadable(problem));
        }
        let body = std::mem::take(&mut response.body).collect().await;
        let body = body.map_err(|error| Error::new("GetObject", uri(bucket, key), error))?;
        Ok(match String::from_utf8(body.to_vec()) {
            Ok(text) => ReadOutcome::Text(Box::new(StoredText {
                text,
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                response,
            })),
            Err(error) => ReadOutcome::Unreadable(format!("the object is not UTF-8: {error}")),
        })
    }

    /// Reads an object of any size in chunks, until `each` returns `false`. Returns whether the
    /// object exists.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, refuses the request, or closes the connection.
    pub async fn chunks(
        &self,
        bucket: &str,
        key: &str,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, Error> {
        let request = self.client.get_object().bucket(bucket).key(key);
        let Some(mut response) = existing(request.send().await, bucket, key)? else {
            return Ok(false);
        };
        let failed = |error| Error::new("GetObject", uri(bucket, key), error);
        while let Some(chunk) = response.body.try_next().await.map_err(failed)? {
            if !each(&chunk) {
                break;
            }
        }
        Ok(true)
    }

    /// Replaces an object's text if the object is unchanged since it was read (`If-Match`). Keeps
    /// its headers, storage class, encryption and user metadata, and adds `more_metadata`.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request for another reason than a conflict.
    pub async fn rewrite(
        &self,
        stored: &StoredText,
        text: String,
        more_metadata: Option<(&str, String)>,
    ) -> Result<WriteOutcome, Error> {
        let StoredText {
            bucket,
            key,
            response,
            ..
        } = stored;
        let mut metadata = response.metadata.clone().unwrap_or_default();
        metadata.extend(more_metadata.map(|(name, value)| (name.to_owned(), value)));
        self.rate_limiter.acquire().await;
        let request = self.client.put_object().bucket(bucket).key(key);
        let written = with_properties_of(response, request)
            .set_if_match(response.e_tag.clone())
            .set_metadata(Some(metadata))
            .body(ByteStream::from(text.into_bytes()))
            .send()
            .await;
        conditional(written, bucket, key)
    }

    /// Writes a text if the object still has the `ETag` `was`. `None` means that the object must
    /// not exist. Returns the new `ETag`, or `None` after a conflict.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request for another reason than a conflict.
    pub async fn put(&self, text: NewText<'_>, was: Option<&str>) -> Result<Option<String>, Error> {
        let NewText {
            bucket,
            key,
            text,
            content_type,
            cache_control,
            metadata,
        } = text;
        self.rate_limiter.acquire().await;
        let written = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .set_if_match(was.map(str::to_owned))
            .set_if_none_match(was.is_none().then(|| "*".to_owned()))
            .content_type(content_type)
            .set_cache_control(cache_control.map(str::to_owned))
            .set_metadata(metadata.map(|(name, value)| [(name.to_owned(), value)].into()))
            .body(ByteStream::from(text.into_bytes()))
            .send()
            .await;
        conditional_e_tag(written, bucket, key)
    }

    /// Whether the object exists.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request.
    pub async fn exists(&self, bucket: &str, key: &str) -> Result<bool, Error> {
        let request = self.client.head_object().bucket(bucket).key(key);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(Error::of("HeadObject", uri(bucket, key), error)),
        }
    }

    /// The object's size and, if S3 stores one, its SHA-256 in base64. `None` if the object does
    /// not exist.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request.
    pub async fn checksum(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<(u64, Option<String>)>, Error> {
        let request = self.client.head_object().bucket(bucket).key(key);
        let request = request.checksum_mode(ChecksumMode::Enabled);
        match request.send().await {
            Ok(object) => {
                let size = object.content_length();
                let size = size.and_then(|size| u64::try_from(size).ok());
                Ok(Some((size.unwrap_or_default(), object.checksum_sha256)))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(Error::of("HeadObject", uri(bucket, key), error)),
        }
    }

    /// Whether the bucket keeps versions.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request.
    pub async fn versioning(&self, bucket: &str) -> Result<Versioning, Error> {
        let answer = self
            .client
            .get_bucket_versioning()
            .bucket(bucket)
            .send()
            .await;
        let answer =
            answer.map_err(|error| Error::of("GetBucketVersioning", uri(bucket, ""), error))?;
        Ok(match answer.status {
            None => Versioning::Off,
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(_) => Versioning::Suspended,
        })
    }
}

/// A text to write.
#[derive(Debug)]
pub struct NewText<'a> {
    /// The bucket that contains the object.
    pub bucket: &'a str,
    /// The object's key in the bucket.
    pub key: &'a str,
    /// The object's content, in UTF-8.
    pub text: String,
    /// The value of the header `Content-Type`.
    pub content_type: &'a str,
    /// The value of the header `Cache-Control`.
    pub cache_control: Option<&'a str>,
    /// The name and value of a user metadata entry.
    pub metadata: Option<(&'a str, String)>,
}

/// The response, or `None` if the object does not exist.
fn existing(
    result: Result<GetObjectOutput, SdkError<GetObjectError>>,
    bucket: &str,
    key: &str,
) -> Result<Option<GetObjectOutput>, Error> {
    match result {
        Ok(response) => Ok(Some(response)),
        Err(error) => match error.as_service_error() {
            Some(service) if service.is_no_such_key() => Ok(None),
            _ => Err(Error::of("GetObject", uri(bucket, key), error)),
        },
    }
}

fn is_archived(error: &SdkError<GetObjectError>) -> bool {
    let service = error.as_service_error();
    service.is_some_and(GetObjectError::is_invalid_object_state)
}

fn is_not_found(error: &SdkError<HeadObjectError>) -> bool {
    let service = error.as_service_error();
    service.is_some_and(HeadObjectError::is_not_found)
}

/// The reason for which an object cannot be read as a text that can be rewritten.
fn unreadable(response: &GetObjectOutput, max_bytes: usize) -> Option<String> {
    let size_bytes = response.content_length().unwrap_or_default();
    if usize::try_from(size_bytes).map_or(true, |size| size > max_bytes) {
        return Some(format!(
            "the object has {size_bytes} bytes; the limit is {max_bytes}"
        ));
    }
    // Without an ETag a write cannot be conditional, and would overwrite concurrent changes.
    let has_e_tag = response.e_tag().is_some();
    (!has_e_tag).then(|| "S3 returned no ETag for the object".to_owned())
}

/// Adds the headers, the storage class and the encryption of the object that was read.
fn with_properties_of(
    object: &GetObjectOutput,
    request: PutObjectFluentBuilder,
) -> PutObjectFluentBuilder {
    let expires = object
        .expires_string()
        .and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
    request
        .set_content_type(object.content_type.clone())
        .set_cache_control(object.cache_control.clone())
        .set_content_disposition(object.content_disposition.clone())
        .set_content_encoding(object.content_encoding.clone())
        .set_content_language(object.content_language.clone())
        .set_expires(expires)
        .set_website_redirect_location(object.website_redirect_location.clone())
        .set_storage_class(object.storage_class.clone())
        .set_server_side_encryption(object.server_side_encryption.clone())
        .set_ssekms_key_id(object.ssekms_key_id.clone())
        .set_bucket_key_enabled(object.bucket_key_enabled)
}

fn conditional(
    written: Result<PutObjectOutput, SdkError<PutObjectError>>,
    bucket: &str,
    key: &str,
) -> Result<WriteOutcome, Error> {
    let e_tag = conditional_e_tag(written, bucket, key)?;
    Ok(match e_tag {
        Some(_) => WriteOutcome::Done,
        None => WriteOutcome::Conflict,
    })
}

/// The `ETag` after a conditional write, or `None` for a conflict.
fn conditional_e_tag(
    written: Result<PutObjectOutput, SdkError<PutObjectError>>,
    bucket: &str,
    key: &str,
) -> Result<Option<String>, Error> {
    match written {
        Ok(answer) => Ok(Some(answer.e_tag.unwrap_or_default())),
        // 412: the object changed. 404: it was deleted. 409: another write is in progress. (S3 User
        // Guide, "How to prevent object overwrites with conditional writes".)
        Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(None),
        Err(error) => Err(Error::of("PutObject", uri(bucket, key), error)),
    }
}

fn uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

/// A failed request that this crate may send again itself.
struct FailedRequest {
    /// S3 answered with a slow-down: it expects fewer requests.
    is_slow_down: bool,
    /// S3 answered with a 5xx status, or not at all: the connection was closed, or timed out.
    is_server_fault: bool,
    error: Error,
}

impl FailedRequest {
    fn new<E>(operation: &'static str, target: String, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = status(&error);
        Self {
            is_slow_down: matches!(status, Some(429 | 503)),
            is_server_fault: status.is_none_or(|status| status >= 500),
            error: Error::of(operation, target, error),
        }
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
