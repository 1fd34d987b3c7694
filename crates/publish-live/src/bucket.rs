//! The bucket: jobs are done here.

use crate::Error;
use crate::disk::{Disk, FileReadError};
use crate::settings::Settings;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use onair_aws::s3::{PublisherId, PutTarget, S3};
use onair_core::publish_live::job::{Job, Outcome};
use onair_core::publish_live::names::{FileId, file_kind};
use percent_encoding::percent_decode_str;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// How much of files is in memory at a time, in units of 64 KiB: 64 MiB. A larger file goes alone.
const MEMORY: u32 = 1024;
const UNIT_BYTES: u64 = 64 * 1024;
/// A request without an answer for so long is taken for lost, beside the time that it takes to send
/// it.
const ATTEMPT: Duration = Duration::from_secs(5);
/// What an uplink is believed to carry of one file, in bytes a second. With each try that fails it
/// is a quarter of that, down to a sixteenth: an answer that never comes is soon given up, and a
/// slow uplink is found out.
const UPLINK: u32 = 512 * 1024;
const MAX_QUARTERINGS: u32 = 2;
/// No segment is larger, in bytes.
const LARGEST_BYTES: u64 = 256 * 1024 * 1024;
/// A playlist that somebody else wrote more recently than this belongs to a publisher that is at
/// work.
const AT_WORK: Duration = Duration::from_secs(30);
/// Segments, keys and initialization sections never change: no name means two contents.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A prefix of a bucket, and who publishes there.
pub(crate) struct LiveBucket {
    s3: S3,
    bucket: String,
    prefix: String,
    publisher: PublisherId,
    memory: Semaphore,
    /// The process of the same name that came in between, by playlist. What was sent before a
    /// process was killed may do so once.
    came_between: Mutex<HashMap<String, String>>,
    /// The `ETag` of each playlist that is there, by its name.
    e_tags: Mutex<HashMap<String, String>>,
    /// The pauses of what fails, and how often it did, by its name.
    pauses: Mutex<HashMap<String, (ExponentialBackoff, u32)>>,
}

impl LiveBucket {
    /// # Errors
    ///
    /// When nobody says in which region the bucket is.
    pub(crate) async fn connect(settings: &Settings) -> Result<Self, Error> {
        let config = onair_aws::connect_anywhere(ATTEMPT).await;
        let Some(region) = config.region() else {
            return Err(Error::NoRegion);
        };
        let Settings {
            dir,
            target,
            publisher,
            ..
        } = settings;
        let publisher = PublisherId {
            name: publisher.clone(),
            run: run(),
        };
        tracing::info!(
            "publishes {} to {target} ({region}), as {}",
            dir.display(),
            readable(&publisher.name)
        );
        Ok(Self {
            s3: S3::new(&config),
            bucket: settings.target.bucket.clone(),
            prefix: settings.target.prefix.clone(),
            publisher,
            came_between: Mutex::default(),
            memory: Semaphore::new(MEMORY as usize),
            e_tags: Mutex::default(),
            pauses: Mutex::default(),
        })
    }

    /// Looks whether the bucket is there and may be read, before anything is to be put.
    pub(crate) async fn look(&self) {
        if let Err(error) = self
            .s3
            .get_playlist(&self.bucket, &self.key("index.m3u8"))
            .await
        {
            tracing::error!(
                "the bucket cannot be read, and nothing will be published before it can: {error}"
            );
        }
    }

    /// Does a job.
    pub(crate) async fn perform(&self, job: Job, disk: &Disk) -> (Job, Result<Outcome, Error>) {
        let outcome = match &job {
            Job::ReadPublished(name) => self.recall(name).await,
            Job::Upload { path, file, name } => Ok(self.upload(disk, path, *file, name).await),
            Job::Publish { name, text } => self.publish(name, text).await,
            Job::Delete(names) => Ok(self.delete(names).await),
        };
        (job, outcome)
    }

    async fn recall(&self, name: &str) -> Result<Outcome, Error> {
        let found = match self.s3.get_playlist(&self.bucket, &self.key(name)).await {
            Ok(found) => found,
            Err(error) => return Ok(self.failed(name, &error)),
        };
        self.succeeded(name);
        let Some(found) = found else {
            return Ok(Outcome::Recalled(None));
        };
        match found.publisher {
            Some(publisher) if self.is_at_work(&publisher, found.age) => {
                return Err(self.not_alone(name, readable(&publisher.name), found.age));
            }
            _ => {}
        }
        with(&self.e_tags, |e_tags| {
            e_tags.insert(name.to_owned(), found.e_tag)
        });
        Ok(Outcome::Recalled(Some((found.text, found.age))))
    }

    async fn upload(&self, disk: &Disk, path: &str, file: FileId, name: &str) -> Outcome {
        let units = u32::try_from(file.size_bytes.div_ceil(UNIT_BYTES))
            .unwrap_or(MEMORY)
            .clamp(1, MEMORY);
        // It is never closed.
        let Ok(_memory) = self.memory.acquire_many(units).await else {
            return Outcome::Permanent("the daemon ends".to_owned());
        };
        if file.size_bytes > LARGEST_BYTES {
            return Outcome::Permanent(format!(
                "{path} has {} bytes: that is no segment",
                file.size_bytes
            ));
        }
        let bytes = match disk.content(path, file) {
            Ok(bytes) => bytes,
            Err(FileReadError::Gone(why)) => return Outcome::Permanent(why),
            Err(FileReadError::Failed(why)) => {
                return Outcome::Failed {
                    why,
                    pause: self.pause(name),
                };
            }
        };
        let content_type =
            file_kind(path).map_or("application/octet-stream", |(_, content_type)| content_type);
        let target = PutTarget {
            bucket: &self.bucket,
            key: &self.key(name),
            content_type,
            cache_control: FOR_EVER,
            time_limit: self.time_for(name, bytes.len()),
        };
        match self.s3.put_file(&target, bytes).await {
            Ok(()) => {
                self.succeeded(name);
                Outcome::Done
            }
            Err(error) => self.failed(name, &error),
        }
    }

    async fn publish(&self, name: &str, text: &str) -> Result<Outcome, Error> {
        let content_type =
            file_kind(name).map_or("application/octet-stream", |(_, content_type)| content_type);
        let cache_control = cache_control(text);
        let target = PutTarget {
            bucket: &self.bucket,
            key: &self.key(name),
            content_type,
            cache_control: &cache_control,
            time_limit: self.time_for(name, text.len()),
        };
        let was = with(&self.e_tags, |e_tags| e_tags.get(name).cloned());
        match self
            .s3
            .put_playlist(&target, text, was.as_deref(), &self.publisher)
            .await
        {
            Ok(Some(e_tag)) => {
                with(&self.e_tags, |e_tags| e_tags.insert(name.to_owned(), e_tag));
                self.succeeded(name);
                Ok(Outcome::Done)
            }
            Ok(None) => self.settle(name, text).await,
            Err(error) => Ok(self.failed(name, &error)),
        }
    }

    /// What is there is not what was there: either an earlier try of ours came through unheard, or
    /// somebody else is at work.
    async fn settle(&self, name: &str, text: &str) -> Result<Outcome, Error> {
        let found = match self.s3.get_playlist(&self.bucket, &self.key(name)).await {
            Ok(found) => found,
            Err(error) => return Ok(self.failed(name, &error)),
        };
        let Some(found) = found else {
            with(&self.e_tags, |e_tags| e_tags.remove(name));
            return Ok(Outcome::Failed {
                why: "somebody deleted it".to_owned(),
                pause: self.pause(name),
            });
        };
        let Some(publisher) = found.publisher else {
            let publisher = "something that is no publish-live, such as aws s3 sync".to_owned();
            return Err(self.not_alone(name, publisher, found.age));
        };
        if publisher.name != self.publisher.name {
            return Err(self.not_alone(name, readable(&publisher.name), found.age));
        }
        if publisher.run != self.publisher.run {
            let before = with(&self.came_between, |runs| {
                runs.insert(name.to_owned(), publisher.run.clone())
            });
            if before == Some(publisher.run) {
                let publisher = format!(
                    "{}, another process of the same name",
                    readable(&publisher.name)
                );
                return Err(self.not_alone(name, publisher, found.age));
            }
        }
        let is_done = found.text == text;
        with(&self.e_tags, |e_tags| {
            e_tags.insert(name.to_owned(), found.e_tag)
        });
        match is_done {
            true => Ok(Outcome::Done),
            false => Ok(Outcome::Failed {
                why: "an earlier version came in between".to_owned(),
                pause: Duration::ZERO,
            }),
        }
    }

    async fn delete(&self, names: &[String]) -> Outcome {
        let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        match self.s3.delete_keys(&self.bucket, &keys).await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed {
                why: error.to_string(),
                pause: AT_WORK,
            },
        }
    }

    fn is_at_work(&self, publisher: &PublisherId, age: Duration) -> bool {
        publisher.name != self.publisher.name && age < AT_WORK
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn not_alone(&self, name: &str, publisher: String, age: Duration) -> Error {
        Error::NotAlone {
            bucket: self.bucket.clone(),
            key: self.key(name),
            publisher,
            age_s: age.as_secs(),
        }
    }

    fn failed(&self, name: &str, error: &onair_aws::Error) -> Outcome {
        Outcome::Failed {
            why: error.to_string(),
            pause: self.pause(name),
        }
    }

    /// How long to wait before the next try: longer each time, and not all at once.
    fn pause(&self, name: &str) -> Duration {
        let pauses = || {
            ExponentialBuilder::new()
                .with_min_delay(Duration::from_millis(200))
                .with_max_delay(Duration::from_secs(3))
                .without_max_times()
                .with_jitter()
                .build()
        };
        with(&self.pauses, |known| {
            // Of what was given up nobody hears again.
            if known.len() > 10_000 {
                known.clear();
            }
            let (pauses, failures) = known
                .entry(name.to_owned())
                .or_insert_with(|| (pauses(), 0));
            *failures += 1;
            pauses.next().unwrap_or_default()
        })
    }

    /// How long it may take to send so much under this name.
    fn time_for(&self, name: &str, bytes: usize) -> Duration {
        let failures = with(&self.pauses, |known| {
            known.get(name).map_or(0, |(_, failures)| *failures)
        });
        let seconds = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(UPLINK);
        ATTEMPT + Duration::from_secs_f64(seconds) * 4_u32.pow(failures.min(MAX_QUARTERINGS))
    }

    fn succeeded(&self, name: &str) {
        with(&self.pauses, |known| known.remove(name));
    }
}

/// What no other process has.
fn run() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}-{}", std::process::id(), since.as_nanos())
}

/// A publisher's name as people read it.
fn readable(name: &str) -> String {
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// A media playlist may be kept for half a target duration (a client reloads it after a whole one),
/// a multivariant one as briefly as makes sense.
fn cache_control(text: &str) -> String {
    let target_s = text.lines().find_map(|line| {
        line.strip_prefix("#EXT-X-TARGETDURATION:")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    format!("max-age={}", target_s.map_or(1, |target_s| target_s / 2))
}

fn with<T, R>(held: &Mutex<T>, change: impl FnOnce(&mut T) -> R) -> R {
    change(&mut held.lock().unwrap_or_else(PoisonError::into_inner))
}
