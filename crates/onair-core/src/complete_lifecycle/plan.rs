//! What comes next for an instance that waits.

use super::recap::is_cut_off;
use super::{Direction, Fleet, Order, Recap, Receipt, Rule, Run, SavedFile, Sent, State, Step, Wait};
use super::{recap, receipt};

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This command.
    Send(Order),
    /// Its end: the hook is asked to wait on.
    Heartbeat,
    /// A look at what S3 has of the logs; then [`verified`].
    Verify(Receipt),
    /// The hook's end.
    Complete(Verdict),
    /// Nothing, until a person has looked.
    Held(String),
}

/// How a hook ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `CONTINUE`, else `ABANDON`.
    pub goes_on: bool,
    /// In words.
    pub why: String,
    /// What the playbook did.
    pub recap: Option<Recap>,
}

impl Verdict {
    fn go_on(why: impl Into<String>) -> Self {
        Self { goes_on: true, why: why.into(), recap: None }
    }

    fn abandon(why: impl Into<String>) -> Self {
        Self { goes_on: false, why: why.into(), recap: None }
    }

    /// The result's name in `CompleteLifecycleAction`.
    pub fn result(&self) -> &'static str {
        if self.goes_on { "CONTINUE" } else { "ABANDON" }
    }
}

/// What comes next for an instance in this state: `run` is its wait, if an open activity tells when it began, `command` the
/// run's own, if there is one, and `step` what SSM has of its result, which may not be there yet.
///
/// `None` where the direction is not ours.
pub fn next(
    fleet: &Fleet,
    wait: Wait,
    run: Option<&Run>,
    command: Option<&Sent>,
    step: Option<&Step>,
) -> Option<Next> {
    fleet.hook(wait.direction())?;
    if !wait.takes_a_command() {
        let why = "it leaves the warm pool, and has served nothing since its logs were saved";
        return Some(Next::Complete(Verdict::go_on(why)));
    }
    let Some(run) = run else {
        let why = "no scaling activity in progress names it, so that no command can be told to be its own";
        return Some(Next::Held(why.to_owned()));
    };
    let Some(command) = command else { return Order::of(fleet, run).map(Next::Send) };
    let stdout = step.map(|step| step.stdout.as_str()).unwrap_or_default();
    Some(match (state(command, step), run.direction) {
        (State::Running, _) => Next::Heartbeat,
        (State::Success, Direction::Launch) => Next::Complete(judge(fleet.launch.as_ref()?.rule, stdout)),
        (State::Success, Direction::Terminate) => match receipt(stdout) {
            Ok(receipt) => Next::Verify(receipt),
            Err(why) => Next::Complete(Verdict::abandon(why)),
        },
        (State::Failed { details }, Direction::Launch) => {
            let why = format!("the playbook's command ended without success: {details}");
            Next::Complete(Verdict { recap: recap(stdout), ..Verdict::abandon(why) })
        }
        (State::Failed { details }, Direction::Terminate) => Next::Complete(Verdict::abandon(format!(
            "the command that saves the logs ended without success: {details}"
        ))),
    })
}

/// The command's and the step's state are told apart from each other, and each may be ahead: a failure of either is one,
/// and the step is the last of its document.
fn state(command: &Sent, step: Option<&Step>) -> State {
    match (&command.state, step.map(|step| &step.state)) {
        (failed @ State::Failed { .. }, _) | (_, Some(failed @ State::Failed { .. })) => failed.clone(),
        (_, Some(State::Success)) => State::Success,
        _ => State::Running,
    }
}

/// An exit code of 0 says that nothing failed, too, but not that anything was done, nor that nothing changed.
fn judge(rule: Rule, stdout: &str) -> Verdict {
    match recap(stdout) {
        Some(recap) => match rule.judge(&recap) {
            Ok(()) => Verdict { recap: Some(recap), ..Verdict::go_on("the playbook passed") },
            Err(why) => Verdict { recap: Some(recap), ..Verdict::abandon(why) },
        },
        None if rule == Rule::NothingFailed && is_cut_off(stdout) => Verdict::go_on(
            "the playbook ended well; its output is longer than SSM keeps, and its recap is lost",
        ),
        None => Verdict::abandon("the output of the playbook has no recap"),
    }
}

/// How a hook ends whose logs S3 was asked for: `Ok` are the files, `Err` what is wrong.
pub fn verified(found: Result<&[SavedFile], &str>) -> Verdict {
    match found {
        Ok(files) => {
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            Verdict::go_on(format!("{} files of logs with {bytes} bytes are in S3", files.len()))
        }
        Err(why) => Verdict::abandon(format!("the logs cannot be verified: {why}")),
    }
}
