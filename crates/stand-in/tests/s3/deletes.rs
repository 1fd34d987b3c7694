use super::{BUCKET, refusal, refused, start};
use aws_sdk_s3::types::{Delete, Error, ObjectIdentifier};
use stand_in::Versioning;

pub(crate) fn identifiers<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<ObjectIdentifier> {
    keys.into_iter()
        .map(|key| ObjectIdentifier::builder().key(key).build().unwrap())
        .collect()
}

pub(crate) fn batch(objects: Vec<ObjectIdentifier>, quiet: bool) -> Delete {
    Delete::builder()
        .set_objects(Some(objects))
        .quiet(quiet)
        .build()
        .unwrap()
}

/// Key and code of each error.
pub(crate) fn errors(errors: &[Error]) -> Vec<(&str, &str)> {
    errors
        .iter()
        .map(|error| (error.key().unwrap(), error.code().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_batch_deletes_at_most_a_thousand_keys() {
    let (s3, client) = start(Versioning::Off);
    let keys: Vec<_> = (0..1001).map(|n| format!("{n:04}")).collect();
    for key in &keys {
        s3.put_sized(BUCKET, key, 1);
    }
    let delete = |keys: &[String]| {
        client
            .delete_objects()
            .bucket(BUCKET)
            .delete(batch(identifiers(keys.iter().map(String::as_str)), true))
    };
    assert_eq!(
        refusal(delete(&keys).send().await),
        refused(400, "MalformedXML")
    );
    assert_eq!(
        refusal(delete(&[]).send().await),
        refused(400, "MalformedXML")
    );
    assert_eq!(s3.keys(BUCKET, "").len(), 1001);
    delete(&keys[1..]).send().await.unwrap();
    assert_eq!(s3.keys(BUCKET, ""), ["0000"]);
}

#[tokio::test]
async fn what_is_not_there_counts_as_deleted() {
    let (s3, client) = start(Versioning::Off);
    s3.put(BUCKET, "there", "");
    let batch = |quiet| batch(identifiers(["there", " absent & <odd> "]), quiet);
    let told = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(false))
        .send()
        .await
        .unwrap();
    let deleted: Vec<_> = told
        .deleted()
        .iter()
        .filter_map(|deleted| deleted.key())
        .collect();
    assert_eq!(
        (deleted, told.errors().len()),
        (vec!["there", " absent & <odd> "], 0)
    );
    let quiet = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(true))
        .send()
        .await
        .unwrap();
    assert_eq!((quiet.deleted().len(), quiet.errors().len()), (0, 0));
    client
        .delete_object()
        .bucket(BUCKET)
        .key("absent")
        .send()
        .await
        .unwrap();
    let nowhere = client
        .delete_objects()
        .bucket("absent")
        .delete(batch(false))
        .send()
        .await;
    assert_eq!(refusal(nowhere), refused(404, "NoSuchBucket"));
}

#[tokio::test]
async fn a_conditional_delete_sees_what_is_there() {
    let (s3, client) = start(Versioning::Off);
    for key in ["kept", "gone", "any"] {
        s3.put(BUCKET, key, key);
    }
    let etag = s3.object(BUCKET, "gone").unwrap().etag;
    let object = |key: &str, etag: &str| {
        ObjectIdentifier::builder()
            .key(key)
            .e_tag(etag)
            .build()
            .unwrap()
    };
    let objects = vec![
        object("kept", &etag),
        object("gone", &etag),
        object("any", "*"),
        object("absent", "*"),
    ];
    let told = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(objects, false))
        .send()
        .await
        .unwrap();
    assert_eq!(
        errors(told.errors()),
        [("kept", "PreconditionFailed"), ("absent", "NoSuchKey")]
    );
    assert_eq!(s3.keys(BUCKET, ""), ["kept"]);

    let delete = || client.delete_object().bucket(BUCKET).key("kept");
    assert_eq!(
        refusal(delete().if_match(etag).send().await),
        refused(412, "PreconditionFailed")
    );
    let sized = ObjectIdentifier::builder()
        .key("kept")
        .size(4)
        .build()
        .unwrap();
    let sized = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(vec![sized], false))
        .send()
        .await;
    assert_eq!(refusal(sized), refused(501, "NotImplemented"));
    delete().if_match("*").send().await.unwrap();
    assert!(s3.keys(BUCKET, "").is_empty());
}

#[tokio::test]
async fn a_refused_key_stays_and_its_neighbours_go() {
    let (s3, client) = start(Versioning::Off);
    for key in ["a", "locked", "z"] {
        s3.put(BUCKET, key, "");
    }
    s3.refuse_delete(BUCKET, "locked", "AccessDenied");
    let told = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(batch(identifiers(["a", "locked", "z"]), true));
    let told = told.send().await.unwrap();
    assert_eq!(errors(told.errors()), [("locked", "AccessDenied")]);
    assert_eq!(s3.keys(BUCKET, ""), ["locked"]);
    assert_eq!(
        refusal(
            client
                .delete_object()
                .bucket(BUCKET)
                .key("locked")
                .send()
                .await
        ),
        refused(403, "AccessDenied")
    );
}
