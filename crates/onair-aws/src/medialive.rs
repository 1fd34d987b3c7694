//! AWS Elemental MediaLive: what it says of a channel and of its inputs.

use crate::error::Error;
use aws_config::SdkConfig;
use aws_sdk_medialive::Client;
use aws_sdk_medialive::primitives::DateTime;
use aws_sdk_medialive::types::{ChannelAlertState, ChannelClass};
use onair_core::pair::health::{Alert, Channel};

/// A client for MediaLive.
#[derive(Debug, Clone)]
pub struct MediaLive {
    client: Client,
}

/// Which alerts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alerts {
    /// Those that are set.
    Set,
    /// Those that were cleared, too, as long as MediaLive remembers them.
    All,
}

impl MediaLive {
    /// A client on the shared configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// The alerts of a channel.
    ///
    /// # Errors
    ///
    /// When MediaLive does not answer, or refuses.
    pub async fn alerts(&self, channel: &str, which: Alerts) -> Result<Vec<Alert>, Error> {
        let filter = match which {
            Alerts::Set => "SET",
            Alerts::All => "ALL",
        };
        let pages = self
            .client
            .list_alerts()
            .channel_id(channel)
            .state_filter(filter)
            .into_paginator()
            .items()
            .send();
        let alerts = pages.collect::<Result<Vec<_>, _>>().await;
        let alerts = alerts.map_err(|error| Error::of("ListAlerts", channel, error))?;
        let alert = |alert: aws_sdk_medialive::types::ChannelAlert| Alert {
            is_set: alert.state == Some(ChannelAlertState::Set),
            alert_type: alert.alert_type.unwrap_or_default(),
            pipeline: alert.pipeline_id.unwrap_or_default(),
            cleared_at: alert.cleared_timestamp.and_then(time),
        };
        Ok(alerts.into_iter().map(alert).collect())
    }

    /// A channel.
    ///
    /// # Errors
    ///
    /// When MediaLive does not answer, or refuses; also when there is no such channel.
    pub async fn channel(&self, channel: &str) -> Result<Channel, Error> {
        let described = self
            .client
            .describe_channel()
            .channel_id(channel)
            .send()
            .await;
        let described = described.map_err(|error| Error::of("DescribeChannel", channel, error))?;
        let destinations = described.destinations.unwrap_or_default();
        // What it sends to URLs may go to MediaPackage as well.
        let names_all = destinations
            .iter()
            .all(|destination| destination.settings().is_empty());
        let destinations = destinations.into_iter().filter(|_| names_all);
        let settings = destinations
            .flat_map(|destination| destination.media_package_settings.unwrap_or_default());
        Ok(Channel {
            state: described
                .state
                .map(|state| state.as_str().to_owned())
                .unwrap_or_default(),
            pipelines_running: described.pipelines_running_count.unwrap_or_default(),
            is_standard: described.channel_class == Some(ChannelClass::Standard),
            mediapackage_channels: settings
                .filter_map(|settings| settings.channel_id)
                .collect(),
        })
    }
}

fn time(time: DateTime) -> Option<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}
