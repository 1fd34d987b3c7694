//! A model of AWS around a pair: the documents in S3, the endpoints of MediaPackage, the alerts of
//! MediaLive, and the playlists for viewers. It answers the questions of `next`, and applies its
//! effects.

use crate::pair_builder::at;
use chrono::{DateTime, TimeDelta, Utc};
use onair_core::fail_back;
use onair_core::fail_over;
use onair_core::pair::endpoint::{Definition, Origination};
use onair_core::pair::freshness::PlaylistProbe;
use onair_core::pair::health::{Alert, Channel};
use onair_core::pair::next::{Effect, EndpointAction, Next, Question};
use onair_core::pair::observed::{Answer, Observed, PairDocuments};
use onair_core::pair::state::PairState;
use onair_core::pair::trigger::{PairEvent, Trigger};
use onair_core::pair::{CutBy, Pair, Side, Sides, Source};
use onair_core::publish_playlist::{
    Document, Published, PublishedIndex, SideFetch, SidePlaylist, plan,
};
use serde_json::{Value, json};
use url::Url;

pub(crate) fn pair(cut: CutBy, prefer: Option<Side>) -> Pair {
    let source = |side: Side| Source {
        channel_arn: format!("arn:aws:medialive:us-west-2:111122223333:channel:{side}"),
        pipeline: "0".to_owned(),
        endpoint: format!("{side}-hls"),
        base_url: None,
        alarm: None,
    };
    Pair {
        name: "show".to_owned(),
        sides: Sides::of(source),
        cut,
        steering_ttl: Some(TimeDelta::seconds(10)),
        alert_types: [ALERT.to_owned()].into(),
        stabilization_period: TimeDelta::seconds(60),
        prefer,
    }
}

const ALERT: &str = "Video Not Detected";

/// Something that happens to a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// An alert of MediaLive, whether or not it is set by now.
    Set(Side),
    Cleared(Side),
    /// A CloudWatch alarm changes to ALARM, and to OK.
    Alarm(Side),
    AlarmOver(Side),
    /// The playlists of a side stall, and recover, without an alert.
    Stall(Side),
    Advance(Side),
    /// publish-playlist runs.
    Publish,
    /// A person names a side to fail-over, or to fail-back.
    ManualOver(Side),
    ManualBack(Side),
    /// A person creates the endpoint of a side again, at another URL.
    Recreate(Side),
    /// The media playlists of a side do not answer, and answer again.
    Unreachable(Side),
    Reachable(Side),
    /// A side lists fewer variants, and all.
    Fewer(Side),
    All(Side),
    /// The schedules of fail-over and fail-back.
    Tick,
    /// The alert or alarm that came last is delivered once more.
    Duplicate,
}

/// An endpoint as MediaPackage has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Endpoint {
    /// Each creation gives another URL.
    number: u32,
    origination: Origination,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) pair: Pair,
    /// The input of a side is lost: its alert is set, and its playlists are stale.
    pub(crate) lost: Sides<bool>,
    /// The playlists of a side are stale although no alert is set.
    stalled: Sides<bool>,
    /// The last event of the side's alarm was ALARM.
    alarm: Sides<bool>,
    pub(crate) state: PairState,
    pub(crate) published: Published,
    pub(crate) endpoints: Sides<Option<Endpoint>>,
    created: u32,
    pub(crate) seconds: i64,
    last_alert: Option<(Trigger, i64)>,
    /// The memory of a warm process.
    last_known: Sides<Option<Url>>,
    /// Effects until the process dies.
    pub(crate) fuse: usize,
    /// Effects until another event is dealt with, and that event.
    pub(crate) interruption: Option<(usize, Event)>,
    /// Requests and effects until one fails.
    pub(crate) failure: Option<usize>,
    pub(crate) had_failure: bool,
    /// An effect failed before the other event was dealt with.
    pub(crate) failed_before_interruption: bool,
    /// The side's playlist lists one variant more than usual.
    pub(crate) more_variants: Sides<bool>,
    /// A lists its variants in the other order than B.
    pub(crate) reversed: bool,
    /// The media playlists of a side do not answer, while its multivariant playlist does.
    pub(crate) unreachable: Sides<bool>,
    /// Whether the failure goes on.
    pub(crate) fails_on: bool,
    /// Writes of the state until the answer to one is lost.
    pub(crate) lost_answer: Option<usize>,
    /// Each run is preceded by a dry run.
    pub(crate) rehearse: bool,
    /// Seconds that the clock steps between attempts.
    pub(crate) clock_step: i64,
    /// What runs reported: the side that was switched, the steps, how it ended.
    pub(crate) reports: Vec<(Option<Side>, Vec<String>, String)>,
}

/// The process died.
#[derive(Debug)]
pub(crate) struct Died;

impl World {
    /// A pair that is published.
    pub(crate) fn new(cut: CutBy, prefer: Option<Side>, lost: Sides<bool>) -> Self {
        let endpoint = |number| {
            Some(Endpoint {
                number,
                origination: Origination::Allow,
            })
        };
        let mut world = Self {
            pair: pair(cut, prefer),
            lost,
            stalled: Sides::default(),
            alarm: Sides::default(),
            state: PairState::default(),
            published: Published::default(),
            endpoints: Sides {
                a: endpoint(1),
                b: endpoint(2),
            },
            created: 2,
            seconds: 0,
            last_alert: None,
            last_known: Sides::default(),
            fuse: usize::MAX,
            interruption: None,
            failure: None,
            had_failure: false,
            failed_before_interruption: false,
            more_variants: Sides::default(),
            reversed: false,
            unreachable: Sides::default(),
            fails_on: false,
            lost_answer: None,
            rehearse: false,
            clock_step: 0,
            reports: Vec::new(),
        };
        world.happen_uninterrupted(Event::Publish);
        world
    }

    pub(crate) fn happen_uninterrupted(&mut self, event: Event) {
        self.happen(event)
            .unwrap_or_else(|_| panic!("the process died"));
    }

    pub(crate) fn happen(&mut self, event: Event) -> Result<(), Died> {
        self.seconds += 7;
        match event {
            Event::Set(side) => self.alert(side, false),
            Event::Alarm(side) => {
                self.alarm[side] = true;
                self.alert(side, true)
            }
            Event::Duplicate => match self.last_alert.clone() {
                Some((trigger, _)) => self.run(fail_over::next, trigger),
                None => Ok(()),
            },
            Event::Cleared(side) => self.recovered(side, false),
            Event::AlarmOver(side) => {
                self.alarm[side] = false;
                self.last_alert.take_if(|(trigger, _)| {
                    // EventBridge delivers an alarm in time, or the next check would tell.
                    matches!(trigger, Trigger::InputLost { is_alarm: true, .. })
                });
                self.recovered(side, true)
            }
            Event::Stall(side) => {
                self.stalled[side] = true;
                Ok(())
            }
            Event::Advance(side) => {
                self.stalled[side] = false;
                Ok(())
            }
            Event::Publish => self.publish(),
            Event::Unreachable(side) | Event::Reachable(side) => {
                self.unreachable[side] = matches!(event, Event::Unreachable(_));
                Ok(())
            }
            Event::Fewer(side) | Event::All(side) => {
                self.more_variants[side] = matches!(event, Event::All(_));
                Ok(())
            }
            Event::ManualOver(side) => self.run(fail_over::next, Trigger::Manual { side }),
            Event::ManualBack(side) => self.run(fail_back::next, Trigger::Manual { side }),
            Event::Recreate(side) => {
                self.created += 1;
                self.endpoints[side] = Some(Endpoint {
                    number: self.created,
                    origination: Origination::Allow,
                });
                Ok(())
            }
            Event::Tick => {
                self.run(fail_over::next, Trigger::ScheduledCheck)?;
                self.run(fail_back::next, Trigger::ScheduledCheck)
            }
        }
    }

    fn alert(&mut self, side: Side, is_alarm: bool) -> Result<(), Died> {
        let trigger = Trigger::InputLost {
            side,
            at: at(self.seconds),
            what: "an alert".to_owned(),
            is_alarm,
        };
        self.last_alert = Some((trigger.clone(), self.seconds));
        self.run(fail_over::next, trigger)
    }

    fn recovered(&mut self, side: Side, is_alarm: bool) -> Result<(), Died> {
        self.run(fail_back::next, Trigger::InputRecovered { side, is_alarm })
    }

    /// The loop of a handler (crates/onair-pair/src/run.rs).
    fn run(&mut self, next: fn(&Pair, &Observed) -> Next, trigger: Trigger) -> Result<(), Died> {
        if self.rehearse {
            let before = self.clone();
            let mut dry = self.clone();
            dry.run_once(next, trigger.clone(), true)?;
            assert_eq!(
                before.relative(),
                dry.relative(),
                "a dry run changed something"
            );
            self.run_once(next, trigger.clone(), false)?;
            if before.failure.is_none() && before.lost_answer.is_none() {
                let (planned, done) = (dry.reports.last().unwrap(), self.reports.last().unwrap());
                let is_prefix = done.1.starts_with(&planned.1);
                let is_same = planned.0 == done.0 && planned.1 == done.1 && planned.2 == done.2;
                let is_return = planned.1.iter().any(|step| {
                    step.starts_with("restore")
                        || step.starts_with("create")
                        || step.starts_with("allow")
                });
                assert!(
                    is_same || (is_return && is_prefix),
                    "{trigger:?}: planned {planned:?}, done {done:?}: {before:#?}"
                );
            }
            return Ok(());
        }
        self.run_once(next, trigger, false)
    }

    fn run_once(
        &mut self,
        next: fn(&Pair, &Observed) -> Next,
        trigger: Trigger,
        dry_run: bool,
    ) -> Result<(), Died> {
        let event = PairEvent {
            trigger,
            dry_run,
            by_hand: false,
        };
        let mut observed = Observed::new(event, false, self.last_known.clone());
        let mut attempts = 6;
        while !self.attempt(next, &mut observed)? {
            attempts -= 1;
            self.seconds += self.clock_step;
            assert!(
                attempts > 0,
                "one other run makes this run repeat without an end: {self:#?}"
            );
        }
        Ok(())
    }

    fn fails(&mut self) -> bool {
        match &mut self.failure {
            Some(0) => {
                self.had_failure = true;
                if !self.fails_on {
                    self.failure = None;
                }
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn report(&mut self, observed: &Observed, end: String) {
        let notes = observed.notes();
        let is_new = |(number, note): (usize, &String)| !notes[..number].contains(note);
        assert!(
            notes.iter().enumerate().all(is_new),
            "a note is there twice: {notes:?}"
        );
        self.reports
            .push((observed.switched(), observed.steps().to_vec(), end));
    }

    /// Returns `false` after a conflict.
    fn attempt(
        &mut self,
        next: fn(&Pair, &Observed) -> Next,
        observed: &mut Observed,
    ) -> Result<bool, Died> {
        observed.begin(at(self.seconds));
        let mut read = self.documents();
        for _ in 0..50 {
            match next(&self.pair, observed) {
                Next::Read(questions) => {
                    let answers = self.answers(questions);
                    read = self.documents();
                    let known = read.published.sides(&read.state);
                    if !observed.is_dry_run() {
                        self.last_known = known.map(|side| side?.media_playlist().cloned());
                    }
                    observed.read(read.clone());
                    answers
                        .into_iter()
                        .for_each(|answer| observed.record(answer));
                }
                Next::Ask(questions) => {
                    assert!(!questions.is_empty());
                    let answers = self.answers(questions);
                    answers
                        .into_iter()
                        .for_each(|answer| observed.record(answer));
                }
                Next::WriteState(change) if observed.is_dry_run() => observed.written(*change),
                Next::Apply { effect, notes } if observed.is_dry_run() => {
                    observed.note(notes);
                    observed.applied(&self.pair.clone(), effect, None);
                }
                Next::WriteState(change) => {
                    self.interrupt()?;
                    if self.state != read.state {
                        return Ok(false);
                    }
                    observed.writing(&change);
                    read.state = change.state.clone();
                    self.effect(|world| world.state = change.state.clone())?;
                    match &mut self.lost_answer {
                        Some(0) => {
                            self.lost_answer = None;
                            return Ok(false);
                        }
                        Some(left) => *left -= 1,
                        None => {}
                    }
                    observed.written(*change);
                }
                Next::Apply { effect, notes } => {
                    observed.note(notes);
                    self.interrupt()?;
                    if self.fails() {
                        observed.failed(effect, "500".to_owned());
                        continue;
                    }
                    if !self.apply(&mut read, observed, effect)? {
                        return Ok(false);
                    }
                }
                Next::ReadAgain => return Ok(false),
                Next::Report(ending) => {
                    self.report(observed, format!("{:?} {:?}", ending.why, ending.notes));
                    let (_, steps, _) = self.reports.last_mut().unwrap();
                    steps.extend(ending.step);
                    return Ok(true);
                }
                Next::Held(reason) => {
                    self.report(observed, format!("held: {reason}"));
                    return Ok(true);
                }
                Next::Failed(why) => {
                    assert_eq!("500", why.split(";").next().unwrap(), "{self:#?}");
                    self.report(observed, format!("failed: {why}"));
                    return Ok(true);
                }
            }
        }
        panic!("the run never ends: {self:#?} {observed:#?}");
    }

    fn apply(
        &mut self,
        read: &mut PairDocuments,
        observed: &mut Observed,
        effect: Effect,
    ) -> Result<bool, Died> {
        let generation = read.state.generation;
        let definition = match &effect {
            Effect::Steer(text) => {
                if self.published.steering != read.published.steering {
                    return Ok(false);
                }
                let text = text.clone();
                let steering = Some(Document { text, generation });
                read.published.steering.clone_from(&steering);
                self.effect(|world| world.published.steering = steering)?;
                None
            }
            Effect::Publish(text) => {
                if self.published.index != read.published.index {
                    return Ok(false);
                }
                let text = text.clone();
                let index = Some(PublishedIndex::parse(Document { text, generation }));
                read.published.index.clone_from(&index);
                self.effect(|world| world.published.index = index)?;
                None
            }
            Effect::Endpoint(side, action) => {
                self.effect(|world| world.change_endpoint(*side, action))?;
                self.definition(*side)
            }
        };
        observed.applied(&self.pair, effect, definition);
        Ok(true)
    }

    fn change_endpoint(&mut self, side: Side, action: &EndpointAction) {
        self.endpoints[side] = match action {
            EndpointAction::Delete => None,
            EndpointAction::Create(_) => {
                self.created += 1;
                Some(Endpoint {
                    number: self.created,
                    origination: Origination::Allow,
                })
            }
            EndpointAction::Deny(_) | EndpointAction::Allow(_) => {
                self.endpoints[side].map(|endpoint| Endpoint {
                    origination: action.origination(),
                    ..endpoint
                })
            }
        };
    }

    fn publish(&mut self) -> Result<(), Died> {
        let fetches = Sides::of(|side| self.fetch(side));
        let Ok(plan) = plan(&self.pair, &self.state, &self.published, &fetches, false) else {
            return Ok(());
        };
        let generation = self.state.generation;
        if let Some(text) = plan.steering {
            let steering = Some(Document { text, generation });
            self.effect(|world| world.published.steering = steering)?;
        }
        if let Some(text) = plan.index {
            let index = Some(PublishedIndex::parse(Document { text, generation }));
            self.effect(|world| world.published.index = index)?;
        }
        Ok(())
    }

    /// Something changes. Whatever must hold at every moment is checked here.
    fn effect(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), Died> {
        if self.fuse == 0 {
            self.last_known = Sides::default();
            return Err(Died);
        }
        self.fuse -= 1;
        change(self);
        let live = self.live();
        assert!(live.a || live.b, "both sides are cut: {self:#?}");
        let active = self.state.active;
        assert!(live[active], "viewers are sent to a cut side: {self:#?}");
        assert!(
            self.serves(active),
            "the active side does not serve: {self:#?}"
        );
        let steered = self.steered_to();
        assert!(
            self.had_failure || steered.is_none_or(|side| self.serves(side)),
            "players are steered to a side that does not serve: {self:#?}"
        );
        Ok(())
    }

    /// Deals with another event if it is time for it.
    fn interrupt(&mut self) -> Result<(), Died> {
        match &mut self.interruption {
            Some((0, event)) => {
                let event = *event;
                self.interruption = None;
                self.failed_before_interruption = self.had_failure;
                self.happen(event)
            }
            Some((effects, _)) => {
                *effects -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The side that the published steering manifest names first.
    fn steered_to(&self) -> Option<Side> {
        let manifest: Value = serde_json::from_str(&self.published.steering.as_ref()?.text).ok()?;
        let pathway = manifest["PATHWAY-PRIORITY"][0].as_str()?.to_owned();
        Side::BOTH
            .into_iter()
            .find(|side| pathway.starts_with(&side.to_string()))
    }

    pub(crate) fn live(&self) -> Sides<bool> {
        Sides::of(|side| self.state.sides[side].is_live())
    }

    pub(crate) fn serves(&self, side: Side) -> bool {
        self.endpoints[side].is_some_and(|endpoint| endpoint.origination == Origination::Allow)
    }

    fn is_advancing(&self, side: Side) -> bool {
        !self.lost[side] && !self.stalled[side]
    }
}

/// The responses of AWS.
impl World {
    fn documents(&self) -> PairDocuments {
        PairDocuments {
            state: self.state.clone(),
            published: self.published.clone(),
        }
    }

    fn answers(&mut self, questions: Vec<Question>) -> Vec<Answer> {
        questions
            .into_iter()
            .flat_map(|question| {
                if self.fails() {
                    return failed(question);
                }
                self.answer(question)
            })
            .collect()
    }

    fn answer(&self, question: Question) -> Vec<Answer> {
        vec![match question {
            Question::Endpoint(side) => Answer::Endpoint(side, Ok(self.definition(side))),
            Question::Playlist(side) => {
                let endpoint = Answer::Endpoint(side, Ok(self.definition(side)));
                return vec![endpoint, Answer::Playlist(side, self.fetch(side))];
            }
            Question::Media(side, url) => {
                let probe = self.probe(side, &url);
                Answer::Media(side, url, probe)
            }
            Question::SetAlerts(side) => Answer::SetAlerts(side, Ok(self.alerts(side))),
            Question::AllAlerts(side) => Answer::AllAlerts(side, Ok(self.alerts(side))),
            Question::Channel(side) => Answer::Channel(side, Ok(running())),
        }]
    }

    fn alerts(&self, side: Side) -> Vec<Alert> {
        let alert = self.lost[side].then(|| Alert {
            alert_type: ALERT.to_owned(),
            pipeline: "0".to_owned(),
            is_set: true,
            cleared_at: None,
        });
        alert.into_iter().collect()
    }

    fn definition(&self, side: Side) -> Option<Definition> {
        let Endpoint {
            number,
            origination,
        } = self.endpoints[side]?;
        let definition = json!({
            "id": self.pair.sides[side].endpoint,
            "channelId": side.to_string(),
            "arn": number.to_string(),
            "url": base(number).join("index.m3u8").unwrap(),
            "origination": origination.to_string(),
        });
        Some(Definition::parse(&definition).unwrap())
    }

    fn fetch(&self, side: Side) -> SideFetch {
        match self.endpoints[side] {
            None => SideFetch::NoEndpoint,
            Some(_) if !self.serves(side) => SideFetch::Unavailable("403".to_owned()),
            Some(endpoint) => {
                let low = "#EXT-X-STREAM-INF:BANDWIDTH=1\nmedia.m3u8\n";
                let high = "#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=640x360\nhd.m3u8\n";
                let entries = match (self.more_variants[side], self.reversed && side == Side::A) {
                    (false, _) => [low, ""],
                    (true, false) => [low, high],
                    (true, true) => [high, low],
                };
                let text = ["#EXTM3U\n", entries[0], entries[1]].concat();
                let playlist = SidePlaylist::parse(&text, &base(endpoint.number)).unwrap();
                SideFetch::Playlist(Box::new(playlist))
            }
        }
    }

    fn probe(&self, side: Side, url: &Url) -> Result<PlaylistProbe, String> {
        let endpoint = self.endpoints[side].filter(|_| self.serves(side));
        let own = endpoint.map(|endpoint| base(endpoint.number).join("media.m3u8").unwrap());
        let high = endpoint.map(|endpoint| base(endpoint.number).join("hd.m3u8").unwrap());
        let is_high = self.more_variants[side] && high.as_ref() == Some(url);
        if (own.as_ref() != Some(url) && !is_high) || self.unreachable[side] {
            return Err(format!("GET {url} returned 404"));
        }
        let now = at(self.seconds);
        let age = TimeDelta::seconds(if self.is_advancing(side) { 0 } else { 60 });
        Ok(PlaylistProbe {
            last_updated_ms: Some((now - age).timestamp_millis()),
            text: "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n1.ts\n".to_owned(),
            at: now,
        })
    }
}

fn failed(question: Question) -> Vec<Answer> {
    let why = || "500".to_owned();
    vec![match question {
        Question::Endpoint(side) => Answer::Endpoint(side, Err(why())),
        Question::Playlist(side) => Answer::Endpoint(side, Err(why())),
        Question::Media(side, url) => Answer::Media(side, url, Err(why())),
        Question::SetAlerts(side) => Answer::SetAlerts(side, Err(why())),
        Question::AllAlerts(side) => Answer::AllAlerts(side, Err(why())),
        Question::Channel(side) => Answer::Channel(side, Err(why())),
    }]
}

fn running() -> Channel {
    Channel {
        state: "RUNNING".to_owned(),
        pipelines_running: 2,
        is_standard: true,
        mediapackage_channels: Vec::new(),
    }
}

fn base(number: u32) -> Url {
    format!("https://x.example.com/{number}/").parse().unwrap()
}

/// How an order ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    live: Sides<bool>,
    serves: Sides<bool>,
    /// Without a preference, viewers stay where the last fail-over sent them while both sides are
    /// healthy.
    active: Option<Side>,
}

impl World {
    pub(crate) fn end(&self) -> End {
        let live = self.live();
        let is_decided = self.pair.prefer.is_some() || !(live.a && live.b);
        End {
            live,
            serves: Sides::of(|side| self.serves(side)),
            active: is_decided.then_some(self.state.active),
        }
    }

    /// The end of an order with alarms and stalls.
    pub(crate) fn must_be_as_its_inputs(&self, order: &[Event]) {
        let is_good = |side: Side| self.is_advancing(side) && !self.alarm[side];
        let live = self.live();
        for side in Side::BOTH.into_iter().filter(|side| is_good(*side)) {
            assert!(
                live[side],
                "{side} does not return after {order:?}: {self:#?}"
            );
            let is_reported = self.lost[side.other()] || self.alarm[side.other()];
            assert!(
                !is_reported || !live[side.other()],
                "{} stays in service after {order:?}: {self:#?}",
                side.other()
            );
        }
        assert!(
            is_good(self.state.active) || !is_good(self.state.active.other()),
            "viewers stay on a bad side after {order:?}: {self:#?}"
        );
    }

    /// Whether all waits are over: the stabilization period, and the time in which players learn of
    /// a side that returned.
    pub(crate) fn is_time_to_rest(&self) -> bool {
        let since = Side::BOTH
            .into_iter()
            .filter_map(|side| self.state.sides[side].since);
        let latest = since.max().unwrap_or(at(0));
        at(self.seconds) - latest > self.pair.stabilization_period * 2
    }

    /// The part of the world that does not change while nothing happens.
    pub(crate) fn lasting(&self) -> String {
        let mut state = self.state.clone();
        for side in Side::BOTH {
            (state.sides[side].stall, state.sides[side].last_segment) = (None, None);
        }
        let published = (&self.published.index, &self.published.steering);
        format!("{} {published:?} {:?}", state.to_text(), self.endpoints)
    }

    /// The world with all times relative to now: two worlds of which these are the same will do the
    /// same.
    pub(crate) fn relative(&self) -> String {
        let mut state: Value = serde_json::from_str(&self.state.to_text()).unwrap();
        make_relative(&mut state, at(self.seconds));
        let alert = self.last_alert.as_ref();
        let alert = alert.map(|(trigger, sent)| match trigger {
            Trigger::InputLost { side, is_alarm, .. } => (*side, *is_alarm, self.seconds - sent),
            other => panic!("{other:?} is not an alert"),
        });
        let published = (&self.published.index, &self.published.steering);
        let truth = (
            &self.lost,
            &self.stalled,
            &self.alarm,
            &self.unreachable,
            &self.more_variants,
        );
        let process = &self.last_known;
        format!(
            "{state} {published:?} {:?} {truth:?} {alert:?} {process:?}",
            self.endpoints
        )
    }
}

fn make_relative(value: &mut Value, now: DateTime<Utc>) {
    match value {
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| make_relative(value, now)),
        Value::String(text) => {
            if let Ok(time) = DateTime::parse_from_rfc3339(text) {
                *value = (now - time.to_utc()).num_seconds().into();
            }
        }
        _ => {}
    }
}
