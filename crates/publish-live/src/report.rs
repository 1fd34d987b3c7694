//! Reports the daemon's work: log lines for people, and metrics.

use crate::settings::{LogOutput, Settings};
use onair_core::metrics::{Metric, embedded_metrics};
use onair_core::publish_live::job::{FinishedJob, RetryLater, UploadError};
use onair_core::publish_live::publisher::{LivePublisher, PublishLag, RenditionStatus};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A playlist that has been waiting for longer is behind.
const BEHIND_AFTER: Duration = Duration::from_secs(10);
/// Interval between two throttled log lines of one kind.
const THROTTLE_INTERVAL: Duration = Duration::from_secs(10);

/// Writes the log and the metrics.
#[derive(Debug)]
pub(crate) struct Reporter {
    log: LogOutput,
    failures: LogThrottle,
    /// Failed deletions have a throttle of their own, or the log could hide them.
    failed_deletes: LogThrottle,
    permanent_failures: LogThrottle,
    gap_lines: LogThrottle,
    /// Since when every request has failed.
    failing_since: Option<Duration>,
    /// Playlists that were published at least once.
    published: BTreeSet<String>,
    /// Gaps since the last report.
    gaps: usize,
}

/// Lets one line through in each interval, and counts the others.
#[derive(Debug, Default)]
struct LogThrottle {
    last: Option<Duration>,
    suppressed: usize,
}

impl LogThrottle {
    /// The suffix of a line that may be written now: how many were suppressed before it.
    fn suffix(&mut self, now: Duration) -> Option<String> {
        if self
            .last
            .is_some_and(|last| now.saturating_sub(last) < THROTTLE_INTERVAL)
        {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(match std::mem::take(&mut self.suppressed) {
            0 => String::new(),
            count => format!(" (and {count} similar lines were suppressed)"),
        })
    }
}

impl Reporter {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            log: settings.log,
            failures: LogThrottle::default(),
            failed_deletes: LogThrottle::default(),
            permanent_failures: LogThrottle::default(),
            gap_lines: LogThrottle::default(),
            failing_since: None,
            published: BTreeSet::new(),
            gaps: 0,
        }
    }

    pub(crate) fn finished(&mut self, job: &FinishedJob, now: Duration) {
        match job {
            FinishedJob::ReadPublished { name, result } => match result {
                Ok(_) => self.succeeded(name, now),
                Err(failed) => self.retried("read", name, failed, now),
            },
            FinishedJob::Upload { name, result } => match result {
                Ok(()) => self.succeeded(name, now),
                Err(UploadError::Retry(failed)) => self.retried("upload", name, failed, now),
                Err(UploadError::Permanent(cause)) => self.given_up(name, cause, now),
            },
            FinishedJob::Publish { name, result, .. } => match result {
                Ok(()) => self.playlist_published(name, now),
                Err(failed) => self.retried("publish", name, failed, now),
            },
            FinishedJob::Delete { names, result } => match result {
                Ok(()) => self.succeeded("", now),
                Err(failed) => self.delete_failed(names.len(), failed, now),
            },
        }
    }

    fn succeeded(&mut self, name: &str, now: Duration) {
        tracing::debug!(object.name = name, "request for {name} succeeded");
        let Some(since) = self.failing_since.take() else {
            return;
        };
        let outage = now.saturating_sub(since);
        if outage > BEHIND_AFTER {
            let seconds = outage.as_secs();
            tracing::info!("S3 answers again, after {seconds} s");
        }
    }

    fn playlist_published(&mut self, name: &str, now: Duration) {
        self.succeeded(name, now);
        if self.published.insert(name.to_owned()) {
            tracing::info!(playlist.path = name, "playlist {name} published");
        }
    }

    fn retried(&mut self, operation: &str, name: &str, failed: &RetryLater, now: Duration) {
        self.failing_since.get_or_insert(now);
        if let Some(suffix) = self.failures.suffix(now) {
            let cause = &failed.cause;
            tracing::warn!(
                object.name = name,
                "{operation} failed, retrying: {name}: {cause}{suffix}"
            );
        }
    }

    fn given_up(&mut self, name: &str, cause: &str, now: Duration) {
        if let Some(suffix) = self.permanent_failures.suffix(now) {
            tracing::warn!(
                object.name = name,
                "upload failed permanently: {name}: {cause}{suffix}"
            );
        }
    }

    fn delete_failed(&mut self, count: usize, failed: &RetryLater, now: Duration) {
        if let Some(suffix) = self.failed_deletes.suffix(now) {
            let cause = &failed.cause;
            tracing::warn!("delete of {count} segments failed, retrying: {cause}{suffix}");
        }
    }

    /// Reports segments that became gaps.
    pub(crate) fn gaps(&mut self, gaps: Vec<String>, now: Duration) {
        self.gaps += gaps.len();
        for gap in gaps {
            if let Some(suffix) = self.gap_lines.suffix(now) {
                tracing::warn!("segment replaced by a gap: {gap}{suffix}");
            }
        }
    }

    /// Reports figures since the last time: as log lines for people, or as embedded metrics on
    /// standard output.
    pub(crate) fn report(&mut self, publisher: &mut LivePublisher, now: Duration) {
        let lags = publisher.take_lags();
        let is_behind = |status: &RenditionStatus| {
            let since = status.waits_since;
            since.is_some_and(|since| now.saturating_sub(since) > BEHIND_AFTER)
        };
        let mut behind = 0;
        for (path, status) in publisher.renditions() {
            if is_behind(&status) {
                behind += 1;
                warn_behind(path, &status);
            }
        }
        let before = now.saturating_sub(BEHIND_AFTER);
        for (path, missing) in publisher.waiting_multivariants(before) {
            let missing = missing.join(", ");
            tracing::warn!(
                playlist.path = path,
                "playlist {path} waits for playlists that are not published yet: {missing}"
            );
        }
        let gaps = std::mem::take(&mut self.gaps);
        if gaps > 0 {
            tracing::warn!("{gaps} segments were replaced by gaps since the last report");
        }
        match self.log {
            LogOutput::Text => log_lags(&lags),
            LogOutput::Json => print_metrics(&lags, behind, gaps),
        }
    }

    /// Reports the playlists whose newest version is not published when the daemon stops.
    pub(crate) fn stopped(&self, publisher: &LivePublisher) {
        for (path, status) in publisher.renditions() {
            if status.waits_since.is_some() {
                tracing::warn!(
                    playlist.path = path,
                    files = status.to_upload,
                    "playlist {path} stopped before its newest version was published"
                );
            }
        }
        tracing::info!("publish-live stopped");
    }
}

fn warn_behind(path: &str, status: &RenditionStatus) {
    let files = status.to_upload;
    let cause = status.cause.as_ref();
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    tracing::warn!(
        playlist.path = path,
        "playlist {path} is behind, {files} files to upload{cause}"
    );
}

fn log_lags(lags: &[PublishLag]) {
    let Some(worst) = lags.iter().max_by_key(|lag| lag.playlist) else {
        return;
    };
    tracing::info!(
        "{} segments published, at most {} ms after they were closed ({})",
        lags.len(),
        worst.playlist.as_millis(),
        worst.rendition
    );
}

fn print_metrics(lags: &[PublishLag], behind: usize, gaps: usize) {
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
    // A reader that closes standard output does not end the stream.
    let _ = writeln!(
        std::io::stdout(),
        "{}",
        embedded_metrics("publish-live", time_ms, &measured)
    );
}
