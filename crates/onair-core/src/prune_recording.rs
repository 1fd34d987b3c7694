//! Which renditions of an Amazon IVS recording to delete, and how to rewrite its playlists and
//! metadata.
//!
//! [`event`] decodes the trigger, [`rule`] parses the user's rule, [`recording`] parses the stored
//! files, [`plan`] decides, [`removed`] records the removed renditions. Nothing depends on IVS's
//! naming scheme. AWS recommends to find renditions through the metadata ("Auto-Record to Amazon
//! S3", Low-Latency Streaming User Guide).

pub mod event;
mod held;
pub mod metadata;
pub mod plan;
pub mod recording;
pub mod removed;
pub mod rule;

pub use held::HeldReason;

/// The reason for which no plan was made. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A safety rule forbids it. A retry would give the same result.
    #[error(transparent)]
    Held(#[from] HeldReason),
    /// A file of the recording is missing. IVS may still be writing it, so a retry can succeed.
    #[error("{path} does not exist, but {ENDED} names it")]
    MissingFile {
        /// The file's path, relative to the recording's prefix.
        path: String,
    },
}

fn held<T>(reason: HeldReason) -> Result<T, PlanError> {
    Err(PlanError::Held(reason))
}

/// The metadata of a recording, relative to its prefix.
pub const ENDED: &str = "events/recording-ended.json";
/// The metadata that IVS writes at the start, relative to the recording's prefix. Never rewritten.
pub const STARTED: &str = "events/recording-started.json";
/// The folder of the entry playlists and the renditions, relative to the recording's prefix.
pub const HLS: &str = "media/hls/";
/// The folders of thumbnails, relative to the recording's prefix: one for each storage mode.
pub const THUMBNAILS: [&str; 2] = ["media/thumbnails/", "media/latest_thumbnail/"];
/// The entry playlists that a recording can have under [`HLS`]: the first two from low-latency
/// channels, the third from real-time stages.
pub const ENTRY_PLAYLISTS: [&str; 3] = [
    "master.m3u8",
    "byte-range-multivariant.m3u8",
    "multivariant.m3u8",
];
