//! `complete-lifecycle`: drives [`next`] through all orders of events of two instances, with events
//! that are lost, duplicated and late, and with crashes. Checks what must hold after every change,
//! and how every order ends.

use crate::lifecycle_rules::{at, fleet, id};
use crate::orders::{Eventful, every_order};
use onair_core::complete_lifecycle::{
    ActionResult, ActivityStatus, Command, CommandRequest, CommandStatus, Direction, History,
    LifecycleWait, Next, Observed, ScalingActivity, StepResult, WaitCommands, WaitState, next,
};

/// The events of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// An event of this instance arrives: the first, a duplicate or a late one. All of them cause
    /// the same run.
    OfInstance(usize),
    /// The schedule runs the function for both instances.
    Schedule,
    /// The agents finish all commands in progress.
    CommandsFinish,
    /// SSM returns the results of all commands so far. Until then it had none.
    ResultsAppear,
    /// The agent of the first instance registers with SSM.
    AgentRegisters,
    /// Each instance whose wait is over begins the next part of its script.
    NextPart,
}

const EVENTS: [Event; 7] = [
    Event::OfInstance(0),
    Event::OfInstance(1),
    Event::Schedule,
    Event::CommandsFinish,
    Event::ResultsAppear,
    Event::AgentRegisters,
    Event::NextPart,
];

/// One wait in the life of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    state: WaitState,
    /// Whether the command of the wait succeeds.
    succeeds: bool,
}

/// The waits of one instance, in their order.
type Script = &'static [Part];

const fn good(state: WaitState) -> Part {
    Part {
        state,
        succeeds: true,
    }
}

const fn bad(state: WaitState) -> Part {
    Part {
        state,
        succeeds: false,
    }
}

const SCRIPTS: [[Script; 2]; 5] = [
    [&[good(WaitState::Pending)], &[good(WaitState::Terminating)]],
    // An instance whose launch is abandoned waits to terminate, and has not served.
    [
        &[bad(WaitState::Pending), good(WaitState::Terminating)],
        &[bad(WaitState::Terminating)],
    ],
    // The way through the warm pool has two launch waits with different results.
    [
        &[
            good(WaitState::WarmedPending),
            bad(WaitState::Pending),
            good(WaitState::Terminating),
        ],
        &[
            good(WaitState::WarmedPending),
            good(WaitState::WarmedTerminating),
        ],
    ],
    [
        &[
            bad(WaitState::WarmedPending),
            good(WaitState::WarmedTerminating),
        ],
        &[
            good(WaitState::WarmedPending),
            good(WaitState::Pending),
            good(WaitState::Terminating),
        ],
    ],
    [
        &[good(WaitState::Pending), good(WaitState::Terminating)],
        &[good(WaitState::Pending), bad(WaitState::Terminating)],
    ],
];

/// Whether the result of a command ends this part of a script.
fn needs_command(script: Script, part: usize) -> bool {
    let has_served = part == 0 || script[part - 1] != bad(WaitState::Pending);
    script[part].state.needs_command() && has_served
}

#[derive(Debug, Clone)]
struct Instance {
    id: &'static str,
    script: Script,
    /// The index of the present part in the script.
    part: usize,
    /// Whether the wait of the present part has not ended.
    waits: bool,
    activities: Vec<ScalingActivity>,
    is_registered: bool,
    /// The results of the waits so far.
    results: Vec<ActionResult>,
    heartbeats: usize,
}

impl Instance {
    fn state(&self) -> WaitState {
        self.script[self.part].state
    }

    /// Begins the present part of the script with a new scaling activity.
    fn begin(&mut self, seconds: i64) {
        self.waits = true;
        let kind = match self.state() {
            WaitState::Pending if self.part > 0 => "Launching a new EC2 instance from warm pool",
            WaitState::Pending => "Launching a new EC2 instance",
            WaitState::WarmedPending => "Launching a new EC2 instance into warm pool",
            WaitState::Terminating => "Terminating EC2 instance",
            WaitState::WarmedTerminating => "Terminating EC2 instance in warm pool",
        };
        let cause = match self.results.last() {
            Some(ActionResult::Abandon) => {
                "an instance was taken out of service in response to a launch failure"
            }
            _ => "",
        };
        self.activities.push(ScalingActivity {
            description: format!("{kind}: {}", self.id),
            cause: cause.to_owned(),
            start_time: at(seconds),
            status: ActivityStatus::InProgress,
        });
    }
}

/// A command, as the model of SSM stores it.
#[derive(Debug, Clone)]
struct ModelCommand {
    instance: usize,
    part: usize,
    sent: Command,
    /// Whether `GetCommandInvocation` returns its result.
    has_result: bool,
}

/// The state of Auto Scaling and SSM.
#[derive(Debug, Clone)]
struct World {
    instances: [Instance; 2],
    commands: Vec<ModelCommand>,
    seconds: i64,
    /// The number of changes until the function is killed.
    changes_left: usize,
}

struct Killed;

impl Eventful for World {
    type Event = Event;
    const EVENTS: &'static [Event] = &EVENTS;

    fn receive(&mut self, event: Event) {
        let _ = self.handle(event);
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
            results: Vec::new(),
            heartbeats: 0,
        };
        let mut instances = [instance(0, "i-00000000"), instance(1, "i-00000001")];
        instances.iter_mut().for_each(|instance| instance.begin(0));
        Self {
            instances,
            commands: Vec::new(),
            seconds: 1,
            changes_left: usize::MAX,
        }
    }

    /// Changes the world, unless the function is killed before.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), Killed> {
        self.changes_left = self.changes_left.checked_sub(1).ok_or(Killed)?;
        change(self);
        for number in 0..2 {
            let in_progress = self
                .commands_of_wait(number)
                .filter(|command| command.sent.status == CommandStatus::InProgress);
            assert!(
                in_progress.count() <= 1,
                "two commands of one wait are in progress: {self:#?}"
            );
        }
        Ok(())
    }

    /// The commands of the instance's present wait.
    fn commands_of_wait(&self, number: usize) -> impl Iterator<Item = &ModelCommand> {
        let part = self.instances[number].part;
        self.commands
            .iter()
            .filter(move |command| command.instance == number && command.part == part)
    }

    /// Does for one instance what `Handler::handle_instance` does
    /// (functions/complete-lifecycle/src).
    fn handle_instance(&mut self, number: usize) -> Result<(), Killed> {
        if !self.instances[number].waits {
            return Ok(());
        }
        match self.next(number) {
            Next::Send(_) if !self.instances[number].is_registered => Ok(()),
            Next::Send(request) => self.change(|world| world.send(number, request)),
            Next::Heartbeat => self.change(|world| world.instances[number].heartbeats += 1),
            // The model of S3 always has the logs of a command that succeeded.
            Next::Verify(_) => self.complete(number, ActionResult::Continue),
            Next::Complete(completion) => self.complete(number, completion.result),
            Next::Held(reason) => panic!("{reason}"),
        }
    }

    /// Observes an instance as the function does, and lets the shipped decision decide.
    fn next(&self, number: usize) -> Next {
        let instance = &self.instances[number];
        let (id, state) = (id(instance.id), instance.state());
        let wait = LifecycleWait::of(&id, state, &instance.activities).unwrap();
        // The list has the commands of both instances and of all their waits.
        let listed: Vec<Command> = self
            .commands
            .iter()
            .map(|command| command.sent.clone())
            .collect();
        let commands = WaitCommands::of(&wait, &listed);
        let step = commands.and_then(|commands| self.step_result(commands.first, wait.direction));
        let observed = Observed {
            state,
            reuses_on_scale_in: false,
            history: History::of(&id, &instance.activities),
            wait: Some(&wait),
            commands,
            step: step.as_ref(),
        };
        next(&fleet(), observed).unwrap()
    }

    fn step_result(&self, command: &Command, direction: Direction) -> Option<StepResult> {
        let found = self
            .commands
            .iter()
            .find(|found| found.sent.id == command.id && found.has_result)?;
        let stdout = match direction {
            Direction::Launch => RECAP.to_owned(),
            Direction::Terminate => {
                format!("onair-manifest sha256={} files=1 bytes=3\n", "a".repeat(64))
            }
        };
        Some(StepResult {
            status: found.sent.status.clone(),
            stdout,
        })
    }

    fn send(&mut self, number: usize, request: CommandRequest) {
        self.commands.push(ModelCommand {
            instance: number,
            part: self.instances[number].part,
            sent: Command {
                id: self.commands.len().to_string(),
                comment: request.comment,
                requested: at(self.seconds),
                status: CommandStatus::InProgress,
            },
            has_result: false,
        });
    }

    fn complete(&mut self, number: usize, result: ActionResult) -> Result<(), Killed> {
        let Instance { script, part, .. } = self.instances[number];
        let first = self.commands_of_wait(number).next();
        let has_succeeded =
            first.is_some_and(|command| command.sent.status == CommandStatus::Success);
        assert!(
            result == ActionResult::Abandon || has_succeeded || !needs_command(script, part),
            "no command has succeeded since the wait began: {self:#?}"
        );
        self.change(|world| {
            let instance = &mut world.instances[number];
            instance.waits = false;
            instance.results.push(result);
            // The activity of an abandoned launch stays in progress for some minutes.
            if result == ActionResult::Continue {
                instance.activities.last_mut().unwrap().status = ActivityStatus::Successful;
            }
        })
    }

    fn handle(&mut self, event: Event) -> Result<(), Killed> {
        self.seconds += 7;
        match event {
            Event::OfInstance(number) => return self.handle_instance(number),
            Event::Schedule => return self.handle_instance(0).and(self.handle_instance(1)),
            Event::CommandsFinish => self.finish_commands(),
            Event::ResultsAppear => {
                for command in &mut self.commands {
                    command.has_result = true;
                }
            }
            Event::AgentRegisters => self.instances[0].is_registered = true,
            Event::NextPart => {
                for instance in &mut self.instances {
                    let is_last = instance.part + 1 == instance.script.len();
                    if !instance.waits && !is_last {
                        instance.part += 1;
                        instance.begin(self.seconds);
                    }
                }
            }
        }
        Ok(())
    }

    fn finish_commands(&mut self) {
        let in_progress = self
            .commands
            .iter_mut()
            .filter(|command| command.sent.status == CommandStatus::InProgress);
        for command in in_progress {
            let part = self.instances[command.instance].script[command.part];
            command.sent.status = if part.succeeds {
                CommandStatus::Success
            } else {
                CommandStatus::Failed {
                    details: "Failed".to_owned(),
                }
            };
        }
    }

    /// Lets the schedule continue and all late events arrive, until nothing changes any more.
    fn settle(mut self) -> Self {
        self.changes_left = usize::MAX;
        for _ in 0..4 {
            for event in [
                Event::AgentRegisters,
                Event::Schedule,
                Event::CommandsFinish,
                Event::ResultsAppear,
                Event::Schedule,
                Event::NextPart,
            ] {
                let _ = self.handle(event);
            }
        }
        let before = format!("{:?} {:?}", self.instances, self.commands);
        let _ = self.handle(Event::Schedule);
        assert_eq!(
            before,
            format!("{:?} {:?}", self.instances, self.commands),
            "the world does not settle"
        );
        self
    }

    fn end(&self) -> End {
        End {
            results: self.instances.clone().map(|instance| instance.results),
            commands: self.commands.len(),
        }
    }
}

/// How an order of events ends.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// The result of each wait.
    results: [Vec<ActionResult>; 2],
    /// The number of commands that were sent.
    commands: usize,
}

const RECAP: &str = "PLAY RECAP ***\nlocalhost : ok=1 changed=1 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0\n";

/// How every order of these scripts must end: one command for each wait that needs one, and the
/// result that the command deserves.
fn expected(scripts: [Script; 2]) -> End {
    let result = |part: &Part| {
        if part.succeeds {
            ActionResult::Continue
        } else {
            ActionResult::Abandon
        }
    };
    let commands = |script: Script| {
        (0..script.len())
            .filter(|part| needs_command(script, *part))
            .count()
    };
    End {
        results: scripts.map(|script| script.iter().map(result).collect()),
        commands: scripts.map(commands).iter().sum(),
    }
}

#[test]
fn every_order_of_up_to_five_events_ends_as_the_commands_deserve() {
    for scripts in SCRIPTS {
        let mut orders = 0;

        every_order(&World::new(scripts), 5, &mut |world, order| {
            orders += 1;
            assert_eq!(
                world.clone().settle().end(),
                expected(scripts),
                "after {order:?}: {world:#?}"
            );
        });

        assert_eq!(orders, 1 + 7 + 49 + 343 + 2_401 + 16_807);
    }
}

/// More changes than any four events make.
const MAX_CHANGES: usize = 7;

#[test]
fn a_crash_after_any_change_of_any_four_events_ends_the_same() {
    for scripts in SCRIPTS {
        every_order(&World::new(scripts), 4, &mut |_, order| {
            for changes in 0..MAX_CHANGES {
                let mut world = World::new(scripts);
                world.changes_left = changes;

                for event in order {
                    if world.handle(*event).is_err() {
                        // Lambda or EventBridge sends the event again.
                        world.changes_left = usize::MAX;
                        let _ = world.handle(*event);
                    }
                }

                assert_eq!(
                    world.settle().end(),
                    expected(scripts),
                    "{order:?}, killed after {changes} changes"
                );
            }
        });
    }
}

#[test]
fn an_instance_whose_agent_never_registers_gets_no_heartbeat() {
    let mut world = World::new(SCRIPTS[0]);

    for _ in 0..20 {
        let _ = world.handle(Event::Schedule);
        let _ = world.handle(Event::OfInstance(0));
    }

    let [first, second] = &world.instances;
    assert_eq!((first.heartbeats, first.results.len()), (0, 0));
    // The command of the second instance is in progress.
    assert_eq!(second.heartbeats, 19);
}
