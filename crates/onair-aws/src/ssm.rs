//! AWS Systems Manager, Run Command: commands to instances, and what came of them.

use crate::error::Error;
use aws_config::SdkConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::operation::send_command::SendCommandError;
use aws_sdk_ssm::types::{Command, CommandFilter, CommandFilterKey};
use chrono::{DateTime, SecondsFormat, Utc};
use onair_core::complete_lifecycle::{InstanceId, Order, Sent, State, Step};

/// How long a command may wait for the agent to fetch it. An agent that is well does within
/// seconds.
const DELIVERY_SECONDS: i32 = 600;

/// A client for Systems Manager.
#[derive(Debug, Clone)]
pub struct Ssm {
    client: Client,
}

/// What came of sending a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// SSM took it, and gave it this id.
    Taken(String),
    /// No agent of this instance is known, or not yet.
    AgentMissing,
}

impl Ssm {
    /// A client on the shared configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// Sends a command to one instance.
    ///
    /// It is tried once: SSM has no token by which it would know a request again, and an answer
    /// that was lost would make two commands of one.
    ///
    /// # Errors
    ///
    /// When SSM does not answer, or refuses for another reason than a missing agent. It may have
    /// taken the command all the same.
    pub async fn send(&self, instance: &InstanceId, order: &Order) -> Result<Sending, Error> {
        let Order {
            document,
            parameters,
            comment,
        } = order;
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
                Ok(Sending::Taken(id.unwrap_or_default()))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(SendCommandError::is_invalid_instance_id) =>
            {
                Ok(Sending::AgentMissing)
            }
            Err(error) => Err(Error::of("SendCommand", instance.as_str(), error)),
        }
    }

    /// The commands with this document that were asked for since then.
    ///
    /// They are not asked for by instance: "a managed node ID can't be specified when a command
    /// status is Pending" (SSM API reference, `CommandFilter`), and one that is pending must not be
    /// sent again.
    ///
    /// # Errors
    ///
    /// When SSM does not answer, or refuses.
    pub async fn commands(&self, document: &str, since: DateTime<Utc>) -> Result<Vec<Sent>, Error> {
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
        Ok(commands.into_iter().filter_map(sent).collect())
    }

    /// What came of a command on an instance, by the step of this name where the document has
    /// several; `None` while SSM knows of nothing yet.
    ///
    /// # Errors
    ///
    /// When SSM does not answer, or refuses.
    pub async fn result(
        &self,
        command: &Sent,
        instance: &InstanceId,
        step: Option<&str>,
    ) -> Result<Option<Step>, Error> {
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
                return Ok(Some(Step {
                    state: State::of(&status, found.status_details.as_deref()),
                    stdout: found.standard_output_content.unwrap_or_default(),
                }));
            }
            Err(error) => error,
        };
        // A step that has not begun, or never will, has no name yet (as users of the API report:
        // grapl-security/grapl, pull request 902). When all is done, one that is not there is
        // wrong.
        let is_too_early = error.as_service_error().is_some_and(|error| {
            error.is_invocation_does_not_exist()
                || error.is_invalid_plugin_name() && command.state != State::Success
        });
        match is_too_early {
            true => Ok(None),
            false => Err(Error::of("GetCommandInvocation", &command.id, error)),
        }
    }
}

fn sent(command: Command) -> Option<Sent> {
    let requested = command.requested_date_time?;
    let status = command
        .status
        .map(|status| status.as_str().to_owned())
        .unwrap_or_default();
    Some(Sent {
        id: command.command_id?,
        comment: command.comment?,
        requested: DateTime::from_timestamp(requested.secs(), requested.subsec_nanos())?,
        state: State::of(&status, command.status_details.as_deref()),
    })
}
