//! What is said of a run.

use crate::{Handler, Progress};
use onair_core::metrics::Metric;
use onair_core::pair::Side;
use onair_core::pair::state::PairState;
use onair_lambda::Report;
use onair_pair::Summary;
use serde::Serialize;

#[derive(Serialize)]
struct Figures<'a> {
    outcome: &'a str,
    #[serde(flatten)]
    summary: Summary<'a>,
    /// The side that is live again, or leads again.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<Side>,
    /// Why not more was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    steps: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
}

impl Progress {
    /// The figures so far, for CloudWatch.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.returned
            .map(|_| Metric::count("FailedBack", 1))
            .into_iter()
            .collect()
    }
}

impl Handler {
    pub(crate) fn report(
        &self,
        state: &PairState,
        outcome: Option<&str>,
        why: Option<&str>,
        progress: &Progress,
    ) -> Report {
        let outcome = outcome.unwrap_or(
            match (progress.returned.is_some(), progress.steps.is_empty()) {
                (true, _) => "failed_back",
                (false, false) => "published",
                (false, true) => "unchanged",
            },
        );
        let figures = Figures {
            outcome,
            summary: Summary::of(&self.context.settings.pair.name, state),
            returned: progress.returned,
            why,
            steps: &progress.steps,
            notes: &progress.notes,
        };
        Report::of(&figures, progress.metrics())
    }
}
