//! What tells to look: events of Auto Scaling and of SSM, the schedule, and people.

use super::{Direction, FleetPolicy, InstanceId};
use crate::event::{Sent, read, sent};
use serde::Deserialize;
use serde_json::Value;

pub use crate::event::BadEvent;

/// An event, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to look.
    pub scope: Scope,
    /// The event itself asks for the plan only.
    pub dry_run: bool,
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// At this instance.
    Instance(InstanceId),
    /// At all that wait.
    Group,
    /// Nowhere: the event is not for us.
    Ignored {
        /// Why not.
        why: String,
    },
}

/// What a person can add or send alone. Unknown fields are refused: a misspelt `dry_run` must not
/// act.
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

/// Reads an event as EventBridge sends it, or as a person does who sends the same JSON, or only
/// `{"onair": {…}}`.
///
/// # Errors
///
/// Anything that is not such an event.
pub fn decode(event: &Value, fleet: &FleetPolicy) -> Result<Request, BadEvent> {
    let Sent {
        source,
        detail_type,
        detail,
        by_hand,
        onair,
        ..
    } = sent::<OnAir>(event)?;
    if !by_hand && onair.instance.is_some() {
        return Err(BadEvent(
            "onair.instance stands beside an event: send {\"onair\": {\"instance\": …}} alone"
                .to_owned(),
        ));
    }
    let ignored = |why: &str| Scope::Ignored {
        why: why.to_owned(),
    };
    let scope = match (source.as_str(), detail_type.as_str()) {
        _ if by_hand => match onair.instance {
            None => Scope::Group,
            Some(instance) => Scope::Instance(id("onair.instance", &instance)?),
        },
        ("aws.events", "Scheduled Event") => Scope::Group,
        ("aws.autoscaling", kind) => match direction(kind) {
            None => ignored("an event of Auto Scaling that is no lifecycle action"),
            Some(direction) => {
                let detail: ActionDetail = read(&format!("the detail of an {kind}"), &detail)?;
                match () {
                    () if detail.group != fleet.group => {
                        ignored("another group's lifecycle action")
                    }
                    () if fleet.hook(direction) != Some(detail.hook.as_str()) => {
                        ignored("a lifecycle action of another hook")
                    }
                    () => Scope::Instance(id("EC2InstanceId", &detail.instance)?),
                }
            }
        },
        ("aws.ssm", kind @ "EC2 Command Invocation Status-change Notification") => {
            let detail: InvocationDetail = read(&format!("the detail of an {kind}"), &detail)?;
            let documents = [Direction::Launch, Direction::Terminate]
                .map(|direction| fleet.document(direction));
            let is_ours = documents
                .into_iter()
                .flatten()
                .any(|document| document.name == detail.document);
            match () {
                () if !is_ours => ignored("a command of another document"),
                // A machine that is no EC2 instance.
                () if detail.instance.starts_with("mi-") => {
                    ignored("a command on a machine outside EC2")
                }
                () => Scope::Instance(id("instance-id", &detail.instance)?),
            }
        }
        _ => ignored("an event that says nothing of an instance that waits"),
    };
    Ok(Request {
        scope,
        dry_run: onair.dry_run,
    })
}

fn direction(detail_type: &str) -> Option<Direction> {
    match detail_type {
        "EC2 Instance-launch Lifecycle Action" => Some(Direction::Launch),
        "EC2 Instance-terminate Lifecycle Action" => Some(Direction::Terminate),
        _ => None,
    }
}

/// What is no id may be anything, and is not repeated.
fn id(field: &str, text: &str) -> Result<InstanceId, BadEvent> {
    InstanceId::parse(text).ok_or_else(|| {
        BadEvent(format!(
            "{field} is no instance's id: i- and 8 or 17 hexadecimal digits"
        ))
    })
}
