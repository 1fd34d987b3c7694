//! Publishes the multivariant playlist that names both sides of a pair, and the steering manifest.
//!
//! Runs on a schedule and by hand. Publishing depends only on the state of the pair and on the
//! playlists of both sides, so a run can be repeated at any time.

use onair_core::metrics::Metric;
use onair_core::pair::held::HeldReason;
use onair_core::pair::observed::PairDocuments;
use onair_core::pair::trigger::{PairEvent, Trigger, decode};
use onair_core::pair::{Side, Sides};
use onair_core::publish_playlist::{Plan, plan};
use onair_lambda::{Failure, Invocation, Report, Stop};
use onair_pair::{PairContext, PairSummary, PairWriter, count};
use serde::Serialize;

/// Publishes one pair.
#[derive(Debug)]
pub struct Handler {
    context: PairContext,
}

#[derive(Serialize)]
struct PublishAnswer<'a> {
    outcome: &'a str,
    #[serde(flatten)]
    summary: PairSummary<'a>,
    playlist: String,
    variants: Sides<usize>,
    steered: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unpaired: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [String],
    /// The playlist that a dry run would write.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    /// The steering manifest that a dry run would write.
    #[serde(skip_serializing_if = "Option::is_none")]
    steering: Option<&'a str>,
}

impl Handler {
    pub fn new(context: PairContext) -> Self {
        Self { context }
    }

    /// Handles one event.
    ///
    /// # Errors
    ///
    /// A retry or a person is needed.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let event = decode(&invocation.event, &self.context.settings.pair)?;
        match &event.trigger {
            Trigger::ScheduledCheck => {}
            Trigger::Ignored { why } => return Ok(Report::ignored(why)),
            _ => {
                let why = "publish-playlist runs on its schedule, or by hand with {\"onair\": {}}";
                return Ok(Report::ignored(why));
            }
        }
        let attempt = async || self.attempt(&event).await;
        let ended = self.context.attempts(invocation.deadline, attempt).await?;
        Ok(ended.unwrap_or_else(|reason| self.context.held(&reason)))
    }

    async fn attempt(&self, event: &PairEvent) -> Result<Report, Stop<HeldReason>> {
        let context = &self.context;
        let pair = &context.settings.pair;
        let (read, a, b) = futures::join!(
            context.read(),
            context.fetch_side(Side::A),
            context.fetch_side(Side::B)
        );
        let (documents, stored) = read?;
        let PairDocuments { state, published } = &documents;
        if published.is_ahead_of(state) {
            return Err(Stop::Conflict);
        }
        let fetches = Sides { a: a?, b: b? };
        let plan = plan(pair, state, published, &fetches, event.by_hand).map_err(Stop::Held)?;
        if event.dry_run || context.settings.dry_run {
            return self.planned(&documents, &plan);
        }
        let mut writer = PairWriter::new(context, stored);
        let generation = state.generation;
        // The steering manifest is written first: it never sends a player to a pathway that the
        // player does not know.
        if let Some(text) = &plan.steering {
            writer.write_steering(text, generation).await?;
        }
        if let Some(text) = &plan.index {
            writer.write_index(text, generation).await?;
        }
        self.published(&documents, &plan)
    }

    fn planned(&self, documents: &PairDocuments, plan: &Plan) -> Result<Report, Stop<HeldReason>> {
        if !plan.is_empty() {
            let answer = PublishAnswer {
                index: plan.index.as_deref(),
                steering: plan.steering.as_deref(),
                ..self.answer("planned", documents, plan)
            };
            return Ok(Report::of(&answer, unpaired(plan)));
        }
        self.unchanged(documents, plan)
    }

    fn published(
        &self,
        documents: &PairDocuments,
        plan: &Plan,
    ) -> Result<Report, Stop<HeldReason>> {
        if !plan.is_empty() {
            let answer = self.answer("published", documents, plan);
            let published = vec![Metric::count("Published", 1)];
            return Ok(Report::of(&answer, unpaired(plan)).and(published));
        }
        self.unchanged(documents, plan)
    }

    /// Nothing to write. The run is held if a side is missing, which a person should repair.
    fn unchanged(
        &self,
        documents: &PairDocuments,
        plan: &Plan,
    ) -> Result<Report, Stop<HeldReason>> {
        if !plan.missing.is_empty() {
            let why = plan.missing.join("; ");
            return Err(Stop::Held(HeldReason::PlaylistIncomplete { why }));
        }
        let answer = self.answer("unchanged", documents, plan);
        Ok(Report::of(&answer, unpaired(plan)))
    }

    fn answer<'a>(
        &'a self,
        outcome: &'a str,
        documents: &'a PairDocuments,
        plan: &'a Plan,
    ) -> PublishAnswer<'a> {
        let settings = &self.context.settings;
        let name = &settings.pair.name;
        PublishAnswer {
            outcome,
            summary: PairSummary::of(name, &documents.state),
            playlist: format!("s3://{}/{name}/index.m3u8", settings.public_bucket),
            variants: plan.variants,
            steered: plan.steered,
            unpaired: &plan.unpaired,
            missing: &plan.missing,
            index: None,
            steering: None,
        }
    }
}

fn unpaired(plan: &Plan) -> Vec<Metric> {
    vec![count("Unpaired", plan.unpaired.len())]
}
