//! Moves the viewers of a pair to the other side when an input is lost.
//!
//! Runs when MediaLive sets an alert or an alarm goes off, by a schedule each minute, since alerts
//! may never come, and by hand. All of them only say where to look. First the state is written,
//! then players are told, then the side is cut, then the playlist is rendered; whatever of that a
//! run does not get to do, the next one does.

mod finish;
mod gather;
mod report;
mod watch;

use finish::Finished;
use onair_aws::medialive::MediaLive;
use onair_core::fail_over::{Diagnosis, diagnose, is_cut, note};
use onair_core::pair::state::PairState;
use onair_core::pair::trigger::{PairEvent, Trigger, decode};
use onair_core::pair::{Side, Sides};
use onair_core::publish_playlist::SideFetch;
use onair_lambda::{Error, Failure, Invocation, Report};
use onair_pair::{Halt, PairContext, now};
use watch::Patrol;

/// Fails one pair over.
#[derive(Debug)]
pub struct Handler {
    context: PairContext,
    medialive: MediaLive,
}

/// What this run has changed so far, also in attempts that a conflict ended.
#[derive(Debug, Default)]
struct Progress {
    /// The side that it cut.
    cut: Option<Side>,
    /// The state that it tried to write for that: the answer to a write can be lost.
    tried: Option<(Side, PairState)>,
    /// It did what an earlier run had left.
    finished: bool,
    /// What was done, or would be, in words.
    done: Finished,
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
        if let Trigger::Ignored { why } = event.trigger {
            return Ok(Report::ignored(why));
        }
        if let Trigger::InputRecovered { .. } = event.trigger {
            return Ok(Report::ignored(
                "the end of an alert or alarm is fail-back's",
            ));
        }
        let mut progress = Progress::default();
        let attempt = async || self.attempt(&event, &mut progress).await.map(Some);
        let ended = self.context.attempts(invocation.deadline, attempt).await;
        ended.map_err(|error| Failure::after(error, progress.metrics()))
    }

    async fn attempt(&self, event: &PairEvent, progress: &mut Progress) -> Result<Report, Halt> {
        let dry_run = event.dry_run || self.context.settings.dry_run;
        let hinted = match &event.trigger {
            Trigger::InputLost { side, .. } | Trigger::Manual { side } => Some(*side),
            Trigger::ScheduledCheck | Trigger::InputRecovered { .. } | Trigger::Ignored { .. } => {
                None
            }
        };
        let (mut documents, described, ahead) = futures::try_join!(
            self.context.read(),
            async { Ok(self.describe(hinted).await?) },
            async {
                match hinted {
                    Some(side) => Ok(self.context.look_ahead(side.other()).await),
                    None => Ok(None),
                }
            }
        )?;
        if let Some((side, _)) = progress
            .tried
            .take()
            .filter(|(_, tried)| *tried == documents.state)
        {
            progress.cut = Some(side);
        }
        let mut described = Sides::of(|side| described.clone().filter(|_| hinted == Some(side)));
        if let Trigger::ScheduledCheck = event.trigger {
            // Whatever MediaLive says, or does not say: what was begun is finished first.
            self.finish_earlier(&documents, dry_run, progress).await?;
        }
        let (diagnosis, seen) = match &event.trigger {
            Trigger::ScheduledCheck => match self.patrol(&documents, dry_run, progress).await? {
                Patrol::Quiet(report) => return Ok(report),
                Patrol::Lost(diagnosis, seen) => (diagnosis, seen),
            },
            trigger => match diagnose(trigger, &documents.state, now()) {
                Diagnosis::AskMediaLive => (self.ask_medialive(&documents.state).await?, None),
                known => (known, None),
            },
        };
        // What was seen is written together with what follows from it.
        let freshness = seen.map(|seen| {
            documents.state = seen.state;
            seen.freshness
        });
        let noted = note(&documents.state, &diagnosis, now());
        let mut asked = Sides {
            a: SideFetch::Skipped,
            b: SideFetch::Skipped,
        };
        let mut next = None;
        if let Diagnosis::InputLost { side, why, until } = &diagnosis {
            if let Some(noted) = &noted {
                documents.state = noted.clone();
            }
            if !is_cut(&documents.state, *side) {
                if hinted != Some(*side) {
                    described[*side] = self.describe(Some(*side)).await?;
                }
                let seen = freshness.and_then(|freshness| freshness[side.other()].clone());
                let endpoint = described[*side].as_ref();
                let cut = self.cut(
                    &documents,
                    (*side, why, *until),
                    endpoint,
                    seen,
                    ahead,
                    &mut asked,
                );
                match cut.await {
                    Ok(cut) => {
                        if !dry_run {
                            progress.tried = Some((*side, cut.clone()));
                            self.context.write_state(&documents, &cut).await?;
                            progress.cut = Some(*side);
                        }
                        next = Some(*side);
                        documents.state = cut;
                    }
                    Err(halt) => {
                        if let (Halt::Held(_), Some(noted), false) = (&halt, &noted, dry_run) {
                            self.context.write_state(&documents, noted).await?;
                        }
                        return Err(halt);
                    }
                }
            } else if noted.is_some() && !dry_run {
                self.context
                    .write_state(&documents, &documents.state)
                    .await?;
                return Err(Halt::Conflict);
            }
        }
        let finished = self
            .finish(&documents, &described, asked, dry_run, progress)
            .await?;
        Ok(self.report(
            &documents.state,
            next,
            &diagnosis,
            &finished,
            dry_run,
            progress,
        ))
    }
}
