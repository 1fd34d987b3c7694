//! When a side that was cut comes back, and how.

use crate::pair::endpoint::{Definition, Origination};
use crate::pair::health::Health;
use crate::pair::state::{CutRecord, PairState, PathwayClone, Status, Until};
use crate::pair::{CutBy, Pair, Side};
use chrono::{DateTime, TimeDelta, Utc};

/// How many pathways back a player that slept can follow. Who plays needs only the newest.
const MAX_CLONES: usize = 16;

/// The next step of a side on its way back.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing but, if there is one, a new state to remember.
    Wait {
        /// Why not more.
        why: String,
        /// What is to be remembered.
        remember: Option<PairState>,
    },
    /// Its endpoint is to be restored, in this state.
    Restore(PairState),
    /// Its endpoint was restored: whether it serves is to be seen.
    Probe,
}

/// How long a side must have been well if the other one, where viewers are, is lost meanwhile: a
/// side that is well just now is better than one that is not. The schedule has seen it twice then.
const SHORTENED_PERIOD: TimeDelta = TimeDelta::seconds(60);

/// How long a side must have been well while the other one is lost. Where nothing steers, players
/// shun it all the same until the usual time is over (hls.js and Media3: 300 s).
pub fn shortened_period(pair: &Pair) -> TimeDelta {
    if pair.steering_ttl.is_some() {
        pair.stabilization_period.min(SHORTENED_PERIOD)
    } else {
        pair.stabilization_period
    }
}

/// The next step of a side. `health` is `None` if a person takes the responsibility.
pub fn step(
    state: &PairState,
    side: Side,
    health: Option<&Health>,
    stabilization_period: TimeDelta,
    now: DateTime<Utc>,
) -> Step {
    let wait = |why: String, remember| Step::Wait { why, remember };
    let record = match &state.sides[side].status {
        Status::Live => return wait(format!("{side} is live"), None),
        Status::Cut(record) | Status::Returning(record) => record,
    };
    // A person may do without MediaLive; MediaLive may not do without a person, or without the
    // alarm that knew better.
    if health.is_some() {
        match record.until {
            Until::Healthy => {}
            Until::Alarm => {
                return wait(
                    format!("{side} was cut by its alarm, which has not gone to OK"),
                    None,
                );
            }
            Until::Person => {
                return wait(
                    format!("{side} was cut by hand, and comes back by hand"),
                    None,
                );
            }
        }
    }
    let is_returning = matches!(state.sides[side].status, Status::Returning(_));
    let last_cleared = match health {
        Some(Health::Troubled(why)) => {
            let remember = (!is_returning && record.clean_since.is_some())
                .then(|| remember(state, side, record, None));
            return wait(format!("{side} is not well: {why}"), remember);
        }
        Some(Health::Clean { last_cleared }) => *last_cleared,
        None => None,
    };
    if is_returning {
        return Step::Probe;
    }
    if health.is_some() {
        let noticed = record.clean_since.unwrap_or(now);
        // MediaLive may tell of trouble that came and went between two looks.
        let clean_since = [Some(noticed), last_cleared, state.sides[side].since]
            .into_iter()
            .flatten()
            .max();
        let clean_for = now - clean_since.unwrap_or(now);
        if clean_for < stabilization_period {
            let why = format!(
                "{side} has been well for {} s of {} s",
                clean_for.num_seconds(),
                stabilization_period.num_seconds()
            );
            let new = record.clean_since.is_none();
            return wait(
                why,
                new.then(|| remember(state, side, record, Some(noticed))),
            );
        }
    }
    let mut next = state.change(side, now, Status::Returning(record.clone()));
    if health.is_none() {
        next.sides[side].alarm_since = None;
    }
    Step::Restore(next)
}

/// The same state, with another time since when the side has been well. Not a new generation:
/// viewers see no change.
fn remember(
    state: &PairState,
    side: Side,
    record: &CutRecord,
    clean_since: Option<DateTime<Utc>>,
) -> PairState {
    let mut next = state.clone();
    next.sides[side].status = Status::Cut(CutRecord {
        clean_since,
        ..record.clone()
    });
    next
}

/// The state after a side's alarm went to OK: from then on it is MediaLive that says whether the
/// side is well. `None` if that is no news.
pub fn alarm_is_over(state: &PairState, side: Side) -> Option<PairState> {
    let mut next = state.clone();
    next.sides[side].alarm_since = None;
    if let Status::Cut(record) | Status::Returning(record) = &mut next.sides[side].status
        && record.until == Until::Alarm
    {
        record.until = Until::Healthy;
    }
    (next != *state).then_some(next)
}

/// What restores an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Repair {
    /// It serves, or nothing was done to it.
    None,
    /// It is to be made again from this definition.
    Create(Box<Definition>),
    /// It may serve again: this definition, with `Origination: ALLOW`.
    Allow(Box<Definition>),
}

/// What restores a side's endpoint `id`, which is now `described` so (`None`: it is gone).
///
/// # Errors
///
/// Why it cannot be restored.
pub fn repair(
    record: &CutRecord,
    id: &str,
    described: Option<&Definition>,
) -> Result<Repair, String> {
    let was = record
        .endpoint
        .as_ref()
        .and_then(|endpoint| Definition::parse(endpoint).ok());
    if let Some(was) = was.as_ref().map(Definition::id).filter(|was| *was != id) {
        return Err(format!(
            "it was cut as endpoint {was}, and the settings name {id} now: set that one again"
        ));
    }
    match (record.by, described) {
        (CutBy::None, _) => Ok(Repair::None),
        (CutBy::Delete | CutBy::Deny, None) => match was {
            Some(was) => Ok(Repair::Create(Box::new(was))),
            None => {
                Err("its endpoint was gone when it was cut, so its definition is not known: make it again"
                    .to_owned())
            }
        },
        // Nothing was done to it yet, and now nothing is.
        (_, Some(_)) if record.waits => Ok(Repair::None),
        (CutBy::Delete, Some(described)) if was.is_some_and(|was| was.is_the_same_as(described)) => {
            Err("the endpoint that was to be deleted is still there: fail-over deletes it first".to_owned())
        }
        (_, Some(described)) => Ok(match described.origination() {
            Origination::Allow => Repair::None,
            Origination::Deny => Repair::Allow(Box::new(described.clone())),
        }),
    }
}

/// The state in which a side is live again, its endpoint now being `described` so.
pub fn returned(
    state: &PairState,
    side: Side,
    described: Option<&Definition>,
    prefer: Option<Side>,
    now: DateTime<Utc>,
) -> PairState {
    let mut next = state.change(side, now, Status::Live);
    let url = described.and_then(Definition::url);
    let is_elsewhere =
        url.is_some() && state.sides[side].url.is_some() && url != state.sides[side].url;
    // Players shun a pathway that answered errors for minutes (hls.js and Media3: 300 s), by its
    // name.
    let is_shunned = state.sides[side]
        .cut()
        .is_some_and(|record| record.by != CutBy::None && !record.waits);
    if is_elsewhere || is_shunned {
        let id = next_pathway(side, &state.sides[side].pathway);
        next.clones.push(PathwayClone {
            id: id.clone(),
            base: state.sides[side.other()].pathway.clone(),
        });
        next.clones
            .drain(..next.clones.len().saturating_sub(MAX_CLONES));
        next.sides[side].pathway = id;
        next.sides[side].url = url.or(next.sides[side].url.take());
    }
    if prefer == Some(side) {
        next.active = side;
    }
    next
}

/// `A` -> `A.2` -> `A.3`
fn next_pathway(side: Side, pathway: &str) -> String {
    let number: u64 = pathway
        .split_once('.')
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(1);
    format!("{side}.{}", number + 1)
}
