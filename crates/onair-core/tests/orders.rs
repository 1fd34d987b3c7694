//! All orders of events, each of which may come any number of times or never.

/// A model of the outside, which can be taken along several ways.
pub(crate) trait Eventful: Clone {
    /// What can come.
    type Event: Copy + 'static;
    const EVENTS: &'static [Self::Event];

    /// Lets it come, and what is ours act on it.
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
