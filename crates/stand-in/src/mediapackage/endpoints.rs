//! Channels and their origin endpoints.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::definition;
use crate::clock::iso8601;
use crate::live::Timeline;
use crate::rest::ServiceError;
use crate::{ACCOUNT_ID, REGION, SyntheticStream, lock};

/// The stream of a channel, which its endpoints serve.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A stream that is computed from the clock.
    Synthetic(SyntheticStream),
    /// The files that a program such as ffmpeg writes into a folder.
    Directory {
        path: PathBuf,
        /// The file name of the multivariant playlist. Endpoints serve it under the name of their
        /// own manifest.
        master: String,
    },
}

impl From<SyntheticStream> for Source {
    fn from(live: SyntheticStream) -> Self {
        Self::Synthetic(live)
    }
}

/// A response that a test chose instead of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status with an empty body.
    Status(u16),
    /// A playlist with this text.
    Text(String),
    /// A redirect (302) to this URL.
    Redirect(String),
    /// The stream after a delay.
    Late(Duration),
}

/// The content of a [`MediaPackage`](crate::MediaPackage). The server shares it; tests read and
/// change it without a request. Clones share one content.
///
/// Endpoints are JSON with the names of the wire, such as `channelId`.
#[derive(Clone, Default)]
pub struct Endpoints(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    origin_url: String,
    channels: HashMap<String, Channel>,
    /// The uuids of endpoints that are not deleted, by id.
    ids: BTreeMap<String, String>,
    /// All endpoints by uuid, deleted ones included.
    endpoints: HashMap<String, Endpoint>,
    replies: HashMap<(String, String), Reply>,
    start_delay: Duration,
    delete_delay: Duration,
    denied_status: Option<u16>,
}

struct Channel {
    source: Source,
    timeline: Timeline,
}

struct Endpoint {
    /// The endpoint as `DescribeOriginEndpoint` returns it.
    described: Value,
    created_at: Instant,
    deleted_at: Option<Instant>,
}

/// The reaction of the origin to a player's request.
pub(super) enum Serving {
    Nothing,
    /// The origin denies the request with this status.
    Denied(u16),
    Stream {
        source: Source,
        timeline: Timeline,
        manifest: String,
        file: String,
    },
}

impl Endpoints {
    /// Creates a channel, or changes the source of an existing one.
    pub fn create_channel(&self, id: &str, source: impl Into<Source>) {
        let channel = Channel {
            source: source.into(),
            timeline: Timeline::default(),
        };
        lock(&self.0).channels.insert(id.to_owned(), channel);
    }

    /// Freezes the live edge of a channel's [`SyntheticStream`]: existing segments stay, and no new
    /// ones follow.
    ///
    /// Panics if the channel does not exist.
    #[track_caller]
    pub fn stall(&self, channel: &str) {
        self.change_timeline(channel, |timeline| timeline.stall(SystemTime::now()));
    }

    /// Continues the stream with the next sequence number after an `EXT-X-DISCONTINUITY`.
    ///
    /// Panics if the channel does not exist.
    #[track_caller]
    pub fn resume(&self, channel: &str) {
        self.change_timeline(channel, |timeline| timeline.resume(SystemTime::now()));
    }

    #[track_caller]
    fn change_timeline(&self, channel: &str, change: impl FnOnce(&mut Timeline)) {
        match lock(&self.0).channels.get_mut(channel) {
            Some(channel) => change(&mut channel.timeline),
            None => panic!("channel {channel:?} does not exist"),
        }
    }

    /// Creates an endpoint as `CreateOriginEndpoint` does, and returns its description.
    ///
    /// Panics if MediaPackage would refuse it.
    #[track_caller]
    pub fn create(&self, endpoint: &Value) -> Value {
        self.try_create(endpoint)
            .unwrap_or_else(|failure| panic!("{endpoint}: {failure:?}"))
    }

    /// Updates an endpoint as `UpdateOriginEndpoint` does, and returns its description.
    ///
    /// Panics if MediaPackage would refuse it.
    #[track_caller]
    pub fn update(&self, id: &str, endpoint: &Value) -> Value {
        self.try_update(id, endpoint)
            .unwrap_or_else(|failure| panic!("{endpoint}: {failure:?}"))
    }

    /// Deletes an endpoint as `DeleteOriginEndpoint` does, if it exists.
    pub fn delete(&self, id: &str) {
        let _ = self.try_delete(id);
    }

    /// The endpoint as `DescribeOriginEndpoint` returns it.
    pub fn endpoint(&self, id: &str) -> Option<Value> {
        self.find(id).ok()
    }

    /// The endpoint's URL.
    ///
    /// Panics if the endpoint does not exist.
    #[track_caller]
    pub fn url(&self, id: &str) -> String {
        let endpoint = self
            .endpoint(id)
            .unwrap_or_else(|| panic!("endpoint {id:?} does not exist"));
        endpoint["url"].as_str().unwrap_or_default().to_owned()
    }

    /// Sets for how long a new endpoint serves nothing (404). The default is zero.
    pub fn set_start_delay(&self, delay: Duration) {
        lock(&self.0).start_delay = delay;
    }

    /// Sets for how long a deleted endpoint is still served. The default is zero; AWS documents no
    /// value.
    pub fn set_delete_delay(&self, delay: Duration) {
        lock(&self.0).delete_delay = delay;
    }

    /// Sets the status of requests to an endpoint with `"origination": "DENY"`. The default is 403;
    /// AWS documents only "an error".
    pub fn set_denied_status(&self, status: u16) {
        lock(&self.0).denied_status = Some(status);
    }

    /// Sets the response of an endpoint instead of its stream. The endpoint may be created later.
    /// `file` is one file, such as `index.m3u8`, or empty for all files.
    pub fn set_reply(&self, id: &str, file: &str, reply: Reply) {
        lock(&self.0)
            .replies
            .insert((id.to_owned(), file.to_owned()), reply);
    }

    /// Removes all responses of [`set_reply`](Self::set_reply) for the endpoint.
    pub fn clear_replies(&self, id: &str) {
        lock(&self.0).replies.retain(|(of, _), _| of != id);
    }

    /// The beginning of the URL of every origin endpoint.
    pub fn origin_url(&self) -> String {
        lock(&self.0).origin_url.clone()
    }
}

/// Changes of the content by requests.
impl Endpoints {
    pub(super) fn serve_from(&self, origin_url: &str) {
        origin_url.clone_into(&mut lock(&self.0).origin_url);
    }

    pub(super) fn list(&self, channel: &str) -> Vec<Value> {
        let state = lock(&self.0);
        let all = state
            .ids
            .values()
            .filter_map(|uuid| state.endpoints.get(uuid));
        let described = all.map(|endpoint| endpoint.described.clone());
        described
            .filter(|endpoint| channel.is_empty() || endpoint["channelId"] == channel)
            .collect()
    }

    pub(super) fn find(&self, id: &str) -> Result<Value, ServiceError> {
        let state = lock(&self.0);
        let endpoint = state.ids.get(id).and_then(|uuid| state.endpoints.get(uuid));
        endpoint
            .map(|endpoint| endpoint.described.clone())
            .ok_or_else(|| no_such_endpoint(id))
    }

    pub(super) fn try_create(&self, input: &Value) -> Result<Value, ServiceError> {
        let mut described = definition::created(input).map_err(ServiceError::unprocessable)?;
        let text = |name: &str| described[name].as_str().unwrap_or_default().to_owned();
        let (id, channel) = (text("id"), text("channelId"));
        let mut state = lock(&self.0);
        if !state.channels.contains_key(&channel) {
            return Err(ServiceError::not_found(format!(
                "channel {channel} not found"
            )));
        }
        if state.ids.contains_key(&id) {
            return Err(ServiceError::unprocessable(format!(
                "an origin endpoint with id {id} already exists"
            )));
        }
        // Looks random, as AWS's do, and is the same in every run.
        let uuid = format!(
            "{:x}",
            Md5::digest(format!("{id} {}", state.endpoints.len()))
        );
        let arn = format!("arn:aws:mediapackage:{REGION}:{ACCOUNT_ID}:origin_endpoints/{uuid}");
        described.insert("arn".to_owned(), json!(arn));
        described.insert("createdAt".to_owned(), json!(iso8601(SystemTime::now())));
        let described =
            definition::with_urls(described, &format!("{}/out/v1/{uuid}", state.origin_url));
        let answer = described.clone();
        state.ids.insert(id, uuid.clone());
        state.endpoints.insert(
            uuid,
            Endpoint {
                described,
                created_at: Instant::now(),
                deleted_at: None,
            },
        );
        Ok(answer)
    }

    pub(super) fn try_update(&self, id: &str, input: &Value) -> Result<Value, ServiceError> {
        let mut state = lock(&self.0);
        let state = &mut *state;
        let uuid = state.ids.get(id).ok_or_else(|| no_such_endpoint(id))?;
        let endpoint = state
            .endpoints
            .get_mut(uuid)
            .ok_or_else(|| no_such_endpoint(id))?;
        let updated =
            definition::updated(&endpoint.described, input).map_err(ServiceError::unprocessable)?;
        endpoint.described =
            definition::with_urls(updated, &format!("{}/out/v1/{uuid}", state.origin_url));
        Ok(endpoint.described.clone())
    }

    pub(super) fn try_delete(&self, id: &str) -> Result<(), ServiceError> {
        let mut state = lock(&self.0);
        let uuid = state.ids.remove(id).ok_or_else(|| no_such_endpoint(id))?;
        if let Some(endpoint) = state.endpoints.get_mut(&uuid) {
            endpoint.deleted_at = Some(Instant::now());
        }
        Ok(())
    }

    pub(super) fn uuid(&self, id: &str) -> Option<String> {
        lock(&self.0).ids.get(id).cloned()
    }

    /// Finds the origin's reaction to a path below a uuid.
    pub(super) fn serving(&self, uuid: &str, path: &str) -> Serving {
        let state = lock(&self.0);
        let Some(endpoint) = state.served(uuid) else {
            return Serving::Nothing;
        };
        if endpoint["origination"] == "DENY" {
            return Serving::Denied(state.denied_status.unwrap_or(403));
        }
        let channel = endpoint["channelId"]
            .as_str()
            .and_then(|channel| state.channels.get(channel));
        match (channel, definition::manifest(endpoint, path)) {
            (Some(Channel { source, timeline }), Some((manifest, file))) => Serving::Stream {
                source: source.clone(),
                timeline: timeline.clone(),
                manifest,
                file,
            },
            _ => Serving::Nothing,
        }
    }

    /// The response that a test chose for this path.
    pub(super) fn reply(&self, uuid: &str, path: &str) -> Option<Reply> {
        let state = lock(&self.0);
        let id = state.served(uuid)?["id"].as_str()?.to_owned();
        let replies = [path, ""].map(|file| state.replies.get(&(id.clone(), file.to_owned())));
        replies.into_iter().flatten().next().cloned()
    }
}

impl State {
    /// The endpoint of this uuid, if the origin serves it at this time.
    fn served(&self, uuid: &str) -> Option<&Value> {
        let endpoint = self.endpoints.get(uuid)?;
        let is_gone = endpoint
            .deleted_at
            .is_some_and(|at| at.elapsed() >= self.delete_delay);
        let is_there = endpoint.created_at.elapsed() >= self.start_delay;
        (is_there && !is_gone).then_some(&endpoint.described)
    }
}

fn no_such_endpoint(id: &str) -> ServiceError {
    ServiceError::not_found(format!("origin endpoint {id} not found"))
}
