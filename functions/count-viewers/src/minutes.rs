//! Minutes as they are kept in S3, between runs and for all runs at once.

use crate::Settings;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{StreamExt, TryStreamExt, stream};
use onair_aws::s3::{NewText, ReadOutcome, S3, StoredText, WriteOutcome};
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::{Audience, DataPoint, MergeOutcome, Minute};
use onair_core::count_viewers::stored_minute;
use onair_lambda::Error;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A minute of 50 streams, each of 50,000 viewers, twice.
const MAX_KEPT_BYTES: usize = 64 << 20;
/// S3 takes far more; more would only wait for memory.
const AT_ONCE: usize = 16;
/// Every log of a busy minute wants to add to it at the same time, and one of them succeeds at each
/// attempt: hundreds at once take turns, each waiting for a second or two.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Who waits takes a place of the account's concurrency, which fail-over needs, too. Lambda tries
/// again after one minute and after two.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What came of a log's minutes.
#[derive(Debug)]
pub(crate) struct MinutesUpdate {
    /// The figures that may have changed.
    pub(crate) figures: Vec<DataPoint>,
    /// Whether something was new.
    pub(crate) merged: MergeOutcome,
}

/// Where minutes are kept, and how.
pub(crate) struct MinuteStore<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) s3: &'a S3,
    /// Nothing is written.
    pub(crate) dry_run: bool,
    /// No attempt to write begins after this.
    pub(crate) stop: Instant,
}

impl MinuteStore<'_> {
    /// Adds a log's viewers to what is kept, and says how many are there now.
    ///
    /// A log may fill the memory: of each minute, what is new goes as soon as it is with the rest.
    pub(crate) async fn add(&self, new: Audience) -> Result<MinutesUpdate, Error> {
        let rules = &self.settings.rules;
        let touched: BTreeSet<Minute> = new.minutes().collect();
        // Each minute has no more streams than it may; together they may have more.
        let together = &CountingRules {
            max_streams: usize::MAX,
            ..rules.clone()
        };
        let mut all = Audience::default();
        let mut added = MergeOutcome {
            is_new: false,
            streams_dropped: 0,
        };
        let adding = new
            .into_minutes()
            .map(|(minute, new)| self.merge(minute, new));
        let mut adding = stream::iter(adding).buffer_unordered(AT_ONCE);
        while let Some(MergedMinute {
            minute,
            audience,
            merged,
        }) = adding.try_next().await?
        {
            added.is_new |= merged.is_new;
            added.streams_dropped += merged.streams_dropped;
            all.merge_minute(&audience, minute, together);
        }
        // The figures of the next minutes, too, look at these, and the one after them to see who
        // has just gone.
        let before = rules.minutes_before() + 1;
        let changed: BTreeSet<Minute> = touched
            .iter()
            .flat_map(|minute| (0..=before).map(|later| minute.plus(later)))
            .collect();
        let needed = changed
            .iter()
            .flat_map(|minute| (0..=before).map(|ago| minute.plus(-ago)));
        // Of several minutes, another run may have added to one after this run did. Only what is
        // read after the last write has what every run that is over has written; so the last of
        // them reports all of it.
        let is_enough = rules.minutes_before() == 0;
        let needed: BTreeSet<Minute> = needed
            .filter(|minute| !(is_enough && touched.contains(minute)))
            .collect();
        let reading = needed.iter().map(|minute| self.neighbour(*minute));
        let mut reading = stream::iter(reading).buffer_unordered(AT_ONCE);
        while let Some(neighbour) = reading.try_next().await? {
            if let Some((minute, audience)) = neighbour {
                all.merge_minute(&audience, minute, together);
            }
        }
        let mut figures = all.data_points(rules);
        figures.retain(|figure| changed.contains(&figure.minute));
        Ok(MinutesUpdate {
            figures,
            merged: added,
        })
    }

    async fn merge(&self, minute: Minute, new: Audience) -> Result<MergedMinute, Error> {
        let Settings {
            rules,
            state_bucket: bucket,
            ..
        } = self.settings;
        let key = &stored_minute::object_key(minute, rules);
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter();
        let mut pauses = pauses.build();
        let mut attempts = 0;
        let stop = self.stop.min(Instant::now() + LONGEST_WAIT);
        loop {
            attempts += 1;
            let (stored, mut audience) = self.read(minute, key).await?;
            let merged = audience.merge_minute(&new, minute, rules);
            if self.dry_run || !merged.is_new {
                return Ok(MergedMinute {
                    minute,
                    audience,
                    merged,
                });
            }
            let text = stored_minute::serialize(&audience, minute, rules);
            let content_type = "application/json";
            let text = NewText {
                bucket,
                key,
                text,
                content_type,
                cache_control: None,
                metadata: None,
            };
            if self.s3.put(text, stored.as_deref()).await? == WriteOutcome::Done {
                return Ok(MergedMinute {
                    minute,
                    audience,
                    merged,
                });
            }
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
            if Instant::now() + pause > stop {
                let why =
                    format!("others wrote to s3://{bucket}/{key} at each of {attempts} attempts");
                let help = "a retry adds what is missing. If none does, send the event again when fewer logs come at once";
                return Err(Error::Incomplete(format!("{why}; {help}")));
            }
            sleep(pause).await;
        }
    }

    /// What is kept of another minute than the log's.
    async fn neighbour(&self, minute: Minute) -> Result<Option<(Minute, Audience)>, Error> {
        let (stored, audience) = self
            .read(
                minute,
                &stored_minute::object_key(minute, &self.settings.rules),
            )
            .await?;
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
            let help = "Delete it, and what is counted of this minute begins anew";
            Error::Config(format!("s3://{bucket}/{key}: {why}. {help}"))
        };
        match self.s3.read(bucket, key, MAX_KEPT_BYTES).await? {
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

/// A minute as it is in S3 now.
struct MergedMinute {
    minute: Minute,
    audience: Audience,
    merged: MergeOutcome,
}
