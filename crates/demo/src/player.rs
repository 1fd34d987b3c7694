//! A player that plays a redundant playlist as hls.js does. It reads the multivariant playlist
//! once, a media playlist again and again, and the steering manifest after each TTL. At a 404 it
//! changes to the next known pathway.

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The interval at which a media playlist is read: the length of a segment in the demo.
const RELOAD: Duration = Duration::from_millis(500);

/// A running player. It stops when dropped.
pub(crate) struct SimulatedPlayer {
    played: Arc<Mutex<Vec<PlayedSegment>>>,
    playing: JoinHandle<anyhow::Result<()>>,
}

/// A new segment that the player got.
#[derive(Clone, Debug)]
pub(crate) struct PlayedSegment {
    pub(crate) at: Instant,
    pub(crate) pathway: String,
}

impl SimulatedPlayer {
    /// Opens a playlist and plays it until dropped.
    pub(crate) fn open(url: String) -> Self {
        let played = Arc::new(Mutex::new(Vec::new()));
        let playing = tokio::spawn(play(url, Arc::clone(&played)));
        Self { played, playing }
    }

    /// Every segment so far.
    pub(crate) fn played(&self) -> Vec<PlayedSegment> {
        lock(&self.played).clone()
    }

    /// Waits until the player plays this pathway. Returns the time after `since`.
    pub(crate) async fn plays(
        &self,
        pathway: &str,
        since: Instant,
        limit: Duration,
    ) -> Option<Duration> {
        while since.elapsed() < limit && !self.playing.is_finished() {
            let first = self
                .played()
                .into_iter()
                .find(|segment| segment.at >= since && segment.pathway == pathway);
            if let Some(segment) = first {
                return Some(segment.at - since);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// The longest time without a new segment.
    pub(crate) fn longest_gap(&self) -> Duration {
        let played = self.played();
        played
            .windows(2)
            .map(|pair| pair[1].at - pair[0].at)
            .max()
            .unwrap_or_default()
    }
}

impl Drop for SimulatedPlayer {
    fn drop(&mut self) {
        self.playing.abort();
    }
}

fn lock(played: &Mutex<Vec<PlayedSegment>>) -> MutexGuard<'_, Vec<PlayedSegment>> {
    played.lock().unwrap_or_else(PoisonError::into_inner)
}

type Http = Client<HttpConnector, Empty<Bytes>>;

async fn get(http: &Http, url: &str) -> anyhow::Result<Option<String>> {
    let response = http
        .get(url.parse()?)
        .await
        .with_context(|| url.to_owned())?;
    let is_success = response.status().is_success();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(is_success.then(|| String::from_utf8_lossy(&body).into_owned()))
}

async fn play(url: String, played: Arc<Mutex<Vec<PlayedSegment>>>) -> anyhow::Result<()> {
    let mut session = Session::open(&url).await?;
    loop {
        session.follow_steering().await?;
        if let Some(pathway) = session.load_next().await {
            let at = Instant::now();
            lock(&played).push(PlayedSegment { at, pathway });
        }
        tokio::time::sleep(RELOAD / 4).await;
    }
}

/// The state of one player.
struct Session {
    http: Http,
    steering_url: String,
    /// The best variant of each pathway, by the pathway's name.
    pathways: BTreeMap<String, BestVariant>,
    order: Vec<String>,
    newest: u64,
    steered_at: Option<Instant>,
    ttl: Duration,
}

#[derive(Clone)]
struct BestVariant {
    /// `STABLE-VARIANT-ID`
    id: String,
    url: String,
}

impl Session {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let http: Http = Client::builder(TokioExecutor::new()).build_http();
        let playlist = get(&http, url).await?;
        let playlist = playlist.with_context(|| format!("{url} does not exist"))?;
        let pathways = pathways(&playlist);
        Ok(Self {
            http,
            steering_url: url.replace("index.m3u8", "steering.json"),
            order: pathways.keys().cloned().collect(),
            pathways,
            newest: 0,
            steered_at: None,
            ttl: Duration::ZERO,
        })
    }

    /// Reads the steering manifest when its TTL is over.
    async fn follow_steering(&mut self) -> anyhow::Result<()> {
        if self.steered_at.is_some_and(|at| at.elapsed() < self.ttl) {
            return Ok(());
        }
        let Some(manifest) = get(&self.http, &self.steering_url).await? else {
            return Ok(());
        };
        let manifest: Value = serde_json::from_str(&manifest)?;
        add_clones(&manifest, &mut self.pathways);
        let priority = manifest["PATHWAY-PRIORITY"].as_array();
        self.order = priority
            .into_iter()
            .flatten()
            .filter_map(|pathway| pathway.as_str().map(str::to_owned))
            .collect();
        self.ttl = Duration::from_secs(manifest["TTL"].as_u64().unwrap_or(300));
        self.steered_at = Some(Instant::now());
        Ok(())
    }

    /// Reads the media playlist of the first pathway that responds. Returns the pathway if it has a
    /// new segment.
    async fn load_next(&mut self) -> Option<String> {
        for pathway in &self.order {
            let Some(variant) = self.pathways.get(pathway) else {
                continue;
            };
            let Ok(Some(playlist)) = get(&self.http, &variant.url).await else {
                continue;
            };
            let newest = sequence(&playlist);
            if newest <= self.newest {
                return None;
            }
            self.newest = newest;
            return Some(pathway.clone());
        }
        None
    }
}

/// The best variant of each pathway, which is the first one in the playlist.
fn pathways(multivariant: &str) -> BTreeMap<String, BestVariant> {
    let mut found = BTreeMap::new();
    let lines: Vec<&str> = multivariant.lines().collect();
    let streams = lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF"));
    for pair in streams {
        let attributes = (
            text(pair[0], "PATHWAY-ID"),
            text(pair[0], "STABLE-VARIANT-ID"),
        );
        if let (Some(pathway), Some(id)) = attributes {
            let url = pair[1].to_owned();
            found.entry(pathway).or_insert(BestVariant { id, url });
        }
    }
    found
}

fn text(tag: &str, name: &str) -> Option<String> {
    tag.split(&format!("{name}=\""))
        .nth(1)?
        .split('"')
        .next()
        .map(str::to_owned)
}

/// Adds the pathways that a steering manifest clones from known ones.
fn add_clones(manifest: &Value, pathways: &mut BTreeMap<String, BestVariant>) {
    for clone in manifest["PATHWAY-CLONES"].as_array().into_iter().flatten() {
        let (Some(id), Some(base)) = (clone["ID"].as_str(), clone["BASE-ID"].as_str()) else {
            continue;
        };
        if pathways.contains_key(id) {
            continue;
        }
        let Some(BestVariant { id: variant, .. }) = pathways.get(base).cloned() else {
            continue;
        };
        if let Some(url) = clone["URI-REPLACEMENT"]["PER-VARIANT-URIS"][&variant].as_str() {
            let url = url.to_owned();
            pathways.insert(id.to_owned(), BestVariant { id: variant, url });
        }
    }
}

/// The media sequence number after the newest segment.
pub(crate) fn sequence(playlist: &str) -> u64 {
    let first = playlist
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
    let first: u64 = first
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or_default();
    let count = playlist
        .lines()
        .filter(|line| line.starts_with("#EXTINF"))
        .count();
    first + u64::try_from(count).unwrap_or_default()
}
