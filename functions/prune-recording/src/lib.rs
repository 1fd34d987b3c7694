//! Deletes the renditions of an Amazon IVS recording that a rule does not keep, and keeps the
//! recording playable.
//!
//! Runs at the IVS event "Recording End". IVS delivers events at best effort, so a run also starts
//! when `recording-ended.json` is written to S3. Both events only name the recording. The plan
//! depends on the stored objects only, so any number of events in any order has the same result.

mod apply;
mod gather;
mod report;
mod settings;

pub use settings::Settings;

use apply::RecordingWriter;
use gather::{Gathered, StoredRecording};
use onair_aws::s3::{DeleteError, S3};
use onair_core::prune_recording::HeldReason;
use onair_core::prune_recording::event::{PruneRequest, RecordingTrigger, decode};
use onair_core::prune_recording::plan::plan;
use onair_lambda::{Attempts, Error, Failure, Invocation, Report};
use report::{PruneProgress, RunMode};
use std::time::Duration;

/// The attempts to read and plan a recording that another writer changes at the same time.
const ATTEMPTS: Attempts = Attempts {
    number: 3,
    pause: Duration::from_millis(200),
};
/// The time before Lambda kills the process in which no request starts. It leaves time to finish
/// and report the requests in flight.
const LAST_START: Duration = Duration::from_secs(10);

type Stop = onair_lambda::Stop<HeldReason>;

/// Prunes one recording per event.
#[derive(Debug)]
pub struct Handler {
    settings: Settings,
    s3: S3,
}

impl Handler {
    pub fn new(settings: Settings, s3: S3) -> Self {
        Self { settings, s3 }
    }

    /// Handles one event.
    ///
    /// # Errors
    ///
    /// If a retry or a person is needed, with the metrics of the work done before.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let Invocation { event, deadline } = invocation;
        let request = match decode(&event)? {
            RecordingTrigger::RecordingEnded(request) => request,
            RecordingTrigger::Ignored { why } => return Ok(Report::ignored(why)),
        };
        let PruneRequest { bucket, prefix, .. } = &request;
        if !self.settings.buckets.contains(bucket) {
            let why = format!("bucket {bucket:?} is not one of RECORDING_BUCKETS");
            return Err(Error::BadEvent(why).into());
        }
        tracing::info!(recording.bucket = bucket, recording.prefix = %prefix, "recording ended");

        let mode = if request.dry_run || self.settings.dry_run {
            RunMode::DryRun
        } else {
            RunMode::Prune
        };
        let recording = StoredRecording {
            s3: &self.s3,
            bucket,
            prefix,
            stop: deadline.last_start(LAST_START),
        };
        let progress = PruneProgress::new(&recording, mode);
        let pruned = deadline.run(self.prune(&recording, &progress)).await;
        pruned
            .unwrap_or_else(|| Err(progress.incomplete()))
            .map_err(|error| Failure::after(error, progress.metrics()))
    }

    async fn prune(
        &self,
        recording: &StoredRecording<'_>,
        progress: &PruneProgress,
    ) -> Result<Report, Error> {
        // A dry run gets no writer.
        let writer = match progress.mode() {
            RunMode::DryRun => None,
            RunMode::Prune => Some(RecordingWriter::new(recording, progress)),
        };
        let attempt = async || self.attempt(recording, writer.as_ref(), progress).await;
        match ATTEMPTS.run(attempt).await {
            Ok(report) => Ok(report),
            Err(Stop::Held(reason)) => Ok(progress.held(reason)),
            Err(Stop::Conflict) => {
                let attempts = ATTEMPTS.number;
                Ok(progress.held(HeldReason::ConcurrentWrites { attempts }))
            }
            Err(Stop::OutOfTime) => Err(progress.incomplete()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn attempt(
        &self,
        recording: &StoredRecording<'_>,
        writer: Option<&RecordingWriter<'_>>,
        progress: &PruneProgress,
    ) -> Result<Report, Stop> {
        let policy = &self.settings.policy;
        let Gathered { inventory, stored } = recording.gather(policy.versions).await?;
        progress.confirm_writes(&stored);
        let plan = plan(&inventory, policy).map_err(|error| recording.stop_for(error))?;
        tracing::debug!(recording.prefix = %recording.prefix, "{plan}");
        let deletions = progress.begin(&plan);
        match writer {
            Some(writer) => writer.apply(&plan, stored, &deletions).await?,
            None => recording.measure(&plan, &deletions).await?,
        }
        Ok(progress.report(&plan))
    }
}

fn stop_for_delete(error: DeleteError) -> Stop {
    match error {
        DeleteError::OutOfTime => Stop::OutOfTime,
        DeleteError::Failed(error) => error.into(),
    }
}
