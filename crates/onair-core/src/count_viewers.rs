//! How many people watch: concurrent viewers per stream and minute, from access logs.
//!
//! A viewer is there from his first request for a playlist or a segment until he made none for the
//! window's length. The figure of a minute is how many are there at its end: those with a request
//! in the window that ends there. With a window of 60 s these are the viewers that the minute's
//! lines name, each once; a window of two minutes is the union of two. So a minute's set of viewers
//! is all that has to be kept, sets of the same minute from several hosts, files and runs are
//! merged, and merging the same one twice changes nothing.

pub mod audience;
pub mod event;
pub mod line;
pub mod log;
pub mod stored_minute;
pub mod stream;
mod time;
pub mod viewer_key;
pub mod viewer_set;

use line::LogFormat;
use std::num::NonZeroU32;
use stream::StreamRule;
use viewer_key::{ViewerKey, ViewerSecret};

/// How logs become figures.
#[derive(Debug, Clone)]
pub struct CountingRules {
    /// A viewer is counted until he made no request for this time, in seconds.
    pub window_s: NonZeroU32,
    /// What tells one viewer from another.
    pub viewer_key: ViewerKey,
    /// Under which secret viewers are hashed.
    pub secret: ViewerSecret,
    /// Which stream a path belongs to.
    pub streams: StreamRule,
    /// How the logs are written; `None` = as the first lines look.
    pub format: Option<LogFormat>,
    /// Up to so many viewers of a stream in a minute are counted exactly; of more, an estimate is
    /// kept.
    pub exact_up_to: usize,
    /// So many streams, and no more: each is a metric that is paid for, and names come from whoever
    /// sends requests.
    pub max_streams: usize,
}

impl CountingRules {
    /// What is kept of one minute must have been made by the same rules to be merged: a short name
    /// for them.
    pub fn fingerprint(&self) -> String {
        let said = format!("{:?} {:?} {}", self.viewer_key, self.streams, self.tail_s());
        format!("{:016x}", self.secret.hash(said.as_bytes()))
    }

    /// Of the minute before the window's whole ones, its last seconds count.
    pub fn tail_s(&self) -> u32 {
        self.window_s.get() % 60
    }

    /// How many minutes before its own a minute's figure looks at.
    pub fn minutes_before(&self) -> i64 {
        i64::from(self.window_s.get().div_ceil(60)) - 1
    }
}
