//! Who waits, since when, and with which commands.

use crate::Handler;
use onair_aws::autoscaling::GroupInstance;
use onair_core::complete_lifecycle::{
    Command, Direction, History, InstanceId, LifecycleWait, WaitState,
};
use std::collections::{BTreeMap, BTreeSet};

/// An instance that waits for a hook of ours.
#[derive(Debug)]
pub(crate) struct WaitingInstance {
    pub(crate) instance: InstanceId,
    pub(crate) state: WaitState,
    /// Its group lets instances return to the warm pool; asked only where that matters.
    pub(crate) returns: bool,
    pub(crate) history: History,
    /// `None` where nothing tells since when.
    pub(crate) wait: Option<LifecycleWait>,
}

impl Handler {
    /// Who of these waits for a hook of ours, and since when.
    pub(crate) async fn waiting(
        &self,
        members: &[GroupInstance],
    ) -> Result<Vec<WaitingInstance>, onair_aws::Error> {
        let fleet = &self.settings.fleet;
        let ours = members.iter().filter(|member| member.group == fleet.group);
        let ours = ours.filter_map(|member| {
            Some((
                InstanceId::parse(&member.id)?,
                WaitState::parse(&member.lifecycle_state)?,
            ))
        });
        let ours: Vec<_> = ours.collect();
        // Of all others than launches it matters whether instances return.
        let asks = ours.iter().any(|(_, state)| *state != WaitState::Pending);
        let returns = asks && self.autoscaling.reuses_on_scale_in(&fleet.group).await?;
        let is_ours = |state: WaitState| {
            fleet.hook(state.direction()).is_some() || (returns && state.is_warm())
        };
        let ours: Vec<_> = ours
            .into_iter()
            .filter(|(_, state)| is_ours(*state))
            .collect();
        let named: BTreeSet<InstanceId> =
            ours.iter().map(|(instance, _)| instance.clone()).collect();
        let activities = match named.is_empty() {
            true => Vec::new(),
            false => {
                self.autoscaling
                    .scaling_activities(&fleet.group, &named)
                    .await?
            }
        };
        let waiting = ours.into_iter().map(|(instance, state)| {
            let (history, wait) = (
                History::of(&instance, &activities),
                LifecycleWait::of(&instance, state, &activities),
            );
            WaitingInstance {
                instance,
                state,
                returns,
                history,
                wait,
            }
        });
        Ok(waiting.collect())
    }

    /// The commands of each direction since the first that waits in it began to.
    pub(crate) async fn commands(
        &self,
        waiting: &[WaitingInstance],
    ) -> Result<BTreeMap<Direction, Vec<Command>>, onair_aws::Error> {
        let list = async |direction: Direction| {
            let runs = waiting
                .iter()
                .filter(|waiting| waiting.state.needs_command());
            let runs = runs
                .filter_map(|waiting| waiting.wait.as_ref())
                .filter(|wait| wait.direction == direction);
            let Some(since) = runs.map(|wait| wait.began).min() else {
                return Ok(Vec::new());
            };
            let Some((document, _)) = self.settings.fleet.document(direction) else {
                return Ok(Vec::new());
            };
            self.ssm.list_commands(document, since).await
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
