//! Returns the side of a pair that was cut to service, once its input has recovered and stayed so.
//!
//! Runs when an alert is cleared or an alarm is over, by a schedule each minute, and by hand.
//! `onair_core::fail_back::next` decides. Nothing waits inside a run.

mod report;

use onair_aws::medialive::MediaLive;
use onair_core::fail_back::next;
use onair_core::pair::trigger::{Trigger, decode};
use onair_lambda::{Failure, Invocation, Report};
use onair_pair::{PairContext, PairJob};
use report::{metrics, report};

const FAIL_BACK: PairJob = PairJob {
    next,
    report,
    metrics,
};

/// Brings one pair back.
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
            Trigger::InputLost { .. } => Ok(Report::ignored(
                "fail-over handles the beginning of an alert or alarm",
            )),
            Trigger::InputRecovered { .. } | Trigger::ScheduledCheck | Trigger::Manual { .. } => {
                let deadline = invocation.deadline;
                FAIL_BACK
                    .run(&self.context, &self.medialive, event, deadline)
                    .await
            }
        }
    }
}
