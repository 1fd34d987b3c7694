//! Web servers in an Auto Scaling group, their agents, and the bucket of their logs.

use crate::lambda::{self, Environment};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stand_in::{AutoScaling, Command, CommandResult, Object, S3, Ssm, Traffic, Versioning};

/// The group of the documented events.
pub const GROUP: &str = "my-asg";
pub const LAUNCH: &str = "onair-launch";
pub const TERMINATE: &str = "onair-terminate";
/// The bucket of the playbook and of the logs.
pub const FLEET: &str = "onair-fleet";
/// The document that saves logs.
pub const DOCUMENT: &str = "onair-logs";
/// The document that runs the playbook.
pub const PLAYBOOKS: &str = "AWS-ApplyAnsiblePlaybooks";
/// The instance of the documented events.
pub const INSTANCE: &str = "i-1234567890abcdef0";
/// Another instance.
pub const OTHER: &str = "i-0fedcba0987654321";

/// A group with the name of the documented events, without instances.
pub struct Fleet {
    /// The calls to all services of the group.
    pub traffic: Traffic,
    pub autoscaling: AutoScaling,
    pub ssm: Ssm,
    pub s3: S3,
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

impl Fleet {
    /// A group without registered agents.
    pub fn new() -> Self {
        let traffic = Traffic::default();
        let autoscaling = AutoScaling::start(&traffic);
        autoscaling.create_group(GROUP, LAUNCH, TERMINATE);
        let ssm = Ssm::start(&traffic);
        ssm.create_document(DOCUMENT, &["saveLogs"], &["Bucket", "Prefix", "Directory"]);
        let s3 = S3::builder().traffic(&traffic).start();
        s3.create_bucket(FLEET, Versioning::Off);
        Self {
            traffic,
            autoscaling,
            ssm,
            s3,
        }
    }

    /// The environment of `complete-lifecycle`. `settings` override the usual values.
    pub fn environment(&self, settings: &[(&str, &str)]) -> Environment {
        let usual = [
            (
                "AWS_ENDPOINT_URL_AUTO_SCALING",
                self.autoscaling.endpoint_url(),
            ),
            ("AWS_ENDPOINT_URL_SSM", self.ssm.endpoint_url()),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint_url()),
            ("AUTO_SCALING_GROUP", GROUP.to_owned()),
            ("LAUNCH_HOOK", LAUNCH.to_owned()),
            ("TERMINATE_HOOK", TERMINATE.to_owned()),
            ("PLAYBOOK_BUCKET", FLEET.to_owned()),
            ("LOG_BUCKET", FLEET.to_owned()),
            ("LOG_DOCUMENT", DOCUMENT.to_owned()),
        ];
        lambda::environment(usual, settings)
    }

    /// Adds an instance that launched without the hook, and that serves.
    pub fn serving(&self, instance: &str) {
        self.autoscaling.launch(GROUP, instance);
        self.autoscaling.finish(instance);
    }

    /// Saves these files as the document does.
    pub fn save(&self, command: &Command, files: &[(&str, &[u8])]) -> CommandResult {
        for (name, body) in files {
            self.put_log(command, name, body);
        }
        let listed = files
            .iter()
            .map(|(name, body)| json!({ "name": name, "bytes": body.len(), "sha256": base64_sha256(body) }));
        let manifest = json!({ "instance": command.instance, "files": listed.collect::<Vec<_>>() });
        let bytes = files.iter().map(|(_, body)| body.len()).sum();
        self.receipt(command, &manifest.to_string(), files.len(), bytes)
    }

    /// Puts a manifest with this text, and prints the receipt as the document does.
    pub fn receipt(
        &self,
        command: &Command,
        manifest: &str,
        files: usize,
        bytes: usize,
    ) -> CommandResult {
        let digest: String = Sha256::digest(manifest.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.put_log(
            command,
            &format!("manifest-{digest}.json"),
            manifest.as_bytes(),
        );
        let stdout = format!("onair-manifest sha256={digest} files={files} bytes={bytes}\n");
        CommandResult {
            status: "Success".to_owned(),
            stdout,
        }
    }

    /// Puts a file below the prefix of the command.
    pub fn put_log(&self, command: &Command, name: &str, body: &[u8]) {
        let prefix = command
            .parameters
            .get("Prefix")
            .and_then(|values| values.first());
        self.put(
            &format!("{}/{name}", prefix.map_or("", String::as_str)),
            body,
        );
    }

    /// Puts an object with its checksum.
    pub fn put(&self, key: &str, body: &[u8]) {
        let checksum_sha256 = Some(base64_sha256(body));
        let body = body.to_vec().into();
        self.s3.put_object(
            FLEET,
            key,
            Object {
                body,
                checksum_sha256,
                ..Object::default()
            },
        );
    }
}

/// The SHA-256 in the format of S3.
pub fn base64_sha256(body: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(body))
}

/// The complete output of `ansible-playbook -v` for one host.
pub fn playbook(changed: u32, unreachable: u32, failed: u32) -> String {
    format!(
        "Running Ansible in /var/lib/amazon/ssm/{INSTANCE}/document/orchestration\n\
         Using /etc/ansible/ansible.cfg as config file\n\nPLAY [web servers] ****\n\nTASK [Gathering Facts] ****\n\
         ok: [localhost]\n\nPLAY RECAP *********************************************************************\n\
         localhost                  : ok=5    changed={changed}    unreachable={unreachable}    failed={failed}    \
         skipped=1    rescued=0    ignored=0   \n\n"
    )
}

/// A documented event of a lifecycle hook for this instance.
pub fn lifecycle(mut event: Value, instance: &str) -> Value {
    event["detail"]["EC2InstanceId"] = instance.into();
    event
}

/// A documented event of a command, with the command's present status.
pub fn invocation(mut event: Value, command: &Command) -> Value {
    event["detail"]["command-id"] = command.id.clone().into();
    event["detail"]["document-name"] = command.document.clone().into();
    event["detail"]["instance-id"] = command.instance.clone().into();
    event["detail"]["status"] = command.status.0.clone().into();
    event
}
