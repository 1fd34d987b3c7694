//! Keeps an instance of an Auto Scaling group from serving until its playbook passed, and from
//! terminating until its access logs are saved.
//!
//! A run starts when an instance begins to wait in a lifecycle hook, and when the status of a
//! command changes. A schedule starts a run every minute, and a person can send a manual event.
//! Events can be lost, so they only start a check. Every run reads which instances wait, since
//! when, and the status of their commands.

mod apply;
mod gather;
mod report;
mod settings;

pub use settings::Settings;

use apply::Writer;
use futures::StreamExt;
use onair_aws::autoscaling::AutoScaling;
use onair_aws::s3::S3;
use onair_aws::ssm::Ssm;
use onair_core::complete_lifecycle::{HeldReason, LifecycleRequest, Scope, WaitCommands, decode};
use onair_lambda::{Error, Failure, Invocation, Report};
use report::InstanceReport;

/// The number of instances that a run handles in parallel.
const CONCURRENT_INSTANCES: usize = 8;

/// Handles the waits of one group.
#[derive(Debug)]
pub struct Handler {
    settings: Settings,
    autoscaling: AutoScaling,
    ssm: Ssm,
    s3: S3,
}

impl Handler {
    pub fn new(settings: Settings, autoscaling: AutoScaling, ssm: Ssm, s3: S3) -> Self {
        Self {
            settings,
            autoscaling,
            ssm,
            s3,
        }
    }

    /// Handles one event.
    ///
    /// # Errors
    ///
    /// If a retry or a person is needed for at least one instance. The other instances are handled
    /// first.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let LifecycleRequest { scope, dry_run } = decode(&invocation.event, &self.settings.fleet)?;
        if let Scope::Ignored { why } = scope {
            return Ok(Report::ignored(why));
        }
        let is_dry = dry_run || self.settings.dry_run;
        let writer = (!is_dry).then(|| self.writer());
        let work = self.handle_waits(&scope, writer);
        let handled = invocation.deadline.run(work).await.ok_or_else(|| {
            Error::Incomplete(
                "AWS did not answer in time; the next scheduled run continues".to_owned(),
            )
        })?;
        match handled {
            Ok(Some(reports)) => report::of(reports, &scope),
            Ok(None) => {
                let group = self.settings.fleet.group.clone();
                let reason = HeldReason::GroupNotFound {
                    group: group.clone(),
                };
                Ok(Report::held("group", group, &reason))
            }
            Err(error) if error.is_retryable() => Ok(report::throttled(&error, &scope)),
            Err(error) => Err(Error::from(error).into()),
        }
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            autoscaling: &self.autoscaling,
            ssm: &self.ssm,
            group: &self.settings.fleet.group,
        }
    }

    /// Handles every instance of the scope that waits. `None` if the group does not exist. Without
    /// a writer, a report states what would be done.
    async fn handle_waits(
        &self,
        scope: &Scope,
        writer: Option<Writer<'_>>,
    ) -> Result<Option<Vec<InstanceReport>>, onair_aws::Error> {
        let Some(instances) = self.instances(scope).await? else {
            return Ok(None);
        };
        let waiting = self.waiting(&instances).await?;
        let commands = self.commands(&waiting).await?;
        let reports = futures::stream::iter(&waiting)
            .map(async |waiting| {
                let listed = commands.of(waiting.state.direction());
                let own = waiting
                    .wait
                    .as_ref()
                    .and_then(|wait| WaitCommands::of(wait, listed));
                let result = self.handle_instance(waiting, own, writer).await;
                InstanceReport::of(waiting, own, result)
            })
            .buffer_unordered(CONCURRENT_INSTANCES);
        Ok(Some(reports.collect().await))
    }
}
