//! All services for a pair of live streams and a fleet of web servers, for clients in other
//! languages.
//!
//! Prints the addresses as one line of JSON. Then reads commands from standard input, one JSON
//! array per line, such as `["set_alert", "1001", 0, "Video Not Detected"]`. Answers each with a
//! line of JSON. Exits at the end of the input.
//!
//! Side A is the channel `1001` in MediaLive, and the channel `a` with the endpoint `a-hls` in
//! MediaPackage. Side B is `1002`, `b` and `b-hls`. Two arguments are the folders that the sides
//! serve, each with a `master.m3u8`.
//!
//! Auto Scaling has the group `web` with the hooks `onair-launch` and `onair-terminate`. Systems
//! Manager has the document `onair-logs`.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stand_in::{
    AutoScaling, CommandResult, Fault, MediaLive, MediaPackage, S3, Site, Source, Ssm,
    SyntheticStream, Traffic, Versioning,
};

/// All services. The first two only run.
struct Services {
    s3: S3,
    site: Site,
    traffic: Traffic,
    mediapackage: MediaPackage,
    medialive: MediaLive,
    autoscaling: AutoScaling,
    ssm: Ssm,
}

fn main() -> Result<(), Box<dyn Error>> {
    let services = Services::start(std::env::args().skip(1));
    println!("{}", services.addresses());
    for line in std::io::stdin().lock().lines() {
        let command: Vec<Value> = serde_json::from_str(&line?)?;
        let answer = services.obey(&command);
        println!(
            "{}",
            answer.unwrap_or_else(|| json!({"error": "no such command"}))
        );
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// The stream of a side: the folder, or a synthetic one.
fn source(folder: Option<String>) -> Source {
    match folder {
        Some(path) => Source::Directory {
            path: path.into(),
            master: "master.m3u8".to_owned(),
        },
        None => Source::from(SyntheticStream {
            segment_ms: 200,
            window_segments: 10,
            ..SyntheticStream::default()
        }),
    }
}

impl Services {
    fn start(mut folders: impl Iterator<Item = String>) -> Self {
        let traffic = Traffic::default();
        let s3 = S3::builder().traffic(&traffic).start();
        s3.create_bucket("control", Versioning::Off);
        s3.create_bucket("public", Versioning::Off);
        let mediapackage = MediaPackage::start(&traffic);
        let medialive = MediaLive::start(&traffic);
        for (side, channel) in [("a", "1001"), ("b", "1002")] {
            mediapackage.create_channel(side, source(folders.next()));
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
        Self {
            site: Site::start(&s3),
            s3,
            traffic,
            mediapackage,
            medialive,
            autoscaling,
            ssm,
        }
    }

    fn addresses(&self) -> Value {
        json!({
            "s3": self.s3.endpoint_url(),
            "mediapackage": self.mediapackage.endpoint_url(),
            "origin": self.mediapackage.origin_url(),
            "medialive": self.medialive.endpoint_url(),
            "autoscaling": self.autoscaling.endpoint_url(),
            "ssm": self.ssm.endpoint_url(),
            "site": self.site.url(),
            "region": stand_in::REGION,
            "access_key_id": stand_in::ACCESS_KEY_ID,
            "secret_access_key": stand_in::SECRET_ACCESS_KEY,
        })
    }

    /// Runs a command. `None` if the command does not exist.
    fn obey(&self, command: &[Value]) -> Option<Value> {
        match command.first()?.as_str()? {
            "calls" => return Some(self.calls()),
            "reset_calls" => self.traffic.reset_calls(),
            "fault" => {
                let index = usize::try_from(command.get(1)?.as_u64()?).ok()?;
                let status = u16::try_from(command.get(2)?.as_u64()?).ok()?;
                self.traffic.fault(index, Fault::status(status));
            }
            _ => self
                .obey_media(command)
                .or_else(|| self.obey_fleet(command))?,
        }
        Some(json!({}))
    }

    fn calls(&self) -> Value {
        let calls = self.traffic.calls().into_iter();
        calls
            .map(|call| json!([call.service, call.operation, call.key]))
            .collect()
    }

    fn obey_media(&self, command: &[Value]) -> Option<()> {
        let text = |at: usize| command.get(at)?.as_str();
        let number = |at: usize| command.get(at)?.as_u64();
        let pipeline = |at: usize| u8::try_from(number(at)?).ok();
        let ago =
            |at: usize| SystemTime::now().checked_sub(Duration::from_secs(number(at).unwrap_or(0)));
        let (mediapackage, medialive) = (&self.mediapackage, &self.medialive);
        match text(0)? {
            "stall" => mediapackage.stall(text(1)?),
            "resume" => mediapackage.resume(text(1)?),
            "set_delete_delay_ms" => {
                mediapackage.set_delete_delay(Duration::from_millis(number(1)?));
            }
            "set_state" => medialive.set_state(text(1)?, text(2)?),
            "set_alert" => medialive.set_alert_at(text(1)?, pipeline(2)?, text(3)?, ago(4)?),
            "clear_alert" => medialive.clear_alert_at(text(1)?, pipeline(2)?, text(3)?, ago(4)?),
            _ => return None,
        }
        Some(())
    }

    fn obey_fleet(&self, command: &[Value]) -> Option<()> {
        let text = |at: usize| command.get(at)?.as_str();
        let (autoscaling, ssm) = (&self.autoscaling, &self.ssm);
        match text(0)? {
            "register" => ssm.register(text(1)?),
            "hide_results" => ssm.hide_results(command.get(1)?.as_u64()? != 0),
            "run" => {
                let result = CommandResult {
                    status: text(1)?.to_owned(),
                    stdout: text(2)?.to_owned(),
                };
                ssm.run(|_| result.clone());
            }
            "launch" => autoscaling.launch("web", text(1)?),
            "launch_into_warm_pool" => autoscaling.launch_into_warm_pool("web", text(1)?),
            "terminate" => autoscaling.terminate(text(1)?),
            _ => return None,
        }
        Some(())
    }
}
