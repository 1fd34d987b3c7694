use crate::minutes::MinutesUpdate;
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::DataPoint;
use onair_core::count_viewers::log::LineCounts;
use onair_core::metrics::{Metric, MetricSample};
use onair_lambda::{Error, Failure, Report};
use serde::Serialize;

/// One log, counted.
pub(crate) struct LogSummary {
    pub(crate) name: String,
    pub(crate) line_counts: LineCounts,
    pub(crate) added: MinutesUpdate,
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
    figures: Vec<AnswerDataPoint>,
    #[serde(skip_serializing_if = "is_zero")]
    more_figures: u64,
}

#[derive(Serialize)]
struct AnswerDataPoint {
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

impl LogSummary {
    /// A log in which nobody can be counted is in another format, or does not say what viewers are
    /// known by.
    pub(crate) fn makes_no_sense(&self, rules: &CountingRules) -> Option<String> {
        let LineCounts {
            malformed,
            unkeyed,
            first_error,
            ..
        } = self.line_counts;
        let key = rules.viewer_key.name();
        let why = match first_error {
            Some((line, problem)) if malformed > unkeyed => {
                format!(
                    "{malformed} lines cannot be understood; line {line}: {problem} (LOG_FORMAT)"
                )
            }
            _ => format!(
                "{unkeyed} requests do not say what viewers are known by, which is {key} (VIEWER_KEY)"
            ),
        };
        self.line_counts
            .is_suspicious()
            .then(|| format!("nobody in it can be counted: {why}"))
    }

    pub(crate) fn report(&self, rules: &CountingRules) -> Report {
        let LineCounts {
            lines,
            counted,
            other,
            unkeyed,
            dropped,
            malformed,
            first_error,
        } = self.line_counts;
        let figures = &self.added.figures;
        let said = |DataPoint {
                        minute,
                        stream,
                        count,
                        is_partial,
                    }: &'_ DataPoint| AnswerDataPoint {
            minute: minute.iso8601(),
            stream: stream.clone(),
            viewers: count.viewers,
            exact: count.exact,
            partial: *is_partial,
        };
        let note = first_error.map(|(line, problem)| format!("line {line}: {problem}"));
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
            streams_dropped: self.added.merged.streams_dropped,
            note,
            key: rules.viewer_key.name(),
            figures: figures.iter().take(MAX_FIGURES).map(said).collect(),
            more_figures: u64::try_from(figures.len().saturating_sub(MAX_FIGURES))
                .unwrap_or_default(),
        };
        Report::of(&answer, self.metrics()).with_samples(self.samples(rules))
    }

    pub(crate) fn failure(&self, trouble: &str, rules: &CountingRules) -> Failure {
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
            Metric::count("LinesMalformed", self.line_counts.malformed),
            Metric::count("RequestsUnkeyed", self.line_counts.unkeyed),
            // A stream that was dropped had one at least.
            Metric::count(
                "RequestsDropped",
                self.line_counts.dropped + self.added.merged.streams_dropped,
            ),
        ]
    }

    /// One for each stream and minute: a point of a graph, and the same as `viewers --json` prints
    /// it. Said each time: a run that failed after its writing says it when it is tried again.
    fn samples(&self, rules: &CountingRules) -> Vec<MetricSample> {
        if self.dry_run {
            Vec::new()
        } else {
            samples(&self.added.figures, rules)
        }
    }
}

fn samples(figures: &[DataPoint], rules: &CountingRules) -> Vec<MetricSample> {
    let sample = |figure: &DataPoint| MetricSample {
        metric: Metric::count("ConcurrentViewers", figure.count.viewers),
        dimension: ("Stream", figure.stream.clone()),
        at_ms: u64::try_from(figure.minute.start_s()).unwrap_or_default() * 1000,
        properties: figure.to_json(rules),
    };
    figures.iter().map(sample).collect()
}
