//! A viewer who watches a redundant playlist, as hls.js does it: reads the multivariant playlist
//! once, then one media playlist again and again, and the steering manifest each TTL; at a 404 it
//! goes to the next pathway that it knows.

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often a media playlist is read: a segment of the demo has this length.
const RELOAD: Duration = Duration::from_millis(500);

/// Somebody who watches.
pub(crate) struct SimulatedPlayer {
    seen: Arc<Mutex<Vec<PlayedSegment>>>,
    watching: JoinHandle<anyhow::Result<()>>,
}

/// The viewer got a new segment, or none.
#[derive(Clone, Debug)]
pub(crate) struct PlayedSegment {
    pub(crate) at: Instant,
    /// The pathway that it came from.
    pub(crate) pathway: String,
}

impl SimulatedPlayer {
    /// Opens a playlist and watches until dropped.
    pub(crate) fn open(url: String) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watching = tokio::spawn(watch(url, Arc::clone(&seen)));
        Self { seen, watching }
    }

    /// What the viewer has seen so far.
    pub(crate) fn seen(&self) -> Vec<PlayedSegment> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until the viewer sees this pathway; says how long after `since` that was.
    pub(crate) async fn sees(
        &self,
        pathway: &str,
        since: Instant,
        patience: Duration,
    ) -> Option<Duration> {
        while since.elapsed() < patience && !self.watching.is_finished() {
            let first = self
                .seen()
                .into_iter()
                .find(|moment| moment.at >= since && moment.pathway == pathway);
            if let Some(moment) = first {
                return Some(moment.at - since);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// The longest time without a new segment.
    pub(crate) fn longest_gap(&self) -> Duration {
        let seen = self.seen();
        seen.windows(2)
            .map(|pair| pair[1].at - pair[0].at)
            .max()
            .unwrap_or_default()
    }
}

impl Drop for SimulatedPlayer {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

type Http = Client<HttpConnector, Empty<Bytes>>;

async fn get(http: &Http, url: &str) -> anyhow::Result<Option<String>> {
    let response = http
        .get(url.parse()?)
        .await
        .with_context(|| url.to_owned())?;
    let is_there = response.status().is_success();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(is_there.then(|| String::from_utf8_lossy(&body).into_owned()))
}

async fn watch(url: String, seen: Arc<Mutex<Vec<PlayedSegment>>>) -> anyhow::Result<()> {
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    let master = get(&http, &url)
        .await?
        .with_context(|| format!("{url} is not there"))?;
    let steering = url.replace("index.m3u8", "steering.json");
    // The best rung of each pathway, which is enough to watch.
    let mut pathways = pathways(&master);
    let mut order: Vec<String> = pathways.keys().cloned().collect();
    let (mut newest, mut told_at, mut ttl) = (0, None::<Instant>, Duration::ZERO);
    loop {
        if told_at.is_none_or(|at| at.elapsed() >= ttl)
            && let Some(manifest) = get(&http, &steering).await?
        {
            let manifest: Value = serde_json::from_str(&manifest)?;
            learn(&manifest, &mut pathways);
            let priority = manifest["PATHWAY-PRIORITY"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            order = priority
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            ttl = Duration::from_secs(manifest["TTL"].as_u64().unwrap_or(300));
            told_at = Some(Instant::now());
        }
        for pathway in &order {
            let Some((_, playlist)) = pathways.get(pathway) else {
                continue;
            };
            let Ok(Some(playlist)) = get(&http, playlist).await else {
                continue;
            };
            let sequence = sequence(&playlist);
            if sequence > newest {
                newest = sequence;
                let moment = PlayedSegment {
                    at: Instant::now(),
                    pathway: pathway.clone(),
                };
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(moment);
            }
            break;
        }
        tokio::time::sleep(RELOAD / 4).await;
    }
}

/// The name of the best rung and its URL, by pathway.
fn pathways(master: &str) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    let lines: Vec<&str> = master.lines().collect();
    for pair in lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF"))
    {
        if let (Some(pathway), Some(id)) = (
            text(pair[0], "PATHWAY-ID"),
            text(pair[0], "STABLE-VARIANT-ID"),
        ) {
            found.entry(pathway).or_insert((id, pair[1].to_owned()));
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

/// New pathways, made from known ones.
fn learn(manifest: &Value, pathways: &mut BTreeMap<String, (String, String)>) {
    for clone in manifest["PATHWAY-CLONES"].as_array().into_iter().flatten() {
        let (Some(id), Some(base)) = (clone["ID"].as_str(), clone["BASE-ID"].as_str()) else {
            continue;
        };
        if pathways.contains_key(id) {
            continue;
        }
        let Some((rung, _)) = pathways.get(base).cloned() else {
            continue;
        };
        if let Some(url) = clone["URI-REPLACEMENT"]["PER-VARIANT-URIS"][&rung].as_str() {
            pathways.insert(id.to_owned(), (rung, url.to_owned()));
        }
    }
}

/// The number of the newest segment.
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
