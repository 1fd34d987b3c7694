//! Reasons for the outcome `held`. Every vertical has its own type of reasons.

/// The reason for which a safety rule stopped a run.
///
/// `Display` is the sentence for people, which may name objects and times. The code is for alarms
/// and log queries, and stays the same when the sentence changes.
pub trait HeldReason: std::error::Error {
    /// The stable name of the reason, in snake case.
    fn code(&self) -> &'static str;
}
