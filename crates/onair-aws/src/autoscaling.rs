//! Amazon EC2 Auto Scaling: instances, scaling activities and lifecycle actions of a group.

use crate::error::Error;
use aws_config::SdkConfig;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_autoscaling::types::{
    Activity as Found, AutoScalingGroup as Group, ScalingActivityStatusCode,
};
use chrono::DateTime;
use onair_core::complete_lifecycle::{ActionResult, ActivityStatus, InstanceId, ScalingActivity};
use std::collections::BTreeSet;

/// The greatest number of pages of scaling activities that are read, with 100 activities each, the
/// newest first.
const MAX_PAGES: usize = 10;

/// A client for Auto Scaling.
#[derive(Debug, Clone)]
pub struct AutoScaling {
    client: Client,
}

/// An instance of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInstance {
    /// The instance ID, unchecked.
    pub id: String,
    /// The name of its group.
    pub group: String,
    /// The lifecycle state, for example `Pending:Wait`.
    pub lifecycle_state: String,
}

/// The result of a request about the lifecycle action of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionOutcome {
    /// Auto Scaling accepted the request.
    Done,
    /// The instance does not wait for this hook any more, so that the request changed nothing.
    NotWaiting,
}

impl AutoScaling {
    /// A client on the shared configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// Describes one instance. `None` if the instance belongs to no group and no warm pool.
    ///
    /// # Errors
    ///
    /// If the request fails.
    pub async fn group_instance(&self, id: &InstanceId) -> Result<Option<GroupInstance>, Error> {
        let answer = self
            .client
            .describe_auto_scaling_instances()
            .instance_ids(id.as_str())
            .send()
            .await;
        let answer = answer
            .map_err(|error| Error::of("DescribeAutoScalingInstances", id.as_str(), error))?;
        let instances = answer
            .auto_scaling_instances
            .unwrap_or_default()
            .into_iter();
        Ok(instances
            .map(|found| GroupInstance {
                id: found.instance_id.unwrap_or_default(),
                group: found.auto_scaling_group_name.unwrap_or_default(),
                lifecycle_state: found.lifecycle_state.unwrap_or_default(),
            })
            .find(|instance| instance.id == id.as_str()))
    }

    /// Lists the instances of a group and of its warm pool. `None` if the group does not exist.
    ///
    /// # Errors
    ///
    /// If the request fails.
    pub async fn group_instances(&self, group: &str) -> Result<Option<Vec<GroupInstance>>, Error> {
        let Some(found) = self.group(group).await? else {
            return Ok(None);
        };
        let mut instances = found.instances.unwrap_or_default();
        if found.warm_pool_configuration.is_some() {
            let pages = self
                .client
                .describe_warm_pool()
                .auto_scaling_group_name(group)
                .into_paginator();
            let warm = pages.items().send().collect::<Result<Vec<_>, _>>().await;
            instances.extend(warm.map_err(|error| Error::of("DescribeWarmPool", group, error))?);
        }
        let instance = |found: aws_sdk_autoscaling::types::Instance| GroupInstance {
            id: found.instance_id.unwrap_or_default(),
            group: group.to_owned(),
            lifecycle_state: found
                .lifecycle_state
                .map(|state| state.as_str().to_owned())
                .unwrap_or_default(),
        };
        Ok(Some(instances.into_iter().map(instance).collect()))
    }

    /// Whether the group returns instances to its warm pool after they have served
    /// (`ReuseOnScaleIn`).
    ///
    /// # Errors
    ///
    /// If the request fails.
    pub async fn reuses_on_scale_in(&self, group: &str) -> Result<bool, Error> {
        let pool = self
            .group(group)
            .await?
            .and_then(|found| found.warm_pool_configuration);
        let policy = pool.and_then(|pool| pool.instance_reuse_policy);
        Ok(policy
            .and_then(|policy| policy.reuse_on_scale_in)
            .unwrap_or(false))
    }

    async fn group(&self, name: &str) -> Result<Option<Group>, Error> {
        let answer = self
            .client
            .describe_auto_scaling_groups()
            .auto_scaling_group_names(name)
            .send()
            .await;
        let answer = answer.map_err(|error| Error::of("DescribeAutoScalingGroups", name, error))?;
        Ok(answer
            .auto_scaling_groups
            .unwrap_or_default()
            .into_iter()
            .next())
    }

    /// Reads the group's scaling activities, the newest first, until an activity in progress names
    /// each of these instances.
    ///
    /// # Errors
    ///
    /// If the request fails.
    pub async fn scaling_activities(
        &self,
        group: &str,
        until: &BTreeSet<InstanceId>,
    ) -> Result<Vec<ScalingActivity>, Error> {
        let mut pages = self
            .client
            .describe_scaling_activities()
            .auto_scaling_group_name(group)
            .into_paginator()
            .page_size(100)
            .send();
        let mut activities: Vec<ScalingActivity> = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(page) = pages.next().await else {
                break;
            };
            let page =
                page.map_err(|error| Error::of("DescribeScalingActivities", group, error))?;
            activities.extend(
                page.activities
                    .unwrap_or_default()
                    .iter()
                    .filter_map(scaling_activity),
            );
            let is_named = |id| {
                activities
                    .iter()
                    .any(|activity| activity.is_in_progress_for(id))
            };
            if until.iter().all(is_named) {
                break;
            }
        }
        Ok(activities)
    }

    /// Ends the wait of an instance (`CompleteLifecycleAction`).
    ///
    /// # Errors
    ///
    /// If the request fails for another reason than that the wait is over.
    pub async fn complete_lifecycle_action(
        &self,
        group: &str,
        hook: &str,
        instance: &InstanceId,
        result: ActionResult,
    ) -> Result<ActionOutcome, Error> {
        let request = self
            .client
            .complete_lifecycle_action()
            .auto_scaling_group_name(group);
        let request = request
            .lifecycle_hook_name(hook)
            .instance_id(instance.as_str());
        let answer = request
            .lifecycle_action_result(result.as_str())
            .send()
            .await;
        action_outcome(answer.map(drop), "CompleteLifecycleAction", instance)
    }

    /// Extends the wait of an instance by the hook's heartbeat timeout
    /// (`RecordLifecycleActionHeartbeat`).
    ///
    /// # Errors
    ///
    /// If the request fails for another reason than that the wait is over.
    pub async fn record_heartbeat(
        &self,
        group: &str,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<ActionOutcome, Error> {
        let request = self
            .client
            .record_lifecycle_action_heartbeat()
            .auto_scaling_group_name(group);
        let answer = request
            .lifecycle_hook_name(hook)
            .instance_id(instance.as_str())
            .send()
            .await;
        action_outcome(answer.map(drop), "RecordLifecycleActionHeartbeat", instance)
    }
}

fn scaling_activity(found: &Found) -> Option<ScalingActivity> {
    use ScalingActivityStatusCode::{Cancelled, Failed, Successful};
    let start_time = found.start_time.as_ref()?;
    Some(ScalingActivity {
        description: found.description.clone().unwrap_or_default(),
        cause: found.cause.clone().unwrap_or_default(),
        start_time: DateTime::from_timestamp(start_time.secs(), start_time.subsec_nanos())?,
        status: match found.status_code.as_ref() {
            Some(Successful) => ActivityStatus::Successful,
            Some(Cancelled | Failed) => ActivityStatus::Unsuccessful,
            _ => ActivityStatus::InProgress,
        },
    })
}

/// Auto Scaling has no error code for an instance that does not wait any more. The answer is a
/// `ValidationError` with the message `No active Lifecycle Action found with instance ID i-…`
/// (`buildkite/elastic-ci-stack` and others match the same text).
fn action_outcome<E>(
    answer: Result<(), SdkError<E>>,
    operation: &'static str,
    instance: &InstanceId,
) -> Result<ActionOutcome, Error>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(()) => Ok(ActionOutcome::Done),
        Err(error) => {
            let service = error.as_service_error();
            let text = |text: Option<&str>| text.unwrap_or_default().to_ascii_lowercase();
            let code = text(service.and_then(ProvideErrorMetadata::code));
            let message = text(service.and_then(ProvideErrorMetadata::message));
            if code == "validationerror" && message.contains("no active lifecycle action") {
                return Ok(ActionOutcome::NotWaiting);
            }
            Err(Error::of(operation, instance.as_str(), error))
        }
    }
}
