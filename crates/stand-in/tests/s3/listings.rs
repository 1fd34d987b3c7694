use super::{BUCKET, refusal, refused, start};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use stand_in::Versioning;

/// Keys, then common prefixes.
fn names(page: &ListObjectsV2Output) -> Vec<&str> {
    let keys = page.contents().iter().filter_map(|object| object.key());
    keys.chain(
        page.common_prefixes()
            .iter()
            .filter_map(|common| common.prefix()),
    )
    .collect()
}

#[tokio::test]
async fn a_page_holds_at_most_a_thousand_keys() {
    let (s3, client) = start(Versioning::Off);
    for n in 0..2500 {
        s3.put_sized(BUCKET, &format!("{n:04}"), n);
    }
    let asked = client
        .list_objects_v2()
        .bucket(BUCKET)
        .max_keys(2000)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (asked.contents().len(), asked.key_count(), asked.max_keys()),
        (1000, Some(1000), Some(1000))
    );
    let versions = client
        .list_object_versions()
        .bucket(BUCKET)
        .max_keys(2000)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (versions.versions().len(), versions.is_truncated()),
        (1000, Some(true))
    );

    let mut pages = client
        .list_objects_v2()
        .bucket(BUCKET)
        .into_paginator()
        .send();
    let (mut sizes, mut keys) = (Vec::new(), Vec::new());
    while let Some(page) = pages.try_next().await.unwrap() {
        sizes.push(page.contents().len());
        keys.extend(
            page.contents()
                .iter()
                .map(|object| (object.key().unwrap().to_owned(), object.size().unwrap())),
        );
    }
    assert_eq!(sizes, [1000, 1000, 500]);
    assert!(keys.iter().map(|(key, _)| key).eq(&s3.keys(BUCKET, "")));
    assert_eq!(keys[1234], ("1234".to_owned(), 1234));
}

#[tokio::test]
async fn a_full_last_page_is_not_truncated() {
    let (s3, client) = start(Versioning::Off);
    for key in ["a", "b"] {
        s3.put(BUCKET, key, "");
    }
    let page = client
        .list_objects_v2()
        .bucket(BUCKET)
        .max_keys(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (page.is_truncated(), page.next_continuation_token()),
        (Some(false), None)
    );
    let nothing = client
        .list_objects_v2()
        .bucket(BUCKET)
        .max_keys(0)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (nothing.is_truncated(), nothing.key_count()),
        (Some(false), Some(0))
    );
}

#[tokio::test]
async fn keys_are_ordered_by_their_bytes_and_never_tidied() {
    let (s3, client) = start(Versioning::Off);
    let keys = [
        "/",
        "A",
        "a",
        "a b",
        "a+b",
        "a//b",
        "dot/../x",
        "dot/./x",
        "trailing/",
        "\u{e9}",
        "\u{fffd}",
        "\u{10000}",
    ];
    for key in keys.iter().rev() {
        client
            .put_object()
            .bucket(BUCKET)
            .key(*key)
            .send()
            .await
            .unwrap();
    }
    let page = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_eq!(names(&page), keys);
    assert_eq!(s3.keys(BUCKET, ""), keys);
    for key in keys {
        client
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn common_prefixes_count_as_keys_and_are_skipped_as_one() {
    let (s3, client) = start(Versioning::Off);
    for key in ["a/1", "a/2", "b", "c/1", "c/2", "d/1"] {
        s3.put(BUCKET, key, "");
    }
    let list = || {
        client
            .list_objects_v2()
            .bucket(BUCKET)
            .delimiter("/")
            .max_keys(2)
    };
    let first = list().send().await.unwrap();
    assert_eq!(
        (names(&first), first.key_count(), first.is_truncated()),
        (vec!["b", "a/"], Some(2), Some(true))
    );
    let second = list()
        .continuation_token(first.next_continuation_token().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(
        (names(&second), second.is_truncated()),
        (vec!["c/", "d/"], Some(false))
    );

    let under = client
        .list_objects_v2()
        .bucket(BUCKET)
        .delimiter("/")
        .prefix("a/")
        .send()
        .await
        .unwrap();
    assert_eq!(names(&under), ["a/1", "a/2"]);
    let partial = client
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("c/")
        .start_after("c/1")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (names(&partial), partial.start_after()),
        (vec!["c/2"], Some("c/1"))
    );
}

#[tokio::test]
async fn the_first_list_operation_pages_by_marker() {
    let (s3, client) = start(Versioning::Off);
    for key in ["a/1", "a/2", "b", "c"] {
        s3.put(BUCKET, key, "");
    }
    let first = client
        .list_objects()
        .bucket(BUCKET)
        .delimiter("/")
        .max_keys(1)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (first.common_prefixes().len(), first.next_marker()),
        (1, Some("a/"))
    );
    let second = client
        .list_objects()
        .bucket(BUCKET)
        .delimiter("/")
        .marker("a/")
        .send()
        .await
        .unwrap();
    assert_eq!(
        second
            .contents()
            .iter()
            .filter_map(|object| object.key())
            .collect::<Vec<_>>(),
        ["b", "c"]
    );
    let plain = client
        .list_objects()
        .bucket(BUCKET)
        .max_keys(1)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (plain.is_truncated(), plain.next_marker()),
        (Some(true), None)
    );
}

#[tokio::test]
async fn encoding_type_url_encodes_what_xml_cannot_hold() {
    let (s3, client) = start(Versioning::Off);
    s3.put(BUCKET, "a\u{1}b", "");
    s3.put(BUCKET, "test file(3).png", "");
    s3.put(BUCKET, "x+/y", "");
    let list = client
        .list_objects_v2()
        .bucket(BUCKET)
        .encoding_type(EncodingType::Url);
    let page = list.clone().send().await.unwrap();
    assert_eq!(names(&page), ["a%01b", "test+file%283%29.png", "x%2B/y"]);
    assert_eq!(page.encoding_type(), Some(&EncodingType::Url));
    let folders = list.delimiter("/").prefix("x+").send().await.unwrap();
    assert_eq!(
        (names(&folders), folders.prefix()),
        (vec!["x%2B/"], Some("x%2B"))
    );
}

#[tokio::test]
async fn a_wrong_argument_is_refused() {
    let (_s3, client) = start(Versioning::Off);
    let list = || client.list_objects_v2().bucket(BUCKET);
    assert_eq!(
        refusal(list().max_keys(-1).send().await),
        refused(400, "InvalidArgument")
    );
    assert_eq!(
        refusal(list().continuation_token("nonsense").send().await),
        refused(400, "InvalidArgument")
    );
    assert_eq!(
        refusal(list().encoding_type("base64".into()).send().await),
        refused(400, "InvalidArgument")
    );
    assert_eq!(
        refusal(client.list_objects_v2().bucket("absent").send().await),
        refused(404, "NoSuchBucket")
    );
    assert_eq!(
        refusal(client.list_object_versions().bucket("absent").send().await),
        refused(404, "NoSuchBucket")
    );
}
