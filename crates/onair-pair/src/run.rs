//! The loop of fail-over and fail-back: observe, decide, send requests or apply effects, repeat.

use crate::{PairContext, PairWriter, now};
use onair_aws::medialive::MediaLive;
use onair_core::metrics::Metric;
use onair_core::pair::Pair;
use onair_core::pair::held::HeldReason;
use onair_core::pair::next::{Effect, Ending, Next, StateChange};
use onair_core::pair::observed::Observed;
use onair_core::pair::trigger::{Trigger, decode};
use onair_lambda::{Error, Failure, Invocation, Report, Stop};

/// No run needs half of these steps. The limit keeps a mistake in a decision from sending requests
/// until the deadline.
const MAX_STEPS: usize = 50;

/// The parts in which fail-over and fail-back differ.
#[derive(Debug)]
pub struct PairJob {
    /// The reason for which an event needs no run.
    pub ignored: fn(&Trigger) -> Option<String>,
    /// The decision.
    pub next: fn(&Pair, &Observed) -> Next,
    /// The answer of a run that no safety rule stopped.
    pub report: fn(&Pair, &Observed, Ending) -> Report,
    /// The metrics of a run so far.
    pub metrics: fn(&Observed) -> Vec<Metric>,
}

/// Handles the events of one pair.
#[derive(Debug)]
pub struct PairHandler {
    job: PairJob,
    context: PairContext,
    medialive: MediaLive,
}

impl PairHandler {
    pub fn new(job: PairJob, context: PairContext, medialive: MediaLive) -> Self {
        Self {
            job,
            context,
            medialive,
        }
    }

    /// Handles one event.
    ///
    /// # Errors
    ///
    /// A retry or a person is needed.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let (context, job) = (&self.context, &self.job);
        let pair = &context.settings.pair;
        let event = decode(&invocation.event, pair)?;
        if let Some(why) = (job.ignored)(&event.trigger) {
            return Ok(Report::ignored(why));
        }
        let mut observed = Observed::new(event, context.settings.dry_run, context.last_known());
        let attempt = async || self.attempt(&mut observed).await;
        let ended = context.attempts(invocation.deadline, attempt).await;
        let metrics = (job.metrics)(&observed);
        match ended {
            Ok(Ok(ending)) => Ok((job.report)(pair, &observed, ending).and(metrics)),
            Ok(Err(reason)) => Ok(context.held(&reason).and(metrics)),
            Err(error) => Err(Failure::after(error, metrics)),
        }
    }

    async fn attempt(&self, observed: &mut Observed) -> Result<Ending, Stop<HeldReason>> {
        let (context, medialive) = (&self.context, &self.medialive);
        observed.begin(now());
        let mut writer = None;
        for _ in 0..MAX_STEPS {
            match (self.job.next)(&context.settings.pair, observed) {
                Next::Read(questions) => {
                    let asked = context.ask(medialive, questions, observed);
                    let (read, answers) = futures::join!(context.read(), asked);
                    let (documents, stored) = read?;
                    writer = (!observed.is_dry_run()).then(|| PairWriter::new(context, stored));
                    observed.read(documents);
                    answers
                        .into_iter()
                        .for_each(|answer| observed.record(answer));
                }
                Next::Ask(questions) => {
                    let answers = context.ask(medialive, questions, observed).await;
                    answers
                        .into_iter()
                        .for_each(|answer| observed.record(answer));
                }
                Next::WriteState(change) => write_state(&mut writer, observed, *change).await?,
                Next::Apply { effect, notes } => {
                    observed.note(notes);
                    apply(context, &mut writer, observed, effect).await?;
                }
                Next::ReadAgain => return Err(Stop::Conflict),
                Next::Report(ending) => return Ok(ending),
                Next::Held(reason) => return Err(Stop::Held(reason)),
                Next::Failed(why) => return Err(Error::Aws(why).into()),
            }
        }
        let why = format!("the decision did not end after {MAX_STEPS} steps");
        Err(Error::Incomplete(why).into())
    }
}

async fn write_state(
    writer: &mut Option<PairWriter<'_>>,
    observed: &mut Observed,
    change: StateChange,
) -> Result<(), Stop<HeldReason>> {
    if let Some(writer) = writer {
        observed.writing(&change);
        writer.write_state(&change.state).await?;
    }
    observed.written(change);
    Ok(())
}

async fn apply(
    context: &PairContext,
    writer: &mut Option<PairWriter<'_>>,
    observed: &mut Observed,
    effect: Effect,
) -> Result<(), Stop<HeldReason>> {
    let pair = &context.settings.pair;
    let Some(writer) = writer else {
        observed.applied(pair, effect, None);
        return Ok(());
    };
    let generation = observed.state().map_or(0, |state| state.generation);
    match writer.apply(&effect, generation).await {
        Ok(definition) => observed.applied(pair, effect, definition),
        Err(Stop::Failed(error)) => observed.failed(effect, error.to_string()),
        Err(stop) => return Err(stop),
    }
    Ok(())
}
