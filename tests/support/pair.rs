//! A pair for stories, and the view of its viewers.

use crate::{binary, event, response};
use scenes::pair;
use serde_json::{Value, json};
use stand_in::{Answer, Buckets, Endpoints, Function, Object, S3, Snapshot, SyntheticStream};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

pub use scenes::pair::{ALERT, CHANNELS, CONTROL, ENDPOINTS, INDEX, PUBLIC, STATE, STEERING};
pub use scenes::time;

/// The calls that a [`ViewerMonitor`] checks: more than any run makes.
const WATCHED_CALLS: usize = 150;

/// A pair named `show` before its first event, and its functions.
pub struct Stage(pair::Pair);

impl Deref for Stage {
    type Target = pair::Pair;

    fn deref(&self) -> &pair::Pair {
        &self.0
    }
}

impl Stage {
    /// Both sides have the same stream, in short segments so that a story is quick.
    pub fn new() -> Self {
        let live = || SyntheticStream {
            segment_ms: 500,
            window_segments: 20,
            has_audio_group: true,
            ..SyntheticStream::default()
        };
        Self::with(live(), live())
    }

    /// Each side has its own stream.
    pub fn with(a: SyntheticStream, b: SyntheticStream) -> Self {
        Self(pair::Pair::with([a, b]))
    }

    /// Both sides have the same stream, and the playlist is published.
    pub async fn published(settings: &[(&str, &str)]) -> Self {
        let stage = Self::new();
        stage.publish(settings).await;
        stage
    }

    /// Runs `publish-playlist`.
    ///
    /// # Panics
    ///
    /// If nothing was published.
    pub async fn publish(&self, settings: &[(&str, &str)]) -> Value {
        let answer = self
            .call(
                "publish-playlist",
                settings,
                event("publish-playlist/schedule.json"),
            )
            .await;
        let answer = response(answer);
        assert_eq!(answer["outcome"], "published", "{answer:#}");
        answer
    }

    /// Restores the state before the first event, but endpoints get new URLs. Streams and alerts
    /// stay.
    pub fn renew(&self) {
        for bucket in [CONTROL, PUBLIC] {
            for key in self.s3.keys(bucket, "") {
                self.s3.delete(bucket, &key);
            }
        }
        for (side, endpoint) in ENDPOINTS.into_iter().enumerate() {
            self.mediapackage.delete(endpoint);
            self.mediapackage.create(&pair::definition(side));
        }
    }

    /// Starts one of the pair's functions.
    pub fn start(&self, stem: &str, settings: &[(&str, &str)]) -> Function {
        let settings = [&[("SSL_CERT_FILE", certificate())], settings].concat();
        Function::start(&binary(stem), self.environment(&settings))
    }

    /// Starts a function and invokes it once.
    pub async fn call(&self, stem: &str, settings: &[(&str, &str)], event: Value) -> Answer {
        self.start(stem, settings).invoke(event).await
    }

    /// Replaces the state document.
    pub fn put_state(&self, state: &Value) {
        self.s3.put(CONTROL, STATE, state.to_string());
    }

    /// Moves the times of all changes of the sides back by an hour.
    pub fn an_hour_passes(&self) {
        let mut state = self.state();
        for side in ["A", "B"] {
            let since = &mut state["sides"][side]["since"];
            if since.is_string() {
                *since = ago(Duration::from_secs(3_600)).into();
            }
        }
        self.put_state(&state);
    }

    /// A published text, or an empty one if it does not exist.
    pub fn public(&self, name: &str) -> String {
        self.text(PUBLIC, &format!("show/{name}"))
    }

    /// The status of each side, `A` first.
    pub fn statuses(&self) -> [String; 2] {
        let state = self.state();
        ["A", "B"].map(|side| match &state["sides"][side]["status"] {
            Value::Object(status) => status.keys().next().cloned().unwrap_or_default(),
            Value::Null => "live".to_owned(),
            status => status.as_str().unwrap_or_default().to_owned(),
        })
    }
}

/// Everything that On Air can change.
#[derive(Debug, PartialEq)]
pub struct PairSnapshot {
    buckets: [Snapshot; 2],
    endpoints: [Option<Value>; 2],
}

impl Stage {
    /// Everything that On Air can change, to compare it later.
    pub fn snapshot(&self) -> PairSnapshot {
        PairSnapshot {
            buckets: [CONTROL, PUBLIC].map(|bucket| self.s3.snapshot(bucket)),
            endpoints: ENDPOINTS.map(|endpoint| self.mediapackage.endpoint(endpoint)),
        }
    }

    /// The same without times, reasons and addresses, to compare it with another stage. Addresses
    /// are numbered in the order in which they appear.
    pub fn picture(&self) -> Value {
        let documents = [(CONTROL, STATE), (PUBLIC, INDEX), (PUBLIC, STEERING)].map(|(bucket, key)| {
            self.s3.object(bucket, key).map(|object| {
                let Object { body, content_type, cache_control, metadata, .. } = object;
                let text = String::from_utf8_lossy(&body).into_owned();
                let text = text.parse::<Value>().unwrap_or_else(|_| text.lines().collect());
                json!({ "text": text, "type": content_type, "cache": cache_control, "metadata": metadata })
            })
        });
        let endpoints = ENDPOINTS.map(|endpoint| self.mediapackage.endpoint(endpoint));
        let picture = json!({ "documents": documents, "endpoints": endpoints });
        let picture = numbered(
            &picture
                .to_string()
                .replace(&self.mediapackage.origin_url(), "https://origin"),
        );
        let mut picture = picture.parse().unwrap_or_default();
        blur(
            &mut picture,
            &[
                "since",
                "clean_since",
                "alarm_since",
                "seen",
                "createdAt",
                "at",
                "why",
            ],
        );
        picture
    }

    /// Checks before every further call whether viewers can play the stream. The next call has
    /// index 0.
    pub fn monitor_viewers(&self) -> ViewerMonitor {
        let (view, breaches) = (ViewerView::of(self), Arc::default());
        self.traffic.reset_calls();
        for call in 0..WATCHED_CALLS {
            let (view, breaches) = (view.clone(), Arc::clone(&breaches));
            self.traffic.before_call(call, move || {
                view.record(&format!("before call {call}"), &breaches);
            });
        }
        ViewerMonitor { view, breaches }
    }

    /// The base URLs of existing endpoints, denied ones included. `None` for a deleted one.
    pub fn bases(&self) -> [Option<String>; 2] {
        ENDPOINTS.map(|endpoint| self.mediapackage.endpoint(endpoint).as_ref().map(base))
    }

    /// The variants of the published playlist, each with its pathway and URL.
    pub fn variants(&self) -> Vec<(String, String)> {
        variants(&self.public("index.m3u8"))
    }
}

/// Checks that viewers can play the stream before every call, and at the end.
pub struct ViewerMonitor {
    view: ViewerView,
    breaches: Arc<Mutex<Vec<String>>>,
}

impl ViewerMonitor {
    /// The failures of viewers, with their times.
    pub fn breaches(&self) -> Vec<String> {
        self.view.record("at the end", &self.breaches);
        self.breaches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The published documents and the endpoints, as viewers reach them.
#[derive(Clone)]
struct ViewerView {
    buckets: Buckets,
    endpoints: Endpoints,
}

impl ViewerView {
    fn of(stage: &Stage) -> Self {
        Self {
            buckets: Buckets::clone(&stage.s3),
            endpoints: Endpoints::clone(&stage.mediapackage),
        }
    }

    fn record(&self, when: &str, breaches: &Mutex<Vec<String>>) {
        if let Err(breach) = self.check() {
            breaches
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(format!("{when}: {breach}"));
        }
    }

    fn check(&self) -> Result<(), String> {
        let serving = self.serving();
        if serving.is_empty() {
            return Err("both sides are cut".to_owned());
        }
        self.check_active_side()?;
        let Some(index) = self.buckets.text(PUBLIC, INDEX) else {
            return Ok(());
        };
        let variants = variants(&index);
        if !variants.iter().any(|(_, url)| is_served(&serving, url)) {
            return Err(format!(
                "no variant of the playlist is on a serving endpoint: {index}"
            ));
        }
        let Some(steering) = self.buckets.text(PUBLIC, STEERING) else {
            return Ok(());
        };
        let urls = steered_to(&steering, variants)?;
        if urls.is_empty() || !urls.iter().all(|url| is_served(&serving, url)) {
            return Err(format!(
                "the first pathway is not on a serving endpoint: {steering} {index}"
            ));
        }
        Ok(())
    }

    /// The base URLs of the endpoints that exist and are not denied.
    fn serving(&self) -> Vec<String> {
        ENDPOINTS
            .into_iter()
            .filter_map(|endpoint| self.endpoints.endpoint(endpoint))
            .filter(|endpoint| endpoint["origination"] != "DENY")
            .map(|endpoint| base(&endpoint))
            .collect()
    }

    fn check_active_side(&self) -> Result<(), String> {
        let Some(state) = self.buckets.text(CONTROL, STATE) else {
            return Ok(());
        };
        let state: Value = state
            .parse()
            .map_err(|error| format!("the state: {error}"))?;
        let active = state["first"].as_str().unwrap_or_default();
        if state["sides"][active]["status"] != "live" {
            return Err(format!("the active side is not live: {state}"));
        }
        Ok(())
    }
}

fn is_served(serving: &[String], url: &str) -> bool {
    serving.iter().any(|base| url.starts_with(base))
}

/// The URLs of the pathway that a steering manifest puts first: its variants and its clones.
fn steered_to(steering: &str, variants: Vec<(String, String)>) -> Result<Vec<String>, String> {
    let steering: Value = steering
        .parse()
        .map_err(|error| format!("the steering manifest: {error}"))?;
    let first = steering["PATHWAY-PRIORITY"][0].as_str().unwrap_or_default();
    let mut urls: Vec<String> = variants
        .into_iter()
        .filter(|(pathway, _)| pathway == first)
        .map(|(_, url)| url)
        .collect();
    let clones = steering["PATHWAY-CLONES"].as_array().into_iter().flatten();
    for clone in clones.filter(|clone| clone["ID"] == first) {
        let of_clone = clone["URI-REPLACEMENT"]["PER-VARIANT-URIS"]
            .as_object()
            .into_iter()
            .flatten();
        urls.extend(of_clone.filter_map(|(_, url)| url.as_str().map(str::to_owned)));
    }
    Ok(urls)
}

/// The variants of a playlist, each with its pathway and URL.
pub fn variants(playlist: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = playlist.lines().collect();
    let streams = lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF:"));
    streams
        .map(|pair| {
            (
                attribute(pair[0], "PATHWAY-ID").to_owned(),
                pair[1].to_owned(),
            )
        })
        .collect()
}

/// The value of an attribute of a tag without quotes, or an empty text.
pub fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    let after = |separator: char| {
        tag.split_once(&format!("{separator}{name}="))
            .map(|(_, value)| value)
    };
    let value = after(',').or_else(|| after(':')).unwrap_or_default();
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => value.split(',').next().unwrap_or_default(),
    }
}

/// The beginning of the URLs of an endpoint.
fn base(endpoint: &Value) -> String {
    let url = endpoint["url"].as_str().unwrap_or_default();
    url.rsplit_once('/')
        .map(|(base, _)| format!("{base}/"))
        .unwrap_or_default()
}

/// The path of a file with one certificate. A debug build needs most of its start to read all
/// trusted certificates of a machine, and nothing here uses HTTPS.
fn certificate() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let text = S3::builder()
            .tls()
            .start()
            .ca_pem()
            .unwrap_or_default()
            .to_owned();
        let path = std::env::current_exe()
            .unwrap_or_default()
            .with_file_name("one-certificate.pem");
        let new = path.with_extension(std::process::id().to_string());
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path.to_string_lossy().into_owned()
    })
}

/// Replaces the ids in URLs and ARNs of endpoints by numbers.
fn numbered(text: &str) -> String {
    let mut numbers = HashMap::new();
    let id = |part: &&str| part.len() == 32 && part.chars().all(|c| c.is_ascii_hexdigit());
    let mut numbered = text.to_owned();
    for id in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(id) {
        let next = numbers.len();
        if let std::collections::hash_map::Entry::Vacant(new) = numbers.entry(id) {
            numbered = numbered.replace(id, &format!("endpoint-{next}"));
            new.insert(next);
        }
    }
    numbered
}

/// Replaces the values of these members, at any depth.
fn blur(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if names.contains(&name.as_str()) {
                    *value = "some".into();
                } else {
                    blur(value, names);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| blur(item, names)),
        _ => {}
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// The event `alert-set.json` for this side (0 is A) with the present time.
pub fn alert_set(side: usize) -> Value {
    pair::alert(event("fail-over/alert-set.json"), side)
}

/// The event `alert-cleared.json` for this side (0 is A) with the present time.
pub fn alert_cleared(side: usize) -> Value {
    pair::alert(event("fail-back/alert-cleared.json"), side)
}

/// The event `alarm.json` for this side (0 is A) with the present time.
pub fn alarm(side: usize) -> Value {
    pair::alarm(event("fail-over/alarm.json"), side)
}

/// The event `alarm-ok.json` for this side (0 is A) with the present time.
pub fn alarm_ok(side: usize) -> Value {
    pair::alarm(event("fail-back/alarm-ok.json"), side)
}

/// The event `alarm-action.json` for this side (0 is A) with the present time.
pub fn alarm_action(side: usize) -> Value {
    pair::alarm_action(event("fail-over/alarm-action.json"), side)
}

/// The event `alarm-action-ok.json` for this side (0 is A) with the present time.
pub fn alarm_action_ok(side: usize) -> Value {
    pair::alarm_action(event("fail-back/alarm-action-ok.json"), side)
}

/// The event `by-hand.json` for this side (0 is A).
pub fn by_hand(side: usize) -> Value {
    let mut event = event("fail-over/by-hand.json");
    event["onair"]["side"] = ["A", "B"][side].into();
    event
}

/// The last metrics line of the function, or null.
pub fn metrics(function: &Function) -> Value {
    scenes::lambda::metrics(function).pop().unwrap_or_default()
}

/// The present time in the format of events.
pub fn now() -> String {
    time(SystemTime::now())
}

/// A past time in the format of events.
pub fn ago(time: Duration) -> String {
    self::time(SystemTime::now() - time)
}
