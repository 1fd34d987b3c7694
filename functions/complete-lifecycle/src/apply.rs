//! Applies the next step for one instance.

use crate::Handler;
use crate::gather::WaitingInstance;
use crate::report::InstanceOutcome;
use futures::{StreamExt, TryStreamExt};
use onair_aws::Error;
use onair_aws::autoscaling::{ActionOutcome, AutoScaling};
use onair_aws::s3::ReadOutcome;
use onair_aws::ssm::{SendOutcome, Ssm};
use onair_core::complete_lifecycle::{
    CommandRequest, Completion, InstanceId, LogCheck, LogCheckError, Next, Observed, SavedFile,
    StepResult, WaitCommands, next, verified,
};

/// The size of the largest manifest that is read.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// The number of parallel HEAD requests in a log check.
const CONCURRENT_HEADS: usize = 16;

/// The only part of the function that changes something in AWS. A dry run has no writer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) autoscaling: &'a AutoScaling,
    pub(crate) ssm: &'a Ssm,
    pub(crate) group: &'a str,
}

enum Change {
    Send(CommandRequest),
    Heartbeat,
    Complete(Completion),
}

impl Handler {
    /// Applies the next step for this instance. Without a writer, only reports the step.
    pub(crate) async fn handle_instance(
        &self,
        waiting: &WaitingInstance,
        commands: Option<WaitCommands<'_>>,
        writer: Option<Writer<'_>>,
    ) -> Result<InstanceOutcome, Error> {
        let fleet = &self.settings.fleet;
        let step = self.step_result(waiting, commands).await?;
        let observed = Observed {
            state: waiting.state,
            reuses_on_scale_in: waiting.reuses_on_scale_in,
            history: waiting.history,
            wait: waiting.wait.as_ref(),
            commands,
            step: step.as_ref(),
        };
        let Some(next) = next(fleet, observed) else {
            return Ok(InstanceOutcome::NotWaiting);
        };
        let change = match next {
            Next::Held(reason) => return Ok(InstanceOutcome::Held(reason)),
            Next::Send(request) => Change::Send(request),
            Next::Heartbeat => Change::Heartbeat,
            Next::Verify(check) => {
                let checked = self.check_logs(&check).await?;
                Change::Complete(verified(checked.as_deref()))
            }
            Next::Complete(completion) => Change::Complete(completion),
        };
        let Some(hook) = fleet.hook(waiting.state.direction()) else {
            return Ok(InstanceOutcome::NotWaiting);
        };
        match writer {
            Some(writer) => writer.apply(change, hook, &waiting.instance).await,
            None => Ok(change.planned()),
        }
    }

    async fn step_result(
        &self,
        waiting: &WaitingInstance,
        commands: Option<WaitCommands<'_>>,
    ) -> Result<Option<StepResult>, Error> {
        let document = self.settings.fleet.document(waiting.state.direction());
        match (commands, document) {
            (Some(commands), Some(document)) => {
                self.ssm
                    .step_result(commands.first, &waiting.instance, document.step)
                    .await
            }
            _ => Ok(None),
        }
    }

    /// Compares the objects in S3 with the manifest. Returns the files, or the first difference.
    async fn check_logs(
        &self,
        check: &LogCheck,
    ) -> Result<Result<Vec<SavedFile>, LogCheckError>, Error> {
        let read = self
            .s3
            .read(&check.bucket, &check.manifest_key(), MAX_MANIFEST_BYTES)
            .await?;
        let manifest = match read {
            ReadOutcome::Text(manifest) => manifest.text,
            ReadOutcome::Absent => return Ok(Err(LogCheckError::ManifestMissing)),
            ReadOutcome::Unreadable(why) => {
                return Ok(Err(LogCheckError::ManifestUnreadable(why)));
            }
        };
        let files = match check.files(&manifest) {
            Ok(files) => files,
            Err(error) => return Ok(Err(error)),
        };
        let differences = futures::stream::iter(&files)
            .map(|file| self.check_file(check, file))
            .buffered(CONCURRENT_HEADS)
            .try_filter_map(async |checked| Ok(checked.err()));
        let difference = std::pin::pin!(differences).try_next().await?;
        Ok(difference.map_or(Ok(files), Err))
    }

    async fn check_file(
        &self,
        check: &LogCheck,
        file: &SavedFile,
    ) -> Result<Result<(), LogCheckError>, Error> {
        let stored = self
            .s3
            .checksum(&check.bucket, &check.file_key(file))
            .await?;
        let stored = stored
            .as_ref()
            .map(|(size, sha256)| (*size, sha256.as_deref()));
        Ok(file.verify(stored))
    }
}

impl Change {
    fn planned(self) -> InstanceOutcome {
        match self {
            Self::Send(_) => InstanceOutcome::WouldSend,
            Self::Heartbeat => InstanceOutcome::WouldHeartbeat,
            Self::Complete(completion) => InstanceOutcome::WouldComplete(completion),
        }
    }
}

impl Writer<'_> {
    async fn apply(
        self,
        change: Change,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<InstanceOutcome, Error> {
        match change {
            Change::Send(request) => {
                let outcome = self.ssm.send_command(instance, &request).await?;
                Ok(match outcome {
                    SendOutcome::Sent(id) => InstanceOutcome::Sent(id),
                    SendOutcome::AgentMissing => InstanceOutcome::AgentMissing,
                })
            }
            Change::Heartbeat => {
                let outcome = self
                    .autoscaling
                    .record_heartbeat(self.group, hook, instance)
                    .await?;
                Ok(match outcome {
                    ActionOutcome::Done => InstanceOutcome::Running,
                    ActionOutcome::NotWaiting => InstanceOutcome::NotWaiting,
                })
            }
            Change::Complete(completion) => {
                let result = completion.result;
                let outcome = self
                    .autoscaling
                    .complete_lifecycle_action(self.group, hook, instance, result)
                    .await?;
                Ok(match outcome {
                    ActionOutcome::Done => InstanceOutcome::Completed(completion),
                    ActionOutcome::NotWaiting => InstanceOutcome::NotWaiting,
                })
            }
        }
    }
}
