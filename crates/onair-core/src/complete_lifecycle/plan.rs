//! What comes next for an instance that waits.

use super::recap::is_cut_off;
use super::{
    Command, CommandRequest, CommandStatus, Direction, FleetPolicy, History, LifecycleWait,
    PassRule, PlayRecap, Receipt, SavedFile, StepResult, WaitCommands, WaitState,
};
use super::{recap, receipt};

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This command.
    Send(CommandRequest),
    /// Its end: the hook is asked to wait on.
    Heartbeat,
    /// A look at what S3 has of the logs; then [`verified`].
    Verify(Receipt),
    /// The hook's end.
    Complete(Completion),
    /// Nothing, until a person has looked.
    Held(String),
}

/// How a hook ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// `CONTINUE`, else `ABANDON`.
    pub goes_on: bool,
    /// In words.
    pub why: String,
    /// What the playbook did.
    pub recap: Option<PlayRecap>,
}

impl Completion {
    fn go_on(why: impl Into<String>) -> Self {
        Self {
            goes_on: true,
            why: why.into(),
            recap: None,
        }
    }

    fn abandon(why: impl Into<String>) -> Self {
        Self {
            goes_on: false,
            why: why.into(),
            recap: None,
        }
    }

    /// The result's name in `CompleteLifecycleAction`.
    pub fn result(&self) -> &'static str {
        if self.goes_on { "CONTINUE" } else { "ABANDON" }
    }
}

/// What is known of an instance that waits.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// What it waits in.
    pub state: WaitState,
    /// Its group lets instances return to its warm pool (`ReuseOnScaleIn`).
    pub returns: bool,
    /// What it did before.
    pub history: History,
    /// This wait of it, if an open activity tells when it began.
    pub wait: Option<&'a LifecycleWait>,
    /// The run's own commands, if there are any.
    pub commands: Option<WaitCommands<'a>>,
    /// What SSM has of the first command's result, which may not be there yet.
    pub step: Option<&'a StepResult>,
}

/// What comes next for an instance of which this is known; `None` where the hook that it waits for
/// is not ours.
pub fn next(fleet: &FleetPolicy, seen: Observed<'_>) -> Option<Next> {
    let Observed {
        state,
        returns,
        history,
        wait,
        commands,
        step,
    } = seen;
    if state.is_warm() && (returns || history.may_have_served) {
        let why = "its group lets instances return to the warm pool, or did (ReuseOnScaleIn), so that it cannot be told \
                   whether it has served, and which hook it waits for";
        return Some(Next::Held(why.to_owned()));
    }
    fleet.hook(state.direction())?;
    let goes_on = |why: &str| Some(Next::Complete(Completion::go_on(why)));
    if !state.needs_command() {
        return goes_on("it leaves the warm pool, and has served nobody");
    }
    let Some(wait) = wait else {
        let why = "no scaling activity in progress names it, so that no command can be told to be its own";
        return Some(Next::Held(why.to_owned()));
    };
    if state == WaitState::Terminating
        && history.launch_was_abandoned
        && !history.may_have_served
        && !returns
    {
        return goes_on("its launch was given up: it has served nobody, and has no logs");
    }
    let Some(WaitCommands {
        first,
        is_another_running,
    }) = commands
    else {
        return CommandRequest::of(fleet, wait).map(Next::Send);
    };
    let stdout = step.map(|step| step.stdout.as_str()).unwrap_or_default();
    Some(match (status(first, step), wait.direction) {
        (CommandStatus::Running, _) => Next::Heartbeat,
        // It must not serve while a playbook works on it.
        (CommandStatus::Success, Direction::Launch) if is_another_running => Next::Heartbeat,
        (CommandStatus::Success, Direction::Launch) => {
            Next::Complete(judge(fleet.launch.as_ref()?.rule, stdout))
        }
        (CommandStatus::Success, Direction::Terminate) => match receipt(stdout) {
            Ok(receipt) => Next::Verify(receipt),
            Err(why) => Next::Complete(Completion::abandon(why)),
        },
        (CommandStatus::Failed { details }, Direction::Launch) => {
            let why = format!("the playbook's command ended without success: {details}");
            Next::Complete(Completion {
                recap: recap(stdout),
                ..Completion::abandon(why)
            })
        }
        (CommandStatus::Failed { details }, Direction::Terminate) => {
            Next::Complete(Completion::abandon(format!(
                "the command that saves the logs ended without success: {details}"
            )))
        }
    })
}

/// The command's and the step's state are told apart from each other, and each may be ahead. A
/// failure of either is one; a success is that of both, since the step is not all of its document.
fn status(command: &Command, step: Option<&StepResult>) -> CommandStatus {
    match (&command.status, step.map(|step| &step.status)) {
        (failed @ CommandStatus::Failed { .. }, _)
        | (_, Some(failed @ CommandStatus::Failed { .. })) => failed.clone(),
        (CommandStatus::Success, Some(CommandStatus::Success)) => CommandStatus::Success,
        _ => CommandStatus::Running,
    }
}

/// An exit code of 0 says that nothing failed, too, but not that anything was done, nor that
/// nothing changed.
fn judge(rule: PassRule, stdout: &str) -> Completion {
    match recap(stdout) {
        Some(recap) => match rule.judge(&recap) {
            Ok(()) => Completion {
                recap: Some(recap),
                ..Completion::go_on("the playbook passed")
            },
            Err(why) => Completion {
                recap: Some(recap),
                ..Completion::abandon(why)
            },
        },
        None if rule == PassRule::NothingFailed && is_cut_off(stdout) => Completion::go_on(
            "the playbook ended well; its output is longer than SSM keeps, and its recap is lost",
        ),
        None => Completion::abandon("the output of the playbook has no recap"),
    }
}

/// How a hook ends whose logs S3 was asked for: `Ok` are the files, `Err` what is wrong.
pub fn verified(found: Result<&[SavedFile], &str>) -> Completion {
    match found {
        Ok(files) => {
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            Completion::go_on(format!(
                "{} files of logs with {bytes} bytes are in S3",
                files.len()
            ))
        }
        Err(why) => Completion::abandon(format!("the logs cannot be verified: {why}")),
    }
}
