//! Who waits, since when, and with which commands.

use crate::Handler;
use onair_aws::autoscaling::Member;
use onair_core::complete_lifecycle::{Direction, InstanceId, Past, Run, Sent, Wait};
use std::collections::{BTreeMap, BTreeSet};

/// An instance that waits for a hook of ours.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) instance: InstanceId,
    pub(crate) wait: Wait,
    /// Its group lets instances return to the warm pool; asked only where that matters.
    pub(crate) returns: bool,
    pub(crate) past: Past,
    /// `None` where nothing tells since when.
    pub(crate) run: Option<Run>,
}

impl Handler {
    /// Who of these waits for a hook of ours, and since when.
    pub(crate) async fn waiting(
        &self,
        members: &[Member],
    ) -> Result<Vec<Waiting>, onair_aws::Error> {
        let fleet = &self.settings.fleet;
        let ours = members.iter().filter(|member| member.group == fleet.group);
        let ours = ours
            .filter_map(|member| Some((InstanceId::parse(&member.id)?, Wait::of(&member.state)?)));
        let ours: Vec<_> = ours.collect();
        // Of all others than launches it matters whether instances return.
        let asks = ours.iter().any(|(_, wait)| *wait != Wait::Launch);
        let returns = asks && self.autoscaling.returns(&fleet.group).await?;
        let is_ours =
            |wait: Wait| fleet.hook(wait.direction()).is_some() || (returns && wait.is_warm());
        let ours: Vec<_> = ours
            .into_iter()
            .filter(|(_, wait)| is_ours(*wait))
            .collect();
        let named: BTreeSet<InstanceId> =
            ours.iter().map(|(instance, _)| instance.clone()).collect();
        let activities = match named.is_empty() {
            true => Vec::new(),
            false => self.autoscaling.activities(&fleet.group, &named).await?,
        };
        let waiting = ours.into_iter().map(|(instance, wait)| {
            let (past, run) = (
                Past::of(&instance, &activities),
                Run::of(&instance, wait, &activities),
            );
            Waiting {
                instance,
                wait,
                returns,
                past,
                run,
            }
        });
        Ok(waiting.collect())
    }

    /// The commands of each direction since the first that waits in it began to.
    pub(crate) async fn commands(
        &self,
        waiting: &[Waiting],
    ) -> Result<BTreeMap<Direction, Vec<Sent>>, onair_aws::Error> {
        let list = async |direction: Direction| {
            let runs = waiting
                .iter()
                .filter(|waiting| waiting.wait.takes_a_command());
            let runs = runs
                .filter_map(|waiting| waiting.run.as_ref())
                .filter(|run| run.direction == direction);
            let Some(since) = runs.map(|run| run.began).min() else {
                return Ok(Vec::new());
            };
            let Some((document, _)) = self.settings.fleet.document(direction) else {
                return Ok(Vec::new());
            };
            self.ssm.commands(document, since).await
        };
        let (launch, terminate) =
            futures::try_join!(list(Direction::Launch), list(Direction::Terminate))?;
        Ok([
            (Direction::Launch, launch),
            (Direction::Terminate, terminate),
        ]
        .into())
    }
}
