//! Moves the viewers of a pair to the other side when an input is lost.
//!
//! Runs when MediaLive sets an alert or an alarm goes off, by a schedule each minute, since alerts
//! may never arrive, and by hand. `onair_core::fail_over::next` decides.

mod report;

use onair_aws::medialive::MediaLive;
use onair_core::fail_over::next;
use onair_core::pair::trigger::{Trigger, decode};
use onair_lambda::{Failure, Invocation, Report};
use onair_pair::{PairContext, PairJob};
use report::{metrics, report};

const FAIL_OVER: PairJob = PairJob {
    next,
    report,
    metrics,
};

/// Fails one pair over.
#[derive(Debug)]
pub struct Handler {
    context: PairContext,
    medialive: MediaLive,
}

impl Handler {
    /// A handler for the pair of this context.
    pub fn new(context: PairContext, medialive: MediaLive) -> Self {
        Self { context, medialive }
    }

    /// Deals with one event.
    ///
    /// # Errors
    ///
    /// Where a retry or a person is needed.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let event = decode(&invocation.event, &self.context.settings.pair)?;
        match &event.trigger {
            Trigger::Ignored { why } => Ok(Report::ignored(why)),
            Trigger::InputRecovered { .. } => Ok(Report::ignored(
                "fail-back handles the end of an alert or alarm",
            )),
            Trigger::InputLost { .. } | Trigger::ScheduledCheck | Trigger::Manual { .. } => {
                let deadline = invocation.deadline;
                FAIL_OVER
                    .run(&self.context, &self.medialive, event, deadline)
                    .await
            }
        }
    }
}
