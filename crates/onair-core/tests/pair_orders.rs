//! All orders of events, with a crash after any effect: a model of the two functions around the
//! core's decisions, and an invariant that is checked after every single effect.
//!
//! The real functions go through shorter orders in `tests/stories`; here every one of up to five
//! events is tried.

use crate::orders::{Eventful, every_order};
use crate::pair_builder::at;
use chrono::TimeDelta;
use onair_core::fail_back::{self, Repair, Step, repair, returned, shortened_period};
use onair_core::fail_over::{
    self, Diagnosis, EndpointAction, diagnose, diagnose_alerts, endpoint_action, wait_is_over,
};
use onair_core::pair::endpoint::Definition;
use onair_core::pair::freshness::Freshness;
use onair_core::pair::health::Health;
use onair_core::pair::state::{PairState, Status};
use onair_core::pair::trigger::Trigger;
use onair_core::pair::{CutBy, Pair, Side, Sides, Source};
use serde_json::json;

pub(crate) fn pair(cut: CutBy, prefer: Option<Side>) -> Pair {
    let source = |side: Side| Source {
        channel_arn: format!("arn:aws:medialive:us-west-2:111122223333:channel:{side}"),
        pipeline: "0".to_owned(),
        endpoint: format!("{side}-hls"),
        base_url: None,
        alarm: None,
    };
    Pair {
        name: "show".to_owned(),
        sides: Sides::of(source),
        cut,
        steering_ttl: Some(TimeDelta::seconds(10)),
        alert_types: ["Video Not Detected".to_owned()].into(),
        stabilization_period: TimeDelta::seconds(60),
        prefer,
    }
}

/// What arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Set(Side),
    Cleared(Side),
    Tick,
    /// The SET that came last, once more.
    Duplicate,
}

const EVENTS: [Event; 6] = [
    Event::Set(Side::A),
    Event::Cleared(Side::A),
    Event::Set(Side::B),
    Event::Cleared(Side::B),
    Event::Tick,
    Event::Duplicate,
];

/// What is really so.
#[derive(Debug, Clone)]
struct World {
    pair: Pair,
    /// A side's input is lost: its alert is set and its playlists stand still.
    lost: Sides<bool>,
    state: PairState,
    /// Which incarnation of its endpoint exists, and whether it serves.
    endpoints: Sides<Option<(u32, bool)>>,
    made: u32,
    seconds: i64,
    last_set: Option<(Side, i64)>,
    /// Effects until the process dies.
    fuse: usize,
}

/// The process died.
struct Died;

impl Eventful for World {
    type Event = Event;
    const EVENTS: &'static [Event] = &EVENTS;

    fn receive(&mut self, event: Event) {
        let _ = self.happen(event);
    }
}

impl World {
    fn new(cut: CutBy, prefer: Option<Side>, lost: Sides<bool>) -> Self {
        Self {
            pair: pair(cut, prefer),
            lost,
            state: PairState::default(),
            endpoints: Sides {
                a: Some((1, true)),
                b: Some((2, true)),
            },
            made: 2,
            seconds: 0,
            last_set: None,
            fuse: usize::MAX,
        }
    }

    fn definition(&self, side: Side) -> Option<Definition> {
        let (uuid, serves) = self.endpoints[side]?;
        let origination = if serves { "ALLOW" } else { "DENY" };
        let url = format!("https://x.example.com/{uuid}/index.m3u8");
        let value = json!({ "id": side.to_string(), "channelId": "c", "arn": uuid.to_string(), "url": url, "origination": origination });
        Definition::parse(&value).ok()
    }

    /// Something changes. What must hold at every moment is looked at here.
    fn effect(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), Died> {
        self.fuse = self.fuse.checked_sub(1).ok_or(Died)?;
        change(self);
        let live = Side::BOTH
            .into_iter()
            .filter(|side| self.state.sides[*side].is_live());
        assert!(live.count() >= 1, "both sides are cut: {self:#?}");
        assert!(
            self.state.sides[self.state.active].is_live(),
            "viewers are sent to a cut side: {self:#?}"
        );
        let serving = Side::BOTH
            .into_iter()
            .filter(|side| self.endpoints[*side].is_some_and(|(_, serves)| serves));
        assert!(serving.count() >= 1, "nothing serves: {self:#?}");
        let (_, serves) = self.endpoints[self.state.active].unwrap_or_default();
        assert!(serves, "the first side does not serve: {self:#?}");
        Ok(())
    }

    /// What fail-over does (functions/fail-over/src/lib.rs).
    fn fail_over(&mut self, trigger: &Trigger) -> Result<(), Died> {
        let set = Sides::of(|side| {
            if self.lost[side] {
                vec!["Video Not Detected".to_owned()]
            } else {
                Vec::new()
            }
        });
        let found = match diagnose(trigger, &self.state, at(self.seconds)) {
            Diagnosis::AskMediaLive => match diagnose_alerts(&self.state, &set) {
                Ok(found) => found,
                Err(_held) => return Ok(()),
            },
            known => known,
        };
        if let Diagnosis::InputLost { side, why, until } = found
            && !fail_over::is_cut(&self.state, side)
        {
            let freshness = match self.lost[side.other()] {
                true => Freshness::Stale("it is lost".to_owned()),
                false => Freshness::Advancing,
            };
            let described = self
                .definition(side)
                .filter(|_| self.pair.cut != CutBy::None);
            let now = at(self.seconds);
            let why = (why.as_str(), until);
            match fail_over::cut(
                &self.pair,
                &self.state,
                side,
                described.as_ref(),
                &freshness,
                why,
                now,
            ) {
                Ok(next) => self.effect(|world| world.state = next)?,
                Err(_held) => return Ok(()),
            }
        }
        self.apply()
    }

    /// What the schedule does first.
    fn finish_earlier(&mut self) -> Result<(), Died> {
        for side in Side::BOTH {
            if let Some(next) = wait_is_over(&self.pair, &self.state, side, at(self.seconds))
                && !self.lost[side.other()]
            {
                self.effect(|world| world.state = next)?;
            }
        }
        self.apply()
    }

    fn apply(&mut self) -> Result<(), Died> {
        for side in Side::BOTH {
            let Status::Cut(record) = self.state.sides[side].status.clone() else {
                continue;
            };
            match endpoint_action(&record, self.definition(side).as_ref()) {
                EndpointAction::None | EndpointAction::NotOurs | EndpointAction::Waits => {}
                EndpointAction::Delete => self.effect(|world| world.endpoints[side] = None)?,
                EndpointAction::Deny(_) => self.effect(|world| {
                    world.endpoints[side] = world.endpoints[side].map(|(uuid, _)| (uuid, false));
                })?,
            }
        }
        Ok(())
    }

    /// What fail-back does (functions/fail-back/src/lib.rs).
    fn fail_back(&mut self) -> Result<(), Died> {
        for _ in 0..3 {
            let Some(side) = Side::BOTH
                .into_iter()
                .find(|side| !self.state.sides[*side].is_live())
            else {
                return Ok(());
            };
            let health = Sides::of(|side| match self.lost[side] {
                true => Health::Troubled("its alert is set".to_owned()),
                false => Health::Clean { last_cleared: None },
            });
            let step = |quiet| {
                fail_back::step(
                    &self.state,
                    side,
                    Some(&health[side]),
                    quiet,
                    at(self.seconds),
                )
            };
            let sooner = step(shortened_period(&self.pair));
            let hurries = self.lost[side.other()] && matches!(sooner, Step::Restore(_));
            match if hurries {
                sooner
            } else {
                step(self.pair.stabilization_period)
            } {
                Step::Wait { remember, .. } => {
                    return match remember {
                        Some(next) => self.effect(|world| world.state = next),
                        None => Ok(()),
                    };
                }
                Step::Restore(next) => {
                    let record = self.state.sides[side].cut().unwrap().clone();
                    if repair(&record, &side.to_string(), self.definition(side).as_ref()).is_err() {
                        return Ok(());
                    }
                    self.effect(|world| world.state = next)?;
                }
                Step::Probe => {
                    let record = self.state.sides[side].cut().unwrap().clone();
                    match repair(&record, &side.to_string(), self.definition(side).as_ref()) {
                        Err(_held) => return Ok(()),
                        Ok(Repair::None) => {}
                        Ok(Repair::Create(_)) => {
                            self.effect(|world| {
                                world.made += 1;
                                world.endpoints[side] = Some((world.made, true));
                            })?;
                        }
                        Ok(Repair::Allow(_)) => {
                            self.effect(|world| {
                                world.endpoints[side] =
                                    world.endpoints[side].map(|(uuid, _)| (uuid, true));
                            })?;
                        }
                    }
                    if self.lost[side] {
                        return Ok(());
                    }
                    let described = self.definition(side);
                    let next = returned(
                        &self.state,
                        side,
                        described.as_ref(),
                        self.pair.prefer,
                        at(self.seconds),
                    );
                    self.effect(|world| world.state = next)?;
                }
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Died> {
        self.seconds += 7;
        let lost = |side, sent: i64| Trigger::InputLost {
            side,
            at: at(sent),
            what: "alert".to_owned(),
            is_alarm: false,
        };
        match event {
            Event::Set(side) => {
                self.last_set = Some((side, self.seconds));
                self.fail_over(&lost(side, self.seconds))
            }
            Event::Duplicate => match self.last_set {
                Some((side, sent)) => self.fail_over(&lost(side, sent)),
                None => Ok(()),
            },
            Event::Cleared(_) => self.fail_back(),
            Event::Tick => {
                self.finish_earlier()?;
                self.fail_over(&Trigger::ScheduledCheck)?;
                self.fail_back()
            }
        }
    }

    /// The schedule goes on until every side is as its input is, and then changes nothing any more.
    fn settle(mut self) -> Self {
        self.fuse = usize::MAX;
        let is_settled = |world: &Self| {
            Side::BOTH
                .into_iter()
                .all(|side| world.state.sides[side].is_live() != world.lost[side])
        };
        for _ in 0..8 {
            self.seconds += 60;
            let _ = self.happen(Event::Tick);
            if is_settled(&self) || self.lost.a && self.lost.b {
                break;
            }
        }
        let settled = (self.state.clone(), self.endpoints);
        let _ = self.happen(Event::Tick);
        assert_eq!(
            (self.state.clone(), self.endpoints),
            settled,
            "it never comes to rest"
        );
        self
    }

    /// What the events may not have an influence on.
    fn end(&self) -> (Sides<bool>, Sides<bool>, Option<Side>) {
        let live = Sides::of(|side| self.state.sides[side].is_live());
        let serves = Sides::of(|side| self.endpoints[side].is_some_and(|(_, serves)| serves));
        // Without a preference viewers are where the last fail-over brought them, as long as both
        // sides are well.
        let is_told = self.pair.prefer.is_some() || !(live.a && live.b);
        (live, serves, is_told.then_some(self.state.active))
    }
}

fn worlds() -> Vec<World> {
    let lost = [(false, false), (true, false), (false, true)].map(|(a, b)| Sides { a, b });
    let ways = [CutBy::Delete, CutBy::Deny, CutBy::None];
    let prefers = [None, Some(Side::A)];
    let combine = |lost: Sides<bool>| {
        ways.into_iter()
            .flat_map(move |cut| prefers.map(move |prefer| World::new(cut, prefer, lost)))
    };
    lost.into_iter().flat_map(combine).collect()
}

#[test]
fn every_order_of_up_to_five_events_ends_the_same_and_never_leaves_viewers_without_a_side() {
    for start in worlds() {
        let (mut seen, expected) = (0, start.clone().settle().end());
        every_order(&start, 5, &mut |world, order| {
            seen += 1;
            assert_eq!(
                expected,
                world.clone().settle().end(),
                "after {order:?}: {world:#?}"
            );
        });
        assert_eq!(seen, 1 + 6 + 36 + 216 + 1_296 + 7_776);
    }
}

#[test]
fn both_sides_lost_is_never_made_worse() {
    let start = World::new(CutBy::Delete, None, Sides { a: true, b: true });
    every_order(&start, 5, &mut |world, order| {
        assert_eq!(
            world.clone().settle().state,
            PairState::default(),
            "after {order:?}"
        );
    });
}

#[test]
fn of_two_lost_sides_the_one_that_is_well_first_gets_the_viewers() {
    for way in [CutBy::Delete, CutBy::Deny, CutBy::None] {
        for first_lost in Side::BOTH {
            let mut world = World::new(way, None, Sides::of(|side| side == first_lost));
            world.pair.stabilization_period = TimeDelta::seconds(600);
            let _ = world.happen(Event::Set(first_lost));
            assert_eq!(world.state.active, first_lost.other());
            world.lost = Sides { a: true, b: true };
            let _ = world.happen(Event::Set(first_lost.other()));
            let _ = world.happen(Event::Tick);
            assert_eq!(
                world.state.active,
                first_lost.other(),
                "nobody is sent to what is lost, too"
            );
            world.lost[first_lost] = false;
            let well_since = world.seconds;
            while world.state.active != first_lost {
                let _ = world.happen(Event::Tick);
                assert!(world.seconds - well_since < 120, "{world:#?}");
            }
        }
    }
}

/// A was cut and came back elsewhere, then B was cut at once.
fn b_waits(way: CutBy) -> World {
    let mut world = World::new(way, None, Sides { a: true, b: false });
    let _ = world.happen(Event::Set(Side::A));
    world.lost.a = false;
    while !world.state.sides.a.is_live() {
        let _ = world.happen(Event::Tick);
    }
    world.lost.b = true;
    let _ = world.happen(Event::Set(Side::B));
    assert_eq!(
        (world.state.active, world.endpoints.b),
        (Side::A, Some((2, true))),
        "{world:#?}"
    );
    world
}

#[test]
fn a_cut_that_waits_falls_when_all_have_heard_and_spares_the_side_if_the_other_is_lost_by_then() {
    for way in [CutBy::Delete, CutBy::Deny] {
        let mut world = b_waits(way);
        for _ in 0..3 {
            let _ = world.happen(Event::Tick);
        }
        assert!(
            !world.endpoints.b.is_some_and(|(_, serves)| serves),
            "{world:#?}"
        );

        // A is lost while B waits: then B is what is left, and it comes back as it was.
        let mut world = b_waits(way);
        world.lost = Sides { a: true, b: false };
        while !world.state.sides.b.is_live() {
            let _ = world.happen(Event::Tick);
            assert_eq!(world.endpoints.b, Some((2, true)));
        }
        assert_eq!(world.state.sides.b.pathway, "B");
        let _ = world.happen(Event::Tick);
        assert_eq!(world.state.active, Side::B, "{world:#?}");
    }
}

/// No event has more effects than this in three of them.
const EFFECTS: usize = 12;

#[test]
fn a_crash_after_any_effect_of_any_three_events_ends_the_same() {
    for start in worlds() {
        let expected = start.clone().settle().end();
        every_order(&start, 3, &mut |_, order| {
            for fuse in 0..EFFECTS {
                let mut world = start.clone();
                world.fuse = fuse;
                for event in order {
                    if world.happen(*event).is_err() {
                        // Lambda, or EventBridge, sends it again.
                        world.fuse = usize::MAX;
                        let _ = world.happen(*event);
                    }
                }
                assert_eq!(
                    expected,
                    world.settle().end(),
                    "{order:?}, dead after {fuse} effects"
                );
            }
        });
    }
}
