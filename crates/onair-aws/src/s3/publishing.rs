//! Putting a live stream into a bucket: files that never change, and playlists that one publisher
//! changes.

use super::{S3, conditional_e_tag, uri};
use crate::error::Error;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The user metadata that says who publishes, and which process of it.
const PUBLISHER: &str = "onair-publisher";
const RUN: &str = "onair-run";

/// Who publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherId {
    /// The same for each process that takes over from another one, in ASCII.
    pub name: String,
    /// Of this process alone, in ASCII.
    pub run: String,
}

/// An object to be put.
#[derive(Debug, Clone)]
pub struct PutTarget<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// `Content-Type`
    pub content_type: &'a str,
    /// `Cache-Control`
    pub cache_control: &'a str,
    /// How long it may take.
    pub time_limit: Duration,
}

/// A playlist that is there already.
#[derive(Debug, Clone)]
pub struct StoredPlaylist {
    /// Its text; empty if it is none.
    pub text: String,
    /// What a write of ours must find unchanged.
    pub e_tag: String,
    /// Who put it there, if that was a publisher of ours.
    pub publisher: Option<PublisherId>,
    /// How long ago, by S3's clock.
    pub age: Duration,
}

/// A request is tried once, for at most this time: who asks for it tries again, and longer.
fn within(time_limit: Duration) -> aws_sdk_s3::config::Builder {
    let limits = TimeoutConfig::builder()
        .operation_attempt_timeout(time_limit)
        .build();
    aws_sdk_s3::config::Builder::new()
        .timeout_config(limits)
        .retry_config(RetryConfig::disabled())
}

/// When S3 answered, in seconds of Unix time: by its own clock if it says so, since this machine's
/// may be wrong.
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
    /// Puts a file, whatever is there. What a live stream puts is far below what S3 takes, so a
    /// slow-down is met by the caller's pause before the same request, and holds no other up.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
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

    /// Puts a playlist, if what is there is still what this publisher put there (`was`; `None` is
    /// nothing). `None` if not; else the new `ETag`.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses for another reason.
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

    /// What is there of a playlist.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses.
    pub async fn get_playlist(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<StoredPlaylist>, Error> {
        let failed = |source: BoxError| Error::new("GetObject", uri(bucket, key), source);
        let date = AnswerDate::new();
        let request = self.client.get_object().bucket(bucket).key(key).customize();
        let answer = match request.interceptor(date.clone()).send().await {
            Ok(answer) => answer,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetObjectError::is_no_such_key) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed(error.into())),
        };
        let written_s = answer
            .last_modified
            .map(|date| date.secs())
            .unwrap_or_default();
        let e_tag = answer.e_tag.clone().unwrap_or_default();
        let metadata = |name: &str| {
            answer
                .metadata
                .as_ref()
                .and_then(|metadata| metadata.get(name))
                .cloned()
        };
        let publisher = metadata(PUBLISHER).map(|name| PublisherId {
            name,
            run: metadata(RUN).unwrap_or_default(),
        });
        let body = answer
            .body
            .collect()
            .await
            .map_err(|error| failed(error.into()))?;
        let age_s = u64::try_from(date.seconds() - written_s).unwrap_or_default();
        Ok(Some(StoredPlaylist {
            text: String::from_utf8(body.to_vec()).unwrap_or_default(),
            e_tag,
            publisher,
            age: Duration::from_secs(age_s),
        }))
    }

    /// Deletes these, at most a thousand.
    ///
    /// # Errors
    ///
    /// When S3 does not answer, or refuses the request or any of the keys.
    pub async fn delete_keys(&self, bucket: &str, keys: &[String]) -> Result<(), Error> {
        let failed = |source: BoxError| Error::new("DeleteObjects", uri(bucket, ""), source);
        let object = |key: &String| ObjectIdentifier::builder().key(key).build();
        let objects = keys
            .iter()
            .map(object)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| failed(e.into()))?;
        let delete = Delete::builder()
            .set_objects(Some(objects))
            .quiet(true)
            .build();
        let delete = delete.map_err(|error| failed(error.into()))?;
        self.rate_limiter.acquire().await;
        let answer = self
            .client
            .delete_objects()
            .bucket(bucket)
            .delete(delete)
            .send()
            .await;
        let answer = answer.map_err(|error| failed(error.into()))?;
        match answer.errors().first() {
            None => Ok(()),
            Some(refused) => {
                let (key, code) = (
                    refused.key().unwrap_or_default(),
                    refused.code().unwrap_or_default(),
                );
                Err(failed(
                    format!(
                        "{} keys were refused, {key:?} with {code}",
                        answer.errors().len()
                    )
                    .into(),
                ))
            }
        }
    }
}
