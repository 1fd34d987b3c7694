//! What is to be done, and what came of it.

use super::names::FileId;
use std::time::Duration;

/// What the user decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivePolicy {
    /// What becomes of a segment that cannot be published.
    pub on_lost: OnLost,
    /// How long objects stay that no playlist names any more; `None` for ever.
    pub delete_after: Option<Duration>,
}

/// What becomes of a segment that cannot be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLost {
    /// Players are told that it is not there (`EXT-X-GAP`).
    Gap,
    /// The playlist waits until the transcoder names it no more.
    Hold,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Read what an earlier process has published under this name.
    ReadPublished(String),
    /// Put this content of this file under this name.
    Upload {
        /// The file.
        path: String,
        /// Its content.
        file: FileId,
        /// Where to.
        name: String,
    },
    /// Put this text under this name.
    Publish {
        /// Where to.
        name: String,
        /// The playlist.
        text: String,
    },
    /// Delete these.
    Delete(Vec<String>),
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It is done, and this was there, written so long ago.
    Recalled(Option<(String, Duration)>),
    /// It failed; it is worth another try after this time.
    Failed {
        /// Why.
        why: String,
        /// How long to wait.
        pause: Duration,
    },
    /// It will always fail: the file is gone or another one by now, or S3 refuses it for what it
    /// is.
    Permanent(String),
}
