//! Groups, their instances, and the hooks in which instances wait.

mod described;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::xml::Xml;
use super::{Form, invalid};
use crate::lock;
use crate::rest::ServiceError;

/// The content of an [`AutoScaling`](super::AutoScaling). The server shares it; tests change it
/// without a request. Clones share one content.
///
/// Every method that names a group or an instance panics if it does not exist.
#[derive(Clone, Default)]
pub struct Groups(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    groups: BTreeMap<String, Group>,
    instances: BTreeMap<String, Instance>,
    activities: Vec<Activity>,
    completed: Vec<(String, String)>,
    heartbeats: Vec<String>,
    is_late: bool,
}

struct Group {
    launch_hook: String,
    terminate_hook: String,
    pool: Option<Pool>,
}

#[derive(Clone, Copy, Default)]
struct Pool {
    reuses: bool,
}

struct Instance {
    group: String,
    state: String,
    /// The instance waits in the terminate hook before it returns to the warm pool.
    returns: bool,
}

struct Activity {
    group: String,
    instance: String,
    description: String,
    cause: &'static str,
    started: SystemTime,
    status: &'static str,
}

/// The status message of a launch that a hook abandoned (EC2 Auto Scaling User Guide, "Verify a
/// scaling activity for an Auto Scaling group").
const ABANDONED: &str = ".  Status Reason: Instance failed to complete user's Lifecycle Action: Lifecycle Action with token \
                         e85eb647-4fe0-4909-b341-a6c42d8aba1f was abandoned: Lifecycle Action Completed with ABANDON Result";

/// The cause of the termination of an instance whose launch was abandoned, from the start of the
/// activity (seen in a transcript of a real account).
const LAUNCH_FAILURE: &str =
    "At 2021-02-20T11:02:35Z an instance was taken out of service in response to a launch failure.";
const ON_PURPOSE: &str = "on purpose";

type Members = Vec<(&'static str, Xml)>;

impl Groups {
    /// Creates a group with these two hooks, without a warm pool.
    pub fn create_group(&self, name: &str, launch_hook: &str, terminate_hook: &str) {
        let (launch_hook, terminate_hook) = (launch_hook.to_owned(), terminate_hook.to_owned());
        lock(&self.0).groups.insert(
            name.to_owned(),
            Group {
                launch_hook,
                terminate_hook,
                pool: None,
            },
        );
    }

    /// Launches an instance, which then waits in the launch hook: `Pending:Wait`.
    #[track_caller]
    pub fn launch(&self, group: &str, instance: &str) {
        self.start(
            group,
            instance,
            "Pending:Wait",
            "Launching a new EC2 instance: ",
        );
    }

    /// Launches an instance into the group's warm pool, which is created if needed:
    /// `Warmed:Pending:Wait`.
    #[track_caller]
    pub fn launch_into_warm_pool(&self, group: &str, instance: &str) {
        if let Some(group) = lock(&self.0).groups.get_mut(group) {
            group.pool.get_or_insert_default();
        }
        self.start(
            group,
            instance,
            "Warmed:Pending:Wait",
            "Launching a new EC2 instance into warm pool: ",
        );
    }

    /// Moves a stopped instance from the warm pool into the group: `Pending:Wait`.
    #[track_caller]
    pub fn launch_from_warm_pool(&self, instance: &str) {
        self.go_on(
            instance,
            "Warmed:Stopped",
            "Pending:Wait",
            "Launching a new EC2 instance from warm pool: ",
        );
    }

    /// Terminates an instance that serves: `Terminating:Wait`.
    #[track_caller]
    pub fn terminate(&self, instance: &str) {
        self.go_on(
            instance,
            "InService",
            "Terminating:Wait",
            "Terminating EC2 instance: ",
        );
    }

    /// Sets whether the group's instances return to its warm pool, which is created if needed
    /// (`ReuseOnScaleIn`).
    pub fn reuse(&self, group: &str, reuses: bool) {
        if let Some(group) = lock(&self.0).groups.get_mut(group) {
            group.pool = Some(Pool { reuses });
        }
    }

    /// Returns an instance that serves to the group's warm pool (`ReuseOnScaleIn`):
    /// `Warmed:Pending:Wait`, in the terminate hook. The EC2 Auto Scaling User Guide, "Use
    /// lifecycle hooks with a warm pool", has this state in its diagram. It does not document which
    /// hook it is, and we could not confirm it.
    #[track_caller]
    pub fn return_to_warm_pool(&self, group: &str, instance: &str) {
        self.reuse(group, true);
        self.go_on(
            instance,
            "InService",
            "Warmed:Pending:Wait",
            "Terminating EC2 instance: ",
        );
        if let Some(found) = lock(&self.0).instances.get_mut(instance) {
            found.returns = true;
        }
    }

    /// Terminates an instance of the warm pool: `Warmed:Terminating:Wait`.
    #[track_caller]
    pub fn retire(&self, instance: &str) {
        let description = "Terminating EC2 instance in warm pool: ";
        self.go_on(
            instance,
            "Warmed:Stopped",
            "Warmed:Terminating:Wait",
            description,
        );
    }

    /// Ends the wait of an instance as `CONTINUE` does, without a request.
    #[track_caller]
    pub fn finish(&self, instance: &str) {
        lock(&self.0).end(instance, "CONTINUE");
    }

    /// Ends the wait of an instance by the hook's timeout, which acts as `ABANDON`. An instance
    /// that was about to join is then terminated: `Terminating:Wait`.
    #[track_caller]
    pub fn time_out(&self, instance: &str) {
        lock(&self.0).end(instance, "ABANDON");
    }

    /// Sets whether the activity of an abandoned launch stays in progress. On AWS it does for some
    /// minutes (EC2 Auto Scaling User Guide, the tutorials of lifecycle hooks).
    pub fn cancel_late(&self, is_late: bool) {
        lock(&self.0).is_late = is_late;
    }

    /// Removes all activities of this instance.
    pub fn forget_activities(&self, instance: &str) {
        lock(&self.0)
            .activities
            .retain(|activity| activity.instance != instance);
    }

    /// The state of an instance. At the end it is `Terminated` or `Terminating:Retained`.
    #[track_caller]
    pub fn state(&self, instance: &str) -> String {
        match lock(&self.0).instances.get(instance) {
            Some(found) => found.state.clone(),
            None => panic!("instance {instance:?} does not exist"),
        }
    }

    /// When the instance's last activity began.
    #[track_caller]
    pub fn began(&self, instance: &str) -> SystemTime {
        let content = lock(&self.0);
        match content
            .activities
            .iter()
            .rfind(|activity| activity.instance == instance)
        {
            Some(activity) => activity.started,
            None => panic!("no activity names instance {instance:?}"),
        }
    }

    /// Instance and result of every completed lifecycle action, in order.
    pub fn completed(&self) -> Vec<(String, String)> {
        lock(&self.0).completed.clone()
    }

    /// The instances for which a heartbeat was recorded, in order.
    pub fn heartbeats(&self) -> Vec<String> {
        lock(&self.0).heartbeats.clone()
    }

    #[track_caller]
    fn start(&self, group: &str, instance: &str, state: &str, description: &str) {
        let mut content = lock(&self.0);
        assert!(
            content.groups.contains_key(group),
            "group {group:?} does not exist"
        );
        let (group, state) = (group.to_owned(), state.to_owned());
        content.instances.insert(
            instance.to_owned(),
            Instance {
                group,
                state,
                returns: false,
            },
        );
        content.begin(instance, description, ON_PURPOSE);
    }

    #[track_caller]
    fn go_on(&self, instance: &str, from: &str, to: &str, description: &str) {
        let mut content = lock(&self.0);
        match content.instances.get_mut(instance) {
            Some(found) if found.state == from => {
                to.clone_into(&mut found.state);
                found.returns = false;
            }
            Some(found) => panic!("{instance} is {}, not {from}", found.state),
            None => panic!("instance {instance:?} does not exist"),
        }
        content.begin(instance, description, ON_PURPOSE);
    }

    pub(super) fn act(&self, operation: &str, form: &Form) -> Result<Members, ServiceError> {
        let mut content = lock(&self.0);
        match operation {
            "DescribeAutoScalingGroups" => content.describe_groups(form),
            "DescribeAutoScalingInstances" => content.describe_instances(form),
            "DescribeWarmPool" => content.describe_warm_pool(form),
            "DescribeScalingActivities" => content.describe_activities(form),
            "CompleteLifecycleAction" => content.complete(form),
            "RecordLifecycleActionHeartbeat" => content.heartbeat(form),
            _ => Err(invalid("the stand-in has no such operation")),
        }
    }
}

impl Content {
    /// A test takes moments, so each activity begins a second after the one before, and all of them
    /// begin an hour ago. Two waits of one instance then have different begins.
    fn begin(&mut self, instance: &str, description: &str, cause: &'static str) {
        let number = u32::try_from(self.activities.len()).unwrap_or_default();
        let ago = Duration::from_secs(3600).saturating_sub(Duration::from_secs(10) * number);
        let group = self
            .instances
            .get(instance)
            .map(|found| found.group.clone())
            .unwrap_or_default();
        self.activities.push(Activity {
            group,
            instance: instance.to_owned(),
            description: format!("{description}{instance}"),
            cause,
            started: SystemTime::now()
                .checked_sub(ago)
                .unwrap_or_else(SystemTime::now),
            status: "MidLifecycleAction",
        });
    }

    #[track_caller]
    fn end(&mut self, instance: &str, result: &str) {
        let goes_on = result == "CONTINUE";
        let Some(found) = self.instances.get_mut(instance) else {
            panic!("instance {instance:?} does not exist")
        };
        // An instance whose launch is abandoned enters the terminate hook.
        let (state, status, then) = match (found.state.as_str(), goes_on) {
            ("Pending:Wait", true) => ("InService", "Successful", None),
            ("Warmed:Pending:Wait", true) => ("Warmed:Stopped", "Successful", None),
            ("Pending:Wait", false) => (
                "Terminating:Wait",
                "Cancelled",
                Some("Terminating EC2 instance: "),
            ),
            ("Warmed:Pending:Wait", false) => (
                "Warmed:Terminating:Wait",
                "Cancelled",
                Some("Terminating EC2 instance in warm pool: "),
            ),
            ("Terminating:Wait", false) => ("Terminating:Retained", "Failed", None),
            ("Terminating:Wait", true) => ("Terminated", "Successful", None),
            ("Warmed:Terminating:Wait", _) => ("Warmed:Terminated", "Successful", None),
            (other, _) => panic!("{instance} is {other}, and waits for nothing"),
        };
        state.clone_into(&mut found.state);
        let is_late = self.is_late && status == "Cancelled";
        let last = self
            .activities
            .iter_mut()
            .rfind(|activity| activity.instance == instance);
        if let Some(activity) = last.filter(|_| !is_late) {
            activity.status = status;
            if status == "Cancelled" {
                activity.description.push_str(ABANDONED);
            }
        }
        if let Some(description) = then {
            self.begin(instance, description, LAUNCH_FAILURE);
        }
    }

    fn group(&self, form: &Form) -> Result<&Group, ServiceError> {
        let name = form.get("AutoScalingGroupName");
        self.groups
            .get(name)
            .ok_or_else(|| invalid("AutoScalingGroup name not found - null"))
    }

    /// The instance that waits in the named hook.
    fn action(&self, form: &Form) -> Result<String, ServiceError> {
        let group = self.group(form)?;
        let id = form.get("InstanceId");
        let found = self.instances.get(id);
        let hook = found.and_then(|found| match found.state.as_str() {
            "Warmed:Pending:Wait" if found.returns => Some(&group.terminate_hook),
            "Pending:Wait" | "Warmed:Pending:Wait" => Some(&group.launch_hook),
            "Terminating:Wait" | "Warmed:Terminating:Wait" => Some(&group.terminate_hook),
            _ => None,
        });
        if hook.is_none_or(|hook| hook != form.get("LifecycleHookName")) {
            return Err(invalid(format!(
                "No active Lifecycle Action found with instance ID {id}"
            )));
        }
        Ok(id.to_owned())
    }

    fn complete(&mut self, form: &Form) -> Result<Members, ServiceError> {
        let (id, result) = (self.action(form)?, form.get("LifecycleActionResult"));
        if !["CONTINUE", "ABANDON"].contains(&result) {
            return Err(invalid("LifecycleActionResult must be CONTINUE or ABANDON"));
        }
        self.end(&id, result);
        self.completed.push((id, result.to_owned()));
        Ok(Vec::new())
    }

    fn heartbeat(&mut self, form: &Form) -> Result<Members, ServiceError> {
        let id = self.action(form)?;
        self.heartbeats.push(id);
        Ok(Vec::new())
    }
}
