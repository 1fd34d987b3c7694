//! What viewers see of a state.

use crate::{Handler, Progress};
use onair_core::pair::{Side, Sides};
use onair_core::publish_playlist::{Plan, Refusal, SideFetch, plan};
use onair_lambda::Report;
use onair_pair::{Documents, Halt};

impl Handler {
    /// Publishes what follows from the state, where an earlier run did not get to it.
    pub(crate) async fn publish(
        &self,
        documents: &Documents,
        dry_run: bool,
        progress: &mut Progress,
        why: Option<String>,
    ) -> Result<Option<Report>, Halt> {
        let is_behind = |generation: Option<u64>| {
            generation.is_some_and(|published| published < documents.state.generation)
        };
        // A steering manifest from before it was switched off is nobody's business any more.
        let steering = documents
            .published
            .steering
            .as_ref()
            .filter(|_| self.context.settings.pair.steering_ttl.is_some());
        let published = [documents.published.index.as_ref(), steering];
        if !published
            .into_iter()
            .any(|document| is_behind(document.map(|document| document.generation)))
        {
            return Ok(Some(self.report(
                &documents.state,
                None,
                why.as_deref(),
                progress,
            )));
        }
        let described = futures::try_join!(
            self.context.describe(Side::A),
            self.context.describe(Side::B)
        )?;
        let asked = futures::join!(
            self.context.ask(Side::A, described.0.as_ref()),
            self.context.ask(Side::B, described.1.as_ref())
        );
        self.publish_with(
            documents,
            Sides {
                a: asked.0,
                b: asked.1,
            },
            dry_run,
            progress,
            why,
        )
        .await
    }

    pub(crate) async fn publish_with(
        &self,
        documents: &Documents,
        mut asked: Sides<SideFetch>,
        dry_run: bool,
        progress: &mut Progress,
        why: Option<String>,
    ) -> Result<Option<Report>, Halt> {
        // Where what was published of a side is lost, the side itself must tell: viewers are on it.
        let known = documents.known();
        for side in Side::BOTH {
            if asked[side] == SideFetch::Skipped
                && known[side].is_none()
                && documents.state.sides[side].is_live()
            {
                asked[side] = self
                    .context
                    .ask(side, self.context.describe(side).await?.as_ref())
                    .await;
            }
        }
        let plan = match plan(
            &self.context.settings.pair,
            &documents.state,
            &documents.published,
            &asked,
            false,
        ) {
            Ok(plan) => plan,
            Err(Refusal::Superseded) => return Err(Halt::Conflict),
            Err(Refusal::Held(why)) => return Err(Halt::Held(why)),
        };
        let changes = plan.index.is_some() || plan.steering.is_some();
        if changes {
            progress.steps.push("publish".to_owned());
            progress
                .notes
                .extend(plan.missing.iter().chain(&plan.unpaired).cloned());
        }
        if dry_run {
            let outcome = (changes || !progress.steps.is_empty()).then_some("planned");
            return Ok(Some(self.report(
                &documents.state,
                outcome,
                why.as_deref(),
                progress,
            )));
        }
        self.write(documents, &plan).await?;
        Ok(Some(self.report(
            &documents.state,
            None,
            why.as_deref(),
            progress,
        )))
    }

    /// The playlist first: who opens it has the side before the steering manifest sends anybody
    /// there.
    async fn write(&self, documents: &Documents, plan: &Plan) -> Result<(), Halt> {
        let generation = documents.state.generation;
        self.context
            .write_index(documents, plan, generation)
            .await?;
        self.context
            .write_steering(documents, plan, generation)
            .await?;
        Ok(())
    }
}
