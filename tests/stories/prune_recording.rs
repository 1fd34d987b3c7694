//! `prune-recording`: see the heading of the same name in `docs/behaviour.md`.

mod any_s3;
mod faults;
mod purging;
mod stand_in_only;

use serde_json::Value;
use stand_in::ivs::Recording;
use stories::{Cloud, StoredObject};

const KEEP_HIGHEST: [(&str, &str); 1] = [("KEEP_RENDITIONS", "highest")];
const MASTER: &str = "media/hls/master.m3u8";
const BYTE_RANGE: &str = "media/hls/byte-range-multivariant.m3u8";
const ENDED: &str = "events/recording-ended.json";

/// The files that a run rewrites.
async fn documents(cloud: &Cloud, bucket: &str, recording: &Recording) -> [StoredObject; 3] {
    let get = async |path| cloud.get(bucket, recording, path).await;
    [get(MASTER).await, get(BYTE_RANGE).await, get(ENDED).await]
}

/// The renditions that `recording-ended.json` names.
fn listed(ended: &str) -> Vec<String> {
    let ended: Value = serde_json::from_str(ended).unwrap();
    let renditions = ended["media"]["hls"]["renditions"].as_array().unwrap();
    renditions
        .iter()
        .map(|rendition| rendition["path"].as_str().unwrap().to_owned())
        .collect()
}

/// The answer of a run that a safety rule stopped.
fn assert_held(report: &Value, code: &str, why: &str) {
    assert_eq!(
        (&report["outcome"], &report["code"]),
        (&"held".into(), &code.into()),
        "{report}"
    );
    assert!(report["why"].as_str().unwrap().contains(why), "{report}");
}
