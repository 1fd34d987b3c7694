//! A live show that runs twice: two channels, two endpoints that serve a live stream, two buckets.

use crate::lambda::{self, Environment};
use crate::time;
use serde_json::{Value, json};
use stand_in::{MediaLive, MediaPackage, S3, Site, SyntheticStream, Traffic, Versioning};
use std::time::SystemTime;

/// The ids of the channels in the documented events.
pub const CHANNELS: [&str; 2] = ["123456", "654321"];
/// The ids of the endpoints.
pub const ENDPOINTS: [&str; 2] = ["show-a-hls", "show-b-hls"];
/// The names of the alarms.
pub const ALARMS: [&str; 2] = ["onair-show-side-a", "onair-show-side-b"];
pub const CONTROL: &str = "onair-control";
/// The bucket that viewers read.
pub const PUBLIC: &str = "onair-public";
/// The key of the state in the control bucket.
pub const STATE: &str = "pairs/show/state.json";
/// The key of the playlist in the public bucket.
pub const INDEX: &str = "show/index.m3u8";
/// The key of the steering manifest in the public bucket.
pub const STEERING: &str = "show/steering.json";
/// An alert that reports a lost input.
pub const ALERT: &str = "Video Not Detected";

/// A pair named `show` before its first event.
pub struct Pair {
    /// The calls to all services of the pair.
    pub traffic: Traffic,
    /// The S3 with the control bucket and the public bucket.
    pub s3: S3,
    pub mediapackage: MediaPackage,
    pub medialive: MediaLive,
    /// The web server of the public bucket.
    pub site: Site,
}

impl Pair {
    /// Each side has its own stream, A first.
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

    /// The environment of a function of the pair. `settings` override the usual values.
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

    /// The text of an object, or an empty one if it does not exist.
    pub fn text(&self, bucket: &str, key: &str) -> String {
        self.s3.text(bucket, key).unwrap_or_default()
    }

    /// The steering manifest, or null if it does not exist.
    pub fn steering(&self) -> Value {
        self.text(PUBLIC, STEERING).parse().unwrap_or_default()
    }

    /// The state document, or null if it does not exist.
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

/// The endpoint of a side (0 is A), with all attributes that On Air must keep. Two of them are
/// unknown to every SDK.
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

/// A documented event of MediaLive for a side (0 is A) with the present time.
pub fn alert(mut event: Value, side: usize) -> Value {
    event["time"] = time(SystemTime::now()).into();
    event["detail"]["channel_arn"] = channel_arn(side).into();
    event
}

/// A documented event of CloudWatch for a side (0 is A) with the present time.
pub fn alarm(mut event: Value, side: usize) -> Value {
    event["time"] = time(SystemTime::now()).into();
    event["detail"]["alarmName"] = ALARMS[side].into();
    event
}

/// A documented alarm action of CloudWatch for a side (0 is A) with the present time.
pub fn alarm_action(mut event: Value, side: usize) -> Value {
    // CloudWatch writes the offset like this, which is not RFC 3339.
    event["time"] = time(SystemTime::now()).replace('Z', "+0000").into();
    event["alarmData"]["alarmName"] = ALARMS[side].into();
    event
}
