//! AWS Elemental MediaLive: channels and their alerts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clock::iso8601;
use crate::rest::{Operation, RestRequest, ServiceError};
use crate::service::Service;
use crate::{ACCOUNT_ID, REGION, Traffic, lock, rest};

/// The largest page. The model of MediaLive 2017-10-14 has no limit.
const PAGE: usize = 1000;

/// A running MediaLive, which stops when dropped. It dereferences to its content, the [`Channels`].
///
/// It answers `DescribeChannel` and `ListAlerts`. Requests are signed with
/// [`ACCESS_KEY_ID`](crate::ACCESS_KEY_ID) for the stand-in's region.
pub type MediaLive = Service<Channels>;

impl MediaLive {
    /// Starts a MediaLive without channels.
    pub fn start(traffic: &Traffic) -> Self {
        rest::serve("medialive", traffic, Channels::default(), route)
    }
}

/// The content of a [`MediaLive`]. The server shares it; tests change it without a request. Clones
/// share one content.
///
/// Every method that names a channel panics if it does not exist.
#[derive(Clone, Default)]
pub struct Channels(Arc<Mutex<BTreeMap<String, Channel>>>);

struct Channel {
    state: String,
    /// 2 for class `STANDARD`, 1 for `SINGLE_PIPELINE`.
    pipelines: u8,
    /// The MediaPackage channel that receives the output.
    packaged_by: Option<String>,
    alerts: Vec<Alert>,
}

#[derive(Clone)]
struct Alert {
    id: String,
    pipeline: u8,
    alert_type: String,
    set_at: SystemTime,
    cleared_at: Option<SystemTime>,
}

impl Channels {
    /// Creates a running channel with one or two pipelines, and returns its ARN.
    pub fn create_channel(&self, id: &str, pipelines: u8) -> String {
        let channel = Channel {
            state: "RUNNING".to_owned(),
            pipelines,
            packaged_by: None,
            alerts: Vec::new(),
        };
        lock(&self.0).insert(id.to_owned(), channel);
        arn(id)
    }

    /// Sets the state of the channel, such as `IDLE`. MediaLive clears all alerts of a channel that
    /// stops, although the input is not back (MediaLive user guide, "Viewing alerts").
    #[track_caller]
    pub fn set_state(&self, id: &str, state: &str) {
        self.change(id, |channel| {
            state.clone_into(&mut channel.state);
            if ["STOPPING", "IDLE", "DELETING", "DELETED"].contains(&state) {
                channel
                    .alerts
                    .iter_mut()
                    .for_each(|alert| alert.clear(SystemTime::now()));
            }
        });
    }

    /// Sends the channel's output to this channel of MediaPackage (v1). Before this call, the
    /// output has no destination.
    #[track_caller]
    pub fn send_to(&self, id: &str, packaged_by: &str) {
        self.change(id, |channel| {
            channel.packaged_by = Some(packaged_by.to_owned());
        });
    }

    /// Sets an alert, such as `Video Not Detected`, unless the pipeline already has it.
    #[track_caller]
    pub fn set_alert(&self, id: &str, pipeline: u8, alert_type: &str) {
        self.set_alert_at(id, pipeline, alert_type, SystemTime::now());
    }

    /// Sets an alert as [`set_alert`](Self::set_alert) does, at a given time.
    #[track_caller]
    pub fn set_alert_at(&self, id: &str, pipeline: u8, alert_type: &str, at: SystemTime) {
        self.change(id, |channel| {
            if !channel
                .alerts
                .iter()
                .any(|alert| alert.is_set(pipeline, alert_type))
            {
                // Real ids have this length.
                let id = format!("{:037x}", channel.alerts.len() + 1);
                let alert_type = alert_type.to_owned();
                channel.alerts.push(Alert {
                    id,
                    pipeline,
                    alert_type,
                    set_at: at,
                    cleared_at: None,
                });
            }
        });
    }

    /// Clears an alert if it is set.
    #[track_caller]
    pub fn clear_alert(&self, id: &str, pipeline: u8, alert_type: &str) {
        self.clear_alert_at(id, pipeline, alert_type, SystemTime::now());
    }

    /// Clears an alert as [`clear_alert`](Self::clear_alert) does, at a given time.
    #[track_caller]
    pub fn clear_alert_at(&self, id: &str, pipeline: u8, alert_type: &str, at: SystemTime) {
        self.change(id, |channel| {
            let alerts = channel
                .alerts
                .iter_mut()
                .filter(|alert| alert.is_set(pipeline, alert_type));
            alerts.for_each(|alert| alert.clear(at));
        });
    }

    #[track_caller]
    fn change(&self, id: &str, change: impl FnOnce(&mut Channel)) {
        match lock(&self.0).get_mut(id) {
            Some(channel) => change(channel),
            None => panic!("channel {id:?} does not exist"),
        }
    }

    fn find<T>(&self, id: &str, look: impl FnOnce(&Channel) -> T) -> Result<T, ServiceError> {
        let channels = lock(&self.0);
        channels
            .get(id)
            .map(look)
            .ok_or_else(|| ServiceError::not_found(format!("channel {id} not found")))
    }
}

impl Alert {
    fn is_set(&self, pipeline: u8, alert_type: &str) -> bool {
        self.cleared_at.is_none() && self.pipeline == pipeline && self.alert_type == alert_type
    }

    fn clear(&mut self, at: SystemTime) {
        self.cleared_at.get_or_insert(at);
    }

    fn state(&self) -> &'static str {
        if self.cleared_at.is_some() {
            "CLEARED"
        } else {
            "SET"
        }
    }

    fn wire(&self) -> Value {
        let mut alert = json!({
            "alertType": self.alert_type,
            "id": self.id,
            "message": format!("{} on purpose", self.alert_type),
            "pipelineId": self.pipeline.to_string(),
            "setTimestamp": iso8601(self.set_at),
            "state": self.state(),
        });
        if let Some(at) = self.cleared_at {
            alert["clearedTimestamp"] = json!(iso8601(at));
        }
        alert
    }
}

/// Finds the operation of a request (model of MediaLive 2017-10-14, in botocore).
fn route(channels: &Channels, mut ask: RestRequest) -> Option<Operation> {
    let channels = channels.clone();
    let path = std::mem::take(&mut ask.path);
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    Some(match (&ask.method, path.as_slice()) {
        (&Method::GET, ["prod", "channels", id]) => {
            Operation::new("DescribeChannel", id, move |id| {
                Ok((
                    StatusCode::OK,
                    channels.find(id, |channel| channel.wire(id))?,
                ))
            })
        }
        (&Method::GET, ["prod", "channels", id, "alerts"]) => {
            Operation::new("ListAlerts", id, move |id| {
                Ok((StatusCode::OK, channels.alerts(id, &ask)?))
            })
        }
        _ => return None,
    })
}

impl Channels {
    fn alerts(&self, id: &str, ask: &RestRequest) -> Result<Value, ServiceError> {
        let bad_request = |message: String| ServiceError::new(StatusCode::BAD_REQUEST, message);
        // AWS does not document the default of the filter.
        let filter = ask.query.get("stateFilter").map_or("SET", String::as_str);
        if !["SET", "CLEARED", "ALL"].contains(&filter) {
            return Err(bad_request(format!("stateFilter must not be {filter}")));
        }
        let alerts = self.find(id, |channel| channel.alerts.clone())?;
        let wanted = alerts
            .iter()
            .filter(|alert| filter == "ALL" || alert.state() == filter);
        ask.page("alerts", wanted.map(Alert::wire).collect(), PAGE)
            .map_err(bad_request)
    }
}

impl Channel {
    fn wire(&self, id: &str) -> Value {
        let running = if self.state == "RUNNING" {
            self.pipelines
        } else {
            0
        };
        let pipeline = |pipeline: u8| json!({"activeInputAttachmentName": "input", "pipelineId": pipeline.to_string()});
        let destination = |channel: &String| json!({"id": "mediapackage", "mediaPackageSettings": [{"channelId": channel}], "settings": []});
        json!({
            "arn": arn(id),
            "destinations": self.packaged_by.iter().map(destination).collect::<Vec<_>>(),
            "channelClass": if self.pipelines == 1 { "SINGLE_PIPELINE" } else { "STANDARD" },
            "id": id,
            "logLevel": "DISABLED",
            "name": format!("channel {id}"),
            "pipelineDetails": (0..running).map(pipeline).collect::<Vec<_>>(),
            "pipelinesRunningCount": running,
            "state": self.state,
            "tags": {},
        })
    }
}

fn arn(id: &str) -> String {
    format!("arn:aws:medialive:{REGION}:{ACCOUNT_ID}:channel:{id}")
}
