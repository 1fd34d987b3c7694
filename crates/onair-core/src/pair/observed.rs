//! The facts that a run of fail-over or fail-back has collected so far.
//!
//! A handler asks the questions that a decision returns, records the answers here, and decides
//! again. It does the same with every change that it makes, so that the next decision sees it.

use super::endpoint::Definition;
use super::freshness::{Freshness, LastSegment, PlaylistProbe, ProbeResult, evaluate};
use super::health::{Alert, Channel};
use super::next::{Effect, EndpointAction, Missing, Question, StateChange};
use super::state::PairState;
use super::trigger::{PairEvent, Trigger};
use super::{Pair, Side, Sides};
use crate::publish_playlist::{Document, Published, PublishedIndex, SideFetch};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use url::Url;

/// The answer to a [`Question`]. An `Err` is the message of a failed request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The definition of a side's endpoint, or `None` if MediaPackage has no such endpoint.
    Endpoint(Side, Result<Option<Definition>, String>),
    /// A side's own multivariant playlist.
    Playlist(Side, SideFetch),
    /// A media playlist of a side.
    Media(Side, Url, Result<PlaylistProbe, String>),
    /// The alerts of a side's channel that are set.
    SetAlerts(Side, Result<Vec<Alert>, String>),
    /// The alerts of a side's channel, cleared ones included.
    AllAlerts(Side, Result<Vec<Alert>, String>),
    /// A side's channel.
    Channel(Side, Result<Channel, String>),
}

/// The documents of a pair as they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct PairDocuments {
    /// The state.
    pub state: PairState,
    /// The published playlist and steering manifest.
    pub published: Published,
}

/// The facts and the changes of a run so far.
#[derive(Debug, Clone)]
pub struct Observed {
    trigger: Trigger,
    dry_run: bool,
    /// The media playlists that were published in an earlier run of this process.
    last_known: Sides<Option<Url>>,
    now: DateTime<Utc>,
    facts: Facts,
    done: Done,
}

/// The results of this attempt's requests.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// The state as it was read, before this run changed it.
    read: Option<PairState>,
    documents: Option<PairDocuments>,
    endpoints: Sides<Option<Result<Option<Definition>, String>>>,
    playlists: Sides<SideFetch>,
    /// By the address of the media playlist: the published one and the side's own can differ.
    probes: Sides<BTreeMap<Url, Result<PlaylistProbe, String>>>,
    set_alerts: Sides<Option<Result<Vec<Alert>, String>>>,
    all_alerts: Sides<Option<Result<Vec<Alert>, String>>>,
    channels: Sides<Option<Result<Channel, String>>>,
}

/// The changes of this run, in all its attempts.
#[derive(Debug, Clone, Default)]
struct Done {
    /// The side that this run cut, returned or promoted.
    switched: Option<Side>,
    /// The reason for that.
    why: Option<String>,
    /// A state whose write may have succeeded although no response arrived.
    tried: Option<StateChange>,
    has_changed: bool,
    steps: Vec<String>,
    notes: Vec<String>,
    failures: Vec<(Effect, String)>,
}

impl Observed {
    /// The facts before the first request: the event, and the media playlists that were published
    /// in an earlier run of this process.
    pub fn new(event: PairEvent, dry_run: bool, last_known: Sides<Option<Url>>) -> Self {
        Self {
            trigger: event.trigger,
            dry_run: dry_run || event.dry_run,
            last_known,
            now: DateTime::UNIX_EPOCH,
            facts: Facts::default(),
            done: Done::default(),
        }
    }

    /// Begins an attempt. Facts of an earlier attempt may be out of date and are dropped.
    pub fn begin(&mut self, now: DateTime<Utc>) {
        self.now = now;
        self.facts = Facts::default();
        // A failed effect may succeed in this attempt, or another run may have applied it.
        self.done.failures.clear();
    }

    /// Records the documents.
    pub fn read(&mut self, documents: PairDocuments) {
        if let Some(tried) = self.done.tried.take()
            && tried.state == documents.state
        {
            self.switch(&tried);
            self.done.steps.extend(tried.step);
        }
        self.facts.read = Some(documents.state.clone());
        self.facts.documents = Some(documents);
    }

    /// Records an answer.
    pub fn record(&mut self, answer: Answer) {
        let facts = &mut self.facts;
        match answer {
            Answer::Endpoint(side, endpoint) => facts.endpoints[side] = Some(endpoint),
            Answer::Playlist(side, fetch) => {
                facts.playlists[side] = fetch;
                // A failed probe is repeated at the URL that is known now.
                facts.probes[side].retain(|_, probe| probe.is_ok());
            }
            Answer::Media(side, url, probe) => {
                facts.probes[side].insert(url, probe);
            }
            Answer::SetAlerts(side, alerts) => facts.set_alerts[side] = Some(alerts),
            Answer::AllAlerts(side, alerts) => facts.all_alerts[side] = Some(alerts),
            Answer::Channel(side, channel) => facts.channels[side] = Some(channel),
        }
    }

    /// Records that a state is about to be written: the write may succeed without a response.
    pub fn writing(&mut self, change: &StateChange) {
        self.done.tried = Some(change.clone());
    }

    /// Records that a state was written, or would be in a dry run.
    pub fn written(&mut self, change: StateChange) {
        self.done.tried = None;
        self.switch(&change);
        self.done.steps.extend(change.step);
        if let Some(documents) = &mut self.facts.documents {
            documents.state = change.state;
        }
    }

    /// Records that an effect was applied, or would be in a dry run. MediaPackage returns the
    /// endpoint's `definition` after a change.
    pub fn applied(&mut self, pair: &Pair, effect: Effect, definition: Option<Definition>) {
        if let Effect::Endpoint(side, action) = &effect {
            match action.check(&pair.sides[*side].endpoint, definition.as_ref()) {
                Ok(note) => self.done.notes.extend(note),
                Err(why) => {
                    self.failed(effect, why);
                    return;
                }
            }
        }
        self.done.has_changed = true;
        self.done.steps.push(effect.step(pair));
        let Some(documents) = &mut self.facts.documents else {
            return;
        };
        let generation = documents.state.generation;
        match effect {
            Effect::Steer(text) => {
                documents.published.steering = Some(Document { text, generation });
            }
            Effect::Publish(text) => {
                let document = Document { text, generation };
                documents.published.index = Some(PublishedIndex::parse(document));
            }
            Effect::Endpoint(side, action) => {
                let definition = definition.or_else(|| action.assumed_definition());
                self.facts.endpoints[side] = Some(Ok(definition));
            }
        }
    }

    /// Records that an effect failed. Other effects may still succeed.
    pub fn failed(&mut self, effect: Effect, why: String) {
        self.done.failures.push((effect, why));
    }

    /// Records notes on the next effect, each once.
    pub fn note(&mut self, notes: Vec<String>) {
        for note in notes {
            if !self.done.notes.contains(&note) {
                self.done.notes.push(note);
            }
        }
    }

    fn switch(&mut self, change: &StateChange) {
        if let Some(side) = change.switched {
            self.done.switched = Some(side);
            self.done.why.clone_from(&change.why);
        }
    }
}

/// Facts for decisions and reports.
impl Observed {
    /// The trigger of this run.
    pub fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// Whether this run is a dry run, which changes nothing.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The state, with the changes of this run. `None` before it was read.
    pub fn state(&self) -> Option<&PairState> {
        Some(&self.facts.documents.as_ref()?.state)
    }

    /// The side that this run cut, returned or promoted, or would in a dry run.
    pub fn switched(&self) -> Option<Side> {
        self.done.switched
    }

    /// Whether anything was published, or any endpoint changed.
    pub fn has_changed(&self) -> bool {
        self.done.has_changed
    }

    /// The steps that were taken, or would be in a dry run, in order.
    pub fn steps(&self) -> &[String] {
        &self.done.steps
    }

    /// Notes for the answer.
    pub fn notes(&self) -> &[String] {
        &self.done.notes
    }

    /// The reason for which this run cut, returned or promoted a side.
    pub(crate) fn why(&self) -> Option<String> {
        self.done.why.clone()
    }

    /// The endpoint of a side, if it was requested. `Some(None)` if it does not exist.
    pub fn known_endpoint(&self, side: Side) -> Option<Option<&Definition>> {
        self.endpoint(side).ok()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(crate) fn documents(&self) -> Option<&PairDocuments> {
        self.facts.documents.as_ref()
    }

    pub(crate) fn last_known(&self, side: Side) -> Option<&Url> {
        self.last_known[side].as_ref()
    }

    pub(crate) fn endpoint(&self, side: Side) -> Result<Option<&Definition>, Missing> {
        known(&self.facts.endpoints[side], Question::Endpoint(side)).map(Option::as_ref)
    }

    pub(crate) fn set_alerts(&self, side: Side) -> Result<&[Alert], Missing> {
        known(&self.facts.set_alerts[side], Question::SetAlerts(side)).map(Vec::as_slice)
    }

    pub(crate) fn all_alerts(&self, side: Side) -> Result<&[Alert], Missing> {
        known(&self.facts.all_alerts[side], Question::AllAlerts(side)).map(Vec::as_slice)
    }

    pub(crate) fn channel(&self, side: Side) -> Result<&Channel, Missing> {
        known(&self.facts.channels[side], Question::Channel(side))
    }

    /// The playlists that were fetched in this attempt.
    pub(crate) fn playlists(&self) -> &Sides<SideFetch> {
        &self.facts.playlists
    }

    /// A side's own playlist.
    pub(crate) fn playlist(&self, side: Side) -> Result<&SideFetch, Missing> {
        match (&self.facts.playlists[side], &self.facts.endpoints[side]) {
            (SideFetch::Skipped, Some(Err(why))) => Err(Missing::Failure(why.clone())),
            (SideFetch::Skipped, _) => Err(Question::Playlist(side).into()),
            (fetch, _) => Ok(fetch),
        }
    }

    /// Whether a side is advancing, by the media playlist at this address; `Err` inside if the
    /// playlist could not be fetched.
    pub(crate) fn probe(
        &self,
        side: Side,
        url: &Url,
    ) -> Result<Result<ProbeResult, String>, Missing> {
        match self.facts.probes[side].get(url) {
            Some(Ok(probe)) => Ok(Ok(evaluate(probe, self.earlier_segment(side)))),
            Some(Err(why)) => Ok(Err(why.clone())),
            None => Err(Question::Media(side, url.clone()).into()),
        }
    }

    /// The result of a probe. The freshness is unknown if the playlist could not be fetched.
    pub(crate) fn probe_or_unknown(&self, side: Side, url: &Url) -> Result<ProbeResult, Missing> {
        let probe = self.probe(side, url)?;
        Ok(probe.unwrap_or_else(|why| self.unknown_probe(side, why)))
    }

    /// The result of a probe of the media playlist that a side's own playlist names now.
    pub(crate) fn own_probe(&self, side: Side) -> Result<ProbeResult, Missing> {
        let unknown = |why: &str| Ok(self.unknown_probe(side, why.to_owned()));
        match self.playlist(side)? {
            SideFetch::Playlist(playlist) => match playlist.media_playlist() {
                Some(url) => self.probe_or_unknown(side, url),
                None => unknown("its playlist names no media playlist"),
            },
            SideFetch::Unavailable(why) => unknown(why),
            SideFetch::NoEndpoint | SideFetch::Skipped => {
                unknown("MediaPackage has no endpoint for it")
            }
        }
    }

    fn unknown_probe(&self, side: Side, why: String) -> ProbeResult {
        ProbeResult {
            freshness: Freshness::Unknown(why),
            last_segment: self.earlier_segment(side),
        }
    }

    /// The newest segment at an earlier probe, as it was stored before this run.
    fn earlier_segment(&self, side: Side) -> Option<LastSegment> {
        self.facts.read.as_ref()?.sides[side].last_segment
    }

    /// The media playlist at this address, if a probe returned it.
    pub(crate) fn media(&self, side: Side, url: &Url) -> Option<&PlaylistProbe> {
        self.facts.probes[side].get(url)?.as_ref().ok()
    }

    /// Whether an effect of this kind failed in this run.
    pub(crate) fn has_failed(&self, effect: &Effect) -> bool {
        let failures = &mut self.done.failures.iter();
        failures.any(|(failed, _)| failed.is_same_kind(effect))
    }

    /// All failures of this run, or `None`.
    pub(crate) fn failure(&self) -> Option<String> {
        let failures: Vec<&str> = self
            .done
            .failures
            .iter()
            .map(|(_, why)| why.as_str())
            .collect();
        (!failures.is_empty()).then(|| failures.join("; "))
    }
}

fn known<T>(fact: &Option<Result<T, String>>, question: Question) -> Result<&T, Missing> {
    match fact {
        None => Err(question.into()),
        Some(Ok(fact)) => Ok(fact),
        Some(Err(why)) => Err(Missing::Failure(why.clone())),
    }
}

impl EndpointAction {
    /// Compares the definition that MediaPackage returned with the requested one, and returns a
    /// note on the differences. The definition is `None` after a deletion and in a dry run.
    fn check(&self, id: &str, definition: Option<&Definition>) -> Result<Option<String>, String> {
        let (Some(is), Self::Deny(was) | Self::Allow(was)) = (definition, self) else {
            return Ok(None);
        };
        let origination = self.origination();
        if is.origination() != origination {
            return Err(format!(
                "UpdateOriginEndpoint {id}: origination is {} after a change to {origination}",
                is.origination()
            ));
        }
        let differences = was.differences(is);
        Ok((!differences.is_empty()).then(|| {
            let changed = differences.join(", ");
            format!("endpoint {id}: origination is {origination}, but {changed} changed with it")
        }))
    }
}
