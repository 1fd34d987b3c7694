//! The answer and the metrics of a run.

use crate::gather::WaitingInstance;
use onair_aws::Error as AwsError;
use onair_core::complete_lifecycle::{
    ActionResult, Completion, Direction, HeldReason, InstanceId, PlayRecap, Scope, WaitCommands,
    WaitState,
};
use onair_core::held::HeldReason as _;
use onair_core::metrics::Metric;
use onair_lambda::{Error, Failure, Report};
use serde::Serialize;

/// The result of a run for one instance.
#[derive(Debug)]
pub(crate) enum InstanceOutcome {
    /// Ended the wait.
    Completed(Completion),
    /// Sent a command, which got this ID.
    Sent(String),
    /// Extended the wait: the command is in progress.
    Running,
    /// Sent nothing: SSM does not know the agent of the instance.
    AgentMissing,
    /// Changed nothing: the wait was over, or is of a hook that On Air does not handle.
    NotWaiting,
    /// Changed nothing, because of a safety rule.
    Held(HeldReason),
    /// Dry run: would have sent a command.
    WouldSend,
    /// Dry run: would have extended the wait.
    WouldHeartbeat,
    /// Dry run: would have ended the wait.
    WouldComplete(Completion),
}

/// One instance in the report of a run.
#[derive(Debug)]
pub(crate) struct InstanceReport {
    instance: InstanceId,
    state: WaitState,
    command: Option<String>,
    result: Result<InstanceOutcome, AwsError>,
}

/// The outcome of a run. If its instances have several, the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum RunOutcome {
    Unchanged,
    Waiting,
    Sent,
    Completed,
    Planned,
    Held,
}

#[derive(Serialize)]
struct LifecycleAnswer {
    outcome: RunOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    instances: Vec<InstanceAnswer>,
}

#[derive(Serialize)]
struct InstanceAnswer {
    instance: InstanceId,
    state: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recap: Option<PlayRecap>,
}

impl InstanceReport {
    pub(crate) fn of(
        waiting: &WaitingInstance,
        commands: Option<WaitCommands<'_>>,
        result: Result<InstanceOutcome, AwsError>,
    ) -> Self {
        let command = match &result {
            Ok(InstanceOutcome::Sent(id)) => Some(id.clone()),
            _ => commands.map(|commands| commands.first.id.clone()),
        };
        Self {
            instance: waiting.instance.clone(),
            state: waiting.state,
            command,
            result,
        }
    }

    fn answer(&self) -> InstanceAnswer {
        InstanceAnswer {
            instance: self.instance.clone(),
            state: self.state.as_str(),
            outcome: self.word(),
            command: self.command.clone(),
            code: self.held().map(HeldReason::code),
            why: self.why(),
            recap: self.completion().and_then(|completion| completion.recap),
        }
    }

    /// The value of `outcome` for this instance. Users read these words.
    fn word(&self) -> &'static str {
        let word = |result, continued, abandoned| match result {
            ActionResult::Continue => continued,
            ActionResult::Abandon => abandoned,
        };
        match &self.result {
            Ok(InstanceOutcome::Completed(completion)) => {
                word(completion.result, "continued", "abandoned")
            }
            Ok(InstanceOutcome::Sent(_)) => "sent",
            Ok(InstanceOutcome::Running | InstanceOutcome::WouldHeartbeat) => "running",
            Ok(InstanceOutcome::AgentMissing) => "agent missing",
            Ok(InstanceOutcome::NotWaiting) => "unchanged",
            Ok(InstanceOutcome::Held(_)) => "held",
            Ok(InstanceOutcome::WouldSend) => "would send",
            Ok(InstanceOutcome::WouldComplete(completion)) => {
                word(completion.result, "would continue", "would abandon")
            }
            Err(error) if error.is_retryable() => "later",
            Err(_) => "failed",
        }
    }

    fn why(&self) -> Option<String> {
        match &self.result {
            Ok(InstanceOutcome::AgentMissing) => {
                Some("the SSM agent of the instance is not registered yet".to_owned())
            }
            Ok(InstanceOutcome::NotWaiting) => {
                Some("the instance does not wait any more".to_owned())
            }
            Ok(InstanceOutcome::Held(reason)) => Some(reason.to_string()),
            Ok(_) => self.completion().map(|completion| completion.why.clone()),
            Err(error) => Some(error.to_string()),
        }
    }

    fn completion(&self) -> Option<&Completion> {
        match &self.result {
            Ok(
                InstanceOutcome::Completed(completion) | InstanceOutcome::WouldComplete(completion),
            ) => Some(completion),
            _ => None,
        }
    }

    fn held(&self) -> Option<&HeldReason> {
        match &self.result {
            Ok(InstanceOutcome::Held(reason)) => Some(reason),
            _ => None,
        }
    }

    /// The error, unless a retry by the schedule is enough.
    fn failure(&self) -> Option<&AwsError> {
        self.result
            .as_ref()
            .err()
            .filter(|error| !error.is_retryable())
    }

    fn run_outcome(&self) -> RunOutcome {
        match &self.result {
            Ok(InstanceOutcome::Held(_)) => RunOutcome::Held,
            Ok(InstanceOutcome::WouldSend | InstanceOutcome::WouldComplete(_)) => {
                RunOutcome::Planned
            }
            Ok(InstanceOutcome::Completed(_)) => RunOutcome::Completed,
            Ok(InstanceOutcome::Sent(_)) => RunOutcome::Sent,
            Ok(InstanceOutcome::Running | InstanceOutcome::AgentMissing) | Err(_) => {
                RunOutcome::Waiting
            }
            Ok(InstanceOutcome::WouldHeartbeat | InstanceOutcome::NotWaiting) => {
                RunOutcome::Unchanged
            }
        }
    }

    /// Whether the instance still waits, without a failure so far.
    fn is_waiting(&self) -> bool {
        match &self.result {
            Ok(outcome) => matches!(
                outcome,
                InstanceOutcome::Running
                    | InstanceOutcome::AgentMissing
                    | InstanceOutcome::WouldHeartbeat
            ),
            Err(error) => error.is_retryable(),
        }
    }

    fn is_agent_missing(&self) -> bool {
        matches!(self.result, Ok(InstanceOutcome::AgentMissing))
    }

    fn is_sent(&self) -> bool {
        matches!(self.result, Ok(InstanceOutcome::Sent(_)))
    }

    fn is_continued(&self) -> bool {
        self.is_completed_by(ActionResult::Continue)
    }

    fn is_abandoned(&self) -> bool {
        self.is_completed_by(ActionResult::Abandon)
    }

    fn is_completed_by(&self, result: ActionResult) -> bool {
        matches!(&self.result, Ok(InstanceOutcome::Completed(completion)) if completion.result == result)
    }

    fn has_unverified_logs(&self) -> bool {
        self.is_abandoned() && self.state.direction() == Direction::Terminate
    }

    fn is_held(&self) -> bool {
        self.held().is_some()
    }
}

/// The report of a run, or an error if at least one instance failed.
pub(crate) fn of(mut reports: Vec<InstanceReport>, scope: &Scope) -> Result<Report, Failure> {
    reports.sort_by(|a, b| a.instance.cmp(&b.instance));
    let metrics = metrics(&reports, scope);
    let failures: Vec<String> = reports
        .iter()
        .filter_map(|report| Some(format!("{}: {}", report.instance, report.failure()?)))
        .collect();
    if !failures.is_empty() {
        return Err(Failure::after(Error::Aws(failures.join("; ")), metrics));
    }
    let outcomes = reports.iter().map(InstanceReport::run_outcome);
    let held = reports
        .iter()
        .find_map(|report| Some((&report.instance, report.held()?)));
    let answer = LifecycleAnswer {
        outcome: outcomes.max().unwrap_or(RunOutcome::Unchanged),
        code: held.map(|(_, reason)| reason.code()),
        why: held.map(|(instance, reason)| format!("{instance}: {reason}")),
        instances: reports.iter().map(InstanceReport::answer).collect(),
    };
    Ok(Report::of(&answer, metrics))
}

/// The report of a run that AWS throttled before it had read which instances wait.
pub(crate) fn throttled(error: &AwsError, scope: &Scope) -> Report {
    let answer = LifecycleAnswer {
        outcome: RunOutcome::Waiting,
        code: None,
        why: Some(error.to_string()),
        instances: Vec::new(),
    };
    // The run of the whole group counts `Waiting` exactly, and this one could not count.
    let metrics = match scope {
        Scope::Group => Vec::new(),
        Scope::Instance(_) | Scope::Ignored { .. } => vec![Metric::count("Waiting", 1)],
    };
    Report::of(&answer, metrics)
}

/// Metrics of zero are left out, except those of the whole group by which an alarm ends.
fn metrics(reports: &[InstanceReport], scope: &Scope) -> Vec<Metric> {
    let count = |name, is_counted: fn(&InstanceReport) -> bool| {
        let number = reports.iter().filter(|report| is_counted(report)).count();
        (name, u64::try_from(number).unwrap_or(u64::MAX))
    };
    let gauges = [
        count("Waiting", InstanceReport::is_waiting),
        count("AgentMissing", InstanceReport::is_agent_missing),
    ];
    let counters = [
        count("Continued", InstanceReport::is_continued),
        count("Abandoned", InstanceReport::is_abandoned),
        count("CommandsSent", InstanceReport::is_sent),
        count("LogsUnverified", InstanceReport::has_unverified_logs),
        count("Held", InstanceReport::is_held),
    ];
    let is_group = *scope == Scope::Group;
    let gauges = gauges
        .into_iter()
        .filter(|(_, number)| is_group || *number > 0);
    let counters = counters.into_iter().filter(|(_, number)| *number > 0);
    gauges
        .chain(counters)
        .map(|(name, number)| Metric::count(name, number))
        .collect()
}
