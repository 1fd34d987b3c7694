//! What is said of the work: in the log, and as figures now and then.

use crate::settings::{LogOutput, Settings};
use onair_core::metrics::{Metric, embedded_metrics};
use onair_core::publish_live::job::{Job, Outcome};
use onair_core::publish_live::publisher::{LivePublisher, PublishLag};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A playlist that has been waiting for so long is behind.
const BEHIND: Duration = Duration::from_secs(10);
/// What happens again and again is said so often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Says what happens.
#[derive(Debug)]
pub(crate) struct Reporter {
    log: LogOutput,
    failed: LogThrottle,
    /// The same of deletions, which nobody else would notice.
    undeleted: LogThrottle,
    permanent: LogThrottle,
    lost: LogThrottle,
    /// Since when nothing has gone well.
    fails_since: Option<Duration>,
    /// Playlists that were published.
    published: BTreeSet<String>,
    gaps: usize,
}

/// What may come in crowds: one of them is let through in ten seconds.
#[derive(Debug, Default)]
struct LogThrottle {
    last: Option<Duration>,
    held_back: usize,
}

impl LogThrottle {
    /// How many were held back before this one, if this one is let through, in words.
    fn more(&mut self, now: Duration) -> Option<String> {
        if self
            .last
            .is_some_and(|last| now.saturating_sub(last) < LOG_INTERVAL)
        {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(match std::mem::take(&mut self.held_back) {
            0 => String::new(),
            count => format!(" (and {count} others since the last line like this)"),
        })
    }
}

impl Reporter {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            log: settings.log,
            failed: LogThrottle::default(),
            undeleted: LogThrottle::default(),
            permanent: LogThrottle::default(),
            lost: LogThrottle::default(),
            fails_since: None,
            published: BTreeSet::new(),
            gaps: 0,
        }
    }

    /// Says what came of a job.
    pub(crate) fn note(&mut self, job: &Job, outcome: &Outcome, now: Duration) {
        let name = match job {
            Job::ReadPublished(name) | Job::Upload { name, .. } | Job::Publish { name, .. } => {
                name.as_str()
            }
            Job::Delete(_) => "",
        };
        match outcome {
            Outcome::Done | Outcome::Recalled(_) => {
                tracing::debug!(object.name = name, "done");
                if let Some(since) = self
                    .fails_since
                    .take()
                    .filter(|since| now.saturating_sub(*since) > BEHIND)
                {
                    tracing::info!(
                        "S3 answers again, after {} s",
                        now.saturating_sub(since).as_secs()
                    );
                }
                if matches!(job, Job::Publish { .. }) && self.published.insert(name.to_owned()) {
                    tracing::info!(playlist.path = name, "it is published");
                }
            }
            Outcome::Failed { why, .. } => {
                let kind = match job {
                    Job::Delete(_) => &mut self.undeleted,
                    _ => {
                        self.fails_since.get_or_insert(now);
                        &mut self.failed
                    }
                };
                if let Some(more) = kind.more(now) {
                    tracing::warn!(
                        object.name = name,
                        "it failed, and is tried again: {why}{more}"
                    );
                }
            }
            Outcome::Permanent(why) => {
                if let Some(more) = self.permanent.more(now) {
                    tracing::warn!(object.name = name, "it will not be published: {why}{more}");
                }
            }
        }
    }

    /// Says of which segments viewers are told that they are not there.
    pub(crate) fn gaps(&mut self, gaps: Vec<String>, now: Duration) {
        self.gaps += gaps.len();
        for gap in gaps {
            if let Some(more) = self.lost.more(now) {
                tracing::warn!("viewers get a gap: {gap}{more}");
            }
        }
    }

    /// Figures since the last time: for people as lines, for CloudWatch as embedded metrics on
    /// standard output.
    pub(crate) fn report(&mut self, publisher: &mut LivePublisher, now: Duration) {
        let lags = publisher.take_lags();
        let is_behind = |since: Duration| now.saturating_sub(since) > BEHIND;
        let behind: Vec<String> = publisher
            .renditions()
            .filter(|(_, progress)| progress.waits_since.is_some_and(is_behind))
            .map(|(playlist, progress)| {
                let cause = progress
                    .cause
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                format!("{playlist}, {} files to go{cause}", progress.to_upload)
            })
            .collect();
        for playlist in &behind {
            tracing::warn!("viewers are behind: {playlist}");
        }
        for (playlist, missing) in publisher.waiting(now.saturating_sub(BEHIND)) {
            let missing = missing.join(", ");
            tracing::warn!(
                playlist.path = playlist,
                "it waits for what nobody has published yet: {missing}"
            );
        }
        if self.gaps > 0 {
            tracing::warn!(
                "viewers were told of {} gaps since the last report",
                self.gaps
            );
        }
        match self.log {
            LogOutput::Text => say(&lags),
            LogOutput::Json => measure(&lags, behind.len(), self.gaps),
        }
        self.gaps = 0;
    }

    /// Says what is left undone at the end.
    pub(crate) fn left(&self, publisher: &LivePublisher) {
        let waiting = publisher
            .renditions()
            .filter(|(_, progress)| progress.waits_since.is_some());
        for (playlist, progress) in waiting {
            let files = progress.to_upload;
            tracing::warn!(
                playlist.path = playlist,
                files,
                "its newest version was left behind"
            );
        }
        tracing::info!("stopped");
    }
}

fn say(lags: &[PublishLag]) {
    let Some(worst) = lags.iter().max_by_key(|lag| lag.playlist) else {
        return;
    };
    tracing::info!(
        "{} times a new segment was published, at most {} ms after it was closed ({})",
        lags.len(),
        worst.playlist.as_millis(),
        worst.rendition
    );
}

fn measure(lags: &[PublishLag], behind: usize, gaps: usize) {
    let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let metrics = [
        Metric::milliseconds("SegmentLag", lags.iter().map(|lag| lag.object)),
        Metric::milliseconds("PlaylistLag", lags.iter().map(|lag| lag.playlist)),
        Metric::count("Behind", count(behind)),
        Metric::count("Gaps", count(gaps)),
    ];
    let time_ms = u64::try_from(time.as_millis()).unwrap_or_default();
    let measured: Vec<Metric> = metrics
        .into_iter()
        .filter(|metric| !metric.values.is_empty())
        .collect();
    // Who does not read the figures any more is no reason to end the stream.
    let _ = writeln!(
        std::io::stdout(),
        "{}",
        embedded_metrics("publish-live", time_ms, &measured)
    );
}
