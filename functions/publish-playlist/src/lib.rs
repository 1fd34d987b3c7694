//! Publishes the playlist that names both sides of a pair, and the steering manifest beside it.
//!
//! Runs by a schedule and by hand. What is published follows from the state of the pair and from
//! the two live playlists, so it can be done at any time, any number of times.

use onair_core::metrics::Metric;
use onair_core::pair::Sides;
use onair_core::pair::trigger::{Trigger, decode};
use onair_core::publish_playlist::{Plan, Refusal, plan};
use onair_lambda::{Error, Failure, Invocation, Report};
use onair_pair::{Documents, Halt, PairContext, Summary};
use serde::Serialize;

/// Publishes one pair.
#[derive(Debug)]
pub struct Handler {
    context: PairContext,
}

#[derive(Serialize)]
struct Figures<'a> {
    outcome: &'a str,
    #[serde(flatten)]
    summary: Summary<'a>,
    playlist: String,
    variants: Sides<usize>,
    steered: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unpaired: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [String],
    /// What would be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steering: Option<&'a str>,
}

impl Handler {
    /// A handler in this context.
    pub fn new(context: PairContext) -> Self {
        Self { context }
    }

    /// Deals with one event.
    ///
    /// # Errors
    ///
    /// Where a retry or a person is needed.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let event = decode(&invocation.event, &self.context.settings.pair)
            .map_err(|error| Error::BadEvent(error.to_string()))?;
        if !matches!(event.trigger, Trigger::ScheduledCheck) {
            let why = match event.trigger {
                Trigger::Ignored { why } => why,
                _ => "publishing is for the schedule, or for {\"onair\": {}} by hand".to_owned(),
            };
            return Ok(Report::ignored(why));
        }
        let dry_run = event.dry_run || self.context.settings.dry_run;
        let attempt = async || self.attempt(dry_run, event.by_hand).await.map(Some);
        Ok(self.context.attempts(invocation.deadline, attempt).await?)
    }

    async fn attempt(&self, dry_run: bool, by_hand: bool) -> Result<Report, Halt> {
        let context = &self.context;
        let described = Sides::of(|side| context.describe(side));
        let (documents, a, b) = futures::join!(context.read(), described.a, described.b);
        let (documents, described) = (documents?, Sides { a: a?, b: b? });
        let asked = Sides::of(|side| (side, described[side].as_ref()));
        let asked = futures::join!(
            context.ask(asked.a.0, asked.a.1),
            context.ask(asked.b.0, asked.b.1)
        );
        let asked = Sides {
            a: asked.0,
            b: asked.1,
        };
        let plan = plan(
            &context.settings.pair,
            &documents.state,
            &documents.published,
            &asked,
            by_hand,
        )
        .map_err(|refusal| match refusal {
            Refusal::Held(why) => Halt::Held(why),
            Refusal::Superseded => Halt::Conflict,
        })?;
        let written = if dry_run {
            false
        } else {
            self.apply(&documents, &plan).await?
        };
        Ok(self.report(&documents, &plan, dry_run, written))
    }

    /// The steering manifest first: it sends nobody to a pathway that a player does not know.
    async fn apply(&self, documents: &Documents, plan: &Plan) -> Result<bool, Halt> {
        let generation = documents.state.generation;
        let steering = self
            .context
            .write_steering(documents, plan, generation)
            .await?;
        let index = self
            .context
            .write_index(documents, plan, generation)
            .await?;
        Ok(steering || index)
    }

    fn report(&self, documents: &Documents, plan: &Plan, dry_run: bool, written: bool) -> Report {
        let settings = &self.context.settings;
        let to_write = plan.index.is_some() || plan.steering.is_some();
        let outcome = match (dry_run && to_write, written) {
            (true, _) => "planned",
            (false, true) => "published",
            // Viewers keep what they have; a person should see to the side that is silent.
            (false, false) if !plan.missing.is_empty() => {
                return self.context.held(plan.missing.join("; "));
            }
            (false, false) => "unchanged",
        };
        let figures = Figures {
            outcome,
            summary: Summary::of(&settings.pair.name, &documents.state),
            playlist: format!(
                "s3://{}/{}/index.m3u8",
                settings.public_bucket, settings.pair.name
            ),
            variants: plan.variants,
            steered: plan.steered,
            unpaired: &plan.unpaired,
            missing: &plan.missing,
            index: plan.index.as_deref().filter(|_| dry_run),
            steering: plan.steering.as_deref().filter(|_| dry_run),
        };
        let unpaired = u64::try_from(plan.unpaired.len()).unwrap_or(u64::MAX);
        let mut metrics = vec![Metric::count("Unpaired", unpaired)];
        if outcome == "published" {
            metrics.push(Metric::count("Published", 1));
        }
        Report::of(&figures, metrics)
    }
}
