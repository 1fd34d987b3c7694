//! Decides the next step for one instance in a lifecycle wait.

use super::{
    Command, CommandRequest, CommandStatus, Direction, FleetPolicy, HeldReason, History,
    LifecycleWait, LogCheck, LogCheckError, NoRecap, PassRule, PlayRecap, Receipt, SavedFile,
    StepResult, WaitCommands, WaitState,
};

/// The next step for one instance in a lifecycle wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this command.
    Send(CommandRequest),
    /// Extend the wait: the command is in progress.
    Heartbeat,
    /// Check that S3 has the logs, then end the wait as [`verified`] returns.
    Verify(LogCheck),
    /// End the wait.
    Complete(Completion),
    /// Change nothing until a person has resolved the reason.
    Held(HeldReason),
}

/// How a wait ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The result for Auto Scaling.
    pub result: ActionResult,
    /// The reason as a sentence.
    pub why: String,
    /// The recap of the playbook, if its output has one.
    pub recap: Option<PlayRecap>,
}

/// The result of a lifecycle action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionResult {
    /// A launching instance enters service. A terminating one is terminated.
    Continue,
    /// A launching instance is terminated. A terminating one is retained if its group is configured
    /// to retain it.
    Abandon,
}

impl ActionResult {
    /// The value of `LifecycleActionResult` in `CompleteLifecycleAction`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Abandon => "ABANDON",
        }
    }
}

impl Completion {
    fn proceed(why: impl Into<String>) -> Self {
        Self {
            result: ActionResult::Continue,
            why: why.into(),
            recap: None,
        }
    }

    fn abandon(why: impl Into<String>) -> Self {
        Self {
            result: ActionResult::Abandon,
            why: why.into(),
            recap: None,
        }
    }

    fn with_recap(self, recap: Option<PlayRecap>) -> Self {
        Self { recap, ..self }
    }
}

/// The facts that were read about one instance in a lifecycle wait.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The lifecycle state of the instance.
    pub state: WaitState,
    /// Whether the group returns instances to its warm pool (`ReuseOnScaleIn`).
    pub reuses_on_scale_in: bool,
    /// The instance's life before this wait.
    pub history: History,
    /// When the wait began. `None` if no activity in progress names the instance.
    pub wait: Option<&'a LifecycleWait>,
    /// The commands that were sent for this wait. `None` if there is none.
    pub commands: Option<WaitCommands<'a>>,
    /// The result of the first command. `None` if SSM does not have it yet.
    pub step: Option<&'a StepResult>,
}

/// Decides the next step. `None` if On Air does not handle the hook for which the instance waits.
pub fn next(fleet: &FleetPolicy, observed: Observed<'_>) -> Option<Next> {
    let Observed {
        state,
        reuses_on_scale_in,
        history,
        ..
    } = observed;
    if state.is_warmed() && (reuses_on_scale_in || history.may_have_served) {
        return Some(Next::Held(HeldReason::WarmPoolReuse));
    }
    fleet.hook(state.direction())?;
    if !state.needs_command() {
        let why = "the instance leaves the warm pool and has not served";
        return Some(Next::Complete(Completion::proceed(why)));
    }
    let Some(wait) = observed.wait else {
        return Some(Next::Held(HeldReason::NoScalingActivity));
    };
    let has_never_served = history.launch_was_abandoned && !history.may_have_served;
    if state == WaitState::Terminating && has_never_served && !reuses_on_scale_in {
        let why = "the launch was abandoned: the instance has not served and has no logs";
        return Some(Next::Complete(Completion::proceed(why)));
    }
    match observed.commands {
        None => CommandRequest::of(fleet, wait).map(Next::Send),
        Some(commands) => after_command(fleet, wait, commands, observed.step),
    }
}

/// Decides the next step after the command of the wait was sent.
fn after_command(
    fleet: &FleetPolicy,
    wait: &LifecycleWait,
    commands: WaitCommands<'_>,
    step: Option<&StepResult>,
) -> Option<Next> {
    let stdout = step.map(|step| step.stdout.as_str()).unwrap_or_default();
    Some(match (status(commands.first, step), wait.direction) {
        (CommandStatus::InProgress, _) => Next::Heartbeat,
        // The instance must not serve while another playbook run changes it.
        (CommandStatus::Success, Direction::Launch) if commands.is_another_running => {
            Next::Heartbeat
        }
        (CommandStatus::Success, Direction::Launch) => {
            Next::Complete(judge(fleet.launch.as_ref()?.rule, stdout))
        }
        (CommandStatus::Success, Direction::Terminate) => match Receipt::parse(stdout) {
            Ok(receipt) => Next::Verify(LogCheck {
                instance: wait.instance.clone(),
                bucket: fleet.terminate.as_ref()?.bucket.clone(),
                prefix: wait.log_prefix(),
                receipt,
            }),
            Err(error) => Next::Complete(Completion::abandon(error.to_string())),
        },
        (CommandStatus::Failed { details }, Direction::Launch) => {
            let why = format!("the playbook command ended with status {details}");
            Next::Complete(Completion::abandon(why).with_recap(PlayRecap::parse(stdout).ok()))
        }
        (CommandStatus::Failed { details }, Direction::Terminate) => {
            let why = format!("the command that saves the logs ended with status {details}");
            Next::Complete(Completion::abandon(why))
        }
    })
}

/// Combines the status of the command and of its step, which SSM does not update at the same time.
/// One failure is enough for a failure. A success needs both, since the step is only one part of
/// the document.
fn status(command: &Command, step: Option<&StepResult>) -> CommandStatus {
    match (&command.status, step.map(|step| &step.status)) {
        (failed @ CommandStatus::Failed { .. }, _)
        | (_, Some(failed @ CommandStatus::Failed { .. })) => failed.clone(),
        (CommandStatus::Success, Some(CommandStatus::Success)) => CommandStatus::Success,
        _ => CommandStatus::InProgress,
    }
}

/// Judges a playbook that ended with exit code 0. The exit code shows that no task failed. Only the
/// recap shows whether a task ran, and whether anything changed.
fn judge(rule: PassRule, stdout: &str) -> Completion {
    match PlayRecap::parse(stdout) {
        Ok(recap) => match rule.judge(&recap) {
            Ok(()) => Completion::proceed("the playbook passed"),
            Err(why) => Completion::abandon(why),
        }
        .with_recap(Some(recap)),
        Err(NoRecap::CutOff) if rule == PassRule::NothingFailed => Completion::proceed(
            "the playbook succeeded; its output is longer than SSM stores, so the recap is missing",
        ),
        Err(NoRecap::CutOff | NoRecap::Missing) => {
            Completion::abandon("the output of the playbook has no recap")
        }
    }
}

/// Ends the wait of [`Next::Verify`] with the result of the check: the files in S3, or the error
/// that prevented the check.
pub fn verified(checked: Result<&[SavedFile], &LogCheckError>) -> Completion {
    match checked {
        Ok(files) => {
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            let number = files.len();
            Completion::proceed(format!("{number} log files with {bytes} bytes are in S3"))
        }
        Err(error) => Completion::abandon(format!("the logs cannot be verified: {error}")),
    }
}
