//! The chapter on the pair: a live show runs twice, its first side is lost, and comes back.

use crate::narrate::{Narrator, outcome_is_not, pretty, seconds};
use crate::player::SimulatedPlayer;
use scenes::event;
use scenes::lambda::Lambda;
use scenes::pair::{ALERT, CHANNELS, Pair, alert};
use stand_in::SyntheticStream;
use std::time::{Duration, Instant};

/// Segments of the show. Real ones have 2 to 6 s.
const SEGMENT_MS: u64 = 500;
/// How long the story waits for something that should take a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often players ask for the steering manifest.
const STEERING_TTL_S: u64 = 1;

/// Tells the chapter.
pub(crate) async fn tell(narrator: &mut Narrator) -> anyhow::Result<()> {
    let live = || SyntheticStream {
        segment_ms: SEGMENT_MS,
        ..SyntheticStream::default()
    };
    let show = Pair::with([live(), live()]);
    let functions = Functions::start(&show)?;
    narrator.heading("fail-over, fail-back, publish-playlist: during the show");
    narrator.say(
        "A live show runs twice, as side A and side B, each through its own encoder (AWS Elemental MediaLive) and packager \
         (MediaPackage). Viewers open one playlist that names both. When A's input is lost, they must be on B before they \
         notice; and when A is back, the pair must be armed again, for those who are watching, too.",
    );
    narrator.heading("1. One playlist for both sides");
    let (answer, _) = functions
        .publish
        .send(&event("publish-playlist/schedule.json")?)
        .await?;
    narrator.show(&pretty(&answer));
    let viewer = SimulatedPlayer::open(show.playlist_url());
    let opened = Instant::now();
    let on_a = viewer.sees("A", opened, PATIENCE).await;
    narrator.check(
        "published; a viewer opens it and watches side A",
        missing("A", on_a),
    );

    narrator.heading("2. Side A loses its input");
    narrator.say("MediaLive sets an alert; EventBridge hands it to fail-over:");
    let lost_a = alert(event("fail-over/alert-set.json")?, 0);
    show.medialive.set_alert(CHANNELS[0], 0, ALERT);
    show.mediapackage.stall(CHANNELS[0]);
    let lost = Instant::now();
    let (answer, elapsed) = functions.over.send(&lost_a).await?;
    narrator.show(&pretty(&answer));
    let on_b = viewer.sees("B", lost, PATIENCE).await;
    let wrong = outcome_is_not("failed_over", &answer)
        .into_iter()
        .chain(missing("B", on_b));
    let on_b = on_b.unwrap_or_default();
    narrator.check(
        &format!(
            "answered after {}, and the viewer is on B after {}",
            seconds(elapsed),
            seconds(on_b)
        ),
        wrong,
    );

    narrator.heading("3. The same alert again, and one for B that comes by mistake");
    let (answer, _) = functions.over.send(&lost_a).await?;
    narrator.check(
        "the same alert: unchanged",
        outcome_is_not("unchanged", &answer),
    );
    let (answer, _) = functions.over.send(&alert(lost_a, 1)).await?;
    narrator.show(&pretty(&answer));
    narrator.check(
        "an alert for B: held, the last live side is never cut",
        outcome_is_not("held", &answer),
    );

    narrator.heading("4. A is back");
    narrator.say(
        "The schedule looks each minute. A must be well for a while (QUIET_SECONDS; here none), its endpoint is made again \
         as it was, it must serve and move, and only then it is offered.",
    );
    let (answer, _) = functions
        .back
        .send(&event("fail-back/schedule.json")?)
        .await?;
    narrator.check(
        "while the alert is set nothing happens: unchanged",
        outcome_is_not("unchanged", &answer),
    );
    show.medialive.clear_alert(CHANNELS[0], 0, ALERT);
    show.mediapackage.resume(CHANNELS[0]);
    let (answer, elapsed) = functions
        .back
        .send(&event("fail-back/schedule.json")?)
        .await?;
    narrator.show(&pretty(&answer));
    narrator.say(
        "Its endpoint has a new address now, so players learn it as a new pathway. The steering manifest:",
    );
    let steering = show.steering();
    narrator.show(&pretty(&steering));
    let told = (steering["PATHWAY-PRIORITY"] != serde_json::json!(["B", "A.2"]))
        .then(|| "A.2 is not offered to players".to_owned());
    let wrong = outcome_is_not("failed_back", &answer)
        .into_iter()
        .chain(told);
    narrator.check(
        &format!(
            "failed back after {}; viewers stay where they are",
            seconds(elapsed)
        ),
        wrong,
    );

    narrator.heading("5. Then B is lost");
    tokio::time::sleep(Duration::from_secs(STEERING_TTL_S + 1)).await;
    show.medialive.set_alert(CHANNELS[1], 0, ALERT);
    show.mediapackage.stall(CHANNELS[1]);
    let lost = Instant::now();
    let (answer, _) = functions
        .over
        .send(&alert(event("fail-over/alert-set.json")?, 1))
        .await?;
    let on_a = viewer.sees("A.2", lost, PATIENCE).await;
    let wrong = outcome_is_not("failed_over", &answer)
        .into_iter()
        .chain(missing("A.2", on_a));
    let on_a = on_a.unwrap_or_default();
    let promise = format!(
        "the same viewer, who never reloaded the page, is on A again after {}",
        seconds(on_a)
    );
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

impl Functions {
    fn start(show: &Pair) -> anyhow::Result<Self> {
        let ttl_s = STEERING_TTL_S.to_string();
        let start =
            |stem| Lambda::start(stem, show.environment(&[("STEERING_TTL_SECONDS", &ttl_s)]));
        Ok(Self {
            publish: start("publish-playlist")?,
            over: start("fail-over")?,
            back: start("fail-back")?,
        })
    }
}

fn missing(pathway: &str, seen: Option<Duration>) -> Option<String> {
    seen.is_none().then(|| {
        format!(
            "the viewer saw nothing of {pathway} within {}",
            seconds(PATIENCE)
        )
    })
}
