use std::collections::BTreeMap;
use std::io::Write as _;

use super::{BUCKET, client, client_with, refusal, refused, start};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption, StorageClass};
use aws_smithy_http_client::{Builder, tls};
use stand_in::{ACCOUNT_ID, Object, S3, Versioning};

const HELLO_ETAG: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let (s3, client) = start(Versioning::Off);
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("media/master.m3u8")
        .body(ByteStream::from_static(b"hello"))
        .content_type("application/vnd.apple.mpegurl")
        .cache_control("max-age=2")
        .content_disposition("inline")
        .content_encoding("gzip")
        .content_language("en")
        .expires(DateTime::from_secs(1_700_000_000))
        .storage_class(StorageClass::StandardIa)
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("a-key")
        .bucket_key_enabled(true)
        .metadata("show", "final")
        .send()
        .await
        .unwrap();
    assert_eq!((put.e_tag(), put.version_id()), (Some(HELLO_ETAG), None));

    let stored = Object {
        body: "hello".into(),
        size_bytes: 5,
        etag: HELLO_ETAG.to_owned(),
        content_type: Some("application/vnd.apple.mpegurl".to_owned()),
        cache_control: Some("max-age=2".to_owned()),
        content_disposition: Some("inline".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        content_language: Some("en".to_owned()),
        expires: Some("Tue, 14 Nov 2023 22:13:20 GMT".to_owned()),
        storage_class: Some("STANDARD_IA".to_owned()),
        encryption: [
            ("", "aws:kms"),
            ("-aws-kms-key-id", "a-key"),
            ("-bucket-key-enabled", "true"),
        ]
        .map(|(name, value)| {
            (
                format!("x-amz-server-side-encryption{name}"),
                value.to_owned(),
            )
        })
        .into(),
        checksum_sha256: None,
        metadata: BTreeMap::from([("show".to_owned(), "final".to_owned())]),
    };
    assert_eq!(s3.object(BUCKET, "media/master.m3u8"), Some(stored));

    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("media/master.m3u8")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(5));
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key("media/master.m3u8")
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_type(), Some("application/vnd.apple.mpegurl"));
    assert_eq!(got.cache_control(), Some("max-age=2"));
    assert_eq!(got.content_disposition(), Some("inline"));
    assert_eq!(got.content_encoding(), Some("gzip"));
    assert_eq!(got.content_language(), Some("en"));
    assert_eq!(got.expires_string(), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    assert_eq!(got.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(
        got.server_side_encryption(),
        Some(&ServerSideEncryption::AwsKms)
    );
    assert_eq!(
        (got.ssekms_key_id(), got.bucket_key_enabled()),
        (Some("a-key"), Some(true))
    );
    assert_eq!(got.metadata().unwrap()["show"], "final");
    assert_eq!(got.e_tag(), Some(HELLO_ETAG));
    assert!(got.last_modified().is_some());
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "hello");
}

#[tokio::test]
async fn a_checksum_is_checked_kept_and_told_to_those_who_ask() {
    let (s3, client) = start(Versioning::Off);
    const HELLO_SHA256: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let put = |body: &'static [u8]| {
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("a.gz")
            .body(ByteStream::from_static(body));
        put.checksum_sha256(HELLO_SHA256).send()
    };
    assert_eq!(refusal(put(b"other").await).0, 400);
    assert_eq!(s3.object(BUCKET, "a.gz"), None);
    put(b"hello").await.unwrap();
    let head = client.head_object().bucket(BUCKET).key("a.gz");
    let asked = head
        .clone()
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (asked.checksum_sha256(), asked.content_length()),
        (Some(HELLO_SHA256), Some(5))
    );
    assert_eq!(head.send().await.unwrap().checksum_sha256(), None);
}

#[tokio::test]
async fn what_was_not_said_gets_the_defaults_of_s3() {
    let (s3, client) = start(Versioning::Off);
    s3.put(BUCKET, "plain", "");
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("plain")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.content_type(), head.storage_class()),
        (Some("binary/octet-stream"), None)
    );
}

#[tokio::test]
async fn a_streamed_body_is_stored_without_its_chunks() {
    let (s3, client) = start(Versioning::Off);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let body = vec![7; 300_000];
    file.write_all(&body).unwrap();
    for (key, encoding) in [("plain", None), ("packed", Some("br"))] {
        let stream = ByteStream::from_path(file.path()).await.unwrap();
        let put = client.put_object().bucket(BUCKET).key(key).body(stream);
        put.set_content_encoding(encoding.map(str::to_owned))
            .send()
            .await
            .unwrap();
        let stored = s3.object(BUCKET, key).unwrap();
        assert_eq!(
            (stored.size_bytes, stored.content_encoding.as_deref()),
            (300_000, encoding)
        );
        assert!(stored.body == body);
    }
}

#[tokio::test]
async fn a_declared_size_reads_as_zero_bytes() {
    let (s3, client) = start(Versioning::Off);
    s3.put_sized(BUCKET, "segment.ts", 200_000);
    s3.put_object(
        BUCKET,
        "long.m3u8",
        Object {
            body: "#EXTM3U".into(),
            size_bytes: 9,
            ..Object::default()
        },
    );
    let segment = client
        .get_object()
        .bucket(BUCKET)
        .key("segment.ts")
        .send()
        .await
        .unwrap();
    assert_eq!(segment.content_length(), Some(200_000));
    assert!(segment.body.collect().await.unwrap().into_bytes() == vec![0; 200_000]);
    let long = client
        .get_object()
        .bucket(BUCKET)
        .key("long.m3u8")
        .send()
        .await
        .unwrap();
    assert_eq!(
        long.body.collect().await.unwrap().into_bytes(),
        "#EXTM3U\0\0"
    );
    assert_eq!(
        s3.sizes(BUCKET, "").into_values().collect::<Vec<_>>(),
        [9, 200_000]
    );
}

#[tokio::test]
async fn a_missing_bucket_is_not_a_missing_key() {
    let (_s3, client) = start(Versioning::Off);
    assert_eq!(
        refusal(
            client
                .get_object()
                .bucket(BUCKET)
                .key("absent")
                .send()
                .await
        ),
        refused(404, "NoSuchKey")
    );
    assert_eq!(
        refusal(
            client
                .get_object()
                .bucket("absent")
                .key("absent")
                .send()
                .await
        ),
        refused(404, "NoSuchBucket")
    );
    assert_eq!(
        refusal(client.put_object().bucket("absent").key("k").send().await),
        refused(404, "NoSuchBucket")
    );
    assert_eq!(
        refusal(
            client
                .delete_object()
                .bucket("absent")
                .key("k")
                .send()
                .await
        ),
        refused(404, "NoSuchBucket")
    );
    assert!(
        client
            .head_object()
            .bucket(BUCKET)
            .key("absent")
            .send()
            .await
            .unwrap_err()
            .as_service_error()
            .unwrap()
            .is_not_found()
    );
    assert!(
        client
            .head_bucket()
            .bucket("absent")
            .send()
            .await
            .unwrap_err()
            .as_service_error()
            .unwrap()
            .is_not_found()
    );
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    client
        .create_bucket()
        .bucket("another")
        .send()
        .await
        .unwrap();
    let again = client.create_bucket().bucket("another").send().await;
    assert_eq!(refusal(again), refused(409, "BucketAlreadyOwnedByYou"));
    let buckets = client.list_buckets().send().await.unwrap();
    assert_eq!(
        buckets
            .buckets()
            .iter()
            .filter_map(|bucket| bucket.name())
            .collect::<Vec<_>>(),
        ["another", BUCKET]
    );
}

#[tokio::test]
async fn a_conditional_put_sees_what_is_there() {
    let (s3, client) = start(Versioning::Off);
    s3.put(BUCKET, "there", "hello");
    let put = |key: &str| {
        client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(ByteStream::from_static(b"new"))
    };
    assert_eq!(
        refusal(put("there").if_none_match("*").send().await),
        refused(412, "PreconditionFailed")
    );
    assert_eq!(
        refusal(put("there").if_match("\"wrong\"").send().await),
        refused(412, "PreconditionFailed")
    );
    assert_eq!(
        refusal(put("absent").if_match(HELLO_ETAG).send().await),
        refused(404, "NoSuchKey")
    );
    assert_eq!(
        refusal(put("there").if_none_match(HELLO_ETAG).send().await),
        refused(501, "NotImplemented")
    );
    assert_eq!(s3.object(BUCKET, "there").unwrap().body, "hello");

    put("there").if_match(HELLO_ETAG).send().await.unwrap();
    put("absent").if_none_match("*").send().await.unwrap();
    assert_eq!(s3.object(BUCKET, "there").unwrap().body, "new");
    assert_eq!(s3.object(BUCKET, "absent").unwrap().body, "new");
}

#[tokio::test]
async fn a_conditional_read_sees_what_is_there() {
    let (s3, client) = start(Versioning::Off);
    s3.put(BUCKET, "there", "hello");
    let get = || client.get_object().bucket(BUCKET).key("there");
    get().if_match(HELLO_ETAG).send().await.unwrap();
    assert_eq!(
        refusal(get().if_match("\"wrong\"").send().await),
        refused(412, "PreconditionFailed")
    );
    assert_eq!(refusal(get().if_none_match(HELLO_ETAG).send().await).0, 304);
    assert_eq!(
        refusal(get().range("bytes=0-1").send().await),
        refused(501, "NotImplemented")
    );
}

#[tokio::test]
async fn a_wrong_signature_or_owner_is_refused() {
    let (s3, client) = start(Versioning::Off);
    let intruder = client_with(&s3, "wrong", RetryConfig::disabled());
    let list = |client: &Client| client.list_objects_v2().bucket(BUCKET);
    assert_eq!(
        refusal(list(&intruder).send().await),
        refused(403, "SignatureDoesNotMatch")
    );
    assert_eq!(
        refusal(
            list(&client)
                .expected_bucket_owner("000000000000")
                .send()
                .await
        ),
        refused(403, "AccessDenied")
    );
    list(&client)
        .expected_bucket_owner(ACCOUNT_ID)
        .send()
        .await
        .unwrap();
    let operations: Vec<_> = s3.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, ["", "ListObjectsV2", "ListObjectsV2"]);
}

#[tokio::test]
async fn a_snapshot_compares_and_loads_what_plain_reads_find() {
    let (s3, client) = start(Versioning::Off);
    s3.put_sized(BUCKET, "b", 5);
    let put = || {
        client
            .put_object()
            .bucket(BUCKET)
            .key("a")
            .body(ByteStream::from_static(b"1"))
    };
    put().send().await.unwrap();
    let before = s3.snapshot(BUCKET);
    put().send().await.unwrap();
    assert_eq!(s3.snapshot(BUCKET), before, "the same content again");
    put().cache_control("no-store").send().await.unwrap();
    assert_ne!(s3.snapshot(BUCKET), before, "another header");

    let another = S3::start();
    another.restore(BUCKET, &before);
    another.delete(BUCKET, "b");
    assert_eq!(another.keys(BUCKET, ""), ["a"]);
    assert_eq!(
        before.objects().map(|(key, _)| key).collect::<Vec<_>>(),
        ["a", "b"],
        "a snapshot does not change"
    );
}

#[tokio::test]
async fn https_is_trusted_through_the_authority() {
    let s3 = S3::builder().tls().start();
    s3.create_bucket(BUCKET, Versioning::Off);
    assert!(s3.endpoint_url().starts_with("https://127.0.0.1:"));
    let trust = tls::TrustStore::empty().with_pem_certificate(s3.ca_pem().unwrap());
    let context = tls::TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .unwrap();
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let https = Builder::new()
        .tls_provider(provider)
        .tls_context(context)
        .build_https();
    let config = client(&s3).config().to_builder().http_client(https).build();
    Client::from_conf(config)
        .head_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
}

#[test]
#[should_panic(expected = "S3 allows no bucket the name \"B\"")]
fn a_bucket_name_that_s3_would_refuse_is_refused() {
    S3::start().create_bucket("B", Versioning::Off);
}

#[tokio::test]
async fn an_object_can_be_read_without_its_etag() {
    let (s3, client) = start(Versioning::Off);
    s3.put(BUCKET, "with", "hello");
    s3.put(BUCKET, "without", "hello");
    s3.withhold_etag(BUCKET, "without");
    for (key, etag) in [("with", Some(HELLO_ETAG)), ("without", None)] {
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        assert_eq!(
            (head.e_tag(), got.e_tag(), got.content_length()),
            (etag, etag, Some(5))
        );
    }
}
