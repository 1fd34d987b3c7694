//! What follows from the state, in its order: players are told, what is cut is cut, the playlist is
//! rendered.

use crate::{Handler, Progress};
use onair_core::fail_over::{Blow, blow};
use onair_core::pair::endpoint::{Definition, Origination};
use onair_core::pair::state::Status;
use onair_core::pair::{Side, Sides};
use onair_core::publish_playlist::{Asked, Refusal, plan};
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
        mut asked: Sides<Asked>,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<Finished, Halt> {
        let (room, state) = (&self.room, &documents.state);
        let mut done = Finished::default();
        // What is published must not lose a side because this run did not ask for it.
        let known = documents.known();
        for side in Side::BOTH {
            let is_unknown = state.sides[side].is_live() && known[side].is_none();
            if is_unknown && asked[side] == Asked::No && documents.published.index.is_some() {
                asked[side] = room.ask(side, room.describe(side).await?.as_ref()).await;
            }
        }
        let plan = match plan(
            &room.settings.pair,
            state,
            &documents.published,
            &asked,
            false,
        ) {
            Ok(plan) => Some(plan),
            Err(Refusal::Outrun) => return Err(Halt::Conflict),
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
                told = room
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
                let blow = blow(record, described[side].as_ref());
                cut = cut.and(self.strike(side, blow, dry_run, progress, &mut done).await);
            }
        }
        if let Some(plan) = plan.as_ref().filter(|plan| plan.index.is_some()) {
            done.steps.push("publish".to_owned());
            if !dry_run {
                room.write_index(documents, plan, state.generation).await?;
                progress.finished = true;
            }
        }
        // Viewers who come now are sent the right way, also if MediaPackage did not do as it was
        // told.
        cut?;
        told?;
        Ok(done)
    }

    async fn strike(
        &self,
        side: Side,
        blow: Blow,
        dry_run: bool,
        progress: &mut Progress,
        done: &mut Finished,
    ) -> Result<(), Error> {
        let (mediapackage, id) = (
            &self.room.mediapackage,
            &self.room.settings.pair.sides[side].endpoint,
        );
        match blow {
            Blow::None => return Ok(()),
            Blow::NotOurs => {
                done.notes.push(format!(
                    "endpoint {id} was made again since {side} was cut, and is left alone"
                ));
                return Ok(());
            }
            Blow::Waits => {
                done.notes.push(format!(
                    "endpoint {id} is not touched before all who are watching have heard of the side that came back: \
                     the schedule does it"
                ));
                return Ok(());
            }
            Blow::Delete => {
                done.steps.push(format!("delete endpoint {id}"));
                if dry_run {
                    return Ok(());
                }
                mediapackage.delete(id).await?;
            }
            Blow::Deny(was) => {
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
