//! AWS Systems Manager, Run Command: sends commands to instances and reads their results.

use crate::error::Error;
use aws_config::SdkConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::operation::send_command::SendCommandError;
use aws_sdk_ssm::types::{Command as ListedCommand, CommandFilter, CommandFilterKey};
use chrono::{DateTime, SecondsFormat, Utc};
use onair_core::complete_lifecycle::{
    Command, CommandRequest, CommandStatus, InstanceId, StepResult,
};

/// How long a command may wait until the agent fetches it. A healthy agent needs some seconds.
const DELIVERY_SECONDS: i32 = 600;

/// A client for Systems Manager.
#[derive(Debug, Clone)]
pub struct Ssm {
    client: Client,
}

/// The result of [`Ssm::send_command`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// SSM accepted the command and gave it this ID.
    Sent(String),
    /// The agent of this instance is not registered with SSM yet.
    AgentMissing,
}

impl Ssm {
    /// A client on the shared configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// Sends a command to one instance (`SendCommand`), without a retry.
    ///
    /// `SendCommand` has no idempotency token. If only the response was lost, a retry would send a
    /// second command.
    ///
    /// # Errors
    ///
    /// If the request fails for another reason than a missing agent. SSM may have accepted the
    /// command before.
    pub async fn send_command(
        &self,
        instance: &InstanceId,
        command: &CommandRequest,
    ) -> Result<SendOutcome, Error> {
        let CommandRequest {
            document,
            parameters,
            comment,
        } = command;
        let mut request = self
            .client
            .send_command()
            .document_name(document)
            .instance_ids(instance.as_str())
            .timeout_seconds(DELIVERY_SECONDS)
            .comment(comment);
        for (name, value) in parameters {
            request = request.parameters(*name, vec![value.clone()]);
        }
        let once = aws_sdk_ssm::config::Builder::new().retry_config(RetryConfig::disabled());
        match request.customize().config_override(once).send().await {
            Ok(answer) => {
                let id = answer.command.and_then(|command| command.command_id);
                Ok(SendOutcome::Sent(id.unwrap_or_default()))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(SendCommandError::is_invalid_instance_id) =>
            {
                Ok(SendOutcome::AgentMissing)
            }
            Err(error) => Err(Error::of("SendCommand", instance.as_str(), error)),
        }
    }

    /// Lists the commands of this document since this time (`ListCommands`), for all instances.
    ///
    /// The request has no filter for one instance: "a managed node ID can't be specified when a
    /// command status is Pending" (SSM API reference, `CommandFilter`). A pending command that the
    /// list lacks would be sent twice.
    ///
    /// # Errors
    ///
    /// If the request fails.
    pub async fn list_commands(
        &self,
        document: &str,
        since: DateTime<Utc>,
    ) -> Result<Vec<Command>, Error> {
        let filter = |key: CommandFilterKey, value: String| {
            let filter = CommandFilter::builder().key(key).value(value).build();
            filter.map_err(|error| Error::new("ListCommands", document, error))
        };
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let request = self
            .client
            .list_commands()
            .filters(filter(CommandFilterKey::DocumentName, document.to_owned())?)
            .filters(filter(CommandFilterKey::InvokedAfter, since)?);
        let commands = request
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await;
        let commands = commands.map_err(|error| Error::of("ListCommands", document, error))?;
        Ok(commands.into_iter().filter_map(command).collect())
    }

    /// Reads the result of a command on an instance (`GetCommandInvocation`). If the document has
    /// several steps, `step` names the one to read. `None` if SSM does not have the result yet.
    ///
    /// # Errors
    ///
    /// If the request fails.
    pub async fn step_result(
        &self,
        command: &Command,
        instance: &InstanceId,
        step: Option<&str>,
    ) -> Result<Option<StepResult>, Error> {
        let request = self
            .client
            .get_command_invocation()
            .command_id(&command.id)
            .instance_id(instance.as_str());
        let error = match request
            .set_plugin_name(step.map(str::to_owned))
            .send()
            .await
        {
            Ok(found) => {
                let status = found
                    .status
                    .map(|status| status.as_str().to_owned())
                    .unwrap_or_default();
                return Ok(Some(StepResult {
                    status: CommandStatus::parse(&status, found.status_details.as_deref()),
                    stdout: found.standard_output_content.unwrap_or_default(),
                }));
            }
            Err(error) => error,
        };
        // Before a step has begun, SSM reports its name as invalid (as users of the API found:
        // grapl-security/grapl, pull request 902). After the command has succeeded, the name is
        // indeed wrong.
        let is_too_early = error.as_service_error().is_some_and(|error| {
            error.is_invocation_does_not_exist()
                || error.is_invalid_plugin_name() && command.status != CommandStatus::Success
        });
        if is_too_early {
            return Ok(None);
        }
        Err(Error::of("GetCommandInvocation", &command.id, error))
    }
}

fn command(command: ListedCommand) -> Option<Command> {
    let requested = command.requested_date_time?;
    let status = command
        .status
        .map(|status| status.as_str().to_owned())
        .unwrap_or_default();
    Some(Command {
        id: command.command_id?,
        comment: command.comment?,
        requested: DateTime::from_timestamp(requested.secs(), requested.subsec_nanos())?,
        status: CommandStatus::parse(&status, command.status_details.as_deref()),
    })
}
