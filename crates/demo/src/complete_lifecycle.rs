//! The chapter on `complete-lifecycle`: instances that are configured before they serve, and whose
//! logs are saved before they terminate.

use crate::narrate::{Narrator, pretty};
use scenes::event;
use scenes::fleet::{
    Fleet, GROUP, INSTANCE as HEALTHY, OTHER as BROKEN, invocation, lifecycle, playbook,
};
use scenes::lambda::Lambda;
use serde_json::Value;
use stand_in::{Command, CommandResult};

/// The log file of an instance: its name and its content.
const LOG: (&str, &[u8]) = ("access.log-1.gz", b"what it logged");

/// Runs the chapter.
pub(crate) async fn run(narrator: &mut Narrator) -> anyhow::Result<()> {
    let fleet = Fleet::new();
    let servers = WebServers {
        function: Lambda::start("complete-lifecycle", fleet.environment(&[]))?,
        fleet,
    };
    narrator.heading("complete-lifecycle: configured before they serve, logs saved at the end");
    narrator.explain(
        "Web servers run in an Auto Scaling group. A new instance waits until Ansible has configured it. An instance that \
         terminates waits until its logs are in S3. (Here the demo plays the agents of the instances; `make test` runs real \
         Ansible and the real script.)",
    );
    servers.launch_without_event(narrator).await?;
    servers.launch_broken(narrator).await?;
    servers.terminate_healthy(narrator).await?;
    servers.terminate_with_wrong_log(narrator).await
}

/// The group and its function.
struct WebServers {
    fleet: Fleet,
    function: Lambda,
}

impl WebServers {
    async fn launch_without_event(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        narrator.heading("1. An instance launches, and its event is late");
        self.fleet.autoscaling.launch(GROUP, HEALTHY);
        let answer = self.send_schedule().await?;
        let waits = answer["outcome"] == "waiting" && self.fleet.ssm.commands().is_empty();
        narrator.check(
            "the schedule finds the instance and waits for its SSM agent",
            unless(waits, &answer),
        );
        self.fleet.ssm.register(HEALTHY);
        let answer = self.send_schedule().await?;
        narrator.check(
            "a minute later the playbook is sent",
            unless(has_outcome(&answer, "sent"), &answer),
        );
        let (answer, _) = self.function.send(&launch(HEALTHY)?).await?;
        let is_sent_once = self.fleet.ssm.commands().len() == 1;
        narrator.check(
            "the late event does not send it again",
            unless(is_sent_once, &answer),
        );
        let answer = self.finish(|_| played(3, 0)).await?;
        narrator.show(&pretty(&answer));
        let serves = self.fleet.autoscaling.state(HEALTHY) == "InService";
        narrator.check(
            "the playbook passed: the instance serves",
            unless(serves, &answer),
        );
        Ok(())
    }

    async fn launch_broken(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        narrator.heading("2. The playbook of an instance fails");
        self.fleet.autoscaling.launch(GROUP, BROKEN);
        self.fleet.ssm.register(BROKEN);
        self.function.send(&launch(BROKEN)?).await?;
        let answer = self.finish(|_| played(1, 1)).await?;
        narrator.show(&pretty(&answer));
        let is_abandoned = self.fleet.autoscaling.state(BROKEN) != "InService"
            && has_outcome(&answer, "abandoned");
        narrator.check(
            "the instance never serves; the answer has Ansible's recap",
            unless(is_abandoned, &answer),
        );
        let answer = self.send_schedule().await?;
        let is_over = self.fleet.autoscaling.state(BROKEN) == "Terminated"
            && self.fleet.ssm.commands().len() == 2;
        narrator.check(
            "it terminates at once, because it has no logs to save",
            unless(is_over, &answer),
        );
        Ok(())
    }

    async fn terminate_healthy(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        narrator.heading("3. The show has ended: an instance terminates");
        self.fleet.autoscaling.terminate(HEALTHY);
        self.function.send(&terminate(HEALTHY)?).await?;
        let answer = self
            .finish(|command| self.fleet.save(command, &[LOG]))
            .await?;
        narrator.show(&pretty(&answer));
        let is_over = self.fleet.autoscaling.state(HEALTHY) == "Terminated"
            && has_outcome(&answer, "continued");
        narrator.check(
            "its logs are in S3 and match its manifest: it terminates",
            unless(is_over, &answer),
        );
        Ok(())
    }

    async fn terminate_with_wrong_log(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        narrator.heading("4. The saved log of an instance does not match its manifest");
        self.fleet.serving(BROKEN);
        self.fleet.autoscaling.terminate(BROKEN);
        self.function.send(&terminate(BROKEN)?).await?;
        let save_wrongly = |command: &Command| {
            let result = self.fleet.save(command, &[LOG]);
            self.fleet.put_log(command, LOG.0, b"something else");
            result
        };
        let answer = self.finish(save_wrongly).await?;
        narrator.show(&pretty(&answer));
        let is_kept = self.fleet.autoscaling.state(BROKEN) == "Terminating:Retained"
            && has_outcome(&answer, "abandoned");
        narrator.check(
            "the instance is retained with its disk, and an alarm is set",
            unless(is_kept, &answer),
        );
        let answer = self.send_schedule().await?;
        let is_done = answer["outcome"] == "unchanged";
        narrator.check("nothing is left to do", unless(is_done, &answer));
        Ok(())
    }

    async fn send_schedule(&self) -> anyhow::Result<Value> {
        let schedule = event("complete-lifecycle/schedule.json")?;
        Ok(self.function.send(&schedule).await?.0)
    }

    /// Runs the open commands, and sends the event of the last one to the function.
    async fn finish(&self, agent: impl FnMut(&Command) -> CommandResult) -> anyhow::Result<Value> {
        let finished = self.fleet.ssm.run(agent);
        let mut done = event("complete-lifecycle/command-invocation.json")?;
        for command in &finished {
            done = invocation(done, command);
        }
        Ok(self.function.send(&done).await?.0)
    }
}

/// The result of a playbook, with the recap that Ansible prints.
fn played(changed: u32, failed: u32) -> CommandResult {
    let status = if failed == 0 { "Success" } else { "Failed" };
    CommandResult {
        status: status.to_owned(),
        stdout: playbook(changed, 0, failed),
    }
}

fn launch(instance: &str) -> anyhow::Result<Value> {
    Ok(lifecycle(
        event("complete-lifecycle/launch.json")?,
        instance,
    ))
}

fn terminate(instance: &str) -> anyhow::Result<Value> {
    Ok(lifecycle(
        event("complete-lifecycle/terminate.json")?,
        instance,
    ))
}

/// Whether the only instance in the answer has this outcome.
fn has_outcome(answer: &Value, outcome: &str) -> bool {
    answer["instances"][0]["outcome"] == outcome
}

fn unless(is_so: bool, answer: &Value) -> Option<String> {
    (!is_so).then(|| answer.to_string())
}
