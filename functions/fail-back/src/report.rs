//! The answer and the metrics of a run.

use onair_core::metrics::Metric;
use onair_core::pair::next::Ending;
use onair_core::pair::observed::Observed;
use onair_core::pair::{Pair, Side};
use onair_lambda::Report;
use onair_pair::PairSummary;
use serde::Serialize;

#[derive(Serialize)]
struct FailBackAnswer<'a> {
    outcome: &'a str,
    #[serde(flatten)]
    summary: Option<PairSummary<'a>>,
    /// The side that is live again, or was promoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<Side>,
    /// The reason for no further change.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    steps: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
}

pub(crate) fn report(pair: &Pair, observed: &Observed, ending: Ending) -> Report {
    let mut steps = observed.steps().to_vec();
    steps.extend(ending.step);
    let notes = [observed.notes(), &ending.notes].concat();
    let answer = FailBackAnswer {
        outcome: outcome(observed, &steps),
        summary: observed
            .state()
            .map(|state| PairSummary::of(&pair.name, state)),
        returned: observed.switched().filter(|_| !observed.is_dry_run()),
        why: ending.why,
        steps: &steps,
        notes: &notes,
    };
    Report::of(&answer, Vec::new())
}

fn outcome(observed: &Observed, steps: &[String]) -> &'static str {
    match (observed.is_dry_run(), observed.switched()) {
        _ if steps.is_empty() && observed.switched().is_none() => "unchanged",
        (true, _) => "planned",
        (false, Some(_)) => "failed_back",
        (false, None) => "published",
    }
}

pub(crate) fn metrics(observed: &Observed) -> Vec<Metric> {
    let returned = observed.switched().filter(|_| !observed.is_dry_run());
    let failed_back = returned.map(|_| Metric::count("FailedBack", 1));
    failed_back.into_iter().collect()
}
