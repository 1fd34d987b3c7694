//! A live show that runs twice: two channels, two endpoints that serve a live stream, two buckets.

use crate::lambda::{self, Environment};
use crate::time;
use serde_json::{Value, json};
use stand_in::{MediaLive, MediaPackage, S3, Site, SyntheticStream, Traffic, Versioning};
use std::time::SystemTime;

/// The channels' ids, as the documented events name them.
pub const CHANNELS: [&str; 2] = ["123456", "654321"];
/// The endpoints' ids.
pub const ENDPOINTS: [&str; 2] = ["show-a-hls", "show-b-hls"];
/// The alarms' names.
pub const ALARMS: [&str; 2] = ["onair-show-side-a", "onair-show-side-b"];
/// The private bucket.
pub const CONTROL: &str = "onair-control";
/// The bucket that viewers read.
pub const PUBLIC: &str = "onair-public";
/// The state, in the private bucket.
pub const STATE: &str = "pairs/show/state.json";
/// The playlist, in the public bucket.
pub const INDEX: &str = "show/index.m3u8";
/// The steering manifest, in the public bucket.
pub const STEERING: &str = "show/steering.json";
/// An alert of a lost input.
pub const ALERT: &str = "Video Not Detected";

/// A pair named `show`, as it is before the first event.
pub struct Pair {
    /// Every call to all of these.
    pub traffic: Traffic,
    /// The two buckets.
    pub s3: S3,
    /// The endpoints.
    pub mediapackage: MediaPackage,
    /// The channels.
    pub medialive: MediaLive,
    /// What viewers get.
    pub site: Site,
}

impl Pair {
    /// Each side with a stream of its own, A first.
    pub fn with(streams: [SyntheticStream; 2]) -> Self {
        let traffic = Traffic::default();
        let s3 = S3::builder().traffic(&traffic).start();
        s3.create_bucket(CONTROL, Versioning::Enabled);
        s3.create_bucket(PUBLIC, Versioning::Off);
        let mediapackage = MediaPackage::start(&traffic);
        let medialive = MediaLive::start(&traffic);
        for (side, stream) in streams.into_iter().enumerate() {
            medialive.create_channel(CHANNELS[side], 1);
            mediapackage.create_channel(CHANNELS[side], stream);
            mediapackage.create(&definition(side));
        }
        let site = Site::start(&s3);
        Self {
            traffic,
            s3,
            mediapackage,
            medialive,
            site,
        }
    }

    /// What a function of the pair needs to know, and settings that win over that.
    pub fn environment(&self, settings: &[(&str, &str)]) -> Environment {
        let usual = [
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint_url()),
            (
                "AWS_ENDPOINT_URL_MEDIAPACKAGE",
                self.mediapackage.endpoint_url(),
            ),
            ("AWS_ENDPOINT_URL_MEDIALIVE", self.medialive.endpoint_url()),
            ("PAIR", "show".to_owned()),
            ("CONTROL_BUCKET", CONTROL.to_owned()),
            ("PUBLIC_BUCKET", PUBLIC.to_owned()),
            ("SIDE_A_CHANNEL_ARN", channel_arn(0)),
            ("SIDE_A_PIPELINE", "0".to_owned()),
            ("SIDE_A_ENDPOINT", ENDPOINTS[0].to_owned()),
            ("SIDE_A_ALARM", ALARMS[0].to_owned()),
            ("SIDE_B_CHANNEL_ARN", channel_arn(1)),
            ("SIDE_B_PIPELINE", "0".to_owned()),
            ("SIDE_B_ENDPOINT", ENDPOINTS[1].to_owned()),
            ("SIDE_B_ALARM", ALARMS[1].to_owned()),
            ("QUIET_SECONDS", "0".to_owned()),
        ];
        lambda::environment(usual, settings)
    }

    /// The URL that viewers open.
    pub fn playlist_url(&self) -> String {
        format!("{}/{PUBLIC}/{INDEX}", self.site.url())
    }

    /// The text of an object. Empty if there is none.
    pub fn text(&self, bucket: &str, key: &str) -> String {
        self.s3.text(bucket, key).unwrap_or_default()
    }

    /// The steering manifest. Null if there is none.
    pub fn steering(&self) -> Value {
        self.text(PUBLIC, STEERING).parse().unwrap_or_default()
    }

    /// The state document. Null if there is none.
    pub fn state(&self) -> Value {
        self.text(CONTROL, STATE).parse().unwrap_or_default()
    }
}

/// The ARN of a side's channel (0 is A).
pub fn channel_arn(side: usize) -> String {
    format!(
        "arn:aws:medialive:us-west-2:111122223333:channel:{}",
        CHANNELS[side]
    )
}

/// The endpoint of a side (0 is A), with all that On Air must not lose. No SDK knows two of its
/// attributes.
pub fn definition(side: usize) -> Value {
    json!({
        "id": ENDPOINTS[side],
        "channelId": CHANNELS[side],
        "description": "evening show",
        "startoverWindowSeconds": 300,
        "tags": { "show": "evening" },
        "whitelist": ["192.0.2.0/24"],
        "newerThanThisProgram": { "kept": [1, 2.5, "three"] },
        "hlsPackage": { "segmentDurationSeconds": 1, "playlistWindowSeconds": 60, "alsoNewer": true },
    })
}

/// A documented event of MediaLive, as it would come now for a side (0 is A).
pub fn alert(mut event: Value, side: usize) -> Value {
    event["time"] = time(SystemTime::now()).into();
    event["detail"]["channel_arn"] = channel_arn(side).into();
    event
}

/// A documented event of CloudWatch, as it would come now for a side (0 is A).
pub fn alarm(mut event: Value, side: usize) -> Value {
    event["time"] = time(SystemTime::now()).into();
    event["detail"]["alarmName"] = ALARMS[side].into();
    event
}
