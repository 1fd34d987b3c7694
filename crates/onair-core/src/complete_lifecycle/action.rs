//! Since when an instance waits: the scaling activity that brought it into its state.

use super::{Direction, InstanceId, Wait};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// A scaling activity of the group, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Such as `Launching a new EC2 instance: i-…`, `Terminating EC2 instance: i-…`, `Launching a new EC2 instance into warm
    /// pool: i-…`. Only the id in it is documented to mean something.
    pub description: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// It is neither done nor given up: its status is none of `Successful`, `Failed` and `Cancelled`. (While a hook is waited
    /// for it is `MidLifecycleAction`: Auto Scaling API reference, Activity.)
    pub is_open: bool,
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
}

impl Run {
    /// The run that this wait is; `None` if no open activity names the instance.
    pub fn of(
        instance: &InstanceId,
        wait: Wait,
        began: &BTreeMap<InstanceId, DateTime<Utc>>,
    ) -> Option<Self> {
        let began = *began.get(instance)?;
        Some(Self { instance: instance.clone(), direction: wait.direction(), began })
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

    /// Where the run's logs lie in their bucket, without a slash at the end.
    pub fn log_prefix(&self) -> String {
        format!("logs/{}/{}", self.instance, self.name())
    }
}

/// When the wait of each instance began that an open activity names; if several do, by the one that began last.
pub fn runs(activities: &[Activity]) -> BTreeMap<InstanceId, DateTime<Utc>> {
    let mut runs = BTreeMap::new();
    for activity in activities.iter().filter(|activity| activity.is_open) {
        let words = activity.description.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        for instance in words.filter_map(InstanceId::parse) {
            let began = runs.entry(instance).or_insert(activity.started);
            *began = activity.started.max(*began);
        }
    }
    runs
}
