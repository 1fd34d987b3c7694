//! The answer and the metrics of a run.

use onair_core::fail_over::stale_sides;
use onair_core::metrics::Metric;
use onair_core::pair::next::Ending;
use onair_core::pair::observed::Observed;
use onair_core::pair::{Pair, Side};
use onair_lambda::Report;
use onair_pair::{PairSummary, count};
use serde::Serialize;

#[derive(Serialize)]
struct FailOverAnswer<'a> {
    outcome: &'a str,
    #[serde(flatten)]
    summary: Option<PairSummary<'a>>,
    /// The side that was cut, or would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    steps: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    /// Live sides that are not advancing.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stale: &'a [String],
}

pub(crate) fn report(pair: &Pair, observed: &Observed, ending: Ending) -> Report {
    let notes = [observed.notes(), &ending.notes].concat();
    let answer = FailOverAnswer {
        outcome: outcome(observed),
        summary: observed
            .state()
            .map(|state| PairSummary::of(&pair.name, state)),
        cut: observed.switched(),
        why: ending.why,
        steps: observed.steps(),
        notes: &notes,
        stale: &stale_sides(observed).unwrap_or_default(),
    };
    Report::of(&answer, Vec::new())
}

fn outcome(observed: &Observed) -> &'static str {
    let has_changed = observed.switched().is_some() || observed.has_changed();
    match (observed.is_dry_run(), has_changed) {
        (true, _) if observed.steps().is_empty() => "unchanged",
        (true, _) => "planned",
        (false, true) => "failed_over",
        (false, false) => "unchanged",
    }
}

pub(crate) fn metrics(observed: &Observed) -> Vec<Metric> {
    let is_failed_over = observed.switched().is_some() && !observed.is_dry_run();
    let failed_over = is_failed_over.then(|| Metric::count("FailedOver", 1));
    let checked = stale_sides(observed).zip(observed.state());
    let checked = checked.map(|(stale, state)| {
        let is_cut = |side: &&Side| !state.sides[**side].is_live();
        let cut = Side::BOTH.iter().filter(is_cut).count();
        [count("Cut", cut), count("Stale", stale.len())]
    });
    failed_over
        .into_iter()
        .chain(checked.into_iter().flatten())
        .collect()
}
