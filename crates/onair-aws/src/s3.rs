//! Amazon S3: reading and rewriting small texts, listing folders, and deleting them.

mod delete_folder;
mod listing;
mod publishing;

pub use delete_folder::{DeleteError, DeleteStats};
pub use listing::{Contents, Folder};
pub use publishing::{PublisherId, PutTarget, StoredPlaylist};

use crate::error::Error;
use crate::rate_limiter::AdaptiveRateLimiter;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{BucketVersioningStatus, ChecksumMode};
use futures::TryStreamExt;
use listing::Page;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// A client for S3.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    rate_limiter: AdaptiveRateLimiter,
}

/// What came of reading an object as text.
#[derive(Debug)]
pub enum ReadOutcome {
    /// There is no such object.
    Absent,
    /// There is, but it is no text of a bearable size.
    Unreadable(String),
    /// Here it is.
    Text(Box<StoredText>),
}

/// A text object as it was read: enough to replace it without losing what else S3 keeps of it.
#[derive(Debug)]
pub struct StoredText {
    /// The object's bytes.
    pub text: String,
    bucket: String,
    key: String,
    response: GetObjectOutput,
}

impl StoredText {
    /// What a write of ours must find unchanged.
    fn e_tag(&self) -> Option<&str> {
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

/// Whether a bucket keeps versions (S3 User Guide, "Deleting object versions").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It never did: what is deleted is gone.
    Off,
    /// It does: what is deleted is hidden by a delete marker, and no bytes are freed.
    Enabled,
    /// It did once: what was written then is hidden, what was written since is gone.
    Suspended,
}

/// What came of writing an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It says the new text now.
    Done,
    /// It is no longer what was read, so nothing was written: read again.
    Conflict,
}

impl S3 {
    /// A client on the shared configuration.
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
    /// When S3 does not answer, or refuses.
    pub async fn read(
        &self,
        bucket: &str,
        key: &str,
        max_bytes: usize,
    ) -> Result<ReadOutcome, Error> {
        let failed = |source: BoxError| Error::new("GetObject", uri(bucket, key), source);
        let mut response = match self
            .client
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
        {
            Ok(response) => response,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetObjectError::is_no_such_key) =>
            {
                return Ok(ReadOutcome::Absent);
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetObjectError::is_invalid_object_state) =>
            {
                return Ok(ReadOutcome::Unreadable(
                    "it is archived: restore it first".to_owned(),
                ));
            }
            Err(error) => return Err(failed(error.into())),
        };
        let size_bytes = response.content_length().unwrap_or_default();
        if usize::try_from(size_bytes).map_or(true, |size| size > max_bytes) {
            return Ok(ReadOutcome::Unreadable(format!(
                "it has {size_bytes} bytes, more than {max_bytes}"
            )));
        }
        if response.e_tag().is_none() {
            // Without it a write could not be conditional, and would overwrite what came meanwhile.
            return Ok(ReadOutcome::Unreadable("S3 gave no ETag for it".to_owned()));
        }
        let body = std::mem::take(&mut response.body)
            .collect()
            .await
            .map_err(|error| failed(error.into()))?;
        Ok(match String::from_utf8(body.to_vec()) {
            Ok(text) => {
                let (bucket, key) = (bucket.to_owned(), key.to_owned());
                ReadOutcome::Text(Box::new(StoredText {
                    text,
                    bucket,
                    key,
                    response,
                }))
            }
            Err(error) => ReadOutcome::Unreadable(format!("it is not UTF-8: {error}")),
        })
    }

    /// Reads an object piece by piece, however large it is, until `each` says `false`. Answers
    /// whether there is one.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses, or the answer breaks off.
    pub async fn chunks(
        &self,
        bucket: &str,
        key: &str,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, Error> {
        let failed = |source: BoxError| Error::new("GetObject", uri(bucket, key), source);
        let mut response = match self
            .client
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
        {
            Ok(response) => response,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetObjectError::is_no_such_key) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(failed(error.into())),
        };
        while let Some(piece) = response
            .body
            .try_next()
            .await
            .map_err(|error| failed(error.into()))?
        {
            if !each(&piece) {
                break;
            }
        }
        Ok(true)
    }

    /// Replaces an object's text, if it is still the one that was read (`If-Match`), and keeps its
    /// headers, storage class, encryption and user metadata, to which `more_metadata` is added.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses for another reason than a conflict.
    pub async fn rewrite(
        &self,
        stored: &StoredText,
        text: String,
        more_metadata: Option<(&str, String)>,
    ) -> Result<WriteOutcome, Error> {
        let StoredText {
            bucket,
            key,
            response: was,
            ..
        } = stored;
        let mut metadata = was.metadata.clone().unwrap_or_default();
        metadata.extend(more_metadata.map(|(name, value)| (name.to_owned(), value)));
        self.rate_limiter.acquire().await;
        let expires = was
            .expires_string()
            .and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let written = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .set_if_match(was.e_tag.clone())
            .set_content_type(was.content_type.clone())
            .set_cache_control(was.cache_control.clone())
            .set_content_disposition(was.content_disposition.clone())
            .set_content_encoding(was.content_encoding.clone())
            .set_content_language(was.content_language.clone())
            .set_expires(expires)
            .set_website_redirect_location(was.website_redirect_location.clone())
            .set_storage_class(was.storage_class.clone())
            .set_server_side_encryption(was.server_side_encryption.clone())
            .set_ssekms_key_id(was.ssekms_key_id.clone())
            .set_bucket_key_enabled(was.bucket_key_enabled)
            .set_metadata(Some(metadata))
            .body(ByteStream::from(text.into_bytes()))
            .send()
            .await;
        conditional(written, bucket, key)
    }

    /// Writes a text of our own, if `was` is what is there still: `None` means that nothing is.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses for another reason than a conflict.
    pub async fn put(
        &self,
        text: NewText<'_>,
        was: Option<&StoredText>,
    ) -> Result<WriteOutcome, Error> {
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
            .set_if_match(was.and_then(StoredText::e_tag).map(str::to_owned))
            .set_if_none_match(was.is_none().then(|| "*".to_owned()))
            .content_type(content_type)
            .set_cache_control(cache_control.map(str::to_owned))
            .set_metadata(metadata.map(|(name, value)| [(name.to_owned(), value)].into()))
            .body(ByteStream::from(text.into_bytes()))
            .send()
            .await;
        conditional(written, bucket, key)
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
    pub async fn exists(&self, bucket: &str, key: &str) -> Result<bool, Error> {
        match self
            .client
            .head_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
        {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(HeadObjectError::is_not_found) =>
            {
                Ok(false)
            }
            Err(error) => Err(Error::of("HeadObject", uri(bucket, key), error)),
        }
    }

    /// Size and SHA-256 in base64, where S3 has one, of an object; `None` if there is no such
    /// object.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
    pub async fn checksum(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<(u64, Option<String>)>, Error> {
        let request = self
            .client
            .head_object()
            .bucket(bucket)
            .key(key)
            .checksum_mode(ChecksumMode::Enabled);
        match request.send().await {
            Ok(found) => {
                let size = found
                    .content_length()
                    .and_then(|size| u64::try_from(size).ok());
                Ok(Some((size.unwrap_or_default(), found.checksum_sha256)))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(HeadObjectError::is_not_found) =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::of("HeadObject", uri(bucket, key), error)),
        }
    }

    /// What a plain delete does in this bucket.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
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

    /// What lies directly in this folder. Starts nothing after `stop`.
    ///
    /// # Errors
    ///
    /// [`DeleteError`]
    pub async fn list_folder(
        &self,
        parent: &Folder,
        stop: Instant,
    ) -> Result<Listing, DeleteError> {
        let name = |path: String| path.strip_prefix(&parent.prefix).map(str::to_owned);
        let directly = |mut found: Listing, page: Page| {
            let folder = |path| Some(name(path)?.strip_suffix('/')?.to_owned());
            found
                .folders
                .extend(page.folders.into_iter().filter_map(folder));
            let current = page.objects.into_iter().filter(|object| object.is_current);
            found
                .files
                .extend(current.filter_map(|object| name(object.key)));
            async { Ok(found) }
        };
        self.pages(parent, Some("/"), stop)
            .try_fold(Listing::default(), directly)
            .await
    }

    /// The first few keys that lie in this folder or below it, relative to it.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
    pub async fn first_keys(&self, folder: &Folder, count: i32) -> Result<Vec<String>, Error> {
        let Folder { bucket, prefix, .. } = folder;
        let request = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .max_keys(count);
        let answer = request
            .send()
            .await
            .map_err(|e| Error::of("ListObjectsV2", uri(bucket, prefix), e))?;
        let keys = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| object.key);
        Ok(keys
            .filter_map(|key| key.strip_prefix(prefix.as_str()).map(str::to_owned))
            .collect())
    }
}

/// What lies directly in a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// Names of folders, without a slash.
    pub folders: BTreeSet<String>,
    /// Names of the objects that a plain read finds.
    pub files: BTreeSet<String>,
}

/// A text of our own, to be written.
#[derive(Debug)]
pub struct NewText<'a> {
    /// Where to.
    pub bucket: &'a str,
    /// Under which key.
    pub key: &'a str,
    /// The object's bytes.
    pub text: String,
    /// `Content-Type`
    pub content_type: &'a str,
    /// `Cache-Control`
    pub cache_control: Option<&'a str>,
    /// A value of the user metadata, with its name.
    pub metadata: Option<(&'a str, String)>,
}

/// What came of a conditional write.
fn conditional(
    written: Result<PutObjectOutput, SdkError<PutObjectError>>,
    bucket: &str,
    key: &str,
) -> Result<WriteOutcome, Error> {
    let e_tag = conditional_e_tag(written, bucket, key)?;
    Ok(if e_tag.is_some() {
        WriteOutcome::Done
    } else {
        WriteOutcome::Conflict
    })
}

/// What came of a conditional write: the new `ETag`, or `None` for a conflict.
fn conditional_e_tag(
    written: Result<PutObjectOutput, SdkError<PutObjectError>>,
    bucket: &str,
    key: &str,
) -> Result<Option<String>, Error> {
    match written {
        Ok(answer) => Ok(Some(answer.e_tag.unwrap_or_default())),
        // 412: another text by now. 404: gone. 409: somebody writes at the same moment. (S3 User
        // Guide, "How to prevent object overwrites with conditional writes".)
        Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(None),
        Err(error) => Err(Error::of("PutObject", uri(bucket, key), error)),
    }
}

/// An object as people look it up.
fn uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

/// A request that failed, and whether the same one may succeed later.
struct FailedRequest {
    /// S3 asks for fewer requests.
    is_slow_down: bool,
    /// S3 is in trouble, or there was no answer: a connection cut, a time-out.
    is_transient: bool,
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
            is_transient: status.is_none_or(|status| status >= 500),
            error: Error::new(operation, target, error),
        }
    }
}

fn status<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
