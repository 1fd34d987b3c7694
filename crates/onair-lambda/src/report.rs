use onair_core::held::HeldReason;
use onair_core::metrics::{Metric, MetricSample};
use serde::Serialize;
use serde_json::{Value, json};

/// The result of an invocation: the function's answer, and metrics for CloudWatch.
#[derive(Debug, Default)]
pub struct Report {
    pub(crate) answer: Value,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) samples: Vec<MetricSample>,
}

impl Report {
    /// The event is for another function, or needs no action.
    pub fn ignored(why: impl Into<String>) -> Self {
        Self::with_answer(json!({ "outcome": "ignored", "why": why.into() }))
    }

    /// A safety rule stopped the run. `kind` is the kind of thing that the rule protects, for
    /// example `"recording"`, and the name of the answer's field for `name`.
    pub fn held(kind: &str, name: impl Into<String>, reason: &impl HeldReason) -> Self {
        let answer = json!({
            "outcome": "held",
            kind: name.into(),
            "code": reason.code(),
            "why": reason.to_string(),
        });
        Self::with_answer(answer).and(vec![Metric::count("Held", 1)])
    }

    /// Adds metrics.
    pub fn and(mut self, metrics: Vec<Metric>) -> Self {
        self.metrics.extend(metrics);
        self
    }

    /// Adds metrics of earlier times. Each gets a log line of its own.
    pub fn with_samples(self, samples: Vec<MetricSample>) -> Self {
        Self { samples, ..self }
    }

    /// Answers with `figures`, which must serialise as an object with the field `outcome`.
    pub fn of(figures: &impl Serialize, metrics: Vec<Metric>) -> Self {
        let answer = serde_json::to_value(figures)
            .unwrap_or_else(|error| json!({ "outcome": error.to_string() }));
        Self::with_answer(answer).and(metrics)
    }

    fn with_answer(answer: Value) -> Self {
        Self {
            answer,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("side B is stale")]
    struct Stale;

    impl HeldReason for Stale {
        fn code(&self) -> &'static str {
            "stale"
        }
    }

    #[test]
    fn held_answers_with_a_code_for_alarms_and_a_reason_for_people() {
        let report = Report::held("pair", "show", &Stale);

        assert_eq!(
            report.answer,
            json!({ "outcome": "held", "pair": "show", "code": "stale", "why": "side B is stale" })
        );
        assert_eq!(report.metrics.len(), 1);
    }
}
