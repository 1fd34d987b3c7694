//! Moves the viewers of a pair to the other side when an input is lost.
//!
//! Runs when MediaLive sets an alert or an alarm goes off, by a schedule each minute, since alerts
//! may never arrive, and by hand. `onair_core::fail_over::next` decides.

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
