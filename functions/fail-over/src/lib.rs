//! Moves the viewers of a pair to the other side when an input is lost.
//!
//! Runs when MediaLive sets an alert, when an alarm changes to ALARM, and by hand. A schedule also
//! starts a run each minute, because alerts may not arrive. `onair_core::fail_over::next` decides.

mod report;

use onair_core::fail_over::{ignored, next};
use onair_pair::PairJob;
use report::{metrics, report};

/// Moves the viewers of a pair to its other side.
pub const FAIL_OVER: PairJob = PairJob {
    ignored,
    next,
    report,
    metrics,
};
