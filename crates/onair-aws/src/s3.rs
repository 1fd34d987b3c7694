//! Amazon S3: reading and rewriting small texts, looking into folders, emptying them.

mod emptying;

pub use emptying::{Contents, Folder, Tally, Unfinished};

use crate::error::Error;
use crate::pace::Pace;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use emptying::Page;
use futures::TryStreamExt;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// A client for S3.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    pace: Pace,
}

/// What came of reading an object as text.
#[derive(Debug)]
pub enum Read {
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

/// What came of writing an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It says the new text now.
    Done,
    /// It is no longer what was read, so nothing was written: read again.
    Conflict,
}

impl S3 {
    /// A client on the shared configuration.
    pub fn new(config: &SdkConfig) -> Self {
        let pace = Pace::default();
        let config = aws_sdk_s3::config::Builder::from(config).interceptor(pace.clone()).build();
        Self { client: Client::from_conf(config), pace }
    }

    /// Reads an object of at most `max_bytes` as UTF-8.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
    pub async fn read(&self, bucket: &str, key: &str, max_bytes: usize) -> Result<Read, Error> {
        let failed = |source: BoxError| Error::new("GetObject", uri(bucket, key), source);
        let mut response = match self.client.get_object().bucket(bucket).key(key).send().await {
            Ok(response) => response,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(Read::Absent);
            }
            Err(error) => return Err(failed(error.into())),
        };
        let size_bytes = response.content_length().unwrap_or_default();
        if usize::try_from(size_bytes).map_or(true, |size| size > max_bytes) {
            return Ok(Read::Unreadable(format!("it has {size_bytes} bytes, more than {max_bytes}")));
        }
        let body =
            std::mem::take(&mut response.body).collect().await.map_err(|error| failed(error.into()))?;
        Ok(match String::from_utf8(body.to_vec()) {
            Ok(text) => {
                let (bucket, key) = (bucket.to_owned(), key.to_owned());
                Read::Text(Box::new(StoredText { text, bucket, key, response }))
            }
            Err(error) => Read::Unreadable(format!("it is not UTF-8: {error}")),
        })
    }

    /// Replaces an object's text, if it is still the one that was read (`If-Match`), and keeps its headers,
    /// storage class, encryption and user metadata.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses for another reason than a conflict.
    pub async fn rewrite(&self, stored: &StoredText, text: String) -> Result<Written, Error> {
        let StoredText { bucket, key, response: was, .. } = stored;
        self.pace.turn().await;
        let expires =
            was.expires_string().and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
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
            .set_metadata(was.metadata.clone())
            .body(ByteStream::from(text.into_bytes()))
            .send()
            .await;
        match written {
            Ok(_) => Ok(Written::Done),
            // 412: another text by now. 404: gone. 409: somebody writes at the same moment. (S3 User Guide,
            // "How to prevent object overwrites with conditional writes".)
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(Written::Conflict),
            Err(error) => Err(Error::new("PutObject", uri(bucket, key), error)),
        }
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
    pub async fn exists(&self, bucket: &str, key: &str) -> Result<bool, Error> {
        match self.client.head_object().bucket(bucket).key(key).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(false),
            Err(error) => Err(Error::new("HeadObject", uri(bucket, key), error)),
        }
    }

    /// Whether the bucket keeps, or kept once, versions: then a plain delete only hides an object.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
    pub async fn keeps_versions(&self, bucket: &str) -> Result<bool, Error> {
        let answer = self.client.get_bucket_versioning().bucket(bucket).send().await;
        let answer = answer.map_err(|error| Error::new("GetBucketVersioning", uri(bucket, ""), error))?;
        Ok(answer.status.is_some())
    }

    /// The names of the folders directly in this one. Starts nothing after `stop`.
    ///
    /// # Errors
    ///
    /// [`Unfinished`]
    pub async fn folders(&self, parent: &Folder, stop: Instant) -> Result<BTreeSet<String>, Unfinished> {
        let name = |path: String| Some(path.strip_prefix(&parent.prefix)?.strip_suffix('/')?.to_owned());
        let names = |page: Page| page.folders.into_iter().filter_map(name).collect::<BTreeSet<_>>();
        self.pages(parent, Some("/"), stop).map_ok(names).try_concat().await
    }
}

/// An object as people look it up.
fn uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

fn status<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
