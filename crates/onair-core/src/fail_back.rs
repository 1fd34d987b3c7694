//! Fail-back: when a side that was cut returns to service, and how.
//!
//! A side returns in steps, and each step is written to the state before it is applied. The side is
//! healthy. It stays healthy for the stabilization period. Its endpoint is restored. It serves and
//! is advancing. Only then are viewers sent to it. A run takes as many steps as it can.

use crate::fail_over::stalled;
use crate::pair::endpoint::{Definition, Origination};
use crate::pair::freshness::Freshness;
use crate::pair::health::{Health, health, set_alerts};
use crate::pair::held::HeldReason;
use crate::pair::next::{
    Effect, Ending, EndpointAction, Flow, Missing, Next, StateChange, both, known, of_sides,
};
use crate::pair::observed::{Observed, PairDocuments};
use crate::pair::state::{CutRecord, PairState, PathwayClone, Status, Until};
use crate::pair::trigger::Trigger;
use crate::pair::{CutBy, Pair, Side};
use crate::publish_playlist::{Plan, PublishedIndex, plan};
use chrono::{DateTime, TimeDelta, Utc};
use std::ops::ControlFlow::{Break, Continue};

/// The reason for which fail-back ignores an event, if it does.
pub fn ignored(trigger: &Trigger) -> Option<String> {
    match trigger {
        Trigger::Ignored { why } => Some(why.clone()),
        Trigger::InputLost { .. } => {
            Some("fail-over handles the beginning of an alert or alarm".to_owned())
        }
        Trigger::InputRecovered { .. } | Trigger::ScheduledCheck | Trigger::Manual { .. } => None,
    }
}

/// The next thing to do about an event that is not ignored.
pub fn next(pair: &Pair, observed: &Observed) -> Next {
    Next::of(decide(pair, observed))
}

fn decide(pair: &Pair, observed: &Observed) -> Flow<Ending> {
    let Some(documents) = observed.documents() else {
        return Break(Next::Read(Vec::new()));
    };
    let state = &documents.state;
    if let Trigger::InputRecovered {
        side,
        is_alarm: true,
    } = observed.trigger()
        && let Some(next) = alarm_is_over(state, *side)
    {
        return Break(Next::remember(next));
    }
    let away = Side::BOTH
        .into_iter()
        .find(|side| !state.sides[*side].is_live());
    match (away, manual_side(observed)) {
        (Some(side), by_hand) => bring_back(pair, observed, documents, side, by_hand == Some(side)),
        (None, Some(side)) if side != state.active && observed.switched().is_none() => {
            Break(promote(observed, documents, side)?)
        }
        (None, _) => publish(pair, observed, documents, None),
    }
}

/// The side that a person named.
fn manual_side(observed: &Observed) -> Option<Side> {
    match observed.trigger() {
        Trigger::Manual { side } => Some(*side),
        _ => None,
    }
}

/// The next step of a side that is not live. A person who names the side takes responsibility for
/// its health. Otherwise MediaLive must report the side as healthy.
fn bring_back(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    side: Side,
    is_by_hand: bool,
) -> Flow<Ending> {
    let health = if is_by_hand {
        None
    } else {
        Some(known(health_of(pair, observed, side))?)
    };
    match step_now(pair, observed, documents, side, health.as_ref())? {
        Step::Wait {
            remember: Some(next),
            ..
        } => Break(Next::remember(next)),
        Step::Wait { why, .. } => publish(pair, observed, documents, Some(why)),
        Step::Restore(next) => restore(pair, observed, documents, side, next),
        Step::Probe => Break(return_to_service(pair, observed, documents, side)?),
    }
}

fn health_of(pair: &Pair, observed: &Observed, side: Side) -> Result<Health, Missing> {
    let (channel, alerts) = both(observed.channel(side), observed.all_alerts(side))?;
    Ok(health(
        &pair.sides[side],
        &pair.alert_types,
        channel,
        alerts,
    ))
}

/// The next step, with the shortened stabilization period if the active side is lost.
fn step_now(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    side: Side,
    health: Option<&Health>,
) -> Flow<Step> {
    let step = |period| step(&documents.state, side, health, period, observed.now());
    let usual = step(pair.stabilization_period);
    let sooner = step(shortened_period(pair));
    let is_sooner = matches!((&usual, &sooner), (Step::Wait { .. }, Step::Restore(_)));
    if is_sooner && is_lost(pair, observed, documents, side.other())? {
        return Continue(sooner);
    }
    Continue(usual)
}

/// Whether the active side has lost its input as well. A failed request counts as "not lost": the
/// other side then returns after the usual stabilization period.
fn is_lost(pair: &Pair, observed: &Observed, documents: &PairDocuments, side: Side) -> Flow<bool> {
    let state = &documents.state;
    if state.sides[side].alarm_since.is_some() || stalled(state, side, observed.now()).is_some() {
        return Continue(true);
    }
    let alerts = match observed.set_alerts(side) {
        Err(Missing::Failure(_)) => return Continue(false),
        alerts => known(alerts)?,
    };
    Continue(!set_alerts(&pair.sides[side], &pair.alert_types, alerts).is_empty())
}

/// Writes the state in which the endpoint is to be restored. If the endpoint cannot be restored,
/// the run is held before it changes anything.
fn restore(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    side: Side,
    next: PairState,
) -> Flow<Ending> {
    let endpoint = known(observed.endpoint(side))?;
    if let Some(record) = documents.state.sides[side].cut() {
        held(side, repair(record, &pair.sides[side].endpoint, endpoint))?;
    }
    let step = format!("restore {side}");
    if observed.is_dry_run() {
        return Continue(planned(step));
    }
    Break(Next::WriteState(Box::new(StateChange {
        state: next,
        switched: None,
        why: None,
        step: Some(step),
    })))
}

/// Restores the endpoint, if it is not restored yet. Puts the side back in service once it serves
/// and is advancing.
fn return_to_service(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    side: Side,
) -> Flow<Next> {
    let state = &documents.state;
    let endpoint = known(observed.endpoint(side))?;
    let id = &pair.sides[side].endpoint;
    let repair = match state.sides[side].cut() {
        Some(record) => held(side, repair(record, id, endpoint))?,
        None => None,
    };
    if let Some(action) = repair {
        return restore_endpoint(pair, observed, side, action);
    }
    if endpoint.is_none() {
        let why = format!("MediaPackage has no endpoint {id}");
        return Break(Next::Held(HeldReason::EndpointNotRestorable { side, why }));
    }
    must_advance(observed, documents, side)?;
    Continue(Next::WriteState(Box::new(StateChange {
        state: returned(state, side, endpoint, pair.prefer, observed.now()),
        switched: Some(side),
        why: None,
        step: Some(format!("take {side} back")),
    })))
}

fn restore_endpoint(
    pair: &Pair,
    observed: &Observed,
    side: Side,
    action: EndpointAction,
) -> Flow<Next> {
    if observed.is_dry_run() {
        return Continue(Next::Report(planned(
            action.step(&pair.sides[side].endpoint),
        )));
    }
    let effect = Effect::Endpoint(side, action);
    Continue(match observed.failure() {
        Some(why) => Next::Failed(why),
        None => Next::Apply {
            effect,
            notes: Vec::new(),
        },
    })
}

/// Makes a side the active one, as a person requested. Both sides are live.
fn promote(observed: &Observed, documents: &PairDocuments, side: Side) -> Flow<Next> {
    must_advance(observed, documents, side)?;
    let mut next = documents.state.clone();
    (next.active, next.generation) = (side, next.generation + 1);
    next.sides[side].stall = None;
    Continue(Next::WriteState(Box::new(StateChange {
        state: next,
        switched: Some(side),
        why: None,
        step: Some(format!("promote {side}")),
    })))
}

/// Never routes viewers to a side that does not serve or has no new segments. The last segment is
/// stored in the state: the next probe compares with it.
fn must_advance(observed: &Observed, documents: &PairDocuments, side: Side) -> Flow {
    let probe = known(observed.own_probe(side))?;
    let why = match probe.freshness {
        Freshness::Advancing => return Continue(()),
        Freshness::Stale(why) | Freshness::Unknown(why) => why,
    };
    let mut next = documents.state.clone();
    next.sides[side].last_segment = probe.last_segment;
    if next != documents.state {
        return Break(Next::remember(next));
    }
    Break(Next::Held(HeldReason::SideNotAdvancing { side, why }))
}

/// Publishes the documents that follow from the state, unless an earlier run has done so, and
/// reports.
///
/// The playlist is written first: a new viewer must know the side before the steering manifest
/// sends players to it.
fn publish(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    why: Option<String>,
) -> Flow<Ending> {
    if observed.switched().is_some() || is_behind(pair, documents) || observed.has_changed() {
        known(facts_to_publish(observed, documents))?;
        let PairDocuments { state, published } = documents;
        if published.is_ahead_of(state) {
            return Break(Next::ReadAgain);
        }
        let plan = plan(pair, state, published, observed.playlists(), false);
        write(observed, plan)?;
    }
    Continue(Ending {
        why,
        notes: notes(observed),
        ..Ending::default()
    })
}

fn write(observed: &Observed, plan: Result<Plan, HeldReason>) -> Flow {
    let plan = match plan {
        Ok(plan) => plan,
        Err(reason) => return Break(Next::Held(reason)),
    };
    if let Some(why) = observed.failure() {
        return Break(Next::Failed(why));
    }
    let effects = [
        plan.index.map(Effect::Publish),
        plan.steering.map(Effect::Steer),
    ];
    match effects.into_iter().flatten().next() {
        Some(effect) => Break(Next::Apply {
            effect,
            notes: [plan.missing, plan.unpaired].concat(),
        }),
        None => Continue(()),
    }
}

/// Whether a published document was rendered from an earlier state. Without steering, an old
/// steering manifest does not count.
fn is_behind(pair: &Pair, documents: &PairDocuments) -> bool {
    let PairDocuments { state, published } = documents;
    let steering = published
        .steering
        .as_ref()
        .filter(|_| pair.steering_ttl.is_some());
    let index = published.index.as_ref().map(PublishedIndex::generation);
    let mut generations = index
        .into_iter()
        .chain(steering.map(|steering| steering.generation));
    generations.any(|published| published < state.generation)
}

/// Fetches the side playlists that publishing needs. After a switch in this run, these are the
/// playlists of live sides that are not published yet. Otherwise both are needed, since the
/// published documents may be incomplete.
fn facts_to_publish(observed: &Observed, documents: &PairDocuments) -> Result<(), Missing> {
    let known = documents.published.sides(&documents.state);
    let is_needed = |side: Side| {
        let is_unknown = known[side].is_none() && documents.state.sides[side].is_live();
        observed.switched().is_none() || is_unknown
    };
    of_sides(|side| {
        if is_needed(side) {
            observed.playlist(side).map(drop)
        } else {
            Ok(())
        }
    })
    .map(drop)
}

fn notes(observed: &Observed) -> Vec<String> {
    let note = |side: Side| match observed.set_alerts(side) {
        Err(Missing::Failure(why)) => Some(format!(
            "whether side {side} has lost its input is unknown: {why}"
        )),
        _ => None,
    };
    Side::BOTH.into_iter().filter_map(note).collect()
}

/// The end of a dry run at a step whose consequences cannot be planned.
fn planned(step: String) -> Ending {
    Ending {
        step: Some(step),
        ..Ending::default()
    }
}

fn held<T>(side: Side, repair: Result<T, String>) -> Flow<T> {
    match repair {
        Ok(repair) => Continue(repair),
        Err(why) => Break(Next::Held(HeldReason::EndpointNotRestorable { side, why })),
    }
}

/// The number of earlier pathways that stay in the steering manifest. A player that was suspended
/// follows them; a player that is playing needs only the newest.
const MAX_CLONES: usize = 16;

/// The next step in the return of a side.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing changes for viewers.
    Wait {
        /// The reason to wait.
        why: String,
        /// The state to write, if it changes.
        remember: Option<PairState>,
    },
    /// Write this state, in which the side's endpoint is to be restored.
    Restore(PairState),
    /// Restore the endpoint if that is not done yet, then check that it serves.
    Probe,
}

/// The stabilization period while the active side is lost as well: a side that has just recovered
/// is better than a lost one. Two scheduled checks have seen the side healthy by then.
const SHORTENED_PERIOD: TimeDelta = TimeDelta::seconds(60);

/// The stabilization period of a side while the other one is lost. Without steering there is no
/// shortened period: players avoid a pathway for 300 s after an error (hls.js and Media3).
pub fn shortened_period(pair: &Pair) -> TimeDelta {
    if pair.steering_ttl.is_some() {
        pair.stabilization_period.min(SHORTENED_PERIOD)
    } else {
        pair.stabilization_period
    }
}

/// The next step of a side. `health` is `None` if a person requested the step.
pub fn step(
    state: &PairState,
    side: Side,
    health: Option<&Health>,
    stabilization_period: TimeDelta,
    now: DateTime<Utc>,
) -> Step {
    let record = match &state.sides[side].status {
        Status::Live => return Step::wait(format!("side {side} is live")),
        Status::Cut(record) | Status::Returning(record) => record,
    };
    let Some(health) = health else {
        return step_by_hand(state, side, record, now);
    };
    let is_returning = matches!(state.sides[side].status, Status::Returning(_));
    // A person may return a side that MediaLive reports as unhealthy. The health that MediaLive
    // reports may not return a side that a person or an alarm has cut.
    match (record.until, health) {
        (Until::Alarm, _) => Step::wait(format!(
            "side {side} was cut by its alarm, which has not gone to OK"
        )),
        (Until::Person, _) => Step::wait(format!(
            "side {side} was cut by hand, and is brought back by hand"
        )),
        (Until::Healthy, Health::Unhealthy(why)) => Step::Wait {
            why: format!("side {side} is not healthy: {why}"),
            remember: (!is_returning && record.healthy_since.is_some())
                .then(|| with_healthy_since(state, side, record, None)),
        },
        (Until::Healthy, Health::Healthy { .. }) if is_returning => Step::Probe,
        (Until::Healthy, Health::Healthy { last_cleared }) => {
            let healthy_for = now - healthy_since(state, side, *last_cleared).unwrap_or(now);
            if healthy_for >= stabilization_period {
                return Step::Restore(state.change(side, now, Status::Returning(record.clone())));
            }
            let (seconds, of) = (
                healthy_for.num_seconds(),
                stabilization_period.num_seconds(),
            );
            let is_first = record.healthy_since.is_none();
            Step::Wait {
                why: format!("side {side} has been healthy for {seconds} s of {of} s"),
                remember: is_first.then(|| with_healthy_since(state, side, record, Some(now))),
            }
        }
    }
}

fn step_by_hand(state: &PairState, side: Side, record: &CutRecord, now: DateTime<Utc>) -> Step {
    if matches!(state.sides[side].status, Status::Returning(_)) {
        return Step::Probe;
    }
    let mut next = state.change(side, now, Status::Returning(record.clone()));
    next.sides[side].alarm_since = None;
    Step::Restore(next)
}

/// The time since which a side has been healthy. `None` if this check is the first to see it
/// healthy. MediaLive may report a failure that began and ended between two checks.
fn healthy_since(
    state: &PairState,
    side: Side,
    last_cleared: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let first_seen = state.sides[side].cut()?.healthy_since?;
    let later = [last_cleared, state.sides[side].since]
        .into_iter()
        .flatten();
    Some(later.fold(first_seen, DateTime::max))
}

impl Step {
    fn wait(why: String) -> Self {
        Self::Wait {
            why,
            remember: None,
        }
    }
}

/// The same state with a new value of `healthy_since`. The generation stays: nothing changes for
/// viewers.
fn with_healthy_since(
    state: &PairState,
    side: Side,
    record: &CutRecord,
    healthy_since: Option<DateTime<Utc>>,
) -> PairState {
    let mut next = state.clone();
    next.sides[side].status = Status::Cut(CutRecord {
        healthy_since,
        ..record.clone()
    });
    next
}

/// The state after a side's alarm changed to OK. From then on, the health that MediaLive reports
/// decides on the side's return. `None` if the state does not change.
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

/// The action that restores a side's endpoint `id`, or `None` if the endpoint needs no repair.
/// `endpoint` is its current definition, or `None` if it does not exist.
///
/// # Errors
///
/// The reason for which the endpoint cannot be restored.
pub fn repair(
    record: &CutRecord,
    id: &str,
    endpoint: Option<&Definition>,
) -> Result<Option<EndpointAction>, String> {
    let cut = record
        .endpoint
        .as_ref()
        .and_then(|endpoint| Definition::parse(endpoint).ok());
    if let Some(cut) = cut.as_ref().map(Definition::id).filter(|cut| *cut != id) {
        return Err(format!(
            "it was cut as endpoint {cut}, but the settings name {id}: set {cut} again"
        ));
    }
    match (record.by, endpoint) {
        (CutBy::None, _) => Ok(None),
        (CutBy::Delete | CutBy::Deny, None) => match cut {
            Some(cut) => Ok(Some(EndpointAction::Create(Box::new(cut)))),
            None => Err(
                "it did not exist when the side was cut, so its definition is not known: create it"
                    .to_owned(),
            ),
        },
        // The cut was deferred: the endpoint is unchanged and needs no repair.
        (_, Some(_)) if record.waits => Ok(None),
        (CutBy::Delete, Some(endpoint)) if cut.is_some_and(|cut| cut.is_the_same_as(endpoint)) => {
            Err("the endpoint to be deleted still exists: fail-over deletes it first".to_owned())
        }
        (_, Some(endpoint)) => Ok(match endpoint.origination() {
            Origination::Allow => None,
            Origination::Deny => Some(EndpointAction::Allow(Box::new(endpoint.clone()))),
        }),
    }
}

/// The state in which a side is live again. `described` is the current definition of its endpoint.
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
    // After errors, players avoid a pathway with this name for minutes (hls.js and Media3: 300 s).
    let is_avoided = state.sides[side]
        .cut()
        .is_some_and(|record| record.by != CutBy::None && !record.waits);
    if is_elsewhere || is_avoided {
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
