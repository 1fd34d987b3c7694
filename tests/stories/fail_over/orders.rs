//! Events in all orders. Promises P42, P45 and P56: at each call of each run viewers have a live
//! side, and the end is the same.
//!
//! These stories run the real functions. A pure model in `crates/onair-core/tests` runs longer
//! orders.

use super::{A, B};
use futures::future::join_all;
use serde_json::{Value, json};
use stand_in::Function;
use std::time::Duration;
use stories::pair::{ALERT, CHANNELS, Stage, alert_cleared, alert_set};
use stories::{event, response};

/// An event. A repeated `Set` is the same event.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Set(usize),
    Cleared(usize),
    /// The schedules of both functions.
    Tick,
}

const EVENTS: [Event; 5] = [
    Event::Set(A),
    Event::Cleared(A),
    Event::Set(B),
    Event::Cleared(B),
    Event::Tick,
];

/// The longest order.
const EVENTS_IN_A_ROW: usize = 3;

/// The number of orders that run in parallel, each on its own stage with its own processes.
const AT_ONCE: usize = 4;

/// After this number of ticks nothing may change.
const TICKS_TO_REST: usize = 4;

/// A pair and its functions.
struct Show {
    stage: Stage,
    publish_playlist: Function,
    fail_over: Function,
    fail_back: Function,
}

impl Show {
    /// `lost` is the side whose input is lost all the time: its alert is set, and it is stale.
    async fn start(settings: &[(&str, &str)], lost: Option<usize>) -> Self {
        let stage = Stage::new();
        let start = |stem| stage.start(stem, settings);
        let functions = [
            start("publish-playlist"),
            start("fail-over"),
            start("fail-back"),
        ];
        if let Some(side) = lost {
            stage.medialive.set_alert(CHANNELS[side], 0, ALERT);
            stage.mediapackage.stall(CHANNELS[side]);
            // The target duration is one second, and three are allowed.
            tokio::time::sleep(Duration::from_millis(3_600)).await;
        }
        let [publish_playlist, fail_over, fail_back] = functions;
        Self {
            stage,
            publish_playlist,
            fail_over,
            fail_back,
        }
    }

    /// Restores and publishes the pair.
    async fn begin(&self) {
        self.stage.renew();
        let answer = response(
            self.publish_playlist
                .invoke(event("publish-playlist/by-hand.json"))
                .await,
        );
        assert_eq!(answer["outcome"], "published");
    }

    async fn run(&self, function: &Function, event: Value, when: &str) {
        let watch = self.stage.monitor_viewers();
        let answer = response(function.invoke(event).await);
        let breaches = watch.breaches();
        assert!(breaches.is_empty(), "{when}: {breaches:#?} {answer:#}");
        let there: Vec<String> = self.stage.bases().into_iter().flatten().collect();
        for (pathway, url) in self.stage.variants() {
            assert!(
                there.iter().any(|base| url.starts_with(base)),
                "{when}: {pathway} names {url}: {answer:#}"
            );
        }
    }

    async fn tick(&self, when: &str) {
        self.run(&self.fail_over, event("fail-over/schedule.json"), when)
            .await;
        self.run(&self.fail_back, event("fail-back/schedule.json"), when)
            .await;
    }

    /// Runs this order, and then ticks until nothing changes.
    async fn play(&self, order: Vec<Event>) -> End {
        self.begin().await;
        // All alerts are from before the first run.
        let (set, cleared) = ([A, B].map(alert_set), [A, B].map(alert_cleared));
        let mut last_changed = false;
        for (number, event) in order.iter().enumerate() {
            let (when, before) = (
                format!("event {number} of {order:?}"),
                self.stage.snapshot(),
            );
            match *event {
                Event::Set(side) => self.run(&self.fail_over, set[side].clone(), &when).await,
                Event::Cleared(side) => {
                    self.run(&self.fail_back, cleared[side].clone(), &when)
                        .await;
                }
                Event::Tick => self.tick(&when).await,
            }
            last_changed = self.stage.snapshot() != before;
        }
        for number in 0..TICKS_TO_REST {
            // A cut may wait until all players know the other side.
            if self.stage.state().is_object() {
                self.stage.an_hour_passes();
            }
            let before = self.stage.snapshot();
            self.tick(&format!("tick {number} after {order:?}")).await;
            if self.stage.snapshot() == before {
                return End {
                    order,
                    last_changed,
                    end: end(&self.stage),
                    picture: self.stage.picture(),
                };
            }
        }
        panic!("the pair keeps changing after {order:?}");
    }
}

/// The end of an order.
struct End {
    order: Vec<Event>,
    /// Whether the last event changed something.
    last_changed: bool,
    end: Value,
    picture: Value,
}

/// The end, without generations and without the number of pathways.
fn end(stage: &Stage) -> Value {
    let state = stage.state();
    let sides = |pathways: Vec<String>| {
        let mut sides: Vec<String> = pathways
            .iter()
            .map(|pathway| pathway[..1].to_owned())
            .collect();
        sides.sort();
        sides.dedup();
        sides
    };
    let steered: Vec<String> =
        serde_json::from_value(stage.steering()["PATHWAY-PRIORITY"].clone()).unwrap();
    let origination = |endpoint: &str| {
        stage
            .mediapackage
            .endpoint(endpoint)
            .map(|endpoint| endpoint["origination"].clone())
    };
    json!({
        "statuses": stage.statuses(),
        "named": sides(stage.variants().into_iter().map(|(pathway, _)| pathway).collect()),
        "steered to": sides(steered),
        "endpoints": stories::pair::ENDPOINTS.map(origination),
        // A new pair has no state, and A is active.
        "first": state["first"].as_str().unwrap_or("A"),
    })
}

/// Runs all orders of up to three events, and returns the end of each. If an event changed nothing,
/// not even a time, the longer orders that contain it are equal to shorter ones and are skipped.
async fn all_orders(settings: &[(&str, &str)], lost: Option<usize>) -> Vec<End> {
    let shows = join_all((0..AT_ONCE).map(async |_| Show::start(settings, lost).await)).await;
    let (mut ends, mut spared) = (Vec::new(), 0);
    let mut orders: Vec<Vec<Event>> = EVENTS.map(|event| vec![event]).to_vec();
    for length in 1..=EVENTS_IN_A_ROW {
        let shares = shows.iter().enumerate().map(async |(number, show)| {
            let mut ends = Vec::new();
            for order in orders.iter().skip(number).step_by(AT_ONCE) {
                ends.push(show.play(order.clone()).await);
            }
            ends
        });
        let played: Vec<End> = join_all(shares).await.into_iter().flatten().collect();
        let (changing, others): (Vec<&End>, Vec<&End>) =
            played.iter().partition(|end| end.last_changed);
        let more = |end: &&End| EVENTS.map(|event| [end.order.as_slice(), &[event]].concat());
        orders = changing.iter().flat_map(more).collect();
        spared += others.len()
            * (length..EVENTS_IN_A_ROW)
                .map(|further| 5_usize.pow((further - length + 1) as u32))
                .sum::<usize>();
        ends.extend(played);
    }
    assert_eq!(ends.len() + spared, 5 + 25 + 125);
    ends
}

/// Both sides are live, and viewers can be sent to either.
fn both_live(first: &str) -> Value {
    json!({
        "statuses": ["live", "live"], "named": ["A", "B"], "steered to": ["A", "B"],
        "endpoints": ["ALLOW", "ALLOW"], "first": first,
    })
}

#[tokio::test]
async fn after_recovery_both_sides_return_and_viewers_stay() {
    let mut active = Vec::new();
    for End { order, mut end, .. } in all_orders(&[("CUT", "delete")], None).await {
        let first = end["first"].take().as_str().unwrap().to_owned();
        end["first"] = "".into();
        assert_eq!(end, both_live(""), "{order:?}");
        // The side that was lost is not the active one.
        let lost: Vec<usize> = order
            .iter()
            .filter_map(|event| {
                if let Event::Set(side) = event {
                    Some(*side)
                } else {
                    None
                }
            })
            .collect();
        if let [side] = lost[..] {
            assert_eq!(first, ["B", "A"][side], "{order:?}");
        }
        active.push(first);
    }
    assert!(active.contains(&"A".to_owned()) && active.contains(&"B".to_owned()));
}

#[tokio::test]
async fn after_recovery_viewers_are_on_the_preferred_side() {
    for End { order, end, .. } in all_orders(&[("CUT", "delete"), ("PREFER", "A")], None).await {
        assert_eq!(end, both_live("A"), "{order:?}");
    }
}

#[tokio::test]
async fn after_recovery_a_denied_side_is_allowed_again() {
    for End { order, end, .. } in all_orders(&[("CUT", "deny"), ("PREFER", "A")], None).await {
        assert_eq!(end, both_live("A"), "{order:?}");
    }
}

/// Steering leaves no trace except in the generation.
#[tokio::test]
async fn after_recovery_steering_is_as_at_the_beginning() {
    let ends = all_orders(&[("CUT", "none"), ("PREFER", "A")], None).await;
    let published =
        |picture: &Value| [1, 2].map(|document| picture["documents"][document]["text"].clone());
    let untouched = Stage::published(&[("CUT", "none")]).await.picture();
    for End {
        order,
        end,
        picture,
        ..
    } in ends
    {
        assert_eq!(end, both_live("A"), "{order:?}");
        assert_eq!(published(&picture), published(&untouched), "{order:?}");
    }
}

/// The documents at the end depend only on the alerts of MediaLive, not on the order of events.
async fn the_lost_side_is_cut(settings: &[(&str, &str)], lost: usize, endpoint: Value) {
    let ends = all_orders(settings, Some(lost)).await;
    let left = ["B", "A"][lost];
    let first_picture = format!("{:#}", ends[0].picture);
    for End {
        order,
        end,
        picture,
        ..
    } in ends
    {
        let statuses = [A, B].map(|side| if side == lost { "cut" } else { "live" });
        assert_eq!(
            (&end["statuses"], &end["first"]),
            (&json!(statuses), &json!(left)),
            "{order:?}"
        );
        assert_eq!(
            (&end["endpoints"][lost], &end["endpoints"][1 - lost]),
            (&endpoint, &json!("ALLOW")),
            "{order:?}"
        );
        assert_eq!(format!("{picture:#}"), first_picture, "{order:?}");
    }
}

#[tokio::test]
async fn when_a_is_lost_it_is_deleted_in_every_order_of_events() {
    the_lost_side_is_cut(&[("CUT", "delete")], A, Value::Null).await;
}

#[tokio::test]
async fn when_b_is_lost_it_is_denied_in_every_order_of_events() {
    the_lost_side_is_cut(&[("CUT", "deny"), ("PREFER", "A")], B, json!("DENY")).await;
}

#[tokio::test]
async fn when_a_is_lost_viewers_leave_it_whatever_is_preferred() {
    the_lost_side_is_cut(&[("CUT", "none"), ("PREFER", "A")], A, json!("ALLOW")).await;
}
