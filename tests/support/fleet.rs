//! An Auto Scaling group to tell a story on, with its instances' agents and the bucket, all stood in for.

use crate::{binary, event};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stand_in::{
    ACCESS_KEY_ID, Answer, AutoScaling, Command, Function, Object, REGION, Ran, S3, SECRET_ACCESS_KEY, Ssm,
    Traffic, Versioning,
};

/// The group of the documented events.
pub const GROUP: &str = "my-asg";
/// Its launch hook.
pub const LAUNCH: &str = "onair-launch";
/// Its terminate hook.
pub const TERMINATE: &str = "onair-terminate";
/// Where the playbook is, and where logs go.
pub const FLEET: &str = "onair-fleet";
/// The document that saves logs.
pub const DOCUMENT: &str = "onair-logs";
/// The document that runs the playbook.
pub const PLAYBOOKS: &str = "AWS-ApplyAnsiblePlaybooks";
/// The instance of the documented events.
pub const INSTANCE: &str = "i-1234567890abcdef0";
/// Another one.
pub const OTHER: &str = "i-0fedcba0987654321";

/// A group named as in the documented events, without instances.
pub struct Fleet {
    /// Every call to all of these.
    pub traffic: Traffic,
    /// The group.
    pub autoscaling: AutoScaling,
    /// Commands and agents.
    pub ssm: Ssm,
    /// The bucket.
    pub s3: S3,
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

impl Fleet {
    /// A group in which both instances' agents are known.
    pub fn new() -> Self {
        let traffic = Traffic::default();
        let autoscaling = AutoScaling::start(&traffic);
        autoscaling.create_group(GROUP, LAUNCH, TERMINATE);
        let ssm = Ssm::start(&traffic);
        ssm.create_document(DOCUMENT, &["saveLogs"], &["Bucket", "Prefix", "Directory"]);
        ssm.register(INSTANCE);
        ssm.register(OTHER);
        let s3 = S3::builder().traffic(&traffic).start();
        s3.create_bucket(FLEET, Versioning::Off);
        Self { traffic, autoscaling, ssm, s3 }
    }

    /// An instance that serves; it came without the hook.
    pub fn serving(&self, instance: &str) {
        self.autoscaling.launch(GROUP, instance);
        self.autoscaling.finish(instance);
    }

    /// Starts the function with these settings beside the usual ones.
    pub fn start(&self, settings: &[(&str, &str)]) -> Function {
        let usual = [
            ("AWS_ENDPOINT_URL_AUTO_SCALING", self.autoscaling.endpoint_url()),
            ("AWS_ENDPOINT_URL_SSM", self.ssm.endpoint_url()),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint_url()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
            ("AUTO_SCALING_GROUP", GROUP.to_owned()),
            ("LAUNCH_HOOK", LAUNCH.to_owned()),
            ("TERMINATE_HOOK", TERMINATE.to_owned()),
            ("PLAYBOOK_BUCKET", FLEET.to_owned()),
            ("LOG_BUCKET", FLEET.to_owned()),
            ("LOG_DOCUMENT", DOCUMENT.to_owned()),
        ];
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        Function::start(&binary("complete-lifecycle"), usual.into_iter().chain(settings))
    }

    /// Invokes a function that has just been started.
    pub async fn call(&self, settings: &[(&str, &str)], event: Value) -> Answer {
        self.start(settings).invoke(event).await
    }

    /// What becomes of all commands when every agent does as it should: playbooks change something, logs are saved.
    pub fn agents(&self) -> Vec<Command> {
        self.ssm.run(|command| self.agent(command))
    }

    /// What an agent does that is well.
    pub fn agent(&self, command: &Command) -> Ran {
        match command.document.as_str() {
            PLAYBOOKS => Ran { status: "Success".to_owned(), stdout: playbook(2, 0, 0) },
            _ => self.save(command, &[("access.log-1.gz", b"one"), ("error.log-1.gz", b"twelve")]),
        }
    }

    /// Saves these files as the document does.
    pub fn save(&self, command: &Command, files: &[(&str, &[u8])]) -> Ran {
        let prefix = &command.parameters["Prefix"][0];
        for (name, body) in files {
            self.put(&format!("{prefix}/{name}"), body);
        }
        let listed = files
            .iter()
            .map(|(name, body)| json!({ "name": name, "bytes": body.len(), "sha256": base64_sha256(body) }));
        let manifest = json!({ "instance": command.instance, "files": listed.collect::<Vec<_>>() });
        let bytes = files.iter().map(|(_, body)| body.len()).sum();
        self.receipt(command, &manifest.to_string(), files.len(), bytes)
    }

    /// Puts a manifest of this text, and ends as the document does.
    pub fn receipt(&self, command: &Command, manifest: &str, files: usize, bytes: usize) -> Ran {
        let prefix = &command.parameters["Prefix"][0];
        let digest: String =
            Sha256::digest(manifest.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.put(&format!("{prefix}/manifest-{digest}.json"), manifest.as_bytes());
        let stdout = format!("onair-manifest sha256={digest} files={files} bytes={bytes}\n");
        Ran { status: "Success".to_owned(), stdout }
    }

    /// Puts an object with its checksum.
    pub fn put(&self, key: &str, body: &[u8]) {
        let checksum_sha256 = Some(base64_sha256(body));
        let body = body.to_vec().into();
        self.s3.put_object(FLEET, key, Object { body, checksum_sha256, ..Object::default() });
    }

    /// How the waits of an instance ended, in their order.
    pub fn results(&self, instance: &str) -> Vec<String> {
        let completed = self.autoscaling.completed().into_iter();
        completed.filter(|(of, _)| of == instance).map(|(_, result)| result).collect()
    }

    /// The names of the calls since they were last forgotten.
    pub fn operations(&self) -> Vec<String> {
        self.traffic.calls().into_iter().map(|call| call.operation).collect()
    }
}

/// SHA-256 as S3 writes it.
pub fn base64_sha256(body: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(body))
}

/// The output of `ansible-playbook -v` with one host, to its end.
pub fn playbook(changed: u32, unreachable: u32, failed: u32) -> String {
    format!(
        "Running Ansible in /var/lib/amazon/ssm/{INSTANCE}/document/orchestration\n\
         Using /etc/ansible/ansible.cfg as config file\n\nPLAY [web servers] ****\n\nTASK [Gathering Facts] ****\n\
         ok: [localhost]\n\nPLAY RECAP *********************************************************************\n\
         localhost                  : ok=5    changed={changed}    unreachable={unreachable}    failed={failed}    \
         skipped=1    rescued=0    ignored=0   \n\n"
    )
}

/// `launch.json`, of this instance.
pub fn launched(instance: &str) -> Value {
    lifecycle("complete-lifecycle/launch.json", instance)
}

/// `terminate.json`, of this instance.
pub fn terminating(instance: &str) -> Value {
    lifecycle("complete-lifecycle/terminate.json", instance)
}

fn lifecycle(file: &str, instance: &str) -> Value {
    let mut event = event(file);
    event["detail"]["EC2InstanceId"] = instance.into();
    event
}

/// `command-invocation.json`, of this command.
pub fn invocation(command: &Command) -> Value {
    let mut event = event("complete-lifecycle/command-invocation.json");
    event["detail"]["command-id"] = command.id.clone().into();
    event["detail"]["document-name"] = command.document.clone().into();
    event["detail"]["instance-id"] = command.instance.clone().into();
    event["detail"]["status"] = command.status.0.clone().into();
    event
}

/// `schedule.json`.
pub fn tick() -> Value {
    event("complete-lifecycle/schedule.json")
}
