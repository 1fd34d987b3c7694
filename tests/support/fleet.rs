//! An Auto Scaling group for stories, and its function.

use crate::{binary, event};
use scenes::fleet;
use serde_json::Value;
use stand_in::{Answer, Command, CommandResult, Function};
use std::ops::Deref;

pub use scenes::fleet::{
    DOCUMENT, FLEET, GROUP, INSTANCE, LAUNCH, OTHER, PLAYBOOKS, TERMINATE, base64_sha256, playbook,
};

/// A group with the name of the documented events, without instances.
pub struct Fleet(fleet::Fleet);

impl Deref for Fleet {
    type Target = fleet::Fleet;

    fn deref(&self) -> &fleet::Fleet {
        &self.0
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

impl Fleet {
    /// A group in which the agents of both instances are registered.
    pub fn new() -> Self {
        let fleet = fleet::Fleet::new();
        fleet.ssm.register(INSTANCE);
        fleet.ssm.register(OTHER);
        Self(fleet)
    }

    /// Starts the function with these settings in addition to the usual ones.
    pub fn start(&self, settings: &[(&str, &str)]) -> Function {
        Function::start(&binary("complete-lifecycle"), self.environment(settings))
    }

    /// Starts the function and invokes it once.
    pub async fn call(&self, settings: &[(&str, &str)], event: Value) -> Answer {
        self.start(settings).invoke(event).await
    }

    /// Runs all open commands successfully: playbooks report a change, logs are saved.
    pub fn agents(&self) -> Vec<Command> {
        self.ssm.run(|command| self.agent(command))
    }

    /// The result of a successful command.
    pub fn agent(&self, command: &Command) -> CommandResult {
        match command.document.as_str() {
            PLAYBOOKS => CommandResult {
                status: "Success".to_owned(),
                stdout: playbook(2, 0, 0),
            },
            _ => self.save(
                command,
                &[("access.log-1.gz", b"one"), ("error.log-1.gz", b"twelve")],
            ),
        }
    }

    /// The results of an instance's completed lifecycle actions, in order.
    pub fn results(&self, instance: &str) -> Vec<String> {
        let completed = self.autoscaling.completed().into_iter();
        completed
            .filter(|(of, _)| of == instance)
            .map(|(_, result)| result)
            .collect()
    }

    /// The operations of all calls since they were last reset.
    pub fn operations(&self) -> Vec<String> {
        self.traffic
            .calls()
            .into_iter()
            .map(|call| call.operation)
            .collect()
    }
}

/// The event `launch.json` for this instance.
pub fn launched(instance: &str) -> Value {
    fleet::lifecycle(event("complete-lifecycle/launch.json"), instance)
}

/// The event `terminate.json` for this instance.
pub fn terminating(instance: &str) -> Value {
    fleet::lifecycle(event("complete-lifecycle/terminate.json"), instance)
}

/// The event `command-invocation.json` for this command.
pub fn invocation(command: &Command) -> Value {
    fleet::invocation(event("complete-lifecycle/command-invocation.json"), command)
}

/// The event of the schedule.
pub fn tick() -> Value {
    event("complete-lifecycle/schedule.json")
}
