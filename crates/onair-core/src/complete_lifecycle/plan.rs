//! What comes next for an instance that waits.

use super::recap::is_cut_off;
use super::{
    Direction, Fleet, Order, Own, Past, Recap, Receipt, Rule, Run, SavedFile, Sent, State, Step,
    Wait,
};
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
pub struct Seen<'a> {
    /// What it waits in.
    pub wait: Wait,
    /// Its group lets instances return to its warm pool (`ReuseOnScaleIn`).
    pub returns: bool,
    /// What it did before.
    pub past: Past,
    /// This wait of it, if an open activity tells when it began.
    pub run: Option<&'a Run>,
    /// The run's own commands, if there are any.
    pub commands: Option<Own<'a>>,
    /// What SSM has of the first command's result, which may not be there yet.
    pub step: Option<&'a Step>,
}

/// What comes next for an instance of which this is known; `None` where the hook that it waits for
/// is not ours.
pub fn next(fleet: &Fleet, seen: Seen<'_>) -> Option<Next> {
    let Seen {
        wait,
        returns,
        past,
        run,
        commands,
        step,
    } = seen;
    if wait.is_warm() && (returns || past.may_have_served) {
        let why = "its group lets instances return to the warm pool, or did (ReuseOnScaleIn), so that it cannot be told \
                   whether it has served, and which hook it waits for";
        return Some(Next::Held(why.to_owned()));
    }
    fleet.hook(wait.direction())?;
    let goes_on = |why: &str| Some(Next::Complete(Verdict::go_on(why)));
    if !wait.takes_a_command() {
        return goes_on("it leaves the warm pool, and has served nobody");
    }
    let Some(run) = run else {
        let why = "no scaling activity in progress names it, so that no command can be told to be its own";
        return Some(Next::Held(why.to_owned()));
    };
    if wait == Wait::Terminate && past.is_refused && !past.may_have_served && !returns {
        return goes_on("its launch was given up: it has served nobody, and has no logs");
    }
    let Some(Own { first, others_run }) = commands else {
        return Order::of(fleet, run).map(Next::Send);
    };
    let stdout = step.map(|step| step.stdout.as_str()).unwrap_or_default();
    Some(match (state(first, step), run.direction) {
        (State::Running, _) => Next::Heartbeat,
        // It must not serve while a playbook works on it.
        (State::Success, Direction::Launch) if others_run => Next::Heartbeat,
        (State::Success, Direction::Launch) => {
            Next::Complete(judge(fleet.launch.as_ref()?.rule, stdout))
        }
        (State::Success, Direction::Terminate) => match receipt(stdout) {
            Ok(receipt) => Next::Verify(receipt),
            Err(why) => Next::Complete(Verdict::abandon(why)),
        },
        (State::Failed { details }, Direction::Launch) => {
            let why = format!("the playbook's command ended without success: {details}");
            Next::Complete(Verdict {
                recap: recap(stdout),
                ..Verdict::abandon(why)
            })
        }
        (State::Failed { details }, Direction::Terminate) => Next::Complete(Verdict::abandon(
            format!("the command that saves the logs ended without success: {details}"),
        )),
    })
}

/// The command's and the step's state are told apart from each other, and each may be ahead. A
/// failure of either is one; a success is that of both, since the step is not all of its document.
fn state(command: &Sent, step: Option<&Step>) -> State {
    match (&command.state, step.map(|step| &step.state)) {
        (failed @ State::Failed { .. }, _) | (_, Some(failed @ State::Failed { .. })) => {
            failed.clone()
        }
        (State::Success, Some(State::Success)) => State::Success,
        _ => State::Running,
    }
}

/// An exit code of 0 says that nothing failed, too, but not that anything was done, nor that
/// nothing changed.
fn judge(rule: Rule, stdout: &str) -> Verdict {
    match recap(stdout) {
        Some(recap) => match rule.judge(&recap) {
            Ok(()) => Verdict {
                recap: Some(recap),
                ..Verdict::go_on("the playbook passed")
            },
            Err(why) => Verdict {
                recap: Some(recap),
                ..Verdict::abandon(why)
            },
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
            Verdict::go_on(format!(
                "{} files of logs with {bytes} bytes are in S3",
                files.len()
            ))
        }
        Err(why) => Verdict::abandon(format!("the logs cannot be verified: {why}")),
    }
}
