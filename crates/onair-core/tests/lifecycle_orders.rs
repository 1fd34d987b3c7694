//! `complete-lifecycle`: all orders of what can happen to two instances, with loss, duplication,
//! lateness and crashes, and what must hold at every moment and at the end.

use crate::lifecycle_rules::{at, fleet, id};
use crate::orders::{Eventful, every_order};
use onair_core::complete_lifecycle::{
    ActionResult, ActivityStatus, Command, CommandStatus, History, LifecycleWait, Next, Observed,
    ScalingActivity, StepResult, WaitCommands, WaitState, next,
};

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// An event of one of the instances arrives, first, doubled or late: all of them say the same.
    Hint(usize),
    Tick,
    /// The agents finish what they were told.
    Agents,
    /// SSM says how the newest commands went, which it kept to itself so far.
    Known,
    /// The agent of the first instance registers.
    Registers,
    /// What an instance was in has ended, and its next part of the script begins.
    Moves,
}

const EVENTS: [Event; 7] = [
    Event::Hint(0),
    Event::Hint(1),
    Event::Tick,
    Event::Agents,
    Event::Known,
    Event::Registers,
    Event::Moves,
];

/// What an instance goes through: where it waits, and whether what it is told to do succeeds.
type Script = &'static [(WaitState, bool)];

const SCRIPTS: [[Script; 2]; 5] = [
    [
        &[(WaitState::Pending, true)],
        &[(WaitState::Terminating, true)],
    ],
    // What is not let in waits to go, without having served.
    [
        &[(WaitState::Pending, false), (WaitState::Terminating, true)],
        &[(WaitState::Terminating, false)],
    ],
    // Through the warm pool; the second time is not the first.
    [
        &[
            (WaitState::WarmedPending, true),
            (WaitState::Pending, false),
            (WaitState::Terminating, true),
        ],
        &[
            (WaitState::WarmedPending, true),
            (WaitState::WarmedTerminating, true),
        ],
    ],
    [
        &[
            (WaitState::WarmedPending, false),
            (WaitState::WarmedTerminating, true),
        ],
        &[
            (WaitState::WarmedPending, true),
            (WaitState::Pending, true),
            (WaitState::Terminating, true),
        ],
    ],
    [
        &[(WaitState::Pending, true), (WaitState::Terminating, true)],
        &[(WaitState::Pending, true), (WaitState::Terminating, false)],
    ],
];

/// Whether this part of a script ends by what a command does.
fn needs_command(script: Script, part: usize) -> bool {
    let served = part == 0 || script[part - 1] != (WaitState::Pending, false);
    script[part].0.needs_command() && served
}

#[derive(Debug, Clone)]
struct Instance {
    id: &'static str,
    script: Script,
    /// The part of the script that it is in, and whether it waits there.
    part: usize,
    waits: bool,
    activities: Vec<ScalingActivity>,
    is_registered: bool,
    /// How each wait ended: `CONTINUE` is true.
    ends: Vec<bool>,
    heartbeats: usize,
}

impl Instance {
    /// Its present part of the script begins.
    fn begin(&mut self, seconds: i64) {
        self.waits = true;
        let what = match self.script[self.part].0 {
            WaitState::Pending if self.part > 0 => "Launching a new EC2 instance from warm pool",
            WaitState::Pending => "Launching a new EC2 instance",
            WaitState::WarmedPending => "Launching a new EC2 instance into warm pool",
            WaitState::Terminating => "Terminating EC2 instance",
            WaitState::WarmedTerminating => "Terminating EC2 instance in warm pool",
        };
        let (description, start_time) = (format!("{what}: {}", self.id), at(seconds));
        let cause = match self.ends.last() {
            Some(false) => "an instance was taken out of service in response to a launch failure",
            _ => "",
        };
        let cause = cause.to_owned();
        self.activities.push(ScalingActivity {
            description,
            cause,
            start_time,
            status: ActivityStatus::InProgress,
        });
    }
}

#[derive(Debug, Clone)]
struct ModelCommand {
    instance: usize,
    part: usize,
    sent: Command,
    is_known: bool,
}

/// Everything that AWS has.
#[derive(Debug, Clone)]
struct World {
    instances: [Instance; 2],
    commands: Vec<ModelCommand>,
    seconds: i64,
    /// Effects until the process dies.
    fuse: usize,
}

struct Died;

impl Eventful for World {
    type Event = Event;
    const EVENTS: &'static [Event] = &EVENTS;

    fn receive(&mut self, event: Event) {
        let _ = self.happen(event);
    }
}

impl World {
    fn new(scripts: [Script; 2]) -> Self {
        let instance = |number: usize, id: &'static str| Instance {
            id,
            script: scripts[number],
            part: 0,
            waits: true,
            activities: Vec::new(),
            is_registered: number == 1,
            ends: Vec::new(),
            heartbeats: 0,
        };
        let mut instances = [instance(0, "i-00000000"), instance(1, "i-00000001")];
        instances.iter_mut().for_each(|instance| instance.begin(0));
        Self {
            instances,
            commands: Vec::new(),
            seconds: 1,
            fuse: usize::MAX,
        }
    }

    /// Something changes, unless the process dies before.
    fn effect(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), Died> {
        self.fuse = self.fuse.checked_sub(1).ok_or(Died)?;
        change(self);
        for number in 0..2 {
            let open = self.commands.iter().filter(|command| {
                command.instance == number
                    && command.part == self.instances[number].part
                    && command.sent.status == CommandStatus::InProgress
            });
            assert!(open.count() <= 1, "two commands at a time: {self:#?}");
        }
        Ok(())
    }

    /// What the function does for one instance (functions/complete-lifecycle/src).
    fn look(&mut self, number: usize) -> Result<(), Died> {
        let Instance {
            id: name,
            script,
            part,
            waits,
            activities,
            is_registered,
            ..
        } = self.instances[number].clone();
        if !waits {
            return Ok(());
        }
        let state = script[part].0;
        let wait = LifecycleWait::of(&id(name), state, &activities).unwrap();
        // What is listed is of both instances and of all times.
        let listed: Vec<Command> = self
            .commands
            .iter()
            .map(|command| command.sent.clone())
            .collect();
        let commands = WaitCommands::of(&wait, &listed);
        let step = commands.and_then(|WaitCommands { first: command, .. }| {
            let found = self
                .commands
                .iter()
                .find(|found| found.sent.id == command.id && found.is_known)?;
            let stdout = match wait.direction.word() {
                "launch" => RECAP.to_owned(),
                _ => format!("onair-manifest sha256={} files=1 bytes=3\n", "a".repeat(64)),
            };
            Some(StepResult {
                status: found.sent.status.clone(),
                stdout,
            })
        });
        let succeeded = |world: &Self| {
            let own = world
                .commands
                .iter()
                .find(|command| command.instance == number && command.part == part);
            !needs_command(script, part)
                || own.is_some_and(|command| command.sent.status == CommandStatus::Success)
        };
        let history = History::of(&id(name), &activities);
        let seen = Observed {
            state,
            reuses_on_scale_in: false,
            history,
            wait: Some(&wait),
            commands,
            step: step.as_ref(),
        };
        match next(&fleet(), seen).unwrap() {
            Next::Send(_) if !is_registered => Ok(()),
            Next::Send(order) => self.effect(|world| {
                let id = world.commands.len().to_string();
                let requested = at(world.seconds);
                let sent = Command {
                    id,
                    comment: order.comment,
                    requested,
                    status: CommandStatus::InProgress,
                };
                world.commands.push(ModelCommand {
                    instance: number,
                    part,
                    sent,
                    is_known: false,
                });
            }),
            Next::Heartbeat => self.effect(|world| world.instances[number].heartbeats += 1),
            // S3 has what it should have.
            Next::Verify(_) => {
                assert!(succeeded(self), "{self:#?}");
                self.effect(|world| world.end(number, true))
            }
            Next::Complete(completion) => {
                let proceeds = completion.result == ActionResult::Continue;
                assert!(
                    !proceeds || succeeded(self),
                    "nothing succeeded since it began to state: {self:#?}"
                );
                self.effect(|world| world.end(number, proceeds))
            }
            Next::Held(reason) => panic!("{reason}"),
        }
    }

    fn end(&mut self, number: usize, proceeds: bool) {
        let instance = &mut self.instances[number];
        instance.waits = false;
        instance.ends.push(proceeds);
        // A launch that is given up is said to be so much later.
        if proceeds {
            instance.activities.last_mut().unwrap().status = ActivityStatus::Successful;
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Died> {
        self.seconds += 7;
        match event {
            Event::Hint(number) => self.look(number),
            Event::Tick => self.look(0).and(self.look(1)),
            Event::Agents => {
                for command in self
                    .commands
                    .iter_mut()
                    .filter(|command| command.sent.status == CommandStatus::InProgress)
                {
                    let (_, succeeds) = self.instances[command.instance].script[command.part];
                    let failed = CommandStatus::Failed {
                        details: "Failed".to_owned(),
                    };
                    command.sent.status = if succeeds {
                        CommandStatus::Success
                    } else {
                        failed
                    };
                }
                Ok(())
            }
            Event::Known => {
                self.commands
                    .iter_mut()
                    .for_each(|command| command.is_known = true);
                Ok(())
            }
            Event::Registers => {
                self.instances[0].is_registered = true;
                Ok(())
            }
            Event::Moves => {
                let seconds = self.seconds;
                for instance in &mut self.instances {
                    let is_last = instance.part + 1 == instance.script.len();
                    if !instance.waits && !is_last {
                        instance.part += 1;
                        instance.begin(seconds);
                    }
                }
                Ok(())
            }
        }
    }

    /// The schedule goes on, and everything that is late comes.
    fn settle(mut self) -> Self {
        self.fuse = usize::MAX;
        for _ in 0..4 {
            for event in [
                Event::Registers,
                Event::Tick,
                Event::Agents,
                Event::Known,
                Event::Tick,
                Event::Moves,
            ] {
                let _ = self.happen(event);
            }
        }
        let before = format!("{:?} {:?}", self.instances, self.commands);
        let _ = self.happen(Event::Tick);
        assert_eq!(
            before,
            format!("{:?} {:?}", self.instances, self.commands),
            "it never comes to rest"
        );
        self
    }

    /// How each wait ended, and how many commands there were.
    fn result(&self) -> ([Vec<bool>; 2], usize) {
        (
            self.instances.clone().map(|instance| instance.ends),
            self.commands.len(),
        )
    }
}

const RECAP: &str = "PLAY RECAP ***\nlocalhost : ok=1 changed=1 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0\n";

/// What the scripts deserve.
fn deserved(scripts: [Script; 2]) -> ([Vec<bool>; 2], usize) {
    let ends = scripts.map(|script| script.iter().map(|(_, succeeds)| *succeeds).collect());
    let with_command = |script: Script| {
        (0..script.len())
            .filter(|part| needs_command(script, *part))
            .count()
    };
    (ends, scripts.map(with_command).iter().sum())
}

#[test]
fn every_order_of_up_to_five_events_ends_as_the_commands_deserve() {
    for scripts in SCRIPTS {
        let mut seen = 0;
        every_order(&World::new(scripts), 5, &mut |world, order| {
            seen += 1;
            assert_eq!(
                world.clone().settle().result(),
                deserved(scripts),
                "after {order:?}: {world:#?}"
            );
        });
        assert_eq!(seen, 1 + 7 + 49 + 343 + 2_401 + 16_807);
    }
}

/// No three events have more effects than this.
const EFFECTS: usize = 7;

#[test]
fn a_crash_after_any_effect_of_any_four_events_ends_the_same() {
    for scripts in SCRIPTS {
        every_order(&World::new(scripts), 4, &mut |_, order| {
            for fuse in 0..EFFECTS {
                let mut world = World::new(scripts);
                world.fuse = fuse;
                for event in order {
                    if world.happen(*event).is_err() {
                        // Lambda, or EventBridge, sends it again.
                        world.fuse = usize::MAX;
                        let _ = world.happen(*event);
                    }
                }
                assert_eq!(
                    world.settle().result(),
                    deserved(scripts),
                    "{order:?}, dead after {fuse} effects"
                );
            }
        });
    }
}

#[test]
fn an_instance_whose_agent_never_registers_gets_no_heartbeat() {
    let mut world = World::new(SCRIPTS[0]);
    for _ in 0..20 {
        let _ = world.happen(Event::Tick);
        let _ = world.happen(Event::Hint(0));
    }
    assert_eq!(
        (world.instances[0].heartbeats, world.instances[0].ends.len()),
        (0, 0)
    );
    // The other one's command is under way.
    assert_eq!(world.instances[1].heartbeats, 19);
}
