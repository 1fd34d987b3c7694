//! Minutes as they are kept in S3, between runs and for all runs at once.

use crate::Settings;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{StreamExt, TryStreamExt, stream};
use onair_aws::s3::{NewText, Read, S3, Written};
use onair_core::count_viewers::audience::{Audience, Figure, Minute};
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
    /// Something was new.
    pub(crate) is_new: bool,
    /// So many streams of a minute were too many.
    pub(crate) dropped: u64,
}

/// Adds a log's viewers to what is kept, and says how many are there now.
pub(crate) async fn add(settings: &Settings, s3: &S3, new: &Audience, dry_run: bool) -> Result<Added, Error> {
    let Settings { rules, .. } = settings;
    let touched: BTreeSet<Minute> = new.minutes().collect();
    let adding = touched.iter().map(|minute| merge(settings, s3, new, *minute, dry_run));
    let merged: Vec<_> = stream::iter(adding).buffer_unordered(AT_ONCE).try_collect().await?;
    let before = rules.minutes_before();
    // The figures of the next minutes, too, look at these.
    let changed: BTreeSet<Minute> =
        touched.iter().flat_map(|minute| (0..=before).map(|later| minute.later(later))).collect();
    // One more, to see who has just gone.
    let needed = changed.iter().flat_map(|minute| (0..=before.max(1)).map(|ago| minute.later(-ago)));
    let needed: BTreeSet<Minute> = needed.filter(|minute| !touched.contains(minute)).collect();
    let reading = needed.iter().map(|minute| read(settings, s3, *minute));
    let others: Vec<_> = stream::iter(reading).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut all = Audience::default();
    let mut dropped = 0;
    let mut is_new = false;
    for Merged { audience, is_new: new, dropped: lost } in merged.into_iter().chain(others) {
        is_new |= new;
        dropped += lost + all.merge_all(&audience, rules);
    }
    let figures = all.figures(rules).into_iter().filter(|figure| changed.contains(&figure.minute)).collect();
    Ok(Added { figures, is_new, dropped })
}

/// A minute as it is in S3 now.
struct Merged {
    audience: Audience,
    is_new: bool,
    dropped: u64,
}

async fn merge(
    settings: &Settings,
    s3: &S3,
    new: &Audience,
    minute: Minute,
    dry_run: bool,
) -> Result<Merged, Error> {
    let Settings { rules, state_bucket, .. } = settings;
    let key = document::key(minute, rules);
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(ATTEMPTS - 1)
        .with_jitter();
    let mut pauses = pauses.build();
    loop {
        let (stored, mut audience, mut dropped) = kept(settings, s3, minute, &key).await?;
        let was = stored.as_ref().map(|stored| stored.text.as_str());
        dropped += audience.merge_minute(new, minute, rules);
        let text = document::write(&audience, minute, rules);
        if was == Some(text.as_str()) {
            return Ok(Merged { audience, is_new: false, dropped });
        }
        if dry_run {
            return Ok(Merged { audience, is_new: true, dropped });
        }
        let content_type = "application/json";
        let (bucket, key) = (state_bucket.as_str(), key.as_str());
        let text = NewText { bucket, key, text, content_type, cache_control: None, metadata: None };
        if s3.put(text, stored.as_deref()).await? == Written::Done {
            return Ok(Merged { audience, is_new: true, dropped });
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

async fn read(settings: &Settings, s3: &S3, minute: Minute) -> Result<Merged, Error> {
    let key = document::key(minute, &settings.rules);
    let (_, audience, dropped) = kept(settings, s3, minute, &key).await?;
    Ok(Merged { audience, is_new: false, dropped })
}

type Kept = (Option<Box<onair_aws::s3::StoredText>>, Audience, u64);

async fn kept(settings: &Settings, s3: &S3, minute: Minute, key: &str) -> Result<Kept, Error> {
    let Settings { rules, state_bucket: bucket, .. } = settings;
    let mut audience = Audience::default();
    let damaged = |why: String| {
        Error::Config(format!(
            "s3://{bucket}/{key}: {why}. Delete it, and what is counted of this minute begins anew"
        ))
    };
    match s3.read(bucket, key, MAX_KEPT_BYTES).await? {
        Read::Absent => Ok((None, audience, 0)),
        Read::Unreadable(why) => Err(damaged(why)),
        Read::Text(stored) => {
            let dropped = document::read(&mut audience, minute, &stored.text, rules);
            let dropped = dropped.map_err(|error| damaged(error.to_string()))?;
            Ok((Some(stored), audience, dropped))
        }
    }
}
