//! Metrics as CloudWatch's embedded metric format: one JSON line on standard output is the whole protocol,
//! so a function needs no permission and no request to report figures.
//!
//! Format: CloudWatch User Guide, "Specification: Embedded metric format".

use serde_json::{Value, json};

/// The unit of a metric's value, spelled as CloudWatch spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A size in bytes.
    Bytes,
}

/// One figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The metric's name in CloudWatch, for example `ObjectsDeleted`.
    pub name: &'static str,
    /// What the value counts.
    pub unit: Unit,
    /// The value itself.
    pub value: u64,
}

impl Metric {
    /// A metric that counts things.
    pub fn count(name: &'static str, value: u64) -> Self {
        Self { name, unit: Unit::Count, value }
    }

    /// A metric that measures a size in bytes.
    pub fn bytes(name: &'static str, value: u64) -> Self {
        Self { name, unit: Unit::Bytes, value }
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
        line[metric.name] = metric.value.into();
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
            &[Metric::count("ObjectsDeleted", 57), Metric::bytes("BytesDeleted", 51_729_196)],
        );
        insta::assert_snapshot!(line, @r#"{"_aws":{"Timestamp":1700000000000,"CloudWatchMetrics":[{"Namespace":"OnAir","Dimensions":[["Function"]],"Metrics":[{"Name":"ObjectsDeleted","Unit":"Count"},{"Name":"BytesDeleted","Unit":"Bytes"}]}]},"Function":"prune-recording","ObjectsDeleted":57,"BytesDeleted":51729196}"#);
    }
}
