//! Whether the input of a side is healthy, by the alerts and the channel of MediaLive.

use super::endpoint::Definition;
use super::{Pair, Side, Sides, Source};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// An alert of a channel, as ListAlerts returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// For example `Video Not Detected`.
    pub alert_type: String,
    /// The pipeline, `0` or `1`.
    pub pipeline: String,
    /// Whether the alert is still set; otherwise it was cleared.
    pub is_set: bool,
    /// The time at which the alert was cleared.
    pub cleared_at: Option<DateTime<Utc>>,
}

/// A channel, as DescribeChannel returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// For example `RUNNING`.
    pub state: String,
    /// The number of pipelines that are running.
    pub pipelines_running: i32,
    /// Whether the channel is standard, which has two pipelines, and not single-pipeline.
    pub is_standard: bool,
    /// The ids of its destinations in MediaPackage. Empty if a destination is a URL, because a URL
    /// may be in MediaPackage as well.
    pub mediapackage_channels: Vec<String>,
}

/// Whether the input of a side is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// No alert of the pair's alert types is set, and the channel is running.
    Healthy {
        /// The time at which the last such alert was cleared, as long as MediaLive lists it.
        last_cleared: Option<DateTime<Utc>>,
    },
    /// An alert is set, or the channel is not running. Which one, for people.
    Unhealthy(String),
}

/// The types of the alerts that are set on the pipeline of a side and that mean a lost input.
pub fn set_alerts<'a>(
    source: &Source,
    types: &BTreeSet<String>,
    alerts: &'a [Alert],
) -> Vec<&'a str> {
    let set = of_source(source, types, alerts).filter(|alert| alert.is_set);
    set.map(|alert| alert.alert_type.as_str()).collect()
}

/// Evaluates the input of a side. Cleared alerts are not enough: stopping a channel clears all its
/// alerts (MediaLive User Guide, "Types of alerts").
pub fn health(
    source: &Source,
    types: &BTreeSet<String>,
    channel: &Channel,
    alerts: &[Alert],
) -> Health {
    let set = set_alerts(source, types, alerts);
    if !set.is_empty() {
        return Health::Unhealthy(format!("alerts are set: {}", set.join(", ")));
    }
    if channel.state != "RUNNING" {
        return Health::Unhealthy(format!("the channel is {}", channel.state));
    }
    let running = channel.pipelines_running;
    let expected = if channel.is_standard { 2 } else { 1 };
    if running < expected {
        // MediaLive does not report which of the two is running.
        return Health::Unhealthy(format!(
            "{running} of {expected} pipelines of the channel are running"
        ));
    }
    Health::Healthy {
        last_cleared: of_source(source, types, alerts)
            .filter_map(|alert| alert.cleared_at)
            .max(),
    }
}

/// Describes endpoints that are swapped between the sides, as far as the destinations of the
/// channels show it: a fail-over would cut the healthy side.
pub fn misconfiguration(
    pair: &Pair,
    channels: &Sides<&Channel>,
    endpoints: &Sides<Option<&Definition>>,
) -> Option<String> {
    let (a, b) = (endpoints.a, endpoints.b);
    if let (Some(a), Some(b)) = (a, b)
        && a.channel_id() == b.channel_id()
    {
        let (a, b, channel) = (a.id(), b.id(), a.channel_id());
        return Some(format!(
            "endpoints {a} and {b} serve the same MediaPackage channel, {channel}"
        ));
    }
    Side::BOTH.into_iter().find_map(|side| {
        let (sent_to, endpoint) = (&channels[side].mediapackage_channels, endpoints[side]?);
        let is_own = sent_to.is_empty() || sent_to.iter().any(|id| id == endpoint.channel_id());
        (!is_own).then(|| {
            let (channel, sent_to) = (pair.sides[side].channel_id(), sent_to.join(", "));
            let (id, serves) = (endpoint.id(), endpoint.channel_id());
            format!(
                "endpoint {id} is configured for side {side}, but serves MediaPackage channel \
                 {serves}; MediaLive channel {channel} sends to {sent_to}"
            )
        })
    })
}

fn of_source<'a>(
    source: &Source,
    types: &BTreeSet<String>,
    alerts: &'a [Alert],
) -> impl Iterator<Item = &'a Alert> {
    alerts
        .iter()
        .filter(move |alert| alert.pipeline == source.pipeline && types.contains(&alert.alert_type))
}
