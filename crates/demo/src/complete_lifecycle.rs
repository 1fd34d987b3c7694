//! The chapter on `complete-lifecycle`: instances that join checked and leave nothing behind.

use crate::narrate::{Narrator, pretty};
use scenes::event;
use scenes::fleet::{
    Fleet, GROUP, INSTANCE as WELL, OTHER as BROKEN, invocation, lifecycle, playbook,
};
use scenes::lambda::Lambda;
use serde_json::Value;
use stand_in::{Command, CommandResult};

/// What an instance logged, and how its file is named.
const LOG: (&str, &[u8]) = ("access.log-1.gz", b"what it logged");

/// Tells the chapter.
pub(crate) async fn tell(narrator: &mut Narrator) -> anyhow::Result<()> {
    let fleet = Fleet::new();
    let function = Lambda::start("complete-lifecycle", fleet.environment(&[]))?;
    narrator.heading("complete-lifecycle: instances that join checked and leave nothing behind");
    narrator.say(
        "Web servers in an Auto Scaling group. A new one waits until Ansible has configured it; one that goes waits until its \
         logs are in S3. (What the agents on the instances do is told here; `make test` has real Ansible and the real script.)",
    );
    narrator.heading("1. An instance comes, and its event never does");
    fleet.autoscaling.launch(GROUP, WELL);
    let tick = event("complete-lifecycle/schedule.json")?;
    let (answer, _) = function.send(&tick).await?;
    let waits = answer["outcome"] == "waiting" && fleet.ssm.commands().is_empty();
    narrator.check(
        "the schedule finds it; its agent is not there yet, which is no failure",
        not(waits, &answer),
    );
    fleet.ssm.register(WELL);
    let (answer, _) = function.send(&tick).await?;
    narrator.check(
        "a minute later the playbook is sent",
        not(said(&answer, "sent"), &answer),
    );
    let (answer, _) = function.send(&launch(WELL)?).await?;
    let once = fleet.ssm.commands().len() == 1;
    narrator.check(
        "the event, late after all, sends no second one",
        not(once, &answer),
    );
    let answer = ends(&fleet, &function, |_| played(3, 0)).await?;
    narrator.show(&pretty(&answer));
    let serves = fleet.autoscaling.state(WELL) == "InService";
    narrator.check(
        "the playbook passed: the instance serves",
        not(serves, &answer),
    );

    narrator.heading("2. One whose playbook fails");
    fleet.autoscaling.launch(GROUP, BROKEN);
    fleet.ssm.register(BROKEN);
    function.send(&launch(BROKEN)?).await?;
    let answer = ends(&fleet, &function, |_| played(1, 1)).await?;
    narrator.show(&pretty(&answer));
    let is_gone = fleet.autoscaling.state(BROKEN) != "InService" && said(&answer, "abandoned");
    narrator.check(
        "it never serves, and the answer says what Ansible counted",
        not(is_gone, &answer),
    );
    let (answer, _) = function.send(&tick).await?;
    let is_over =
        fleet.autoscaling.state(BROKEN) == "Terminated" && fleet.ssm.commands().len() == 2;
    narrator.check(
        "it goes at once: it has no logs to be saved",
        not(is_over, &answer),
    );

    narrator.heading("3. The show is over: an instance goes");
    fleet.autoscaling.terminate(WELL);
    function.send(&terminate(WELL)?).await?;
    let answer = ends(&fleet, &function, |command| fleet.save(command, &[LOG])).await?;
    narrator.show(&pretty(&answer));
    let is_over = fleet.autoscaling.state(WELL) == "Terminated" && said(&answer, "continued");
    narrator.check(
        "its logs are in S3, compared with what it said of them: it may go",
        not(is_over, &answer),
    );

    narrator.heading("4. Another goes, and what arrived is not what it had");
    fleet.serving(BROKEN);
    fleet.autoscaling.terminate(BROKEN);
    function.send(&terminate(BROKEN)?).await?;
    let answer = ends(&fleet, &function, |command| {
        let ran = fleet.save(command, &[LOG]);
        fleet.put_log(command, LOG.0, b"something else");
        ran
    });
    let answer = answer.await?;
    narrator.show(&pretty(&answer));
    let is_kept =
        fleet.autoscaling.state(BROKEN) == "Terminating:Retained" && said(&answer, "abandoned");
    narrator.check(
        "it is retained, with its disk, and an alarm goes off",
        not(is_kept, &answer),
    );
    let (answer, _) = function.send(&tick).await?;
    let is_quiet = answer["outcome"] == "unchanged";
    narrator.check("nothing is left to do", not(is_quiet, &answer));
    Ok(())
}

/// Lets the agent do what the command wants, and tells the function that it is done.
async fn ends(
    fleet: &Fleet,
    function: &Lambda,
    agent: impl FnMut(&Command) -> CommandResult,
) -> anyhow::Result<Value> {
    let ran = fleet.ssm.run(agent);
    let mut done = event("complete-lifecycle/command-invocation.json")?;
    for command in &ran {
        done = invocation(done, command);
    }
    Ok(function.send(&done).await?.0)
}

/// What Ansible prints at its end.
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

/// Whether this came of the one instance.
fn said(answer: &Value, outcome: &str) -> bool {
    answer["instances"][0]["outcome"] == outcome
}

fn not(is_so: bool, answer: &Value) -> Option<String> {
    (!is_so).then(|| answer.to_string())
}
