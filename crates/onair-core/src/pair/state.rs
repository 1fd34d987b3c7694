//! The state of a pair: one JSON document, changed only by conditional writes. What viewers see is
//! rendered from it.

use super::freshness::LastSegment;
use super::{CutBy, Side, Sides};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// Which side viewers are on, and how each side is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairState {
    /// The version of this document's form. Another one is not understood.
    version: Version,
    /// Counts the changes. What is published carries the generation that it was rendered from, so
    /// that an old run cannot overwrite a newer one's.
    pub generation: u64,
    /// The side that viewers are sent to.
    #[serde(rename = "first")]
    pub active: Side,
    /// How each side is.
    pub sides: Sides<SideState>,
    /// The pathways that came into being since, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clones: Vec<PathwayClone>,
}

/// A pathway that came into being because a side came back at another URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathwayClone {
    /// Its name.
    pub id: String,
    /// The pathway that viewers were on at that time: every player has it, and makes the new one
    /// from it.
    pub base: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "1")]
    One,
}

/// How a side is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SideState {
    /// When it became so. Nothing happened to a side that has never been cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// The name of its pathway: the side's own, and another one (`A.2`) after each time that its
    /// endpoint came back at another URL, since a name must not mean two places.
    pub pathway: String,
    /// The URL that its endpoint had under that name, once that was of interest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// Whether it serves viewers.
    pub status: Status,
    /// Its newest segment at the last look, if its playlists tell no time.
    #[serde(default, rename = "sighting", skip_serializing_if = "Option::is_none")]
    pub last_segment: Option<LastSegment>,
    /// That its playlists stood still at the last looks, if they did.
    #[serde(
        default,
        rename = "stood_still",
        skip_serializing_if = "Option::is_none"
    )]
    pub stall: Option<StallRecord>,
    /// Since when its CloudWatch alarm rings, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_since: Option<DateTime<Utc>>,
}

/// A side stood still at one look after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StallRecord {
    /// The first of these looks.
    pub since: DateTime<Utc>,
    /// The last.
    pub seen: DateTime<Utc>,
}

/// Whether a side serves viewers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It does.
    Live,
    /// It was cut.
    Cut(CutRecord),
    /// Its endpoint was restored, and has not been seen to serve yet.
    Returning(CutRecord),
}

/// How a side was cut: all that is needed to bring it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutRecord {
    /// What was done to its endpoint.
    pub by: CutBy,
    /// Why.
    pub why: String,
    /// The endpoint as it was described before. None if it was gone already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Value>,
    /// What must say that it may come back.
    #[serde(default)]
    pub until: Until,
    /// Nothing was done to its endpoint yet: that waits until all who are watching know where else
    /// to go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// Since when its input has been seen to be well, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean_since: Option<DateTime<Utc>>,
}

/// What must say that a side may come back, each more than the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// MediaLive, whose alerts and channel are looked at.
    #[default]
    Healthy,
    /// The CloudWatch alarm that went off, by going to OK: it may know what MediaLive does not.
    Alarm,
    /// A person, since a person cut it.
    Person,
}

impl Default for PairState {
    /// A pair that nothing has happened to: both sides live, viewers on A.
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
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// A text that is not one, or in which no side is live: that was not written by On Air.
    pub fn parse(text: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if !Side::BOTH
            .into_iter()
            .any(|side| state.sides[side].is_live())
        {
            return Err("neither side is live in it".to_owned());
        }
        Ok(state)
    }

    /// The document's text.
    pub fn to_text(&self) -> String {
        // A struct of plain fields is always JSON.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The state after a change to one side.
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
    /// It serves viewers.
    pub fn is_live(&self) -> bool {
        matches!(self.status, Status::Live)
    }

    /// How it was cut, if it is not live.
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

    /// What names its URLs now is true still or will be again. Not so for an endpoint that was
    /// deleted: it comes back elsewhere.
    pub fn keeps_its_urls(&self) -> bool {
        self.cut().is_none_or(|record| record.by != CutBy::Delete)
    }
}
