//! Lets an instance of an Auto Scaling group serve once its playbook passed, and go once its access
//! logs are saved.
//!
//! Runs when an instance begins to wait in a lifecycle hook, when a command on it changes its
//! status, by a schedule each minute, since these events may never come, and by hand. All of them
//! only say where to look. Nothing is remembered: who waits, since when, and which command is on
//! it, is read each time.

mod apply;
mod gather;
mod report;
mod settings;

pub use settings::Settings;

use futures::StreamExt;
use onair_aws::autoscaling::AutoScaling;
use onair_aws::s3::S3;
use onair_aws::ssm::Ssm;
use onair_core::complete_lifecycle::{Scope, WaitCommands, decode};
use onair_lambda::{Error, Failure, Invocation, Report};
use report::InstanceReport;

/// Instances that are dealt with at a time.
const CONCURRENT_INSTANCES: usize = 8;

/// Looks after one group.
#[derive(Debug)]
pub struct Handler {
    settings: Settings,
    autoscaling: AutoScaling,
    ssm: Ssm,
    s3: S3,
}

impl Handler {
    /// A handler for the group of these settings.
    pub fn new(settings: Settings, autoscaling: AutoScaling, ssm: Ssm, s3: S3) -> Self {
        Self {
            settings,
            autoscaling,
            ssm,
            s3,
        }
    }

    /// Deals with one event.
    ///
    /// # Errors
    ///
    /// Where a retry or a person is needed. What else waits was dealt with all the same.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let request = decode(&invocation.event, &self.settings.fleet)
            .map_err(|error| Error::BadEvent(error.to_string()))?;
        let dry_run = request.dry_run || self.settings.dry_run;
        let everywhere = request.scope == Scope::Group;
        let look = self.look(request.scope, dry_run);
        let look = invocation.deadline.run(look).await.ok_or_else(|| {
            Error::Incomplete("AWS did not answer in time; the schedule goes on".to_owned())
        })?;
        match look {
            Ok(Handled::Ignored(why)) => Ok(Report::ignored(why)),
            Ok(Handled::GroupNotFound) => {
                let group = &self.settings.fleet.group;
                Ok(Report::held_why(
                    "group",
                    group,
                    format!("there is no Auto Scaling group {group:?}"),
                ))
            }
            Ok(Handled::Instances(entries)) => report::of(entries, everywhere, dry_run),
            Err(error) if error.is_retryable() => Ok(report::busy(&error, everywhere)),
            Err(error) => Err(Error::from(error).into()),
        }
    }

    async fn look(&self, scope: Scope, dry_run: bool) -> Result<Handled, onair_aws::Error> {
        let group = &self.settings.fleet.group;
        let members = match scope {
            Scope::Ignored { why } => return Ok(Handled::Ignored(why)),
            Scope::Instance(instance) => self
                .autoscaling
                .group_instance(&instance)
                .await?
                .into_iter()
                .collect(),
            Scope::Group => match self.autoscaling.group_instances(group).await? {
                Some(members) => members,
                None => return Ok(Handled::GroupNotFound),
            },
        };
        let waiting = self.waiting(&members).await?;
        let commands = self.commands(&waiting).await?;
        let entries = futures::stream::iter(&waiting)
            .map(async |waiting| {
                let listed = commands.get(&waiting.state.direction());
                let commands = waiting
                    .wait
                    .as_ref()
                    .and_then(|wait| WaitCommands::of(wait, listed?));
                let done = self.deal_with(waiting, commands, dry_run).await;
                InstanceReport::of(waiting, commands.map(|commands| commands.first), done)
            })
            .buffer_unordered(CONCURRENT_INSTANCES);
        Ok(Handled::Instances(entries.collect().await))
    }
}

/// What an event led to.
enum Handled {
    /// It is not for us.
    Ignored(String),
    /// The group is not there.
    GroupNotFound,
    /// The instances that wait, or waited.
    Instances(Vec<InstanceReport>),
}
