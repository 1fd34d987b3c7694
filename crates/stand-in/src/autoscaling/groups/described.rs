//! Descriptions of groups, instances and activities.

use super::{Activity, Content, Group, Instance, Members, Pool};
use crate::autoscaling::Form;
use crate::autoscaling::xml::Xml;
use crate::clock::iso8601;
use crate::rest::ServiceError;

/// The largest page of scaling activities.
const ACTIVITIES: usize = 100;
/// The largest page of a warm pool, and of instances.
const INSTANCES: usize = 50;

impl Content {
    /// The instances in the group, or those in its warm pool, without those that have ended.
    fn members(&self, group: &str, warm: bool) -> Vec<Xml> {
        let listed = self.instances.iter().filter(|(_, found)| {
            found.group == group
                && found.state.starts_with("Warmed:") == warm
                && !found.state.ends_with("Terminated")
        });
        let instance = |(id, found): (&String, &Instance)| {
            Xml::Structure(vec![
                ("InstanceId", Xml::text(id)),
                ("InstanceType", Xml::text("t4g.small")),
                ("AvailabilityZone", Xml::text("us-west-2a")),
                ("LifecycleState", Xml::text(&found.state)),
                ("HealthStatus", Xml::text("Healthy")),
                ("ProtectedFromScaleIn", Xml::text(&false)),
            ])
        };
        listed.map(instance).collect()
    }

    pub(super) fn describe_groups(&self, form: &Form) -> Result<Members, ServiceError> {
        let asked = form.list("AutoScalingGroupNames");
        let found = self
            .groups
            .iter()
            .filter(|(name, _)| asked.is_empty() || asked.contains(&name.as_str()));
        let group = |(name, group): (&String, &Group)| {
            let mut members = vec![
                ("AutoScalingGroupName", Xml::text(name)),
                ("MinSize", Xml::text(&0)),
                ("MaxSize", Xml::text(&9)),
                ("DesiredCapacity", Xml::text(&1)),
                ("DefaultCooldown", Xml::text(&300)),
                (
                    "AvailabilityZones",
                    Xml::List(vec![Xml::text("us-west-2a")]),
                ),
                ("HealthCheckType", Xml::text("ELB")),
                ("CreatedTime", Xml::text("2026-01-01T00:00:00Z")),
                ("Instances", Xml::List(self.members(name, false))),
            ];
            if let Some(Pool { reuses }) = group.pool {
                let mut configuration = vec![
                    ("MinSize", Xml::text(&0)),
                    ("PoolState", Xml::text("Stopped")),
                ];
                if reuses {
                    let policy = Xml::Structure(vec![("ReuseOnScaleIn", Xml::text(&true))]);
                    configuration.push(("InstanceReusePolicy", policy));
                }
                members.push(("WarmPoolConfiguration", Xml::Structure(configuration)));
            }
            Xml::Structure(members)
        };
        form.page("AutoScalingGroups", found.map(group).collect(), ACTIVITIES)
    }

    pub(super) fn describe_instances(&self, form: &Form) -> Result<Members, ServiceError> {
        let asked = form.list("InstanceIds");
        let is_listed = |(id, found): &(&String, &Instance)| {
            (asked.is_empty() || asked.contains(&id.as_str()))
                && !found.state.ends_with("Terminated")
        };
        let instance = |(id, found): (&String, &Instance)| {
            Xml::Structure(vec![
                ("InstanceId", Xml::text(id)),
                ("AutoScalingGroupName", Xml::text(&found.group)),
                ("AvailabilityZone", Xml::text("us-west-2a")),
                ("LifecycleState", Xml::text(&found.state)),
                ("HealthStatus", Xml::text("HEALTHY")),
                ("ProtectedFromScaleIn", Xml::text(&false)),
            ])
        };
        let found = self
            .instances
            .iter()
            .filter(is_listed)
            .map(instance)
            .collect();
        form.page("AutoScalingInstances", found, INSTANCES)
    }

    pub(super) fn describe_warm_pool(&self, form: &Form) -> Result<Members, ServiceError> {
        self.group(form)?;
        form.page(
            "Instances",
            self.members(form.get("AutoScalingGroupName"), true),
            INSTANCES,
        )
    }

    /// Auto Scaling lists the newest activity first.
    pub(super) fn describe_activities(&self, form: &Form) -> Result<Members, ServiceError> {
        self.group(form)?;
        let name = form.get("AutoScalingGroupName");
        let activity = |(number, activity): (usize, &Activity)| {
            Xml::Structure(vec![
                (
                    "ActivityId",
                    Xml::text(&format!("f9f2d65b-f1f2-43e7-b46d-{number:012x}")),
                ),
                ("AutoScalingGroupName", Xml::text(&activity.group)),
                ("Description", Xml::text(&activity.description)),
                ("Cause", Xml::text(activity.cause)),
                ("StartTime", Xml::text(&iso8601(activity.started))),
                ("StatusCode", Xml::text(activity.status)),
                (
                    "Progress",
                    Xml::text(if activity.status == "MidLifecycleAction" {
                        "60"
                    } else {
                        "100"
                    }),
                ),
            ])
        };
        let ours = self
            .activities
            .iter()
            .enumerate()
            .filter(|(_, activity)| activity.group == name);
        form.page("Activities", ours.rev().map(activity).collect(), ACTIVITIES)
    }
}
