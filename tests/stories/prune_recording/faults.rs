//! Every S3 call of a run fails once in every way, or the process is killed there; then the run is repeated.
//! Promises P17 and P18: all cases, not samples.

use super::{BYTE_RANGE, KEEP_HIGHEST, MASTER};
use futures::{StreamExt, stream};
use onair_core::playlist::MultivariantPlaylist;
use serde_json::Value;
use stand_in::ivs::Recording;
use stand_in::{Answer, Fault, Object, Snapshot};
use std::collections::BTreeSet;
use stories::{BUCKET, Cloud, VERSIONED, recording, recording_end, start};

/// Cases at a time. They mostly wait for retries.
const AT_ONCE: usize = 6;

/// What goes wrong at one call.
#[derive(Debug, Clone)]
enum Trouble {
    Fault(Fault),
    /// The process is killed while S3 has not answered: before or after the effect.
    Kill(Fault),
}

fn troubles() -> Vec<Trouble> {
    let partial = |code, every| Trouble::Fault(Fault::PartialDelete { code, every });
    vec![
        Trouble::Fault(Fault::Status { status: 500, code: "InternalError" }),
        Trouble::Fault(Fault::Status { status: 503, code: "SlowDown" }),
        Trouble::Fault(Fault::Status { status: 403, code: "AccessDenied" }),
        Trouble::Fault(Fault::ResetBefore),
        Trouble::Fault(Fault::ResetAfter),
        partial("InternalError", 2),
        partial("SlowDown", 1),
        partial("AccessDenied", 1),
        Trouble::Kill(Fault::HoldBefore),
        Trouble::Kill(Fault::HoldAfter),
    ]
}

/// A way to prune whose end state must not depend on trouble.
#[derive(Debug, Clone)]
struct Setting {
    bucket: &'static str,
    settings: Vec<(&'static str, &'static str)>,
}

/// What viewers and the bill see: the current objects, and (repeated delete markers aside) the old versions.
#[derive(Debug, PartialEq)]
struct State {
    current: Vec<(String, Object)>,
    old_bytes: BTreeSet<(String, u64)>,
}

fn state(cloud: &Cloud, bucket: &str) -> State {
    let keys = cloud.s3().keys(bucket, "");
    let current =
        keys.into_iter().filter_map(|key| Some((key.clone(), cloud.s3().object(bucket, &key)?))).collect();
    let versions = cloud.s3().versions(bucket, "").into_iter();
    let old = versions.filter(|version| !version.is_latest && !version.is_delete_marker);
    State { current, old_bytes: old.map(|version| (version.key, version.size_bytes)).collect() }
}

/// At no moment may a playlist name a variant that is not there.
fn assert_plays(cloud: &Cloud, setting: &Setting, recording: &Recording, when: &str) {
    for path in [MASTER, BYTE_RANGE] {
        let object = cloud.s3().object(setting.bucket, &format!("{}/{path}", recording.prefix)).unwrap();
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

/// A recording to prune, and what that comes to when nothing goes wrong.
struct Case {
    setting: Setting,
    recording: Recording,
    whole: Snapshot,
    undisturbed: State,
}

/// One run into trouble at one call, then one without.
async fn troubled(case: &Case, call: usize, trouble: &Trouble) -> State {
    let Case { setting, recording, whole, undisturbed } = case;
    let cloud = Cloud::stand_in();
    cloud.s3().restore(setting.bucket, whole);
    let end = recording_end(setting.bucket, recording);
    let function = start(&cloud, &setting.settings);
    match trouble {
        Trouble::Fault(fault) => {
            cloud.s3().fault(call, fault.clone());
            let answer = function.invoke(end.clone()).await;
            let operation = cloud.s3().calls()[call].operation.clone();
            // What a retry can mend is mended within the run; what it cannot is an error, and never a success.
            let for_ever = match fault {
                Fault::Status { code, .. } => *code == "AccessDenied",
                Fault::PartialDelete { code, .. } => *code == "AccessDenied" && operation == "DeleteObjects",
                _ => false,
            };
            match answer {
                Answer::Response(report) if !for_ever => {
                    assert_eq!(report["outcome"], "pruned", "{trouble:?} at {call}");
                    assert_eq!(
                        &state(&cloud, setting.bucket),
                        undisturbed,
                        "{trouble:?} at {call}, {operation}"
                    );
                }
                Answer::Error { error_type, .. } if for_ever => assert_eq!(error_type, "Aws"),
                other => panic!("{other:?} after {trouble:?} at {call}, {operation}"),
            }
        }
        Trouble::Kill(fault) => {
            cloud.s3().fault(call, fault.clone());
            let invoked = function.invoke(end.clone());
            tokio::join!(invoked, async {
                cloud.s3().held().await;
                function.kill();
            });
        }
    }
    drop(function);
    let when = format!("after {trouble:?} at call {call}");
    assert_plays(&cloud, setting, recording, &when);
    cloud.s3().reset_calls();
    let report = start(&cloud, &setting.settings).invoke(end).await.into_response();
    assert!(["pruned", "unchanged"].contains(&report["outcome"].as_str().unwrap()), "{when}: {report}");
    assert_plays(&cloud, setting, recording, &when);
    state(&cloud, setting.bucket)
}

async fn every_call_in_trouble(
    bucket: &'static str,
    more: &[(&'static str, &'static str)],
    change: impl FnOnce(&mut Recording),
) {
    let setting = Setting { bucket, settings: KEEP_HIGHEST.iter().chain(more).copied().collect() };
    let mut recording = recording("trouble");
    change(&mut recording);
    let cloud = Cloud::stand_in();
    recording.put_into(cloud.s3(), bucket);
    let whole = cloud.s3().snapshot(bucket);
    let report: Value =
        start(&cloud, &setting.settings).invoke(recording_end(bucket, &recording)).await.into_response();
    assert_eq!(report["outcome"], "pruned");
    let calls = cloud.s3().calls();
    let case = Case { setting, recording, whole, undisturbed: state(&cloud, bucket) };
    let cases = (0..calls.len()).flat_map(|call| troubles().into_iter().map(move |trouble| (call, trouble)));
    let ends = stream::iter(cases).map(async |(call, trouble)| {
        let end = troubled(&case, call, &trouble).await;
        (call, trouble, end)
    });
    let mut ends = std::pin::pin!(ends.buffer_unordered(AT_ONCE));
    let mut tried = 0;
    while let Some((call, trouble, end)) = ends.next().await {
        assert_eq!(end, case.undisturbed, "{:?}: {trouble:?} at call {call}", case.setting);
        tried += 1;
    }
    assert_eq!(tried, calls.len() * troubles().len());
    assert!(calls.len() > 15, "{calls:?}");
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same() {
    every_call_in_trouble(BUCKET, &[("THUMBNAILS", "delete")], |_| {}).await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_over_several_pages() {
    every_call_in_trouble(BUCKET, &[], |recording| {
        recording.renditions.drain(1..3);
        recording.segments = 1_100;
    })
    .await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_in_a_versioned_bucket() {
    every_call_in_trouble(VERSIONED, &[], |_| {}).await;
}

#[tokio::test]
async fn every_call_in_trouble_ends_the_same_where_versions_are_purged() {
    every_call_in_trouble(VERSIONED, &[("VERSIONS", "purge")], |_| {}).await;
}
