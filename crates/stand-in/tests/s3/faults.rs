use std::time::{Duration, Instant};

use super::deletes::{batch, errors, identifiers};
use super::{BUCKET, client, client_with, refusal, refused, start};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use stand_in::{Fault, S3, SECRET_ACCESS_KEY, Versioning};

#[tokio::test]
async fn calls_are_logged_as_they_arrive() {
    let (s3, client) = start(Versioning::Off);
    client
        .put_object()
        .bucket(BUCKET)
        .key("a/b c")
        .send()
        .await
        .unwrap();
    client
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("a/ü +")
        .send()
        .await
        .unwrap();
    client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(identifiers(["a/b c"]), true))
        .send()
        .await
        .unwrap();
    let calls: Vec<_> = s3
        .calls()
        .into_iter()
        .map(|call| (call.index, call.operation, call.bucket, call.key))
        .collect();
    let call = |index, operation: &str, key: &str| {
        (
            index,
            operation.to_owned(),
            BUCKET.to_owned(),
            key.to_owned(),
        )
    };
    assert_eq!(
        calls,
        [
            call(0, "PutObject", "a/b c"),
            call(1, "ListObjectsV2", "a/ü +"),
            call(2, "DeleteObjects", "")
        ]
    );
    s3.reset_calls();
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    assert_eq!(
        (s3.calls().len(), s3.calls()[0].operation.as_str()),
        (1, "HeadBucket")
    );
}

#[tokio::test]
async fn an_error_answer_strikes_once_and_has_no_effect() {
    let (s3, client) = start(Versioning::Off);
    let codes = [
        (500, "InternalError"),
        (503, "SlowDown"),
        (403, "AccessDenied"),
        (409, "ConditionalRequestConflict"),
    ];
    for (index, (status, code)) in codes.into_iter().enumerate() {
        s3.fault(index, Fault::Status { status, code });
        assert_eq!(
            refusal(client.put_object().bucket(BUCKET).key("a").send().await),
            refused(status, code)
        );
    }
    assert!(s3.keys(BUCKET, "").is_empty());
    client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(s3.keys(BUCKET, ""), ["a"]);
}

#[tokio::test]
async fn a_client_that_retries_gets_over_an_error_and_a_reset() {
    let (s3, _) = start(Versioning::Off);
    s3.fault(
        0,
        Fault::Status {
            status: 503,
            code: "SlowDown",
        },
    );
    s3.fault(1, Fault::ResetBefore);
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    let client = client_with(&s3, SECRET_ACCESS_KEY, retries);
    client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .body(ByteStream::from_static(b"1"))
        .send()
        .await
        .unwrap();
    assert_eq!(s3.calls().len(), 3);
}

#[tokio::test]
async fn a_reset_comes_before_or_after_the_effect() {
    let (s3, client) = start(Versioning::Off);
    s3.fault(0, Fault::ResetBefore);
    s3.fault(1, Fault::ResetAfter);
    let put = |key: &str| client.put_object().bucket(BUCKET).key(key).send();
    assert_eq!(refusal(put("before").await).0, 0);
    assert_eq!(refusal(put("after").await).0, 0);
    assert_eq!(s3.keys(BUCKET, ""), ["after"]);
}

#[tokio::test]
async fn a_partial_delete_leaves_every_nth_key() {
    let (s3, client) = start(Versioning::Off);
    let keys = ["a", "b", "c", "d", "e"];
    for key in keys {
        s3.put(BUCKET, key, "");
    }
    s3.fault(
        1,
        Fault::PartialDelete {
            code: "InternalError",
            every: 2,
        },
    );
    s3.fault(
        0,
        Fault::PartialDelete {
            code: "InternalError",
            every: 1,
        },
    );
    client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let told = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(identifiers(keys), true))
        .send()
        .await
        .unwrap();
    assert_eq!(
        errors(told.errors()),
        [("b", "InternalError"), ("d", "InternalError")]
    );
    assert_eq!(s3.keys(BUCKET, ""), ["b", "d"]);
}

#[tokio::test]
async fn a_held_call_is_announced_and_never_answered() {
    let (s3, client) = start(Versioning::Off);
    for (fault, key, stored) in [
        (Fault::HoldBefore, "before", 0),
        (Fault::HoldAfter, "after", 1),
    ] {
        s3.reset_calls();
        s3.fault(0, fault);
        let put = tokio::spawn(client.put_object().bucket(BUCKET).key(key).send());
        s3.held().await;
        assert!(!put.is_finished());
        put.abort();
        assert_eq!(s3.keys(BUCKET, "").len(), stored);
    }
    client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hook_comes_in_between_a_read_and_a_write() {
    let (s3, client) = start(Versioning::Off);
    s3.put(BUCKET, "a", "1");
    s3.before_call(1, |buckets| buckets.put(BUCKET, "a", "2"));
    let read = client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    let write = client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .if_match(read.e_tag().unwrap())
        .send()
        .await;
    assert_eq!(refusal(write), refused(412, "PreconditionFailed"));
    assert_eq!(s3.object(BUCKET, "a").unwrap().body, "2");
}

#[tokio::test]
async fn latency_is_added_to_every_call() {
    let s3 = S3::builder().latency(Duration::from_millis(30)).start();
    s3.create_bucket(BUCKET, Versioning::Off);
    let client = client(&s3);
    let before = Instant::now();
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn what_was_received_takes_effect_though_the_client_has_left() {
    let (s3, client) = start(Versioning::Off);
    s3.set_latency(Duration::from_millis(20));
    let put = tokio::spawn(client.put_object().bucket(BUCKET).key("a").send());
    let until = async |is_so: &dyn Fn() -> bool| {
        let limit = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < limit, "it has not come about");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    until(&|| !s3.calls().is_empty()).await;
    put.abort();
    until(&|| s3.keys(BUCKET, "") == ["a"]).await;
}
