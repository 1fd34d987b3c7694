//! Returns the side of a pair that was cut to service, once its input has recovered and stayed so.
//!
//! Runs when an alert is cleared or an alarm is over, by a schedule each minute, and by hand.
//! `onair_core::fail_back::next` decides. Nothing waits inside a run.

mod report;

use onair_core::fail_back::{ignored, next};
use onair_pair::PairJob;
use report::{metrics, report};

/// Returns a side of a pair to service.
pub const FAIL_BACK: PairJob = PairJob {
    ignored,
    next,
    report,
    metrics,
};
