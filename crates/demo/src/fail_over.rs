//! The chapter on the pair: a live show runs twice, its first side is lost, and comes back.

use crate::lambda::{Lambda, event};
use crate::narrate::{Narrator, pretty, seconds};
use crate::viewer::Viewer;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde_json::Value;
use stand_in::{Live, MediaLive, MediaPackage, S3, Site, Traffic, Versioning};
use std::time::{Duration, Instant, SystemTime};

/// The channels of the documented events.
const CHANNELS: [&str; 2] = ["123456", "654321"];
const ENDPOINTS: [&str; 2] = ["show-a-hls", "show-b-hls"];
const ALERT: &str = "Video Not Detected";
/// Segments of the show. Real ones have 2 to 6 s.
const SEGMENT_MS: u64 = 500;
/// How long the story waits for something that should take a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tells the chapter.
pub(crate) async fn tell(narrator: &mut Narrator) -> anyhow::Result<()> {
    let show = Show::start();
    let functions = show.functions()?;
    narrator.heading("fail-over, fail-back, publish-playlist: during the show");
    narrator.say(
        "A live show runs twice, as side A and side B, each through its own encoder (AWS Elemental MediaLive) and packager \
         (MediaPackage). Viewers open one playlist that names both. When A's input is lost, they must be on B before they \
         notice; and when A is back, the pair must be armed again, for those who are watching, too.",
    );
    narrator.heading("1. One playlist for both sides");
    let (answer, _) = functions.publish.send(&event("publish-playlist/schedule.json")?).await?;
    narrator.show(&pretty(&answer));
    let viewer = Viewer::open(show.playlist());
    let opened = Instant::now();
    let on_a = viewer.sees("A", opened, PATIENCE).await;
    narrator.check("published; a viewer opens it and watches side A", missing("A", on_a));

    narrator.heading("2. Side A loses its input");
    narrator.say("MediaLive sets an alert; EventBridge hands it to fail-over:");
    let alert = show.alert("fail-over/alert-set.json")?;
    show.medialive.set_alert(CHANNELS[0], 0, ALERT);
    show.mediapackage.stall(CHANNELS[0]);
    let lost = Instant::now();
    let (answer, elapsed) = functions.over.send(&alert).await?;
    narrator.show(&pretty(&answer));
    let on_b = viewer.sees("B", lost, PATIENCE).await;
    let wrong = outcome_is_not("failed_over", &answer).into_iter().chain(missing("B", on_b));
    let on_b = on_b.unwrap_or_default();
    narrator.check(
        &format!("answered after {}, and the viewer is on B after {}", seconds(elapsed), seconds(on_b)),
        wrong,
    );

    narrator.heading("3. The same alert again, and one for B that comes by mistake");
    let (answer, _) = functions.over.send(&alert).await?;
    narrator.check("the same alert: unchanged", outcome_is_not("unchanged", &answer));
    let mut mistaken = alert.clone();
    mistaken["detail"]["channel_arn"] = arn(CHANNELS[1]).into();
    let (answer, _) = functions.over.send(&mistaken).await?;
    narrator.show(&pretty(&answer));
    narrator.check("an alert for B: held, the last live side is never cut", outcome_is_not("held", &answer));

    narrator.heading("4. A is back");
    narrator.say(
        "The schedule looks each minute. A must be well for a while (QUIET_SECONDS; here none), its endpoint is made again \
         as it was, it must serve and move, and only then it is offered.",
    );
    let (answer, _) = functions.back.send(&event("fail-back/schedule.json")?).await?;
    narrator.check("while the alert is set nothing happens: unchanged", outcome_is_not("unchanged", &answer));
    show.medialive.clear_alert(CHANNELS[0], 0, ALERT);
    show.mediapackage.resume(CHANNELS[0]);
    let (answer, elapsed) = functions.back.send(&event("fail-back/schedule.json")?).await?;
    narrator.show(&pretty(&answer));
    narrator.say(
        "Its endpoint has a new address now, so players learn it as a new pathway. The steering manifest:",
    );
    let steering = show.steering()?;
    narrator.show(&pretty(&steering));
    let told = (steering["PATHWAY-PRIORITY"] != serde_json::json!(["B", "A.2"]))
        .then(|| "A.2 is not offered to players".to_owned());
    let wrong = outcome_is_not("failed_back", &answer).into_iter().chain(told);
    narrator.check(&format!("failed back after {}; viewers stay where they are", seconds(elapsed)), wrong);

    narrator.heading("5. Then B is lost");
    tokio::time::sleep(Duration::from_secs(show.ttl_seconds + 1)).await;
    show.medialive.set_alert(CHANNELS[1], 0, ALERT);
    show.mediapackage.stall(CHANNELS[1]);
    let lost = Instant::now();
    mistaken["time"] = now().into();
    let (answer, _) = functions.over.send(&mistaken).await?;
    let on_a = viewer.sees("A.2", lost, PATIENCE).await;
    let wrong = outcome_is_not("failed_over", &answer).into_iter().chain(missing("A.2", on_a));
    let on_a = on_a.unwrap_or_default();
    let promise =
        format!("the same viewer, who never reloaded the page, is on A again after {}", seconds(on_a));
    narrator.check(&promise, wrong);
    // A figure of this machine, and of what else it does: it is told, not judged.
    let gap = seconds(viewer.longest_gap());
    narrator.say(&format!(
        "In all that time the viewer waited at most {gap} for the next segment of {SEGMENT_MS} ms. Players buffer three."
    ));
    Ok(())
}

/// The three functions.
struct Functions {
    publish: Lambda,
    over: Lambda,
    back: Lambda,
}

/// A live show that runs twice.
struct Show {
    s3: S3,
    mediapackage: MediaPackage,
    medialive: MediaLive,
    site: Site,
    ttl_seconds: u64,
}

impl Show {
    fn start() -> Self {
        let traffic = Traffic::default();
        let s3 = S3::builder().traffic(&traffic).start();
        s3.create_bucket("control", Versioning::Enabled);
        s3.create_bucket("public", Versioning::Off);
        let (mediapackage, medialive) = (MediaPackage::start(&traffic), MediaLive::start(&traffic));
        for (channel, endpoint) in CHANNELS.into_iter().zip(ENDPOINTS) {
            medialive.create_channel(channel, 1);
            mediapackage.create_channel(channel, Live { segment_ms: SEGMENT_MS, ..Live::default() });
            let definition = serde_json::json!({
                "id": endpoint, "channelId": channel, "description": "evening show", "hlsPackage": {},
            });
            mediapackage.create(&definition);
        }
        let site = Site::start(&s3);
        Self { s3, mediapackage, medialive, site, ttl_seconds: 1 }
    }

    fn functions(&self) -> anyhow::Result<Functions> {
        let start = |stem| Lambda::start(stem, self.settings());
        Ok(Functions {
            publish: start("publish-playlist")?,
            over: start("fail-over")?,
            back: start("fail-back")?,
        })
    }

    fn settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint_url()),
            ("AWS_ENDPOINT_URL_MEDIAPACKAGE", self.mediapackage.endpoint_url()),
            ("AWS_ENDPOINT_URL_MEDIALIVE", self.medialive.endpoint_url()),
            ("PAIR", "show".to_owned()),
            ("CONTROL_BUCKET", "control".to_owned()),
            ("PUBLIC_BUCKET", "public".to_owned()),
            ("SIDE_A_CHANNEL_ARN", arn(CHANNELS[0])),
            ("SIDE_A_PIPELINE", "0".to_owned()),
            ("SIDE_A_ENDPOINT", ENDPOINTS[0].to_owned()),
            ("SIDE_B_CHANNEL_ARN", arn(CHANNELS[1])),
            ("SIDE_B_PIPELINE", "0".to_owned()),
            ("SIDE_B_ENDPOINT", ENDPOINTS[1].to_owned()),
            ("STEERING_TTL_SECONDS", self.ttl_seconds.to_string()),
            ("QUIET_SECONDS", "0".to_owned()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn playlist(&self) -> String {
        format!("{}/public/show/index.m3u8", self.site.url())
    }

    fn steering(&self) -> anyhow::Result<Value> {
        let object =
            self.s3.object("public", "show/steering.json").context("there is no steering manifest")?;
        Ok(serde_json::from_slice(&object.body)?)
    }

    /// A documented alert, as it would come now.
    fn alert(&self, file: &str) -> anyhow::Result<Value> {
        let mut alert = event(file)?;
        alert["time"] = now().into();
        alert["detail"]["channel_arn"] = arn(CHANNELS[0]).into();
        Ok(alert)
    }
}

fn arn(channel: &str) -> String {
    format!("arn:aws:medialive:us-west-2:111122223333:channel:{channel}")
}

/// The time, as events tell it.
fn now() -> String {
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339()
}

fn outcome_is_not(expected: &str, answer: &Value) -> Option<String> {
    let (outcome, why) = (&answer["outcome"], answer["why"].as_str().unwrap_or("no reason given"));
    (outcome != expected).then(|| format!("the outcome is {outcome} ({why})"))
}

fn missing(pathway: &str, seen: Option<Duration>) -> Option<String> {
    seen.is_none().then(|| format!("the viewer saw nothing of {pathway} within {}", seconds(PATIENCE)))
}
