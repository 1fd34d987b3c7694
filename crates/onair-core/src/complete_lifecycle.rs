//! What `complete-lifecycle` decides: whether an instance that waits in a lifecycle hook goes on,
//! and which command it is to run before.
//!
//! There is no memory beside AWS's own. Which of a group's instances wait is read ([`Wait`]), since
//! when ([`LifecycleWait`]), which command of ours is on them since then ([`LifecycleWait::comment`] tells it), what
//! came of it ([`recap()`], [`check`]); and what follows is [`next`].

mod activity;
mod command;
mod event;
mod manifest;
mod names;
mod plan;
mod recap;

pub use activity::{ActivityStatus, History, LifecycleWait, ScalingActivity};
pub use command::{Command, CommandRequest, CommandStatus, StepResult, WaitCommands};
pub use event::{BadEvent, Request, Scope, decode};
pub use manifest::{Receipt, SavedFile, check, receipt};
pub use names::{
    InstanceId, is_bucket, is_directory, is_document, is_hook, is_playbook, is_variables,
};
pub use plan::{Completion, Next, Observed, next, verified};
pub use recap::{PassRule, PlayRecap, recap};

/// The document of AWS that runs a playbook on an instance.
pub const PLAYBOOK_DOCUMENT: &str = "AWS-ApplyAnsiblePlaybooks";

/// The step of [`PLAYBOOK_DOCUMENT`] that runs `ansible-playbook`, its second; the first,
/// `downloadContent`, fetches the playbook. (The document's own text, as AWS's toolkit for game
/// studios copies it; the names must be given to `GetCommandInvocation`, SSM API reference: "If the
/// document contains more than one step, you must specify the name".)
pub const PLAYBOOK_STEP: &str = "runShellScript";

/// Where the playbook lies in its bucket.
pub const PLAYBOOK_FOLDER: &str = "ansible/";

/// Which group is looked after, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetPolicy {
    /// The Auto Scaling group's name.
    pub group: String,
    /// What is done before an instance serves; `None` where launches are not ours.
    pub launch: Option<LaunchPolicy>,
    /// What is done before an instance goes; `None` where terminations are not ours.
    pub terminate: Option<TerminatePolicy>,
}

/// What is done before an instance serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchPolicy {
    /// The launch hook's name.
    pub hook: String,
    /// The bucket with the playbook, below [`PLAYBOOK_FOLDER`].
    pub bucket: String,
    /// The bucket's region.
    pub region: String,
    /// The playbook, from that folder.
    pub playbook: String,
    /// Look only whether the playbook would change anything.
    pub check_mode: bool,
    /// When an instance passes.
    pub rule: PassRule,
    /// How long the playbook may run.
    pub timeout_seconds: u32,
    /// `k=v k=v`, for the playbook; may be empty.
    pub extra_variables: String,
}

/// What is done before an instance goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminatePolicy {
    /// The terminate hook's name.
    pub hook: String,
    /// The bucket for access logs.
    pub bucket: String,
    /// The SSM document that saves them.
    pub document: String,
    /// Where they lie on the instance.
    pub directory: String,
}

/// A hook's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// `autoscaling:EC2_INSTANCE_LAUNCHING`
    Launch,
    /// `autoscaling:EC2_INSTANCE_TERMINATING`
    Terminate,
}

impl Direction {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Terminate => "terminate",
        }
    }
}

/// The lifecycle states in which an instance waits for a hook (EC2 Auto Scaling User Guide, "Amazon
/// EC2 Auto Scaling instance lifecycle" and "Use lifecycle hooks with a warm pool").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitState {
    /// `Pending:Wait`: about to serve, new or from the warm pool.
    Pending,
    /// `Warmed:Pending:Wait`: about to enter the warm pool. Where instances return to it after they
    /// have served, nothing says which of the two hooks they wait for.
    WarmedPending,
    /// `Terminating:Wait`: about to go. It has served, or its launch was given up.
    Terminating,
    /// `Warmed:Terminating:Wait`: about to go from the warm pool, maybe stopped.
    WarmedTerminating,
}

impl WaitState {
    /// Every one of them.
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::WarmedPending,
        Self::Terminating,
        Self::WarmedTerminating,
    ];

    /// The state of this name; `None` for all others, in which nothing waits for us.
    pub fn parse(state: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == state)
    }

    /// The name, as Auto Scaling spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending:Wait",
            Self::WarmedPending => "Warmed:Pending:Wait",
            Self::Terminating => "Terminating:Wait",
            Self::WarmedTerminating => "Warmed:Terminating:Wait",
        }
    }

    /// Which hook is waited for.
    pub fn direction(self) -> Direction {
        match self {
            Self::Pending | Self::WarmedPending => Direction::Launch,
            Self::Terminating | Self::WarmedTerminating => Direction::Terminate,
        }
    }

    /// Whether it lies on the way into or out of the warm pool.
    pub fn is_warm(self) -> bool {
        matches!(self, Self::WarmedPending | Self::WarmedTerminating)
    }

    /// Whether a command decides.
    pub fn needs_command(self) -> bool {
        self != Self::WarmedTerminating
    }
}

impl FleetPolicy {
    /// The name of this direction's hook; `None` where the direction is not ours.
    pub fn hook(&self, direction: Direction) -> Option<&str> {
        match direction {
            Direction::Launch => self.launch.as_ref().map(|launch| launch.hook.as_str()),
            Direction::Terminate => self
                .terminate
                .as_ref()
                .map(|terminate| terminate.hook.as_str()),
        }
    }

    /// The name of the document that is run in this direction, and of its step that tells the
    /// result where it has several.
    pub fn document(&self, direction: Direction) -> Option<(&str, Option<&'static str>)> {
        match direction {
            Direction::Launch => self
                .launch
                .as_ref()
                .map(|_| (PLAYBOOK_DOCUMENT, Some(PLAYBOOK_STEP))),
            Direction::Terminate => self
                .terminate
                .as_ref()
                .map(|terminate| (terminate.document.as_str(), None)),
        }
    }
}
