//! Triggers: events of Auto Scaling and of SSM, the schedule, and manual events.

use super::{Direction, FleetPolicy, InstanceId};
use crate::event::{Event, Payload, ServiceEvent};
use serde::Deserialize;

pub use crate::event::BadEvent;

/// A decoded event: the instances to check, and whether the run is a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRequest {
    /// The instances to check.
    pub scope: Scope,
    /// Whether the event itself requests a dry run.
    pub dry_run: bool,
}

/// The instances that a run checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// This instance, if it waits.
    Instance(InstanceId),
    /// All instances of the group that wait.
    Group,
    /// None: the event concerns no instance of the group.
    Ignored {
        /// The reason as a sentence.
        why: String,
    },
}

/// The field `onair` that a person adds to an event or sends alone. Unknown fields are rejected:
/// with a misspelt `dry_run` the run would change something.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct OnAir {
    #[serde(default)]
    dry_run: bool,
    instance: Option<String>,
}

/// `EC2 Instance-launch Lifecycle Action` and `EC2 Instance-terminate Lifecycle Action` (EC2 Auto
/// Scaling User Guide, "Amazon EC2 Auto Scaling event reference").
#[derive(Deserialize)]
struct ActionDetail {
    #[serde(rename = "AutoScalingGroupName")]
    group: String,
    #[serde(rename = "LifecycleHookName")]
    hook: String,
    #[serde(rename = "EC2InstanceId")]
    instance: String,
}

/// `EC2 Command Invocation Status-change Notification` (Systems Manager User Guide, "EventBridge
/// event examples for Systems Manager").
#[derive(Deserialize)]
struct InvocationDetail {
    #[serde(rename = "document-name")]
    document: String,
    #[serde(rename = "instance-id")]
    instance: String,
}

/// Reads which instances to check.
///
/// # Errors
///
/// [`BadEvent`] if the detail or the field `onair` is not valid.
pub fn decode(event: &Event, fleet: &FleetPolicy) -> Result<LifecycleRequest, BadEvent> {
    let OnAir { dry_run, instance } = event.onair()?;
    event.is_manual("instance", instance.is_some())?;
    let scope = match (&event.payload, instance) {
        (Payload::Manual, None) => Scope::Group,
        (Payload::Manual, Some(instance)) => Scope::Instance(id("onair.instance", &instance)?),
        (Payload::Service(service), _) => match service.kind() {
            ("aws.events", "Scheduled Event") => Scope::Group,
            ("aws.autoscaling", kind) => lifecycle_action(service, direction(kind), fleet)?,
            ("aws.ssm", "EC2 Command Invocation Status-change Notification") => {
                command_invocation(service, fleet)?
            }
            _ => no_instance(&event.payload),
        },
        (Payload::AlarmAction(_) | Payload::Logs(_), _) => no_instance(&event.payload),
    };
    Ok(LifecycleRequest { scope, dry_run })
}

fn no_instance(payload: &Payload) -> Scope {
    ignored(format!("{payload} names no instance that may wait"))
}

fn ignored(why: impl Into<String>) -> Scope {
    Scope::Ignored { why: why.into() }
}

fn lifecycle_action(
    event: &ServiceEvent,
    direction: Option<Direction>,
    fleet: &FleetPolicy,
) -> Result<Scope, BadEvent> {
    let Some(direction) = direction else {
        return Ok(ignored(
            "the event of Auto Scaling is not a lifecycle action",
        ));
    };
    let detail: ActionDetail = event.detail()?;
    if detail.group != fleet.group {
        return Ok(ignored("the lifecycle action is of another group"));
    }
    if fleet.hook(direction) != Some(detail.hook.as_str()) {
        return Ok(ignored("the lifecycle action is of another hook"));
    }
    Ok(Scope::Instance(id("EC2InstanceId", &detail.instance)?))
}

fn command_invocation(event: &ServiceEvent, fleet: &FleetPolicy) -> Result<Scope, BadEvent> {
    let detail: InvocationDetail = event.detail()?;
    let documents =
        [Direction::Launch, Direction::Terminate].map(|direction| fleet.document(direction));
    let is_handled = documents
        .into_iter()
        .flatten()
        .any(|document| document.name == detail.document);
    if !is_handled {
        return Ok(ignored("the command is of another document"));
    }
    // Systems Manager also manages machines outside of EC2. Their IDs begin so.
    if detail.instance.starts_with("mi-") {
        return Ok(ignored("the command is for a machine outside of EC2"));
    }
    Ok(Scope::Instance(id("instance-id", &detail.instance)?))
}

fn direction(detail_type: &str) -> Option<Direction> {
    match detail_type {
        "EC2 Instance-launch Lifecycle Action" => Some(Direction::Launch),
        "EC2 Instance-terminate Lifecycle Action" => Some(Direction::Terminate),
        _ => None,
    }
}

/// Reads an ID of the event. The error does not quote the text, which can be anything.
fn id(field: &str, text: &str) -> Result<InstanceId, BadEvent> {
    InstanceId::parse(text).ok_or_else(|| {
        BadEvent(format!(
            "{field} is not the ID of an instance: i- and 8 or 17 hexadecimal digits"
        ))
    })
}
