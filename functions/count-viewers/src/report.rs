use crate::minutes::Added;
use onair_core::count_viewers::Rules;
use onair_core::count_viewers::audience::Figure;
use onair_core::count_viewers::log::Tally;
use onair_core::metrics::{Metric, MetricSample};
use onair_lambda::{Error, Failure, Report};
use serde::Serialize;

/// One log, counted.
pub(crate) struct Counted {
    pub(crate) name: String,
    pub(crate) tally: Tally,
    pub(crate) added: Added,
    pub(crate) dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    outcome: &'a str,
    log: &'a str,
    lines: u64,
    counted: u64,
    other: u64,
    #[serde(skip_serializing_if = "is_zero")]
    malformed: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unkeyed: u64,
    /// Requests of streams that were too many in the log.
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
    /// Streams that were too many beside those of other logs.
    #[serde(skip_serializing_if = "is_zero")]
    streams_dropped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    key: &'a str,
    figures: Vec<Said>,
    #[serde(skip_serializing_if = "is_zero")]
    more_figures: u64,
}

#[derive(Serialize)]
struct Said {
    minute: String,
    stream: String,
    viewers: u64,
    exact: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An answer is logged: one of a long log would be long. Each figure has a line of its own anyway.
const MAX_FIGURES: usize = 100;

impl Counted {
    /// A log in which nobody can be counted is in another format, or does not say what viewers are
    /// known by.
    pub(crate) fn makes_no_sense(&self, rules: &Rules) -> Option<String> {
        let Tally {
            malformed,
            unkeyed,
            first_problem,
            ..
        } = self.tally;
        let key = rules.keying.name();
        let why = match first_problem {
            Some((line, problem)) if malformed > unkeyed => {
                format!(
                    "{malformed} lines cannot be understood; line {line}: {problem} (LOG_FORMAT)"
                )
            }
            _ => format!(
                "{unkeyed} requests do not say what viewers are known by, which is {key} (VIEWER_KEY)"
            ),
        };
        self.tally
            .says_nothing()
            .then(|| format!("nobody in it can be counted: {why}"))
    }

    pub(crate) fn report(&self, rules: &Rules) -> Report {
        let Tally {
            lines,
            counted,
            other,
            unkeyed,
            dropped,
            malformed,
            first_problem,
        } = self.tally;
        let figures = &self.added.figures;
        let said = |Figure {
                        minute,
                        stream,
                        count,
                        is_partial,
                    }: &'_ Figure| Said {
            minute: minute.text(),
            stream: stream.clone(),
            viewers: count.viewers,
            exact: count.exact,
            partial: *is_partial,
        };
        let note = first_problem.map(|(line, problem)| format!("line {line}: {problem}"));
        let answer = Answer {
            outcome: match (self.dry_run, self.added.merged.is_new) {
                (true, _) => "planned",
                (false, true) => "counted",
                (false, false) => "unchanged",
            },
            log: &self.name,
            lines,
            counted,
            other,
            malformed,
            unkeyed,
            dropped,
            streams_dropped: self.added.merged.dropped,
            note,
            key: rules.keying.name(),
            figures: figures.iter().take(MAX_FIGURES).map(said).collect(),
            more_figures: u64::try_from(figures.len().saturating_sub(MAX_FIGURES))
                .unwrap_or_default(),
        };
        Report::of(&answer, self.metrics()).with_samples(self.samples(rules))
    }

    pub(crate) fn failure(&self, trouble: &str, rules: &Rules) -> Failure {
        let rest = if self.dry_run {
            "nothing is counted: it is a dry run"
        } else {
            "what could be read is counted"
        };
        let error = Error::BadEvent(format!("{}: {trouble}; {rest}", self.name));
        Failure {
            error,
            metrics: self.metrics(),
            samples: self.samples(rules),
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        if self.dry_run {
            return Vec::new();
        }
        vec![
            Metric::count("LogsRead", 1),
            Metric::count("LinesMalformed", self.tally.malformed),
            Metric::count("RequestsUnkeyed", self.tally.unkeyed),
            // A stream that was dropped had one at least.
            Metric::count(
                "RequestsDropped",
                self.tally.dropped + self.added.merged.dropped,
            ),
        ]
    }

    /// One for each stream and minute: a point of a graph, and the same as `viewers --json` prints
    /// it. Said each time: a run that failed after its writing says it when it is tried again.
    fn samples(&self, rules: &Rules) -> Vec<MetricSample> {
        if self.dry_run {
            Vec::new()
        } else {
            samples(&self.added.figures, rules)
        }
    }
}

fn samples(figures: &[Figure], rules: &Rules) -> Vec<MetricSample> {
    let sample = |figure: &Figure| MetricSample {
        metric: Metric::count("ConcurrentViewers", figure.count.viewers),
        dimension: ("Stream", figure.stream.clone()),
        at_ms: u64::try_from(figure.minute.begins_s()).unwrap_or_default() * 1000,
        properties: figure.line(rules),
    };
    figures.iter().map(sample).collect()
}
