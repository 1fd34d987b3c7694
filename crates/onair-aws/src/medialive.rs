//! AWS Elemental MediaLive: the alerts and the state of a channel.

use crate::error::Error;
use aws_config::SdkConfig;
use aws_sdk_medialive::Client;
use aws_sdk_medialive::primitives::DateTime;
use aws_sdk_medialive::types::{ChannelAlertState, ChannelClass};
use onair_core::pair::health::{Alert, Channel};

/// Reads alerts and channels of MediaLive.
#[derive(Debug, Clone)]
pub struct MediaLive {
    client: Client,
}

/// The filter of ListAlerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alerts {
    /// Only alerts that are set.
    Set,
    /// Cleared alerts as well, as long as MediaLive lists them.
    All,
}

impl MediaLive {
    /// Creates a client with the shared configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// Lists the alerts of a channel.
    ///
    /// # Errors
    ///
    /// The request failed.
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

    /// Describes a channel.
    ///
    /// # Errors
    ///
    /// The request failed, or the channel does not exist.
    pub async fn channel(&self, channel: &str) -> Result<Channel, Error> {
        let described = self
            .client
            .describe_channel()
            .channel_id(channel)
            .send()
            .await;
        let described = described.map_err(|error| Error::of("DescribeChannel", channel, error))?;
        let destinations = described.destinations.unwrap_or_default();
        // A destination that is a URL may be in MediaPackage as well.
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
