//! Returns the cut side of a pair to service, once its input has been healthy for the stabilization
//! period.
//!
//! Runs when an alert is cleared, when an alarm changes to OK, each minute by a schedule, and by
//! hand. `onair_core::fail_back::next` decides. A run never waits for a condition.

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
