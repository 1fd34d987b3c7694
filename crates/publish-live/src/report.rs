//! What is said of the work: now and then in the log, and all the time to somebody at a terminal.

use crate::{Log, Settings};
use onair_core::metrics::{Metric, embedded_metrics};
use onair_core::publish_live::job::{Job, Outcome};
use onair_core::publish_live::publisher::Publisher;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A playlist that has been waiting for so long is behind.
const BEHIND: Duration = Duration::from_secs(10);

/// Says what came of a job.
pub(crate) fn note(job: &Job, outcome: &Outcome) {
    let name = match job {
        Job::Recall(name) | Job::Upload { name, .. } | Job::Publish { name, .. } => name.as_str(),
        Job::Delete(_) => "",
    };
    match outcome {
        Outcome::Done | Outcome::Recalled(_) => tracing::debug!(object.name = name, "done"),
        Outcome::Failed { why, pause } => {
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(object.name = name, pause_ms, "it failed, and is tried again: {why}");
        }
        Outcome::Hopeless(why) => tracing::warn!(object.name = name, "it will not be published: {why}"),
    }
}

/// Figures since the last time: for people as lines, for CloudWatch as embedded metrics on standard output.
pub(crate) fn report(publisher: &mut Publisher, settings: &Settings, now: Duration) {
    let lags = publisher.take_lags();
    let is_behind = |since: Duration| now.saturating_sub(since) > BEHIND;
    let behind: Vec<String> = publisher
        .renditions()
        .filter(|(_, progress)| progress.waits_since.is_some_and(is_behind))
        .map(|(playlist, progress)| {
            let trouble = progress.trouble.map(|why| format!(": {why}")).unwrap_or_default();
            format!("{playlist}, {} files to go{trouble}", progress.to_upload)
        })
        .collect();
    for playlist in &behind {
        tracing::warn!("viewers are behind: {playlist}");
    }
    for (playlist, missing) in publisher.waiting(now.saturating_sub(BEHIND)) {
        tracing::warn!(
            playlist.path = playlist,
            "it waits for what nobody has written yet: {}",
            missing.join(", ")
        );
    }
    if lags.is_empty() && behind.is_empty() {
        return;
    }
    if settings.log == Log::Text {
        let worst = lags.iter().map(|lag| lag.playlist).max().unwrap_or_default();
        let (count, worst_ms) = (lags.len(), worst.as_millis());
        tracing::info!(
            "{count} playlists were published, each at most {worst_ms} ms after its newest segment was closed"
        );
        return;
    }
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let metrics = [
        Metric::milliseconds("SegmentLag", lags.iter().map(|lag| lag.object)),
        Metric::milliseconds("PlaylistLag", lags.iter().map(|lag| lag.playlist)),
        Metric::count("Behind", u64::try_from(behind.len()).unwrap_or(u64::MAX)),
    ];
    let time_ms = u64::try_from(time.as_millis()).unwrap_or_default();
    let measured: Vec<Metric> = metrics.into_iter().filter(|metric| !metric.values.is_empty()).collect();
    println!("{}", embedded_metrics("publish-live", time_ms, &measured));
}

/// Says what is left undone at the end.
pub(crate) fn report_left(publisher: &Publisher) {
    for (playlist, progress) in publisher.renditions().filter(|(_, progress)| progress.waits_since.is_some())
    {
        tracing::warn!(
            playlist.path = playlist,
            files = progress.to_upload,
            "its newest version was left behind"
        );
    }
    tracing::info!("stopped");
}
