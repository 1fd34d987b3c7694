//! Which renditions of an Amazon IVS recording go, and what its playlists and metadata say
//! afterwards.
//!
//! [`event`] turns a trigger into the recording it speaks of, [`rule`] reads what the user wants,
//! [`recording`] understands what is there, [`plan`] decides, [`removed`] remembers. Nothing is
//! computed from IVS's naming scheme: AWS asks not to rely on it and to find renditions through the
//! metadata ("Auto-Record to Amazon S3", Low-Latency Streaming User Guide).

pub mod event;
pub mod metadata;
pub mod plan;
pub mod recording;
pub mod removed;
pub mod rule;

/// Why nothing is to be done to a recording. Nothing is changed; the text says what a person can
/// do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A safety rule said no, and would say it again.
    #[error("{0}")]
    Held(String),
    /// A part of the recording is missing. It may still be on its way, so a later try is worth it.
    #[error("{0}")]
    NotWhole(String),
}

/// Short for the common refusal.
fn held<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Held(why.into()))
}

/// Where a recording's metadata lies, relative to its prefix.
pub const ENDED: &str = "events/recording-ended.json";
/// The metadata that IVS wrote at the start. It is never rewritten.
pub const STARTED: &str = "events/recording-started.json";
/// Where the entry playlists and the rendition folders lie, relative to the recording's prefix.
pub const HLS: &str = "media/hls/";
/// Where thumbnails lie, relative to the recording's prefix: one folder for each storage mode.
pub const THUMBNAILS: [&str; 2] = ["media/thumbnails/", "media/latest_thumbnail/"];
/// The entry playlists that a recording can have under [`HLS`]: the first two of low-latency
/// channels, the third of real-time stages.
pub const ENTRY_PLAYLISTS: [&str; 3] = [
    "master.m3u8",
    "byte-range-multivariant.m3u8",
    "multivariant.m3u8",
];
