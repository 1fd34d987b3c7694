//! Since when an instance waits: the scaling activity that brought it into its state.

use super::{Direction, InstanceId, Receipt, Wait};
use chrono::{DateTime, Utc};

/// A scaling activity of the group, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Such as `Launching a new EC2 instance: i-…`, `Terminating EC2 instance: i-…`, `Launching a new EC2 instance into warm
    /// pool: i-…`. Only the id in it is documented to mean something.
    pub description: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How it stands.
    pub stands: Standing,
}

/// How a scaling activity stands (Auto Scaling API reference, Activity).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is neither done nor given up: `MidLifecycleAction` while a hook is waited for.
    Open,
    /// It is done: `Successful`.
    Done,
    /// It was given up: `Cancelled` where a hook ended with `ABANDON`, or `Failed`.
    GivenUp,
}

/// One wait of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which instance.
    pub instance: InstanceId,
    /// For which hook it waits.
    pub direction: Direction,
    /// When the scaling activity began.
    pub began: DateTime<Utc>,
    /// Its launch was given up, and nothing else that names it has succeeded: it has served nobody.
    pub never_served: bool,
}

impl Run {
    /// The run that this wait is, by the group's newest activities; `None` if no open one names the instance. If several do,
    /// the wait began with the last.
    pub fn of(instance: &InstanceId, wait: Wait, activities: &[Activity]) -> Option<Self> {
        let open = activities.iter().filter(|activity| activity.is_open_of(instance));
        let began = open.map(|activity| activity.started).max()?;
        let is_any = |what: fn(&Activity) -> bool| {
            activities.iter().any(|activity| activity.names(instance) && what(activity))
        };
        let never_served = is_any(Activity::is_launch_given_up) && !is_any(Activity::may_have_led_to_service);
        Some(Self { instance: instance.clone(), direction: wait.direction(), began, never_served })
    }

    /// The run's name: when it began, to the second.
    pub fn name(&self) -> String {
        self.began.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// The comment that tells the run's commands from all others: those of an earlier wait of the same instance, of the
    /// other direction, of people. SSM keeps at most 100 characters.
    pub fn comment(&self) -> String {
        format!("onair {} {} {}", self.direction.word(), self.instance, self.name())
    }

    /// Where the manifest lies that a command told of. Its name is its content's: two commands of one run do not take each
    /// other's.
    pub fn manifest_key(&self, receipt: &Receipt) -> String {
        format!("{}/manifest-{}.json", self.log_prefix(), receipt.sha256)
    }

    /// Where the run's logs lie in their bucket, without a slash at the end.
    pub fn log_prefix(&self) -> String {
        format!("logs/{}/{}", self.instance, self.name())
    }
}

impl Activity {
    /// Whether it is what this instance waits in.
    pub fn is_open_of(&self, instance: &InstanceId) -> bool {
        self.stands == Standing::Open && self.names(instance)
    }

    fn names(&self, instance: &InstanceId) -> bool {
        let mut words = self.description.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.any(|word| word == instance.as_str())
    }

    /// Such as `Launching a new EC2 instance: i-….  Status Reason: Instance failed to complete user's Lifecycle Action: … was
    /// abandoned: Lifecycle Action Completed with ABANDON Result`, which is `Cancelled` (EC2 Auto Scaling User Guide,
    /// "Verify a scaling activity for an Auto Scaling group").
    fn is_launch_given_up(&self) -> bool {
        self.stands == Standing::GivenUp && self.description.starts_with("Launching ")
    }

    /// Whatever succeeded, unless it is known not to.
    fn may_have_led_to_service(&self) -> bool {
        self.stands == Standing::Done
            && !self.description.starts_with("Launching a new EC2 instance into warm pool")
    }
}
