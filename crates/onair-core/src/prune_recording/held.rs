//! The reasons to hold a recording: a run stops, and a person decides what to do.

use super::removed::REMOVED;
use super::{ENDED, ENTRY_PLAYLISTS, HLS};
use crate::playlist::PlaylistError;

/// The reason for which a recording is held. The text is the answer's `why`, the variant's name in
/// snake case its `code`; both are explained in `docs/operating.md`. A path is relative to the
/// recording's prefix.
#[derive(
    Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "each error text shows what its fields are")]
pub enum HeldReason {
    /// S3 has the file, but not as a text that can be rewritten safely.
    #[error("{path} cannot be read: {problem}")]
    UnreadableFile { path: String, problem: String },
    /// A metadata file is not the JSON that IVS writes.
    #[error("{path} cannot be parsed: {problem}")]
    InvalidMetadata { path: &'static str, problem: String },
    /// The recording did not end, or ended with a failure.
    #[error("{ENDED} has the recording status {status:?}; expected RECORDING_ENDED")]
    NotEnded { status: String },
    /// The metadata names an entry playlist that IVS does not write.
    #[error("{ENDED} names the entry playlist {name:?}; expected one of {ENTRY_PLAYLISTS:?}")]
    UnknownEntryPlaylist { name: String },
    /// The metadata places the playlists in another folder than IVS does.
    #[error("{path} places the playlists in {folder:?}; expected {HLS}")]
    PlaylistsElsewhere { path: &'static str, folder: String },
    /// The metadata gives a rendition a path that could lead out of the recording.
    #[error("{path} names the rendition {name:?}, which is not the name of one folder")]
    InvalidRenditionName { path: &'static str, name: String },
    /// The list of removed renditions is not one that On Air wrote.
    #[error("{ENDED} has the user metadata {REMOVED}, which cannot be parsed: {value:?}")]
    InvalidRemovedList { value: String },
    /// An entry playlist is not a multivariant playlist that can be edited safely.
    #[error("{path} cannot be parsed: {problem}")]
    InvalidPlaylist {
        path: String,
        problem: PlaylistError,
    },
    /// An entry playlist names a file that may be part of any rendition.
    #[error("{path} names {uri:?}, which is not a file in a folder next to the playlist")]
    UnknownLocation { path: String, uri: String },
    /// A keep rule would delete every rendition.
    #[error("KEEP_RENDITIONS matches none of the renditions {renditions}")]
    NothingMatches { renditions: String },
    /// No kept rendition is named by a playlist and stored.
    #[error("the rule leaves no playable rendition; the recording has {renditions}")]
    NothingPlayable { renditions: String },
    /// A playlist that On Air does not rewrite may name a deleted rendition.
    #[error(
        "{path} is next to the entry playlists and may name a rendition that the rule deletes; \
         move or delete the file"
    )]
    OtherPlaylist { path: String },
    /// A rewritten entry playlist would not be a playlist any more.
    #[error("the rule leaves {path} unusable: {problem}")]
    UnusablePlaylist {
        path: String,
        problem: PlaylistError,
    },
    /// A kept part of an entry playlist names a deleted rendition.
    #[error("{path} still needs {uri:?}, which the rule deletes")]
    DeletedRenditionNeeded { path: String, uri: String },
    /// The list of removed renditions does not fit into S3's user metadata.
    #[error("the list of removed renditions is too long for the user metadata of {ENDED}")]
    TooManyRemoved,
    /// The metadata can be read but not edited.
    #[error("{ENDED} cannot be rewritten: {problem}")]
    UneditableMetadata { problem: String },
    /// After an interruption, the next run would reach another end state.
    #[error(
        "the rule gives another result when an interrupted run is repeated ({step}): {ENDED} does \
         not list a rendition that an entry playlist names, so the next run would not know it"
    )]
    NotRepeatable { step: String },
    /// A media playlist of a kept rendition does not exist.
    #[error("{path} does not exist, but a kept rendition needs it")]
    MissingMediaPlaylist { path: String },
    /// The folder of a kept rendition has playlists only, or nothing at all.
    #[error("{path} has no media segments, but its rendition is kept")]
    NoSegments { path: String },
    /// Another writer changed the recording during every attempt.
    #[error("another writer changed the recording during each of {attempts} attempts")]
    ConcurrentWrites { attempts: usize },
}

impl crate::held::HeldReason for HeldReason {
    fn code(&self) -> &'static str {
        self.into()
    }
}
