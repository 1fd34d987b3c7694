//! When a side is cut, and how.

use crate::pair::endpoint::{Definition, Origination};
use crate::pair::freshness::Freshness;
use crate::pair::state::{CutRecord, PairState, StallRecord, Status, Until};
use crate::pair::trigger::Trigger;
use crate::pair::{CutBy, Pair, Side, Sides};
use chrono::{DateTime, TimeDelta, Utc};

/// An alert that is older than this is not taken at its word: EventBridge tries for a day to
/// deliver it, and the input may long be well.
pub const FRESH_ALERT: TimeDelta = TimeDelta::seconds(120);

/// What an event makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// This side is lost, for this reason.
    InputLost {
        /// The side.
        side: Side,
        /// Why.
        why: String,
        /// What must say that it may come back.
        until: Until,
    },
    /// MediaLive must say what is lost.
    AskMediaLive,
    /// Nothing is to be done.
    Nothing {
        /// Why not.
        why: String,
    },
}

/// What an event makes one suspect.
pub fn diagnose(trigger: &Trigger, state: &PairState, now: DateTime<Utc>) -> Diagnosis {
    match trigger {
        Trigger::InputLost {
            side,
            at,
            what,
            is_alarm,
        } => {
            let is_old = now - at > FRESH_ALERT;
            // One from before the side came back tells of the trouble that is over.
            let is_of_before = state.sides[*side].is_live()
                && state.sides[*side].since.is_some_and(|since| *at <= since);
            match is_old || is_of_before {
                true => Diagnosis::AskMediaLive,
                false => Diagnosis::InputLost {
                    side: *side,
                    why: format!("{what} at {}", at.format("%FT%TZ")),
                    until: if *is_alarm {
                        Until::Alarm
                    } else {
                        Until::Healthy
                    },
                },
            }
        }
        Trigger::ScheduledCheck => Diagnosis::AskMediaLive,
        Trigger::Manual { side } => Diagnosis::InputLost {
            side: *side,
            why: "by hand".to_owned(),
            until: Until::Person,
        },
        Trigger::InputRecovered { .. } => Diagnosis::Nothing {
            why: "the end of an alert or alarm is fail-back's".to_owned(),
        },
        Trigger::Ignored { why } => Diagnosis::Nothing { why: why.clone() },
    }
}

/// What the alerts that MediaLive has set, and the alarms that were seen to ring, make one suspect.
///
/// # Errors
///
/// [`Held`] if both sides are in trouble.
pub fn diagnose_alerts(state: &PairState, set: &Sides<Vec<String>>) -> Result<Diagnosis, Held> {
    let why = |side: Side| match state.sides[side].alarm_since {
        Some(since) => format!(
            "its CloudWatch alarm rings since {}",
            since.format("%FT%TZ")
        ),
        None => format!("MediaLive alerts are set: {}", set[side].join(", ")),
    };
    let rings = |side: Side| state.sides[side].alarm_since.is_some();
    let is_lost = |side: &Side| (!set[*side].is_empty() || rings(*side)) && !is_cut(state, *side);
    let lost: Vec<Side> = Side::BOTH.into_iter().filter(is_lost).collect();
    match lost.as_slice() {
        [] => Ok(Diagnosis::Nothing {
            why: "MediaLive has no alert set that means a lost input".to_owned(),
        }),
        [side] => {
            let until = if rings(*side) {
                Until::Alarm
            } else {
                Until::Healthy
            };
            Ok(Diagnosis::InputLost {
                side: *side,
                why: why(*side),
                until,
            })
        }
        _ => Err(Held(format!(
            "both sides are in trouble: A: {}; B: {}",
            why(Side::A),
            why(Side::B)
        ))),
    }
}

/// The state with what must not be forgotten of a diagnosis, whatever can be done about it now:
/// that an alarm rings, which nobody can be asked for later, and that a person wants a side off
/// that is cut already. `None` if there is nothing new.
pub fn note(state: &PairState, diagnosis: &Diagnosis, now: DateTime<Utc>) -> Option<PairState> {
    let Diagnosis::InputLost { side, until, .. } = diagnosis else {
        return None;
    };
    let mut next = state.clone();
    let this = &mut next.sides[*side];
    if *until == Until::Alarm {
        this.alarm_since.get_or_insert(now);
    }
    if let Status::Cut(record) = &mut this.status {
        record.until = record.until.max(*until);
    }
    (next != *state).then_some(next)
}

/// How long ago a look may be to count together with the next: the schedule looks each minute.
const LOOKS_APART: TimeDelta = TimeDelta::seconds(150);

/// What is to be remembered of a look at a side that saw it `so`. It counts only while the `other`
/// moves, or is away: at the beginning and at the end of a show both stand still.
pub fn stall_record(
    before: Option<StallRecord>,
    so: &Freshness,
    other: Option<&Freshness>,
    now: DateTime<Utc>,
) -> Option<StallRecord> {
    match (so, other) {
        (Freshness::Stale(_), None | Some(Freshness::Advancing)) => {
            let before = before.filter(|before| now - before.seen <= LOOKS_APART);
            Some(StallRecord {
                since: before.map_or(now, |before| before.since),
                seen: now,
            })
        }
        (Freshness::Unknown(_), _) => before,
        _ => None,
    }
}

/// Whether a side has been seen to stand still for so long that it is lost.
pub fn stalled(state: &PairState, side: Side, now: DateTime<Utc>) -> Option<StallRecord> {
    let is_long = |seen: &StallRecord| {
        seen.seen - seen.since >= STALL_LIMIT && now - seen.seen <= LOOKS_APART
    };
    state.sides[side].stall.filter(is_long)
}

/// How long the side that viewers are on must have stood still to be lost, though nothing said so.
/// The schedule looks each minute, so it takes a second look.
pub const STALL_LIMIT: TimeDelta = TimeDelta::seconds(45);

/// What a look at both sides makes one suspect: a channel that was stopped, or crashed, sets no
/// alert.
pub fn diagnose_probes(
    state: &PairState,
    freshness: &Sides<Option<Freshness>>,
    now: DateTime<Utc>,
) -> Diagnosis {
    let (side, other) = (state.active, state.active.other());
    let nothing = |why: &str| Diagnosis::Nothing {
        why: why.to_owned(),
    };
    let (Some(Freshness::Stale(why)), Some(Freshness::Advancing)) =
        (&freshness[side], &freshness[other])
    else {
        return nothing("the side that viewers are on freshness, or the other does not");
    };
    match stalled(state, side, now) {
        Some(StallRecord { since, .. }) => Diagnosis::InputLost {
            side,
            why: format!("it has stood still since {}: {why}", since.format("%FT%TZ")),
            until: Until::Healthy,
        },
        None => nothing("the side that viewers are on has not stood still for long"),
    }
}

/// A safety rule says no, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Held(pub String);

/// Whether a side that is lost may be cut, before anything is asked about the other.
///
/// # Errors
///
/// [`Held`] if it is the last that is live.
pub fn may_cut(state: &PairState, side: Side, why: &str) -> Result<(), Held> {
    let other = side.other();
    match state.sides[other].is_live() {
        true => Ok(()),
        false => Err(Held(format!(
            "{side} is lost ({why}), and {other} is not live: the last side is never cut"
        ))),
    }
}

/// Whether a side is cut already.
pub fn is_cut(state: &PairState, side: Side) -> bool {
    matches!(state.sides[side].status, Status::Cut(_))
}

/// The state in which `side` is cut and viewers are on the other.
///
/// # Errors
///
/// [`Held`] if the other side is not live, or does not move.
pub fn cut(
    pair: &Pair,
    state: &PairState,
    side: Side,
    endpoint: Option<&Definition>,
    other_moves: &Freshness,
    (why, until): (&str, Until),
    now: DateTime<Utc>,
) -> Result<PairState, Held> {
    may_cut(state, side, why)?;
    let other = side.other();
    match other_moves {
        Freshness::Advancing => {}
        Freshness::Stale(stale) => {
            return Err(Held(format!(
                "{side} is lost ({why}), but {other} does not move either: {stale}"
            )));
        }
        Freshness::Unknown(unknown) => {
            let refusal = format!(
                "{side} is lost ({why}), but whether {other} freshness cannot be told: {unknown}"
            );
            return Err(Held(refusal));
        }
    }
    let record = match (endpoint, state.sides[side].cut()) {
        // It was on its way back, and its endpoint is not there yet: what was saved of it must not
        // be lost.
        (None, Some(earlier)) => CutRecord {
            why: why.to_owned(),
            until,
            clean_since: None,
            ..earlier.clone()
        },
        _ => CutRecord {
            by: pair.cut,
            why: why.to_owned(),
            endpoint: endpoint.map(Definition::to_value),
            until,
            waits: endpoint.is_some()
                && is_known_from(pair, state, other).is_some_and(|from| now < from),
            clean_since: None,
        },
    };
    let mut next = state.change(side, now, Status::Cut(record));
    next.active = other;
    if next.sides[side].url.is_none() {
        next.sides[side].url = endpoint.and_then(Definition::url);
    }
    Ok(next)
}

/// What is still to be done to the endpoint of a side that is cut.
#[derive(Debug, Clone, PartialEq)]
pub enum EndpointAction {
    /// Nothing.
    None,
    /// It is to be deleted.
    Delete,
    /// It is to stop serving: this definition, with `Origination: DENY`.
    Deny(Box<Definition>),
    /// It is not the one that was cut: somebody made it again.
    NotOurs,
    /// Something, once all who are watching know where else to go.
    Waits,
}

/// When all who are watching have heard of a side that came back, and can go there: its pathway is
/// new to them, and they learn of it by the steering manifest, which they keep for its TTL and a
/// CDN for half of that. Cut the other side earlier, and they have nowhere to go. `None` if they
/// have always known it.
pub fn is_known_from(pair: &Pair, state: &PairState, side: Side) -> Option<DateTime<Utc>> {
    let is_new = state
        .clones
        .iter()
        .any(|clone| clone.id == state.sides[side].pathway);
    let (ttl, since) = (pair.steering_ttl?, state.sides[side].since?);
    is_new.then(|| since + ttl * 2)
}

/// The state in which the endpoint of a side may be cut for which that has waited. `None` if it has
/// not, or must go on. To be written before anything is done: a side whose endpoint was not touched
/// may come back as it is.
pub fn wait_is_over(
    pair: &Pair,
    state: &PairState,
    side: Side,
    now: DateTime<Utc>,
) -> Option<PairState> {
    let mut next = state.clone();
    let Status::Cut(record) = &mut next.sides[side].status else {
        return None;
    };
    let is_due = is_known_from(pair, state, side.other()).is_none_or(|from| now >= from);
    (std::mem::take(&mut record.waits) && is_due).then_some(next)
}

/// What is still to be done to a cut side's endpoint, which is now `described` so (`None`: it is
/// gone).
pub fn endpoint_action(record: &CutRecord, described: Option<&Definition>) -> EndpointAction {
    let Some(described) = described else {
        return EndpointAction::None;
    };
    let was = record
        .endpoint
        .as_ref()
        .and_then(|endpoint| Definition::parse(endpoint).ok());
    let is_ours = was.is_some_and(|was| was.is_the_same_as(described));
    match (record.by, described.origination()) {
        (CutBy::None, _) | (CutBy::Deny, Origination::Deny) => EndpointAction::None,
        _ if !is_ours => EndpointAction::NotOurs,
        _ if record.waits => EndpointAction::Waits,
        (CutBy::Delete, _) => EndpointAction::Delete,
        (CutBy::Deny, Origination::Allow) => EndpointAction::Deny(Box::new(described.clone())),
    }
}
