//! What is said of a run.

use crate::watch::Seen;
use crate::{Finished, Handler, Progress};
use onair_core::fail_over::Diagnosis;
use onair_core::metrics::Metric;
use onair_core::pair::Side;
use onair_core::pair::freshness::Freshness;
use onair_core::pair::state::PairState;
use onair_lambda::Report;
use onair_pair::Summary;
use serde::Serialize;

#[derive(Serialize)]
struct Figures<'a> {
    outcome: &'a str,
    #[serde(flatten)]
    summary: Summary<'a>,
    /// The side that was cut, or would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    steps: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    /// Live sides that do not move.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stale: &'a [String],
}

impl Progress {
    /// The figures so far, for CloudWatch.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.cut
            .map(|_| Metric::count("FailedOver", 1))
            .into_iter()
            .collect()
    }

    fn outcome(&self, finished: &Finished, dry_run: bool) -> &'static str {
        match (dry_run, self.cut.is_some() || self.finished) {
            (true, _) if finished.steps.is_empty() => "unchanged",
            (true, _) => "planned",
            (false, true) => "failed_over",
            (false, false) => "unchanged",
        }
    }
}

impl Handler {
    pub(crate) fn report(
        &self,
        state: &PairState,
        cut: Option<Side>,
        diagnosis: &Diagnosis,
        finished: &Finished,
        dry_run: bool,
        progress: &Progress,
    ) -> Report {
        let why = match diagnosis {
            Diagnosis::InputLost { why, .. } | Diagnosis::Nothing { why } => Some(why.as_str()),
            Diagnosis::AskMediaLive => None,
        };
        let figures = Figures {
            outcome: progress.outcome(finished, dry_run),
            summary: Summary::of(&self.context.settings.pair.name, state),
            cut: cut.or(progress.cut),
            why,
            steps: &finished.steps,
            notes: &finished.notes,
            stale: &[],
        };
        Report::of(&figures, progress.metrics())
    }

    pub(crate) fn report_patrol(
        &self,
        seen: &Seen,
        misconfiguration: Option<String>,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Report {
        let state = &seen.state;
        let mut finished = std::mem::take(&mut progress.done);
        finished.notes.extend(seen.note.clone());
        let stale =
            Side::BOTH
                .into_iter()
                .filter_map(|side| match seen.freshness[side].as_ref()? {
                    Freshness::Advancing => None,
                    Freshness::Stale(why) | Freshness::Unknown(why) => {
                        Some(format!("{side}: {why}"))
                    }
                });
        let stale: Vec<String> = stale.collect();
        let figures = Figures {
            outcome: progress.outcome(&finished, dry_run),
            summary: Summary::of(&self.context.settings.pair.name, state),
            cut: progress.cut,
            why: None,
            steps: &finished.steps,
            notes: &finished.notes,
            stale: &stale,
        };
        let cut = Side::BOTH
            .into_iter()
            .filter(|side| !state.sides[*side].is_live())
            .count();
        let count =
            |name, count: usize| Metric::count(name, u64::try_from(count).unwrap_or(u64::MAX));
        let mut metrics = progress.metrics();
        metrics.extend([count("Cut", cut), count("Stale", stale.len())]);
        match misconfiguration {
            Some(why) => self
                .context
                .held(format!(
                    "{why}; a fail-over would cut the side that is well"
                ))
                .and(metrics),
            None => Report::of(&figures, metrics),
        }
    }
}
