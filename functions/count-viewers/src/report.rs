use crate::minutes::{MinutesUpdate, Outcome};
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::DataPoint;
use onair_core::count_viewers::log::LineCounts;
use onair_core::metrics::{Metric, MetricSample};
use onair_lambda::{Error, Failure, Report};
use serde::Serialize;

/// One log that was counted.
pub(crate) struct LogSummary<'a> {
    pub(crate) name: String,
    pub(crate) line_counts: LineCounts,
    pub(crate) update: MinutesUpdate,
    pub(crate) rules: &'a CountingRules,
}

#[derive(Serialize)]
struct CountingAnswer<'a> {
    outcome: Outcome,
    log: &'a str,
    lines: u64,
    counted: u64,
    other: u64,
    #[serde(skip_serializing_if = "is_zero")]
    malformed: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unkeyed: u64,
    /// Requests of streams beyond the limit, in this log alone.
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
    /// Streams beyond the limit together with other logs.
    #[serde(skip_serializing_if = "is_zero")]
    streams_dropped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    key: &'a str,
    #[serde(rename = "figures")]
    data_points: Vec<AnswerDataPoint<'a>>,
    #[serde(rename = "more_figures", skip_serializing_if = "is_zero")]
    more_data_points: u64,
}

#[derive(Serialize)]
struct AnswerDataPoint<'a> {
    minute: String,
    stream: &'a str,
    viewers: u64,
    exact: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

impl<'a> From<&'a DataPoint> for AnswerDataPoint<'a> {
    fn from(point: &'a DataPoint) -> Self {
        Self {
            minute: point.minute.iso8601(),
            stream: &point.stream,
            viewers: point.count.viewers,
            exact: point.count.exact,
            partial: point.is_partial,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The answer is logged, so a long log must not make it long. Each data point also has a log line
/// of its own.
const MAX_DATA_POINTS: usize = 100;

impl LogSummary<'_> {
    /// The reason for which no viewer could be counted: the log has another format, or its requests
    /// lack the key.
    pub(crate) fn suspicion(&self) -> Option<String> {
        if !self.line_counts.is_suspicious() {
            return None;
        }
        let LineCounts {
            malformed,
            unkeyed,
            first_error,
            ..
        } = self.line_counts;
        let key = self.rules.viewer_key.name();
        let why = match first_error {
            Some((line, error)) if malformed > unkeyed => {
                format!("{malformed} lines cannot be parsed; line {line}: {error} (LOG_FORMAT)")
            }
            _ => format!("{unkeyed} requests lack the key {key} (VIEWER_KEY)"),
        };
        Some(format!("no viewer can be counted: {why}"))
    }

    pub(crate) fn report(&self) -> Report {
        let LineCounts {
            lines,
            counted,
            other,
            unkeyed,
            dropped,
            malformed,
            first_error,
        } = self.line_counts;
        let points = &self.update.data_points;
        let more = points.len().saturating_sub(MAX_DATA_POINTS);
        let answer = CountingAnswer {
            outcome: self.update.outcome,
            log: &self.name,
            lines,
            counted,
            other,
            malformed,
            unkeyed,
            dropped,
            streams_dropped: self.update.streams_dropped,
            note: first_error.map(|(line, error)| format!("line {line}: {error}")),
            key: self.rules.viewer_key.name(),
            data_points: points
                .iter()
                .take(MAX_DATA_POINTS)
                .map(Into::into)
                .collect(),
            more_data_points: u64::try_from(more).unwrap_or(u64::MAX),
        };
        Report::of(&answer, self.metrics()).with_samples(self.samples())
    }

    pub(crate) fn failure(&self, error: &str) -> Failure {
        let rest = if self.is_dry_run() {
            "nothing is counted in a dry run"
        } else {
            "the readable part is counted"
        };
        Failure {
            error: Error::BadEvent(format!("{}: {error}; {rest}", self.name)),
            metrics: self.metrics(),
            samples: self.samples(),
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        if self.is_dry_run() {
            return Vec::new();
        }
        vec![
            Metric::count("LogsRead", 1),
            Metric::count("LinesMalformed", self.line_counts.malformed),
            Metric::count("RequestsUnkeyed", self.line_counts.unkeyed),
            // A stream that was dropped had at least one request.
            Metric::count(
                "RequestsDropped",
                self.line_counts.dropped + self.update.streams_dropped,
            ),
        ]
    }

    /// One sample per data point, with the line that `onair viewers --json` prints.
    ///
    /// Unchanged data points are reported as well: an earlier run may have failed between its last
    /// write and its report.
    fn samples(&self) -> Vec<MetricSample> {
        if self.is_dry_run() {
            return Vec::new();
        }
        let points = self.update.data_points.iter();
        points.map(|point| sample(point, self.rules)).collect()
    }

    fn is_dry_run(&self) -> bool {
        self.update.outcome == Outcome::Planned
    }
}

fn sample(point: &DataPoint, rules: &CountingRules) -> MetricSample {
    MetricSample {
        metric: Metric::count("ConcurrentViewers", point.count.viewers),
        dimension: ("Stream", point.stream.clone()),
        at_ms: u64::try_from(point.minute.start_s()).unwrap_or_default() * 1000,
        properties: point.to_json(rules),
    }
}
