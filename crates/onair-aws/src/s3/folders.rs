//! Folders of any size: listing, measuring and deleting them.
//!
//! Pages of a listing flow into `DeleteObjects` requests, several in flight. A page is dropped when
//! it is deleted, so memory does not grow with the number of keys.

use super::{FailedRequest, S3, uri};
use crate::error::{Error, is_retryable};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
use aws_sdk_s3::types::{CommonPrefix, Delete, ObjectIdentifier};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use onair_core::prune_recording::plan::Versions;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::SetOnce;
use tokio::time::{Instant, sleep};

/// `DeleteObjects` requests in flight for one folder. S3 needs about as long for one as for a page
/// of the listing, so a few keep up with it. More would only reach Slow Down earlier.
const BATCHES_IN_FLIGHT: usize = 4;
/// The operation's name in AWS's documentation.
const OPERATION: &str = "DeleteObjects";
/// The largest number of refused keys that an error names.
const REFUSED_NAMED: usize = 10;

/// A folder in a bucket, and which versions of its objects to list or delete.
#[derive(Debug, Clone)]
pub struct Folder {
    bucket: String,
    prefix: String,
    versions: Versions,
}

impl Folder {
    /// The folder at `prefix`. It gets a slash at its end if it has none: a prefix without a slash
    /// would also match neighbours whose names start alike.
    pub fn new(bucket: &str, prefix: &str, versions: Versions) -> Self {
        let prefix = format!("{}/", prefix.strip_suffix('/').unwrap_or(prefix));
        Self {
            bucket: bucket.to_owned(),
            prefix,
            versions,
        }
    }

    fn uri(&self) -> String {
        uri(&self.bucket, &self.prefix)
    }
}

/// The direct children of a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// Names of folders, without a slash.
    pub folders: BTreeSet<String>,
    /// Names of the objects that a plain read finds.
    pub files: BTreeSet<String>,
}

/// The objects and bytes that are deleted (or measured) so far. The figures are updated during the
/// work, so they are also right if the work ends early.
#[derive(Debug, Default)]
pub struct DeleteStats {
    objects: AtomicU64,
    bytes: AtomicU64,
}

impl DeleteStats {
    /// The number of objects. With [`Versions::All`], the number of versions and delete markers.
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// The size of these objects, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add<'a>(&self, objects: impl IntoIterator<Item = &'a ListedObject>) {
        for object in objects {
            self.objects.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(object.size_bytes, Ordering::Relaxed);
        }
    }
}

/// The reason for which a folder is not completely listed or deleted.
#[derive(Debug)]
pub enum DeleteError {
    /// The time is up. Requests that had started are finished, the rest is not done.
    OutOfTime,
    /// S3 did not respond, or refused the request or some of the keys.
    Failed(Error),
}

/// One page of a listing.
#[derive(Default)]
struct Page {
    objects: Vec<ListedObject>,
    folders: Vec<String>,
}

struct ListedObject {
    key: String,
    version: Option<String>,
    size_bytes: u64,
    /// Whether a plain read finds it.
    is_current: bool,
}

impl ListedObject {
    fn new(
        key: Option<String>,
        version: Option<String>,
        size_bytes: Option<i64>,
        is_current: bool,
    ) -> Option<Self> {
        let size_bytes = size_bytes.and_then(|size| u64::try_from(size).ok());
        Some(Self {
            key: key?,
            version,
            size_bytes: size_bytes.unwrap_or_default(),
            is_current,
        })
    }
}

/// The start of the next page.
enum Cursor {
    Start,
    After {
        token: Option<String>,
        version: Option<String>,
    },
    End,
}

/// The shared parts of the deletions in one folder.
struct FolderJob<'a> {
    folder: &'a Folder,
    stop: Instant,
    stats: &'a DeleteStats,
}

impl S3 {
    /// Lists the direct children of a folder. Starts no request after `stop`.
    ///
    /// # Errors
    ///
    /// [`DeleteError`]
    pub async fn list_folder(
        &self,
        folder: &Folder,
        stop: Instant,
    ) -> Result<Listing, DeleteError> {
        let name = |path: String| path.strip_prefix(&folder.prefix).map(str::to_owned);
        let folder_name = |path| Some(name(path)?.strip_suffix('/')?.to_owned());
        let mut pages = std::pin::pin!(self.pages(folder, Some("/"), stop));
        let mut listing = Listing::default();
        while let Some(page) = pages.try_next().await? {
            let folders = page.folders.into_iter().filter_map(folder_name);
            listing.folders.extend(folders);
            let current = page.objects.into_iter().filter(|object| object.is_current);
            let files = current.filter_map(|object| name(object.key));
            listing.files.extend(files);
        }
        Ok(listing)
    }

    /// The first few keys of a folder and the folders in it, relative to the folder.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or refuses the request.
    pub async fn first_keys(&self, folder: &Folder, count: i32) -> Result<Vec<String>, Error> {
        let Folder { bucket, prefix, .. } = folder;
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let answer = request.max_keys(count).send().await;
        let answer = answer.map_err(|error| Error::of("ListObjectsV2", folder.uri(), error))?;
        let objects = answer.contents.unwrap_or_default().into_iter();
        let keys = objects.filter_map(|object| object.key);
        Ok(keys
            .filter_map(|key| key.strip_prefix(prefix.as_str()).map(str::to_owned))
            .collect())
    }

    /// Deletes everything in the folder and keeps `stats` up to date. Listing starts immediately,
    /// deleting only when `may_delete` is set. No request starts after `stop`.
    ///
    /// # Errors
    ///
    /// [`DeleteError`], after every request that had started is finished. If S3 refuses some keys,
    /// all others are still deleted. The error names the refused keys with S3's reason.
    pub async fn delete_folder(
        &self,
        folder: &Folder,
        may_delete: &SetOnce<()>,
        stop: Instant,
        stats: &DeleteStats,
    ) -> Result<(), DeleteError> {
        let job = &FolderJob {
            folder,
            stop,
            stats,
        };
        let batches = self.pages(folder, None, stop).map(|page| async move {
            let objects = page?.objects;
            may_delete.wait().await;
            self.delete_page(job, objects).await
        });
        let mut results = std::pin::pin!(batches.buffer_unordered(BATCHES_IN_FLIGHT));
        let (mut first_error, mut refused) = (None, RefusedKeys::default());
        while let Some(result) = results.next().await {
            match result {
                Ok(more) => refused.extend(more),
                // Later errors often follow from the first one.
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) => Err(error),
            None if refused.count == 0 => Ok(()),
            None => Err(job.failed(refused.to_string())),
        }
    }

    /// Counts what [`S3::delete_folder`] would delete.
    ///
    /// # Errors
    ///
    /// [`DeleteError`]
    pub async fn measure_folder(
        &self,
        folder: &Folder,
        stop: Instant,
        stats: &DeleteStats,
    ) -> Result<(), DeleteError> {
        let mut pages = std::pin::pin!(self.pages(folder, None, stop));
        while let Some(page) = pages.try_next().await? {
            stats.add(&page.objects);
        }
        Ok(())
    }

    /// Deletes one page of objects and returns those that S3 refuses. A page has at most 1,000
    /// objects, which is also the limit of one `DeleteObjects`.
    async fn delete_page(
        &self,
        job: &FolderJob<'_>,
        mut objects: Vec<ListedObject>,
    ) -> Result<RefusedKeys, DeleteError> {
        let mut refused = RefusedKeys::default();
        let mut pauses = pauses();
        while !objects.is_empty() {
            let Some(errors) = self.try_to_delete(job, &objects, &mut pauses).await? else {
                continue;
            };
            let retryable = job.sort_out(objects, errors, &mut refused)?;
            if retryable.iter().any(|(_, error)| error.code == "SlowDown") {
                self.rate_limiter.on_slow_down();
            } else if !retryable.is_empty() {
                match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => {
                        let refusals = retryable.iter();
                        refusals.for_each(|(object, error)| refused.add(&object.key, error));
                        return Ok(refused);
                    }
                }
            }
            objects = retryable.into_iter().map(|(object, _)| object).collect();
        }
        Ok(refused)
    }

    /// Sends one request at the rate limiter's pace. Returns the keys that S3 did not delete, or
    /// `None` if the request failed and should be sent again.
    async fn try_to_delete(
        &self,
        job: &FolderJob<'_>,
        objects: &[ListedObject],
        pauses: &mut ExponentialBackoff,
    ) -> Result<Option<KeyErrors>, DeleteError> {
        self.rate_limiter.acquire().await;
        if Instant::now() >= job.stop {
            return Err(DeleteError::OutOfTime);
        }
        let failed = match self.delete_objects(job.folder, objects).await {
            Ok(errors) => return Ok(Some(errors)),
            Err(failed) => failed,
        };
        // A slow-down lengthens the limiter's pauses, and never ends the run by itself.
        if failed.is_slow_down {
            return Ok(None);
        }
        match pauses.next() {
            Some(pause) if failed.is_server_fault => {
                sleep(pause).await;
                Ok(None)
            }
            _ => Err(DeleteError::Failed(failed.error)),
        }
    }

    /// Sends one `DeleteObjects`. The request succeeds as a whole even if single keys fail.
    ///
    /// The SDK does not retry it: its retries would ignore the rate limiter, and give up after a
    /// few seconds of slow-down.
    async fn delete_objects(
        &self,
        folder: &Folder,
        objects: &[ListedObject],
    ) -> Result<KeyErrors, FailedRequest> {
        let delete = delete_request(objects).map_err(|error| FailedRequest {
            is_server_fault: false,
            is_slow_down: false,
            error: Error::new(OPERATION, folder.uri(), error),
        })?;
        let request = self.client.delete_objects().bucket(&folder.bucket);
        let once = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
        let request = request.delete(delete).customize().config_override(once);
        match request.send().await {
            Ok(answer) => Ok(key_errors(answer, folder.versions)),
            Err(error) => Err(FailedRequest::new(OPERATION, folder.uri(), error)),
        }
    }

    /// The pages of the folder's listing. A page is requested when the previous one is taken. With
    /// a `delimiter`, the listing has only direct children.
    fn pages<'a>(
        &'a self,
        folder: &'a Folder,
        delimiter: Option<&'a str>,
        stop: Instant,
    ) -> impl Stream<Item = Result<Page, DeleteError>> + 'a {
        stream::try_unfold(Cursor::Start, move |cursor| async move {
            let (token, version) = match cursor {
                Cursor::End => return Ok(None),
                Cursor::Start => (None, None),
                Cursor::After { token, version } => (token, version),
            };
            loop {
                if Instant::now() >= stop {
                    return Err(DeleteError::OutOfTime);
                }
                let (token, version) = (token.clone(), version.clone());
                let page = match folder.versions {
                    Versions::Current => self.objects(folder, delimiter, token).await,
                    Versions::All => self.versions(folder, delimiter, token, version).await,
                };
                match page {
                    Ok(page) => return Ok(Some(page)),
                    // The SDK has ended its retries, but time is left: retry at a lower rate.
                    Err(failed) if failed.is_slow_down => self.rate_limiter.acquire().await,
                    Err(failed) => return Err(DeleteError::Failed(failed.error)),
                }
            }
        })
    }

    async fn objects(
        &self,
        folder: &Folder,
        delimiter: Option<&str>,
        token: Option<String>,
    ) -> Result<(Page, Cursor), FailedRequest> {
        let Folder { bucket, prefix, .. } = folder;
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let request = request
            .set_delimiter(delimiter.map(str::to_owned))
            .set_continuation_token(token);
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| FailedRequest::new("ListObjectsV2", folder.uri(), error))?;
        let objects = answer.contents.unwrap_or_default().into_iter();
        let objects =
            objects.filter_map(|object| ListedObject::new(object.key, None, object.size, true));
        let page = Page {
            objects: objects.collect(),
            folders: folders(answer.common_prefixes),
        };
        let next = answer
            .next_continuation_token
            .map_or(Cursor::End, |token| Cursor::After {
                token: Some(token),
                version: None,
            });
        Ok((page, next))
    }

    async fn versions(
        &self,
        folder: &Folder,
        delimiter: Option<&str>,
        key_marker: Option<String>,
        version_id_marker: Option<String>,
    ) -> Result<(Page, Cursor), FailedRequest> {
        let Folder { bucket, prefix, .. } = folder;
        let request = self.client.list_object_versions();
        let request = request
            .bucket(bucket)
            .prefix(prefix)
            .set_delimiter(delimiter.map(str::to_owned))
            .set_key_marker(key_marker)
            .set_version_id_marker(version_id_marker);
        let answer = request.send().await;
        let answer = answer
            .map_err(|error| FailedRequest::new("ListObjectVersions", folder.uri(), error))?;
        let versions = answer.versions.unwrap_or_default().into_iter();
        let versions = versions.filter_map(|v| {
            ListedObject::new(v.key, v.version_id, v.size, v.is_latest == Some(true))
        });
        let markers = answer.delete_markers.unwrap_or_default().into_iter();
        let markers = markers.filter_map(|m| ListedObject::new(m.key, m.version_id, None, false));
        let page = Page {
            objects: versions.chain(markers).collect(),
            folders: folders(answer.common_prefixes),
        };
        let next = if answer.is_truncated == Some(true) {
            Cursor::After {
                token: answer.next_key_marker,
                version: answer.next_version_id_marker,
            }
        } else {
            Cursor::End
        };
        Ok((page, next))
    }
}

impl FolderJob<'_> {
    fn failed(&self, problem: impl Into<BoxError>) -> DeleteError {
        DeleteError::Failed(Error::new(OPERATION, self.folder.uri(), problem))
    }

    /// Counts deleted objects, records refused ones, and returns the objects that can be tried
    /// again.
    fn sort_out(
        &self,
        objects: Vec<ListedObject>,
        mut errors: KeyErrors,
        refused: &mut RefusedKeys,
    ) -> Result<Vec<(ListedObject, KeyError)>, DeleteError> {
        let mut retryable = Vec::new();
        for object in objects {
            let version = object.version.clone().unwrap_or_default();
            match errors.remove(&(object.key.clone(), version)) {
                None => self.stats.add([&object]),
                Some(error) if is_retryable(&error.code) => retryable.push((object, error)),
                Some(error) => refused.add(&object.key, &error),
            }
        }
        match errors.into_iter().next() {
            None => Ok(retryable),
            // It is then unknown which of the requested keys still exist.
            Some(((key, _), error)) => Err(self.failed(format!(
                "S3 returned an error for {key:?}, which was not requested: {error}"
            ))),
        }
    }
}

/// The pauses after failed requests for one page.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(8)
        .with_jitter()
        .build()
}

fn delete_request(objects: &[ListedObject]) -> Result<Delete, BoxError> {
    let mut identifiers = Vec::new();
    for object in objects {
        let identifier = ObjectIdentifier::builder()
            .key(&object.key)
            .set_version_id(object.version.clone());
        identifiers.push(identifier.build()?);
    }
    let delete = Delete::builder().set_objects(Some(identifiers)).quiet(true);
    Ok(delete.build()?)
}

fn folders(prefixes: Option<Vec<CommonPrefix>>) -> Vec<String> {
    let prefixes = prefixes.unwrap_or_default().into_iter();
    prefixes.filter_map(|common| common.prefix).collect()
}

/// The keys that S3 did not delete, by key and version (empty if the request had no versions).
type KeyErrors = HashMap<(String, String), KeyError>;

fn key_errors(answer: DeleteObjectsOutput, versions: Versions) -> KeyErrors {
    let mut errors = KeyErrors::new();
    for error in answer.errors.unwrap_or_default() {
        let version = match versions {
            Versions::All => error.version_id.unwrap_or_default(),
            Versions::Current => String::new(),
        };
        let key_error = KeyError {
            code: error.code.unwrap_or_default(),
            message: error.message.unwrap_or_default(),
        };
        errors.insert((error.key.unwrap_or_default(), version), key_error);
    }
    errors
}

/// The reason for which S3 did not delete a key.
struct KeyError {
    code: String,
    message: String,
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.code, self.message)
    }
}

/// Keys that S3 refused: the number of all, and the first few with their errors.
#[derive(Default)]
struct RefusedKeys {
    count: usize,
    named: Vec<String>,
}

impl RefusedKeys {
    fn add(&mut self, key: &str, error: &KeyError) {
        self.extend(Self {
            count: 1,
            named: vec![format!("{key}: {error}")],
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
        let (count, named) = (self.count, self.named.join("; "));
        write!(f, "S3 refused {count} objects: {named}")?;
        match count - self.named.len() {
            0 => Ok(()),
            unnamed => write!(f, "; and {unnamed} more"),
        }
    }
}
