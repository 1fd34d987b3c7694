//! What is said of a run.

use crate::gather::Waiting;
use onair_aws::Error as AwsError;
use onair_core::complete_lifecycle::{Direction, InstanceId, Recap, Sent, Verdict, Wait};
use onair_core::metrics::Metric;
use onair_lambda::{Error, Failure, Report};
use serde::Serialize;

/// What came of one instance.
#[derive(Debug)]
pub(crate) enum Done {
    /// Its wait is over, by this.
    Ended(Verdict),
    /// It got this command.
    Sent(String),
    /// Its command is under way.
    Running,
    /// It cannot get a command yet.
    AgentMissing,
    /// It did not wait any more.
    Over,
    /// A safety rule said no.
    Held(String),
    /// In a dry run: it would get a command, or go on waiting for its own.
    Would(bool),
    /// In a dry run: its wait would be over, by this.
    WouldEnd(Verdict),
}

/// What is said of one instance.
#[derive(Debug)]
pub(crate) struct Entry {
    instance: InstanceId,
    wait: Wait,
    command: Option<String>,
    done: Result<Done, AwsError>,
}

/// The same as JSON.
#[derive(Serialize)]
struct Figures {
    instance: InstanceId,
    state: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recap: Option<Recap>,
}

#[derive(Serialize)]
struct Answer {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    instances: Vec<Figures>,
}

impl Entry {
    pub(crate) fn of(
        waiting: &Waiting,
        command: Option<&Sent>,
        done: Result<Done, AwsError>,
    ) -> Self {
        let sent = match &done {
            Ok(Done::Sent(id)) => Some(id.clone()),
            _ => command.map(|command| command.id.clone()),
        };
        Self {
            instance: waiting.instance.clone(),
            wait: waiting.wait,
            command: sent,
            done,
        }
    }

    fn figures(self) -> Figures {
        let (outcome, why, recap) = match self.done {
            Ok(Done::Ended(Verdict {
                goes_on,
                why,
                recap,
            })) => (
                if goes_on { "continued" } else { "abandoned" },
                Some(why),
                recap,
            ),
            Ok(Done::WouldEnd(Verdict {
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
            Ok(Done::Sent(_)) => ("sent", None, None),
            Ok(Done::Running) => ("running", None, None),
            Ok(Done::AgentMissing) => (
                "agent missing",
                Some("SSM knows no agent of it, or not yet".to_owned()),
                None,
            ),
            Ok(Done::Over) => (
                "unchanged",
                Some("it does not wait any more".to_owned()),
                None,
            ),
            Ok(Done::Held(why)) => ("held", Some(why), None),
            Ok(Done::Would(true)) => ("would send", None, None),
            Ok(Done::Would(false)) => ("running", None, None),
            Err(error) if error.is_retryable() => ("later", Some(error.to_string()), None),
            Err(error) => ("failed", Some(error.to_string()), None),
        };
        let Self {
            instance,
            wait,
            command,
            ..
        } = self;
        Figures {
            instance,
            state: wait.state(),
            outcome,
            command,
            why,
            recap,
        }
    }

    fn is(&self, what: fn(&Done) -> bool) -> bool {
        self.done.as_ref().is_ok_and(what)
    }

    /// It waits on, and nothing is wrong with that yet.
    fn waits(&self) -> bool {
        match &self.done {
            Ok(done) => matches!(
                done,
                Done::Running | Done::AgentMissing | Done::Would(false)
            ),
            Err(error) => error.is_retryable(),
        }
    }
}

/// What is said of all of them; an error if any could not be dealt with.
pub(crate) fn of(
    mut entries: Vec<Entry>,
    everywhere: bool,
    dry_run: bool,
) -> Result<Report, Failure> {
    entries.sort_by(|a, b| a.instance.cmp(&b.instance));
    let metrics = metrics(&entries, everywhere);
    let any = |what: fn(&Done) -> bool| entries.iter().any(|entry| entry.is(what));
    let outcome = match dry_run {
        _ if any(|done| matches!(done, Done::Held(_))) => "held",
        true if any(|done| matches!(done, Done::WouldEnd(_) | Done::Would(true))) => "planned",
        false if any(|done| matches!(done, Done::Ended(_))) => "completed",
        false if any(|done| matches!(done, Done::Sent(_))) => "sent",
        false if entries.iter().any(Entry::waits) => "waiting",
        _ => "unchanged",
    };
    let failed = |entry: &Entry| match &entry.done {
        Err(error) if !error.is_retryable() => Some(format!("{}: {error}", entry.instance)),
        _ => None,
    };
    let failed: Vec<String> = entries.iter().filter_map(failed).collect();
    let instances: Vec<Figures> = entries.into_iter().map(Entry::figures).collect();
    let held = instances.iter().find(|figures| figures.outcome == "held");
    let why = held.and_then(|held| Some(format!("{}: {}", held.instance, held.why.as_ref()?)));
    if !failed.is_empty() {
        return Err(Failure::after(Error::Aws(failed.join("; ")), metrics));
    }
    Ok(Report::of(
        &Answer {
            outcome,
            why,
            instances,
        },
        metrics,
    ))
}

/// What is said where AWS asked for patience before anything could be seen.
pub(crate) fn busy(error: &AwsError, everywhere: bool) -> Report {
    let answer = Answer {
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
fn metrics(entries: &[Entry], everywhere: bool) -> Vec<Metric> {
    let count = |what: &dyn Fn(&Entry) -> bool| {
        u64::try_from(entries.iter().filter(|entry| what(entry)).count()).unwrap_or(u64::MAX)
    };
    let ended = |entry: &Entry, goes_on: bool| match &entry.done {
        Ok(Done::Ended(verdict)) => verdict.goes_on == goes_on,
        _ => false,
    };
    let is_terminate = |entry: &Entry| entry.wait.direction() == Direction::Terminate;
    let now = [
        ("Waiting", count(&Entry::waits)),
        (
            "AgentMissing",
            count(&|entry| entry.is(|done| matches!(done, Done::AgentMissing))),
        ),
    ];
    let happened = [
        ("Continued", count(&|entry| ended(entry, true))),
        ("Abandoned", count(&|entry| ended(entry, false))),
        (
            "CommandsSent",
            count(&|entry| entry.is(|done| matches!(done, Done::Sent(_)))),
        ),
        (
            "LogsUnverified",
            count(&|entry| ended(entry, false) && is_terminate(entry)),
        ),
        (
            "Held",
            count(&|entry| entry.is(|done| matches!(done, Done::Held(_)))),
        ),
    ];
    let now = now
        .into_iter()
        .filter(|(_, value)| everywhere || *value > 0);
    let all = now.chain(happened.into_iter().filter(|(_, value)| *value > 0));
    all.map(|(name, value)| Metric::count(name, value))
        .collect()
}
