//! Every S3 request of a run fails once in every way, or the process is killed during it. Then the
//! run is repeated. Promises P17 and P18: all cases, not samples.

use super::{BYTE_RANGE, KEEP_HIGHEST, MASTER};
use onair_core::playlist::MultivariantPlaylist;
use stand_in::ivs::Recording;
use stand_in::{Answer, Fault, Object};
use std::cell::Cell;
use std::collections::BTreeSet;
use stories::faults::{DisruptedRun, Disruption, PreparedRun, every_request_disrupted, usual};
use stories::{BUCKET, Cloud, VERSIONED, event, recording, recording_end, response, start};

/// The usual faults, and faults of some of the keys of a `DeleteObjects`.
fn disruptions() -> Vec<Disruption> {
    let partial = |code, every| Disruption::Fault(Fault::PartialDelete { code, every });
    let some = vec![
        partial("InternalError", 2),
        partial("SlowDown", 1),
        partial("AccessDenied", 1),
    ];
    [usual(), some].concat()
}

/// A way to prune whose end state must not depend on a disruption.
#[derive(Debug, Clone)]
struct PruneSetting {
    bucket: &'static str,
    settings: Vec<(&'static str, &'static str)>,
}

/// The contents of a bucket for viewers and for the bill: the current objects, and the old versions
/// without delete markers.
#[derive(Debug, PartialEq)]
struct BucketState {
    current: Vec<(String, Object)>,
    old_bytes: BTreeSet<(String, u64)>,
}

fn state(cloud: &Cloud, bucket: &str) -> BucketState {
    let keys = cloud.s3().keys(bucket, "");
    let current = keys
        .into_iter()
        .filter_map(|key| Some((key.clone(), cloud.s3().object(bucket, &key)?)))
        .collect();
    let versions = cloud.s3().versions(bucket, "").into_iter();
    let old = versions.filter(|version| !version.is_latest && !version.is_delete_marker);
    BucketState {
        current,
        old_bytes: old
            .map(|version| (version.key, version.size_bytes))
            .collect(),
    }
}

/// No playlist may name a variant that does not exist, also after an interruption.
fn assert_plays(cloud: &Cloud, setting: &PruneSetting, recording: &Recording, when: &str) {
    for path in [MASTER, BYTE_RANGE] {
        let object = cloud
            .s3()
            .object(setting.bucket, &format!("{}/{path}", recording.prefix))
            .unwrap();
        let text = String::from_utf8(object.body.to_vec()).unwrap();
        for variant in MultivariantPlaylist::parse(&text).unwrap().variants() {
            let (folder, _) = variant.uri.split_once('/').unwrap();
            let folder = format!("{}/media/hls/{folder}/", recording.prefix);
            let objects = cloud.s3().keys(setting.bucket, &folder).len();
            assert_eq!(
                objects,
                2 + usize::try_from(recording.segments).unwrap(),
                "{folder} is named in {path} {when}"
            );
        }
    }
}

/// A disrupted run must have finished or failed. Then the run is repeated.
async fn assert_same_end(
    setting: &PruneSetting,
    recording: &Recording,
    undisturbed: &BucketState,
    disrupted: DisruptedRun<Cloud>,
) {
    let when = format!("{setting:?}: {disrupted}");
    let DisruptedRun {
        world: cloud,
        function,
        event,
        disruption,
        call,
        answer,
    } = disrupted;
    // A fault that a retry can repair does not end the run. Any other fault is an error.
    let is_denied = match &disruption {
        Disruption::Fault(Fault::PartialDelete {
            code: "AccessDenied",
            ..
        }) => call.operation == "DeleteObjects",
        other => other.is_status(403),
    };
    match answer {
        _ if disruption.is_kill() => {}
        Answer::Response(report) if !is_denied => {
            assert_eq!(report["outcome"], "pruned", "{when}");
            assert_eq!(&state(&cloud, setting.bucket), undisturbed, "{when}");
        }
        Answer::Error { error_type, .. } if is_denied => assert_eq!(error_type, "Aws", "{when}"),
        _ => panic!("{when}"),
    }
    drop(function);
    assert_plays(&cloud, setting, recording, &when);

    cloud.s3().reset_calls();
    let report = response(start(&cloud, &setting.settings).invoke(event).await);
    assert!(
        ["pruned", "unchanged"].contains(&report["outcome"].as_str().unwrap()),
        "{when}: {report}"
    );
    assert_plays(&cloud, setting, recording, &when);
    assert_eq!(&state(&cloud, setting.bucket), undisturbed, "{when}");
}

async fn disrupt_every_request(
    bucket: &'static str,
    more: &[(&'static str, &'static str)],
    change: impl FnOnce(&mut Recording),
) {
    let setting = PruneSetting {
        bucket,
        settings: KEEP_HIGHEST.iter().chain(more).copied().collect(),
    };
    let mut recording = recording("disrupted");
    change(&mut recording);
    let whole = {
        let cloud = Cloud::stand_in();
        recording.put_into(cloud.s3(), bucket);
        cloud.s3().snapshot(bucket)
    };
    let before = async || {
        let cloud = Cloud::stand_in();
        cloud.s3().restore(bucket, &whole);
        let function = start(&cloud, &setting.settings);
        let traffic = cloud.s3().traffic().clone();
        PreparedRun {
            world: cloud,
            traffic,
            function,
            event: recording_end(bucket, &recording),
        }
    };
    let undisturbed = async |cloud: Cloud, _: &_, answer| {
        assert_eq!(response(answer)["outcome"], "pruned");
        state(&cloud, bucket)
    };
    let check = async |undisturbed: &BucketState, disrupted| {
        assert_same_end(&setting, &recording, undisturbed, disrupted).await;
    };
    let calls = every_request_disrupted(bucket, &disruptions(), before, undisturbed, check).await;
    assert!(calls.len() > 15, "{calls:?}");
}

#[tokio::test]
async fn every_disrupted_request_has_the_same_end_state() {
    disrupt_every_request(BUCKET, &[("THUMBNAILS", "delete")], |_| {}).await;
}

#[tokio::test]
async fn every_disrupted_request_has_the_same_end_state_over_several_pages() {
    disrupt_every_request(BUCKET, &[], |recording| {
        recording.renditions.drain(1..3);
        recording.segments = 1_100;
    })
    .await;
}

#[tokio::test]
async fn every_disrupted_request_has_the_same_end_state_in_a_versioned_bucket() {
    disrupt_every_request(VERSIONED, &[], |_| {}).await;
}

#[tokio::test]
async fn every_disrupted_request_has_the_same_end_state_where_versions_are_purged() {
    disrupt_every_request(VERSIONED, &[("VERSIONS", "purge")], |_| {}).await;
}

/// Runs of which only the first `whole` get an event that the function acts on.
async fn runs_that_end_early(whole: usize) {
    let recording = recording("early");
    let started = Cell::new(0);
    let before = async || {
        let cloud = Cloud::stand_in();
        recording.put_into(cloud.s3(), BUCKET);
        let is_whole = started.replace(started.get() + 1) < whole;
        let file = if is_whole {
            "recording-end.json"
        } else {
            "recording-start.json"
        };
        let mut event = event(&format!("prune-recording/{file}"));
        event["detail"]["recording_s3_key_prefix"] = recording.prefix.clone().into();
        let function = start(&cloud, &KEEP_HIGHEST);
        PreparedRun {
            traffic: cloud.s3().traffic().clone(),
            world: cloud,
            function,
            event,
        }
    };
    let undisturbed = async |_, _: &_, _| {};
    every_request_disrupted("early", &usual(), before, undisturbed, async |(), _| {}).await;
}

/// The test driver: without requests there is nothing to disrupt, so the test proves nothing.
#[tokio::test]
#[should_panic(expected = "early: the run makes no request")]
async fn a_run_without_requests_fails_the_test() {
    runs_that_end_early(0).await;
}

/// The test driver: a run that ends before the disruption proves nothing.
#[tokio::test]
#[should_panic(expected = "the run ended before request 0")]
async fn a_run_that_ends_before_the_disruption_fails_the_test() {
    runs_that_end_early(1).await;
}
