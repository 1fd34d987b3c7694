//! Deletes the renditions of an Amazon IVS recording that nobody wants to pay for, and leaves one
//! that still plays.
//!
//! Runs when IVS says "Recording End", and again when `recording-ended.json` appears in S3, since
//! IVS events may never come. Both only say where to look: what is done follows from what is there,
//! so any number of events in any order ends the same.

mod apply;
mod gather;
mod report;
mod settings;

pub use settings::Settings;

use gather::Gathered;
use onair_aws::s3::{DeleteError, S3};
use onair_core::prune_recording::Refusal;
use onair_core::prune_recording::event::{Request, Trigger, decode};
use onair_core::prune_recording::plan::plan;
use onair_lambda::{Error, Failure, Invocation, Report};
use report::Progress;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a recording is read and planned anew because somebody else wrote to it meanwhile.
const ATTEMPTS: usize = 3;
/// Long enough for the other writer to finish what it has begun.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);
/// Nothing is started in the last seconds before Lambda ends the process, so that what is under way
/// can end and be reported.
const LAST_START: Duration = Duration::from_secs(10);

/// Prunes one recording per event.
#[derive(Debug)]
pub struct Handler {
    settings: Settings,
    s3: S3,
}

impl Handler {
    /// A handler with these settings.
    pub fn new(settings: Settings, s3: S3) -> Self {
        Self { settings, s3 }
    }

    /// Deals with one event.
    ///
    /// # Errors
    ///
    /// Where a retry or a person is needed; with the figures of what was done until then.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let Invocation { event, deadline } = invocation;
        let request = match decode(&event).map_err(|error| Error::BadEvent(error.to_string()))? {
            Trigger::RecordingEnded(request) => request,
            Trigger::Ignored { why } => return Ok(Report::ignored(why)),
        };
        if !self.settings.buckets.contains(&request.bucket) {
            let why = format!(
                "bucket {:?} is not one of RECORDING_BUCKETS",
                request.bucket
            );
            return Err(Error::BadEvent(why).into());
        }
        tracing::info!(recording.bucket = request.bucket, recording.prefix = %request.prefix, "recording ended");
        let progress = Progress::of(&request, request.dry_run || self.settings.dry_run);
        let pruning = self.prune(&request, deadline.last_start(LAST_START), &progress);
        let failed = |error| Failure::after(error, progress.metrics());
        deadline
            .run(pruning)
            .await
            .unwrap_or_else(|| Err(progress.incomplete()))
            .map_err(failed)
    }

    async fn prune(
        &self,
        request: &Request,
        stop: Instant,
        progress: &Progress,
    ) -> Result<Report, Error> {
        for _ in 0..ATTEMPTS {
            match self.attempt(request, stop, progress).await {
                Ok(report) => return Ok(report),
                Err(Halt::Conflict) => sleep(BETWEEN_ATTEMPTS).await,
                Err(Halt::Held(why)) => return Ok(progress.held(&why)),
                Err(Halt::OutOfTime) => return Err(progress.incomplete()),
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
        let why = format!(
            "something else wrote to the recording {ATTEMPTS} times while it was being read"
        );
        Ok(progress.held(&why))
    }

    async fn attempt(
        &self,
        request: &Request,
        stop: Instant,
        progress: &Progress,
    ) -> Result<Report, Halt> {
        let Gathered {
            inventory,
            stored,
            versioning,
        } = self.gather(request, stop).await?;
        progress.look_back(&stored);
        let plan = plan(&inventory, &self.settings.policy).map_err(|refusal| match refusal {
            Refusal::Held(why) => Halt::Held(why),
            Refusal::NotWhole(why) => gather::not_whole(request, &why),
        })?;
        tracing::debug!(recording.prefix = %request.prefix, "{plan}");
        let removals = progress.begin(&plan, versioning, self.settings.purge_versions);
        if progress.dry_run {
            self.measure(request, &plan, &removals, stop).await?;
        } else {
            self.apply(request, &plan, stored, &removals, stop, progress)
                .await?;
        }
        Ok(progress.report(&plan))
    }
}

/// What ends an attempt early.
enum Halt {
    /// A safety rule said no.
    Held(String),
    /// Somebody else wrote meanwhile: the plan is made of what is no longer so.
    Conflict,
    /// It is too late to start anything.
    OutOfTime,
    /// A retry or a person is needed.
    Failed(Error),
}

impl From<onair_aws::Error> for Halt {
    fn from(error: onair_aws::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<DeleteError> for Halt {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::OutOfTime => Self::OutOfTime,
            DeleteError::Failed(error) => error.into(),
        }
    }
}
