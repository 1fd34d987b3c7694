//! What is done for one instance.

use crate::Handler;
use crate::gather::WaitingInstance;
use crate::report::InstanceOutcome;
use futures::{StreamExt, TryStreamExt};
use onair_aws::Error;
use onair_aws::autoscaling::ActionOutcome;
use onair_aws::s3::ReadOutcome;
use onair_aws::ssm::SendOutcome;
use onair_core::complete_lifecycle::{
    Completion, LifecycleWait, Next, Observed, Receipt, SavedFile, WaitCommands, check, next,
    verified,
};

/// The greatest manifest that is read.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// Files of logs that S3 is asked for at a time.
const CONCURRENT_HEADS: usize = 16;

impl Handler {
    /// Does what comes next for this instance, or in a dry run says it.
    pub(crate) async fn deal_with(
        &self,
        waiting: &WaitingInstance,
        commands: Option<WaitCommands<'_>>,
        dry_run: bool,
    ) -> Result<InstanceOutcome, Error> {
        let fleet = &self.settings.fleet;
        let WaitingInstance {
            instance,
            state,
            returns,
            history,
            wait,
        } = waiting;
        let direction = state.direction();
        let step = match (commands, fleet.document(direction)) {
            (Some(WaitCommands { first, .. }), Some((_, step))) => {
                self.ssm.step_result(first, instance, step).await?
            }
            _ => None,
        };
        let (state, returns, history) = (*state, *returns, *history);
        let seen = Observed {
            state,
            returns,
            history,
            wait: wait.as_ref(),
            commands,
            step: step.as_ref(),
        };
        let (next, hook) = match (next(fleet, seen), fleet.hook(direction)) {
            (Some(next), Some(hook)) => (next, hook),
            (Some(Next::Held(why)), None) => return Ok(InstanceOutcome::Held(why)),
            _ => return Ok(InstanceOutcome::NotWaiting),
        };
        let completion = match next {
            Next::Held(why) => return Ok(InstanceOutcome::Held(why)),
            Next::Send(_) | Next::Heartbeat if dry_run => {
                return Ok(InstanceOutcome::Would(commands.is_none()));
            }
            Next::Send(order) => {
                return Ok(match self.ssm.send_command(instance, &order).await? {
                    SendOutcome::Sent(id) => InstanceOutcome::Sent(id),
                    SendOutcome::AgentMissing => InstanceOutcome::AgentMissing,
                });
            }
            Next::Heartbeat => {
                return Ok(
                    match self
                        .autoscaling
                        .record_heartbeat(&fleet.group, hook, instance)
                        .await?
                    {
                        ActionOutcome::Done => InstanceOutcome::Running,
                        ActionOutcome::NotWaiting => InstanceOutcome::NotWaiting,
                    },
                );
            }
            Next::Verify(receipt) => {
                let found = match wait {
                    Some(wait) => self.saved(wait, &receipt).await?,
                    None => Err("nothing tells since when it waits".to_owned()),
                };
                verified(found.as_deref().map_err(String::as_str))
            }
            Next::Complete(completion) => completion,
        };
        if dry_run {
            return Ok(InstanceOutcome::WouldComplete(completion));
        }
        self.end(waiting, hook, completion).await
    }

    async fn end(
        &self,
        waiting: &WaitingInstance,
        hook: &str,
        completion: Completion,
    ) -> Result<InstanceOutcome, Error> {
        let (group, instance) = (&self.settings.fleet.group, &waiting.instance);
        Ok(
            match self
                .autoscaling
                .complete_lifecycle_action(group, hook, instance, completion.result())
                .await?
            {
                ActionOutcome::Done => InstanceOutcome::Completed(completion),
                ActionOutcome::NotWaiting => InstanceOutcome::NotWaiting,
            },
        )
    }

    /// The files of logs that S3 has, all of them as the manifest says, or what is wrong.
    async fn saved(
        &self,
        wait: &LifecycleWait,
        receipt: &Receipt,
    ) -> Result<Result<Vec<SavedFile>, String>, Error> {
        let Some(terminate) = &self.settings.fleet.terminate else {
            return Ok(Err(String::new()));
        };
        let (bucket, prefix) = (&terminate.bucket, wait.log_prefix());
        let manifest = match self
            .s3
            .read(bucket, &wait.manifest_key(receipt), MAX_MANIFEST_BYTES)
            .await?
        {
            ReadOutcome::Text(manifest) => manifest.text,
            ReadOutcome::Absent => return Ok(Err("the manifest is not there".to_owned())),
            ReadOutcome::Unreadable(why) => {
                return Ok(Err(format!("the manifest cannot be read: {why}")));
            }
        };
        let files = match check(&manifest, receipt, &wait.instance) {
            Ok(files) => files,
            Err(why) => return Ok(Err(why)),
        };
        let verify = async |file: &SavedFile| {
            let stored = self
                .s3
                .checksum(bucket, &format!("{prefix}/{}", file.name))
                .await?;
            Ok::<_, Error>(
                file.verify(
                    stored
                        .as_ref()
                        .map(|(size, sha256)| (*size, sha256.as_deref())),
                ),
            )
        };
        let looks = futures::stream::iter(&files)
            .map(verify)
            .buffered(CONCURRENT_HEADS);
        let wrong = looks.try_filter_map(async |look| Ok(look.err()));
        let wrong = std::pin::pin!(wrong).try_next().await?;
        Ok(match wrong {
            Some(why) => Err(why),
            None => Ok(files),
        })
    }
}
