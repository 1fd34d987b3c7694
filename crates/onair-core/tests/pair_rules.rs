//! The single rules of a pair, as tables.

use crate::pair_builder::at;
use crate::pair_orders::pair;
use chrono::TimeDelta;
use onair_core::fail_back::{Step, quiet, step};
use onair_core::fail_over::{
    Blow, FRESH_ALERT, Suspicion, blow, cut, suspicion, suspicion_of_alerts, suspicion_of_looks,
};
use onair_core::pair::endpoint::Definition;
use onair_core::pair::freshness::Freshness;
use onair_core::pair::health::{Alert, Channel, Health, health, mix_up};
use onair_core::pair::hint::{Says, decode};
use onair_core::pair::state::{PairState, PathwayClone, Status, Until};
use onair_core::pair::{CutBy, Pair, Side, Sides};
use serde_json::{Value, json};

fn show() -> Pair {
    let mut pair = pair(CutBy::Delete, None);
    pair.sides.a.alarm = Some("lost-a".to_owned());
    pair
}

fn alert(state: &str, kind: &str, pipeline: &str, side: Side) -> Value {
    json!({
        "source": "aws.medialive", "detail-type": "MediaLive Channel Alert", "time": "2027-01-15T08:00:00Z",
        "detail": { "alarm_state": state, "alert_type": kind, "pipeline": pipeline, "channel_arn": show().sides[side].channel_arn },
    })
}

fn alarm(name: &str, value: &str) -> Value {
    json!({
        "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "time": "2027-01-15T08:00:00Z",
        "detail": { "alarmName": name, "state": { "value": value, "timestamp": "2027-01-15T08:00:00.000+0000" } },
    })
}

#[test]
fn what_arrives_says_which_side_and_what() {
    const LOST: &str = "Video Not Detected";
    let rows: [(Value, &str); 12] = [
        (alert("SET", LOST, "0", Side::A), "Lost { side: A"),
        (alert("CLEARED", LOST, "0", Side::B), "Cleared { side: B, is_alarm: false }"),
        (alert("SET", LOST, "1", Side::A), "is no side of this pair"),
        (alert("SET", "Black Video Detected", "0", Side::A), "is not one of ALERT_TYPES"),
        (alert("OTHER", LOST, "0", Side::A), "the alert's state is"),
        (alarm("lost-a", "ALARM"), "Lost { side: A"),
        (alarm("lost-a", "OK"), "Cleared { side: A, is_alarm: true }"),
        (alarm("lost-a", "INSUFFICIENT_DATA"), "the alarm's state is"),
        (alarm("lost-b", "ALARM"), "is no side's of this pair"),
        (json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} }), "Look"),
        (json!({ "onair": { "side": "B", "dry_run": true } }), "ByHand { side: B }"),
        (
            json!({ "source": "aws.s3", "detail-type": "Object Created", "detail": {} }),
            "says nothing of a pair",
        ),
    ];
    for (event, expected) in rows {
        let hint = decode(&event, &show()).unwrap();
        assert!(format!("{:?}", hint.says).contains(expected), "{event}: {hint:?}");
        assert_eq!(hint.dry_run, event["onair"]["dry_run"] == true);
    }
}

#[test]
fn junk_says_what_is_wrong() {
    let mut timeless = alert("SET", "Video Not Detected", "0", Side::A);
    timeless["time"] = "yesterday".into();
    let mut misspelt = alert("SET", "Video Not Detected", "0", Side::A);
    misspelt["onair"] = json!({ "dryrun": true });
    let mut ambiguous = alert("SET", "Video Not Detected", "0", Side::A);
    ambiguous["onair"] = json!({ "side": "B" });
    let mut listed = alert("SET", "Video Not Detected", "0", Side::A);
    listed["onair"] = json!([]);
    let rows = [
        (listed, "a JSON object"),
        (json!(null), "not an event"),
        (json!({}), "neither source and detail-type"),
        (json!({ "source": "aws.medialive", "detail-type": "MediaLive Channel Alert" }), "not the detail of"),
        (timeless, "the event's time \"yesterday\""),
        (misspelt, "unknown field `dryrun`"),
        (ambiguous, "alone"),
        (json!({ "onair": { "side": "C" } }), "unknown variant `C`"),
    ];
    for (event, expected) in rows {
        let error = decode(&event, &show()).unwrap_err().to_string();
        assert!(error.contains(expected), "{event}: {error}");
    }
}

fn lost_at(seconds: i64) -> Says {
    Says::Lost { side: Side::A, at: at(seconds), what: "alert".to_owned(), is_alarm: false }
}

#[test]
fn an_alert_is_taken_at_its_word_only_while_it_is_news() {
    let mut state = PairState::default();
    let asks =
        |state: &PairState, sent, now| suspicion(&lost_at(sent), state, at(now)) == Suspicion::AskMediaLive;
    assert!(!asks(&state, 0, FRESH_ALERT.num_seconds()));
    assert!(asks(&state, 0, FRESH_ALERT.num_seconds() + 1));
    // The side came back after it was sent.
    state.sides.a.since = Some(at(50));
    assert!(asks(&state, 50, 60));
    assert!(!asks(&state, 51, 60));
}

#[test]
fn medialive_names_the_side_that_is_lost_unless_it_names_both() {
    let set = |a: bool, b: bool| {
        let alerts = |is_set: bool| if is_set { vec!["Video Not Detected".to_owned()] } else { Vec::new() };
        suspicion_of_alerts(&PairState::default(), &Sides { a: alerts(a), b: alerts(b) })
    };
    assert!(matches!(set(false, false), Ok(Suspicion::Nothing { .. })));
    assert!(matches!(set(false, true), Ok(Suspicion::Lost { side: Side::B, .. })));
    assert!(set(true, true).unwrap_err().to_string().contains("both sides are in trouble"));
}

#[test]
fn the_other_side_must_be_live_and_move() {
    let state = PairState::default();
    let cut = |state: &PairState, side, moves: Freshness| {
        cut(state, side, CutBy::None, None, &moves, ("test", Until::Healthy), at(0))
    };
    let after = cut(&state, Side::A, Freshness::Moving).unwrap();
    assert_eq!((after.first, after.generation, after.sides.a.is_live()), (Side::B, 1, false));
    for moves in [Freshness::Stale("old".to_owned()), Freshness::Unknown("away".to_owned())] {
        assert!(cut(&state, Side::A, moves).is_err());
    }
    assert!(
        cut(&after, Side::B, Freshness::Moving)
            .unwrap_err()
            .to_string()
            .contains("the last side is never cut")
    );
}

#[test]
fn the_side_that_viewers_are_on_is_lost_when_it_stands_still_and_the_other_does_not() {
    let stale = || Some(Freshness::Stale("old".to_owned()));
    let (moving, unknown) = (Some(Freshness::Moving), Some(Freshness::Unknown("away".to_owned())));
    let say = |first: Side, since: Option<i64>, a: &Option<Freshness>, b: &Option<Freshness>| {
        let mut state = PairState::default();
        state.first = first;
        state.sides[Side::A].stale_since = since.map(at);
        suspicion_of_looks(&state, &Sides { a: a.clone(), b: b.clone() }, at(100))
    };
    let is_lost = |suspicion| matches!(suspicion, Suspicion::Lost { side: Side::A, .. });
    assert!(is_lost(say(Side::A, Some(55), &stale(), &moving)));
    // Only now; where nobody is; together with the other; when it cannot be told; when nothing was seen.
    assert!(!is_lost(say(Side::A, Some(56), &stale(), &moving)));
    assert!(!is_lost(say(Side::A, None, &stale(), &moving)));
    assert!(!is_lost(say(Side::B, Some(0), &stale(), &moving)));
    assert!(!is_lost(say(Side::A, Some(0), &stale(), &stale())));
    assert!(!is_lost(say(Side::A, Some(0), &stale(), &unknown)));
    assert!(!is_lost(say(Side::A, Some(0), &unknown, &moving)));
    assert!(!is_lost(say(Side::A, Some(0), &moving, &moving)));
    assert!(!is_lost(say(Side::A, Some(0), &stale(), &None)));
}

fn definition(id: &str, channel: &str) -> Definition {
    let url = format!("https://x.example.com/{id}/index.m3u8");
    Definition::parse(&json!({ "id": id, "channelId": channel, "arn": id, "url": url })).unwrap()
}

#[test]
fn nothing_is_cut_before_who_is_watching_has_heard_of_the_side_that_came_back() {
    let (endpoint, pair) = (definition("B-hls", "c"), show());
    let back = |by: CutBy, is_new: bool| {
        let moves = Freshness::Moving;
        let why = ("test", Until::Healthy);
        let mut state = PairState::default();
        state.sides.a.since = Some(at(100));
        if is_new {
            state.sides.a.pathway = "A.2".to_owned();
            state.clones = vec![PathwayClone { id: "A.2".to_owned(), base: "B".to_owned() }];
        }
        cut(&state, Side::B, by, Some(&endpoint), &moves, why, at(101)).unwrap()
    };
    let blow = |pair: &Pair, state: &PairState, now| blow(pair, state, Side::B, Some(&endpoint), at(now));
    // The manifest's 10 s, 5 s in a CDN, and some more.
    for by in [CutBy::Delete, CutBy::Deny] {
        assert_eq!(blow(&pair, &back(by, true), 119), Blow::NotBefore(at(120)));
        assert!(matches!(blow(&pair, &back(by, true), 120), Blow::Delete | Blow::Deny(_)));
        // Everybody has always known it.
        assert!(matches!(blow(&pair, &back(by, false), 101), Blow::Delete | Blow::Deny(_)));
        // Nobody would ever hear of it.
        let unsteered = Pair { steering_ttl: None, ..pair.clone() };
        assert!(matches!(blow(&unsteered, &back(by, true), 101), Blow::Delete | Blow::Deny(_)));
    }
    assert_eq!(blow(&pair, &back(CutBy::None, true), 101), Blow::None);
}

#[test]
fn sides_that_are_mixed_up_are_told() {
    let say = |sent_to: [&[&str]; 2], served: [&str; 2]| {
        let channel = |sent_to: &[&str]| Channel {
            state: "RUNNING".to_owned(),
            pipelines_running: 1,
            is_standard: false,
            packaged_by: sent_to.iter().map(|id| (*id).to_owned()).collect(),
        };
        let channels = Sides { a: channel(sent_to[0]), b: channel(sent_to[1]) };
        let endpoints =
            Sides { a: Some(definition("A-hls", served[0])), b: Some(definition("B-hls", served[1])) };
        mix_up(&show(), &channels, &endpoints)
    };
    assert_eq!(say([&["a"], &["b"]], ["a", "b"]), None);
    assert_eq!(say([&["else", "a"], &[]], ["a", "b"]), None, "what is not said is not judged");
    let why = say([&["a"], &["b"]], ["b", "a"]).unwrap();
    assert!(why.contains("endpoint A-hls is not side A's: it serves MediaPackage channel b"), "{why}");
    assert!(say([&["a"], &["c"]], ["a", "b"]).unwrap().contains("B-hls is not side B's"));
    assert!(say([&[], &[]], ["a", "a"]).unwrap().contains("the same MediaPackage channel, a"));
}

#[test]
fn a_side_is_not_kept_waiting_while_viewers_are_on_one_in_trouble() {
    let pair = show();
    assert_eq!(quiet(&pair, &Health::Clean { last_cleared: None }), pair.quiet);
    assert_eq!(quiet(&pair, &Health::Troubled("alerts".to_owned())), TimeDelta::zero());
}

#[test]
fn well_is_a_running_channel_without_alerts_of_the_chosen_types() {
    let pair = show();
    let channel = |state: &str, pipelines_running, is_standard| Channel {
        state: state.to_owned(),
        pipelines_running,
        is_standard,
        packaged_by: Vec::new(),
    };
    let alert = |kind: &str, pipeline: &str, is_set, cleared: Option<i64>| Alert {
        alert_type: kind.to_owned(),
        pipeline: pipeline.to_owned(),
        is_set,
        cleared_at: cleared.map(at),
    };
    let say = |channel: &Channel, alerts: &[Alert]| health(&pair.sides.a, &pair.alert_types, channel, alerts);
    let running = channel("RUNNING", 1, false);
    let cleared =
        [alert("Video Not Detected", "0", false, Some(3)), alert("Video Not Detected", "0", false, Some(7))];
    assert_eq!(say(&running, &cleared), Health::Clean { last_cleared: Some(at(7)) });
    let others =
        [alert("Video Not Detected", "1", true, None), alert("Black Video Detected", "0", true, None)];
    assert_eq!(say(&running, &others), Health::Clean { last_cleared: None });
    let troubled = |channel, alerts: &[Alert]| matches!(say(&channel, alerts), Health::Troubled(_));
    assert!(troubled(running, &[alert("Video Not Detected", "0", true, None)]));
    assert!(troubled(channel("IDLE", 0, false), &[]));
    assert!(troubled(channel("RUNNING", 1, true), &[]));
    assert!(!troubled(channel("RUNNING", 2, true), &[]));
}

#[test]
fn a_side_comes_back_only_after_it_was_well_for_long_enough() {
    let quiet = TimeDelta::seconds(360);
    let clean = |last_cleared: Option<i64>| Health::Clean { last_cleared: last_cleared.map(at) };
    let start = cut(
        &PairState::default(),
        Side::A,
        CutBy::None,
        None,
        &Freshness::Moving,
        ("test", Until::Healthy),
        at(0),
    )
    .unwrap();
    let go = |state: &PairState, health: Option<&Health>, now| step(state, Side::A, health, quiet, at(now));
    let remembers = |step: Step| match step {
        Step::Wait { remember: Some(state), .. } => state,
        other => panic!("{other:?}"),
    };
    let waits = |step: &Step| matches!(step, Step::Wait { remember: None, .. });

    // Trouble: nothing. Then it is seen to be well, and that is remembered.
    let troubled = Health::Troubled("alerts".to_owned());
    assert!(waits(&go(&start, Some(&troubled), 60)));
    let seen = remembers(go(&start, Some(&clean(None)), 100));
    assert!(waits(&go(&seen, Some(&clean(None)), 459)));
    assert!(matches!(go(&seen, Some(&clean(None)), 460), Step::Restore(_)));
    // Trouble between two looks, which only MediaLive tells of, begins the time anew; trouble that is seen, too.
    assert!(waits(&go(&seen, Some(&clean(Some(200))), 559)));
    assert!(matches!(go(&seen, Some(&clean(Some(200))), 560), Step::Restore(_)));
    let forgotten = remembers(go(&seen, Some(&troubled), 300));
    let again = remembers(go(&forgotten, Some(&clean(None)), 360));
    assert!(waits(&go(&again, Some(&clean(None)), 719)));
    // A person need not wait.
    let Step::Restore(returning) = go(&start, None, 1) else { panic!("a person was made to wait") };
    assert!(matches!(returning.sides.a.status, Status::Returning(_)));
    assert_eq!(go(&returning, None, 2), Step::Look);
    assert!(waits(&go(&returning, Some(&troubled), 2)));
}

#[test]
fn a_state_survives_being_written_and_one_that_is_not_ours_is_refused() {
    let state = cut(
        &PairState::default(),
        Side::A,
        CutBy::Deny,
        None,
        &Freshness::Moving,
        ("test", Until::Healthy),
        at(0),
    )
    .unwrap();
    assert_eq!(PairState::parse(&state.to_text()).unwrap(), state);
    let text = state.to_text();
    for (from, to) in [
        ("\"version\": \"1\"", "\"version\": \"2\""),
        ("\"first\": \"B\"", "\"first\": \"C\""),
        ("\"live\"", "\"dead\""),
        ("{", ""),
    ] {
        assert!(PairState::parse(&text.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
    let mut both = state.clone();
    both.sides.b.status = both.sides.a.status.clone();
    assert!(PairState::parse(&both.to_text()).unwrap_err().contains("neither side is live"));
}
