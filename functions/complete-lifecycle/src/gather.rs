//! Reads which instances wait, since when, and which commands were sent to them.

use crate::Handler;
use onair_aws::Error;
use onair_aws::autoscaling::GroupInstance;
use onair_core::complete_lifecycle::{
    Command, Direction, History, InstanceId, LifecycleWait, Scope, WaitState,
};
use std::collections::BTreeSet;

/// An instance that waits for a hook that On Air handles.
#[derive(Debug)]
pub(crate) struct WaitingInstance {
    pub(crate) instance: InstanceId,
    pub(crate) state: WaitState,
    /// Whether the group returns instances to its warm pool. Read only if the decision depends on
    /// it, else `false`.
    pub(crate) reuses_on_scale_in: bool,
    pub(crate) history: History,
    /// `None` if no activity in progress names the instance.
    pub(crate) wait: Option<LifecycleWait>,
}

/// The commands of both directions since their oldest wait began.
#[derive(Debug)]
pub(crate) struct SentCommands {
    launch: Vec<Command>,
    terminate: Vec<Command>,
}

impl SentCommands {
    pub(crate) fn of(&self, direction: Direction) -> &[Command] {
        match direction {
            Direction::Launch => &self.launch,
            Direction::Terminate => &self.terminate,
        }
    }
}

impl Handler {
    /// The instances of the scope, whether they wait or not. `None` if the group does not exist.
    pub(crate) async fn instances(
        &self,
        scope: &Scope,
    ) -> Result<Option<Vec<GroupInstance>>, Error> {
        match scope {
            Scope::Ignored { .. } => Ok(Some(Vec::new())),
            Scope::Instance(id) => {
                let instance = self.autoscaling.group_instance(id).await?;
                Ok(Some(instance.into_iter().collect()))
            }
            Scope::Group => {
                let group = &self.settings.fleet.group;
                self.autoscaling.group_instances(group).await
            }
        }
    }

    /// Those of the instances that wait for a hook that On Air handles.
    pub(crate) async fn waiting(
        &self,
        instances: &[GroupInstance],
    ) -> Result<Vec<WaitingInstance>, Error> {
        let fleet = &self.settings.fleet;
        let own = instances
            .iter()
            .filter(|instance| instance.group == fleet.group);
        let mut waiting: Vec<(InstanceId, WaitState)> = own
            .filter_map(|instance| {
                let state = WaitState::parse(&instance.lifecycle_state)?;
                Some((InstanceId::parse(&instance.id)?, state))
            })
            .collect();
        let is_needed = waiting.iter().any(|(_, state)| state.depends_on_reuse());
        let reuses_on_scale_in =
            is_needed && self.autoscaling.reuses_on_scale_in(&fleet.group).await?;
        waiting.retain(|(_, state)| fleet.handles(*state, reuses_on_scale_in));
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let ids: BTreeSet<InstanceId> = waiting.iter().map(|(id, _)| id.clone()).collect();
        let activities = self
            .autoscaling
            .scaling_activities(&fleet.group, &ids)
            .await?;
        let waiting = waiting
            .into_iter()
            .map(|(instance, state)| WaitingInstance {
                history: History::of(&instance, &activities),
                wait: LifecycleWait::of(&instance, state, &activities),
                instance,
                state,
                reuses_on_scale_in,
            });
        Ok(waiting.collect())
    }

    /// The commands of both directions since their oldest wait began.
    pub(crate) async fn commands(
        &self,
        waiting: &[WaitingInstance],
    ) -> Result<SentCommands, Error> {
        let (launch, terminate) = futures::try_join!(
            self.commands_of(Direction::Launch, waiting),
            self.commands_of(Direction::Terminate, waiting),
        )?;
        Ok(SentCommands { launch, terminate })
    }

    async fn commands_of(
        &self,
        direction: Direction,
        waiting: &[WaitingInstance],
    ) -> Result<Vec<Command>, Error> {
        let since = waiting
            .iter()
            .filter(|waiting| waiting.state.needs_command())
            .filter_map(|waiting| waiting.wait.as_ref())
            .filter(|wait| wait.direction == direction)
            .map(|wait| wait.began)
            .min();
        match (since, self.settings.fleet.document(direction)) {
            (Some(since), Some(document)) => self.ssm.list_commands(document.name, since).await,
            _ => Ok(Vec::new()),
        }
    }
}
