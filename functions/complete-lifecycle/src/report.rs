//! What is said of a run.

use crate::gather::WaitingInstance;
use onair_aws::Error as AwsError;
use onair_core::complete_lifecycle::{
    Command, Completion, Direction, InstanceId, PlayRecap, WaitState,
};
use onair_core::metrics::Metric;
use onair_lambda::{Error, Failure, Report};
use serde::Serialize;

/// What came of one instance.
#[derive(Debug)]
pub(crate) enum InstanceOutcome {
    /// Its wait is over, by this.
    Completed(Completion),
    /// It got this command.
    Sent(String),
    /// Its command is under way.
    Running,
    /// It cannot get a command yet.
    AgentMissing,
    /// It did not wait any more.
    NotWaiting,
    /// A safety rule said no.
    Held(String),
    /// In a dry run: it would get a command, or go on waiting for its own.
    Would(bool),
    /// In a dry run: its wait would be over, by this.
    WouldComplete(Completion),
}

/// What is said of one instance.
#[derive(Debug)]
pub(crate) struct InstanceReport {
    instance: InstanceId,
    state: WaitState,
    command: Option<String>,
    done: Result<InstanceOutcome, AwsError>,
}

/// The same as JSON.
#[derive(Serialize)]
struct InstanceAnswer {
    instance: InstanceId,
    state: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recap: Option<PlayRecap>,
}

#[derive(Serialize)]
struct LifecycleAnswer {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    instances: Vec<InstanceAnswer>,
}

impl InstanceReport {
    pub(crate) fn of(
        waiting: &WaitingInstance,
        command: Option<&Command>,
        done: Result<InstanceOutcome, AwsError>,
    ) -> Self {
        let sent = match &done {
            Ok(InstanceOutcome::Sent(id)) => Some(id.clone()),
            _ => command.map(|command| command.id.clone()),
        };
        Self {
            instance: waiting.instance.clone(),
            state: waiting.state,
            command: sent,
            done,
        }
    }

    fn answer(self) -> InstanceAnswer {
        let (outcome, why, recap) = match self.done {
            Ok(InstanceOutcome::Completed(Completion {
                goes_on,
                why,
                recap,
            })) => (
                if goes_on { "continued" } else { "abandoned" },
                Some(why),
                recap,
            ),
            Ok(InstanceOutcome::WouldComplete(Completion {
                goes_on,
                why,
                recap,
            })) => (
                if goes_on {
                    "would continue"
                } else {
                    "would abandon"
                },
                Some(why),
                recap,
            ),
            Ok(InstanceOutcome::Sent(_)) => ("sent", None, None),
            Ok(InstanceOutcome::Running) => ("running", None, None),
            Ok(InstanceOutcome::AgentMissing) => (
                "agent missing",
                Some("SSM knows no agent of it, or not yet".to_owned()),
                None,
            ),
            Ok(InstanceOutcome::NotWaiting) => (
                "unchanged",
                Some("it does not wait any more".to_owned()),
                None,
            ),
            Ok(InstanceOutcome::Held(why)) => ("held", Some(why), None),
            Ok(InstanceOutcome::Would(true)) => ("would send", None, None),
            Ok(InstanceOutcome::Would(false)) => ("running", None, None),
            Err(error) if error.is_retryable() => ("later", Some(error.to_string()), None),
            Err(error) => ("failed", Some(error.to_string()), None),
        };
        let Self {
            instance,
            state,
            command,
            ..
        } = self;
        InstanceAnswer {
            instance,
            state: state.as_str(),
            outcome,
            command,
            why,
            recap,
        }
    }

    fn is(&self, what: fn(&InstanceOutcome) -> bool) -> bool {
        self.done.as_ref().is_ok_and(what)
    }

    /// It waits on, and nothing is wrong with that yet.
    fn waits(&self) -> bool {
        match &self.done {
            Ok(done) => matches!(
                done,
                InstanceOutcome::Running
                    | InstanceOutcome::AgentMissing
                    | InstanceOutcome::Would(false)
            ),
            Err(error) => error.is_retryable(),
        }
    }
}

/// What is said of all of them; an error if any could not be dealt with.
pub(crate) fn of(
    mut entries: Vec<InstanceReport>,
    everywhere: bool,
    dry_run: bool,
) -> Result<Report, Failure> {
    entries.sort_by(|a, b| a.instance.cmp(&b.instance));
    let metrics = metrics(&entries, everywhere);
    let any = |what: fn(&InstanceOutcome) -> bool| entries.iter().any(|entry| entry.is(what));
    let outcome = match dry_run {
        _ if any(|done| matches!(done, InstanceOutcome::Held(_))) => "held",
        true if any(|done| {
            matches!(
                done,
                InstanceOutcome::WouldComplete(_) | InstanceOutcome::Would(true)
            )
        }) =>
        {
            "planned"
        }
        false if any(|done| matches!(done, InstanceOutcome::Completed(_))) => "completed",
        false if any(|done| matches!(done, InstanceOutcome::Sent(_))) => "sent",
        false if entries.iter().any(InstanceReport::waits) => "waiting",
        _ => "unchanged",
    };
    let failed = |entry: &InstanceReport| match &entry.done {
        Err(error) if !error.is_retryable() => Some(format!("{}: {error}", entry.instance)),
        _ => None,
    };
    let failed: Vec<String> = entries.iter().filter_map(failed).collect();
    let instances: Vec<InstanceAnswer> = entries.into_iter().map(InstanceReport::answer).collect();
    let held = instances.iter().find(|figures| figures.outcome == "held");
    let why = held.and_then(|held| Some(format!("{}: {}", held.instance, held.why.as_ref()?)));
    if !failed.is_empty() {
        return Err(Failure::after(Error::Aws(failed.join("; ")), metrics));
    }
    Ok(Report::of(
        &LifecycleAnswer {
            outcome,
            why,
            instances,
        },
        metrics,
    ))
}

/// What is said where AWS asked for patience before anything could be seen.
pub(crate) fn busy(error: &AwsError, everywhere: bool) -> Report {
    let answer = LifecycleAnswer {
        outcome: "waiting",
        why: Some(error.to_string()),
        instances: Vec::new(),
    };
    Report::of(
        &answer,
        if everywhere {
            Vec::new()
        } else {
            vec![Metric::count("Waiting", 1)]
        },
    )
}

/// How many wait is said at each look at all, also if none does: an alarm needs to see that it is
/// over.
fn metrics(entries: &[InstanceReport], everywhere: bool) -> Vec<Metric> {
    let count = |what: &dyn Fn(&InstanceReport) -> bool| {
        u64::try_from(entries.iter().filter(|entry| what(entry)).count()).unwrap_or(u64::MAX)
    };
    let ended = |entry: &InstanceReport, goes_on: bool| match &entry.done {
        Ok(InstanceOutcome::Completed(completion)) => completion.goes_on == goes_on,
        _ => false,
    };
    let is_terminate = |entry: &InstanceReport| entry.state.direction() == Direction::Terminate;
    let now = [
        ("Waiting", count(&InstanceReport::waits)),
        (
            "AgentMissing",
            count(&|entry| entry.is(|done| matches!(done, InstanceOutcome::AgentMissing))),
        ),
    ];
    let happened = [
        ("Continued", count(&|entry| ended(entry, true))),
        ("Abandoned", count(&|entry| ended(entry, false))),
        (
            "CommandsSent",
            count(&|entry| entry.is(|done| matches!(done, InstanceOutcome::Sent(_)))),
        ),
        (
            "LogsUnverified",
            count(&|entry| ended(entry, false) && is_terminate(entry)),
        ),
        (
            "Held",
            count(&|entry| entry.is(|done| matches!(done, InstanceOutcome::Held(_)))),
        ),
    ];
    let now = now
        .into_iter()
        .filter(|(_, value)| everywhere || *value > 0);
    let all = now.chain(happened.into_iter().filter(|(_, value)| *value > 0));
    all.map(|(name, value)| Metric::count(name, value))
        .collect()
}
