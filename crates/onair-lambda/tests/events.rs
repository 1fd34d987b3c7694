//! Events as they are on the wire, well-formed or not, and what each kind of function does with
//! them.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::TimeDelta;
use flate2::Compression;
use flate2::write::GzEncoder;
use onair_core::complete_lifecycle::{self, FleetPolicy, LaunchPolicy, PassRule};
use onair_core::count_viewers::event::{self as count_viewers, LogSource};
use onair_core::event::Event;
use onair_core::pair::trigger::{self as pair, Trigger};
use onair_core::pair::{CutBy, Pair, Sides, Source};
use onair_core::prune_recording::event::{self as prune_recording};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write;

/// The reaction of one kind of function to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It acts.
    Run,
    /// It plans only.
    DryRun,
    Ignored,
    BadEvent,
}

use Outcome::{BadEvent, DryRun, Ignored, Run};

/// The outcomes of prune-recording, count-viewers, complete-lifecycle and the functions of a pair.
fn outcomes(text: &str) -> [Outcome; 4] {
    match onair_lambda::event::decode(serde_json::from_str(text).unwrap()) {
        Ok(event) => [
            prune(&event),
            count(&event),
            lifecycle(&event),
            of_pair(&event),
        ],
        Err(_) => [BadEvent; 4],
    }
}

fn prune(event: &Event) -> Outcome {
    use prune_recording::RecordingTrigger;
    outcome(&prune_recording::decode(event), |trigger| match trigger {
        RecordingTrigger::RecordingEnded(request) => Some(request.dry_run),
        RecordingTrigger::Ignored { .. } => None,
    })
}

fn count(event: &Event) -> Outcome {
    outcome(&count_viewers::decode(event), |request| {
        let is_ignored = matches!(request.source, LogSource::Ignored { .. });
        (!is_ignored).then_some(request.dry_run)
    })
}

fn lifecycle(event: &Event) -> Outcome {
    use complete_lifecycle::Scope;
    let launch = LaunchPolicy {
        hook: "onair-launch".to_owned(),
        bucket: "playbooks".to_owned(),
        region: "us-west-2".to_owned(),
        playbook: "web.yml".to_owned(),
        check_mode: false,
        rule: PassRule::NothingFailed,
        timeout_seconds: 1800,
        extra_variables: String::new(),
    };
    let fleet = FleetPolicy {
        group: "my-asg".to_owned(),
        launch: Some(launch),
        terminate: None,
    };
    outcome(&complete_lifecycle::decode(event, &fleet), |request| {
        let is_ignored = matches!(request.scope, Scope::Ignored { .. });
        (!is_ignored).then_some(request.dry_run)
    })
}

fn of_pair(event: &Event) -> Outcome {
    let source = |side: &str| Source {
        channel_arn: format!("arn:aws:medialive:us-west-2:111122223333:channel:{side}"),
        pipeline: "0".to_owned(),
        endpoint: format!("show-{side}"),
        base_url: None,
        alarm: Some(format!("onair-show-side-{side}")),
    };
    let pair = Pair {
        name: "show".to_owned(),
        sides: Sides {
            a: source("a"),
            b: source("b"),
        },
        cut: CutBy::Delete,
        steering_ttl: None,
        alert_types: ["Video Not Detected".to_owned()].into(),
        stabilization_period: TimeDelta::seconds(360),
        prefer: None,
    };
    outcome(&pair::decode(event, &pair), |event| {
        let is_ignored = matches!(event.trigger, Trigger::Ignored { .. });
        (!is_ignored).then_some(event.dry_run)
    })
}

/// `dry_run` is `None` for an event that is ignored.
fn outcome<T, E>(decoded: &Result<T, E>, dry_run: fn(&T) -> Option<bool>) -> Outcome {
    match decoded.as_ref().map(dry_run) {
        Ok(Some(false)) => Run,
        Ok(Some(true)) => DryRun,
        Ok(None) => Ignored,
        Err(_) => BadEvent,
    }
}

const RECORDING_END: &str = r#"{"source": "aws.ivs", "detail-type": "IVS Recording State Change", "detail": {
    "recording_status": "Recording End", "recording_s3_bucket_name": "recordings",
    "recording_s3_key_prefix": "ivs/v1/a"}}"#;
const OBJECT_CREATED: &str = r#"{"source": "aws.s3", "detail-type": "Object Created", "detail": {
    "bucket": {"name": "b"}, "object": {"key": "a/events/recording-ended.json"}}}"#;
const LAUNCH: &str = r#"{"source": "aws.autoscaling", "detail-type": "EC2 Instance-launch Lifecycle Action",
    "detail": {"AutoScalingGroupName": "my-asg", "LifecycleHookName": "onair-launch",
    "EC2InstanceId": "i-1234567890abcdef0"}}"#;
const COMMAND: &str = r#"{"source": "aws.ssm",
    "detail-type": "EC2 Command Invocation Status-change Notification",
    "detail": {"document-name": "AWS-ApplyAnsiblePlaybooks", "instance-id": "i-1234567890abcdef0"}}"#;
const ALERT: &str = r#"{"source": "aws.medialive", "detail-type": "MediaLive Channel Alert",
    "time": "2027-01-15T08:00:00Z", "detail": {"alarm_state": "SET", "alert_type": "Video Not Detected",
    "pipeline": "0", "channel_arn": "arn:aws:medialive:us-west-2:111122223333:channel:a"}}"#;
const CLEARED: &str = r#"{"source": "aws.medialive", "detail-type": "MediaLive Channel Alert",
    "time": "2027-01-15T08:00:00Z", "detail": {"alarm_state": "CLEARED", "alert_type": "Video Not Detected",
    "pipeline": "0", "channel_arn": "arn:aws:medialive:us-west-2:111122223333:channel:a"}}"#;
const ALARM: &str = r#"{"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change",
    "time": "2027-01-15T08:00:00Z", "detail": {"alarmName": "onair-show-side-a", "state": {"value": "ALARM"}}}"#;
const SCHEDULED: &str = r#"{"source": "aws.events", "detail-type": "Scheduled Event", "time": "2027-01-15T08:00:00Z", "detail": {}}"#;
const MANUAL: &str = r#"{"onair": {}}"#;

/// A metric-math alarm (CloudWatch User Guide, "Invoke a Lambda function from an alarm"): its time
/// is not RFC 3339, and its configuration has neither `metricStat` nor a short period.
fn alarm_action() -> String {
    r#"{"source": "aws.cloudwatch", "accountId": "111122223333", "region": "us-west-2",
    "alarmArn": "arn:aws:cloudwatch:us-west-2:111122223333:alarm:onair-show-side-a",
    "time": "2027-01-15T08:00:00.490+0000", "alarmData": {"alarmName": "onair-show-side-a",
    "state": {"value": "ALARM", "reason": "test", "timestamp": "2027-01-15T08:00:00.490+0000"},
    "previousState": {"value": "OK", "reason": "test", "timestamp": "2027-01-15T07:00:00.490+0000"},
    "configuration": {"metrics": [{"id": "e1", "expression": "m1 / m2", "period": 86400}]}}}"#
        .to_owned()
}

fn batch(message: &str) -> String {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(message.as_bytes()).unwrap();
    let data = BASE64_STANDARD.encode(packed.finish().unwrap());
    json!({ "awslogs": { "data": data } }).to_string()
}

fn data_message() -> String {
    batch(
        r#"{"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "web", "logStream": "i-1",
        "subscriptionFilters": ["onair"], "logEvents": [{"id": "1", "timestamp": 1, "message": "GET /"}]}"#,
    )
}

/// The same event with another field at its end, which counts if the field is there twice.
fn with(event: &str, field: &str) -> String {
    let open = event.strip_suffix('}').unwrap();
    format!("{open}, {field}}}")
}

/// The same event with this text in place of another.
fn replacing(event: &str, from: &str, to: &str) -> String {
    assert!(event.contains(from), "{from} in {event}");
    event.replace(from, to)
}

fn check(rows: &[(String, [Outcome; 4])]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(event, expected)| outcomes(event) != *expected)
        .map(|(event, expected)| format!("{event}\n{:?}, not {expected:?}", outcomes(event)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn each_form_of_event_is_run_by_its_own_functions() {
    check(&[
        (RECORDING_END.into(), [Run, Ignored, Ignored, Ignored]),
        (OBJECT_CREATED.into(), [Run, Run, Ignored, Ignored]),
        (LAUNCH.into(), [Ignored, Ignored, Run, Ignored]),
        (COMMAND.into(), [Ignored, Ignored, Run, Ignored]),
        (ALERT.into(), [Ignored, Ignored, Ignored, Run]),
        (CLEARED.into(), [Ignored, Ignored, Ignored, Run]),
        (ALARM.into(), [Ignored, Ignored, Ignored, Run]),
        (SCHEDULED.into(), [Ignored, Ignored, Run, Run]),
        (MANUAL.into(), [BadEvent, BadEvent, Run, Run]),
        (data_message(), [Ignored, Run, Ignored, Ignored]),
        (alarm_action(), [Ignored, Ignored, Ignored, Run]),
    ]);
}

#[test]
fn dry_run_counts_beside_each_form_of_event() {
    let dry = r#""onair": {"dry_run": true}"#;
    check(&[
        (
            with(RECORDING_END, dry),
            [DryRun, Ignored, Ignored, Ignored],
        ),
        (
            with(OBJECT_CREATED, dry),
            [DryRun, DryRun, Ignored, Ignored],
        ),
        (with(LAUNCH, dry), [Ignored, Ignored, DryRun, Ignored]),
        (with(COMMAND, dry), [Ignored, Ignored, DryRun, Ignored]),
        (with(ALERT, dry), [Ignored, Ignored, Ignored, DryRun]),
        (with(CLEARED, dry), [Ignored, Ignored, Ignored, DryRun]),
        (with(ALARM, dry), [Ignored, Ignored, Ignored, DryRun]),
        (with(SCHEDULED, dry), [Ignored, Ignored, DryRun, DryRun]),
        (with(MANUAL, dry), [BadEvent, BadEvent, DryRun, DryRun]),
        (
            with(&data_message(), dry),
            [Ignored, DryRun, Ignored, Ignored],
        ),
        (
            with(&alarm_action(), dry),
            [Ignored, Ignored, Ignored, DryRun],
        ),
    ]);
}

#[test]
fn a_wish_that_cannot_be_read_is_never_taken_for_a_real_run() {
    let wishes = [
        r#""onair": {"dryrun": true}"#,
        r#""onair": {"dry_run": "true"}"#,
        r#""onair": {"dry_run": 1}"#,
        r#""onair": {"dry_run": null}"#,
        r#""onair": {"dry_run": true, "dry_runs": true}"#,
        r#""onair": {"onair": {"dry_run": true}}"#,
        r#""onair": true"#,
        r#""onair": "dry_run""#,
        r#""onair": []"#,
        r#""onair": [true]"#,
        r#""onair": null"#,
    ];
    for wish in wishes {
        check(&[
            (with(RECORDING_END, wish), [BadEvent; 4]),
            (with(OBJECT_CREATED, wish), [BadEvent; 4]),
            (with(LAUNCH, wish), [BadEvent; 4]),
            (with(ALERT, wish), [BadEvent; 4]),
            (with(SCHEDULED, wish), [BadEvent; 4]),
            (with(&data_message(), wish), [BadEvent; 4]),
            (with(&alarm_action(), wish), [BadEvent; 4]),
            (format!("{{{wish}}}"), [BadEvent; 4]),
        ]);
    }
}

#[test]
fn a_field_of_a_manual_event_is_refused_beside_an_event() {
    let instance = r#""onair": {"instance": "i-1234567890abcdef0"}"#;
    let side = r#""onair": {"side": "A"}"#;
    check(&[
        (
            format!("{{{instance}}}"),
            [BadEvent, BadEvent, Run, BadEvent],
        ),
        (with(LAUNCH, instance), [BadEvent; 4]),
        (format!("{{{side}}}"), [BadEvent, BadEvent, BadEvent, Run]),
        (with(ALERT, side), [BadEvent; 4]),
        (r#"{"onair": {"side": "C"}}"#.into(), [BadEvent; 4]),
        (r#"{"onair": {"instance": "web-1"}}"#.into(), [BadEvent; 4]),
    ]);
}

#[test]
fn what_is_not_an_event_is_refused() {
    for text in [
        "null",
        "7",
        "true",
        "\"event\"",
        "[]",
        "{}",
        r#"{"detail": {}}"#,
    ] {
        check(&[(text.to_owned(), [BadEvent; 4])]);
    }
    check(&[
        (
            r#"["aws.ivs", "IVS Recording State Change", {}, {}]"#.into(),
            [BadEvent; 4],
        ),
        (r#"{"source": "aws.events"}"#.into(), [BadEvent; 4]),
        (
            r#"{"source": "aws.events", "detail": {}}"#.into(),
            [BadEvent; 4],
        ),
        (
            r#"{"detail-type": "Scheduled Event", "detail": {}}"#.into(),
            [BadEvent; 4],
        ),
        (
            r#"{"source": null, "detail-type": null, "detail": {}}"#.into(),
            [BadEvent; 4],
        ),
        (
            r#"{"source": 7, "detail-type": "Scheduled Event", "detail": {}}"#.into(),
            [BadEvent; 4],
        ),
        (
            r#"{"source": "aws.events", "detail-type": 7, "detail": {}}"#.into(),
            [BadEvent; 4],
        ),
        (
            r#"{"source": ["aws.events"], "detail-type": "Scheduled Event", "detail": {}}"#.into(),
            [BadEvent; 4],
        ),
    ]);
}

#[test]
fn a_detail_has_the_form_of_its_event() {
    for detail in ["null", "7", "\"detail\"", "[]", "{}"] {
        let event = |source: &str, kind: &str| {
            format!(r#"{{"source": "{source}", "detail-type": "{kind}", "detail": {detail}}}"#)
        };
        check(&[
            (
                event("aws.ivs", "IVS Recording State Change"),
                [BadEvent, Ignored, Ignored, Ignored],
            ),
            (
                event("aws.s3", "Object Created"),
                [BadEvent, BadEvent, Ignored, Ignored],
            ),
            (
                event("aws.autoscaling", "EC2 Instance-launch Lifecycle Action"),
                [Ignored, Ignored, BadEvent, Ignored],
            ),
            (
                event(
                    "aws.ssm",
                    "EC2 Command Invocation Status-change Notification",
                ),
                [Ignored, Ignored, BadEvent, Ignored],
            ),
            (
                event("aws.medialive", "MediaLive Channel Alert"),
                [Ignored, Ignored, Ignored, BadEvent],
            ),
            (
                event("aws.cloudwatch", "CloudWatch Alarm State Change"),
                [Ignored, Ignored, Ignored, BadEvent],
            ),
            (
                event("aws.events", "Scheduled Event"),
                [Ignored, Ignored, Run, Run],
            ),
        ]);
    }
    let without =
        |source: &str, kind: &str| format!(r#"{{"source": "{source}", "detail-type": "{kind}"}}"#);
    check(&[
        (
            without("aws.ivs", "IVS Recording State Change"),
            [BadEvent, Ignored, Ignored, Ignored],
        ),
        (
            without("aws.s3", "Object Created"),
            [BadEvent, BadEvent, Ignored, Ignored],
        ),
        (
            without("aws.medialive", "MediaLive Channel Alert"),
            [Ignored, Ignored, Ignored, BadEvent],
        ),
        (
            without("aws.events", "Scheduled Event"),
            [Ignored, Ignored, Run, Run],
        ),
    ]);
}

#[test]
fn a_list_is_never_taken_for_an_object() {
    check(&[
        (
            r#"{"source": "aws.ivs", "detail-type": "IVS Recording State Change",
                "detail": ["Recording End", "recordings", "ivs/v1/a"]}"#
                .into(),
            [BadEvent, Ignored, Ignored, Ignored],
        ),
        (
            r#"{"source": "aws.s3", "detail-type": "Object Created",
                "detail": {"bucket": ["b"], "object": ["a/events/recording-ended.json"]}}"#
                .into(),
            [BadEvent, BadEvent, Ignored, Ignored],
        ),
        (
            r#"{"source": "aws.medialive", "detail-type": "MediaLive Channel Alert",
                "time": "2027-01-15T08:00:00Z", "detail": ["SET", "Video Not Detected", "0", "a"]}"#
                .into(),
            [Ignored, Ignored, Ignored, BadEvent],
        ),
    ]);
}

#[test]
fn a_number_is_never_taken_for_a_text() {
    check(&[
        (
            replacing(RECORDING_END, r#""recordings""#, "7"),
            [BadEvent, Ignored, Ignored, Ignored],
        ),
        (
            replacing(OBJECT_CREATED, r#""b""#, "7"),
            [BadEvent, BadEvent, Ignored, Ignored],
        ),
        (
            replacing(LAUNCH, r#""my-asg""#, "7"),
            [Ignored, Ignored, BadEvent, Ignored],
        ),
        (
            replacing(ALERT, r#""0""#, "0"),
            [Ignored, Ignored, Ignored, BadEvent],
        ),
        (
            replacing(ALARM, r#""ALARM""#, "1"),
            [Ignored, Ignored, Ignored, BadEvent],
        ),
    ]);
}

#[test]
fn fields_of_the_envelope_that_no_function_reads_may_have_any_form() {
    let odd = r#""version": 0, "id": null, "account": 111122223333, "region": ["us-west-2"],
        "resources": "arn:aws:ivs", "awslogs-of-another": 7.5e300, "trace-header": {}"#;
    check(&[
        (with(RECORDING_END, odd), [Run, Ignored, Ignored, Ignored]),
        (with(OBJECT_CREATED, odd), [Run, Run, Ignored, Ignored]),
        (with(LAUNCH, odd), [Ignored, Ignored, Run, Ignored]),
        (with(ALERT, odd), [Ignored, Ignored, Ignored, Run]),
        (with(SCHEDULED, odd), [Ignored, Ignored, Run, Run]),
    ]);
}

#[test]
fn a_time_is_a_string_which_only_a_lost_input_needs() {
    for time in [
        r#""yesterday""#,
        r#""""#,
        r#""2027-01-15""#,
        r#""2027-01-15T08:00:00""#,
    ] {
        let time = format!(r#""time": {time}"#);
        check(&[
            (with(RECORDING_END, &time), [Run, Ignored, Ignored, Ignored]),
            (with(OBJECT_CREATED, &time), [Run, Run, Ignored, Ignored]),
            (with(LAUNCH, &time), [Ignored, Ignored, Run, Ignored]),
            (with(ALERT, &time), [Ignored, Ignored, Ignored, BadEvent]),
            (with(ALARM, &time), [Ignored, Ignored, Ignored, BadEvent]),
            (with(CLEARED, &time), [Ignored, Ignored, Ignored, Run]),
            (with(SCHEDULED, &time), [Ignored, Ignored, Run, Run]),
        ]);
    }
    let null = r#""time": null"#;
    let number = r#""time": 1800000000"#;
    check(&[
        (with(MANUAL, number), [BadEvent; 4]),
        (with(ALERT, null), [Ignored, Ignored, Ignored, BadEvent]),
        (with(CLEARED, null), [Ignored, Ignored, Ignored, Run]),
        (
            with(RECORDING_END, number),
            [Run, Ignored, BadEvent, BadEvent],
        ),
        (with(OBJECT_CREATED, number), [Run, Run, BadEvent, BadEvent]),
        (with(LAUNCH, number), [Ignored, Ignored, BadEvent, BadEvent]),
        (with(ALERT, number), [Ignored, Ignored, BadEvent, BadEvent]),
        (
            with(CLEARED, number),
            [Ignored, Ignored, BadEvent, BadEvent],
        ),
        (
            with(SCHEDULED, number),
            [Ignored, Ignored, BadEvent, BadEvent],
        ),
    ]);
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts() {
    let dry = with(RECORDING_END, r#""onair": {"dry_run": true}"#);
    check(&[
        (
            with(&dry, r#""onair": {"dry_run": false}"#),
            [Run, Ignored, Ignored, Ignored],
        ),
        (
            with(
                RECORDING_END,
                r#""onair": {"dry_run": false, "dry_run": true}"#,
            ),
            [DryRun, Ignored, Ignored, Ignored],
        ),
        (
            with(RECORDING_END, r#""source": "aws.s3""#),
            [Ignored, Ignored, Ignored, Ignored],
        ),
        (
            replacing(
                ALERT,
                r#""alarm_state": "SET""#,
                r#""alarm_state": 7, "alarm_state": "SET""#,
            ),
            [Ignored, Ignored, Ignored, Run],
        ),
    ]);
}

#[test]
fn a_batch_of_logs_is_what_cloudwatch_logs_sends() {
    let refused = |event: String| (event, [BadEvent; 4]);
    check(&[
        refused(r#"{"awslogs": []}"#.into()),
        refused(r#"{"awslogs": null}"#.into()),
        refused(r#"{"awslogs": {}}"#.into()),
        refused(r#"{"awslogs": {"data": 7}}"#.into()),
        refused(r#"{"awslogs": {"data": "secret"}}"#.into()),
        refused(r#"{"awslogs": {"data": "AAAA"}}"#.into()),
        refused(batch("[]")),
        refused(batch(
            r#"["1", "web", "i-1", ["onair"], "DATA_MESSAGE", []]"#,
        )),
        refused(batch(r#"{"messageType": "secret"}"#)),
        refused(batch(
            r#"{"messageType": "DATA_MESSAGE", "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "web",
            "logStream": "i-1", "subscriptionFilters": [], "logEvents": []}"#,
        )),
        refused(batch(
            r#"{"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "web", "logStream": "i-1",
            "subscriptionFilters": [], "logEvents": [{"id": "1", "timestamp": 1, "message": 7}]}"#,
        )),
        (
            batch(
                r#"{"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "",
                "subscriptionFilters": [], "logEvents": [{"id": "", "timestamp": 1, "message": "CWL"}]}"#,
            ),
            [Ignored; 4],
        ),
    ]);
}

#[test]
fn an_alarm_action_means_the_same_as_the_alarm_by_eventbridge() {
    let action = alarm_action();
    let now = |state: &str| {
        replacing(
            &action,
            r#""value": "ALARM""#,
            &format!(r#""value": {state}"#),
        )
    };
    let refused = |event: String| (event, [BadEvent; 4]);
    check(&[
        (now(r#""OK""#), [Ignored, Ignored, Ignored, Run]),
        (now(r#""INSUFFICIENT_DATA""#), [Ignored; 4]),
        (replacing(&action, "side-a", "cpu"), [Ignored; 4]),
        refused(now("null")),
        refused(now("1")),
        refused(now(r#""FINE""#)),
        refused(replacing(&action, r#""value": "ALARM", "#, "")),
        refused(replacing(
            &action,
            r#""alarmName": "onair-show-side-a","#,
            "",
        )),
        refused(replacing(
            &action,
            r#""time": "2027-01-15T08:00:00.490+0000""#,
            r#""time": "2027-01-15""#,
        )),
        (
            r#"{"time": "2027-01-15T08:00:00Z", "accountId": 1, "alarmData": {"alarmName":
                "onair-show-side-a", "state": {"value": "ALARM"}, "previousState": 7}}"#
                .into(),
            [Ignored, Ignored, Ignored, Run],
        ),
        refused(r#"{"alarmData": ["onair-show-side-a", {"value": "ALARM"}]}"#.into()),
        refused(r#"{"source": "aws.cloudwatch", "alarmData": null}"#.into()),
    ]);
}

/// Every value in a document, by its JSON pointer.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    for (field, value) in value.as_object().into_iter().flatten() {
        pointers(value, &format!("{at}/{field}"), found);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{ "dry_run": false }])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_else_is_wrong_with_an_event_a_dry_run_stays_one(
        form in 0..11_usize,
        place in any::<prop::sample::Index>(),
        value in any_value(),
    ) {
        let (batch, action) = (data_message(), alarm_action());
        let forms = [
            RECORDING_END, OBJECT_CREATED, LAUNCH, COMMAND, ALERT, CLEARED, ALARM, SCHEDULED, MANUAL, &batch, &action,
        ];
        let mut event: Value = forms[form].parse().unwrap();
        let mut places = Vec::new();
        pointers(&event, "", &mut places);
        *event.pointer_mut(place.get::<String>(&places)).unwrap() = value;
        if let Some(event) = event.as_object_mut() {
            event.insert("onair".to_owned(), json!({ "dry_run": true }));
        }

        let outcomes = outcomes(&event.to_string());

        prop_assert!(!outcomes.contains(&Run), "{event}: {outcomes:?}");
    }
}
