//! The SSM commands that instances run, and their status.

use super::PLAYBOOK_FOLDER;
use super::{Direction, FleetPolicy, LaunchPolicy, LifecycleWait, TerminatePolicy};
use chrono::{DateTime, Utc};
use serde_json::json;

/// A command for one instance, before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRequest {
    /// The name of the SSM document.
    pub document: String,
    /// The parameters of the document.
    pub parameters: Vec<(&'static str, String)>,
    /// By this comment, later runs find the command: [`LifecycleWait::comment`].
    pub comment: String,
}

impl CommandRequest {
    /// The command that the instance has to run in this wait. `None` if On Air does not handle the
    /// direction.
    pub fn of(fleet: &FleetPolicy, wait: &LifecycleWait) -> Option<Self> {
        let parameters = match wait.direction {
            Direction::Launch => fleet.launch.as_ref()?.parameters(),
            Direction::Terminate => fleet.terminate.as_ref()?.parameters(wait),
        };
        Some(Self {
            document: fleet.document(wait.direction)?.name.to_owned(),
            parameters,
            comment: wait.comment(),
        })
    }
}

impl LaunchPolicy {
    /// The parameters of [`super::PLAYBOOK_DOCUMENT`].
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("SourceType", "S3".to_owned()),
            (
                "SourceInfo",
                json!({ "path": self.source_path() }).to_string(),
            ),
            // Packages are installed by the image or by the user data. Otherwise an unavailable
            // package index would fail the launch.
            ("InstallDependencies", parameter_bool(false)),
            ("PlaybookFile", self.playbook.clone()),
            ("Check", parameter_bool(self.check_mode)),
            ("Verbose", "-v".to_owned()),
            ("TimeoutSeconds", self.timeout_seconds.to_string()),
        ];
        if !self.extra_variables.is_empty() {
            parameters.push(("ExtraVariables", self.extra_variables.clone()));
        }
        parameters
    }

    /// The SSM agent reads region, bucket and key from a path-style URL. A key that ends in a slash
    /// is a folder to it. It also knows the domain of China. (amazon-ssm-agent,
    /// `agent/s3util/s3uri.go`, `agent/plugins/downloadcontent`.)
    fn source_path(&self) -> String {
        let domain = if self.region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let Self { region, bucket, .. } = self;
        format!("https://s3.{region}.{domain}/{bucket}/{PLAYBOOK_FOLDER}")
    }
}

fn parameter_bool(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
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

/// A command that was sent, as `ListCommands` returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The ID that SSM gave the command.
    pub id: String,
    /// The comment of its [`CommandRequest`].
    pub comment: String,
    /// When SSM accepted the command.
    pub requested: DateTime<Utc>,
    /// The status of the whole command. Its steps have their own.
    pub status: CommandStatus,
}

/// The status of a command, or of one step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandStatus {
    /// The command is not finished: all status codes of SSM that are not named below.
    InProgress,
    /// The command finished with exit code 0.
    Success,
    /// The command finished in another way, or never started.
    Failed {
        /// The status details of SSM, for example `Failed`, `DeliveryTimedOut`, `Undeliverable`.
        details: String,
    },
}

impl CommandStatus {
    /// Reads a status and its details (SSM User Guide, "Understanding command statuses"). An
    /// unknown status counts as in progress: nothing is decided by it.
    pub fn parse(status: &str, details: Option<&str>) -> Self {
        match status {
            "Success" => Self::Success,
            "Failed" | "TimedOut" | "Cancelled" => Self::Failed {
                details: details
                    .filter(|text| !text.is_empty())
                    .unwrap_or(status)
                    .to_owned(),
            },
            _ => Self::InProgress,
        }
    }
}

/// The result of the step that decides, as `GetCommandInvocation` returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// The status of the step.
    pub status: CommandStatus,
    /// The first 24,000 characters of its output. SSM stores no more.
    pub stdout: String,
}

/// The commands of one wait.
#[derive(Debug, Clone, Copy)]
pub struct WaitCommands<'a> {
    /// The oldest command. Its result ends the wait, even if invocations at the same moment sent
    /// several commands.
    pub first: &'a Command,
    /// Whether one of the other commands is in progress.
    pub is_another_running: bool,
}

impl<'a> WaitCommands<'a> {
    /// Finds the wait's commands among all that are listed. `None` if there is none.
    pub fn of(wait: &LifecycleWait, listed: &'a [Command]) -> Option<Self> {
        let comment = wait.comment();
        let own = listed.iter().filter(|command| command.comment == comment);
        let first = own
            .clone()
            .min_by(|a, b| (a.requested, &a.id).cmp(&(b.requested, &b.id)))?;
        let mut others = own.filter(|command| command.id != first.id);
        let is_another_running = others.any(|command| command.status == CommandStatus::InProgress);
        Some(Self {
            first,
            is_another_running,
        })
    }
}
