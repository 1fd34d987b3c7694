//! Emptying folders of any size: pages of a listing flow into DeleteObjects, several in flight, and
//! nothing is kept of a page once it is deleted, so memory does not grow with the number of keys.

use super::listing::{Contents, Folder, ListedObject};
use super::{FailedRequest, S3, uri};
use crate::error::Error;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::SetOnce;
use tokio::time::{Instant, sleep};

/// DeleteObjects requests in flight for one folder. S3 takes about as long for one as for a page of
/// the listing, so a few keep up with it; more would only meet Slow Down earlier.
const BATCHES_IN_FLIGHT: usize = 4;
/// As AWS names it.
const OPERATION: &str = "DeleteObjects";
/// How many refused keys an error names.
const REFUSED_NAMED: usize = 10;

/// What has been deleted (or measured) so far. It is filled while the work goes on, so it is right
/// also when the work ends early.
#[derive(Debug, Default)]
pub struct DeleteStats {
    objects: AtomicU64,
    bytes: AtomicU64,
}

impl DeleteStats {
    /// Objects; where versions are meant, versions and delete markers.
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// Their size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, objects: u64, bytes: u64) {
        self.objects.fetch_add(objects, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Why a folder is not empty yet.
#[derive(Debug)]
pub enum DeleteError {
    /// The time is up; what was begun is finished, the rest is still there.
    OutOfTime,
    /// S3 did not answer, or refused the request or some of the keys.
    Failed(Error),
}

impl S3 {
    /// Deletes everything in the folder, adding to `stats` as it goes. Listing starts at once,
    /// deleting only when `go` is set; nothing is started after `stop`.
    ///
    /// # Errors
    ///
    /// [`DeleteError`], after all that was begun has come to its end. Keys that S3 refuses do not
    /// keep the others from being deleted; the error names them with S3's reason.
    pub async fn empty(
        &self,
        folder: &Folder,
        go: &SetOnce<()>,
        stop: Instant,
        stats: &DeleteStats,
    ) -> Result<(), DeleteError> {
        let batches = self.pages(folder, None, stop).map(|page| async {
            let objects = page?.objects;
            go.wait().await;
            self.delete(folder, objects, stop, stats).await
        });
        let mut ended = std::pin::pin!(batches.buffer_unordered(BATCHES_IN_FLIGHT));
        let (mut unfinished, mut refused) = (None, RefusedKeys::default());
        while let Some(batch) = ended.next().await {
            match batch {
                Ok(more) => refused.extend(more),
                // The first reason is the one to tell; what follows is often its echo.
                Err(why) => unfinished = unfinished.or(Some(why)),
            }
        }
        match unfinished {
            Some(why) => Err(why),
            None if refused.count == 0 => Ok(()),
            None => {
                let target = uri(&folder.bucket, &folder.prefix);
                Err(DeleteError::Failed(Error::new(
                    OPERATION,
                    target,
                    refused.to_string(),
                )))
            }
        }
    }

    /// Adds up what [`S3::empty`] would delete.
    ///
    /// # Errors
    ///
    /// [`DeleteError`]
    pub async fn measure(
        &self,
        folder: &Folder,
        stop: Instant,
        stats: &DeleteStats,
    ) -> Result<(), DeleteError> {
        let pages = self.pages(folder, None, stop);
        pages
            .try_for_each(|page| {
                stats.add(page.objects.len() as u64, size_bytes(&page.objects));
                async { Ok(()) }
            })
            .await
    }

    /// Deletes one page of objects and returns those that S3 refuses. A page has at most 1,000
    /// objects, which is also what one `DeleteObjects` takes.
    async fn delete(
        &self,
        folder: &Folder,
        mut objects: Vec<ListedObject>,
        stop: Instant,
        stats: &DeleteStats,
    ) -> Result<RefusedKeys, DeleteError> {
        let mut refused = RefusedKeys::default();
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(8)
            .with_jitter()
            .build();
        while !objects.is_empty() {
            self.rate_limiter.acquire().await;
            if Instant::now() >= stop {
                return Err(DeleteError::OutOfTime);
            }
            let mut errors = match self.delete_objects(folder, &objects).await {
                Ok(errors) => errors,
                // It is answered by going slower, however long that takes.
                Err(FailedRequest {
                    is_slow_down: true, ..
                }) => continue,
                Err(FailedRequest {
                    is_transient,
                    error,
                    ..
                }) => match pauses.next() {
                    Some(pause) if is_transient => {
                        sleep(pause).await;
                        continue;
                    }
                    _ => return Err(DeleteError::Failed(error)),
                },
            };
            if errors.is_empty() {
                stats.add(objects.len() as u64, size_bytes(&objects));
                return Ok(refused);
            }
            let mut again = Vec::new();
            let mut slow_down = false;
            for object in objects {
                let version = object.version.clone().unwrap_or_default();
                match errors.remove(&(object.key.clone(), version)) {
                    None => stats.add(1, object.size_bytes),
                    Some(reason) if reason.is_transient() => {
                        slow_down |= reason.code == "SlowDown";
                        again.push((object, reason));
                    }
                    Some(reason) => refused.add(&object.key, &reason),
                }
            }
            if let Some(((key, _), reason)) = errors.into_iter().next() {
                // Then nobody can tell which of the keys that were asked for are still there.
                let problem =
                    format!("S3 answered an error for {key:?}, which was not asked for: {reason}");
                let target = uri(&folder.bucket, &folder.prefix);
                return Err(DeleteError::Failed(Error::new(OPERATION, target, problem)));
            }
            if slow_down {
                self.rate_limiter.on_slow_down();
            } else if !again.is_empty() {
                match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => again
                        .drain(..)
                        .for_each(|(object, reason)| refused.add(&object.key, &reason)),
                }
            }
            objects = again.into_iter().map(|(object, _)| object).collect();
        }
        Ok(refused)
    }

    /// One `DeleteObjects`, which succeeds as a whole even where single keys fail: the answer is
    /// the keys (and versions) that did, with the reason. It is not repeated by the SDK, whose
    /// retries would not keep the pace and give up after a few seconds of slow-down.
    async fn delete_objects(
        &self,
        folder: &Folder,
        objects: &[ListedObject],
    ) -> Result<HashMap<(String, String), KeyError>, FailedRequest> {
        let target = || uri(&folder.bucket, &folder.prefix);
        let unsendable = |error: BoxError| FailedRequest {
            is_transient: false,
            is_slow_down: false,
            error: Error::new(OPERATION, target(), error),
        };
        let identifiers = objects.iter().map(|object| {
            ObjectIdentifier::builder()
                .key(&object.key)
                .set_version_id(object.version.clone())
                .build()
        });
        let identifiers = identifiers
            .collect::<Result<_, _>>()
            .map_err(|error| unsendable(error.into()))?;
        let delete = Delete::builder()
            .set_objects(Some(identifiers))
            .quiet(true)
            .build();
        let delete = delete.map_err(|error| unsendable(error.into()))?;
        let request = self
            .client
            .delete_objects()
            .bucket(&folder.bucket)
            .delete(delete);
        let once = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
        let answer = request.customize().config_override(once).send().await;
        let answer = answer.map_err(|error| FailedRequest::new(OPERATION, target(), error))?;
        let by_version = folder.contents == Contents::Versions;
        let errors = answer.errors.unwrap_or_default().into_iter().map(|error| {
            let version = error.version_id.filter(|_| by_version).unwrap_or_default();
            let (code, message) = (
                error.code.unwrap_or_default(),
                error.message.unwrap_or_default(),
            );
            (
                (error.key.unwrap_or_default(), version),
                KeyError { code, message },
            )
        });
        Ok(errors.collect())
    }
}

fn size_bytes(objects: &[ListedObject]) -> u64 {
    objects.iter().map(|object| object.size_bytes).sum()
}

/// Why S3 did not delete a key.
struct KeyError {
    code: String,
    message: String,
}

impl KeyError {
    /// Whether the same request may succeed a little later.
    fn is_transient(&self) -> bool {
        [
            "InternalError",
            "SlowDown",
            "ServiceUnavailable",
            "RequestTimeout",
            "OperationAborted",
        ]
        .contains(&self.code.as_str())
    }
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.code, self.message)
    }
}

/// Keys that S3 refused: all are counted, the first are named.
#[derive(Default)]
struct RefusedKeys {
    count: usize,
    named: Vec<String>,
}

impl RefusedKeys {
    fn add(&mut self, key: &str, reason: &KeyError) {
        self.extend(Self {
            count: 1,
            named: vec![format!("{key}: {reason}")],
        });
    }

    fn extend(&mut self, more: Self) {
        self.count += more.count;
        self.named.extend(more.named);
        self.named.truncate(REFUSED_NAMED);
    }
}

impl std::fmt::Display for RefusedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "S3 refused {} objects: {}",
            self.count,
            self.named.join("; ")
        )?;
        let unnamed = self.count - self.named.len();
        if unnamed > 0 {
            write!(f, "; and {unnamed} more")
        } else {
            Ok(())
        }
    }
}
