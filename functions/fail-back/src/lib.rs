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
use onair_core::fail_back::{Step, alarm_is_over, shortened_period, step};
use onair_core::pair::Side;
use onair_core::pair::state::PairState;
use onair_core::pair::trigger::{PairEvent, Trigger, decode};
use onair_lambda::{Error, Failure, Invocation, Report};
use onair_pair::{Halt, PairContext, now};

/// Brings one pair back.
#[derive(Debug)]
pub struct Handler {
    context: PairContext,
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
    /// A handler in this context.
    pub fn new(context: PairContext, medialive: MediaLive) -> Self {
        Self { context, medialive }
    }

    /// Deals with one event.
    ///
    /// # Errors
    ///
    /// Where a retry or a person is needed.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let event = decode(&invocation.event, &self.context.settings.pair)
            .map_err(|error| Error::BadEvent(error.to_string()))?;
        match &event.trigger {
            Trigger::Ignored { why } => return Ok(Report::ignored(why)),
            Trigger::InputLost { .. } => {
                return Ok(Report::ignored(
                    "the beginning of an alert or alarm is fail-over's",
                ));
            }
            Trigger::InputRecovered { .. } | Trigger::ScheduledCheck | Trigger::Manual { .. } => {}
        }
        let mut progress = Progress::default();
        let attempt = async || self.attempt(&event, &mut progress).await;
        let ended = self.context.attempts(invocation.deadline, attempt).await;
        ended.map_err(|error| Failure::after(error, progress.metrics()))
    }

    /// One step further, or `None` if there may be another.
    async fn attempt(
        &self,
        event: &PairEvent,
        progress: &mut Progress,
    ) -> Result<Option<Report>, Halt> {
        let dry_run = event.dry_run || self.context.settings.dry_run;
        let mut documents = self.context.read().await?;
        if let Some((side, _)) = progress
            .tried
            .take()
            .filter(|(_, tried)| *tried == documents.state)
        {
            progress.returned = Some(side);
        }
        if let Trigger::InputRecovered {
            side,
            is_alarm: true,
        } = event.trigger
            && let Some(next) = alarm_is_over(&documents.state, side)
        {
            if !dry_run {
                self.context.write_state(&documents, &next).await?;
                return Ok(None);
            }
            documents.state = next;
        }
        let state = &documents.state;
        let away = Side::BOTH
            .into_iter()
            .find(|side| !state.sides[*side].is_live());
        let by_hand = match event.trigger {
            Trigger::Manual { side } => Some(side),
            _ => None,
        };
        let Some(side) = away else {
            return match by_hand.filter(|side| *side != state.active && progress.returned.is_none())
            {
                Some(side) => self.promote(&documents, side, dry_run, progress).await,
                None => self.publish(&documents, dry_run, progress, None).await,
            };
        };
        // A person who names the other side is told how this one is; the schedule sees to what an
        // event does not name.
        let responsible = by_hand == Some(side);
        let pair = &self.context.settings.pair;
        let health = if responsible {
            None
        } else {
            Some(self.health(side).await?)
        };
        let mut next = step(
            state,
            side,
            health.as_ref(),
            pair.stabilization_period,
            now(),
        );
        if let Step::Wait { .. } = next
            && let sooner @ Step::Restore(_) =
                step(state, side, health.as_ref(), shortened_period(pair), now())
            && self.is_lost(state, side.other(), progress).await
        {
            next = sooner;
        }
        match next {
            Step::Wait { why, remember } => {
                if let Some(next) = remember.filter(|_| !dry_run) {
                    self.context.write_state(&documents, &next).await?;
                }
                self.publish(&documents, dry_run, progress, Some(why)).await
            }
            Step::Restore(next) => {
                // What cannot be restored stays as it is.
                let described = self.context.describe(side).await?;
                self.must_be_reparable(state, side, described.as_ref())?;
                progress.steps.push(format!("restore {side}"));
                if dry_run {
                    return Ok(Some(self.report(state, Some("planned"), None, progress)));
                }
                self.context.write_state(&documents, &next).await?;
                Ok(None)
            }
            Step::Probe => self.bring_back(documents, side, dry_run, progress).await,
        }
    }
}
