//! What the schedule does where nothing is lost.

use crate::{Handler, Progress};
use onair_core::pair::freshness::{Freshness, numbers_apart};
use onair_core::pair::health::mix_up;
use onair_core::pair::state::{PairState, Status};
use onair_core::pair::{CutBy, Side, Sides};
use onair_core::publish_playlist::Asked;
use onair_lambda::Report;
use onair_pair::{Documents, Halt, moves, now};
use std::ops::RangeInclusive;

/// Numbers that are so far apart make a player wait; further apart than a show is long, they do not.
const FREEZING: RangeInclusive<i64> = 1..=5_000;

/// What the schedule saw of the live sides.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The state, with what is to be remembered of it.
    pub(crate) state: PairState,
    /// Whether they move; `None` if that was not looked at.
    pub(crate) freshness: Sides<Option<Freshness>>,
    /// What will matter to players.
    pub(crate) note: Option<String>,
}

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

    /// Looks whether the live sides move, so that a stale one is known before it is needed.
    pub(crate) async fn watch(&self, documents: &Documents) -> Seen {
        let urls = documents.media_playlists();
        let look = async |side: Side| {
            let state = &documents.state.sides[side];
            let url = urls[side].as_ref().filter(|_| state.is_live())?;
            Some(self.room.look(url).await)
        };
        let (a, b) = futures::join!(look(Side::A), look(Side::B));
        let looks = Sides { a, b };
        let mut seen =
            Seen { state: documents.state.clone(), freshness: Sides { a: None, b: None }, note: None };
        for side in Side::BOTH {
            let Some(look) = &looks[side] else { continue };
            let before = &documents.state.sides[side];
            let understood = moves(look.as_ref().map_err(Clone::clone), before.sighting);
            let next = &mut seen.state.sides[side];
            next.sighting = understood.sighting;
            next.stale_since = match understood.freshness {
                Freshness::Moving => None,
                Freshness::Stale(_) => before.stale_since.or(Some(now())),
                Freshness::Unknown(_) => before.stale_since,
            };
            seen.freshness[side] = Some(understood.freshness);
        }
        if let Sides { a: Some(Ok(a)), b: Some(Ok(b)) } = &looks {
            seen.note = numbers_apart(a, b).filter(|apart| FREEZING.contains(&apart.abs())).map(|apart| {
                format!(
                    "B numbers its segments {apart} apart from A at the same time: hls.js freezes for so many \
                     segments after a switch to the side with the lower numbers"
                )
            });
        }
        seen
    }

    /// Remembers what was seen where nothing is lost, and says what will matter when something is.
    pub(crate) async fn report_watch(
        &self,
        documents: &Documents,
        seen: Seen,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<Report, Halt> {
        if seen.state != documents.state && !dry_run {
            self.room.write_state(documents, &seen.state).await?;
        }
        if Side::BOTH.into_iter().all(|side| seen.state.sides[side].is_live()) {
            self.must_not_be_mixed_up().await?;
        }
        Ok(self.report_schedule(&seen, dry_run, progress))
    }

    async fn must_not_be_mixed_up(&self) -> Result<(), Halt> {
        let pair = &self.room.settings.pair;
        let channel = async |side: Side| Ok(self.medialive.channel(pair.sides[side].channel_id()).await?);
        let describe = async |side: Side| Ok::<_, Halt>(self.room.describe(side).await?);
        let (channel_a, channel_b, endpoint_a, endpoint_b) =
            futures::try_join!(channel(Side::A), channel(Side::B), describe(Side::A), describe(Side::B))?;
        let channels = Sides { a: channel_a, b: channel_b };
        let endpoints = Sides { a: endpoint_a, b: endpoint_b };
        match mix_up(pair, &channels, &endpoints) {
            None => Ok(()),
            Some(why) => Err(Halt::Held(format!("{why}; a fail-over would cut the side that is well"))),
        }
    }
}
