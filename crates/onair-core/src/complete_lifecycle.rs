//! Decides for `complete-lifecycle` when an instance that waits in a lifecycle hook may continue,
//! and which command the instance has to run before that.
//!
//! On Air stores no state of its own here. Each run reads from AWS:
//!
//! - which instances of the group wait ([`WaitState`]), and since when ([`LifecycleWait`]);
//! - which commands were sent to them since then ([`WaitCommands`], by [`LifecycleWait::comment`]);
//! - the result of the first of these commands ([`StepResult`]).
//!
//! [`next`] decides from that.

mod activity;
mod command;
mod event;
mod held;
mod manifest;
mod names;
mod plan;
mod recap;

pub use activity::{ActivityStatus, History, LifecycleWait, ScalingActivity};
pub use command::{Command, CommandRequest, CommandStatus, StepResult, WaitCommands};
pub use event::{BadEvent, LifecycleRequest, Scope, decode};
pub use held::HeldReason;
pub use manifest::{LogCheck, LogCheckError, Receipt, SavedFile};
pub use names::{
    InstanceId, is_bucket, is_directory, is_document, is_hook, is_log_file, is_playbook,
    is_variables,
};
pub use plan::{ActionResult, Completion, Next, Observed, next, verified};
pub use recap::{NoRecap, PassRule, PlayRecap};

/// The SSM document of AWS that runs a playbook on an instance.
pub const PLAYBOOK_DOCUMENT: &str = "AWS-ApplyAnsiblePlaybooks";

/// The second step of [`PLAYBOOK_DOCUMENT`]: it runs `ansible-playbook`. The first step,
/// `downloadContent`, fetches the playbook. (Source: the text of the document, as AWS's toolkit for
/// game studios copies it.)
///
/// `GetCommandInvocation` needs the name: "If the document contains more than one step, you must
/// specify the name" (SSM API reference).
pub const PLAYBOOK_STEP: &str = "runShellScript";

/// The prefix of the playbook and its files in their bucket.
pub const PLAYBOOK_FOLDER: &str = "ansible/";

/// The commands that instances of one Auto Scaling group run before they serve, and before they
/// terminate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetPolicy {
    /// The name of the Auto Scaling group.
    pub group: String,
    /// `None` if On Air does not handle launches.
    pub launch: Option<LaunchPolicy>,
    /// `None` if On Air does not handle terminations.
    pub terminate: Option<TerminatePolicy>,
}

/// The playbook that has to pass before an instance serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchPolicy {
    /// The name of the launch hook.
    pub hook: String,
    /// The bucket that has the playbook below [`PLAYBOOK_FOLDER`].
    pub bucket: String,
    /// The region of that bucket.
    pub region: String,
    /// The path of the playbook, relative to [`PLAYBOOK_FOLDER`].
    pub playbook: String,
    /// Runs the playbook in Ansible's check mode, which changes nothing on the instance.
    pub check_mode: bool,
    /// Which result of the playbook passes.
    pub rule: PassRule,
    /// The time limit of the playbook.
    pub timeout_seconds: u32,
    /// Variables for the playbook, as `k=v k=v`. May be empty.
    pub extra_variables: String,
}

/// The command that has to save the access logs before an instance terminates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminatePolicy {
    /// The name of the terminate hook.
    pub hook: String,
    /// The bucket that gets the access logs.
    pub bucket: String,
    /// The SSM document that saves them.
    pub document: String,
    /// The directory that has them on the instance.
    pub directory: String,
}

/// Whether a hook is for launches or for terminations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// `autoscaling:EC2_INSTANCE_LAUNCHING`
    Launch,
    /// `autoscaling:EC2_INSTANCE_TERMINATING`
    Terminate,
}

impl Direction {
    /// The direction as one word of [`LifecycleWait::comment`].
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
    /// `Pending:Wait`: a new instance, or one from the warm pool, before it serves.
    Pending,
    /// `Warmed:Pending:Wait`: before the instance enters the warm pool. If the group returns
    /// instances to its pool, a returning one waits for the terminate hook in the same state.
    WarmedPending,
    /// `Terminating:Wait`: before the instance terminates. It has served, or its launch was
    /// abandoned.
    Terminating,
    /// `Warmed:Terminating:Wait`: before the instance terminates in the warm pool, where it may be
    /// stopped.
    WarmedTerminating,
}

impl WaitState {
    /// All states in which an instance waits.
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::WarmedPending,
        Self::Terminating,
        Self::WarmedTerminating,
    ];

    /// Reads a lifecycle state. `None` if an instance in this state waits for no hook.
    pub fn parse(state: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == state)
    }

    /// The name of the state in Auto Scaling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending:Wait",
            Self::WarmedPending => "Warmed:Pending:Wait",
            Self::Terminating => "Terminating:Wait",
            Self::WarmedTerminating => "Warmed:Terminating:Wait",
        }
    }

    /// The hook for which an instance in this state waits.
    pub fn direction(self) -> Direction {
        match self {
            Self::Pending | Self::WarmedPending => Direction::Launch,
            Self::Terminating | Self::WarmedTerminating => Direction::Terminate,
        }
    }

    /// Whether the instance is about to enter the warm pool, or to leave it without serving.
    pub fn is_warmed(self) -> bool {
        matches!(self, Self::WarmedPending | Self::WarmedTerminating)
    }

    /// Whether the decision depends on the group's warm pool setting (`ReuseOnScaleIn`).
    pub fn depends_on_reuse(self) -> bool {
        self != Self::Pending
    }

    /// Whether the result of a command ends the wait.
    pub fn needs_command(self) -> bool {
        self != Self::WarmedTerminating
    }
}

/// The SSM document of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandDocument<'a> {
    /// Its name.
    pub name: &'a str,
    /// The step that has the result. `None` if the document has only one step.
    pub step: Option<&'static str>,
}

impl FleetPolicy {
    /// Whether [`next`] decides anything for an instance in this state. If the group returns
    /// instances to its warm pool, the state may belong to either hook. Then this includes a
    /// direction that On Air does not handle.
    pub fn handles(&self, state: WaitState, reuses_on_scale_in: bool) -> bool {
        self.hook(state.direction()).is_some() || (reuses_on_scale_in && state.is_warmed())
    }

    /// The name of this direction's hook. `None` if On Air does not handle the direction.
    pub fn hook(&self, direction: Direction) -> Option<&str> {
        match direction {
            Direction::Launch => self.launch.as_ref().map(|launch| launch.hook.as_str()),
            Direction::Terminate => self
                .terminate
                .as_ref()
                .map(|terminate| terminate.hook.as_str()),
        }
    }

    /// The document that runs in this direction. `None` if On Air does not handle the direction.
    pub fn document(&self, direction: Direction) -> Option<CommandDocument<'_>> {
        match direction {
            Direction::Launch => self.launch.as_ref().map(|_| CommandDocument {
                name: PLAYBOOK_DOCUMENT,
                step: Some(PLAYBOOK_STEP),
            }),
            Direction::Terminate => self.terminate.as_ref().map(|terminate| CommandDocument {
                name: &terminate.document,
                step: None,
            }),
        }
    }
}
