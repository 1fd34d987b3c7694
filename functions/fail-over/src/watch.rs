//! What the schedule does where nothing is lost.

use crate::{Handler, Progress};
use onair_core::fail_over::{Diagnosis, diagnose_probes, stall_record, wait_is_over};
use onair_core::pair::freshness::{Freshness, media_sequence_offset};
use onair_core::pair::health::misconfiguration;
use onair_core::pair::state::{PairState, Status};
use onair_core::pair::{CutBy, Side, Sides};
use onair_core::publish_playlist::SideFetch;
use onair_lambda::Report;
use onair_pair::{Documents, Halt, freshness, now};
use std::ops::RangeInclusive;

/// Numbers that are so far apart make a player wait; further apart than a show is long, they do
/// not.
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

/// What came of going round.
#[derive(Debug)]
pub(crate) enum Patrol {
    /// Nothing is lost.
    Quiet(Report),
    /// Something is; and what was seen, if that is what told.
    Lost(Diagnosis, Option<Box<Seen>>),
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
        let mut notes = Vec::new();
        for side in Side::BOTH {
            if let Status::Cut(record) = &documents.state.sides[side].status
                && record.by != CutBy::None
            {
                described[side] = self.context.describe(side).await?;
            }
            if let Some(next) =
                wait_is_over(&self.context.settings.pair, &documents.state, side, now())
            {
                let other = side.other();
                let freshness = self
                    .freshness(
                        documents,
                        other,
                        None,
                        &mut Sides {
                            a: SideFetch::Skipped,
                            b: SideFetch::Skipped,
                        },
                    )
                    .await?;
                if freshness != Freshness::Advancing {
                    notes.push(format!("{side} is not cut yet: {other} does not move"));
                } else if !dry_run {
                    self.context.write_state(documents, &next).await?;
                    return Err(Halt::Conflict);
                }
            }
        }
        let asked = Sides {
            a: SideFetch::Skipped,
            b: SideFetch::Skipped,
        };
        progress.done = self
            .finish(documents, &described, asked, dry_run, progress)
            .await?;
        progress.done.notes.extend(notes);
        Ok(())
    }

    /// Looks whether the live sides move, so that a stale one is known before it is needed.
    pub(crate) async fn watch(&self, documents: &Documents) -> Seen {
        let urls = documents.media_playlists();
        let look = async |side: Side| {
            let state = &documents.state.sides[side];
            let url = urls[side].as_ref().filter(|_| state.is_live())?;
            Some(self.context.look(url).await)
        };
        let (a, b) = futures::join!(look(Side::A), look(Side::B));
        let looks = Sides { a, b };
        let mut seen = Seen {
            state: documents.state.clone(),
            freshness: Sides { a: None, b: None },
            note: None,
        };
        for side in Side::BOTH {
            let Some(look) = &looks[side] else { continue };
            let before = &documents.state.sides[side];
            let understood = freshness(look.as_ref().map_err(Clone::clone), before.last_segment);
            seen.state.sides[side].last_segment = understood.last_segment;
            seen.freshness[side] = Some(understood.freshness);
        }
        for side in Side::BOTH {
            if let Some(so) = &seen.freshness[side] {
                let before = documents.state.sides[side].stall;
                let other = seen.freshness[side.other()].as_ref();
                seen.state.sides[side].stall = stall_record(before, so, other, now());
            }
        }
        if let Sides {
            a: Some(Ok(a)),
            b: Some(Ok(b)),
        } = &looks
        {
            seen.note = media_sequence_offset(a, b).filter(|apart| FREEZING.contains(&apart.abs())).map(|apart| {
                format!(
                    "B numbers its segments {apart} apart from A at the same time: hls.js freezes for so many \
                     segments after a switch to the side with the lower numbers"
                )
            });
        }
        seen
    }

    /// Whether anything is lost: by what MediaLive says, else by what the playlists show. If
    /// nothing is, remembers what was seen, and says what will matter when something is.
    pub(crate) async fn patrol(
        &self,
        documents: &Documents,
        dry_run: bool,
        progress: &mut Progress,
    ) -> Result<Patrol, Halt> {
        let unanswered = match self.ask_medialive(&documents.state).await {
            Ok(Diagnosis::Nothing { .. }) => None,
            Ok(lost) => return Ok(Patrol::Lost(lost, None)),
            // The playlists can tell, too.
            Err(Halt::Failed(error)) => Some(error),
            Err(halt) => return Err(halt),
        };
        let seen = self.watch(documents).await;
        let diagnosis = diagnose_probes(&seen.state, &seen.freshness, now());
        if let Diagnosis::InputLost { .. } = diagnosis {
            return Ok(Patrol::Lost(diagnosis, Some(Box::new(seen))));
        }
        if seen.state != documents.state && !dry_run {
            self.context.write_state(documents, &seen.state).await?;
        }
        if let Some(error) = unanswered {
            return Err(Halt::Failed(error));
        }
        let misconfiguration = match Side::BOTH
            .into_iter()
            .all(|side| seen.state.sides[side].is_live())
        {
            true => self.misconfiguration().await?,
            false => None,
        };
        Ok(Patrol::Quiet(self.report_patrol(
            &seen,
            misconfiguration,
            dry_run,
            progress,
        )))
    }

    async fn misconfiguration(&self) -> Result<Option<String>, Halt> {
        let pair = &self.context.settings.pair;
        let channel = async |side: Side| {
            Ok(self
                .medialive
                .channel(pair.sides[side].channel_id())
                .await?)
        };
        let describe = async |side: Side| Ok::<_, Halt>(self.context.describe(side).await?);
        let (channel_a, channel_b, endpoint_a, endpoint_b) = futures::try_join!(
            channel(Side::A),
            channel(Side::B),
            describe(Side::A),
            describe(Side::B)
        )?;
        let channels = Sides {
            a: channel_a,
            b: channel_b,
        };
        Ok(misconfiguration(
            pair,
            &channels,
            &Sides {
                a: endpoint_a,
                b: endpoint_b,
            },
        ))
    }
}
