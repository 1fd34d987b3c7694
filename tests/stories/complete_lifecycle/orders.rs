//! Events in all orders, lost, doubled and late, of two instances at once. Promise P108.
//!
//! A pure model goes through longer orders in `crates/onair-core/tests`; here it is the real
//! function.

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use stand_in::{CommandResult, Function};
use std::time::Duration;
use stories::fleet::{Fleet, GROUP, INSTANCE, invocation, launched, playbook, terminating, tick};
use stories::response;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// The event of the launch, or of the termination, arrives.
    Launched,
    Terminating,
    /// Every agent does what it was told.
    Agents,
    /// The event of every command so far arrives, as often as it comes.
    Invocations,
    Tick,
}

const EVENTS: [Event; 5] = [
    Event::Launched,
    Event::Terminating,
    Event::Agents,
    Event::Invocations,
    Event::Tick,
];

/// Longest order that is played.
const EVENTS_IN_A_ROW: usize = 3;

/// Two instances of a group: one comes, the other goes.
struct Show<'a> {
    fleet: &'a Fleet,
    function: &'a Function,
    comes: String,
    goes: String,
    passes: bool,
}

impl Show<'_> {
    async fn happen(&self, event: Event) {
        match event {
            Event::Launched => drop(response(self.function.invoke(launched(&self.comes)).await)),
            Event::Terminating => drop(response(
                self.function.invoke(terminating(&self.goes)).await,
            )),
            Event::Tick => drop(response(self.function.invoke(tick()).await)),
            Event::Agents => {
                self.fleet.ssm.run(|command| {
                    match command.instance == self.comes && !self.passes {
                        true => CommandResult {
                            status: "Failed".to_owned(),
                            stdout: playbook(0, 0, 1),
                        },
                        false => self.fleet.agent(command),
                    }
                });
            }
            Event::Invocations => {
                for command in self.ours() {
                    response(self.function.invoke(invocation(&command)).await);
                }
            }
        }
    }

    fn ours(&self) -> Vec<stand_in::Command> {
        let commands = self.fleet.ssm.commands().into_iter();
        commands
            .filter(|command| [&self.comes, &self.goes].contains(&&command.instance))
            .collect()
    }

    async fn play(&self, order: &[Event]) {
        for instance in [&self.comes, &self.goes] {
            self.fleet.ssm.register(instance);
        }
        self.fleet.serving(&self.goes);
        self.fleet.autoscaling.launch(GROUP, &self.comes);
        self.fleet.autoscaling.terminate(&self.goes);
        for event in order {
            self.happen(*event).await;
            assert!(self.ours().len() <= 2, "{order:?}: {:?}", self.ours());
        }
        for event in [
            Event::Tick,
            Event::Agents,
            Event::Tick,
            Event::Agents,
            Event::Tick,
        ] {
            self.happen(event).await;
        }
        // What is not let in waits to go, and goes without a command.
        let ends: &[&str] = if self.passes {
            &["CONTINUE"]
        } else {
            &["ABANDON", "CONTINUE"]
        };
        assert_eq!(self.fleet.results(&self.comes), ends, "{order:?}");
        assert_eq!(self.fleet.results(&self.goes), ["CONTINUE"], "{order:?}");
        assert_eq!(self.ours().len(), 2, "{order:?}: {:?}", self.ours());
    }
}

fn orders(length: usize) -> Vec<Vec<Event>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(length - 1);
    let longest: Vec<&Vec<Event>> = shorter
        .iter()
        .filter(|order| order.len() == length - 1)
        .collect();
    let longer = longest
        .into_iter()
        .flat_map(|order| EVENTS.map(|event| [order.as_slice(), &[event]].concat()));
    shorter.clone().into_iter().chain(longer).collect()
}

/// Promise P108.
#[tokio::test]
async fn every_order_of_events_ends_as_the_commands_deserve() {
    let orders = orders(EVENTS_IN_A_ROW);
    assert_eq!(orders.len(), 1 + 5 + 25 + 125);
    let play = async |(number, orders): (usize, &[Vec<Event>])| {
        let fleet = Fleet::new();
        let function = fleet.start(&[]);
        for (position, order) in orders.iter().enumerate() {
            let id = |which: usize| format!("i-{number:03x}{position:012x}{which:02x}");
            let passes = position % 3 > 0;
            let show = Show {
                fleet: &fleet,
                function: &function,
                comes: id(0),
                goes: id(1),
                passes,
            };
            show.play(order).await;
        }
    };
    stream::iter(orders.chunks(40).enumerate())
        .map(play)
        .buffer_unordered(4)
        .collect::<()>()
        .await;
}

/// Promise P108.
#[tokio::test]
async fn invocations_that_race_end_a_wait_once_and_by_the_first_command() {
    let fleet = Fleet::new();
    fleet.autoscaling.launch(GROUP, INSTANCE);
    let functions: Vec<Function> = (0..4).map(|_| fleet.start(&[])).collect();
    join_all(
        functions
            .iter()
            .map(|function| function.invoke(launched(INSTANCE))),
    )
    .await;
    let sent = fleet.ssm.commands();
    assert!((1..=4).contains(&sent.len()), "{sent:?}");
    // Only the first is looked at, whatever becomes of the others.
    for command in &sent {
        let (status, stdout) = match command.id == sent[0].id {
            true => ("Success", playbook(1, 0, 0)),
            false => ("Failed", playbook(0, 0, 1)),
        };
        fleet.ssm.end(&command.id, status, status, &stdout);
    }
    join_all(functions.iter().map(|function| function.invoke(tick()))).await;
    assert_eq!(fleet.results(INSTANCE), ["CONTINUE"]);
}

/// Promises P99 and P108.
#[tokio::test]
async fn of_commands_that_race_the_first_ones_logs_are_asked_for() {
    let fleet = Fleet::new();
    let functions: Vec<Function> = (0..4).map(|_| fleet.start(&[])).collect();
    join_all(functions.iter().map(|function| function.invoke(tick()))).await;
    for attempt in 0_u64.. {
        assert!(attempt < 5, "no two invocations sent a command each");
        let instance = format!("i-{attempt:08}");
        fleet.ssm.register(&instance);
        fleet.serving(&instance);
        fleet.autoscaling.terminate(&instance);
        // All of them look before any sends.
        fleet.traffic.set_latency(Duration::from_millis(200));
        join_all(
            functions
                .iter()
                .map(|function| function.invoke(terminating(&instance))),
        )
        .await;
        fleet.traffic.set_latency(Duration::ZERO);
        // Requests went on in between: each finds one more log than the one before.
        let names: Vec<String> = (0..5)
            .map(|number| format!("access.log-{number}.gz"))
            .collect();
        let mut files = Vec::new();
        let ran = fleet.ssm.run(|command| {
            files.push((names[files.len()].as_str(), b"one".as_slice()));
            fleet.save(command, &files)
        });
        join_all(functions.iter().map(|function| function.invoke(tick()))).await;
        assert_eq!(fleet.results(&instance), ["CONTINUE"], "{ran:?}");
        if ran.len() > 1 {
            return;
        }
    }
}
