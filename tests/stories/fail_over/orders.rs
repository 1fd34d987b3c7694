//! Events in all orders. Promises P42, P45 and P56: at every call of every run viewers have
//! somewhere to go, and the end is the same.
//!
//! A pure model goes through longer orders in `crates/onair-core/tests`; here it is the real
//! functions.

use super::{A, B};
use futures::future::join_all;
use serde_json::{Value, json};
use stand_in::Function;
use std::time::Duration;
use stories::pair::{ALERT, CHANNELS, Stage, alert_cleared, alert_set};
use stories::{event, response};

/// What arrives. A SET that comes again is the same one.
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

/// Longest order that is played.
const EVENTS_IN_A_ROW: usize = 3;

/// Orders that are played at a time, each on a stage with processes of its own.
const AT_ONCE: usize = 4;

/// After so many ticks nothing may change any more.
const TICKS_TO_REST: usize = 4;

/// A pair and its functions, which do all of a few orders.
struct Show {
    stage: Stage,
    publish_playlist: Function,
    fail_over: Function,
    fail_back: Function,
}

impl Show {
    /// `lost` is the side whose input is really lost: its alert is set, and it stands still.
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
            // A target duration is one second, and three are allowed.
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

    /// Everything as at first, and published.
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

    /// Lets this order happen, and then ticks until nothing changes.
    async fn play(&self, order: Vec<Event>) -> End {
        self.begin().await;
        // All of them tell of what was before.
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
            // A cut may wait until who is watching has heard of the other side.
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
        panic!("it does not come to rest after {order:?}");
    }
}

/// How an order ended.
struct End {
    order: Vec<Event>,
    /// The last event changed something.
    last_changed: bool,
    end: Value,
    picture: Value,
}

/// How it ended, but for how often and in which order it came to that.
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
        // A pair to which nothing happened has no state, and A leads.
        "first": state["first"].as_str().unwrap_or("A"),
    })
}

/// Plays all orders of up to three events, and gives how each ended. What follows an event that
/// changed nothing, not even a time, is what would have come without it: it is an order that is
/// played anyway.
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
async fn when_nothing_is_wrong_any_more_both_sides_come_back_and_viewers_stay() {
    let mut leaders = Vec::new();
    for End { order, mut end, .. } in all_orders(&[("CUT", "delete")], None).await {
        let first = end["first"].take().as_str().unwrap().to_owned();
        end["first"] = "".into();
        assert_eq!(end, both_live(""), "{order:?}");
        // Who was lost last is not who leads.
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
        leaders.push(first);
    }
    assert!(leaders.contains(&"A".to_owned()) && leaders.contains(&"B".to_owned()));
}

#[tokio::test]
async fn when_nothing_is_wrong_any_more_viewers_are_led_to_the_side_that_is_preferred() {
    for End { order, end, .. } in all_orders(&[("CUT", "delete"), ("PREFER", "A")], None).await {
        assert_eq!(end, both_live("A"), "{order:?}");
    }
}

#[tokio::test]
async fn when_nothing_is_wrong_any_more_a_denied_side_is_allowed_again() {
    for End { order, end, .. } in all_orders(&[("CUT", "deny"), ("PREFER", "A")], None).await {
        assert_eq!(end, both_live("A"), "{order:?}");
    }
}

/// Nothing that was steered leaves a trace, but how often it was.
#[tokio::test]
async fn when_nothing_is_wrong_any_more_steering_is_as_if_nothing_had_been() {
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

/// Whatever came in whatever order, the end is what MediaLive says: to the letter.
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
async fn when_a_is_lost_it_is_deleted_whatever_came_in_whatever_order() {
    the_lost_side_is_cut(&[("CUT", "delete")], A, Value::Null).await;
}

#[tokio::test]
async fn when_b_is_lost_it_is_denied_whatever_came_in_whatever_order() {
    the_lost_side_is_cut(&[("CUT", "deny"), ("PREFER", "A")], B, json!("DENY")).await;
}

#[tokio::test]
async fn when_a_is_lost_viewers_leave_it_whatever_is_preferred() {
    the_lost_side_is_cut(&[("CUT", "none"), ("PREFER", "A")], A, json!("ALLOW")).await;
}
