//! When a wait of an instance began: the start of the scaling activity that led to the wait.

use super::{Direction, InstanceId, WaitState};
use chrono::{DateTime, Utc};

/// A scaling activity of the group: one launch or termination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalingActivity {
    /// For example `Launching a new EC2 instance: i-…`, `Terminating EC2 instance: i-…`, `Launching
    /// a new EC2 instance into warm pool: i-…`, `… from warm pool: i-…` (EC2 Auto Scaling User
    /// Guide, and AWS's workshop on warm pools).
    pub description: String,
    /// The reason for which the activity began, for example `At 2021-02-20T11:02:35Z an instance
    /// was taken out of service in response to a launch failure.`
    pub cause: String,
    /// When the activity began.
    pub start_time: DateTime<Utc>,
    /// The activity's progress, or its result.
    pub status: ActivityStatus,
}

/// The status of a scaling activity (Auto Scaling API reference, Activity).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityStatus {
    /// All other status codes. During a lifecycle hook it is `MidLifecycleAction`.
    InProgress,
    /// `Successful`.
    Successful,
    /// `Cancelled`, for example after a hook that ended with `ABANDON`, or `Failed`.
    Unsuccessful,
}

/// One wait of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleWait {
    /// The instance that waits.
    pub instance: InstanceId,
    /// The hook for which the instance waits.
    pub direction: Direction,
    /// When the scaling activity began.
    pub began: DateTime<Utc>,
}

/// An instance's life so far, according to the group's scaling activities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Its launch hook ended with `ABANDON`.
    pub launch_was_abandoned: bool,
    /// An activity succeeded after which it may have served.
    pub may_have_served: bool,
}

impl History {
    /// Reads the group's newest activities. Auto Scaling may have deleted older ones.
    pub fn of(instance: &InstanceId, activities: &[ScalingActivity]) -> Self {
        let mut own = activities
            .iter()
            .filter(|activity| activity.names(instance));
        Self {
            launch_was_abandoned: own.clone().any(ScalingActivity::is_abandoned_launch),
            may_have_served: own.any(ScalingActivity::may_have_led_to_service),
        }
    }
}

impl LifecycleWait {
    /// The wait of this instance, by the group's newest activities. `None` if no activity in
    /// progress names the instance. If several do, the wait began with the newest.
    pub fn of(
        instance: &InstanceId,
        state: WaitState,
        activities: &[ScalingActivity],
    ) -> Option<Self> {
        let began = activities
            .iter()
            .filter(|activity| activity.is_in_progress_for(instance))
            .map(|activity| activity.start_time)
            .max()?;
        Some(Self {
            instance: instance.clone(),
            direction: state.direction(),
            began,
        })
    }

    /// The name of the wait: when it began, to the second.
    pub fn name(&self) -> String {
        self.began.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// The comment of the wait's commands. It distinguishes them from commands of an earlier wait
    /// of the same instance, of the other direction, and of people. SSM allows at most 100
    /// characters.
    pub fn comment(&self) -> String {
        format!(
            "onair {} {} {}",
            self.direction.word(),
            self.instance,
            self.name()
        )
    }

    /// The prefix of the wait's logs in their bucket, without a slash at the end.
    pub fn log_prefix(&self) -> String {
        format!("logs/{}/{}", self.instance, self.name())
    }
}

impl ScalingActivity {
    /// Whether the activity launches or terminates this instance, and has not ended.
    pub fn is_in_progress_for(&self, instance: &InstanceId) -> bool {
        self.status == ActivityStatus::InProgress && self.names(instance)
    }

    fn names(&self, instance: &InstanceId) -> bool {
        let mut words = self
            .description
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.any(|word| word == instance.as_str())
    }

    /// Whether the activity shows that the instance's launch hook ended with `ABANDON`.
    ///
    /// Either it is the launch itself, such as `Launching a new EC2 instance: i-….  Status Reason:
    /// Instance failed to complete user's Lifecycle Action: … was abandoned: Lifecycle Action
    /// Completed with ABANDON Result`. Its status becomes `Cancelled` only "after waiting a few
    /// minutes" (EC2 Auto Scaling User Guide, "Verify a scaling activity" and the tutorials of
    /// lifecycle hooks). Or it is the termination that follows, whose cause names the launch
    /// failure from the beginning.
    ///
    /// A launch that ended for another reason does not count: the instance may have served before.
    fn is_abandoned_launch(&self) -> bool {
        let is_launch = self.description.starts_with("Launching ");
        match self.status {
            ActivityStatus::Unsuccessful => {
                is_launch && self.description.contains("Lifecycle Action")
            }
            ActivityStatus::InProgress => {
                !is_launch && self.cause.contains("in response to a launch failure")
            }
            ActivityStatus::Successful => false,
        }
    }

    /// Every success counts, except the one that is known not to lead to service: the launch into
    /// the warm pool.
    fn may_have_led_to_service(&self) -> bool {
        self.status == ActivityStatus::Successful
            && !self
                .description
                .starts_with("Launching a new EC2 instance into warm pool")
    }
}
