//! Emptying folders of any size: pages of a listing flow into DeleteObjects, several in flight, and nothing
//! is kept of a page once it is deleted, so memory does not grow with the number of keys.

use super::{S3, uri};
use crate::error::Error;
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::types::{CommonPrefix, Delete, ObjectIdentifier};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::SetOnce;
use tokio::time::{Instant, sleep};

/// DeleteObjects requests in flight for one folder. S3 takes about as long for one as for a page of the
/// listing, so a few keep up with it; more would only meet Slow Down earlier.
const BATCHES_IN_FLIGHT: usize = 4;
/// How many refused keys an error names.
const REFUSED_NAMED: usize = 10;

/// A folder in a bucket, and which of its contents are meant.
#[derive(Debug, Clone)]
pub struct Folder {
    bucket: String,
    pub(super) prefix: String,
    contents: Contents,
}

/// What a folder is taken to contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// The objects that a viewer can get.
    Current,
    /// Every version of every object, and every delete marker.
    Versions,
}

impl Folder {
    /// The folder at `prefix`, which gets a slash at its end if it has none: a prefix without one would
    /// also mean the neighbours whose names start alike.
    pub fn new(bucket: &str, prefix: &str, contents: Contents) -> Self {
        let prefix = format!("{}/", prefix.strip_suffix('/').unwrap_or(prefix));
        Self { bucket: bucket.to_owned(), prefix, contents }
    }
}

/// What has been deleted (or measured) so far. It is filled while the work goes on, so it is right also
/// when the work ends early.
#[derive(Debug, Default)]
pub struct Tally {
    objects: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
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
pub enum Unfinished {
    /// The time is up; what was begun is finished, the rest is still there.
    OutOfTime,
    /// S3 did not answer, or refused the request or some of the keys.
    Failed(Error),
}

/// One page of a listing.
#[derive(Default)]
pub(super) struct Page {
    objects: Vec<Listed>,
    pub(super) folders: Vec<String>,
}

struct Listed {
    key: String,
    version: Option<String>,
    size_bytes: u64,
}

impl Listed {
    fn new(key: Option<String>, version: Option<String>, size_bytes: Option<i64>) -> Option<Self> {
        let size_bytes = size_bytes.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        Some(Self { key: key?, version, size_bytes })
    }
}

/// Where the next page starts.
enum Cursor {
    Start,
    After { token: Option<String>, version: Option<String> },
    End,
}

impl S3 {
    /// Deletes everything in the folder, adding to `tally` as it goes. Listing starts at once, deleting only
    /// when `go` is set; nothing is started after `stop`.
    ///
    /// # Errors
    ///
    /// [`Unfinished`], after all that was begun has come to its end. Keys that S3 refuses do not keep the
    /// others from being deleted; the error names them with S3's reason.
    pub async fn empty(
        &self,
        folder: &Folder,
        go: &SetOnce<()>,
        stop: Instant,
        tally: &Tally,
    ) -> Result<(), Unfinished> {
        let batches = self.pages(folder, None, stop).map(|page| async {
            let objects = page?.objects;
            go.wait().await;
            self.delete(folder, objects, stop, tally).await
        });
        let mut ended = std::pin::pin!(batches.buffer_unordered(BATCHES_IN_FLIGHT));
        let (mut unfinished, mut refused) = (None, Refused::default());
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
                Err(Unfinished::Failed(Error::new("DeleteObjects", target, refused.to_string())))
            }
        }
    }

    /// Adds up what [`S3::empty`] would delete.
    ///
    /// # Errors
    ///
    /// [`Unfinished`]
    pub async fn measure(&self, folder: &Folder, stop: Instant, tally: &Tally) -> Result<(), Unfinished> {
        let pages = self.pages(folder, None, stop);
        pages
            .try_for_each(|page| {
                tally.add(
                    page.objects.len() as u64,
                    page.objects.iter().map(|object| object.size_bytes).sum(),
                );
                async { Ok(()) }
            })
            .await
    }

    /// The folder's listing, each page asked for when the one before is taken. `delimiter` keeps it to the
    /// folder itself.
    pub(super) fn pages<'a>(
        &'a self,
        folder: &'a Folder,
        delimiter: Option<&'a str>,
        stop: Instant,
    ) -> impl Stream<Item = Result<Page, Unfinished>> + 'a {
        stream::try_unfold(Cursor::Start, move |cursor| async move {
            let (token, version) = match cursor {
                Cursor::End => return Ok(None),
                Cursor::Start => (None, None),
                Cursor::After { token, version } => (token, version),
            };
            if Instant::now() >= stop {
                return Err(Unfinished::OutOfTime);
            }
            let page = match folder.contents {
                Contents::Current => self.objects(folder, delimiter, token).await,
                Contents::Versions => self.versions(folder, delimiter, token, version).await,
            };
            page.map(Some).map_err(Unfinished::Failed)
        })
    }

    async fn objects(
        &self,
        folder: &Folder,
        delimiter: Option<&str>,
        token: Option<String>,
    ) -> Result<(Page, Cursor), Error> {
        let Folder { bucket, prefix, .. } = folder;
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let request = request.set_delimiter(delimiter.map(str::to_owned)).set_continuation_token(token);
        let answer = request.send().await.map_err(|e| Error::new("ListObjectsV2", uri(bucket, prefix), e))?;
        let objects = answer.contents.unwrap_or_default().into_iter();
        let page = Page {
            objects: objects.filter_map(|object| Listed::new(object.key, None, object.size)).collect(),
            folders: folders(answer.common_prefixes),
        };
        let next = answer.next_continuation_token;
        Ok((page, next.map_or(Cursor::End, |token| Cursor::After { token: Some(token), version: None })))
    }

    async fn versions(
        &self,
        folder: &Folder,
        delimiter: Option<&str>,
        key_marker: Option<String>,
        version_id_marker: Option<String>,
    ) -> Result<(Page, Cursor), Error> {
        let Folder { bucket, prefix, .. } = folder;
        let request = self.client.list_object_versions().bucket(bucket).prefix(prefix);
        let request = request
            .set_delimiter(delimiter.map(str::to_owned))
            .set_key_marker(key_marker)
            .set_version_id_marker(version_id_marker);
        let answer =
            request.send().await.map_err(|e| Error::new("ListObjectVersions", uri(bucket, prefix), e))?;
        let versions = answer.versions.unwrap_or_default().into_iter();
        let versions = versions.filter_map(|v| Listed::new(v.key, v.version_id, v.size));
        let markers = answer.delete_markers.unwrap_or_default().into_iter();
        let markers = markers.filter_map(|marker| Listed::new(marker.key, marker.version_id, None));
        let page =
            Page { objects: versions.chain(markers).collect(), folders: folders(answer.common_prefixes) };
        let more = answer.is_truncated == Some(true);
        let (token, version) = (answer.next_key_marker, answer.next_version_id_marker);
        Ok((page, if more { Cursor::After { token, version } } else { Cursor::End }))
    }

    /// Deletes one page of objects and returns those that S3 refuses. A page has at most 1,000 objects,
    /// which is also what one DeleteObjects takes.
    async fn delete(
        &self,
        folder: &Folder,
        mut objects: Vec<Listed>,
        stop: Instant,
        tally: &Tally,
    ) -> Result<Refused, Unfinished> {
        let mut refused = Refused::default();
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(8)
            .with_jitter()
            .build();
        while !objects.is_empty() {
            self.pace.turn().await;
            if Instant::now() >= stop {
                return Err(Unfinished::OutOfTime);
            }
            let errors = self.delete_objects(folder, &objects).await.map_err(Unfinished::Failed)?;
            let mut again = Vec::new();
            if errors.is_empty() {
                tally.add(objects.len() as u64, size_bytes(&objects));
                return Ok(refused);
            }
            for object in objects {
                match errors.get(&(object.key.clone(), object.version.clone().unwrap_or_default())) {
                    None => tally.add(1, object.size_bytes),
                    Some(reason) if reason.is_transient() => again.push((object, reason)),
                    Some(reason) => refused.add(&object.key, reason),
                }
            }
            if again.iter().any(|(_, reason)| reason.code == "SlowDown") {
                self.pace.slow_down();
            }
            match (again.is_empty(), pauses.next()) {
                (false, Some(pause)) => sleep(pause).await,
                (false, None) => {
                    again.drain(..).for_each(|(object, reason)| refused.add(&object.key, reason));
                }
                (true, _) => {}
            }
            objects = again.into_iter().map(|(object, _)| object).collect();
        }
        Ok(refused)
    }

    /// One DeleteObjects, which succeeds as a whole even where single keys fail: the answer is the keys (and
    /// versions) that did, with the reason.
    async fn delete_objects(
        &self,
        folder: &Folder,
        objects: &[Listed],
    ) -> Result<HashMap<(String, String), Reason>, Error> {
        let failed =
            |error: BoxError| Error::new("DeleteObjects", uri(&folder.bucket, &folder.prefix), error);
        let identifiers = objects.iter().map(|object| {
            ObjectIdentifier::builder().key(&object.key).set_version_id(object.version.clone()).build()
        });
        let identifiers = identifiers.collect::<Result<_, _>>().map_err(|error| failed(error.into()))?;
        let delete = Delete::builder().set_objects(Some(identifiers)).quiet(true).build();
        let delete = delete.map_err(|error| failed(error.into()))?;
        let request = self.client.delete_objects().bucket(&folder.bucket).delete(delete);
        let answer = request.send().await.map_err(|error| failed(error.into()))?;
        let by_version = folder.contents == Contents::Versions;
        let errors = answer.errors.unwrap_or_default().into_iter().map(|error| {
            let version = error.version_id.filter(|_| by_version).unwrap_or_default();
            let (code, message) = (error.code.unwrap_or_default(), error.message.unwrap_or_default());
            ((error.key.unwrap_or_default(), version), Reason { code, message })
        });
        Ok(errors.collect())
    }
}

fn size_bytes(objects: &[Listed]) -> u64 {
    objects.iter().map(|object| object.size_bytes).sum()
}

fn folders(prefixes: Option<Vec<CommonPrefix>>) -> Vec<String> {
    prefixes.unwrap_or_default().into_iter().filter_map(|common| common.prefix).collect()
}

/// Why S3 did not delete a key.
struct Reason {
    code: String,
    message: String,
}

impl Reason {
    /// Whether the same request may succeed a little later.
    fn is_transient(&self) -> bool {
        ["InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted"]
            .contains(&self.code.as_str())
    }
}

/// Keys that S3 refused: all are counted, the first are named.
#[derive(Default)]
struct Refused {
    count: usize,
    named: Vec<String>,
}

impl Refused {
    fn add(&mut self, key: &str, Reason { code, message }: &Reason) {
        self.extend(Self { count: 1, named: vec![format!("{key}: {code} ({message})")] });
    }

    fn extend(&mut self, more: Self) {
        self.count += more.count;
        self.named.extend(more.named);
        self.named.truncate(REFUSED_NAMED);
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3 refused {} objects: {}", self.count, self.named.join("; "))?;
        let unnamed = self.count - self.named.len();
        if unnamed > 0 { write!(f, "; and {unnamed} more") } else { Ok(()) }
    }
}
