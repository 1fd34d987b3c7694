use super::line::LogFormat;
use super::stream::StreamRule;
use super::viewer_key::{ViewerKey, ViewerSecret};
use std::num::NonZeroU32;

/// How the lines of logs become data points.
#[derive(Debug, Clone)]
pub struct CountingRules {
    /// A viewer is counted until they have made no request for this many seconds.
    pub window_s: NonZeroU32,
    /// The key that identifies a viewer.
    pub viewer_key: ViewerKey,
    /// The secret that viewers are hashed with.
    pub secret: ViewerSecret,
    /// How the name of the stream is found in a path.
    pub streams: StreamRule,
    /// The format of the logs. `None` detects it from the first line that can be parsed.
    pub format: Option<LogFormat>,
    /// The largest set of viewers that is exact. A larger set becomes an estimate.
    pub exact_up_to: usize,
    /// The most streams that are counted. Each stream is a metric, which costs money, and clients
    /// choose the names in their requests.
    pub max_streams: usize,
}

impl CountingRules {
    /// A short name for these rules. Stored minutes are merged only if the same rules made them.
    pub fn fingerprint(&self) -> String {
        // Do not rename the variants: their names are hashed here. After a rename, the stored
        // minutes of an earlier version would not be used any more.
        let text = format!("{:?} {:?} {}", self.viewer_key, self.streams, self.tail_s());
        format!("{:016x}", self.secret.hash(text.as_bytes()))
    }

    /// By how many seconds the window exceeds whole minutes. Of one more minute, only its last
    /// seconds are in the window.
    pub fn tail_s(&self) -> u32 {
        self.window_s.get() % 60
    }

    /// How many earlier minutes are in the window of a minute.
    pub fn minutes_before(&self) -> i64 {
        i64::from(self.window_s.get().div_ceil(60)) - 1
    }
}
