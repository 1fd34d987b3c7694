//! All orders of events, with a crash after any effect and another run between any two. The model
//! is of AWS and of the players' view only: what decides is `next` of the two functions.
//!
//! The real functions go through shorter orders in `tests/stories`.

use crate::orders::{Distinct, every_distinct_order};
use crate::pair_world::{Event, World};
use chrono::TimeDelta;
use onair_core::pair::{CutBy, Side, Sides};

/// MediaLive's alerts, the schedule, and an alert that is delivered a second time.
pub(crate) const ALERTS: [Event; 6] = [
    Event::Set(Side::A),
    Event::Cleared(Side::A),
    Event::Set(Side::B),
    Event::Cleared(Side::B),
    Event::Tick,
    Event::Duplicate,
];

/// The same with alarms, stalls, and publishing.
pub(crate) const ALL: [Event; 11] = [
    Event::Set(Side::A),
    Event::Cleared(Side::A),
    Event::Set(Side::B),
    Event::Cleared(Side::B),
    Event::Tick,
    Event::Duplicate,
    Event::Alarm(Side::A),
    Event::AlarmOver(Side::A),
    Event::Stall(Side::A),
    Event::Advance(Side::A),
    Event::Publish,
];

pub(crate) const WAYS: [CutBy; 3] = [CutBy::Delete, CutBy::Deny, CutBy::None];

pub(crate) fn worlds() -> Vec<World> {
    let lost = [(false, false), (true, false), (false, true)].map(|(a, b)| Sides { a, b });
    let combine = |lost: Sides<bool>| {
        let prefer = [None, Some(Side::A)];
        WAYS.into_iter()
            .flat_map(move |cut| prefer.map(move |prefer| World::new(cut, prefer, lost)))
    };
    lost.into_iter().flat_map(combine).collect()
}

/// Runs the schedule until nothing changes. Then the status of every side matches its input.
pub(crate) fn settle(world: &World) -> World {
    let mut world = world.clone();
    world.fuse = usize::MAX;
    for _ in 0..12 {
        let before = world.lasting();
        world.seconds += 60;
        world.happen_uninterrupted(Event::Tick);
        if world.lasting() == before && world.is_time_to_rest() {
            return world;
        }
    }
    panic!("the schedule still changes something: {world:#?}");
}

#[test]
fn every_order_of_up_to_five_events_ends_the_same_and_never_leaves_viewers_without_a_side() {
    for start in worlds() {
        let expected = settle(&start).end();
        let orders = every_distinct_order(&start, &ALERTS, 5, &mut |world, order| {
            assert_eq!(expected, settle(world).end(), "after {order:?}: {world:#?}");
        });
        assert_eq!(orders, 1 + 6 + 36 + 216 + 1_296 + 7_776);
    }
}

#[test]
fn every_order_of_up_to_four_events_with_alarms_stalls_and_publishing_ends_on_a_healthy_side() {
    for start in worlds() {
        let orders = every_distinct_order(&start, &ALL, 4, &mut |world, order| {
            settle(world).must_be_as_its_inputs(order);
        });
        assert_eq!(orders, 1 + 11 + 121 + 1_331 + 14_641);
    }
}

#[test]
fn both_sides_lost_is_never_made_worse() {
    let start = World::new(CutBy::Delete, None, Sides { a: true, b: true });
    every_distinct_order(&start, &ALERTS, 5, &mut |world, order| {
        let end = settle(world);
        assert_eq!(end.live(), Sides { a: true, b: true }, "after {order:?}");
        assert_eq!(end.state.active, Side::A, "after {order:?}");
    });
}

#[test]
fn of_two_lost_sides_the_one_that_recovers_first_gets_the_viewers() {
    for way in WAYS {
        for first_lost in Side::BOTH {
            let mut world = World::new(way, None, Sides::of(|side| side == first_lost));
            world.pair.stabilization_period = TimeDelta::seconds(600);
            world.happen_uninterrupted(Event::Set(first_lost));
            assert_eq!(world.state.active, first_lost.other());
            world.lost = Sides { a: true, b: true };
            world.happen_uninterrupted(Event::Set(first_lost.other()));
            world.happen_uninterrupted(Event::Tick);
            let active = world.state.active;
            assert_eq!(
                active,
                first_lost.other(),
                "no viewer is sent to a lost side"
            );

            world.lost[first_lost] = false;
            let recovered_at = world.seconds;
            while world.state.active != first_lost {
                world.happen_uninterrupted(Event::Tick);
                assert!(world.seconds - recovered_at < 120, "{world:#?}");
            }
        }
    }
}

/// A was cut and returned at another URL, then B was cut at once.
pub(crate) fn b_waits(way: CutBy) -> World {
    let mut world = World::new(way, None, Sides { a: true, b: false });
    world.happen_uninterrupted(Event::Set(Side::A));
    world.lost.a = false;
    while !world.state.sides.a.is_live() {
        world.happen_uninterrupted(Event::Tick);
    }
    world.lost.b = true;
    world.happen_uninterrupted(Event::Set(Side::B));
    assert_eq!(world.state.active, Side::A, "{world:#?}");
    assert!(world.serves(Side::B), "{world:#?}");
    world
}

#[test]
fn a_cut_that_waits_is_made_once_players_know_and_spares_the_side_if_the_other_is_lost_by_then() {
    for way in [CutBy::Delete, CutBy::Deny] {
        let mut world = b_waits(way);
        for _ in 0..3 {
            world.happen_uninterrupted(Event::Tick);
        }
        assert!(!world.serves(Side::B), "{world:#?}");

        // A is lost while the cut of B is deferred. B is then the only usable side, and returns
        // unchanged.
        let mut world = b_waits(way);
        world.lost = Sides { a: true, b: false };
        while !world.state.sides.b.is_live() {
            world.happen_uninterrupted(Event::Tick);
            assert!(world.serves(Side::B), "{world:#?}");
        }
        assert_eq!(world.state.sides.b.pathway, "B");
        world.happen_uninterrupted(Event::Tick);
        assert_eq!(world.state.active, Side::B, "{world:#?}");
    }
}

/// No three events have more effects.
const EFFECTS: usize = 16;

#[test]
fn a_crash_after_any_effect_of_any_three_events_ends_the_same() {
    for start in worlds() {
        let expected = settle(&start).end();
        every_distinct_order(&start, &ALERTS, 2, &mut |before, order| {
            for event in ALERTS {
                for fuse in 0..EFFECTS {
                    let mut world = before.clone();
                    world.fuse = fuse;
                    if world.happen(event).is_ok() {
                        break;
                    }
                    // Lambda, or EventBridge, sends the event again.
                    world.fuse = usize::MAX;
                    world.happen_uninterrupted(event);
                    let end = settle(&world).end();
                    assert_eq!(
                        expected, end,
                        "{order:?} {event:?}, dead after {fuse} effects"
                    );
                }
            }
        });
    }
}

/// Another function runs between any two requests of a run, which then finds other documents than
/// it has read.
#[test]
fn a_run_in_the_middle_of_another_ends_the_same() {
    for start in worlds() {
        let expected = settle(&start).end();
        every_distinct_order(&start, &ALERTS, 1, &mut |before, order| {
            for (event, other) in ALERTS.iter().flat_map(|a| ALL.map(|b| (*a, b))) {
                if matches!(other, Event::Alarm(_) | Event::Stall(_)) {
                    continue;
                }
                for effects in 0..EFFECTS {
                    let mut world = before.clone();
                    world.interruption = Some((effects, other));
                    world.happen_uninterrupted(event);
                    let was_interrupted = world.interruption.take().is_none();
                    let end = settle(&world).end();
                    let when = format!("{order:?} {event:?}, {other:?} after {effects} effects");
                    assert_eq!(expected, end, "{when}");
                    if !was_interrupted {
                        break;
                    }
                }
            }
        });
    }
}

impl Distinct for World {
    type Event = Event;

    fn receive(&mut self, event: Event) {
        self.happen_uninterrupted(event);
    }

    fn key(&self) -> String {
        self.relative()
    }
}
