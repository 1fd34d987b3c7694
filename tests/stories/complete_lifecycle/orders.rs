//! Runs the real function through all orders of events of two instances, with events that are lost,
//! duplicated and late. Promise P108.
//!
//! `crates/onair-core/tests/lifecycle_orders.rs` drives the decision alone through longer orders.

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use stand_in::{CommandResult, Function};
use std::time::Duration;
use stories::fleet::{Fleet, GROUP, INSTANCE, invocation, launched, playbook, terminating, tick};
use stories::response;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// The event of the launch arrives.
    Launched,
    /// The event of the termination arrives.
    Terminating,
    /// All agents finish their commands.
    Agents,
    /// The events of all commands so far arrive, as first ones or as duplicates.
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

/// The number of events in the longest order.
const MAX_EVENTS: usize = 3;

/// Two instances of a group: one launches, the other terminates.
struct Scene<'a> {
    fleet: &'a Fleet,
    function: &'a Function,
    launching: String,
    terminating: String,
    passes: bool,
}

impl Scene<'_> {
    async fn happen(&self, event: Event) {
        match event {
            Event::Launched => drop(response(
                self.function.invoke(launched(&self.launching)).await,
            )),
            Event::Terminating => drop(response(
                self.function.invoke(terminating(&self.terminating)).await,
            )),
            Event::Tick => drop(response(self.function.invoke(tick()).await)),
            Event::Agents => {
                self.fleet.ssm.run(|command| {
                    if command.instance == self.launching && !self.passes {
                        CommandResult {
                            status: "Failed".to_owned(),
                            stdout: playbook(0, 0, 1),
                        }
                    } else {
                        self.fleet.agent(command)
                    }
                });
            }
            Event::Invocations => {
                for command in self.commands() {
                    response(self.function.invoke(invocation(&command)).await);
                }
            }
        }
    }

    fn commands(&self) -> Vec<stand_in::Command> {
        let commands = self.fleet.ssm.commands().into_iter();
        commands
            .filter(|command| [&self.launching, &self.terminating].contains(&&command.instance))
            .collect()
    }

    async fn play(&self, order: &[Event]) {
        for instance in [&self.launching, &self.terminating] {
            self.fleet.ssm.register(instance);
        }
        self.fleet.serving(&self.terminating);
        self.fleet.autoscaling.launch(GROUP, &self.launching);
        self.fleet.autoscaling.terminate(&self.terminating);
        for event in order {
            self.happen(*event).await;
            assert!(
                self.commands().len() <= 2,
                "{order:?}: {:?}",
                self.commands()
            );
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
        // An abandoned instance waits to terminate, and terminates without a command.
        let ends: &[&str] = if self.passes {
            &["CONTINUE"]
        } else {
            &["ABANDON", "CONTINUE"]
        };
        assert_eq!(self.fleet.results(&self.launching), ends, "{order:?}");
        assert_eq!(
            self.fleet.results(&self.terminating),
            ["CONTINUE"],
            "{order:?}"
        );
        assert_eq!(self.commands().len(), 2, "{order:?}: {:?}", self.commands());
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

/// Promise P108. Events in every order, doubled, late or lost, of two instances at once, lead to
/// the same end state.
#[tokio::test]
async fn every_order_of_events_ends_as_the_commands_deserve() {
    let orders = orders(MAX_EVENTS);
    assert_eq!(orders.len(), 1 + 5 + 25 + 125);
    let play = async |(number, orders): (usize, &[Vec<Event>])| {
        let fleet = Fleet::new();
        let function = fleet.start(&[]);
        for (position, order) in orders.iter().enumerate() {
            let id = |which: usize| format!("i-{number:03x}{position:012x}{which:02x}");
            let passes = position % 3 > 0;
            let scene = Scene {
                fleet: &fleet,
                function: &function,
                launching: id(0),
                terminating: id(1),
                passes,
            };
            scene.play(order).await;
        }
    };
    stream::iter(orders.chunks(40).enumerate())
        .map(play)
        .buffer_unordered(4)
        .collect::<()>()
        .await;
}

/// Promise P108. Events in every order, doubled, late or lost, of two instances at once, lead to
/// the same end state.
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
    // Only the result of the first command counts.
    for command in &sent {
        let (status, stdout) = if command.id == sent[0].id {
            ("Success", playbook(1, 0, 0))
        } else {
            ("Failed", playbook(0, 0, 1))
        };
        fleet.ssm.end(&command.id, status, status, &stdout);
    }
    join_all(functions.iter().map(|function| function.invoke(tick()))).await;
    assert_eq!(fleet.results(INSTANCE), ["CONTINUE"]);
}

/// Promises P99 and P108.
#[tokio::test]
async fn of_commands_that_race_the_logs_of_the_first_are_checked() {
    let fleet = Fleet::new();
    let functions: Vec<Function> = (0..4).map(|_| fleet.start(&[])).collect();
    join_all(functions.iter().map(|function| function.invoke(tick()))).await;
    for attempt in 0_u64.. {
        assert!(attempt < 5, "no two invocations sent a command each");
        let instance = format!("i-{attempt:08}");
        fleet.ssm.register(&instance);
        fleet.serving(&instance);
        fleet.autoscaling.terminate(&instance);
        // With this latency all functions list the commands before one sends a command.
        fleet.traffic.set_latency(Duration::from_millis(200));
        join_all(
            functions
                .iter()
                .map(|function| function.invoke(terminating(&instance))),
        )
        .await;
        fleet.traffic.set_latency(Duration::ZERO);
        // The instance still served requests: each command finds one more log than the one before.
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
