use super::deletes::batch;
use super::{BUCKET, refusal, refused, start};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectIdentifier, VersioningConfiguration};
use stand_in::{S3, Versioning};

/// Key, whether it is the latest, whether it is a delete marker.
fn told(s3: &S3) -> Vec<(String, bool, bool)> {
    let versions = s3.versions(BUCKET, "").into_iter();
    versions
        .map(|version| (version.key, version.is_latest, version.is_delete_marker))
        .collect()
}

#[tokio::test]
async fn a_delete_in_a_versioned_bucket_adds_a_marker() {
    let (s3, client) = start(Versioning::Enabled);
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .body(ByteStream::from_static(b"1"))
        .send()
        .await
        .unwrap();
    let deleted = client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.delete_marker(), Some(true));
    client
        .delete_object()
        .bucket(BUCKET)
        .key("absent")
        .send()
        .await
        .unwrap();
    assert_eq!(
        told(&s3),
        [
            ("a".into(), true, true),
            ("a".into(), false, false),
            ("absent".into(), true, true)
        ]
    );
    assert!(s3.keys(BUCKET, "").is_empty());
    assert!(
        client
            .list_objects_v2()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap()
            .contents()
            .is_empty()
    );

    let hidden = client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap_err();
    let headers = hidden.raw_response().unwrap().headers();
    assert_eq!(headers.get("x-amz-delete-marker"), Some("true"));
    assert_eq!(headers.get("x-amz-version-id"), deleted.version_id());
    assert_eq!(hidden.into_service_error().meta().code(), Some("NoSuchKey"));
    let get = |version_id: Option<&str>| {
        client
            .get_object()
            .bucket(BUCKET)
            .key("a")
            .set_version_id(version_id.map(str::to_owned))
    };
    assert_eq!(
        get(put.version_id())
            .send()
            .await
            .unwrap()
            .body
            .collect()
            .await
            .unwrap()
            .into_bytes(),
        "1"
    );
    assert_eq!(
        refusal(get(deleted.version_id()).send().await),
        refused(405, "MethodNotAllowed")
    );
    assert_eq!(
        refusal(get(Some("unknown")).send().await),
        refused(404, "NoSuchVersion")
    );
    let again = client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .if_match("*")
        .send()
        .await;
    assert_eq!(refusal(again), refused(412, "PreconditionFailed"));
}

#[tokio::test]
async fn a_delete_by_version_id_removes_that_version() {
    let (s3, client) = start(Versioning::Enabled);
    s3.put(BUCKET, "a", "1");
    s3.put(BUCKET, "a", "2");
    s3.delete(BUCKET, "a");
    let versions = s3.versions(BUCKET, "a");
    let object = |n: usize| {
        ObjectIdentifier::builder()
            .key("a")
            .version_id(&versions[n].version_id)
            .build()
            .unwrap()
    };
    let marker = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(vec![object(0)], false))
        .send()
        .await
        .unwrap();
    assert_eq!(marker.deleted()[0].delete_marker(), Some(true));
    assert_eq!(
        marker.deleted()[0].delete_marker_version_id(),
        Some(&*versions[0].version_id)
    );
    assert_eq!(
        s3.object(BUCKET, "a").unwrap().body,
        "2",
        "without the marker the object is back"
    );
    let rest = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(vec![object(1), object(2)], false))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (rest.deleted().len(), rest.deleted()[0].delete_marker()),
        (2, None)
    );
    assert!(s3.versions(BUCKET, "").is_empty());
}

#[tokio::test]
async fn a_suspended_bucket_keeps_one_null_version() {
    let (s3, client) = start(Versioning::Off);
    s3.put(BUCKET, "a", "unversioned");
    let switch = |status| {
        let configuration = VersioningConfiguration::builder().status(status).build();
        client
            .put_bucket_versioning()
            .bucket(BUCKET)
            .versioning_configuration(configuration)
            .send()
    };
    let status = || async {
        client
            .get_bucket_versioning()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap()
            .status()
            .cloned()
    };
    assert_eq!(status().await, None);
    switch(BucketVersioningStatus::Enabled).await.unwrap();
    assert_eq!(status().await, Some(BucketVersioningStatus::Enabled));
    s3.put(BUCKET, "a", "versioned");
    switch(BucketVersioningStatus::Suspended).await.unwrap();
    assert_eq!(status().await, Some(BucketVersioningStatus::Suspended));

    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(put.version_id(), Some("null"));
    let ids = |s3: &S3| {
        s3.versions(BUCKET, "a")
            .into_iter()
            .map(|version| version.version_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(&s3).len(), ids(&s3)[0].as_str()),
        (2, "null"),
        "the unversioned object is overwritten"
    );
    let deleted = client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (deleted.version_id(), deleted.delete_marker()),
        (Some("null"), Some(true))
    );
    assert_eq!(
        (ids(&s3).len(), s3.object(BUCKET, "a")),
        (2, None),
        "the marker takes the null version's place"
    );
    client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .version_id("null")
        .send()
        .await
        .unwrap();
    assert_eq!(s3.object(BUCKET, "a").unwrap().body, "versioned");
}

#[tokio::test]
async fn versions_are_listed_newest_first_and_page_by_both_markers() {
    let (s3, client) = start(Versioning::Enabled);
    for body in ["1", "22", "333"] {
        s3.put(BUCKET, "a", body);
    }
    s3.put(BUCKET, "b/1", "");
    s3.put(BUCKET, "b/2", "");
    s3.delete(BUCKET, "c");
    let list = || {
        client
            .list_object_versions()
            .bucket(BUCKET)
            .delimiter("/")
            .max_keys(2)
    };
    let first = list().send().await.unwrap();
    let sizes: Vec<_> = first
        .versions()
        .iter()
        .map(|version| (version.size(), version.is_latest()))
        .collect();
    assert_eq!(sizes, [(Some(3), Some(true)), (Some(2), Some(false))]);
    assert_eq!(
        (first.is_truncated(), first.next_key_marker()),
        (Some(true), Some("a"))
    );

    // The version before the next page is deleted meanwhile. A client that deletes page by page
    // does the same.
    let marker = first.next_version_id_marker().unwrap();
    client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .version_id(marker)
        .send()
        .await
        .unwrap();
    let second = list()
        .key_marker("a")
        .version_id_marker(marker)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (second.versions().len(), second.versions()[0].size()),
        (1, Some(1))
    );
    assert_eq!(second.common_prefixes()[0].prefix(), Some("b/"));
    assert_eq!(
        (second.next_key_marker(), second.next_version_id_marker()),
        (Some("b/"), None)
    );
    let third = list().key_marker("b/").send().await.unwrap();
    assert_eq!(
        (third.versions().len(), third.is_truncated()),
        (0, Some(false))
    );
    assert_eq!(
        (
            third.delete_markers()[0].key(),
            third.delete_markers()[0].is_latest()
        ),
        (Some("c"), Some(true))
    );

    let under = client
        .list_object_versions()
        .bucket(BUCKET)
        .prefix("b/")
        .send()
        .await
        .unwrap();
    assert_eq!(under.versions().len(), 2);
    let lone = client
        .list_object_versions()
        .bucket(BUCKET)
        .version_id_marker("x")
        .send()
        .await;
    assert_eq!(refusal(lone), refused(400, "InvalidArgument"));
}
