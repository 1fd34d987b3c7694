//! The rules of a pair, one by one.

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
        detail: json["detail"].clone(),
    });
    Event {
        payload: service.map_or(Payload::Manual, Payload::Service),
        onair: json.get("onair").cloned(),
        time: json.get("time").cloned(),
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
fn an_event_is_decoded_to_a_trigger() {
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
fn an_invalid_event_is_reported_with_its_fault() {
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
fn only_a_recent_alert_is_trusted() {
    let mut state = PairState::default();
    let is_distrusted =
        |state: &PairState, sent, now| diagnose(&lost_at(sent), state, at(now)).is_none();
    assert!(!is_distrusted(&state, 0, FRESH_ALERT.num_seconds()));
    assert!(is_distrusted(&state, 0, FRESH_ALERT.num_seconds() + 1));
    // The side returned after the alert was sent.
    state.sides.a.since = Some(at(50));
    assert!(is_distrusted(&state, 50, 60));
    assert!(!is_distrusted(&state, 51, 60));
}

#[test]
fn medialive_identifies_the_lost_side_unless_both_have_alerts() {
    let diagnosis = |a: bool, b: bool| {
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
    assert!(matches!(
        diagnosis(false, false),
        Ok(Diagnosis::Healthy { .. })
    ));
    assert!(matches!(
        diagnosis(false, true),
        Ok(Diagnosis::InputLost(Loss { side: Side::B, .. }))
    ));
    assert!(matches!(
        diagnosis(true, true),
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
fn the_active_side_is_lost_if_it_is_stalled_and_the_other_is_advancing() {
    let unknown = Freshness::Unknown("away".to_owned());
    let diagnose = |active: Side, stall: Option<(i64, i64)>, a: &Freshness, b: &Freshness| {
        let mut state = PairState::default();
        state.active = active;
        state.sides.a.stall = stall.map(|(since, seen)| StallRecord {
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
    assert!(is_lost(diagnose(
        Side::A,
        Some((55, 100)),
        &stale(),
        &Freshness::Advancing
    )));
    // Too short; no stall yet; not the active side; both stale; freshness unknown.
    assert!(!is_lost(diagnose(
        Side::A,
        Some((56, 100)),
        &stale(),
        &Freshness::Advancing
    )));
    assert!(!is_lost(diagnose(
        Side::A,
        None,
        &stale(),
        &Freshness::Advancing
    )));
    assert!(!is_lost(diagnose(
        Side::B,
        Some((0, 100)),
        &stale(),
        &Freshness::Advancing
    )));
    assert!(!is_lost(diagnose(
        Side::A,
        Some((0, 100)),
        &stale(),
        &stale()
    )));
    assert!(!is_lost(diagnose(
        Side::A,
        Some((0, 100)),
        &stale(),
        &unknown
    )));
    assert!(!is_lost(diagnose(
        Side::A,
        Some((0, 100)),
        &unknown,
        &Freshness::Advancing
    )));
    assert!(!is_lost(diagnose(
        Side::A,
        Some((0, 100)),
        &Freshness::Advancing,
        &Freshness::Advancing
    )));
}

#[test]
fn a_stall_is_recorded_while_the_other_side_is_advancing_or_not_probed() {
    let stall = |since, seen| {
        Some(StallRecord {
            since: at(since),
            seen: at(seen),
        })
    };
    let (advancing, unknown) = (Freshness::Advancing, Freshness::Unknown("away".to_owned()));
    let record = |before, freshness: &Freshness, other: Option<&Freshness>| {
        stall_record(before, freshness, other, at(200))
    };
    assert_eq!(record(None, &stale(), Some(&advancing)), stall(200, 200));
    assert_eq!(
        record(stall(0, 140), &stale(), Some(&advancing)),
        stall(0, 200)
    );
    assert_eq!(record(stall(0, 140), &stale(), None), stall(0, 200));
    // The earlier probe is too old to count.
    assert_eq!(
        record(stall(0, 49), &stale(), Some(&advancing)),
        stall(200, 200)
    );
    // Both sides are stale at the beginning and at the end of a show.
    assert_eq!(record(stall(0, 140), &stale(), Some(&stale())), None);
    assert_eq!(record(stall(0, 140), &stale(), Some(&unknown)), None);
    assert_eq!(record(stall(0, 140), &advancing, Some(&advancing)), None);
    assert_eq!(
        record(stall(0, 140), &unknown, Some(&advancing)),
        stall(0, 140)
    );
}

#[test]
fn an_alarm_and_a_request_by_hand_are_remembered() {
    let lost = |until| loss(Side::A, until);
    let live = PairState::default();
    assert_eq!(note(&live, &lost(Until::Healthy), at(5)), live);
    assert_eq!(
        note(&live, &lost(Until::Person), at(5)),
        live,
        "the cut record will contain it"
    );
    let in_alarm = note(&live, &lost(Until::Alarm), at(5));
    assert_eq!(
        (in_alarm.sides.a.alarm_since, in_alarm.generation),
        (Some(at(5)), 0)
    );
    assert_eq!(note(&in_alarm, &lost(Until::Alarm), at(9)), in_alarm);
    // The schedule reads the alarm from the state, because no request returns it.
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

    // The strictest of several conditions for the return of a side applies.
    let cut_state = cut(&show(), &live, &lost(Until::Healthy), None, at(0));
    let until = |state: &PairState| state.sides.a.cut().unwrap().until;
    let alarmed = note(&cut_state, &lost(Until::Alarm), at(5));
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
fn an_endpoint_is_cut_only_after_all_players_know_the_side_that_returned() {
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
        // The manifest is kept for 10 s by players and for 5 s by a CDN, and there is a margin.
        let waits = cut_after_return(&pair, true, 119);
        assert_eq!(cut_step(&waits), CutStep::Waits);
        assert_eq!(wait_is_over(&pair, &waits, Side::B, at(119)), None);
        let due = wait_is_over(&pair, &waits, Side::B, at(120)).unwrap();
        assert!(matches!(
            cut_step(&due),
            CutStep::Apply(EndpointAction::Delete | EndpointAction::Deny(_))
        ));
        assert_eq!(wait_is_over(&pair, &due, Side::B, at(120)), None);
        // The time has passed; players have always known the side; there is no steering.
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
        // Steering was turned off in the meantime.
        assert!(wait_is_over(&unsteered, &waits, Side::B, at(101)).is_some());
        // An endpoint that still serves returns unchanged, in its pathway.
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
fn swapped_endpoints_are_detected() {
    let check = |sent_to: [&[&str]; 2], served: [&str; 2]| {
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
    assert_eq!(check([&["a"], &["b"]], ["a", "b"]), None);
    assert_eq!(
        check([&["else", "a"], &[]], ["a", "b"]),
        None,
        "a channel without destinations in MediaPackage is not checked"
    );
    let why = check([&["a"], &["b"]], ["b", "a"]).unwrap();
    assert!(
        why.contains("endpoint A-hls is configured for side A, but serves MediaPackage channel b"),
        "{why}"
    );
    assert!(
        check([&["a"], &["c"]], ["a", "b"])
            .unwrap()
            .contains("B-hls is configured for side B")
    );
    assert!(
        check([&[], &[]], ["a", "a"])
            .unwrap()
            .contains("the same MediaPackage channel, a")
    );
}

#[test]
fn the_stabilization_period_is_shorter_while_the_active_side_is_lost() {
    let with = |period: i64| Pair {
        stabilization_period: TimeDelta::seconds(period),
        ..show()
    };
    assert_eq!(
        [0, 30, 360].map(|period| shortened_period(&with(period)).num_seconds()),
        [0, 30, 60]
    );
    // Without steering, players avoid the side for longer than the shorter period.
    assert_eq!(
        shortened_period(&Pair {
            steering_ttl: None,
            ..with(360)
        }),
        TimeDelta::seconds(360)
    );
}

#[test]
fn a_side_is_healthy_if_its_channel_runs_without_alerts_of_the_alert_types() {
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
    let evaluate = |channel: &Channel, alerts: &[Alert]| {
        health(&pair.sides.a, &pair.alert_types, channel, alerts)
    };
    let running = channel("RUNNING", 1, false);
    let cleared = [
        alert("Video Not Detected", "0", false, Some(3)),
        alert("Video Not Detected", "0", false, Some(7)),
    ];
    assert_eq!(
        evaluate(&running, &cleared),
        Health::Healthy {
            last_cleared: Some(at(7))
        }
    );
    let others = [
        alert("Video Not Detected", "1", true, None),
        alert("Black Video Detected", "0", true, None),
    ];
    assert_eq!(
        evaluate(&running, &others),
        Health::Healthy { last_cleared: None }
    );
    let is_unhealthy =
        |channel, alerts: &[Alert]| matches!(evaluate(&channel, alerts), Health::Unhealthy(_));
    assert!(is_unhealthy(
        running,
        &[alert("Video Not Detected", "0", true, None)]
    ));
    assert!(is_unhealthy(channel("IDLE", 0, false), &[]));
    assert!(is_unhealthy(channel("RUNNING", 1, true), &[]));
    assert!(!is_unhealthy(channel("RUNNING", 2, true), &[]));
}

#[test]
fn a_side_returns_only_after_the_stabilization_period() {
    let period = TimeDelta::seconds(360);
    let healthy = |last_cleared: Option<i64>| Health::Healthy {
        last_cleared: last_cleared.map(at),
    };
    let start = cut(
        &pair(CutBy::None, None),
        &PairState::default(),
        &loss(Side::A, Until::Healthy),
        None,
        at(0),
    );
    let next_step = |state: &PairState, health: Option<&Health>, now| {
        step(state, Side::A, health, period, at(now))
    };
    let remembers = |step: Step| match step {
        Step::Wait {
            remember: Some(state),
            ..
        } => state,
        other => panic!("{other:?}"),
    };
    let waits = |step: &Step| matches!(step, Step::Wait { remember: None, .. });

    // An unhealthy side waits. The first healthy check is remembered.
    let unhealthy = Health::Unhealthy("alerts".to_owned());
    assert!(waits(&next_step(&start, Some(&unhealthy), 60)));
    let seen = remembers(next_step(&start, Some(&healthy(None)), 100));
    assert!(waits(&next_step(&seen, Some(&healthy(None)), 459)));
    assert!(matches!(
        next_step(&seen, Some(&healthy(None)), 460),
        Step::Restore(_)
    ));
    // An alert between two checks, which MediaLive lists, restarts the period. So does an unhealthy
    // check.
    assert!(waits(&next_step(&seen, Some(&healthy(Some(200))), 559)));
    assert!(matches!(
        next_step(&seen, Some(&healthy(Some(200))), 560),
        Step::Restore(_)
    ));
    let forgotten = remembers(next_step(&seen, Some(&unhealthy), 300));
    let again = remembers(next_step(&forgotten, Some(&healthy(None)), 360));
    assert!(waits(&next_step(&again, Some(&healthy(None)), 719)));
    // A request by hand does not wait.
    let Step::Restore(returning) = next_step(&start, None, 1) else {
        panic!("a request by hand waits")
    };
    assert!(matches!(returning.sides.a.status, Status::Returning(_)));
    assert_eq!(next_step(&returning, None, 2), Step::Probe);
    assert!(waits(&next_step(&returning, Some(&unhealthy), 2)));
}

#[test]
fn a_state_is_parsed_from_its_own_text_and_other_texts_are_refused() {
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
