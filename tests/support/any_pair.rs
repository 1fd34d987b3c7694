//! A pair for stories: on the stand-ins, or on any other S3, MediaPackage and MediaLive that the
//! environment names.

use crate::external::{External, stored, variable};
use crate::pair::{
    ALERT, CHANNELS, CONTROL, ENDPOINTS, INDEX, PUBLIC, STATE, STEERING, Stage, variants,
};
use crate::{StoredObject, event, response};
use aws_sdk_medialive::types::InputAttachment;
use aws_sdk_mediapackage::types::HlsPackage;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// The stories share one pair there, because the role is made for that pair.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A pair named `show` before its first event.
pub struct AnyPair {
    /// The function that the story is about.
    stem: &'static str,
    stage: Stage,
    external: Option<ExternalPair>,
}

/// The services that the environment names: moto.
///
/// moto has no streams, and the URLs of its endpoints do not work. The streams are those of the
/// stage, behind `SIDE_A_BASE_URL`. They do not depend on whether an endpoint of moto exists or is
/// denied. So two things are only tested on the stand-in: what viewers get of a cut side, and
/// attributes of an endpoint that no SDK knows.
struct ExternalPair {
    services: External,
    buckets: [String; 2],
    s3: aws_sdk_s3::Client,
    mediapackage: aws_sdk_mediapackage::Client,
    medialive: aws_sdk_medialive::Client,
    _alone: MutexGuard<'static, ()>,
}

/// Everything that On Air can change.
#[derive(Debug, PartialEq)]
pub struct AnyPairSnapshot {
    /// The state, the playlist and the steering manifest.
    objects: [Option<StoredObject>; 3],
    endpoints: [Option<Value>; 2],
}

impl AnyPair {
    /// The pair for a story about this function. Only this function runs with the function's
    /// credentials, which `tests/template/second_opinion.py` sets. Other functions prepare
    /// something and run as the administrator.
    pub async fn of(stem: &'static str) -> Self {
        let stage = Stage::new();
        let external = match External::from_environment() {
            Some(services) => Some(ExternalPair::new(services).await),
            None => None,
        };
        Self {
            stem,
            stage,
            external,
        }
    }

    /// Runs one of the pair's functions once, and returns its answer.
    pub async fn run(&self, stem: &str, settings: &[(&str, &str)], event: Value) -> Value {
        let external = match &self.external {
            Some(external) => self.external_environment(external, stem),
            None => Vec::new(),
        };
        let mut all: Vec<(&str, &str)> = external
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        all.extend(settings);
        response(self.stage.call(stem, &all, event).await)
    }

    /// The environment of a function with external services.
    fn external_environment(
        &self,
        external: &ExternalPair,
        stem: &str,
    ) -> Vec<(&'static str, String)> {
        let External {
            endpoint,
            region,
            admin,
            function,
        } = &external.services;
        let user = if stem == self.stem { function } else { admin };
        let [control, public] = external.buckets.clone();
        let [base_a, base_b] = ENDPOINTS.map(|id| self.stage.mediapackage.cdn_url(id));
        let mut environment = vec![
            ("AWS_ENDPOINT_URL_S3", endpoint.clone()),
            ("AWS_ENDPOINT_URL_MEDIAPACKAGE", endpoint.clone()),
            ("AWS_ENDPOINT_URL_MEDIALIVE", endpoint.clone()),
            ("AWS_REGION", region.clone()),
            ("AWS_ACCESS_KEY_ID", user.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", user.secret_access_key().to_owned()),
            ("CONTROL_BUCKET", control),
            ("PUBLIC_BUCKET", public),
            ("SIDE_A_BASE_URL", base_a),
            ("SIDE_B_BASE_URL", base_b),
        ];
        let token = user.session_token();
        environment.extend(token.map(|token| ("AWS_SESSION_TOKEN", token.to_owned())));
        environment
    }

    /// Runs `publish-playlist` for the first time.
    ///
    /// # Panics
    ///
    /// If nothing was published.
    pub async fn publish(&self) {
        let answer = self
            .run(
                "publish-playlist",
                &[],
                event("publish-playlist/schedule.json"),
            )
            .await;
        assert_eq!(answer["outcome"], "published", "{answer:#}");
    }

    /// Sets an alert of a lost input on the side's channel (0 is A).
    pub async fn set_alert(&self, side: usize) {
        match &self.external {
            None => self.stage.medialive.set_alert(CHANNELS[side], 0, ALERT),
            Some(external) => external.set_alerts(side, &[ALERT]).await,
        }
    }

    /// Clears the alert of [`set_alert`](Self::set_alert).
    pub async fn clear_alert(&self, side: usize) {
        match &self.external {
            None => self.stage.medialive.clear_alert(CHANNELS[side], 0, ALERT),
            Some(external) => external.set_alerts(side, &[]).await,
        }
    }

    /// The side's endpoint (0 is A), with the attributes that stories compare.
    pub async fn endpoint(&self, side: usize) -> Option<Value> {
        match &self.external {
            None => self.stage.mediapackage.endpoint(ENDPOINTS[side]),
            Some(external) => external.endpoint(side).await,
        }
    }

    /// Creates the side's endpoint again, as an operator may.
    pub async fn recreate_endpoint(&self, side: usize) {
        match &self.external {
            None => drop(self.stage.mediapackage.create(&json!({
                "id": ENDPOINTS[side], "channelId": CHANNELS[side], "hlsPackage": {},
            }))),
            Some(external) => external.create(side).await,
        }
    }

    /// Replaces a published object by a text.
    pub async fn put_public(&self, key: &str, text: &str) {
        match &self.external {
            None => self.stage.s3.put(PUBLIC, key, text.to_owned()),
            Some(external) => external.put(key, text).await,
        }
    }

    /// Deletes the published objects.
    pub async fn unpublish(&self) {
        for key in [INDEX, STEERING] {
            match &self.external {
                None => self.stage.s3.delete(PUBLIC, key),
                Some(external) => external.delete(PUBLIC, key).await,
            }
        }
    }

    /// The published playlist, if it exists.
    pub async fn index(&self) -> Option<StoredObject> {
        self.get(PUBLIC, INDEX).await
    }

    /// The steering manifest, or null if it does not exist.
    pub async fn steering(&self) -> Value {
        self.json(PUBLIC, STEERING).await
    }

    /// The state document, or null if it does not exist.
    pub async fn state(&self) -> Value {
        self.json(CONTROL, STATE).await
    }

    /// The variants of the published playlist, each with its pathway and URL.
    pub async fn variants(&self) -> Vec<(String, String)> {
        self.index()
            .await
            .map(|index| variants(&index.text))
            .unwrap_or_default()
    }

    /// Everything that On Air can change, to compare it later.
    pub async fn snapshot(&self) -> AnyPairSnapshot {
        AnyPairSnapshot {
            objects: [
                self.get(CONTROL, STATE).await,
                self.get(PUBLIC, INDEX).await,
                self.get(PUBLIC, STEERING).await,
            ],
            endpoints: [self.endpoint(0).await, self.endpoint(1).await],
        }
    }

    async fn json(&self, bucket: &str, key: &str) -> Value {
        let stored = self.get(bucket, key).await;
        stored
            .and_then(|stored| stored.text.parse().ok())
            .unwrap_or_default()
    }

    /// An object, by the name that stories give its bucket.
    async fn get(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        if let Some(external) = &self.external {
            return external.get(bucket, key).await;
        }
        let object = self.stage.s3.object(bucket, key)?;
        Some(StoredObject {
            text: String::from_utf8_lossy(&object.body).into_owned(),
            content_type: object.content_type,
            cache_control: object.cache_control,
            metadata: object.metadata,
        })
    }
}

impl ExternalPair {
    /// The services without the objects of an earlier story, and with two endpoints.
    async fn new(services: External) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let external = Self {
            buckets: [
                variable("ONAIR_CONTROL_BUCKET"),
                variable("ONAIR_PUBLIC_BUCKET"),
            ],
            s3: services.admin_s3(),
            mediapackage: mediapackage_client(&services),
            medialive: medialive_client(&services),
            services,
            _alone: alone,
        };
        for (bucket, key) in [(CONTROL, STATE), (PUBLIC, INDEX), (PUBLIC, STEERING)] {
            external.delete(bucket, key).await;
        }
        for (side, id) in ENDPOINTS.into_iter().enumerate() {
            // Before the first story the endpoint does not exist.
            let deletion = external.mediapackage.delete_origin_endpoint().id(id);
            let _ = deletion.send().await;
            external.create(side).await;
            external.set_alerts(side, &[]).await;
        }
        external
    }

    /// The name of the bucket at these services.
    fn bucket(&self, bucket: &str) -> &str {
        &self.buckets[usize::from(bucket == PUBLIC)]
    }

    async fn create(&self, side: usize) {
        let hls = HlsPackage::builder()
            .segment_duration_seconds(1)
            .playlist_window_seconds(60)
            .build();
        let request = self
            .mediapackage
            .create_origin_endpoint()
            .id(ENDPOINTS[side])
            .channel_id(CHANNELS[side])
            .description("evening show")
            .startover_window_seconds(300)
            .tags("show", "evening")
            .whitelist("192.0.2.0/24")
            .hls_package(hls);
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", ENDPOINTS[side]));
    }

    async fn endpoint(&self, side: usize) -> Option<Value> {
        let answer = self
            .mediapackage
            .describe_origin_endpoint()
            .id(ENDPOINTS[side])
            .send()
            .await;
        let endpoint = match answer {
            Err(error) if error.code() == Some("NotFoundException") => return None,
            answer => answer.unwrap_or_else(|error| panic!("{}: {error:?}", ENDPOINTS[side])),
        };
        let hls = endpoint.hls_package();
        Some(json!({
            "arn": endpoint.arn(),
            "url": endpoint.url(),
            "id": endpoint.id(),
            "channelId": endpoint.channel_id(),
            "description": endpoint.description(),
            "startoverWindowSeconds": endpoint.startover_window_seconds(),
            "origination": endpoint.origination().map_or("ALLOW", |origination| origination.as_str()),
            "tags": endpoint.tags(),
            "whitelist": endpoint.whitelist(),
            "hlsPackage": {
                "segmentDurationSeconds": hls.and_then(HlsPackage::segment_duration_seconds),
                "playlistWindowSeconds": hls.and_then(HlsPackage::playlist_window_seconds),
            },
        }))
    }

    /// AWS has no such call. `tests/template/moto_gaps.py` sets alerts by this one.
    async fn set_alerts(&self, side: usize, alerts: &[&str]) {
        let named = |alert: &&str| {
            InputAttachment::builder()
                .input_attachment_name(*alert)
                .build()
        };
        let attachments = alerts.iter().map(named).collect();
        let request = self.medialive.update_channel().channel_id(CHANNELS[side]);
        let request = request.set_input_attachments(Some(attachments));
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", CHANNELS[side]));
    }

    async fn delete(&self, bucket: &str, key: &str) {
        let request = self.s3.delete_object().bucket(self.bucket(bucket)).key(key);
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{key}: {error:?}"));
    }

    async fn put(&self, key: &str, text: &str) {
        let body = text.as_bytes().to_vec().into();
        let request = self
            .s3
            .put_object()
            .bucket(self.bucket(PUBLIC))
            .key(key)
            .body(body);
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{key}: {error:?}"));
    }

    async fn get(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        let answer = self
            .s3
            .get_object()
            .bucket(self.bucket(bucket))
            .key(key)
            .send()
            .await;
        let answer = match answer {
            Err(error) if error.code() == Some("NoSuchKey") => return None,
            answer => answer.unwrap_or_else(|error| panic!("{key}: {error:?}")),
        };
        Some(stored(key, answer).await)
    }
}

fn mediapackage_client(services: &External) -> aws_sdk_mediapackage::Client {
    let config = aws_sdk_mediapackage::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(services.region.clone()))
        .endpoint_url(&services.endpoint)
        .credentials_provider(services.admin.clone());
    aws_sdk_mediapackage::Client::from_conf(config.build())
}

fn medialive_client(services: &External) -> aws_sdk_medialive::Client {
    let config = aws_sdk_medialive::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(services.region.clone()))
        .endpoint_url(&services.endpoint)
        .credentials_provider(services.admin.clone());
    aws_sdk_medialive::Client::from_conf(config.build())
}
