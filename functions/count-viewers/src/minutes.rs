//! Minutes as they are stored in S3. Several runs may add to the same minute at once.

use crate::Settings;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{StreamExt, TryStreamExt, stream};
use onair_aws::s3::{NewText, ReadOutcome, S3, StoredText};
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::{Audience, DataPoint, MergeOutcome, Minute};
use onair_core::count_viewers::stored_minute;
use onair_lambda::Error;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Twice the size of a minute with 50 streams of 50,000 viewers each.
const MAX_STORED_BYTES: usize = 64 << 20;
/// The most minutes that are read or written at the same time. S3 allows more, but each takes
/// memory.
const CONCURRENCY: usize = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// All logs of a busy minute are added to it at the same time, and one of them succeeds per
/// attempt. With hundreds of logs, each waits for one or two seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A run that waits occupies concurrency of the account, which fail-over needs. Lambda retries
/// after one minute and after two.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The results of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A dry run, which stored nothing.
    Planned,
    Counted,
    /// Everything in the log was stored before.
    Unchanged,
}

/// The changes by a log.
#[derive(Debug)]
pub(crate) struct MinutesUpdate {
    /// The data points that may have changed.
    pub(crate) data_points: Vec<DataPoint>,
    pub(crate) outcome: Outcome,
    /// How many streams exceeded the limit because of other logs.
    pub(crate) streams_dropped: u64,
}

/// Reads stored minutes, and updates them unless there is no writer.
pub(crate) struct MinuteStore<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) s3: &'a S3,
    /// A dry run does not have a writer.
    pub(crate) writer: Option<MinuteWriter<'a>>,
}

/// Writes minutes that no other run changed in between.
pub(crate) struct MinuteWriter<'a> {
    pub(crate) s3: &'a S3,
    /// No attempt starts after this.
    pub(crate) last_write: Instant,
}

/// A minute as it is stored after a merge.
struct MergedMinute {
    minute: Minute,
    audience: Audience,
    outcome: MergeOutcome,
}

impl MinuteStore<'_> {
    /// Merges the viewers of a log into the stored minutes, and computes the data points.
    pub(crate) async fn add(&self, new: Audience) -> Result<MinutesUpdate, Error> {
        let minutes: BTreeSet<Minute> = new.minutes().collect();
        let mut all = Audience::default();
        let merged = self.merge_all(new, &mut all).await?;
        // The windows of later minutes contain these minutes, and the minute after the last window
        // may now have a 0.
        let reach = self.settings.rules.minutes_before() + 1;
        let changed: BTreeSet<Minute> = minutes
            .iter()
            .flat_map(|minute| (0..=reach).map(|later| minute.plus(later)))
            .collect();
        self.read_windows(&minutes, &changed, &mut all).await?;
        let mut data_points = all.data_points(&self.settings.rules);
        data_points.retain(|point| changed.contains(&point.minute));
        Ok(MinutesUpdate {
            data_points,
            outcome: match (&self.writer, merged.is_new) {
                (None, _) => Outcome::Planned,
                (Some(_), true) => Outcome::Counted,
                (Some(_), false) => Outcome::Unchanged,
            },
            streams_dropped: merged.streams_dropped,
        })
    }

    /// Merges each minute of a log, and collects the minutes as they are stored then.
    ///
    /// A log can fill the memory, so each of its minutes is freed as soon as it is merged.
    async fn merge_all(&self, new: Audience, all: &mut Audience) -> Result<MergeOutcome, Error> {
        let rules = self.unlimited_streams();
        let mut outcome = MergeOutcome::default();
        let merges = new
            .into_minutes()
            .map(|(minute, new)| self.merge(minute, new));
        let mut merges = stream::iter(merges).buffer_unordered(CONCURRENCY);
        while let Some(merged) = merges.try_next().await? {
            outcome.add(merged.outcome);
            all.merge_minute(&merged.audience, merged.minute, &rules);
        }
        Ok(outcome)
    }

    /// Reads all minutes in the windows of the changed minutes.
    ///
    /// A minute of the log is read again if the windows contain several minutes. Another run may
    /// have added to one minute after this run did. A read after the last write contains the writes
    /// of all runs that have ended, so the last run reports all of them.
    async fn read_windows(
        &self,
        merged: &BTreeSet<Minute>,
        changed: &BTreeSet<Minute>,
        all: &mut Audience,
    ) -> Result<(), Error> {
        let minutes_before = self.settings.rules.minutes_before();
        let mut needed: BTreeSet<Minute> = changed
            .iter()
            .flat_map(|minute| (0..=minutes_before + 1).map(|ago| minute.plus(-ago)))
            .collect();
        if minutes_before == 0 {
            needed.retain(|minute| !merged.contains(minute));
        }
        let rules = self.unlimited_streams();
        let reads = needed.iter().map(|minute| self.read_stored(*minute));
        let mut reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
        while let Some(read) = reads.try_next().await? {
            if let Some((minute, audience)) = read {
                all.merge_minute(&audience, minute, &rules);
            }
        }
        Ok(())
    }

    /// The limit of streams holds for one minute. Several minutes together may have more.
    fn unlimited_streams(&self) -> CountingRules {
        CountingRules {
            max_streams: usize::MAX,
            ..self.settings.rules.clone()
        }
    }

    async fn merge(&self, minute: Minute, new: Audience) -> Result<MergedMinute, Error> {
        let rules = &self.settings.rules;
        let key = &stored_minute::object_key(minute, rules);
        let mut attempts = self.writer.as_ref().map(MinuteWriter::attempts);
        loop {
            let (stored, mut audience) = self.read(minute, key).await?;
            let outcome = audience.merge_minute(&new, minute, rules);
            let merged = MergedMinute {
                minute,
                audience,
                outcome,
            };
            let Some(attempts) = &mut attempts else {
                return Ok(merged);
            };
            if !outcome.is_new {
                return Ok(merged);
            }
            let bucket = &self.settings.state_bucket;
            let text = stored_minute::serialize(&merged.audience, minute, rules);
            let e_tag = stored.as_deref().and_then(StoredText::e_tag);
            if attempts.put(bucket, key, text, e_tag).await? {
                return Ok(merged);
            }
            attempts.pause(bucket, key).await?;
        }
    }

    async fn read_stored(&self, minute: Minute) -> Result<Option<(Minute, Audience)>, Error> {
        let key = stored_minute::object_key(minute, &self.settings.rules);
        let (stored, audience) = self.read(minute, &key).await?;
        Ok(stored.map(|_| (minute, audience)))
    }

    async fn read(
        &self,
        minute: Minute,
        key: &str,
    ) -> Result<(Option<Box<StoredText>>, Audience), Error> {
        let Settings {
            rules,
            state_bucket: bucket,
            ..
        } = self.settings;
        let mut audience = Audience::default();
        let damaged = |why: String| {
            let help = "Delete it, and send the events of the logs of this minute again";
            Error::Config(format!("s3://{bucket}/{key}: {why}. {help}"))
        };
        match self.s3.read(bucket, key, MAX_STORED_BYTES).await? {
            ReadOutcome::Absent => Ok((None, audience)),
            ReadOutcome::Unreadable(why) => Err(damaged(why)),
            ReadOutcome::Text(stored) => {
                stored_minute::merge(&mut audience, minute, &stored.text, rules)
                    .map_err(|error| damaged(error.to_string()))?;
                Ok((Some(stored), audience))
            }
        }
    }
}

impl<'a> MinuteWriter<'a> {
    fn attempts(&self) -> WriteAttempts<'a> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter();
        WriteAttempts {
            s3: self.s3,
            pauses: pauses.build(),
            number: 0,
            end: self.last_write.min(Instant::now() + LONGEST_WAIT),
        }
    }
}

/// The attempts to write one minute, with pauses between them.
struct WriteAttempts<'a> {
    s3: &'a S3,
    pauses: ExponentialBackoff,
    number: usize,
    end: Instant,
}

impl WriteAttempts<'_> {
    async fn put(
        &mut self,
        bucket: &str,
        key: &str,
        text: String,
        e_tag: Option<&str>,
    ) -> Result<bool, Error> {
        self.number += 1;
        let text = NewText {
            bucket,
            key,
            text,
            content_type: "application/json",
            cache_control: None,
            metadata: None,
        };
        Ok(self.s3.put(text, e_tag).await?.is_some())
    }

    /// Waits for the next attempt after a conflict.
    async fn pause(&mut self, bucket: &str, key: &str) -> Result<(), Error> {
        let pause = self.pauses.next().unwrap_or(LONGEST_PAUSE);
        if Instant::now() + pause > self.end {
            let number = self.number;
            return Err(Error::Incomplete(format!(
                "PutObject s3://{bucket}/{key}: other runs wrote the object at each of {number} \
                 attempts; a retry counts the rest. If all retries fail, send the event again when \
                 fewer logs arrive at once"
            )));
        }
        sleep(pause).await;
        Ok(())
    }
}
