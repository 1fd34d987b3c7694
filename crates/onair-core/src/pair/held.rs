//! The reasons for which a safety rule stops a change to a pair.

use super::Side;
use strum::{IntoStaticStr, VariantNames};

/// A change that would be unsafe, or whose safety is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum HeldReason {
    /// The state or a published document cannot be read or parsed.
    #[error("s3://{bucket}/{key} cannot be read: {why}; restore an older version of it")]
    DocumentUnreadable {
        /// The bucket of the document.
        bucket: String,
        /// Its key.
        key: String,
        /// The error in it.
        why: String,
    },
    /// Both inputs are lost. Viewers are not moved.
    #[error("both sides have lost their input: A: {a}; B: {b}")]
    BothSidesLost {
        /// The reason for which side A counts as lost.
        a: String,
        /// The reason for which side B counts as lost.
        b: String,
    },
    /// The other side is out of service.
    #[error("side {side} has lost its input ({why}), but side {} is not live: the last live side stays in service", side.other())]
    LastLiveSide {
        /// The side that has lost its input.
        side: Side,
        /// The reason for which the side counts as lost.
        why: String,
    },
    /// The other side has no new segments.
    #[error("side {side} has lost its input ({why}), but side {} is stale: {stale}", side.other())]
    OtherSideStale {
        /// The side that has lost its input.
        side: Side,
        /// The reason for which the side counts as lost.
        why: String,
        /// The reason for which the other side is stale.
        stale: String,
    },
    /// Nothing shows whether the other side has new segments.
    #[error("side {side} has lost its input ({why}), but whether side {} is advancing is unknown: {unknown}", side.other())]
    OtherSideUnknown {
        /// The side that has lost its input.
        side: Side,
        /// The reason for which the side counts as lost.
        why: String,
        /// The reason for which the freshness of the other side is unknown.
        unknown: String,
    },
    /// A fail-over would take the healthy side out of service.
    #[error("{why}; a fail-over would cut the healthy side")]
    Misconfigured {
        /// The channels and endpoints that do not fit together.
        why: String,
    },
    /// The endpoint of a side that was cut cannot be restored.
    #[error("the endpoint of side {side} cannot be restored: {why}")]
    EndpointNotRestorable {
        /// The side.
        side: Side,
        /// The obstacle, and what to do about it.
        why: String,
    },
    /// The side does not serve new segments, so viewers are not sent to it.
    #[error("side {side} is not advancing yet; the schedule checks again: {why}")]
    SideNotAdvancing {
        /// The side.
        side: Side,
        /// What is missing.
        why: String,
    },
    /// Neither side has a playlist, so there is nothing to publish.
    #[error("no side has a playlist to publish ({why})")]
    NothingToPublish {
        /// What is missing of each side.
        why: String,
    },
    /// The playlist that would be published cannot be parsed.
    #[error("the playlist that would be published cannot be parsed: {why}")]
    PlaylistInvalid {
        /// What is wrong with it.
        why: String,
    },
    /// A side's playlist is missing or incomplete, so the published one stays.
    #[error("the published playlist stays: {why}")]
    PlaylistIncomplete {
        /// What is missing of which side.
        why: String,
    },
}

impl crate::held::HeldReason for HeldReason {
    fn code(&self) -> &'static str {
        self.into()
    }
}
