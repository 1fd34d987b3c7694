//! Orders with manual events, failed requests, lost answers, dry runs, and changes by other people.

use crate::orders::every_distinct_order;
use crate::pair_orders::{ALL, WAYS, b_waits, settle, worlds};
use crate::pair_world::{Event, World};
use chrono::TimeDelta;
use onair_core::pair::{CutBy, Side, Sides};

#[test]
fn a_check_ends_while_a_cut_waits_and_the_other_side_was_created_again() {
    for way in [CutBy::Delete, CutBy::Deny] {
        let mut world = b_waits(way);
        world.happen_uninterrupted(Event::Recreate(Side::A));
        world.happen_uninterrupted(Event::Stall(Side::A));
        for _ in 0..6 {
            world.seconds += 60;
            world.happen_uninterrupted(Event::Tick);
        }
    }
}

/// The events of both sides; the last four are manual.
const BOTH_SIDES: [Event; 19] = [
    Event::Set(Side::A),
    Event::Cleared(Side::A),
    Event::Set(Side::B),
    Event::Cleared(Side::B),
    Event::Tick,
    Event::Duplicate,
    Event::Alarm(Side::A),
    Event::AlarmOver(Side::A),
    Event::Alarm(Side::B),
    Event::AlarmOver(Side::B),
    Event::Stall(Side::A),
    Event::Advance(Side::A),
    Event::Stall(Side::B),
    Event::Advance(Side::B),
    Event::Publish,
    Event::ManualOver(Side::A),
    Event::ManualOver(Side::B),
    Event::ManualBack(Side::A),
    Event::ManualBack(Side::B),
];

/// Starts with and without steering, and before anything is published.
fn more_worlds() -> Vec<World> {
    let mut all = Vec::new();
    for lost in [(false, false), (true, false), (false, true)].map(|(a, b)| Sides { a, b }) {
        for cut in WAYS {
            for prefer in [None, Some(Side::B)] {
                for ttl in [Some(10), None] {
                    for is_published in [true, false] {
                        let mut world = World::new(cut, prefer, lost);
                        world.pair.steering_ttl = ttl.map(TimeDelta::seconds);
                        world.published = Default::default();
                        if is_published {
                            world.happen_uninterrupted(Event::Publish);
                        }
                        all.push(world);
                    }
                }
            }
        }
    }
    all
}

#[test]
fn alarms_and_stalls_of_both_sides_end_on_a_healthy_side() {
    for start in more_worlds()
        .into_iter()
        .filter(|world| world.published.index.is_some())
    {
        every_distinct_order(&start, &BOTH_SIDES[..15], 3, &mut |world, order| {
            settle(world).must_be_as_its_inputs(order);
        });
    }
}

#[test]
fn a_dry_run_changes_nothing_and_plans_what_the_run_does() {
    for mut start in more_worlds() {
        start.rehearse = true;
        every_distinct_order(&start, &BOTH_SIDES, 2, &mut |world, _| {
            let mut world = world.clone();
            for _ in 0..4 {
                world.seconds += 60;
                world.happen_uninterrupted(Event::Tick);
            }
        });
    }
}

#[test]
fn a_request_that_fails_once_or_for_a_whole_run_does_not_change_the_end() {
    for start in worlds() {
        every_distinct_order(&start, &ALL, 1, &mut |before, order| {
            for event in BOTH_SIDES {
                for at in 0..40 {
                    let mut world = before.clone();
                    world.failure = Some(at);
                    world.fails_on = false;
                    world.happen_uninterrupted(event);
                    if world.failure.take().is_some() {
                        break;
                    }
                    let mut other = before.clone();
                    other.failure = Some(at);
                    other.fails_on = true;
                    other.happen_uninterrupted(event);
                    other.failure = None;
                    for mut world in [world, other] {
                        world.happen_uninterrupted(event);
                        let end = settle(&world);
                        if !matches!(event, Event::ManualOver(_) | Event::ManualBack(_)) {
                            end.must_be_as_its_inputs(&[order, &[event]].concat());
                        }
                    }
                }
            }
        });
    }
}

#[test]
fn a_lost_answer_to_a_write_changes_neither_the_report_nor_the_end() {
    for step in [0, 1, -5, 400] {
        for start in worlds() {
            every_distinct_order(&start, &BOTH_SIDES, 1, &mut |before, order| {
                for event in BOTH_SIDES {
                    let mut plain = before.clone();
                    plain.reports.clear();
                    plain.happen_uninterrupted(event);
                    for at in 0..8 {
                        let mut world = before.clone();
                        world.reports.clear();
                        world.clock_step = step;
                        world.lost_answer = Some(at);
                        world.happen_uninterrupted(event);
                        if world.lost_answer.take().is_some() {
                            break;
                        }
                        if step == 0 {
                            assert_eq!(
                                plain.reports, world.reports,
                                "{order:?} {event:?}, the answer to write {at} is lost"
                            );
                        }
                        world.clock_step = 0;
                        let end = settle(&world);
                        if !matches!(event, Event::ManualOver(_) | Event::ManualBack(_))
                            && !order
                                .iter()
                                .any(|e| matches!(e, Event::ManualOver(_) | Event::ManualBack(_)))
                        {
                            end.must_be_as_its_inputs(&[order, &[event]].concat());
                        }
                    }
                }
            });
        }
    }
}

#[test]
fn a_check_ends_while_a_cut_waits_and_the_other_side_lists_fewer_variants() {
    for way in [CutBy::Delete, CutBy::Deny] {
        let mut world = World::new(way, None, Sides { a: true, b: false });
        world.more_variants = Sides { a: true, b: true };
        world.happen_uninterrupted(Event::Publish);
        world.happen_uninterrupted(Event::Set(Side::A));
        world.lost.a = false;
        while !world.state.sides.a.is_live() {
            world.happen_uninterrupted(Event::Tick);
        }
        world.lost.b = true;
        world.happen_uninterrupted(Event::Set(Side::B));
        assert!(world.serves(Side::B), "{world:#?}");
        world.happen_uninterrupted(Event::Recreate(Side::A));
        world.happen_uninterrupted(Event::Stall(Side::A));
        world.more_variants.a = false;
        world.seconds += 60;
        world.happen_uninterrupted(Event::Tick);
    }
}

/// The published playlist has A's order, and B's own playlist another one.
#[test]
fn a_check_ends_while_a_cut_waits_and_the_other_sides_media_playlists_fail() {
    for way in [CutBy::Delete, CutBy::Deny] {
        let mut world = World::new(way, None, Sides { a: false, b: true });
        world.more_variants = Sides { a: true, b: true };
        world.reversed = true;
        world.happen_uninterrupted(Event::Publish);
        world.happen_uninterrupted(Event::Set(Side::B));
        world.lost.b = false;
        while !world.state.sides.b.is_live() {
            world.happen_uninterrupted(Event::Tick);
        }
        world.lost.a = true;
        world.happen_uninterrupted(Event::Set(Side::A));
        assert!(
            world.serves(Side::A) && !world.state.sides.a.is_live(),
            "{world:#?}"
        );
        world.unreachable.b = true;
        for _ in 0..4 {
            world.seconds += 60;
            world.happen_uninterrupted(Event::Tick);
        }
    }
}

/// With changes that On Air did not make.
const CHANGES: [Event; 20] = [
    Event::Set(Side::A),
    Event::Cleared(Side::A),
    Event::Set(Side::B),
    Event::Tick,
    Event::Alarm(Side::A),
    Event::AlarmOver(Side::A),
    Event::Stall(Side::A),
    Event::Stall(Side::B),
    Event::Publish,
    Event::ManualOver(Side::A),
    Event::ManualBack(Side::A),
    Event::ManualBack(Side::B),
    Event::Recreate(Side::A),
    Event::Recreate(Side::B),
    Event::Unreachable(Side::A),
    Event::Unreachable(Side::B),
    Event::Reachable(Side::A),
    Event::Fewer(Side::A),
    Event::Fewer(Side::B),
    Event::All(Side::A),
];

/// The sides list their variants in different orders, and one of them is lost, back, or lost again.
fn unusual_worlds() -> Vec<World> {
    let mut all = Vec::new();
    for way in WAYS {
        for prefer in [None, Some(Side::A), Some(Side::B)] {
            let mut world = World::new(way, prefer, Sides { a: false, b: true });
            world.more_variants = Sides { a: true, b: true };
            world.reversed = true;
            world.happen_uninterrupted(Event::Publish);
            all.push(world.clone());
            world.happen_uninterrupted(Event::Set(Side::B));
            all.push(world.clone());
            world.lost.b = false;
            while !world.state.sides.b.is_live() {
                world.happen_uninterrupted(Event::Tick);
            }
            all.push(world.clone());
            world.lost.a = true;
            world.happen_uninterrupted(Event::Set(Side::A));
            all.push(world.clone());
        }
    }
    all
}

#[test]
fn changes_by_other_people_do_not_keep_a_run_from_its_end() {
    for mut start in unusual_worlds() {
        start.had_failure = true;
        every_distinct_order(&start, &CHANGES, 2, &mut |world, _| {
            let mut world = world.clone();
            world.rehearse = true;
            for _ in 0..2 {
                world.seconds += 60;
                world.happen_uninterrupted(Event::Tick);
            }
        });
    }
}
