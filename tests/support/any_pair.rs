//! A pair for stories: on the stand-ins, or on any other S3, MediaPackage and MediaLive that the
//! environment names.

use crate::pair::{
    ALERT, CHANNELS, CONTROL, ENDPOINTS, INDEX, PUBLIC, STATE, STEERING, Stage, variants,
};
use crate::{StoredObject, event, response};
use aws_sdk_medialive::types::InputAttachment;
use aws_sdk_mediapackage::types::HlsPackage;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use serde_json::{Value, json};
use std::env;
use tokio::sync::{Mutex, MutexGuard};

/// The stories share one pair there, because the role is made for that pair.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A pair named `show` before its first event.
pub struct AnyPair {
    /// The function that the story is about.
    stem: &'static str,
    stage: Stage,
    elsewhere: Option<Elsewhere>,
}

/// The services that the environment names: moto.
///
/// moto has no streams, and the URLs of its endpoints do not work. The streams are those of the
/// stage, behind `SIDE_A_BASE_URL`. They do not depend on whether an endpoint of moto exists or is
/// denied. So two things are only tested on the stand-in: what viewers get of a cut side, and
/// attributes of an endpoint that no SDK knows.
struct Elsewhere {
    endpoint: String,
    region: String,
    admin: Credentials,
    function: Credentials,
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
        let elsewhere = match env::var("ONAIR_S3_ENDPOINT") {
            Ok(endpoint) => Some(Elsewhere::at(endpoint).await),
            Err(_) => None,
        };
        Self {
            stem,
            stage,
            elsewhere,
        }
    }

    /// Runs one of the pair's functions once, and returns its answer.
    pub async fn run(&self, stem: &str, settings: &[(&str, &str)], event: Value) -> Value {
        let mut all: Vec<(&str, String)> = Vec::new();
        if let Some(elsewhere) = &self.elsewhere {
            let credentials = if stem == self.stem {
                &elsewhere.function
            } else {
                &elsewhere.admin
            };
            let [control, public] = elsewhere.buckets.clone();
            all = vec![
                ("AWS_ENDPOINT_URL_S3", elsewhere.endpoint.clone()),
                ("AWS_ENDPOINT_URL_MEDIAPACKAGE", elsewhere.endpoint.clone()),
                ("AWS_ENDPOINT_URL_MEDIALIVE", elsewhere.endpoint.clone()),
                ("AWS_REGION", elsewhere.region.clone()),
                ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
                (
                    "AWS_SECRET_ACCESS_KEY",
                    credentials.secret_access_key().to_owned(),
                ),
                ("CONTROL_BUCKET", control),
                ("PUBLIC_BUCKET", public),
                (
                    "SIDE_A_BASE_URL",
                    self.stage.mediapackage.cdn_url(ENDPOINTS[0]),
                ),
                (
                    "SIDE_B_BASE_URL",
                    self.stage.mediapackage.cdn_url(ENDPOINTS[1]),
                ),
            ];
            let token = credentials
                .session_token()
                .map(|token| ("AWS_SESSION_TOKEN", token.to_owned()));
            all.extend(token);
        }
        let mut given: Vec<(&str, &str)> = all
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        given.extend(settings);
        response(self.stage.call(stem, &given, event).await)
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
        match &self.elsewhere {
            None => self.stage.medialive.set_alert(CHANNELS[side], 0, ALERT),
            Some(elsewhere) => elsewhere.set_alerts(side, &[ALERT]).await,
        }
    }

    /// Clears the alert of [`set_alert`](Self::set_alert).
    pub async fn clear_alert(&self, side: usize) {
        match &self.elsewhere {
            None => self.stage.medialive.clear_alert(CHANNELS[side], 0, ALERT),
            Some(elsewhere) => elsewhere.set_alerts(side, &[]).await,
        }
    }

    /// The side's endpoint (0 is A), with the attributes that stories compare.
    pub async fn endpoint(&self, side: usize) -> Option<Value> {
        match &self.elsewhere {
            None => self.stage.mediapackage.endpoint(ENDPOINTS[side]),
            Some(elsewhere) => elsewhere.endpoint(side).await,
        }
    }

    /// Creates the side's endpoint again, as an operator may.
    pub async fn recreate_endpoint(&self, side: usize) {
        match &self.elsewhere {
            None => drop(self.stage.mediapackage.create(&json!({
                "id": ENDPOINTS[side], "channelId": CHANNELS[side], "hlsPackage": {},
            }))),
            Some(elsewhere) => elsewhere.create(side).await,
        }
    }

    /// Replaces a published object by a text.
    pub async fn put_public(&self, key: &str, text: &str) {
        match &self.elsewhere {
            None => self.stage.s3.put(PUBLIC, key, text.to_owned()),
            Some(elsewhere) => elsewhere.put(key, text).await,
        }
    }

    /// Deletes the published objects.
    pub async fn unpublish(&self) {
        for key in [INDEX, STEERING] {
            match &self.elsewhere {
                None => self.stage.s3.delete(PUBLIC, key),
                Some(elsewhere) => elsewhere.delete(PUBLIC, key).await,
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
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.get(bucket, key).await;
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

impl Elsewhere {
    /// The services at this address, without the objects of an earlier story and with two
    /// endpoints.
    async fn at(endpoint: String) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let var = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let credentials = |who: &str, token: Option<String>| {
            let key = |what: &str| var(&format!("ONAIR_{who}_{what}"));
            Credentials::new(
                key("ACCESS_KEY_ID"),
                key("SECRET_ACCESS_KEY"),
                token,
                None,
                "environment",
            )
        };
        let (region, admin) = (var("ONAIR_REGION"), credentials("ADMIN", None));
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .endpoint_url(&endpoint)
            .force_path_style(true)
            .credentials_provider(admin.clone());
        let mediapackage = aws_sdk_mediapackage::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .endpoint_url(&endpoint)
            .credentials_provider(admin.clone());
        let medialive = aws_sdk_medialive::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .endpoint_url(&endpoint)
            .credentials_provider(admin.clone());
        let elsewhere = Self {
            endpoint,
            region,
            admin,
            function: credentials("FUNCTION", Some(var("ONAIR_FUNCTION_SESSION_TOKEN"))),
            buckets: [var("ONAIR_CONTROL_BUCKET"), var("ONAIR_PUBLIC_BUCKET")],
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            mediapackage: aws_sdk_mediapackage::Client::from_conf(mediapackage.build()),
            medialive: aws_sdk_medialive::Client::from_conf(medialive.build()),
            _alone: alone,
        };
        for (bucket, key) in [(CONTROL, STATE), (PUBLIC, INDEX), (PUBLIC, STEERING)] {
            elsewhere.delete(bucket, key).await;
        }
        for side in [0, 1] {
            // Before the first story the endpoint does not exist.
            let _ = elsewhere
                .mediapackage
                .delete_origin_endpoint()
                .id(ENDPOINTS[side])
                .send()
                .await;
            elsewhere.create(side).await;
            elsewhere.set_alerts(side, &[]).await;
        }
        elsewhere
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
        let (content_type, cache_control) =
            (answer.content_type.clone(), answer.cache_control.clone());
        let metadata = answer
            .metadata
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        let body = answer
            .body
            .collect()
            .await
            .unwrap_or_else(|error| panic!("{key}: {error:?}"));
        let text = String::from_utf8_lossy(&body.to_vec()).into_owned();
        Some(StoredObject {
            text,
            content_type,
            cache_control,
            metadata,
        })
    }
}
