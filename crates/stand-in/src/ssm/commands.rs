//! Commands, and the agents that run them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::clock::{from_iso8601, unix_ms};
use crate::lock;
use crate::rest::ServiceError;

/// The AWS document that runs a playbook, and its steps.
const PLAYBOOKS: (&str, [&str; 2]) = (
    "AWS-ApplyAnsiblePlaybooks",
    ["downloadContent", "runShellScript"],
);

/// The parameters of `AWS-ApplyAnsiblePlaybooks`. The document refuses some characters in the last
/// one.
pub const PLAYBOOK_PARAMETERS: [&str; 8] = [
    "SourceType",
    "SourceInfo",
    "InstallDependencies",
    "PlaybookFile",
    "Check",
    "Verbose",
    "TimeoutSeconds",
    "ExtraVariables",
];

/// `GetCommandInvocation` returns at most this many characters of an output, and marks an output
/// that was longer.
const STDOUT_LIMIT: usize = 24_000;

/// The largest page of `ListCommands`.
const PAGE: usize = 50;

/// The content of an [`Ssm`](super::Ssm). The server shares it; tests change it without a request.
/// Clones share one content.
#[derive(Clone, Default)]
pub struct Commands(pub(super) Arc<Mutex<Content>>);

/// A command as it was sent to one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The id that SSM gave it.
    pub id: String,
    pub instance: String,
    pub document: String,
    /// The parameters of the document. Each has a list of values.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// The comment of the sender.
    pub comment: String,
    /// The status and its details. `Pending` until the command runs.
    pub status: (String, String),
}

/// The result of running a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// `Success`, `Failed`, `TimedOut`, `Cancelled`; or `InProgress` if the command continues.
    pub status: String,
    /// The standard output of the command.
    pub stdout: String,
}

#[derive(Default)]
pub(super) struct Content {
    /// The instances whose agent is registered.
    registered: BTreeSet<String>,
    /// Documents other than those of AWS: steps and parameters.
    documents: BTreeMap<String, (Vec<String>, Vec<String>)>,
    commands: Vec<Sent>,
    /// Whether the results of commands that are sent from now on are hidden.
    hides_results: bool,
}

struct Sent {
    command: Command,
    stdout: String,
    requested: SystemTime,
    is_hidden: bool,
}

impl Commands {
    /// Registers the agent of an instance, so that commands can be sent to it.
    pub fn register(&self, instance: &str) {
        lock(&self.0).registered.insert(instance.to_owned());
    }

    /// Removes the agent of an instance.
    pub fn deregister(&self, instance: &str) {
        lock(&self.0).registered.remove(instance);
    }

    /// Creates a document with these steps and parameters, or replaces one of the same name.
    pub fn create_document(&self, name: &str, steps: &[&str], parameters: &[&str]) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        lock(&self.0)
            .documents
            .insert(name.to_owned(), (owned(steps), owned(parameters)));
    }

    /// Sets whether the results of new commands are hidden: `InvocationDoesNotExist`. `false` shows
    /// all results again.
    pub fn hide_results(&self, hides: bool) {
        let mut content = lock(&self.0);
        content.hides_results = hides;
        if !hides {
            content
                .commands
                .iter_mut()
                .for_each(|sent| sent.is_hidden = false);
        }
    }

    /// All commands in the order in which they were sent.
    pub fn commands(&self) -> Vec<Command> {
        lock(&self.0)
            .commands
            .iter()
            .map(|sent| sent.command.clone())
            .collect()
    }

    /// Runs every open command. `agent` gets the command and returns its result. Returns these
    /// commands as they are afterwards.
    pub fn run(&self, mut agent: impl FnMut(&Command) -> CommandResult) -> Vec<Command> {
        let open: Vec<Command> = self
            .commands()
            .into_iter()
            .filter(Command::is_open)
            .collect();
        // Without the lock, because the agent may send requests to this service.
        let ran: Vec<(Command, CommandResult)> = open
            .into_iter()
            .map(|command| (command.clone(), agent(&command)))
            .collect();
        ran.into_iter()
            .map(|(command, ran)| self.end(&command.id, &ran.status, &ran.status, &ran.stdout))
            .collect()
    }

    /// Ends a command with this status, details and output, and returns it.
    ///
    /// Panics if the command does not exist.
    #[track_caller]
    pub fn end(&self, id: &str, status: &str, details: &str, stdout: &str) -> Command {
        let mut content = lock(&self.0);
        match content
            .commands
            .iter_mut()
            .find(|sent| sent.command.id == id)
        {
            Some(sent) => {
                sent.command.status = (status.to_owned(), details.to_owned());
                stdout.clone_into(&mut sent.stdout);
                sent.command.clone()
            }
            None => panic!("command {id:?} does not exist"),
        }
    }
}

impl Command {
    /// Whether the command has not ended.
    pub fn is_open(&self) -> bool {
        ["Pending", "InProgress", "Delayed", "Cancelling"].contains(&self.status.0.as_str())
    }
}

impl Content {
    fn document(&self, name: &str) -> Option<(Vec<String>, Vec<String>)> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (playbooks, steps) = PLAYBOOKS;
        let known = || (name == playbooks).then(|| (owned(&steps), owned(&PLAYBOOK_PARAMETERS)));
        self.documents.get(name).cloned().or_else(known)
    }

    pub(super) fn send(&mut self, input: &Value) -> Result<Value, ServiceError> {
        let name = input["DocumentName"].as_str().unwrap_or_default();
        let Some((_, known)) = self.document(name) else {
            return Err(ServiceError::coded(
                "InvalidDocument",
                format!("document {name} does not exist"),
            ));
        };
        let instance = only_instance(input)?;
        let comment = input["Comment"].as_str().unwrap_or_default();
        check_limits(comment, input["TimeoutSeconds"].as_i64())?;
        let parameters = parameters(&input["Parameters"], &known)?;
        if !self.registered.contains(&instance) {
            return Err(ServiceError::coded(
                "InvalidInstanceId",
                "Instances not in a valid state for account",
            ));
        }
        let command = Command {
            id: format!("0b4cf1a6-6d3e-4c2b-9a51-{:012x}", self.commands.len() + 1),
            instance,
            document: name.to_owned(),
            parameters,
            comment: comment.to_owned(),
            status: ("Pending".to_owned(), "Pending".to_owned()),
        };
        let sent = Sent {
            command,
            stdout: String::new(),
            requested: SystemTime::now(),
            is_hidden: self.hides_results,
        };
        let answer = json!({"Command": sent.wire()});
        self.commands.push(sent);
        Ok(answer)
    }

    pub(super) fn list(&self, input: &Value) -> Result<Value, ServiceError> {
        let found = self.filtered(input)?;
        let max = page_size(input)?;
        let start = match input["NextToken"].as_str() {
            Some(token) => token
                .parse()
                .map_err(|_| ServiceError::coded("InvalidNextToken", "no such page"))?,
            None => 0_usize,
        };
        let is_last = found.len().saturating_sub(start) <= max;
        // SSM lists the newest command first.
        let page: Vec<Value> = found
            .into_iter()
            .rev()
            .skip(start)
            .take(max)
            .map(Sent::wire)
            .collect();
        let mut answer = json!({"Commands": page});
        if !is_last {
            answer["NextToken"] = json!((start + max).to_string());
        }
        Ok(answer)
    }

    /// The commands that the filters of a `ListCommands` select, the oldest first.
    fn filtered(&self, input: &Value) -> Result<Vec<&Sent>, ServiceError> {
        let invalid = |message: &str| ServiceError::coded("InvalidFilterKey", message);
        let mut found: Vec<&Sent> = self.commands.iter().collect();
        for filter in input["Filters"].as_array().into_iter().flatten() {
            let value = filter["value"].as_str().unwrap_or_default();
            match filter["key"].as_str().unwrap_or_default() {
                "DocumentName" => found.retain(|sent| sent.command.document == value),
                "Status" => found.retain(|sent| sent.command.status.0 == value),
                "InvokedAfter" => {
                    let after = from_iso8601(value)
                        .ok_or_else(|| invalid("InvokedAfter must be a time"))?;
                    found.retain(|sent| sent.requested >= after);
                }
                _ => return Err(invalid("the stand-in does not know this filter")),
            }
        }
        if let Some(instance) = input["InstanceId"].as_str() {
            // SSM API reference, CommandFilter: a node's id cannot be specified while a command is
            // pending.
            found.retain(|sent| {
                sent.command.instance == instance && sent.command.status.0 != "Pending"
            });
        }
        Ok(found)
    }

    /// The command that was sent to this instance, unless its result is hidden.
    fn visible(&self, id: &str, instance: &str) -> Option<&Sent> {
        self.commands.iter().find(|sent| {
            sent.command.id == id && sent.command.instance == instance && !sent.is_hidden
        })
    }

    pub(super) fn result(&self, input: &Value) -> Result<Value, ServiceError> {
        let field = |name: &str| input[name].as_str().unwrap_or_default();
        let Some(sent) = self.visible(field("CommandId"), field("InstanceId")) else {
            return Err(ServiceError::coded("InvocationDoesNotExist", ""));
        };
        let command = &sent.command;
        let documented = self.document(&command.document);
        let steps = documented.map(|(steps, _)| steps).unwrap_or_default();
        let step = requested_step(input, &steps, &command.status.0)?;
        // Only the last step has an output. A step that has not ended has the response code -1.
        let stdout = if steps.last() == Some(&step) {
            limited(&sent.stdout)
        } else {
            String::new()
        };
        let code = match command.status.0.as_str() {
            "Success" => 0,
            "Failed" => 1,
            _ => -1,
        };
        Ok(json!({
            "CommandId": command.id,
            "InstanceId": command.instance,
            "Comment": command.comment,
            "DocumentName": command.document,
            "PluginName": step,
            "ResponseCode": code,
            "Status": command.status.0,
            "StatusDetails": command.status.1,
            "StandardOutputContent": stdout,
            "StandardErrorContent": "",
        }))
    }
}

impl Sent {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 have 41 bits"
    )]
    fn wire(&self) -> Value {
        let Command {
            id,
            instance,
            document,
            parameters,
            comment,
            status,
        } = &self.command;
        let completed = u32::from(!self.command.is_open());
        json!({
            "CommandId": id,
            "DocumentName": document,
            "Comment": comment,
            "Parameters": parameters,
            "InstanceIds": [instance],
            "RequestedDateTime": unix_ms(self.requested) as f64 / 1000.0,
            "Status": status.0,
            "StatusDetails": status.1,
            "TargetCount": 1,
            "CompletedCount": completed,
        })
    }
}

fn only_instance(input: &Value) -> Result<String, ServiceError> {
    let instances = texts(&input["InstanceIds"]).unwrap_or_default();
    // The stand-in sends a command to one instance only.
    <[String; 1]>::try_from(instances)
        .map(|[instance]| instance)
        .map_err(|_| {
            ServiceError::coded("ValidationException", "InstanceIds must be a list of one")
        })
}

fn check_limits(comment: &str, timeout_s: Option<i64>) -> Result<(), ServiceError> {
    let invalid = |message: &str| Err(ServiceError::coded("ValidationException", message));
    if comment.chars().count() > 100 {
        return invalid("comment: at most 100 characters");
    }
    if !(30..=2_592_000).contains(&timeout_s.unwrap_or(3600)) {
        return invalid("timeoutSeconds: from 30 to 2592000");
    }
    Ok(())
}

fn page_size(input: &Value) -> Result<usize, ServiceError> {
    let max = input["MaxResults"]
        .as_u64()
        .and_then(|max| usize::try_from(max).ok())
        .unwrap_or(PAGE);
    if !(1..=PAGE).contains(&max) {
        return Err(ServiceError::coded(
            "ValidationException",
            "maxResults: from 1 to 50",
        ));
    }
    Ok(max)
}

/// The step whose result is requested. Without a name, the document must have one step.
fn requested_step(input: &Value, steps: &[String], status: &str) -> Result<String, ServiceError> {
    let unknown = || ServiceError::coded("InvalidPluginName", "");
    let Some(name) = input["PluginName"].as_str() else {
        let [only] = steps else {
            return Err(unknown());
        };
        return Ok(only.clone());
    };
    // A step has no name before it begins (as users of the API report).
    if status == "Pending" || !steps.iter().any(|step| step == name) {
        return Err(unknown());
    }
    Ok(name.to_owned())
}

/// The agent truncates an output and marks its end.
fn limited(stdout: &str) -> String {
    const CUT_OFF: &str = "--output truncated--";
    if stdout.chars().count() <= STDOUT_LIMIT {
        return stdout.to_owned();
    }
    let kept: String = stdout.chars().take(STDOUT_LIMIT - CUT_OFF.len()).collect();
    kept + CUT_OFF
}

fn texts(list: &Value) -> Option<Vec<String>> {
    list.as_array()?
        .iter()
        .map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn parameters(
    given: &Value,
    known: &[String],
) -> Result<BTreeMap<String, Vec<String>>, ServiceError> {
    let invalid = |message: String| ServiceError::coded("InvalidParameters", message);
    let mut parameters = BTreeMap::new();
    for (name, values) in given.as_object().into_iter().flatten() {
        let Some(values) = texts(values).filter(|_| known.contains(name)) else {
            return Err(invalid(format!(
                "{name} is not a parameter of the document, or not a list of texts"
            )));
        };
        let refused = |text: &String| text.contains([':', '|', '(', ')', ';', '&']);
        if name == "ExtraVariables" && values.iter().any(refused) {
            return Err(invalid(
                "ExtraVariables does not match the allowed pattern".to_owned(),
            ));
        }
        let is_yaml = |text: &String| text.ends_with(".yml") || text.ends_with(".yaml");
        if name == "PlaybookFile" && !values.iter().all(is_yaml) {
            return Err(invalid(
                "PlaybookFile does not match the allowed pattern".to_owned(),
            ));
        }
        parameters.insert(name.clone(), values);
    }
    Ok(parameters)
}
