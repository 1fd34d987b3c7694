//! The chapter on the pair: a live show runs twice, side A loses its input, and recovers.

use crate::narrate::{Narrator, outcome_is_not, pretty, seconds};
use crate::player::SimulatedPlayer;
use scenes::event;
use scenes::lambda::Lambda;
use scenes::pair::{ALERT, CHANNELS, Pair, alert};
use serde_json::{Value, json};
use stand_in::SyntheticStream;
use std::time::{Duration, Instant};

/// The segments of the show. Real ones have 2 to 6 s.
const SEGMENT_MS: u64 = 500;
/// The limit for something that normally takes a second.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// The interval at which players request the steering manifest.
const STEERING_TTL_S: u64 = 1;

/// Runs the chapter.
pub(crate) async fn run(narrator: &mut Narrator) -> anyhow::Result<()> {
    let show = Show::start()?;
    narrator.heading("fail-over, fail-back, publish-playlist: during the show");
    narrator.explain(
        "A live show runs twice, as side A and side B. Each side has its own encoder (AWS Elemental MediaLive) and packager \
         (MediaPackage). Viewers open one playlist that names both sides. When A loses its input, viewers must be on B \
         before they notice. When A has recovered, the pair must be redundant again, also for viewers who are watching.",
    );
    let player = show.publish(narrator).await?;
    let lost_a = show.lose_side_a(narrator, &player).await?;
    show.repeat_and_refuse(narrator, lost_a).await?;
    show.recover_side_a(narrator).await?;
    show.lose_side_b(narrator, &player).await
}

/// The pair and its three functions.
struct Show {
    pair: Pair,
    publish_playlist: Lambda,
    fail_over: Lambda,
    fail_back: Lambda,
}

impl Show {
    fn start() -> anyhow::Result<Self> {
        let stream = || SyntheticStream {
            segment_ms: SEGMENT_MS,
            ..SyntheticStream::default()
        };
        let pair = Pair::with([stream(), stream()]);
        let ttl_s = STEERING_TTL_S.to_string();
        let start =
            |stem| Lambda::start(stem, pair.environment(&[("STEERING_TTL_SECONDS", &ttl_s)]));
        Ok(Self {
            publish_playlist: start("publish-playlist")?,
            fail_over: start("fail-over")?,
            fail_back: start("fail-back")?,
            pair,
        })
    }

    async fn publish(&self, narrator: &mut Narrator) -> anyhow::Result<SimulatedPlayer> {
        narrator.heading("1. One playlist for both sides");
        let schedule = event("publish-playlist/schedule.json")?;
        let (answer, _) = self.publish_playlist.send(&schedule).await?;
        narrator.show(&pretty(&answer));
        let player = SimulatedPlayer::open(self.pair.playlist_url());
        let on_a = player.plays("A", Instant::now(), TIME_LIMIT).await;
        narrator.check(
            "published; a player opens the playlist and plays side A",
            missing("A", on_a),
        );
        Ok(player)
    }

    /// Returns the event of the lost input.
    async fn lose_side_a(
        &self,
        narrator: &mut Narrator,
        player: &SimulatedPlayer,
    ) -> anyhow::Result<Value> {
        narrator.heading("2. Side A loses its input");
        narrator.explain("MediaLive sets an alert. EventBridge sends it to fail-over:");
        let lost_a = alert(event("fail-over/alert-set.json")?, 0);
        let lost_at = self.lose_input(0);
        let (answer, elapsed) = self.fail_over.send(&lost_a).await?;
        narrator.show(&pretty(&answer));
        let on_b = player.plays("B", lost_at, TIME_LIMIT).await;
        let result = format!(
            "fail-over answered after {}, the player plays B after {}",
            seconds(elapsed),
            seconds(on_b.unwrap_or_default())
        );
        let outcome = outcome_is_not("failed_over", &answer);
        narrator.check(&result, outcome.into_iter().chain(missing("B", on_b)));
        Ok(lost_a)
    }

    async fn repeat_and_refuse(
        &self,
        narrator: &mut Narrator,
        lost_a: Value,
    ) -> anyhow::Result<()> {
        narrator.heading("3. The same alert again, and an alert for side B");
        let (answer, _) = self.fail_over.send(&lost_a).await?;
        narrator.check(
            "the same alert: unchanged",
            outcome_is_not("unchanged", &answer),
        );
        let (answer, _) = self.fail_over.send(&alert(lost_a, 1)).await?;
        narrator.show(&pretty(&answer));
        narrator.check(
            "an alert for B: held, fail-over never cuts the last live side",
            outcome_is_not("held", &answer),
        );
        Ok(())
    }

    async fn recover_side_a(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        narrator.heading("4. Side A recovers");
        narrator.explain(
            "fail-back runs each minute. Side A must be healthy for the stabilization period (QUIET_SECONDS; here 0). Then \
             its endpoint is created again with the same definition. Players get the side when it serves new segments.",
        );
        let schedule = event("fail-back/schedule.json")?;
        let (answer, _) = self.fail_back.send(&schedule).await?;
        narrator.check(
            "while the alert is set: unchanged",
            outcome_is_not("unchanged", &answer),
        );
        self.pair.medialive.clear_alert(CHANNELS[0], 0, ALERT);
        self.pair.mediapackage.resume(CHANNELS[0]);
        let (answer, elapsed) = self.fail_back.send(&schedule).await?;
        narrator.show(&pretty(&answer));
        narrator.explain(
            "The new endpoint has a new URL, so players get it as a new pathway. The steering manifest:",
        );
        let steering = self.pair.steering();
        narrator.show(&pretty(&steering));
        let not_offered = (steering["PATHWAY-PRIORITY"] != json!(["B", "A.2"]))
            .then(|| "A.2 is not in the steering manifest".to_owned());
        let outcome = outcome_is_not("failed_back", &answer);
        narrator.check(
            &format!("failed back after {}; viewers stay on B", seconds(elapsed)),
            outcome.into_iter().chain(not_offered),
        );
        Ok(())
    }

    async fn lose_side_b(
        &self,
        narrator: &mut Narrator,
        player: &SimulatedPlayer,
    ) -> anyhow::Result<()> {
        narrator.heading("5. Side B loses its input");
        tokio::time::sleep(Duration::from_secs(STEERING_TTL_S + 1)).await;
        let lost_at = self.lose_input(1);
        let lost_b = alert(event("fail-over/alert-set.json")?, 1);
        let (answer, _) = self.fail_over.send(&lost_b).await?;
        let on_a = player.plays("A.2", lost_at, TIME_LIMIT).await;
        let result = format!(
            "the same player, which never reloaded the page, plays A after {}",
            seconds(on_a.unwrap_or_default())
        );
        let outcome = outcome_is_not("failed_over", &answer);
        narrator.check(&result, outcome.into_iter().chain(missing("A.2", on_a)));
        // Printed and not checked, because it depends on the load of the machine.
        let gap = seconds(player.longest_gap());
        narrator.explain(&format!(
            "The player waited at most {gap} for the next segment of {SEGMENT_MS} ms. Players buffer three segments."
        ));
        Ok(())
    }

    /// Sets the alert of a lost input and stops the stream of a side. Returns the time.
    fn lose_input(&self, side: usize) -> Instant {
        self.pair.medialive.set_alert(CHANNELS[side], 0, ALERT);
        self.pair.mediapackage.stall(CHANNELS[side]);
        Instant::now()
    }
}

fn missing(pathway: &str, played: Option<Duration>) -> Option<String> {
    played.is_none().then(|| {
        let limit = seconds(TIME_LIMIT);
        format!("the player did not play {pathway} within {limit}")
    })
}
