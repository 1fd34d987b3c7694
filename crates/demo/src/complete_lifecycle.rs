//! The chapter on `complete-lifecycle`: instances that join checked and leave nothing behind.

use crate::lambda::{Lambda, event};
use crate::narrate::{Narrator, pretty};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stand_in::{AutoScaling, Command, Object, Ran, S3, Ssm, Traffic, Versioning};

const GROUP: &str = "my-asg";
const HOOKS: [&str; 2] = ["onair-launch", "onair-terminate"];
const BUCKET: &str = "on-air-fleet";
const DOCUMENT: &str = "on-air-logs";
const WELL: &str = "i-1234567890abcdef0";
const BROKEN: &str = "i-0fedcba0987654321";

/// Tells the chapter.
pub(crate) async fn tell(narrator: &mut Narrator) -> anyhow::Result<()> {
    let fleet = Fleet::start();
    let function = fleet.function()?;
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
    narrator
        .check("the schedule finds it; its agent is not there yet, which is no failure", not(waits, &answer));
    fleet.ssm.register(WELL);
    let (answer, _) = function.send(&tick).await?;
    narrator.check("a minute later the playbook is sent", not(said(&answer, "sent"), &answer));
    let (answer, _) = function.send(&launch(WELL)?).await?;
    let once = fleet.ssm.commands().len() == 1;
    narrator.check("the event, late after all, sends no second one", not(once, &answer));
    let answer = fleet.ends(&function, |_| played(3, 0)).await?;
    narrator.show(&pretty(&answer));
    let serves = fleet.autoscaling.state(WELL) == "InService";
    narrator.check("the playbook passed: the instance serves", not(serves, &answer));

    narrator.heading("2. One whose playbook fails");
    fleet.autoscaling.launch(GROUP, BROKEN);
    fleet.ssm.register(BROKEN);
    function.send(&launch(BROKEN)?).await?;
    let answer = fleet.ends(&function, |_| played(1, 1)).await?;
    narrator.show(&pretty(&answer));
    let is_gone = fleet.autoscaling.state(BROKEN) != "InService" && said(&answer, "abandoned");
    narrator.check("it never serves, and the answer says what Ansible counted", not(is_gone, &answer));
    let (answer, _) = function.send(&tick).await?;
    let is_over = fleet.autoscaling.state(BROKEN) == "Terminated" && fleet.ssm.commands().len() == 2;
    narrator.check("it goes at once: it has no logs to be saved", not(is_over, &answer));

    narrator.heading("3. The show is over: an instance goes");
    fleet.autoscaling.terminate(WELL);
    function.send(&terminate(WELL)?).await?;
    let answer =
        fleet.ends(&function, |command| fleet.saved(command, b"what it logged", b"what it logged")).await?;
    narrator.show(&pretty(&answer));
    let is_over = fleet.autoscaling.state(WELL) == "Terminated" && said(&answer, "continued");
    narrator
        .check("its logs are in S3, compared with what it said of them: it may go", not(is_over, &answer));

    narrator.heading("4. Another goes, and what arrived is not what it had");
    fleet.autoscaling.launch(GROUP, BROKEN);
    fleet.autoscaling.finish(BROKEN);
    fleet.autoscaling.terminate(BROKEN);
    function.send(&terminate(BROKEN)?).await?;
    let answer =
        fleet.ends(&function, |command| fleet.saved(command, b"what it logged", b"something else")).await?;
    narrator.show(&pretty(&answer));
    let is_kept = fleet.autoscaling.state(BROKEN) == "Terminating:Retained" && said(&answer, "abandoned");
    narrator.check("it is retained, with its disk, and an alarm goes off", not(is_kept, &answer));
    let (answer, _) = function.send(&tick).await?;
    let is_quiet = answer["outcome"] == "unchanged";
    narrator.check("nothing is left to do", not(is_quiet, &answer));
    Ok(())
}

struct Fleet {
    autoscaling: AutoScaling,
    ssm: Ssm,
    s3: S3,
}

impl Fleet {
    fn start() -> Self {
        let traffic = Traffic::default();
        let autoscaling = AutoScaling::start(&traffic);
        let [launch, terminate] = HOOKS;
        autoscaling.create_group(GROUP, launch, terminate);
        let ssm = Ssm::start(&traffic);
        ssm.create_document(DOCUMENT, &["saveLogs"], &["Bucket", "Prefix", "Directory"]);
        let s3 = S3::builder().traffic(&traffic).start();
        s3.create_bucket(BUCKET, Versioning::Off);
        Self { autoscaling, ssm, s3 }
    }

    fn function(&self) -> anyhow::Result<Lambda> {
        let [launch, terminate] = HOOKS;
        let settings = [
            ("AWS_ENDPOINT_URL_AUTO_SCALING", self.autoscaling.endpoint_url()),
            ("AWS_ENDPOINT_URL_SSM", self.ssm.endpoint_url()),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint_url()),
            ("AUTO_SCALING_GROUP", GROUP.to_owned()),
            ("LAUNCH_HOOK", launch.to_owned()),
            ("TERMINATE_HOOK", terminate.to_owned()),
            ("PLAYBOOK_BUCKET", BUCKET.to_owned()),
            ("LOG_BUCKET", BUCKET.to_owned()),
            ("LOG_DOCUMENT", DOCUMENT.to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Lambda::start("complete-lifecycle", settings)
    }

    /// Lets the agent do what the command says, and tells the function that it is done.
    async fn ends(&self, function: &Lambda, agent: impl FnMut(&Command) -> Ran) -> anyhow::Result<Value> {
        let ran = self.ssm.run(agent);
        let mut done = event("complete-lifecycle/command-invocation.json")?;
        for command in &ran {
            done["detail"]["command-id"] = command.id.clone().into();
            done["detail"]["document-name"] = command.document.clone().into();
            done["detail"]["instance-id"] = command.instance.clone().into();
            done["detail"]["status"] = command.status.0.clone().into();
        }
        Ok(function.send(&done).await?.0)
    }

    /// What the document that saves logs does with one log, of which perhaps something else arrives.
    fn saved(&self, command: &Command, log: &[u8], arrived: &[u8]) -> Ran {
        let prefix =
            command.parameters.get("Prefix").and_then(|values| values.first()).cloned().unwrap_or_default();
        let name = "access.log-1.gz";
        let file = json!({ "name": name, "bytes": log.len(), "sha256": BASE64_STANDARD.encode(Sha256::digest(log)) });
        let manifest = json!({ "instance": command.instance, "files": [file] }).to_string();
        let digest =
            Sha256::digest(manifest.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let manifest_name = format!("manifest-{digest}.json");
        for (name, body) in [(name, arrived), (&manifest_name, manifest.as_bytes())] {
            let checksum_sha256 = Some(BASE64_STANDARD.encode(Sha256::digest(body)));
            let object = Object { body: body.to_vec().into(), checksum_sha256, ..Object::default() };
            self.s3.put_object(BUCKET, &format!("{prefix}/{name}"), object);
        }
        let stdout = format!("onair-manifest sha256={digest} files=1 bytes={}\n", log.len());
        Ran { status: "Success".to_owned(), stdout }
    }
}

/// What Ansible says at its end.
fn played(changed: u32, failed: u32) -> Ran {
    let status = if failed == 0 { "Success" } else { "Failed" };
    let stdout = format!(
        "PLAY RECAP *********\nlocalhost : ok=5 changed={changed} unreachable=0 failed={failed} skipped=1 rescued=0 ignored=0\n"
    );
    Ran { status: status.to_owned(), stdout }
}

fn launch(instance: &str) -> anyhow::Result<Value> {
    of(instance, event("complete-lifecycle/launch.json")?)
}

fn terminate(instance: &str) -> anyhow::Result<Value> {
    of(instance, event("complete-lifecycle/terminate.json")?)
}

fn of(instance: &str, mut event: Value) -> anyhow::Result<Value> {
    event["detail"]["EC2InstanceId"] = instance.into();
    Ok(event)
}

/// Whether this came of the one instance.
fn said(answer: &Value, outcome: &str) -> bool {
    answer["instances"][0]["outcome"] == outcome
}

fn not(is_so: bool, answer: &Value) -> Option<String> {
    (!is_so).then(|| answer.to_string())
}
