//! Brings back the side of a pair that was cut, once its input is well again and has stayed so.
//!
//! Runs when an alert is cleared or an alarm is over, by a schedule each minute, and by hand. A
//! side comes back in steps, of which each is written down before it is done: it is seen to be
//! well, it stays well for a while, its endpoint is restored, it is seen to serve and to move, and
//! only then viewers may be sent there. A run takes as many steps as it can; nothing waits inside
//! it.

mod health;
mod publish;
mod report;
mod returning;

use onair_aws::medialive::MediaLive;
use onair_core::fail_back::{Step, alarm_is_over, hurry, step};
use onair_core::pair::Side;
use onair_core::pair::hint::{Hint, Says, decode};
use onair_core::pair::state::PairState;
use onair_lambda::{Error, Failure, Invocation, Report};
use onair_pair::{ControlRoom, Halt, now};

/// Brings one pair back.
#[derive(Debug)]
pub struct Handler {
    room: ControlRoom,
    medialive: MediaLive,
}

/// What this run has done so far.
#[derive(Debug, Default)]
struct Progress {
    /// In words, in the order of doing.
    steps: Vec<String>,
    /// The side that is live again.
    returned: Option<Side>,
    /// The state that it tried to write for that: the answer to a write can be lost.
    tried: Option<(Side, PairState)>,
    /// What a person should know.
    notes: Vec<String>,
}

impl Handler {
    /// A handler in this control room.
    pub fn new(room: ControlRoom, medialive: MediaLive) -> Self {
        Self { room, medialive }
    }

    /// Deals with one event.
    ///
    /// # Errors
    ///
    /// Where a retry or a person is needed.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let hint = decode(&invocation.event, &self.room.settings.pair)
            .map_err(|error| Error::BadEvent(error.to_string()))?;
        match &hint.says {
            Says::Nothing { why } => return Ok(Report::ignored(why)),
            Says::Lost { .. } => {
                return Ok(Report::ignored(
                    "the beginning of an alert or alarm is fail-over's",
                ));
            }
            Says::Cleared { .. } | Says::Look | Says::ByHand { .. } => {}
        }
        let mut progress = Progress::default();
        let attempt = async || self.attempt(&hint, &mut progress).await;
        let ended = self.room.attempts(invocation.deadline, attempt).await;
        ended.map_err(|error| Failure::after(error, progress.metrics()))
    }

    /// One step further, or `None` if there may be another.
    async fn attempt(&self, hint: &Hint, progress: &mut Progress) -> Result<Option<Report>, Halt> {
        let dry_run = hint.dry_run || self.room.settings.dry_run;
        let mut documents = self.room.read().await?;
        if let Some((side, _)) = progress
            .tried
            .take()
            .filter(|(_, tried)| *tried == documents.state)
        {
            progress.returned = Some(side);
        }
        if let Says::Cleared {
            side,
            is_alarm: true,
        } = hint.says
            && let Some(next) = alarm_is_over(&documents.state, side)
        {
            if !dry_run {
                self.room.write_state(&documents, &next).await?;
                return Ok(None);
            }
            documents.state = next;
        }
        let state = &documents.state;
        let away = Side::BOTH
            .into_iter()
            .find(|side| !state.sides[*side].is_live());
        let by_hand = match hint.says {
            Says::ByHand { side } => Some(side),
            _ => None,
        };
        let Some(side) = away else {
            return match by_hand.filter(|side| *side != state.first && progress.returned.is_none())
            {
                Some(side) => self.lead(&documents, side, dry_run, progress).await,
                None => self.publish(&documents, dry_run, progress, None).await,
            };
        };
        // A person who names the other side is told how this one is; the schedule sees to what an
        // event does not name.
        let responsible = by_hand == Some(side);
        let pair = &self.room.settings.pair;
        let health = if responsible {
            None
        } else {
            Some(self.health(side).await?)
        };
        let mut next = step(state, side, health.as_ref(), pair.quiet, now());
        if let Step::Wait { .. } = next
            && let sooner @ Step::Restore(_) =
                step(state, side, health.as_ref(), hurry(pair), now())
            && self.is_lost(state, side.other(), progress).await
        {
            next = sooner;
        }
        match next {
            Step::Wait { why, remember } => {
                if let Some(next) = remember.filter(|_| !dry_run) {
                    self.room.write_state(&documents, &next).await?;
                }
                self.publish(&documents, dry_run, progress, Some(why)).await
            }
            Step::Restore(next) => {
                // What cannot be restored stays as it is.
                let described = self.room.describe(side).await?;
                self.must_be_reparable(state, side, described.as_ref())?;
                progress.steps.push(format!("restore {side}"));
                if dry_run {
                    return Ok(Some(self.report(state, Some("planned"), None, progress)));
                }
                self.room.write_state(&documents, &next).await?;
                Ok(None)
            }
            Step::Look => self.bring_back(documents, side, dry_run, progress).await,
        }
    }
}
