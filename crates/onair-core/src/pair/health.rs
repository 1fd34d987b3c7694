//! What MediaLive says of a side's input.

use super::endpoint::Definition;
use super::{Pair, Side, Sides, Source};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// An alert of a channel, as MediaLive's ListAlerts gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What it is about, as MediaLive spells it.
    pub alert_type: String,
    /// The pipeline, `0` or `1`.
    pub pipeline: String,
    /// It has not been cleared.
    pub is_set: bool,
    /// When it was cleared.
    pub cleared_at: Option<DateTime<Utc>>,
}

/// A channel, as MediaLive's DescribeChannel gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// For example `RUNNING`.
    pub state: String,
    /// How many of its pipelines run.
    pub pipelines_running: i32,
    /// It should have two.
    pub is_standard: bool,
    /// The ids of the MediaPackage channels that it sends to, if it names all that it sends to.
    pub packaged_by: Vec<String>,
}

/// Whether a side's input is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// No alert of the chosen types is set and the channel runs.
    Clean {
        /// When the last such alert was cleared, as far as MediaLive remembers.
        last_cleared: Option<DateTime<Utc>>,
    },
    /// It is not, and why.
    Troubled(String),
}

/// The types of the alerts that are set, among those that mean a lost input, on the side's
/// pipeline.
pub fn set_alerts<'a>(
    source: &Source,
    types: &BTreeSet<String>,
    alerts: &'a [Alert],
) -> Vec<&'a str> {
    let set = of_source(source, types, alerts).filter(|alert| alert.is_set);
    set.map(|alert| alert.alert_type.as_str()).collect()
}

/// Whether a side's input is well. That its alerts are cleared does not say so: stopping a channel
/// clears them all (MediaLive User Guide, "Types of alerts").
pub fn health(
    source: &Source,
    types: &BTreeSet<String>,
    channel: &Channel,
    alerts: &[Alert],
) -> Health {
    let set = set_alerts(source, types, alerts);
    if !set.is_empty() {
        return Health::Troubled(format!("alerts are set: {}", set.join(", ")));
    }
    if channel.state != "RUNNING" {
        return Health::Troubled(format!("its channel is {}", channel.state));
    }
    let (runs, due) = (
        channel.pipelines_running,
        if channel.is_standard { 2 } else { 1 },
    );
    if runs < due {
        // Which of the two runs is not said.
        return Health::Troubled(format!("{runs} of {due} pipelines of its channel run"));
    }
    Health::Clean {
        last_cleared: of_source(source, types, alerts)
            .filter_map(|alert| alert.cleared_at)
            .max(),
    }
}

/// What is wrong with how the sides are put together, if it can be told: a fail-over would cut what
/// is well.
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
        let (sent_to, endpoint) = (&channels[side].packaged_by, endpoints[side]?);
        let is_its_own = sent_to.is_empty() || sent_to.iter().any(|id| id == endpoint.channel_id());
        (!is_its_own).then(|| {
            let (channel, sent_to) = (pair.sides[side].channel_id(), sent_to.join(", "));
            let (id, serves) = (endpoint.id(), endpoint.channel_id());
            format!(
                "endpoint {id} is not side {side}'s: it serves MediaPackage channel {serves}, and MediaLive channel \
                 {channel} sends to {sent_to}"
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
