//! Metrics as CloudWatch's embedded metric format: one JSON line on standard output is the whole protocol,
//! so a function needs no permission and no request to report figures.
//!
//! Format: CloudWatch User Guide, "Specification: Embedded metric format".

use serde_json::{Value, json};
use std::time::Duration;

/// The unit of a metric's value, spelled as CloudWatch spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A size in bytes.
    Bytes,
    /// A time in milliseconds.
    Milliseconds,
}

/// One figure of a run, or several of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The metric's name in CloudWatch, for example `ObjectsDeleted`.
    pub name: &'static str,
    /// What the value counts.
    pub unit: Unit,
    /// The values: CloudWatch takes a hundred at a time, and makes percentiles of them.
    pub values: Vec<u64>,
}

impl Metric {
    /// A metric that counts things.
    pub fn count(name: &'static str, value: u64) -> Self {
        Self { name, unit: Unit::Count, values: vec![value] }
    }

    /// A metric that measures a size in bytes.
    pub fn bytes(name: &'static str, value: u64) -> Self {
        Self { name, unit: Unit::Bytes, values: vec![value] }
    }

    /// A metric of times. Of more than a hundred the last ones count.
    pub fn milliseconds(name: &'static str, values: impl IntoIterator<Item = Duration>) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let values: Vec<u64> = values.into_iter().map(ms).collect();
        Self { name, unit: Unit::Milliseconds, values: values[values.len().saturating_sub(100)..].to_vec() }
    }
}

/// The line that reports `metrics` in namespace `OnAir` with the one dimension `Function`.
///
/// `timestamp_ms` is Unix time in milliseconds.
pub fn embedded_metrics(function: &str, timestamp_ms: u64, metrics: &[Metric]) -> String {
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|metric| json!({ "Name": metric.name, "Unit": format!("{:?}", metric.unit) }))
        .collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": timestamp_ms,
            "CloudWatchMetrics": [{
                "Namespace": "OnAir",
                "Dimensions": [["Function"]],
                "Metrics": definitions,
            }],
        },
        "Function": function,
    });
    for metric in metrics {
        line[metric.name] = match metric.values.as_slice() {
            [value] => (*value).into(),
            values => values.into(),
        };
    }
    line.to_string()
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
