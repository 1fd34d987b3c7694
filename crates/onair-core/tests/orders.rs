//! All orders of events. Each event may occur any number of times, or never.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]

use std::collections::{BTreeMap, BTreeSet};

/// A model of the environment, which can be cloned to follow several orders.
pub(crate) trait Eventful: Clone {
    /// The next events.
    type Event: Copy + 'static;
    const EVENTS: &'static [Self::Event];

    /// Applies an event, and lets On Air react to it.
    fn receive(&mut self, event: Self::Event);
}

/// Lets `look` see the world after every order of up to `length` events.
pub(crate) fn every_order<W: Eventful>(
    world: &W,
    length: usize,
    look: &mut impl FnMut(&W, &[W::Event]),
) {
    further(world, length, &mut Vec::new(), look);
}

fn further<W: Eventful>(
    world: &W,
    length: usize,
    order: &mut Vec<W::Event>,
    look: &mut impl FnMut(&W, &[W::Event]),
) {
    look(world, order);
    if length == 0 {
        return;
    }
    for &event in W::EVENTS {
        let mut world = world.clone();
        world.receive(event);
        order.push(event);
        further(&world, length - 1, order, look);
        order.pop();
    }
}

/// A model whose future depends on nothing but its key.
pub(crate) trait Distinct: Clone {
    type Event: Copy + 'static;

    /// Lets an event happen.
    fn receive(&mut self, event: Self::Event);

    /// The same for two worlds in which the same will happen.
    fn key(&self) -> String;
}

/// Shows `look` every world that an order of up to `length` events leads to, once, with the first
/// order that leads there. Returns the number of orders.
pub(crate) fn every_distinct_order<W: Distinct>(
    start: &W,
    events: &[W::Event],
    length: usize,
    look: &mut impl FnMut(&W, &[W::Event]),
) -> usize {
    let mut seen = BTreeSet::new();
    let mut worlds = vec![(start.clone(), Vec::new(), 1)];
    let mut orders = 0;
    for step in 0..=length {
        let mut next: BTreeMap<String, (W, Vec<W::Event>, usize)> = BTreeMap::new();
        for (world, order, count) in worlds {
            orders += count;
            if seen.insert(world.key()) {
                look(&world, &order);
            }
            for &event in events.iter().filter(|_| step < length) {
                let mut after = world.clone();
                after.receive(event);
                let order = || [order.as_slice(), &[event]].concat();
                let known = next.entry(after.key());
                known.or_insert_with(|| (after, order(), 0)).2 += count;
            }
        }
        worlds = next.into_values().collect();
    }
    orders
}
