//! The commands that instances run, and how they stand.

use super::{Direction, LaunchPolicy, TerminatePolicy};
use super::{FleetPolicy, LifecycleWait, PLAYBOOK_DOCUMENT, PLAYBOOK_FOLDER};
use chrono::{DateTime, Utc};
use serde_json::json;

/// A command to be sent to one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRequest {
    /// The SSM document.
    pub document: String,
    /// The document's parameters.
    pub parameters: Vec<(&'static str, String)>,
    /// What it is told by.
    pub comment: String,
}

impl CommandRequest {
    /// What is to be run before this instance goes on; `None` where the direction is not ours.
    pub fn of(fleet: &FleetPolicy, wait: &LifecycleWait) -> Option<Self> {
        let (document, parameters) = match wait.direction {
            Direction::Launch => (
                PLAYBOOK_DOCUMENT.to_owned(),
                fleet.launch.as_ref().map(LaunchPolicy::parameters)?,
            ),
            Direction::Terminate => {
                let terminate = fleet.terminate.as_ref()?;
                (terminate.document.clone(), terminate.parameters(wait))
            }
        };
        Some(Self {
            document,
            parameters,
            comment: wait.comment(),
        })
    }
}

impl LaunchPolicy {
    /// The agent reads region, bucket and key from a path-style address, and a key that ends in a
    /// slash is a folder (amazon-ssm-agent, `agent/s3util/s3uri.go`,
    /// `agent/plugins/downloadcontent`). It takes China's domain as well.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let Self {
            bucket,
            region,
            playbook,
            check_mode,
            timeout_seconds,
            extra_variables,
            ..
        } = self;
        let domain = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let path = format!("https://s3.{region}.{domain}/{bucket}/{PLAYBOOK_FOLDER}");
        let word = |yes: bool| if yes { "True" } else { "False" }.to_owned();
        let mut parameters = vec![
            ("SourceType", "S3".to_owned()),
            ("SourceInfo", json!({ "path": path }).to_string()),
            // What an instance needs is in its image, or in what it runs first: no package index
            // decides here.
            ("InstallDependencies", word(false)),
            ("PlaybookFile", playbook.clone()),
            ("Check", word(*check_mode)),
            ("Verbose", "-v".to_owned()),
            ("TimeoutSeconds", timeout_seconds.to_string()),
        ];
        if !extra_variables.is_empty() {
            parameters.push(("ExtraVariables", extra_variables.clone()));
        }
        parameters
    }
}

impl TerminatePolicy {
    fn parameters(&self, wait: &LifecycleWait) -> Vec<(&'static str, String)> {
        vec![
            ("Bucket", self.bucket.clone()),
            ("Prefix", wait.log_prefix()),
            ("Directory", self.directory.clone()),
        ]
    }
}

/// A command that was sent, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// SSM's id of it.
    pub id: String,
    /// The comment that it was sent with.
    pub comment: String,
    /// When it was asked for.
    pub requested: DateTime<Utc>,
    /// How it stands as a whole.
    pub status: CommandStatus,
}

/// How a command, or a step of it, stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandStatus {
    /// It is under way, or about to be.
    Running,
    /// It is done.
    Success,
    /// It is over without success.
    Failed {
        /// How, in SSM's words: `Failed`, `DeliveryTimedOut`, `Undeliverable`.
        details: String,
    },
}

impl CommandStatus {
    /// The meaning of a status and of its details (SSM User Guide, "Understanding command
    /// statuses"). What is not known is under way.
    pub fn of(status: &str, details: Option<&str>) -> Self {
        match status {
            "Success" => Self::Success,
            "Failed" | "TimedOut" | "Cancelled" => Self::Failed {
                details: details
                    .filter(|text| !text.is_empty())
                    .unwrap_or(status)
                    .to_owned(),
            },
            _ => Self::Running,
        }
    }
}

/// The step that tells the result, as `GetCommandInvocation` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// How it stands.
    pub status: CommandStatus,
    /// Its first 24,000 characters.
    pub stdout: String,
}

/// A run's commands.
#[derive(Debug, Clone, Copy)]
pub struct WaitCommands<'a> {
    /// The one that decides: the oldest, if several invocations sent one at the same moment.
    pub first: &'a Command,
    /// Another one is under way.
    pub is_another_running: bool,
}

impl<'a> WaitCommands<'a> {
    /// The run's among those that are listed; `None` if there is none.
    pub fn of(wait: &LifecycleWait, listed: &'a [Command]) -> Option<Self> {
        let comment = wait.comment();
        let ours = || listed.iter().filter(|sent| sent.comment == comment);
        let first = ours().min_by(|a, b| (a.requested, &a.id).cmp(&(b.requested, &b.id)))?;
        let is_another_running =
            ours().any(|sent| sent.id != first.id && sent.status == CommandStatus::Running);
        Some(Self {
            first,
            is_another_running,
        })
    }
}
