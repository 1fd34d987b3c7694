//! Plays published playlists in Chromium with hls.js, and checks that viewers notice nothing.
//! ffmpeg encodes both sides. The real functions move the player to the other side and back.
//! Everything runs on this machine.
//!
//! Screenshots and logs are in `target/player`.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

mod encoder;
mod viewer;

use encoder::{Encoder, MULTIVARIANT, SEGMENT_S, Sound};
use stand_in::{Function, Source};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stories::pair::{ALERT, CHANNELS, ENDPOINTS, Stage, alert_cleared, alert_set};
use stories::{event, response, root};
use viewer::{Browser, PlaybackEvents};

/// The goal: the time from the alert to the first segment of the other side.
const SWITCH_LIMIT: Duration = Duration::from_secs(SEGMENT_S + 2);
/// The buffer of the side that the player leaves, with some tolerance.
const PLAYED_OUT_LIMIT: Duration = Duration::from_secs(10 * SEGMENT_S);
/// A player that stalls on a new side still plays what it has buffered: at most these segments.
const BUFFERED: usize = 4;
/// The default TTL of the steering manifest, 10 s, and half of it in a cache.
const STEERED_LIMIT: Duration = Duration::from_secs(20);

const A: usize = 0;
const B: usize = 1;

/// A pair with real video, its functions, and a browser that plays.
struct Show {
    stage: Stage,
    fail_over: Function,
    fail_back: Function,
    viewer: Browser,
    _encoders: [Encoder; 2],
}

impl Show {
    /// Both sides are on air, the playlist is published, and the browser plays A.
    async fn start(story: &str, sound: Sound, settings: &[(&str, &str)]) -> Self {
        let folder = root().join("target/player").join(story);
        let stage = Stage::new();
        let sides = [("A", "red", 440), ("B", "blue", 660)];
        let mut encoders = sides.map(|(name, colour, tone_hz)| {
            Encoder::start(name, colour, tone_hz, sound, &folder.join(name))
        });
        for ((name, ..), channel) in sides.into_iter().zip(CHANNELS) {
            let source = Source::Directory {
                path: folder.join(name),
                master: MULTIVARIANT.to_owned(),
            };
            stage.mediapackage.create_channel(channel, source);
        }
        let mut viewer = Browser::start(&folder);
        encoders.iter_mut().for_each(Encoder::wait);

        let published = stage
            .call(
                "publish-playlist",
                settings,
                event("publish-playlist/schedule.json"),
            )
            .await;
        assert_eq!(response(published)["outcome"], "published");
        let fail_over = stage.start("fail-over", settings);
        let fail_back = stage.start("fail-back", settings);
        viewer.play(&stage.playlist_url());
        let mut show = Self {
            stage,
            fail_over,
            fail_back,
            viewer,
            _encoders: encoders,
        };
        let base = show.base(A);
        show.viewer.first_picture(&base, 0, PLAYED_OUT_LIMIT);
        show.go_on().await;
        show
    }

    /// Runs the scheduled checks for some time, without an event.
    async fn go_on(&self) {
        let looked = response(
            self.fail_over
                .invoke(event("fail-over/schedule.json"))
                .await,
        );
        assert_eq!(looked["outcome"], "unchanged", "{looked:#}");
        sleep(Duration::from_secs(2 * SEGMENT_S));
    }

    /// The beginning of the present URLs of a side.
    fn base(&self, side: usize) -> String {
        self.stage
            .mediapackage
            .url(ENDPOINTS[side])
            .trim_end_matches("index.m3u8")
            .to_owned()
    }

    /// A side loses its input, and MediaLive reports it.
    async fn lose(&mut self, side: usize) -> Switch {
        let to = self.base(1 - side);
        let since_ms = now_ms();
        self.stage.medialive.set_alert(CHANNELS[side], 0, ALERT);
        let answer = response(self.fail_over.invoke(alert_set(side)).await);
        assert_eq!(answer["outcome"], "failed_over", "{answer:#}");
        Switch { to, since_ms }
    }

    /// The input of a side recovers.
    async fn recover(&mut self, side: usize) -> Switch {
        let since_ms = now_ms();
        self.stage.medialive.clear_alert(CHANNELS[side], 0, ALERT);
        let answer = response(self.fail_back.invoke(alert_cleared(side)).await);
        assert_eq!(answer["outcome"], "failed_back", "{answer:#}");
        Switch {
            to: self.base(side),
            since_ms,
        }
    }

    /// Checks that the browser gets a segment of the other side in time, then plays it, and
    /// continues.
    fn arrives(&mut self, switch: &Switch, name: &str) {
        let loaded = self
            .viewer
            .first_segment(&switch.to, switch.since_ms, PLAYED_OUT_LIMIT);
        let seen = self
            .viewer
            .first_picture(&switch.to, switch.since_ms, PLAYED_OUT_LIMIT);
        println!("{name}: the first segment after {loaded:?}, the first picture after {seen:?}");
        self.viewer.screenshot(name);
        self.viewer.goes_on(&switch.to, BUFFERED, PLAYED_OUT_LIMIT);
        assert!(
            loaded <= SWITCH_LIMIT,
            "{name}: the first segment came after {loaded:?}, the goal is {SWITCH_LIMIT:?}"
        );
    }

    /// Checks that the browser noticed nothing, on its way along these pathways.
    fn end(self, pathways: &[&str]) {
        let pathways = pathways.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(
            self.viewer.end(),
            PlaybackEvents {
                stalls: 0,
                waits: 0,
                jumps: 0,
                fatal: 0,
                pathways
            }
        );
    }
}

/// A switch of viewers to another side.
struct Switch {
    /// The beginning of the URLs of the new side.
    to: String,
    /// The start of the switch in Unix time.
    since_ms: u64,
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since_epoch.as_millis().try_into().unwrap()
}

/// Promise P63. A running player plays through fail-over and fail-back without a stall, a fatal
/// error or a new page.
#[tokio::test]
#[ignore = "needs Chromium, ffmpeg and npm: make test runs it"]
async fn a_side_that_is_deleted_is_left_without_a_stall_where_nothing_steers() {
    let mut show = Show::start(
        "deleted",
        Sound::Muxed,
        &[("CUT", "delete"), ("STEERING", "off")],
    )
    .await;
    let switch = show.lose(A).await;
    show.arrives(&switch, "b");
    show.end(&["A", "B"]);
}

/// Promise P63. A running player plays through fail-over and fail-back without a stall, a fatal
/// error or a new page.
#[tokio::test]
#[ignore = "needs Chromium, ffmpeg and npm: make test runs it"]
async fn steering_alone_leads_there_and_back() {
    let settings = [
        ("CUT", "none"),
        ("STEERING", "on"),
        ("STEERING_TTL_SECONDS", "1"),
        ("PREFER", "A"),
    ];
    let mut show = Show::start("steered", Sound::Muxed, &settings).await;
    let switch = show.lose(A).await;
    show.arrives(&switch, "b");
    let switch = show.recover(A).await;
    show.arrives(&switch, "a-again");
    show.end(&["A", "B", "A"]);
}

/// Promise P63. A running player plays through fail-over and fail-back without a stall, a fatal
/// error or a new page.
#[tokio::test]
#[ignore = "needs Chromium, ffmpeg and npm: make test runs it"]
async fn a_side_that_came_back_elsewhere_is_there_when_the_other_one_is_lost() {
    let settings = [("CUT", "delete"), ("STEERING", "on")];
    let mut show = Show::start("returned", Sound::Separate, &settings).await;
    let before = show.base(A);
    let switch = show.lose(A).await;
    show.arrives(&switch, "b");
    let back = show.recover(A).await;
    assert_ne!(back.to, before);
    show.viewer.steered_to(&["B", "A.2"], STEERED_LIMIT);
    show.go_on().await;
    show.stage.an_hour_passes();
    let switch = show.lose(B).await;
    assert_eq!(switch.to, back.to);
    show.arrives(&switch, "a-again");
    show.end(&["A", "B", "A.2"]);
}
