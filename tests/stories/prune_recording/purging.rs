//! Stories for which the role needs more permissions: `VERSIONS=purge` and `THUMBNAILS=delete`.

use super::{ENDED, KEEP_HIGHEST};
use serde_json::{Value, json};
use stories::{BUCKET, Cloud, VERSIONED, prune, recording, recording_end, response};

const PURGE: [(&str, &str); 2] = [("KEEP_RENDITIONS", "highest"), ("VERSIONS", "purge")];

/// Promise P22. In a versioned bucket objects are hidden by delete markers, and `VERSIONS=purge`
/// deletes all versions of the dropped renditions.
#[tokio::test]
async fn purging_also_deletes_versions_that_an_earlier_run_hid() {
    let cloud = Cloud::any().await;
    let recording = recording("purge");
    cloud.put_recording(VERSIONED, &recording).await;
    let folder = |name: &str| format!("{}/media/hls/{name}/", recording.prefix);
    // A segment has two versions, and an earlier run hid all objects.
    cloud
        .put(
            VERSIONED,
            &format!("{}0.ts", folder("160p30")),
            "an older version",
        )
        .await;
    response(prune(&cloud, &KEEP_HIGHEST, recording_end(VERSIONED, &recording)).await);
    assert_eq!(cloud.versions(VERSIONED, &folder("160p30")).await, (6, 5));

    let report = response(prune(&cloud, &PURGE, recording_end(VERSIONED, &recording)).await);

    assert_eq!(
        (&report["outcome"], &report["objects_deleted"]),
        (&json!("pruned"), &json!(31)),
        "{report}"
    );
    assert!(report["bytes_deleted"].as_u64().unwrap() > 0);
    assert_eq!(report.get("note"), None);
    for name in ["160p30", "360p30", "480p30"] {
        assert_eq!(cloud.versions(VERSIONED, &folder(name)).await, (0, 0));
    }
    assert_eq!(cloud.versions(VERSIONED, &folder("720p30")).await, (5, 0));
    // The rewritten files keep their older versions, so that a person can restore them.
    assert_eq!(
        cloud
            .versions(VERSIONED, &format!("{}/{ENDED}", recording.prefix))
            .await,
        (2, 0)
    );

    let again = response(prune(&cloud, &PURGE, recording_end(VERSIONED, &recording)).await);

    assert_eq!(again["outcome"], "unchanged", "{again}");
}

/// Promise P22. In a versioned bucket objects are hidden by delete markers, and `VERSIONS=purge`
/// deletes all versions of the dropped renditions.
#[tokio::test]
async fn purging_a_bucket_without_versioning_deletes_the_objects() {
    let cloud = Cloud::any().await;
    let recording = recording("purge-plain");
    cloud.put_recording(BUCKET, &recording).await;

    let report = response(prune(&cloud, &PURGE, recording_end(BUCKET, &recording)).await);

    assert_eq!(
        (&report["versioned"], &report["objects_deleted"]),
        (&json!(false), &json!(15)),
        "{report}"
    );
    assert_eq!(cloud.renditions(BUCKET, &recording).await, ["720p30"]);
}

/// Promise P24. With `THUMBNAILS=delete` thumbnails are deleted, and `recording-ended.json` no
/// longer refers to them.
#[tokio::test]
async fn thumbnails_are_deleted_from_the_bucket_and_from_the_metadata() {
    let cloud = Cloud::any().await;
    for (bucket, freed) in [(BUCKET, true), (VERSIONED, false)] {
        let recording = recording("thumbnails");
        cloud.put_recording(bucket, &recording).await;
        let latest = format!("{}/media/latest_thumbnail/thumb.jpg", recording.prefix);
        cloud.put(bucket, &latest, "jpeg").await;
        let settings = [("DELETE_RENDITIONS", "160p30"), ("THUMBNAILS", "delete")];
        let report = response(prune(&cloud, &settings, recording_end(bucket, &recording)).await);
        let bytes = if freed { 180_004 } else { 0 };
        assert_eq!(
            report["deleted"]["thumbnails"],
            json!({"objects": 3, "bytes": bytes}),
            "{report}"
        );
        assert_eq!(report["objects_deleted"], 8);
        assert!(
            cloud
                .sizes(bucket, &format!("{}/media/thumbnails/", recording.prefix))
                .await
                .is_empty()
        );
        assert!(cloud.sizes(bucket, &latest).await.is_empty());
        let ended: Value =
            serde_json::from_str(&cloud.get(bucket, &recording, ENDED).await.text).unwrap();
        assert_eq!(ended["media"].get("thumbnails"), None);
        assert_eq!(
            ended["media"]["hls"]["renditions"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        let again = response(prune(&cloud, &settings, recording_end(bucket, &recording)).await);
        assert_eq!(again["outcome"], "unchanged", "{again}");
    }
}

/// Promises P22 and P24 together.
#[tokio::test]
async fn thumbnails_are_purged_like_renditions() {
    let cloud = Cloud::any().await;
    let recording = recording("purge-thumbnails");
    cloud.put_recording(VERSIONED, &recording).await;
    cloud
        .put(
            VERSIONED,
            &format!("{}/media/latest_thumbnail/thumb.jpg", recording.prefix),
            "jpeg",
        )
        .await;
    let settings = [PURGE[0], PURGE[1], ("THUMBNAILS", "delete")];

    let report = response(prune(&cloud, &settings, recording_end(VERSIONED, &recording)).await);

    assert_eq!(
        report["deleted"]["thumbnails"],
        json!({"objects": 3, "bytes": 180_004}),
        "{report}"
    );
    for folder in [
        "media/thumbnails/",
        "media/latest_thumbnail/",
        "media/hls/480p30/",
    ] {
        let left = cloud
            .versions(VERSIONED, &format!("{}/{folder}", recording.prefix))
            .await;
        assert_eq!(left, (0, 0), "{folder}");
    }
}
