//! What is done for one instance.

use crate::Handler;
use crate::gather::Waiting;
use crate::report::Done;
use futures::{StreamExt, TryStreamExt};
use onair_aws::Error;
use onair_aws::autoscaling::Action;
use onair_aws::s3::ReadOutcome;
use onair_aws::ssm::Sending;
use onair_core::complete_lifecycle::{
    Next, Own, Receipt, Run, SavedFile, Seen, Verdict, check, next, verified,
};

/// The greatest manifest that is read.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// Files of logs that S3 is asked for at a time.
const HEADS_AT_ONCE: usize = 16;

impl Handler {
    /// Does what comes next for this instance, or in a dry run says it.
    pub(crate) async fn deal_with(
        &self,
        waiting: &Waiting,
        commands: Option<Own<'_>>,
        dry_run: bool,
    ) -> Result<Done, Error> {
        let fleet = &self.settings.fleet;
        let Waiting {
            instance,
            wait,
            returns,
            past,
            run,
        } = waiting;
        let direction = wait.direction();
        let step = match (commands, fleet.document(direction)) {
            (Some(Own { first, .. }), Some((_, step))) => {
                self.ssm.result(first, instance, step).await?
            }
            _ => None,
        };
        let (wait, returns, past) = (*wait, *returns, *past);
        let seen = Seen {
            wait,
            returns,
            past,
            run: run.as_ref(),
            commands,
            step: step.as_ref(),
        };
        let (next, hook) = match (next(fleet, seen), fleet.hook(direction)) {
            (Some(next), Some(hook)) => (next, hook),
            (Some(Next::Held(why)), None) => return Ok(Done::Held(why)),
            _ => return Ok(Done::Over),
        };
        let verdict = match next {
            Next::Held(why) => return Ok(Done::Held(why)),
            Next::Send(_) | Next::Heartbeat if dry_run => {
                return Ok(Done::Would(commands.is_none()));
            }
            Next::Send(order) => {
                return Ok(match self.ssm.send(instance, &order).await? {
                    Sending::Taken(id) => Done::Sent(id),
                    Sending::AgentMissing => Done::AgentMissing,
                });
            }
            Next::Heartbeat => {
                return Ok(
                    match self
                        .autoscaling
                        .heartbeat(&fleet.group, hook, instance)
                        .await?
                    {
                        Action::Done => Done::Running,
                        Action::Over => Done::Over,
                    },
                );
            }
            Next::Verify(receipt) => {
                let found = match run {
                    Some(run) => self.saved(run, &receipt).await?,
                    None => Err("nothing tells since when it waits".to_owned()),
                };
                verified(found.as_deref().map_err(String::as_str))
            }
            Next::Complete(verdict) => verdict,
        };
        if dry_run {
            return Ok(Done::WouldEnd(verdict));
        }
        self.end(waiting, hook, verdict).await
    }

    async fn end(&self, waiting: &Waiting, hook: &str, verdict: Verdict) -> Result<Done, Error> {
        let (group, instance) = (&self.settings.fleet.group, &waiting.instance);
        Ok(
            match self
                .autoscaling
                .complete(group, hook, instance, verdict.result())
                .await?
            {
                Action::Done => Done::Ended(verdict),
                Action::Over => Done::Over,
            },
        )
    }

    /// The files of logs that S3 has, all of them as the manifest says, or what is wrong.
    async fn saved(
        &self,
        run: &Run,
        receipt: &Receipt,
    ) -> Result<Result<Vec<SavedFile>, String>, Error> {
        let Some(terminate) = &self.settings.fleet.terminate else {
            return Ok(Err(String::new()));
        };
        let (bucket, prefix) = (&terminate.bucket, run.log_prefix());
        let manifest = match self
            .s3
            .read(bucket, &run.manifest_key(receipt), MAX_MANIFEST_BYTES)
            .await?
        {
            ReadOutcome::Text(manifest) => manifest.text,
            ReadOutcome::Absent => return Ok(Err("the manifest is not there".to_owned())),
            ReadOutcome::Unreadable(why) => {
                return Ok(Err(format!("the manifest cannot be read: {why}")));
            }
        };
        let files = match check(&manifest, receipt, &run.instance) {
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
            .buffered(HEADS_AT_ONCE);
        let wrong = looks.try_filter_map(async |look| Ok(look.err()));
        let wrong = std::pin::pin!(wrong).try_next().await?;
        Ok(match wrong {
            Some(why) => Err(why),
            None => Ok(files),
        })
    }
}
