//! Fail-over: when a side is taken out of service, in which order, and how.
//!
//! Alerts, alarms, the schedule and people are only triggers: each run checks the sides itself. A
//! run writes the state first, then the steering manifest. Then it cuts the side at its endpoint
//! and publishes the playlist. The next run completes an interrupted one: all steps follow from the
//! state.

use crate::pair::endpoint::{Definition, Origination};
use crate::pair::freshness::{Freshness, ProbeResult, media_sequence_offset};
use crate::pair::health::{misconfiguration, set_alerts};
use crate::pair::held::HeldReason;
use crate::pair::next::{
    Effect, Ending, EndpointAction, Flow, Missing, Next, Question, StateChange, both, known,
    of_sides,
};
use crate::pair::observed::{Observed, PairDocuments};
use crate::pair::state::{CutRecord, PairState, StallRecord, Status, Until};
use crate::pair::trigger::Trigger;
use crate::pair::{CutBy, Pair, Side, Sides};
use crate::publish_playlist::{SideFetch, plan};
use chrono::{DateTime, TimeDelta, Utc};
use std::ops::ControlFlow::{Break, Continue};
use std::ops::RangeInclusive;
use url::Url;

/// The reason for which fail-over ignores an event, if it does.
pub fn ignored(trigger: &Trigger) -> Option<String> {
    match trigger {
        Trigger::Ignored { why } => Some(why.clone()),
        Trigger::InputRecovered { .. } => {
            Some("fail-back handles the end of an alert or alarm".to_owned())
        }
        Trigger::InputLost { .. } | Trigger::ScheduledCheck | Trigger::Manual { .. } => None,
    }
}

/// The next thing to do about an event that is not ignored.
pub fn next(pair: &Pair, observed: &Observed) -> Next {
    Next::of(decide(pair, observed))
}

fn decide(pair: &Pair, observed: &Observed) -> Flow<Ending> {
    let Some(documents) = observed.documents() else {
        return Break(Next::Read(questions_before_reading(pair, observed)));
    };
    if observed.switched().is_some() {
        follow_up(pair, observed, documents)?;
        return Continue(ending(pair, observed, documents, observed.why()));
    }
    if *observed.trigger() == Trigger::ScheduledCheck {
        // An interrupted fail-over is completed first, even if MediaLive does not respond.
        end_waits(pair, observed, documents)?;
        follow_up(pair, observed, documents)?;
    }
    let finding = find(pair, observed, documents)?;
    match finding.diagnosis {
        Diagnosis::InputLost(loss) => {
            take_out(pair, observed, documents, &finding.state, &loss)?;
            follow_up(pair, observed, documents)?;
            Continue(ending(pair, observed, documents, Some(loss.why)))
        }
        Diagnosis::Healthy { .. } if *observed.trigger() == Trigger::ScheduledCheck => {
            complete_check(pair, observed, documents, finding.state)
        }
        Diagnosis::Healthy { why } => {
            follow_up(pair, observed, documents)?;
            Continue(ending(pair, observed, documents, Some(why)))
        }
    }
}

/// Requests that are probably needed after an alert, an alarm or a manual request. They run while
/// the documents are read, so they cost no time.
fn questions_before_reading(pair: &Pair, observed: &Observed) -> Vec<Question> {
    let (Trigger::InputLost { side, .. } | Trigger::Manual { side }) = observed.trigger() else {
        return Vec::new();
    };
    let other = side.other();
    let endpoint = (pair.cut != CutBy::None).then_some(Question::Endpoint(*side));
    let media = observed.last_known(other);
    let media = media.map(|url| Question::Media(other, url.clone()));
    endpoint.into_iter().chain(media).collect()
}

/// The state of the inputs, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// A side has lost its input, or is stalled.
    InputLost(Loss),
    /// No side is known to be lost.
    Healthy {
        /// The reason for this diagnosis.
        why: String,
    },
}

/// A side that has lost its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The side.
    pub side: Side,
    /// The reason for which the side counts as lost.
    pub why: String,
    /// The condition for the side's return.
    pub until: Until,
}

/// A diagnosis, and the state with the results of the probes. Both are written together.
struct Finding {
    diagnosis: Diagnosis,
    state: PairState,
}

fn find(pair: &Pair, observed: &Observed, documents: &PairDocuments) -> Flow<Finding> {
    let state = documents.state.clone();
    if *observed.trigger() == Trigger::ScheduledCheck {
        return find_by_schedule(pair, observed, documents);
    }
    let diagnosis = match diagnose(observed.trigger(), &state, observed.now()) {
        Some(diagnosis) => diagnosis,
        None => known(by_alerts(pair, observed, &state))??,
    };
    Continue(Finding { diagnosis, state })
}

/// Uses the alerts of MediaLive. If they report no loss, uses probes of the media playlists.
fn find_by_schedule(pair: &Pair, observed: &Observed, documents: &PairDocuments) -> Flow<Finding> {
    let state = &documents.state;
    let by_alerts = match by_alerts(pair, observed, state) {
        // A failed request does not end the check: the probes may be enough.
        Err(Missing::Failure(_)) => None,
        diagnosis => Some(known(diagnosis)??),
    };
    if let Some(lost @ Diagnosis::InputLost(_)) = by_alerts {
        return Continue(Finding {
            diagnosis: lost,
            state: state.clone(),
        });
    }
    let probes = live_probes(observed, documents)?;
    let state = remember_probes(state, &probes, observed.now());
    let diagnosis = diagnose_probes(&state, &freshness_of(&probes), observed.now());
    Continue(Finding { diagnosis, state })
}

/// The diagnosis from the alerts that are set, or `Break` if both sides have lost their input.
fn by_alerts(
    pair: &Pair,
    observed: &Observed,
    state: &PairState,
) -> Result<Flow<Diagnosis>, Missing> {
    let alerts = |side: Side| {
        let alerts = observed.set_alerts(side)?;
        let set = set_alerts(&pair.sides[side], &pair.alert_types, alerts);
        Ok(set.into_iter().map(str::to_owned).collect())
    };
    Ok(match diagnose_alerts(state, &of_sides(alerts)?) {
        Ok(diagnosis) => Continue(diagnosis),
        Err(reason) => Break(Next::Held(reason)),
    })
}

/// Writes the state in which a side is out of service, if that is allowed and not yet done. An
/// alarm or a manual request is stored in the state in both cases.
fn take_out(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    state: &PairState,
    loss: &Loss,
) -> Flow {
    let noted = note(state, loss, observed.now());
    let cut = if is_cut(&noted, loss.side) {
        Ok(None)
    } else {
        cut_state(pair, observed, documents, &noted, loss)?.map(Some)
    };
    match cut {
        Ok(Some(cut)) => Break(Next::WriteState(Box::new(StateChange {
            state: cut,
            switched: Some(loss.side),
            why: Some(loss.why.clone()),
            step: None,
        }))),
        Ok(None) | Err(_) if noted != documents.state => Break(Next::remember(noted)),
        Ok(None) => Continue(()),
        Err(reason) => Break(Next::Held(reason)),
    }
}

fn cut_state(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    state: &PairState,
    loss: &Loss,
) -> Flow<Result<PairState, HeldReason>> {
    if let Err(reason) = other_must_be_live(state, loss) {
        return Continue(Err(reason));
    }
    let endpoint = match pair.cut {
        CutBy::None => Ok(None),
        CutBy::Delete | CutBy::Deny => observed.endpoint(loss.side),
    };
    let other = freshness(observed, documents, loss.side.other());
    let (endpoint, other) = known(both(endpoint, other))?;
    let allowed = other_must_advance(loss, other);
    Continue(allowed.map(|()| cut(pair, state, loss, endpoint, observed.now())))
}

/// Whether a side is advancing, by its published media playlist. If that one is not known or
/// unavailable, by the media playlist that the side's own playlist names now. The endpoint may have
/// been created again by hand, or the CDN in front of it may be another one.
fn freshness(
    observed: &Observed,
    documents: &PairDocuments,
    side: Side,
) -> Result<Freshness, Missing> {
    if observed.playlists()[side] == SideFetch::Skipped
        && let Some(url) = media_playlist(documents, side)
        && let Ok(probe) = observed.probe(side, &url)?
    {
        return Ok(probe.freshness);
    }
    Ok(observed.own_probe(side)?.freshness)
}

/// The published address of one of a side's media playlists.
fn media_playlist(documents: &PairDocuments, side: Side) -> Option<Url> {
    let published = documents.published.sides(&documents.state);
    published[side].as_ref()?.media_playlist().cloned()
}

/// Probes of the live sides, to detect a stale side before viewers need it.
fn live_probes(observed: &Observed, documents: &PairDocuments) -> Flow<Sides<Option<ProbeResult>>> {
    let probe = |side: Side| {
        let is_live = documents.state.sides[side].is_live();
        let url = media_playlist(documents, side).filter(|_| is_live);
        url.map(|url| observed.probe_or_unknown(side, &url))
            .transpose()
    };
    known(of_sides(probe))
}

fn freshness_of(probes: &Sides<Option<ProbeResult>>) -> Sides<Option<Freshness>> {
    Sides::of(|side| Some(probes[side].as_ref()?.freshness.clone()))
}

/// The state with the results of the probes. The next check compares with them.
fn remember_probes(
    state: &PairState,
    probes: &Sides<Option<ProbeResult>>,
    now: DateTime<Utc>,
) -> PairState {
    let mut next = state.clone();
    let freshness = freshness_of(probes);
    for side in Side::BOTH {
        let Some(probe) = &probes[side] else { continue };
        let other = freshness[side.other()].as_ref();
        next.sides[side].last_segment = probe.last_segment;
        next.sides[side].stall =
            stall_record(state.sides[side].stall, &probe.freshness, other, now);
    }
    next
}

/// Marks a deferred cut as due in the state, once all players know the other side and that side is
/// advancing.
fn end_waits(pair: &Pair, observed: &Observed, documents: &PairDocuments) -> Flow {
    for side in Side::BOTH {
        if let Some(next) = wait_is_over(pair, &documents.state, side, observed.now())
            && known(freshness(observed, documents, side.other()))? == Freshness::Advancing
        {
            return Break(Next::remember(next));
        }
    }
    Continue(())
}

/// Applies the effects that follow from the state, one after another: writes the steering manifest,
/// cuts the endpoints of cut sides, publishes the playlist.
///
/// A failed effect does not stop the later ones. A lost side is cut even if the steering manifest
/// cannot be written. New viewers are sent to the active side even if MediaPackage fails.
fn follow_up(pair: &Pair, observed: &Observed, documents: &PairDocuments) -> Flow {
    known(facts_for_follow_up(observed, documents))?;
    let PairDocuments { state, published } = documents;
    if published.is_ahead_of(state) {
        return Break(Next::ReadAgain);
    }
    // Without a playlist, there is nothing to steer or publish. A lost side is still cut.
    let plan = plan(pair, state, published, observed.playlists(), false).ok();
    let notes = plan
        .iter()
        .flat_map(|plan| plan.missing.iter().chain(&plan.unpaired));
    let notes: Vec<String> = notes.cloned().collect();
    let (steering, index) = plan
        .map(|plan| (plan.steering, plan.index))
        .unwrap_or_default();
    if let Some(steering) = steering {
        apply(observed, Effect::Steer(steering), notes)?;
    }
    for side in Side::BOTH {
        if let CutStep::Apply(action) = known(cut_step(observed, documents, side))? {
            apply(observed, Effect::Endpoint(side, action), Vec::new())?;
        }
    }
    if let Some(index) = index {
        apply(observed, Effect::Publish(index), Vec::new())?;
    }
    match observed.failure() {
        Some(why) => Break(Next::Failed(why)),
        None => Continue(()),
    }
}

/// Requests everything that must be known before the first effect, in parallel.
fn facts_for_follow_up(observed: &Observed, documents: &PairDocuments) -> Result<(), Missing> {
    let PairDocuments { state, published } = documents;
    let published_sides = published.sides(state);
    let of_side = |side: Side| {
        // The published playlist must not lose a side because this run did not fetch the playlist
        // of that side.
        let is_unknown = state.sides[side].is_live() && published_sides[side].is_none();
        let playlist = if is_unknown && published.index.is_some() {
            observed.playlist(side).map(drop)
        } else {
            Ok(())
        };
        let endpoint = if state.sides[side].is_cut_at_endpoint() {
            observed.endpoint(side).map(drop)
        } else {
            Ok(())
        };
        both(playlist, endpoint)
    };
    of_sides(of_side).map(drop)
}

fn apply(observed: &Observed, effect: Effect, notes: Vec<String>) -> Flow {
    if observed.has_failed(&effect) {
        return Continue(());
    }
    Break(Next::Apply { effect, notes })
}

fn cut_step(
    observed: &Observed,
    documents: &PairDocuments,
    side: Side,
) -> Result<CutStep, Missing> {
    match &documents.state.sides[side].status {
        Status::Cut(record) if record.by != CutBy::None => {
            Ok(next_cut_step(record, observed.endpoint(side)?))
        }
        Status::Cut(_) | Status::Live | Status::Returning(_) => Ok(CutStep::None),
    }
}

/// The end of a scheduled check that detected no loss.
fn complete_check(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    state: PairState,
) -> Flow<Ending> {
    if state != documents.state {
        return Break(Next::remember(state));
    }
    // If MediaLive did not return the alerts, the run fails here. The next check tries again.
    known(of_sides(|side| observed.set_alerts(side)))?;
    if Side::BOTH
        .into_iter()
        .all(|side| documents.state.sides[side].is_live())
    {
        check_configuration(pair, observed)?;
    }
    let mut ending = ending(pair, observed, documents, None);
    ending.notes.extend(offset_note(observed, documents));
    Continue(ending)
}

fn check_configuration(pair: &Pair, observed: &Observed) -> Flow {
    let channels = of_sides(|side| observed.channel(side));
    let endpoints = of_sides(|side| observed.endpoint(side));
    let (channels, endpoints) = known(both(channels, endpoints))?;
    match misconfiguration(pair, &channels, &endpoints) {
        Some(why) => Break(Next::Held(HeldReason::Misconfigured { why })),
        None => Continue(()),
    }
}

/// The live sides that are not advancing, each with the reason. `None` if this run was not a check,
/// or took a side out of service.
pub fn stale_sides(observed: &Observed) -> Option<Vec<String>> {
    let is_check = *observed.trigger() == Trigger::ScheduledCheck && observed.switched().is_none();
    let probes =
        live_probes(observed, observed.documents().filter(|_| is_check)?).continue_value()?;
    let stale = |side: Side| match &probes[side].as_ref()?.freshness {
        Freshness::Advancing => None,
        Freshness::Stale(why) | Freshness::Unknown(why) => Some(format!("{side}: {why}")),
    };
    Some(Side::BOTH.into_iter().filter_map(stale).collect())
}

/// Offsets that freeze hls.js after a switch. Larger offsets are longer than a show, and cause no
/// freeze.
const FREEZING_OFFSETS: RangeInclusive<i64> = 1..=5_000;

fn offset_note(observed: &Observed, documents: &PairDocuments) -> Option<String> {
    let probe = |side: Side| observed.media(side, &media_playlist(documents, side)?);
    let (a, b) = (probe(Side::A)?, probe(Side::B)?);
    let offset = media_sequence_offset(a, b)?;
    FREEZING_OFFSETS.contains(&offset.abs()).then(|| {
        format!(
            "the media sequence numbers of B are {offset} ahead of those of A for the same moment: \
             hls.js freezes for that many segments after a switch to the side with the lower \
             numbers"
        )
    })
}

/// The report of a run that is complete.
fn ending(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    why: Option<String>,
) -> Ending {
    let PairDocuments { state, published } = documents;
    let plan = plan(pair, state, published, observed.playlists(), false);
    let mut notes: Vec<String> = plan.err().iter().map(ToString::to_string).collect();
    notes.extend(Side::BOTH.into_iter().flat_map(|side| {
        let wait = waiting_note(pair, observed, documents, side);
        wait.into_iter()
            .chain(endpoint_note(pair, observed, documents, side))
    }));
    Ending {
        why,
        notes,
        ..Ending::default()
    }
}

/// The reason for which a cut that is due has not been made.
fn waiting_note(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    side: Side,
) -> Option<String> {
    let is_scheduled = *observed.trigger() == Trigger::ScheduledCheck;
    wait_is_over(pair, &documents.state, side, observed.now()).filter(|_| is_scheduled)?;
    let other = side.other();
    Some(format!(
        "side {side} is not cut yet: side {other} is not advancing"
    ))
}

/// The reason for which the endpoint of a cut side is not changed.
fn endpoint_note(
    pair: &Pair,
    observed: &Observed,
    documents: &PairDocuments,
    side: Side,
) -> Option<String> {
    let id = &pair.sides[side].endpoint;
    match cut_step(observed, documents, side).ok()? {
        CutStep::NotOurs => Some(format!(
            "endpoint {id} was created again after side {side} was cut, and is left alone"
        )),
        CutStep::Waits => Some(format!(
            "endpoint {id} serves until all players know the side that returned; the schedule \
             cuts it then"
        )),
        CutStep::None | CutStep::Apply(_) => None,
    }
}

/// An older alert is not trusted: EventBridge retries its delivery for a day, and the input may
/// have recovered long ago.
pub const FRESH_ALERT: TimeDelta = TimeDelta::seconds(120);

/// The diagnosis from the event alone. `None` if the alerts of MediaLive are needed.
pub fn diagnose(trigger: &Trigger, state: &PairState, now: DateTime<Utc>) -> Option<Diagnosis> {
    match trigger {
        Trigger::InputLost {
            side,
            at,
            what,
            is_alarm,
        } => {
            let is_old = now - at > FRESH_ALERT;
            // An alert from before the side returned is about a failure that is over.
            let side_state = &state.sides[*side];
            let is_over =
                side_state.is_live() && side_state.since.is_some_and(|since| *at <= since);
            let until = if *is_alarm {
                Until::Alarm
            } else {
                Until::Healthy
            };
            (!is_old && !is_over).then(|| {
                Diagnosis::InputLost(Loss {
                    side: *side,
                    why: format!("{what} at {}", at.format("%FT%TZ")),
                    until,
                })
            })
        }
        Trigger::ScheduledCheck => None,
        Trigger::Manual { side } => Some(Diagnosis::InputLost(Loss {
            side: *side,
            why: "requested by hand".to_owned(),
            until: Until::Person,
        })),
        Trigger::InputRecovered { .. } | Trigger::Ignored { .. } => {
            ignored(trigger).map(|why| Diagnosis::Healthy { why })
        }
    }
}

/// The diagnosis from the alerts that MediaLive has set, and from the alarms that the state records
/// as in ALARM.
///
/// # Errors
///
/// [`HeldReason`] if both sides have lost their input.
pub fn diagnose_alerts(
    state: &PairState,
    set: &Sides<Vec<String>>,
) -> Result<Diagnosis, HeldReason> {
    let why = |side: Side| match state.sides[side].alarm_since {
        Some(since) => format!(
            "its CloudWatch alarm has been in ALARM since {}",
            since.format("%FT%TZ")
        ),
        None => format!("MediaLive alerts are set: {}", set[side].join(", ")),
    };
    let is_in_alarm = |side: Side| state.sides[side].alarm_since.is_some();
    let is_lost =
        |side: &Side| (!set[*side].is_empty() || is_in_alarm(*side)) && !is_cut(state, *side);
    let lost: Vec<Side> = Side::BOTH.into_iter().filter(is_lost).collect();
    match lost.as_slice() {
        [] => Ok(Diagnosis::Healthy {
            why: "MediaLive has no alert set that means a lost input".to_owned(),
        }),
        [side] => Ok(Diagnosis::InputLost(Loss {
            side: *side,
            why: why(*side),
            until: if is_in_alarm(*side) {
                Until::Alarm
            } else {
                Until::Healthy
            },
        })),
        _ => Err(HeldReason::BothSidesLost {
            a: why(Side::A),
            b: why(Side::B),
        }),
    }
}

/// The state with two facts that no later request returns: an alarm is in ALARM, or a person wants
/// a cut side to stay out of service. They are stored even if the side cannot be cut now.
pub fn note(state: &PairState, loss: &Loss, now: DateTime<Utc>) -> PairState {
    let mut next = state.clone();
    let side = &mut next.sides[loss.side];
    if loss.until == Until::Alarm {
        side.alarm_since.get_or_insert(now);
    }
    if let Status::Cut(record) = &mut side.status {
        record.until = record.until.max(loss.until);
    }
    next
}

/// Longest time between two checks that count together: the schedule runs each minute.
const LONGEST_CHECK_INTERVAL: TimeDelta = TimeDelta::seconds(150);

/// The stall record of a side after a probe. A stale side counts only while the `other` side is
/// advancing or out of service. At the start and the end of a show, both sides are stale.
pub fn stall_record(
    before: Option<StallRecord>,
    freshness: &Freshness,
    other: Option<&Freshness>,
    now: DateTime<Utc>,
) -> Option<StallRecord> {
    match (freshness, other) {
        (Freshness::Stale(_), None | Some(Freshness::Advancing)) => {
            let before = before.filter(|before| now - before.seen <= LONGEST_CHECK_INTERVAL);
            Some(StallRecord {
                since: before.map_or(now, |before| before.since),
                seen: now,
            })
        }
        (Freshness::Unknown(_), _) => before,
        _ => None,
    }
}

/// How long the active side must have been stale to count as lost without an alert or an alarm. The
/// schedule runs each minute, so two checks are needed.
pub const STALL_LIMIT: TimeDelta = TimeDelta::seconds(45);

/// The stall of a side, if it is long enough for the side to count as lost.
pub fn stalled(state: &PairState, side: Side, now: DateTime<Utc>) -> Option<StallRecord> {
    let is_long = |stall: &StallRecord| {
        stall.seen - stall.since >= STALL_LIMIT && now - stall.seen <= LONGEST_CHECK_INTERVAL
    };
    state.sides[side].stall.filter(is_long)
}

/// The diagnosis from probes of both sides: a channel that was stopped or crashed sets no alert.
pub fn diagnose_probes(
    state: &PairState,
    freshness: &Sides<Option<Freshness>>,
    now: DateTime<Utc>,
) -> Diagnosis {
    let (side, other) = (state.active, state.active.other());
    let healthy = |why: &str| Diagnosis::Healthy {
        why: why.to_owned(),
    };
    let (Some(Freshness::Stale(why)), Some(Freshness::Advancing)) =
        (&freshness[side], &freshness[other])
    else {
        return healthy("the active side is advancing, or the other side is not");
    };
    match stalled(state, side, now) {
        Some(StallRecord { since, .. }) => Diagnosis::InputLost(Loss {
            side,
            why: format!("stalled since {}: {why}", since.format("%FT%TZ")),
            until: Until::Healthy,
        }),
        None => healthy("the active side has not been stale for long"),
    }
}

/// Never takes the last live side out of service.
fn other_must_be_live(state: &PairState, loss: &Loss) -> Result<(), HeldReason> {
    let Loss { side, why, .. } = loss;
    if state.sides[side.other()].is_live() {
        return Ok(());
    }
    Err(HeldReason::LastLiveSide {
        side: *side,
        why: why.clone(),
    })
}

/// Never routes viewers to a stale side.
fn other_must_advance(loss: &Loss, other: Freshness) -> Result<(), HeldReason> {
    let (side, why) = (loss.side, loss.why.clone());
    match other {
        Freshness::Advancing => Ok(()),
        Freshness::Stale(stale) => Err(HeldReason::OtherSideStale { side, why, stale }),
        Freshness::Unknown(unknown) => Err(HeldReason::OtherSideUnknown { side, why, unknown }),
    }
}

/// Whether a side is cut already.
pub fn is_cut(state: &PairState, side: Side) -> bool {
    matches!(state.sides[side].status, Status::Cut(_))
}

/// The state in which the lost side is cut and viewers are on the other.
pub fn cut(
    pair: &Pair,
    state: &PairState,
    loss: &Loss,
    endpoint: Option<&Definition>,
    now: DateTime<Utc>,
) -> PairState {
    let (side, other) = (loss.side, loss.side.other());
    let record = match (endpoint, state.sides[side].cut()) {
        // The side was returning, and its endpoint does not exist yet: keep the saved definition.
        (None, Some(earlier)) => CutRecord {
            why: loss.why.clone(),
            until: loss.until,
            healthy_since: None,
            ..earlier.clone()
        },
        _ => CutRecord {
            by: pair.cut,
            why: loss.why.clone(),
            endpoint: endpoint.map(Definition::to_value),
            until: loss.until,
            waits: endpoint.is_some()
                && is_known_from(pair, state, other).is_some_and(|from| now < from),
            healthy_since: None,
        },
    };
    let mut next = state.change(side, now, Status::Cut(record));
    next.active = other;
    if next.sides[side].url.is_none() {
        next.sides[side].url = endpoint.and_then(Definition::url);
    }
    next
}

/// The time from which every player knows a side that returned, and can switch to it. The side has
/// a new pathway, which players read in the steering manifest. A player caches the manifest for its
/// TTL, a CDN for half of that. Before this time, a cut of the other side would stop players.
/// `None` if players have always known the side.
pub fn is_known_from(pair: &Pair, state: &PairState, side: Side) -> Option<DateTime<Utc>> {
    let is_new = state
        .clones
        .iter()
        .any(|clone| clone.id == state.sides[side].pathway);
    let (ttl, since) = (pair.steering_ttl?, state.sides[side].since?);
    is_new.then(|| since + ttl * 2)
}

/// The state in which a deferred cut of a side's endpoint is due. `None` if the cut is not
/// deferred, or not due yet. The state is written before the endpoint is changed: a side whose
/// endpoint is unchanged returns without a repair.
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

/// The next change of the endpoint of a cut side.
#[derive(Debug, Clone, PartialEq)]
pub enum CutStep {
    /// Nothing.
    None,
    /// This change.
    Apply(EndpointAction),
    /// Nothing: the endpoint was created again after the cut, and On Air did not create it.
    NotOurs,
    /// Nothing yet: the cut is deferred until all players know the other side.
    Waits,
}

/// The next change of the endpoint of a cut side. `endpoint` is its current definition, or `None`
/// if it does not exist.
pub fn next_cut_step(record: &CutRecord, endpoint: Option<&Definition>) -> CutStep {
    let Some(endpoint) = endpoint else {
        return CutStep::None;
    };
    let cut = record
        .endpoint
        .as_ref()
        .and_then(|endpoint| Definition::parse(endpoint).ok());
    let is_ours = cut.is_some_and(|cut| cut.is_the_same_as(endpoint));
    match (record.by, endpoint.origination()) {
        (CutBy::None, _) | (CutBy::Deny, Origination::Deny) => CutStep::None,
        _ if !is_ours => CutStep::NotOurs,
        _ if record.waits => CutStep::Waits,
        (CutBy::Delete, _) => CutStep::Apply(EndpointAction::Delete),
        (CutBy::Deny, Origination::Allow) => {
            CutStep::Apply(EndpointAction::Deny(Box::new(endpoint.clone())))
        }
    }
}
