//! The requests to S3 that the publisher decides on, and the result of each kind.

use super::names::FileId;
use std::time::Duration;

/// The operator's choices for a published folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivePolicy {
    /// Treatment of a segment that cannot be published.
    pub on_lost: OnLost,
    /// Time until a segment that no playlist names any more is deleted. `None` keeps everything,
    /// with VOD playlists.
    pub delete_after: Option<Duration>,
}

/// Treatment of a segment that cannot be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLost {
    /// The playlist marks it as missing (`EXT-X-GAP`), and players skip it.
    Gap,
    /// The playlist waits until the transcoder no longer names the segment.
    Hold,
}

/// One request to S3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Read the playlist that an earlier process published under this name.
    ReadPublished(String),
    /// Upload one content of a file.
    Upload {
        /// Path of the file in the transcoder's folder.
        path: String,
        /// The content to upload. A newer content of the same file has another name.
        file: FileId,
        /// Name of the object.
        name: String,
    },
    /// Write a playlist, so that viewers see it.
    Publish {
        /// Name of the object.
        name: String,
        /// Content of the playlist.
        text: String,
    },
    /// Delete the objects with these names.
    Delete(Vec<String>),
}

/// A job that was tried, with the result that its kind can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishedJob {
    /// The result of a [`Job::ReadPublished`].
    ReadPublished {
        /// Name of the object.
        name: String,
        /// The playlist, or `None` if there is no such object.
        result: Result<Option<StoredText>, RetryLater>,
    },
    /// The result of a [`Job::Upload`].
    Upload {
        /// Name of the object.
        name: String,
        /// Whether the object is stored.
        result: Result<(), UploadError>,
    },
    /// The result of a [`Job::Publish`].
    Publish {
        /// Name of the object.
        name: String,
        /// Content of the playlist that was sent.
        text: String,
        /// Whether viewers see it.
        result: Result<(), RetryLater>,
    },
    /// The result of a [`Job::Delete`].
    Delete {
        /// Names of the objects.
        names: Vec<String>,
        /// Whether all of them are deleted.
        result: Result<(), RetryLater>,
    },
}

/// A playlist that an earlier process published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredText {
    /// Content of the object. It may be something other than a playlist.
    pub text: String,
    /// Time since the object was written, by S3's clock.
    pub age: Duration,
}

/// A failure that the same request may not meet again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryLater {
    /// Cause of the failure, for the log.
    pub cause: String,
    /// Time to wait before the next try.
    pub pause: Duration,
}

/// The reasons for which an upload fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadError {
    /// The upload is tried again.
    Retry(RetryLater),
    /// No retry can succeed: the file was deleted, or has another content by now.
    Permanent(String),
}
