//! What the schedule does where nothing is lost.

use crate::{Handler, Progress};
use onair_core::pair::freshness::{Freshness, numbers_apart};
use onair_core::pair::state::Status;
use onair_core::pair::{CutBy, Side, Sides};
use onair_core::publish_playlist::Asked;
use onair_lambda::Report;
use onair_pair::{Documents, Halt, moves};
use std::ops::RangeInclusive;

/// Numbers that are so far apart make a player wait; further apart than a show is long, they do not.
const FREEZING: RangeInclusive<i64> = 1..=5_000;

impl Handler {
    /// Finishes what an earlier run began.
    pub(crate) async fn finish_earlier(
        &self,
        documents: &Documents,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<(), Halt> {
        let mut described = Sides { a: None, b: None };
        for side in Side::BOTH {
            if let Status::Cut(record) = &documents.state.sides[side].status
                && record.by != CutBy::None
            {
                described[side] = self.room.describe(side).await?;
            }
        }
        let asked = Sides { a: Asked::No, b: Asked::No };
        progress.done = self.finish(documents, &described, asked, dry_run, progress).await?;
        Ok(())
    }

    /// Looks whether both sides move, so that a stale one is known before it is needed.
    pub(crate) async fn watch(
        &self,
        mut documents: Documents,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<Report, Halt> {
        let mut finished = std::mem::take(&mut progress.done);
        let stale = self.look_at_both(&mut documents, dry_run, &mut finished.notes).await?;
        Ok(self.report_watch(&documents.state, &finished, &stale, dry_run, progress))
    }

    /// Which of the live sides do not move. A sighting is remembered where nothing else tells the time.
    async fn look_at_both(
        &self,
        documents: &mut Documents,
        read_only: bool,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>, Halt> {
        let urls = documents.media_playlists();
        let look = async |side: Side| {
            let state = &documents.state.sides[side];
            let url = urls[side].as_ref().filter(|_| state.is_live())?;
            Some(self.room.look(url).await)
        };
        let (a, b) = futures::join!(look(Side::A), look(Side::B));
        let looks = Sides { a, b };
        let (mut stale, mut next) = (Vec::new(), documents.state.clone());
        for side in Side::BOTH {
            let Some(look) = &looks[side] else { continue };
            let understood = moves(look.as_ref().map_err(Clone::clone), documents.state.sides[side].sighting);
            next.sides[side].sighting = understood.sighting;
            match understood.freshness {
                Freshness::Moving => {}
                Freshness::Stale(why) | Freshness::Unknown(why) => stale.push(format!("{side}: {why}")),
            }
        }
        if let Sides { a: Some(Ok(a)), b: Some(Ok(b)) } = &looks
            && let Some(apart) = numbers_apart(a, b).filter(|apart| FREEZING.contains(&apart.abs()))
        {
            notes.push(format!(
                "B numbers its segments {apart} apart from A at the same time: hls.js freezes for so many segments \
                 after a switch to the side with the lower numbers"
            ));
        }
        if next != documents.state && !read_only {
            self.room.write_state(documents, &next).await?;
            documents.state = next;
        }
        Ok(stale)
    }
}
