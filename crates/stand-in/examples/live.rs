//! Everything that a pair of live streams and a fleet of web servers need, for clients in other
//! languages.
//!
//! Prints the addresses as one line of JSON, then reads commands from standard input, one JSON
//! array a line such as `["set_alert", "1001", 0, "Video Not Detected"]`, and answers each with a
//! line of JSON. Ends with its input.
//!
//! Side A is the channel `1001` in MediaLive, and the channel `a` with the endpoint `a-hls` in
//! MediaPackage; side B is `1002`, `b` and `b-hls`. With two folders as arguments, those are what
//! the sides serve: each with a `master.m3u8`.
//!
//! In Auto Scaling there is the group `web` with the hooks `onair-launch` and `onair-terminate`, in
//! Systems Manager the document `onair-logs`.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stand_in::{
    AutoScaling, CommandResult, Fault, MediaLive, MediaPackage, S3, Site, Source, Ssm,
    SyntheticStream, Traffic, Versioning,
};

struct Everything {
    traffic: Traffic,
    mediapackage: MediaPackage,
    medialive: MediaLive,
    autoscaling: AutoScaling,
    ssm: Ssm,
}

fn main() -> Result<(), Box<dyn Error>> {
    let traffic = Traffic::default();
    let s3 = S3::builder().traffic(&traffic).start();
    s3.create_bucket("control", Versioning::Off);
    s3.create_bucket("public", Versioning::Off);
    let site = Site::start(&s3);
    let mediapackage = MediaPackage::start(&traffic);
    let medialive = MediaLive::start(&traffic);
    let mut folders = std::env::args().skip(1);
    for (side, channel) in [("a", "1001"), ("b", "1002")] {
        let source = folders.next().map_or_else(
            || {
                Source::from(SyntheticStream {
                    segment_ms: 200,
                    window_segments: 10,
                    ..SyntheticStream::default()
                })
            },
            |path| Source::Directory {
                path: path.into(),
                master: "master.m3u8".to_owned(),
            },
        );
        mediapackage.create_channel(side, source);
        mediapackage
            .create(&json!({"id": format!("{side}-hls"), "channelId": side, "hlsPackage": {}}));
        medialive.create_channel(channel, 1);
    }
    let autoscaling = AutoScaling::start(&traffic);
    autoscaling.create_group("web", "onair-launch", "onair-terminate");
    let ssm = Ssm::start(&traffic);
    ssm.create_document(
        "onair-logs",
        &["saveLogs"],
        &["Bucket", "Prefix", "Directory"],
    );
    println!(
        "{}",
        json!({
            "s3": s3.endpoint_url(),
            "mediapackage": mediapackage.endpoint_url(),
            "origin": mediapackage.origin_url(),
            "medialive": medialive.endpoint_url(),
            "autoscaling": autoscaling.endpoint_url(),
            "ssm": ssm.endpoint_url(),
            "site": site.url(),
            "region": stand_in::REGION,
            "access_key_id": stand_in::ACCESS_KEY_ID,
            "secret_access_key": stand_in::SECRET_ACCESS_KEY,
        })
    );
    let everything = Everything {
        traffic,
        mediapackage,
        medialive,
        autoscaling,
        ssm,
    };
    for line in std::io::stdin().lock().lines() {
        let command: Vec<Value> = serde_json::from_str(&line?)?;
        let answer = everything.obey(&command);
        println!(
            "{}",
            answer.unwrap_or_else(|| json!({"error": "no such command"}))
        );
        std::io::stdout().flush()?;
    }
    Ok(())
}

impl Everything {
    fn obey(&self, command: &[Value]) -> Option<Value> {
        let text = |at: usize| command.get(at)?.as_str();
        let number = |at: usize| command.get(at)?.as_u64();
        let pipeline = |at: usize| u8::try_from(number(at)?).ok();
        let ago =
            |at: usize| SystemTime::now().checked_sub(Duration::from_secs(number(at).unwrap_or(0)));
        let Self {
            traffic,
            mediapackage,
            medialive,
            autoscaling,
            ssm,
        } = self;
        match text(0)? {
            "calls" => {
                let calls = traffic.calls().into_iter();
                return Some(
                    calls
                        .map(|call| json!([call.service, call.operation, call.key]))
                        .collect(),
                );
            }
            "reset_calls" => traffic.reset_calls(),
            "fault" => {
                traffic.fault(
                    usize::try_from(number(1)?).ok()?,
                    Fault::status(u16::try_from(number(2)?).ok()?),
                );
            }
            "stall" => mediapackage.stall(text(1)?),
            "resume" => mediapackage.resume(text(1)?),
            "set_delete_delay_ms" => {
                mediapackage.set_delete_delay(Duration::from_millis(number(1)?))
            }
            "set_state" => medialive.set_state(text(1)?, text(2)?),
            "set_alert" => medialive.set_alert_at(text(1)?, pipeline(2)?, text(3)?, ago(4)?),
            "clear_alert" => medialive.clear_alert_at(text(1)?, pipeline(2)?, text(3)?, ago(4)?),
            "register" => ssm.register(text(1)?),
            "hide_results" => ssm.hide_results(number(1)? != 0),
            "run" => {
                let ran = CommandResult {
                    status: text(1)?.to_owned(),
                    stdout: text(2)?.to_owned(),
                };
                ssm.run(|_| ran.clone());
            }
            "launch" => autoscaling.launch("web", text(1)?),
            "launch_into_warm_pool" => autoscaling.launch_into_warm_pool("web", text(1)?),
            "terminate" => autoscaling.terminate(text(1)?),
            _ => return None,
        }
        Some(json!({}))
    }
}
