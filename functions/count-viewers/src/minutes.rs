//! Minutes as they are kept in S3, between runs and for all runs at once.

use crate::Settings;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{StreamExt, TryStreamExt, stream};
use onair_aws::s3::{NewText, Read, S3, StoredText, Written};
use onair_core::count_viewers::audience::{Audience, Figure, Merged, Minute};
use onair_core::count_viewers::document;
use onair_lambda::Error;
use std::collections::BTreeSet;
use std::time::Duration;

/// A minute of 50 streams, each of 50,000 viewers, twice.
const MAX_KEPT_BYTES: usize = 64 << 20;
/// S3 takes far more; more would only wait for memory.
const AT_ONCE: usize = 16;
/// Every log of a busy minute wants to add to it at the same time: one of them succeeds at each attempt.
const ATTEMPTS: usize = 12;

/// What came of a log's minutes.
#[derive(Debug)]
pub(crate) struct Added {
    /// The figures that may have changed.
    pub(crate) figures: Vec<Figure>,
    /// Whether something was new.
    pub(crate) merged: Merged,
}

/// Adds a log's viewers to what is kept, and says how many are there now.
///
/// A log may fill the memory: of each minute, what is new goes as soon as it is with the rest.
pub(crate) async fn add(settings: &Settings, s3: &S3, new: Audience, dry_run: bool) -> Result<Added, Error> {
    let Settings { rules, .. } = settings;
    let touched: BTreeSet<Minute> = new.minutes().collect();
    let mut all = Audience::default();
    let mut added = Merged { is_new: false, dropped: 0 };
    let adding = new.into_minutes().map(|(minute, new)| merge(settings, s3, minute, new, dry_run));
    let mut adding = stream::iter(adding).buffer_unordered(AT_ONCE);
    while let Some(Kept { minute, audience, merged }) = adding.try_next().await? {
        added.is_new |= merged.is_new;
        added.dropped += merged.dropped + all.merge_minute(&audience, minute, rules).dropped;
    }
    // The figures of the next minutes, too, look at these: at least to see who has just gone.
    let before = rules.minutes_before().max(1);
    let changed: BTreeSet<Minute> =
        touched.iter().flat_map(|minute| (0..=before).map(|later| minute.later(later))).collect();
    let needed = changed.iter().flat_map(|minute| (0..=before).map(|ago| minute.later(-ago)));
    // Of several minutes, another run may have added to one after this run did. Only what is read after the last write has
    // what every run that is over has written; so the last of them reports all of it.
    let is_enough = rules.minutes_before() == 0;
    let needed: BTreeSet<Minute> = needed.filter(|minute| !(is_enough && touched.contains(minute))).collect();
    let reading = needed.iter().map(|minute| neighbour(settings, s3, *minute));
    let mut reading = stream::iter(reading).buffer_unordered(AT_ONCE);
    while let Some(neighbour) = reading.try_next().await? {
        if let Some((minute, audience)) = neighbour {
            added.dropped += all.merge_minute(&audience, minute, rules).dropped;
        }
    }
    let figures = all.figures(rules).into_iter().filter(|figure| changed.contains(&figure.minute)).collect();
    Ok(Added { figures, merged: added })
}

/// A minute as it is in S3 now.
struct Kept {
    minute: Minute,
    audience: Audience,
    merged: Merged,
}

async fn merge(
    settings: &Settings,
    s3: &S3,
    minute: Minute,
    new: Audience,
    dry_run: bool,
) -> Result<Kept, Error> {
    let Settings { rules, state_bucket, .. } = settings;
    let key = document::key(minute, rules);
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(ATTEMPTS - 1)
        .with_jitter();
    let mut pauses = pauses.build();
    loop {
        let (stored, mut audience) = read(settings, s3, minute, &key).await?;
        let merged = audience.merge_minute(&new, minute, rules);
        if dry_run || !merged.is_new {
            return Ok(Kept { minute, audience, merged });
        }
        let text = document::write(&audience, minute, rules);
        let content_type = "application/json";
        let (bucket, key) = (state_bucket.as_str(), key.as_str());
        let text = NewText { bucket, key, text, content_type, cache_control: None, metadata: None };
        if s3.put(text, stored.as_deref()).await? == Written::Done {
            return Ok(Kept { minute, audience, merged });
        }
        match pauses.next() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => {
                let why = format!("others wrote to s3://{bucket}/{key} {ATTEMPTS} times meanwhile");
                return Err(Error::Incomplete(format!("{why}; a retry adds what is missing")));
            }
        }
    }
}

/// What is kept of another minute than the log's.
async fn neighbour(
    settings: &Settings,
    s3: &S3,
    minute: Minute,
) -> Result<Option<(Minute, Audience)>, Error> {
    let key = document::key(minute, &settings.rules);
    let (stored, audience) = read(settings, s3, minute, &key).await?;
    Ok(stored.map(|_| (minute, audience)))
}

async fn read(
    settings: &Settings,
    s3: &S3,
    minute: Minute,
    key: &str,
) -> Result<(Option<Box<StoredText>>, Audience), Error> {
    let Settings { rules, state_bucket: bucket, .. } = settings;
    let mut audience = Audience::default();
    let damaged = |why: String| {
        let help = "Delete it, and what is counted of this minute begins anew";
        Error::Config(format!("s3://{bucket}/{key}: {why}. {help}"))
    };
    match s3.read(bucket, key, MAX_KEPT_BYTES).await? {
        Read::Absent => Ok((None, audience)),
        Read::Unreadable(why) => Err(damaged(why)),
        Read::Text(stored) => {
            document::read(&mut audience, minute, &stored.text, rules)
                .map_err(|error| damaged(error.to_string()))?;
            Ok((Some(stored), audience))
        }
    }
}
