//! The state of a pair: one JSON document that is changed only by conditional writes. The playlist
//! and the steering manifest are rendered from it.

use super::freshness::LastSegment;
use super::{CutBy, Side, Sides};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// The active side, and the status of each side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairState {
    /// The version of the format. A document of another version is not read.
    version: Version,
    /// The number of changes so far. Each published document carries the generation that it was
    /// rendered from, so that a run does not overwrite the documents of a later state.
    pub generation: u64,
    /// The side to which viewers are sent.
    #[serde(rename = "first")]
    pub active: Side,
    /// The status of each side.
    pub sides: Sides<SideState>,
    /// The pathways that were added after the first publication, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clones: Vec<PathwayClone>,
}

/// A pathway that was added when a side returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathwayClone {
    /// The new pathway, for example `A.2`.
    pub id: String,
    /// The pathway of the active side at that time. Every player has it, and derives the new one
    /// from it.
    pub base: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "1")]
    One,
}

/// The status of a side, and the records that later runs need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideState {
    /// The time of the last change of the status. `None` if the side has never been cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// The pathway of the side: at first `A` or `B`, and a new one (`A.2`) after each cut at the
    /// endpoint. Players cache the URLs of a pathway, and avoid one that failed.
    pub pathway: String,
    /// The URL of the endpoint in this pathway. `None` until the side is cut for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// Whether the side serves viewers.
    pub status: Status,
    /// The newest segment at the last probe, for playlists without timestamps.
    #[serde(default, rename = "sighting", skip_serializing_if = "Option::is_none")]
    pub last_segment: Option<LastSegment>,
    /// The stall, if the side was stale at the last probe.
    #[serde(
        default,
        rename = "stood_still",
        skip_serializing_if = "Option::is_none"
    )]
    pub stall: Option<StallRecord>,
    /// The time since which the CloudWatch alarm of the side has been in ALARM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_since: Option<DateTime<Utc>>,
}

/// A side that was stale at successive probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StallRecord {
    /// The first of these probes.
    pub since: DateTime<Utc>,
    /// The last of these probes.
    pub seen: DateTime<Utc>,
}

/// Whether a side serves viewers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The side serves viewers.
    Live,
    /// The side was taken out of service.
    Cut(CutRecord),
    /// The endpoint is restored. No probe has shown yet that the side is advancing.
    Returning(CutRecord),
}

/// How a side was cut, with everything that fail-back needs to restore it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutRecord {
    /// The change of the endpoint.
    pub by: CutBy,
    /// The reason for the cut.
    pub why: String,
    /// The definition of the endpoint before the cut. `None` if the endpoint did not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Value>,
    /// The condition for the return of the side.
    #[serde(default)]
    pub until: Until,
    /// Whether the change of the endpoint is still due: it waits until every player knows the
    /// pathway of the other side.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// The time since which fail-back has found the input healthy.
    #[serde(
        default,
        rename = "clean_since",
        skip_serializing_if = "Option::is_none"
    )]
    pub healthy_since: Option<DateTime<Utc>>,
}

/// The condition for the return of a side. A later one is stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// MediaLive reports a healthy input for the stabilization period.
    #[default]
    Healthy,
    /// The CloudWatch alarm that caused the cut changes to OK. It may detect failures that
    /// MediaLive does not.
    Alarm,
    /// A person brings the side back, because a person cut it.
    Person,
}

impl Default for PairState {
    /// The state of a new pair: both sides are live, and A is active.
    fn default() -> Self {
        let side = |side: Side| SideState {
            since: None,
            pathway: side.to_string(),
            url: None,
            status: Status::Live,
            last_segment: None,
            stall: None,
            alarm_since: None,
        };
        Self {
            version: Version::One,
            generation: 0,
            active: Side::A,
            sides: Sides::of(side),
            clones: Vec::new(),
        }
    }
}

impl PairState {
    /// Parses the document.
    ///
    /// # Errors
    ///
    /// A text that On Air did not write: not a state, or a state in which neither side is live.
    pub fn parse(text: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if !Side::BOTH
            .into_iter()
            .any(|side| state.sides[side].is_live())
        {
            return Err("neither side is live".to_owned());
        }
        Ok(state)
    }

    /// The text of the document, as it is stored.
    pub fn to_text(&self) -> String {
        // A struct of plain fields is always JSON.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The next state, in which one side has another status.
    pub(crate) fn change(&self, side: Side, now: DateTime<Utc>, status: Status) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        next.sides[side] = SideState {
            since: Some(now),
            status,
            stall: None,
            ..self.sides[side].clone()
        };
        next
    }
}

impl SideState {
    /// Whether the side serves viewers.
    pub fn is_live(&self) -> bool {
        matches!(self.status, Status::Live)
    }

    /// The cut record, unless the side is live.
    pub fn cut(&self) -> Option<&CutRecord> {
        match &self.status {
            Status::Live => None,
            Status::Cut(record) | Status::Returning(record) => Some(record),
        }
    }

    /// Whether the side was cut by a change of its endpoint.
    pub fn is_cut_at_endpoint(&self) -> bool {
        matches!(&self.status, Status::Cut(record) if record.by != CutBy::None)
    }

    /// Whether the published URLs of the side are valid, or will be when it returns. Not if its
    /// endpoint was deleted: the new endpoint has another URL.
    pub fn keeps_urls(&self) -> bool {
        self.cut().is_none_or(|record| record.by != CutBy::Delete)
    }
}
