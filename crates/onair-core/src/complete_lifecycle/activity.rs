//! Since when an instance waits: the scaling activity that brought it into its state.

use super::{Direction, InstanceId, Receipt, WaitState};
use chrono::{DateTime, Utc};

/// A scaling activity of the group, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalingActivity {
    /// Such as `Launching a new EC2 instance: i-…`, `Terminating EC2 instance: i-…`, `Launching a
    /// new EC2 instance into warm pool: i-…`, `… from warm pool: i-…` (as the user guide, and AWS's
    /// workshop on warm pools, show them).
    pub description: String,
    /// Why it began, such as `At 2021-02-20T11:02:35Z an instance was taken out of service in
    /// response to a launch failure.`
    pub cause: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How it stands.
    pub status: ActivityStatus,
}

/// How a scaling activity stands (Auto Scaling API reference, Activity).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityStatus {
    /// It is neither done nor given up: `MidLifecycleAction` while a hook is waited for.
    InProgress,
    /// It is done: `Successful`.
    Successful,
    /// It was given up: `Cancelled` where a hook ended with `ABANDON`, or `Failed`.
    Unsuccessful,
}

/// One wait of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleWait {
    /// Which instance.
    pub instance: InstanceId,
    /// For which hook it waits.
    pub direction: Direction,
    /// When the scaling activity began.
    pub began: DateTime<Utc>,
}

/// What the group's scaling activities say of an instance's life so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Its launch was given up.
    pub launch_was_abandoned: bool,
    /// Something of it succeeded that may have let it serve.
    pub may_have_served: bool,
}

impl History {
    /// What the group's newest activities say. There may have been more.
    pub fn of(instance: &InstanceId, activities: &[ScalingActivity]) -> Self {
        let is_any = |what: fn(&ScalingActivity) -> bool| {
            activities
                .iter()
                .any(|activity| activity.names(instance) && what(activity))
        };
        Self {
            launch_was_abandoned: is_any(ScalingActivity::says_that_a_launch_was_given_up),
            may_have_served: is_any(ScalingActivity::may_have_led_to_service),
        }
    }
}

impl LifecycleWait {
    /// The run that this wait is, by the group's newest activities; `None` if no open one names the
    /// instance. If several do, the wait began with the last.
    pub fn of(
        instance: &InstanceId,
        state: WaitState,
        activities: &[ScalingActivity],
    ) -> Option<Self> {
        let open = activities
            .iter()
            .filter(|activity| activity.is_open_of(instance));
        let began = open.map(|activity| activity.started).max()?;
        Some(Self {
            instance: instance.clone(),
            direction: state.direction(),
            began,
        })
    }

    /// The run's name: when it began, to the second.
    pub fn name(&self) -> String {
        self.began.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// The comment that tells the run's commands from all others: those of an earlier wait of the
    /// same instance, of the other direction, of people. SSM keeps at most 100 characters.
    pub fn comment(&self) -> String {
        format!(
            "onair {} {} {}",
            self.direction.word(),
            self.instance,
            self.name()
        )
    }

    /// Where the manifest lies that a command told of. Its name is its content's: two commands of
    /// one run do not take each other's.
    pub fn manifest_key(&self, receipt: &Receipt) -> String {
        format!("{}/manifest-{}.json", self.log_prefix(), receipt.sha256)
    }

    /// Where the run's logs lie in their bucket, without a slash at the end.
    pub fn log_prefix(&self) -> String {
        format!("logs/{}/{}", self.instance, self.name())
    }
}

impl ScalingActivity {
    /// Whether it is what this instance waits in.
    pub fn is_open_of(&self, instance: &InstanceId) -> bool {
        self.status == ActivityStatus::InProgress && self.names(instance)
    }

    fn names(&self, instance: &InstanceId) -> bool {
        let mut words = self
            .description
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.any(|word| word == instance.as_str())
    }

    /// Either the launch's own, such as `Launching a new EC2 instance: i-….  Status Reason:
    /// Instance failed to complete user's Lifecycle Action: … was abandoned: Lifecycle Action
    /// Completed with ABANDON Result`, which is `Cancelled` "after waiting a few minutes" (EC2 Auto
    /// Scaling User Guide, "Verify a scaling activity" and the tutorials of lifecycle hooks). Or
    /// what it led to, which says so from its beginning. A launch that ended for another reason may
    /// have let it serve before.
    fn says_that_a_launch_was_given_up(&self) -> bool {
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

    /// Whatever succeeded, unless it is known not to.
    fn may_have_led_to_service(&self) -> bool {
        self.status == ActivityStatus::Successful
            && !self
                .description
                .starts_with("Launching a new EC2 instance into warm pool")
    }
}
