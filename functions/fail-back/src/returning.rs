//! The last steps of a side on its way back: its endpoint, its playlists, its viewers.

use crate::{Handler, Progress};
use onair_core::fail_back::{Repair, repair, returned};
use onair_core::pair::endpoint::{Definition, Origination};
use onair_core::pair::freshness::Freshness;
use onair_core::pair::state::{CutRecord, PairState};
use onair_core::pair::{Side, Sides};
use onair_core::publish_playlist::SideFetch;
use onair_lambda::{Error, Report};
use onair_pair::{Documents, Halt, freshness, now};

impl Handler {
    /// Restores the endpoint if that is still to be done, looks whether it serves and moves, and if
    /// it does, takes it back.
    pub(crate) async fn bring_back(
        &self,
        mut documents: Documents,
        side: Side,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<Option<Report>, Halt> {
        let context = &self.context;
        let Some(record) = documents.state.sides[side].cut().cloned() else {
            return Ok(None);
        };
        let described = context.describe(side).await?;
        let repaired = self
            .repair(side, &record, described, dry_run, progress)
            .await?;
        let Some(described) = repaired else {
            return Ok(Some(self.report(
                &documents.state,
                Some("planned"),
                None,
                progress,
            )));
        };
        let asked = context.ask(side, Some(&described)).await;
        self.must_move(&documents, side, &asked, dry_run).await?;
        progress.steps.push(format!("take {side} back"));
        let next = returned(
            &documents.state,
            side,
            Some(&described),
            context.settings.pair.prefer,
            now(),
        );
        if !dry_run {
            progress.tried = Some((side, next.clone()));
            context.write_state(&documents, &next).await?;
            progress.returned = Some(side);
        }
        documents.state = next;
        self.publish_with(&documents, of_side(side, asked), dry_run, progress, None)
            .await
    }

    /// Whether the endpoint of a side can be restored: nothing is begun that cannot be.
    pub(crate) fn must_be_reparable(
        &self,
        state: &PairState,
        side: Side,
        described: Option<&Definition>,
    ) -> Result<(), Halt> {
        let id = &self.context.settings.pair.sides[side].endpoint;
        let repair = state.sides[side]
            .cut()
            .map(|record| repair(record, id, described));
        repair
            .transpose()
            .map(drop)
            .map_err(|why| cannot(side, &why))
    }

    /// `None` for a dry run in which there is something to repair.
    async fn repair(
        &self,
        side: Side,
        record: &CutRecord,
        described: Option<Definition>,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<Option<Definition>, Halt> {
        let (mediapackage, id) = (
            &self.context.mediapackage,
            &self.context.settings.pair.sides[side].endpoint,
        );
        let repair = repair(record, id, described.as_ref()).map_err(|why| cannot(side, &why))?;
        match &repair {
            Repair::None => {
                let gone = || cannot(side, &format!("there is no endpoint {id}"));
                return described.map(Some).ok_or_else(gone);
            }
            Repair::Create(_) => progress.steps.push(format!("create endpoint {id}")),
            Repair::Allow(_) => progress.steps.push(format!("allow endpoint {id}")),
        }
        if dry_run {
            return Ok(None);
        }
        match repair {
            Repair::None => Ok(None),
            Repair::Create(was) => Ok(Some(mediapackage.create(id, &was.to_create()).await?)),
            Repair::Allow(was) => {
                let is = mediapackage
                    .update(id, &was.to_update(Origination::Allow))
                    .await?;
                if is.origination() != Origination::Allow {
                    let why = format!(
                        "UpdateOriginEndpoint {id}: it was to be allowed, and is still denied"
                    );
                    return Err(Error::Aws(why).into());
                }
                let differences = was.differences(&is);
                if !differences.is_empty() {
                    let changed = differences.join(", ");
                    progress.notes.push(format!(
                        "endpoint {id} serves, but its {changed} changed with that"
                    ));
                }
                Ok(Some(is))
            }
        }
    }

    /// A side must serve, and new segments must come, before anybody is sent there.
    async fn must_move(
        &self,
        documents: &Documents,
        side: Side,
        asked: &SideFetch,
        dry_run: bool,
    ) -> Result<(), Halt> {
        let not_yet = |why: String| {
            Halt::Held(format!(
                "{side} does not serve yet; the schedule looks again: {why}"
            ))
        };
        let url = match asked {
            SideFetch::Playlist(playlist) => playlist.media_playlist(),
            SideFetch::Unavailable(why) => return Err(not_yet(why.clone())),
            SideFetch::NoEndpoint | SideFetch::Skipped => {
                return Err(not_yet("it has no endpoint".to_owned()));
            }
        };
        let last_segment = documents.state.sides[side].last_segment;
        let look = match url {
            Some(url) => self.context.look(url).await,
            None => Err("its playlist names no media playlist".to_owned()),
        };
        let understood = freshness(look.as_ref().map_err(Clone::clone), last_segment);
        let why = match understood.freshness {
            Freshness::Advancing => return Ok(()),
            Freshness::Stale(why) | Freshness::Unknown(why) => why,
        };
        if understood.last_segment != last_segment && !dry_run {
            let mut next = documents.state.clone();
            next.sides[side].last_segment = understood.last_segment;
            self.context.write_state(documents, &next).await?;
        }
        Err(not_yet(why))
    }

    /// Both sides are live, and a person wants viewers on this one.
    pub(crate) async fn promote(
        &self,
        documents: &Documents,
        side: Side,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<Option<Report>, Halt> {
        let described = self.context.describe(side).await?;
        let asked = self.context.ask(side, described.as_ref()).await;
        self.must_move(documents, side, &asked, dry_run).await?;
        progress.steps.push(format!("lead viewers to {side}"));
        let mut next = documents.state.clone();
        (next.active, next.generation) = (side, next.generation + 1);
        next.sides[side].stall = None;
        if dry_run {
            return Ok(Some(self.report(&next, Some("planned"), None, progress)));
        }
        progress.tried = Some((side, next.clone()));
        self.context.write_state(documents, &next).await?;
        progress.returned = Some(side);
        Ok(None)
    }
}

fn cannot(side: Side, why: &str) -> Halt {
    Halt::Held(format!("{side} cannot come back: {why}"))
}

/// What was asked of this side; of the other, what was published counts.
fn of_side(side: Side, asked: SideFetch) -> Sides<SideFetch> {
    match side {
        Side::A => Sides {
            a: asked,
            b: SideFetch::Skipped,
        },
        Side::B => Sides {
            a: SideFetch::Skipped,
            b: asked,
        },
    }
}
