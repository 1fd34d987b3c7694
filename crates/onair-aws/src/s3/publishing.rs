//! Publishes a live stream to a bucket: segments that never change, and playlists that only one
//! publisher changes.

use super::{S3, conditional_e_tag, existing, uri};
use crate::error::Error;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The user metadata that names the publisher and its process.
const PUBLISHER: &str = "onair-publisher";
const RUN: &str = "onair-run";

/// The publisher of a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherId {
    /// The publisher's name, in ASCII. A process that replaces another one has the same name.
    pub name: String,
    /// The process, in ASCII.
    pub run: String,
}

/// The place and the headers of an object to put.
#[derive(Debug, Clone)]
pub struct PutTarget<'a> {
    /// The bucket that contains the object.
    pub bucket: &'a str,
    /// The object's key in the bucket.
    pub key: &'a str,
    /// The value of the header `Content-Type`.
    pub content_type: &'a str,
    /// The value of the header `Cache-Control`.
    pub cache_control: &'a str,
    /// The time limit of the request.
    pub time_limit: Duration,
}

/// A playlist in the bucket.
#[derive(Debug, Clone)]
pub struct StoredPlaylist {
    /// The object's text. Empty if the object is not UTF-8.
    pub text: String,
    /// The `ETag` that a conditional write expects.
    pub e_tag: String,
    /// The publisher that wrote it, if it was `onair publish-live`.
    pub publisher: Option<PublisherId>,
    /// The time since it was written, by S3's clock.
    pub age: Duration,
}

impl StoredPlaylist {
    async fn read(
        answer: GetObjectOutput,
        answered_s: i64,
    ) -> Result<Self, aws_sdk_s3::primitives::ByteStreamError> {
        let written_s = answer.last_modified.map(|date| date.secs());
        let age_s = answered_s - written_s.unwrap_or_default();
        let mut metadata = answer.metadata.unwrap_or_default();
        let run = metadata.remove(RUN).unwrap_or_default();
        let publisher = metadata.remove(PUBLISHER);
        let body = answer.body.collect().await?;
        Ok(Self {
            text: String::from_utf8(body.to_vec()).unwrap_or_default(),
            e_tag: answer.e_tag.unwrap_or_default(),
            publisher: publisher.map(|name| PublisherId { name, run }),
            age: Duration::from_secs(u64::try_from(age_s).unwrap_or_default()),
        })
    }
}

/// A single attempt with this time limit. The caller retries, for longer than the SDK would.
fn within(time_limit: Duration) -> aws_sdk_s3::config::Builder {
    let limits = TimeoutConfig::builder()
        .operation_attempt_timeout(time_limit)
        .build();
    aws_sdk_s3::config::Builder::new()
        .timeout_config(limits)
        .retry_config(RetryConfig::disabled())
}

/// The time of S3's response, in seconds of Unix time. The header `Date` is preferred, because this
/// machine's clock may be wrong.
#[derive(Debug, Clone)]
struct AnswerDate(Arc<AtomicI64>);

impl AnswerDate {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(
            DateTime::from(SystemTime::now()).secs(),
        )))
    }

    fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for AnswerDate {
    fn name(&self) -> &'static str {
        "AnswerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(Ok(date)) = date.map(|date| DateTime::from_str(date, DateTimeFormat::HttpDate))
        {
            self.0.store(date.secs(), Ordering::Relaxed);
        }
        Ok(())
    }
}

impl S3 {
    /// Puts a file and replaces any object with the same key.
    ///
    /// The rate limiter is not used: a live stream needs far fewer requests than S3 accepts. After
    /// a slow-down the caller pauses before it repeats the request, and other requests continue.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request.
    pub async fn put_file(&self, target: &PutTarget<'_>, bytes: Vec<u8>) -> Result<(), Error> {
        let PutTarget {
            bucket,
            key,
            content_type,
            cache_control,
            time_limit,
        } = *target;
        let request = self.client.put_object().bucket(bucket).key(key);
        let request = request
            .content_type(content_type)
            .cache_control(cache_control);
        let request = request.body(ByteStream::from(bytes)).customize();
        let put = request.config_override(within(time_limit)).send().await;
        put.map(drop)
            .map_err(|error| Error::new("PutObject", uri(bucket, key), error))
    }

    /// Puts a playlist if the object still has the `ETag` `was`. If `was` is `None`, the object
    /// must not exist. Returns the new `ETag`, or `None` if another writer changed the object.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request for another reason.
    pub async fn put_playlist(
        &self,
        target: &PutTarget<'_>,
        text: &str,
        was: Option<&str>,
        publisher: &PublisherId,
    ) -> Result<Option<String>, Error> {
        let PutTarget {
            bucket,
            key,
            content_type,
            cache_control,
            time_limit,
        } = *target;
        let written = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(content_type)
            .cache_control(cache_control)
            .metadata(PUBLISHER, &publisher.name)
            .metadata(RUN, &publisher.run)
            .set_if_match(was.map(str::to_owned))
            .set_if_none_match(was.is_none().then(|| "*".to_owned()))
            .body(ByteStream::from(text.as_bytes().to_vec()))
            .customize()
            .config_override(within(time_limit))
            .send()
            .await;
        conditional_e_tag(written, bucket, key)
    }

    /// Reads a playlist. `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request.
    pub async fn get_playlist(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<StoredPlaylist>, Error> {
        let date = AnswerDate::new();
        let request = self.client.get_object().bucket(bucket).key(key).customize();
        let answer = request.interceptor(date.clone()).send().await;
        let Some(answer) = existing(answer, bucket, key)? else {
            return Ok(None);
        };
        match StoredPlaylist::read(answer, date.seconds()).await {
            Ok(playlist) => Ok(Some(playlist)),
            Err(error) => Err(Error::new("GetObject", uri(bucket, key), error)),
        }
    }

    /// Deletes at most 1,000 keys.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request or any of the keys.
    pub async fn delete_keys(&self, bucket: &str, keys: &[String]) -> Result<(), Error> {
        let failed = |source: BoxError| Error::new("DeleteObjects", uri(bucket, ""), source);
        let delete = delete_request(keys).map_err(failed)?;
        self.rate_limiter.acquire().await;
        let request = self.client.delete_objects().bucket(bucket).delete(delete);
        let answer = request.send().await;
        match refusal(&answer.map_err(|error| failed(error.into()))?) {
            None => Ok(()),
            Some(problem) => Err(failed(problem.into())),
        }
    }
}

fn delete_request(keys: &[String]) -> Result<Delete, BoxError> {
    let mut objects = Vec::new();
    for key in keys {
        objects.push(ObjectIdentifier::builder().key(key).build()?);
    }
    let delete = Delete::builder().set_objects(Some(objects)).quiet(true);
    Ok(delete.build()?)
}

/// The first key that S3 refused to delete, with its error code.
fn refusal(answer: &DeleteObjectsOutput) -> Option<String> {
    let first = answer.errors().first()?;
    let key = first.key().unwrap_or_default();
    let code = first.code().unwrap_or_default();
    let count = answer.errors().len();
    Some(format!("{count} keys were refused, {key:?} with {code}"))
}
