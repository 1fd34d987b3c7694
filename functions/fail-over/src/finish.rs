//! What follows from the state, in its order: players are told, what is cut is cut, the playlist is
//! rendered.

use crate::{Handler, Progress};
use onair_core::fail_over::{EndpointAction, endpoint_action};
use onair_core::pair::endpoint::{Definition, Origination};
use onair_core::pair::state::Status;
use onair_core::pair::{Side, Sides};
use onair_core::publish_playlist::{Refusal, SideFetch, plan};
use onair_lambda::Error;
use onair_pair::{Documents, Halt};

/// What was to be done, and was or would be.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// In words, in the order of doing.
    pub(crate) steps: Vec<String>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

impl Handler {
    pub(crate) async fn finish(
        &self,
        documents: &Documents,
        described: &Sides<Option<Definition>>,
        mut asked: Sides<SideFetch>,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<Finished, Halt> {
        let (context, state) = (&self.context, &documents.state);
        let mut done = Finished::default();
        // What is published must not lose a side because this run did not ask for it.
        let known = documents.known();
        for side in Side::BOTH {
            let is_unknown = state.sides[side].is_live() && known[side].is_none();
            if is_unknown
                && asked[side] == SideFetch::Skipped
                && documents.published.index.is_some()
            {
                asked[side] = context
                    .ask(side, context.describe(side).await?.as_ref())
                    .await;
            }
        }
        let plan = match plan(
            &context.settings.pair,
            state,
            &documents.published,
            &asked,
            false,
        ) {
            Ok(plan) => Some(plan),
            Err(Refusal::Superseded) => return Err(Halt::Conflict),
            // Nobody opened anything through us, so nobody can be told; what is lost is cut all the
            // same.
            Err(Refusal::Held(why)) => {
                done.notes.push(why);
                None
            }
        };
        let mut told = Ok(());
        if let Some(plan) = plan.as_ref().filter(|plan| plan.steering.is_some()) {
            done.steps.push("steer".to_owned());
            done.notes
                .extend(plan.missing.iter().chain(&plan.unpaired).cloned());
            if !dry_run {
                told = context
                    .write_steering(documents, plan, state.generation)
                    .await
                    .map(drop);
                progress.finished = true;
            }
        }
        if let Err(Halt::Conflict) = told {
            return Err(Halt::Conflict);
        }
        // A side that is lost is cut also if players cannot be told.
        let mut cut = Ok(());
        for side in Side::BOTH {
            if let Status::Cut(record) = &state.sides[side].status {
                let endpoint_action = endpoint_action(record, described[side].as_ref());
                cut = cut.and(
                    self.apply(side, endpoint_action, dry_run, progress, &mut done)
                        .await,
                );
            }
        }
        if let Some(plan) = plan.as_ref().filter(|plan| plan.index.is_some()) {
            done.steps.push("publish".to_owned());
            if !dry_run {
                context
                    .write_index(documents, plan, state.generation)
                    .await?;
                progress.finished = true;
            }
        }
        // Viewers who come now are sent the right way, also if MediaPackage did not do as it was
        // told.
        cut?;
        told?;
        Ok(done)
    }

    async fn apply(
        &self,
        side: Side,
        endpoint_action: EndpointAction,
        dry_run: bool,
        progress: &mut Progress,
        done: &mut Finished,
    ) -> Result<(), Error> {
        let (mediapackage, id) = (
            &self.context.mediapackage,
            &self.context.settings.pair.sides[side].endpoint,
        );
        match endpoint_action {
            EndpointAction::None => return Ok(()),
            EndpointAction::NotOurs => {
                done.notes.push(format!(
                    "endpoint {id} was made again since {side} was cut, and is left alone"
                ));
                return Ok(());
            }
            EndpointAction::Waits => {
                done.notes.push(format!(
                    "endpoint {id} is not touched before all who are watching have heard of the side that came back: \
                     the schedule does it"
                ));
                return Ok(());
            }
            EndpointAction::Delete => {
                done.steps.push(format!("delete endpoint {id}"));
                if dry_run {
                    return Ok(());
                }
                mediapackage.delete(id).await?;
            }
            EndpointAction::Deny(was) => {
                done.steps.push(format!("deny endpoint {id}"));
                if dry_run {
                    return Ok(());
                }
                let is = mediapackage
                    .update(id, &was.to_update(Origination::Deny))
                    .await?;
                if is.origination() != Origination::Deny {
                    return Err(Error::Aws(format!(
                        "UpdateOriginEndpoint {id}: it was to be denied, and still serves"
                    )));
                }
                let differences = was.differences(&is);
                if !differences.is_empty() {
                    let changed = differences.join(", ");
                    done.notes.push(format!(
                        "endpoint {id} is denied, but its {changed} changed with that"
                    ));
                }
            }
        }
        progress.finished = true;
        Ok(())
    }
}
