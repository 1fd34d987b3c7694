use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Time that is kept free to report the result before Lambda kills the process.
const REPORT_MARGIN: Duration = Duration::from_secs(2);

/// The instant at which Lambda kills the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline of an invocation that has this much time left.
    pub fn after(time_left: Duration) -> Self {
        Self(Instant::now() + time_left)
    }

    /// Runs `work` until two seconds before the deadline. Returns `None` if `work` has not
    /// finished by then.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.last_start(REPORT_MARGIN), work).await.ok()
    }

    /// The last instant at which work may start that needs at most `margin`, report included.
    pub fn last_start(self, margin: Duration) -> Instant {
        self.0.checked_sub(margin).unwrap_or(self.0)
    }
}
