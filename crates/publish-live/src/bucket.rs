//! Runs jobs against the bucket.

use crate::Error;
use crate::disk::{Disk, FileReadError};
use crate::settings::Settings;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use onair_aws::s3::{PublisherId, PutTarget, S3, StoredPlaylist};
use onair_core::publish_live::job::{FinishedJob, Job, RetryLater, StoredText, UploadError};
use onair_core::publish_live::names::{FileId, file_kind};
use percent_encoding::percent_decode_str;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Memory for the content of files, in units of 64 KiB: 64 MiB. A larger file is uploaded alone.
const MEMORY_UNITS: u32 = 1024;
const UNIT_BYTES: u64 = 64 * 1024;
/// Time that S3 has to answer, in addition to the time for sending the content.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Assumed uplink for one file, in bytes a second. Each failed try assumes a quarter of it, at
/// least a sixteenth. So a lost answer is noticed early, and a slow uplink gets enough time.
const UPLINK: u32 = 512 * 1024;
const MAX_QUARTERINGS: u32 = 2;
/// The largest segment, in bytes.
const MAX_SEGMENT_BYTES: u64 = 256 * 1024 * 1024;
/// Another publisher that wrote a playlist within this time is running.
const RUNNING_WITHIN: Duration = Duration::from_secs(30);
/// Time between two tries to delete objects.
const DELETE_PAUSE: Duration = Duration::from_secs(30);
/// Segments, keys and initialization sections never change: a name never means two contents.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// The size of `retries` above which it is cleared: entries of abandoned objects stay in it.
const MAX_RETRIES: usize = 10_000;

/// A prefix of a bucket, and the publisher that writes there.
pub(crate) struct LiveBucket {
    s3: S3,
    bucket: String,
    prefix: String,
    publisher: PublisherId,
    memory: Semaphore,
    /// The other process of this publisher that wrote a playlist last, by playlist. A request that
    /// was in flight when a process was killed may take effect once.
    other_runs: Mutex<HashMap<String, String>>,
    /// The `ETag` of each playlist in S3, by name.
    e_tags: Mutex<HashMap<String, String>>,
    /// The objects whose last request failed, by name.
    retries: Mutex<HashMap<String, Retries>>,
}

/// The ways in which a request for a playlist fails.
enum PlaylistFailure {
    Retry(RetryLater),
    /// Another publisher is running, so that the daemon ends.
    NotAlone(Error),
}

struct Retries {
    pauses: ExponentialBackoff,
    failures: u32,
}

impl LiveBucket {
    /// # Errors
    ///
    /// When the region is not known.
    pub(crate) async fn connect(settings: &Settings) -> Result<Self, Error> {
        let config = onair_aws::connect_anywhere(RESPONSE_TIMEOUT).await;
        let Some(region) = config.region() else {
            return Err(Error::NoRegion);
        };
        let (dir, target) = (settings.dir.display(), &settings.target);
        let publisher = PublisherId {
            name: settings.publisher.clone(),
            run: process_run(),
        };
        let name = readable(&publisher.name);
        tracing::info!("folder {dir} is published to {target} ({region}), as {name}");
        Ok(Self {
            s3: S3::new(&config),
            bucket: target.bucket.clone(),
            prefix: target.prefix.clone(),
            publisher,
            memory: Semaphore::new(MEMORY_UNITS as usize),
            other_runs: Mutex::default(),
            e_tags: Mutex::default(),
            retries: Mutex::default(),
        })
    }

    /// Reports at the start that the bucket cannot be read, before the first segment is written.
    pub(crate) async fn check_access(&self) {
        let key = self.key("index.m3u8");
        if let Err(error) = self.s3.get_playlist(&self.bucket, &key).await {
            tracing::error!(
                "bucket {} cannot be read, so that nothing can be published: {error}",
                self.bucket
            );
        }
    }

    /// # Errors
    ///
    /// When another publisher writes the same playlists.
    pub(crate) async fn perform(&self, job: Job, disk: &Disk) -> Result<FinishedJob, Error> {
        Ok(match job {
            Job::ReadPublished(name) => {
                let result = retry_or_end(self.read_published(&name).await)?;
                FinishedJob::ReadPublished { name, result }
            }
            Job::Upload { path, file, name } => {
                let result = self.upload(disk, &path, file, &name).await;
                FinishedJob::Upload { name, result }
            }
            Job::Publish { name, text } => {
                let result = retry_or_end(self.publish(&name, &text).await)?;
                FinishedJob::Publish { name, text, result }
            }
            Job::Delete(names) => {
                let result = self.delete(&names).await;
                FinishedJob::Delete { names, result }
            }
        })
    }

    async fn read_published(&self, name: &str) -> Result<Option<StoredText>, PlaylistFailure> {
        let stored = self.get_playlist(name).await?;
        self.succeeded(name);
        let Some(stored) = stored else {
            return Ok(None);
        };
        if let Some(writer) = &stored.publisher
            && writer.name != self.publisher.name
            && stored.age < RUNNING_WITHIN
        {
            return Err(self.not_alone(name, readable(&writer.name), stored.age));
        }
        lock(&self.e_tags, |e_tags| {
            e_tags.insert(name.to_owned(), stored.e_tag)
        });
        Ok(Some(StoredText {
            text: stored.text,
            age: stored.age,
        }))
    }

    async fn get_playlist(&self, name: &str) -> Result<Option<StoredPlaylist>, PlaylistFailure> {
        let stored = self.s3.get_playlist(&self.bucket, &self.key(name)).await;
        stored.map_err(|error| self.retry(name, error.to_string()))
    }

    async fn upload(
        &self,
        disk: &Disk,
        path: &str,
        file: FileId,
        name: &str,
    ) -> Result<(), UploadError> {
        if file.size_bytes > MAX_SEGMENT_BYTES {
            return Err(UploadError::Permanent(format!(
                "file {path} has {} bytes, and a segment has at most {MAX_SEGMENT_BYTES}",
                file.size_bytes
            )));
        }
        let units = u32::try_from(file.size_bytes.div_ceil(UNIT_BYTES)).unwrap_or(MEMORY_UNITS);
        let retry = |cause| UploadError::Retry(self.retry_later(name, cause));
        let memory = self.memory.acquire_many(units.clamp(1, MEMORY_UNITS)).await;
        let _memory = memory.map_err(|closed| retry(closed.to_string()))?;
        let bytes = disk.content(path, file).map_err(|error| match error {
            FileReadError::Gone(cause) => UploadError::Permanent(cause),
            FileReadError::Failed(cause) => retry(cause),
        })?;
        let target = PutTarget {
            bucket: &self.bucket,
            key: &self.key(name),
            content_type: content_type(path),
            cache_control: IMMUTABLE,
            time_limit: self.time_limit(name, bytes.len()),
        };
        let put = self.s3.put_file(&target, bytes).await;
        put.map_err(|error| retry(error.to_string()))?;
        self.succeeded(name);
        Ok(())
    }

    async fn publish(&self, name: &str, text: &str) -> Result<(), PlaylistFailure> {
        let target = PutTarget {
            bucket: &self.bucket,
            key: &self.key(name),
            content_type: content_type(name),
            cache_control: &cache_control(text),
            time_limit: self.time_limit(name, text.len()),
        };
        let before = lock(&self.e_tags, |e_tags| e_tags.get(name).cloned());
        let put = self
            .s3
            .put_playlist(&target, text, before.as_deref(), &self.publisher);
        let e_tag = put
            .await
            .map_err(|error| self.retry(name, error.to_string()))?;
        let Some(e_tag) = e_tag else {
            return self.resolve_conflict(name, text).await;
        };
        lock(&self.e_tags, |e_tags| e_tags.insert(name.to_owned(), e_tag));
        self.succeeded(name);
        Ok(())
    }

    /// The playlist in S3 is not the one that was written last. Either an earlier request succeeded
    /// and its answer was lost, or another publisher is running.
    async fn resolve_conflict(&self, name: &str, text: &str) -> Result<(), PlaylistFailure> {
        let Some(stored) = self.get_playlist(name).await? else {
            lock(&self.e_tags, |e_tags| e_tags.remove(name));
            return Err(self.retry(name, "the playlist was deleted from S3".to_owned()));
        };
        self.check_writer(name, &stored)?;
        lock(&self.e_tags, |e_tags| {
            e_tags.insert(name.to_owned(), stored.e_tag)
        });
        if stored.text == text {
            return Ok(());
        }
        Err(PlaylistFailure::Retry(RetryLater {
            cause: "an earlier request for the playlist took effect late".to_owned(),
            pause: Duration::ZERO,
        }))
    }

    /// Checks that this publisher wrote a playlist, in this process or in the one before.
    fn check_writer(&self, name: &str, stored: &StoredPlaylist) -> Result<(), PlaylistFailure> {
        let Some(writer) = &stored.publisher else {
            let writer = "not publish-live, perhaps aws s3 sync".to_owned();
            return Err(self.not_alone(name, writer, stored.age));
        };
        if writer.name != self.publisher.name {
            return Err(self.not_alone(name, readable(&writer.name), stored.age));
        }
        if writer.run == self.publisher.run {
            return Ok(());
        }
        let before = lock(&self.other_runs, |runs| {
            runs.insert(name.to_owned(), writer.run.clone())
        });
        if before.as_ref() == Some(&writer.run) {
            let writer = format!(
                "{}, another process of the same name",
                readable(&writer.name)
            );
            return Err(self.not_alone(name, writer, stored.age));
        }
        Ok(())
    }

    async fn delete(&self, names: &[String]) -> Result<(), RetryLater> {
        let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        let deleted = self.s3.delete_keys(&self.bucket, &keys).await;
        deleted.map_err(|error| RetryLater {
            cause: error.to_string(),
            pause: DELETE_PAUSE,
        })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn not_alone(&self, name: &str, publisher: String, age: Duration) -> PlaylistFailure {
        PlaylistFailure::NotAlone(Error::NotAlone {
            bucket: self.bucket.clone(),
            key: self.key(name),
            publisher,
            age_s: age.as_secs(),
        })
    }

    fn retry(&self, name: &str, cause: String) -> PlaylistFailure {
        PlaylistFailure::Retry(self.retry_later(name, cause))
    }

    /// A failure with the pause before the next try: longer each time, and with jitter.
    fn retry_later(&self, name: &str, cause: String) -> RetryLater {
        let pause = lock(&self.retries, |retries| {
            if retries.len() > MAX_RETRIES {
                retries.clear();
            }
            let retries = retries.entry(name.to_owned()).or_insert_with(Retries::new);
            retries.failures += 1;
            retries.pauses.next().unwrap_or_default()
        });
        RetryLater { cause, pause }
    }

    /// The time for one try to send so many bytes under this name.
    fn time_limit(&self, name: &str, bytes: usize) -> Duration {
        let failures = lock(&self.retries, |retries| {
            retries.get(name).map_or(0, |retries| retries.failures)
        });
        let seconds = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(UPLINK);
        let quarterings = 4_u32.pow(failures.min(MAX_QUARTERINGS));
        RESPONSE_TIMEOUT + Duration::from_secs_f64(seconds) * quarterings
    }

    fn succeeded(&self, name: &str) {
        lock(&self.retries, |retries| retries.remove(name));
    }
}

impl Retries {
    fn new() -> Self {
        Self {
            pauses: ExponentialBuilder::new()
                .with_min_delay(Duration::from_millis(200))
                .with_max_delay(Duration::from_secs(3))
                .without_max_times()
                .with_jitter()
                .build(),
            failures: 0,
        }
    }
}

/// Separates the failures that the publisher handles from those that end the daemon.
fn retry_or_end<T>(result: Result<T, PlaylistFailure>) -> Result<Result<T, RetryLater>, Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(PlaylistFailure::Retry(failed)) => Ok(Err(failed)),
        Err(PlaylistFailure::NotAlone(error)) => Err(error),
    }
}

/// Identifies this process among all that publish.
fn process_run() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}-{}", std::process::id(), since.as_nanos())
}

/// The name of a publisher, without the encoding for S3 metadata.
fn readable(name: &str) -> String {
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

fn content_type(path: &str) -> &'static str {
    file_kind(path).map_or("application/octet-stream", |(_, content_type)| content_type)
}

/// Caches may keep a media playlist for half a target duration, because players reload it after a
/// whole one. They may keep a multivariant playlist for a second.
fn cache_control(text: &str) -> String {
    let target_s = text.lines().find_map(|line| {
        line.strip_prefix("#EXT-X-TARGETDURATION:")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    format!("max-age={}", target_s.map_or(1, |target_s| target_s / 2))
}

fn lock<T, R>(shared: &Mutex<T>, change: impl FnOnce(&mut T) -> R) -> R {
    change(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}
