//! Metrics in CloudWatch's embedded metric format (CloudWatch User Guide, "Specification: Embedded
//! metric format").
//!
//! A metric is a JSON line on standard output. A function needs neither a permission nor a request
//! to report it.

use serde_json::{Value, json};
use std::time::Duration;

/// The unit of a metric. Its variants are the names of CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of objects, events or instances.
    Count,
    /// A size in bytes.
    Bytes,
    /// A time in milliseconds.
    Milliseconds,
}

/// One metric of a run, with one or several values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The metric's name in CloudWatch, for example `ObjectsDeleted`.
    pub name: &'static str,
    /// The unit of all values.
    pub unit: Unit,
    /// At most 100 values, CloudWatch's limit for one line. CloudWatch computes percentiles from
    /// them.
    pub values: Vec<u64>,
}

impl Metric {
    /// A metric with the unit [`Unit::Count`].
    pub fn count(name: &'static str, value: u64) -> Self {
        Self {
            name,
            unit: Unit::Count,
            values: vec![value],
        }
    }

    /// A metric with the unit [`Unit::Bytes`].
    pub fn bytes(name: &'static str, value: u64) -> Self {
        Self {
            name,
            unit: Unit::Bytes,
            values: vec![value],
        }
    }

    /// A metric of durations. Keeps the last 100 of them.
    pub fn milliseconds(name: &'static str, values: impl IntoIterator<Item = Duration>) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let values: Vec<u64> = values.into_iter().map(ms).collect();
        Self {
            name,
            unit: Unit::Milliseconds,
            values: values[values.len().saturating_sub(100)..].to_vec(),
        }
    }
}

/// A metric of another time than the run that reports it, with a dimension of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSample {
    /// The metric and its value.
    pub metric: Metric,
    /// The dimension beside `Function`: its name and its value.
    pub dimension: (&'static str, String),
    /// Unix time in milliseconds. CloudWatch accepts an age of at most two weeks.
    pub at_ms: u64,
    /// More fields of the line, as a JSON object. They are for queries in CloudWatch Logs, and do
    /// not become metrics.
    pub properties: Value,
}

/// Formats the line that reports these metrics in the namespace `OnAir`, with the dimension
/// `Function`. `timestamp_ms` is Unix time in milliseconds.
pub fn embedded_metrics(function: &str, timestamp_ms: u64, metrics: &[Metric]) -> String {
    line(timestamp_ms, &[("Function", function)], metrics).to_string()
}

/// Formats the line that reports this sample in the namespace `OnAir`.
pub fn embedded_sample(function: &str, sample: &MetricSample) -> String {
    let MetricSample {
        metric,
        dimension: (name, value),
        at_ms,
        properties,
    } = sample;
    let mut line = line(
        *at_ms,
        &[("Function", function), (name, value)],
        std::slice::from_ref(metric),
    );
    for (name, value) in properties.as_object().into_iter().flatten() {
        line[name] = value.clone();
    }
    line.to_string()
}

fn line(timestamp_ms: u64, dimensions: &[(&str, &str)], metrics: &[Metric]) -> Value {
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|metric| json!({ "Name": metric.name, "Unit": format!("{:?}", metric.unit) }))
        .collect();
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": timestamp_ms,
            "CloudWatchMetrics": [{ "Namespace": "OnAir", "Dimensions": [names], "Metrics": definitions }],
        },
    });
    for (name, value) in dimensions {
        line[*name] = (*value).into();
    }
    for metric in metrics {
        line[metric.name] = match metric.values.as_slice() {
            [value] => (*value).into(),
            values => values.into(),
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_every_metric_with_its_unit_and_its_value() {
        let line = embedded_metrics(
            "prune-recording",
            1_700_000_000_000,
            &[
                Metric::count("ObjectsDeleted", 57),
                Metric::bytes("BytesDeleted", 51_729_196),
                Metric::milliseconds("Lag", [Duration::from_millis(40), Duration::from_secs(1)]),
            ],
        );
        insta::assert_snapshot!(line, @r#"{"_aws":{"Timestamp":1700000000000,"CloudWatchMetrics":[{"Namespace":"OnAir","Dimensions":[["Function"]],"Metrics":[{"Name":"ObjectsDeleted","Unit":"Count"},{"Name":"BytesDeleted","Unit":"Bytes"},{"Name":"Lag","Unit":"Milliseconds"}]}]},"Function":"prune-recording","ObjectsDeleted":57,"BytesDeleted":51729196,"Lag":[40,1000]}"#);
    }
}
