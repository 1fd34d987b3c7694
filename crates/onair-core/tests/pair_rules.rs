//! The single rules of a pair, as tables.

use crate::pair_builder::at;
use crate::pair_world::pair;
use chrono::TimeDelta;
use onair_core::event::{Event, Payload, ServiceEvent};
use onair_core::fail_back::{Step, alarm_is_over, repair, returned, shortened_period, step};
use onair_core::fail_over::{
    CutStep, Diagnosis, FRESH_ALERT, Loss, cut, diagnose, diagnose_alerts, diagnose_probes,
    next_cut_step, note, stall_record, wait_is_over,
};
use onair_core::pair::endpoint::Definition;
use onair_core::pair::freshness::Freshness;
use onair_core::pair::health::{Alert, Channel, Health, health, misconfiguration};
use onair_core::pair::held::HeldReason;
use onair_core::pair::next::EndpointAction;
use onair_core::pair::state::{PairState, PathwayClone, StallRecord, Status, Until};
use onair_core::pair::trigger::{Trigger, decode};
use onair_core::pair::{CutBy, Pair, Side, Sides};
use serde_json::{Value, json};

fn show() -> Pair {
    let mut pair = pair(CutBy::Delete, None);
    pair.sides.a.alarm = Some("lost-a".to_owned());
    pair
}

/// The event in this JSON, which has the form that AWS documents.
fn event(json: &Value) -> Event {
    let text = |field: &str| json[field].as_str().map(str::to_owned);
    let service = text("source").map(|source| ServiceEvent {
        source,
        detail_type: text("detail-type").unwrap_or_default(),
        time: text("time"),
        detail: json["detail"].clone(),
    });
    Event {
        payload: service.map_or(Payload::Manual, Payload::Service),
        onair: json.get("onair").cloned(),
    }
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
        (alert("SET", LOST, "0", Side::A), "InputLost { side: A"),
        (
            alert("CLEARED", LOST, "0", Side::B),
            "InputRecovered { side: B, is_alarm: false }",
        ),
        (
            alert("SET", LOST, "1", Side::A),
            "is not a side of this pair",
        ),
        (
            alert("SET", "Black Video Detected", "0", Side::A),
            "is not one of ALERT_TYPES",
        ),
        (alert("OTHER", LOST, "0", Side::A), "the alert's state is"),
        (alarm("lost-a", "ALARM"), "InputLost { side: A"),
        (
            alarm("lost-a", "OK"),
            "InputRecovered { side: A, is_alarm: true }",
        ),
        (alarm("lost-a", "INSUFFICIENT_DATA"), "the alarm's state is"),
        (alarm("lost-b", "ALARM"), "is not an alarm of this pair"),
        (
            json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} }),
            "ScheduledCheck",
        ),
        (
            json!({ "onair": { "side": "B", "dry_run": true } }),
            "Manual { side: B }",
        ),
        (
            json!({ "source": "aws.s3", "detail-type": "Object Created", "detail": {} }),
            "is not about a pair",
        ),
    ];
    for (json, expected) in rows {
        let decoded = decode(&event(&json), &show()).unwrap();
        assert!(
            format!("{:?}", decoded.trigger).contains(expected),
            "{json}: {decoded:?}"
        );
        assert_eq!(decoded.dry_run, json["onair"]["dry_run"] == true);
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
        (
            json!({ "source": "aws.medialive", "detail-type": "MediaLive Channel Alert" }),
            "is not valid: expected a JSON object",
        ),
        (timeless, "the event's time \"yesterday\""),
        (misspelt, "unknown field `dryrun`"),
        (ambiguous, "alone"),
        (json!({ "onair": { "side": "C" } }), "unknown variant `C`"),
    ];
    for (json, expected) in rows {
        let error = decode(&event(&json), &show()).unwrap_err().to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

fn lost_at(seconds: i64) -> Trigger {
    Trigger::InputLost {
        side: Side::A,
        at: at(seconds),
        what: "alert".to_owned(),
        is_alarm: false,
    }
}

#[test]
fn an_alert_is_taken_at_its_word_only_while_it_is_news() {
    let mut state = PairState::default();
    let asks = |state: &PairState, sent, now| diagnose(&lost_at(sent), state, at(now)).is_none();
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
        let alerts = |is_set: bool| {
            if is_set {
                vec!["Video Not Detected".to_owned()]
            } else {
                Vec::new()
            }
        };
        diagnose_alerts(
            &PairState::default(),
            &Sides {
                a: alerts(a),
                b: alerts(b),
            },
        )
    };
    assert!(matches!(set(false, false), Ok(Diagnosis::Healthy { .. })));
    assert!(matches!(
        set(false, true),
        Ok(Diagnosis::InputLost(Loss { side: Side::B, .. }))
    ));
    assert!(matches!(
        set(true, true),
        Err(HeldReason::BothSidesLost { .. })
    ));
}

#[test]
fn a_cut_side_is_out_of_service_and_the_other_is_active() {
    let after = cut(
        &show(),
        &PairState::default(),
        &loss(Side::A, Until::Healthy),
        None,
        at(0),
    );

    assert_eq!(
        (after.active, after.generation, after.sides.a.is_live()),
        (Side::B, 1, false)
    );
}

fn loss(side: Side, until: Until) -> Loss {
    Loss {
        side,
        why: "test".to_owned(),
        until,
    }
}

fn stale() -> Freshness {
    Freshness::Stale("old".to_owned())
}

#[test]
fn the_side_that_viewers_are_on_is_lost_when_it_stands_still_and_the_other_does_not() {
    let unknown = Freshness::Unknown("away".to_owned());
    let say = |first: Side, stood: Option<(i64, i64)>, a: &Freshness, b: &Freshness| {
        let mut state = PairState::default();
        state.active = first;
        state.sides.a.stall = stood.map(|(since, seen)| StallRecord {
            since: at(since),
            seen: at(seen),
        });
        diagnose_probes(
            &state,
            &Sides {
                a: Some(a.clone()),
                b: Some(b.clone()),
            },
            at(100),
        )
    };
    let is_lost = |diagnosis| matches!(diagnosis, Diagnosis::InputLost(Loss { side: Side::A, .. }));
    assert!(is_lost(say(
        Side::A,
        Some((55, 100)),
        &stale(),
        &Freshness::Advancing
    )));
    // Only now; where nobody is; together with the other; when it cannot be told.
    assert!(!is_lost(say(
        Side::A,
        Some((56, 100)),
        &stale(),
        &Freshness::Advancing
    )));
    assert!(!is_lost(say(
        Side::A,
        None,
        &stale(),
        &Freshness::Advancing
    )));
    assert!(!is_lost(say(
        Side::B,
        Some((0, 100)),
        &stale(),
        &Freshness::Advancing
    )));
    assert!(!is_lost(say(Side::A, Some((0, 100)), &stale(), &stale())));
    assert!(!is_lost(say(Side::A, Some((0, 100)), &stale(), &unknown)));
    assert!(!is_lost(say(
        Side::A,
        Some((0, 100)),
        &unknown,
        &Freshness::Advancing
    )));
    assert!(!is_lost(say(
        Side::A,
        Some((0, 100)),
        &Freshness::Advancing,
        &Freshness::Advancing
    )));
}

#[test]
fn a_stand_still_is_one_look_after_another_while_the_other_side_moves_or_is_away() {
    let stood = |since, seen| {
        Some(StallRecord {
            since: at(since),
            seen: at(seen),
        })
    };
    let (moving, unknown) = (Freshness::Advancing, Freshness::Unknown("away".to_owned()));
    let say = |before, so: &Freshness, other: Option<&Freshness>| {
        stall_record(before, so, other, at(200))
    };
    assert_eq!(say(None, &stale(), Some(&moving)), stood(200, 200));
    assert_eq!(say(stood(0, 140), &stale(), Some(&moving)), stood(0, 200));
    assert_eq!(say(stood(0, 140), &stale(), None), stood(0, 200));
    // Too long ago to be the look before.
    assert_eq!(say(stood(0, 49), &stale(), Some(&moving)), stood(200, 200));
    // A show begins or ends: both stand still.
    assert_eq!(say(stood(0, 140), &stale(), Some(&stale())), None);
    assert_eq!(say(stood(0, 140), &stale(), Some(&unknown)), None);
    assert_eq!(say(stood(0, 140), &moving, Some(&moving)), None);
    assert_eq!(say(stood(0, 140), &unknown, Some(&moving)), stood(0, 140));
}

#[test]
fn what_an_alarm_or_a_person_said_is_not_forgotten() {
    let lost = |until| loss(Side::A, until);
    let live = PairState::default();
    assert_eq!(note(&live, &lost(Until::Healthy), at(5)), live);
    assert_eq!(
        note(&live, &lost(Until::Person), at(5)),
        live,
        "the cut will tell"
    );
    let in_alarm = note(&live, &lost(Until::Alarm), at(5));
    assert_eq!(
        (in_alarm.sides.a.alarm_since, in_alarm.generation),
        (Some(at(5)), 0)
    );
    assert_eq!(note(&in_alarm, &lost(Until::Alarm), at(9)), in_alarm);
    // The schedule finds it in the state: no request would tell.
    let none = Sides {
        a: Vec::new(),
        b: Vec::new(),
    };
    let Ok(Diagnosis::InputLost(found)) = diagnose_alerts(&in_alarm, &none) else {
        panic!("the alarm is forgotten");
    };
    assert_eq!((found.side, found.until), (Side::A, Until::Alarm));
    assert_eq!(alarm_is_over(&in_alarm, Side::A), Some(live.clone()));
    assert_eq!(alarm_is_over(&live, Side::A), None);

    // Of several who want a side that is cut to stay away, the one who knows more decides.
    let away = cut(&show(), &live, &lost(Until::Healthy), None, at(0));
    let until = |state: &PairState| state.sides.a.cut().unwrap().until;
    let alarmed = note(&away, &lost(Until::Alarm), at(5));
    assert_eq!(until(&alarmed), Until::Alarm);
    let by_hand = note(&alarmed, &lost(Until::Person), at(6));
    assert_eq!(until(&by_hand), Until::Person);
    assert_eq!(note(&by_hand, &lost(Until::Alarm), at(7)), by_hand);
    assert_eq!(
        until(&alarm_is_over(&by_hand, Side::A).unwrap()),
        Until::Person
    );
    assert_eq!(
        until(&alarm_is_over(&alarmed, Side::A).unwrap()),
        Until::Healthy
    );
}

fn definition(id: &str, channel: &str) -> Definition {
    let url = format!("https://x.example.com/{id}/index.m3u8");
    Definition::parse(&json!({ "id": id, "channelId": channel, "arn": id, "url": url })).unwrap()
}

#[test]
fn nothing_is_cut_before_who_is_watching_has_heard_of_the_side_that_came_back() {
    let endpoint = definition("B-hls", "c");
    let cut_after_return = |pair: &Pair, is_new: bool, now| {
        let mut state = PairState::default();
        state.sides.a.since = Some(at(100));
        if is_new {
            state.sides.a.pathway = "A.2".to_owned();
            state.clones = vec![PathwayClone {
                id: "A.2".to_owned(),
                base: "B".to_owned(),
            }];
        }
        let loss = loss(Side::B, Until::Healthy);
        cut(pair, &state, &loss, Some(&endpoint), at(now))
    };
    let cut_step = |state: &PairState| next_cut_step(state.sides.b.cut().unwrap(), Some(&endpoint));
    for by in [CutBy::Delete, CutBy::Deny] {
        let pair = pair(by, None);
        // The manifest's 10 s, 5 s in a CDN, and some more.
        let waits = cut_after_return(&pair, true, 119);
        assert_eq!(cut_step(&waits), CutStep::Waits);
        assert_eq!(wait_is_over(&pair, &waits, Side::B, at(119)), None);
        let falls = wait_is_over(&pair, &waits, Side::B, at(120)).unwrap();
        assert!(matches!(
            cut_step(&falls),
            CutStep::Apply(EndpointAction::Delete | EndpointAction::Deny(_))
        ));
        assert_eq!(wait_is_over(&pair, &falls, Side::B, at(120)), None);
        // Enough time has passed; everybody has always known it; nobody would ever hear of it.
        let unsteered = Pair {
            steering_ttl: None,
            ..pair.clone()
        };
        for (pair, is_new, now) in [
            (&pair, true, 120),
            (&pair, false, 101),
            (&unsteered, true, 101),
        ] {
            assert!(matches!(
                cut_step(&cut_after_return(pair, is_new, now)),
                CutStep::Apply(EndpointAction::Delete | EndpointAction::Deny(_))
            ));
        }
        // Steering was switched off meanwhile.
        assert!(wait_is_over(&unsteered, &waits, Side::B, at(101)).is_some());
        // What was not touched may come back as it is, under its name.
        let record = waits.sides.b.cut().unwrap();
        assert_eq!(repair(record, "B-hls", Some(&endpoint)), Ok(None));
        assert_eq!(
            returned(&waits, Side::B, Some(&endpoint), None, at(130))
                .sides
                .b
                .pathway,
            "B"
        );
    }
    assert_eq!(
        cut_step(&cut_after_return(&pair(CutBy::None, None), true, 101)),
        CutStep::None
    );
}

#[test]
fn sides_that_are_mixed_up_are_told() {
    let say = |sent_to: [&[&str]; 2], served: [&str; 2]| {
        let channel = |sent_to: &[&str]| Channel {
            state: "RUNNING".to_owned(),
            pipelines_running: 1,
            is_standard: false,
            mediapackage_channels: sent_to.iter().map(|id| (*id).to_owned()).collect(),
        };
        let (a, b) = (channel(sent_to[0]), channel(sent_to[1]));
        let channels = Sides { a: &a, b: &b };
        let (a, b) = (
            definition("A-hls", served[0]),
            definition("B-hls", served[1]),
        );
        let endpoints = Sides {
            a: Some(&a),
            b: Some(&b),
        };
        misconfiguration(&show(), &channels, &endpoints)
    };
    assert_eq!(say([&["a"], &["b"]], ["a", "b"]), None);
    assert_eq!(
        say([&["else", "a"], &[]], ["a", "b"]),
        None,
        "what is not said is not judged"
    );
    let why = say([&["a"], &["b"]], ["b", "a"]).unwrap();
    assert!(
        why.contains("endpoint A-hls is configured for side A, but serves MediaPackage channel b"),
        "{why}"
    );
    assert!(
        say([&["a"], &["c"]], ["a", "b"])
            .unwrap()
            .contains("B-hls is configured for side B")
    );
    assert!(
        say([&[], &[]], ["a", "a"])
            .unwrap()
            .contains("the same MediaPackage channel, a")
    );
}

#[test]
fn a_side_is_not_kept_waiting_for_long_while_viewers_are_on_one_that_is_lost() {
    let with = |quiet: i64| Pair {
        stabilization_period: TimeDelta::seconds(quiet),
        ..show()
    };
    assert_eq!(
        [0, 30, 360].map(|quiet| shortened_period(&with(quiet)).num_seconds()),
        [0, 30, 60]
    );
    // Where nothing steers, players shun it until the usual time is over.
    assert_eq!(
        shortened_period(&Pair {
            steering_ttl: None,
            ..with(360)
        }),
        TimeDelta::seconds(360)
    );
}

#[test]
fn well_is_a_running_channel_without_alerts_of_the_chosen_types() {
    let pair = show();
    let channel = |state: &str, pipelines_running, is_standard| Channel {
        state: state.to_owned(),
        pipelines_running,
        is_standard,
        mediapackage_channels: Vec::new(),
    };
    let alert = |kind: &str, pipeline: &str, is_set, cleared: Option<i64>| Alert {
        alert_type: kind.to_owned(),
        pipeline: pipeline.to_owned(),
        is_set,
        cleared_at: cleared.map(at),
    };
    let say = |channel: &Channel, alerts: &[Alert]| {
        health(&pair.sides.a, &pair.alert_types, channel, alerts)
    };
    let running = channel("RUNNING", 1, false);
    let cleared = [
        alert("Video Not Detected", "0", false, Some(3)),
        alert("Video Not Detected", "0", false, Some(7)),
    ];
    assert_eq!(
        say(&running, &cleared),
        Health::Healthy {
            last_cleared: Some(at(7))
        }
    );
    let others = [
        alert("Video Not Detected", "1", true, None),
        alert("Black Video Detected", "0", true, None),
    ];
    assert_eq!(
        say(&running, &others),
        Health::Healthy { last_cleared: None }
    );
    let troubled =
        |channel, alerts: &[Alert]| matches!(say(&channel, alerts), Health::Unhealthy(_));
    assert!(troubled(
        running,
        &[alert("Video Not Detected", "0", true, None)]
    ));
    assert!(troubled(channel("IDLE", 0, false), &[]));
    assert!(troubled(channel("RUNNING", 1, true), &[]));
    assert!(!troubled(channel("RUNNING", 2, true), &[]));
}

#[test]
fn a_side_comes_back_only_after_it_was_well_for_long_enough() {
    let quiet = TimeDelta::seconds(360);
    let clean = |last_cleared: Option<i64>| Health::Healthy {
        last_cleared: last_cleared.map(at),
    };
    let start = cut(
        &pair(CutBy::None, None),
        &PairState::default(),
        &loss(Side::A, Until::Healthy),
        None,
        at(0),
    );
    let go = |state: &PairState, health: Option<&Health>, now| {
        step(state, Side::A, health, quiet, at(now))
    };
    let remembers = |step: Step| match step {
        Step::Wait {
            remember: Some(state),
            ..
        } => state,
        other => panic!("{other:?}"),
    };
    let waits = |step: &Step| matches!(step, Step::Wait { remember: None, .. });

    // Trouble: nothing. Then it is seen to be well, and that is remembered.
    let troubled = Health::Unhealthy("alerts".to_owned());
    assert!(waits(&go(&start, Some(&troubled), 60)));
    let seen = remembers(go(&start, Some(&clean(None)), 100));
    assert!(waits(&go(&seen, Some(&clean(None)), 459)));
    assert!(matches!(
        go(&seen, Some(&clean(None)), 460),
        Step::Restore(_)
    ));
    // Trouble between two looks, which only MediaLive tells of, begins the time anew; trouble that
    // is seen, too.
    assert!(waits(&go(&seen, Some(&clean(Some(200))), 559)));
    assert!(matches!(
        go(&seen, Some(&clean(Some(200))), 560),
        Step::Restore(_)
    ));
    let forgotten = remembers(go(&seen, Some(&troubled), 300));
    let again = remembers(go(&forgotten, Some(&clean(None)), 360));
    assert!(waits(&go(&again, Some(&clean(None)), 719)));
    // A person need not wait.
    let Step::Restore(returning) = go(&start, None, 1) else {
        panic!("a person was made to wait")
    };
    assert!(matches!(returning.sides.a.status, Status::Returning(_)));
    assert_eq!(go(&returning, None, 2), Step::Probe);
    assert!(waits(&go(&returning, Some(&troubled), 2)));
}

#[test]
fn a_state_survives_being_written_and_one_that_is_not_ours_is_refused() {
    let state = cut(
        &pair(CutBy::Deny, None),
        &PairState::default(),
        &loss(Side::A, Until::Healthy),
        None,
        at(0),
    );
    assert_eq!(PairState::parse(&state.to_text()).unwrap(), state);
    let text = state.to_text();
    for (from, to) in [
        ("\"version\": \"1\"", "\"version\": \"2\""),
        ("\"first\": \"B\"", "\"first\": \"C\""),
        ("\"live\"", "\"dead\""),
        ("{", ""),
    ] {
        assert!(
            PairState::parse(&text.replacen(from, to, 1)).is_err(),
            "{from} -> {to}"
        );
    }
    let mut both = state.clone();
    both.sides.b.status = both.sides.a.status.clone();
    assert!(
        PairState::parse(&both.to_text())
            .unwrap_err()
            .contains("neither side is live")
    );
}
