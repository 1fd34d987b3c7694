//! All buckets, as tests read and change them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use s3s::dto::ETagCondition;
use s3s::validation::{AwsNameValidation, NameValidation as _};
use s3s::{S3Result, s3_error};

use super::bucket::{Bucket, Content, Deletion, Snapshot, StoredVersion};
use super::object::{Object, Version, Versioning};
use super::{precondition, refused};
use crate::lock;

/// The content of an [`S3`](crate::S3). The server shares it; tests read and change it without a
/// request.
///
/// Every method that names a bucket panics if it does not exist.
#[derive(Clone, Default)]
pub struct Buckets(Arc<Mutex<Account>>);

#[derive(Default)]
struct Account {
    buckets: BTreeMap<String, Arc<Bucket>>,
    /// The error code of refused deletions, by bucket and key.
    refusals: HashMap<(String, String), &'static str>,
    /// The error code of refused puts, by bucket and key.
    put_refusals: HashMap<(String, String), &'static str>,
    /// Objects whose entity tag is withheld, by bucket and key.
    without_etag: HashSet<(String, String)>,
}

impl Buckets {
    /// Creates an empty bucket, or replaces one of the same name.
    #[track_caller]
    pub fn create_bucket(&self, bucket: &str, versioning: Versioning) {
        assert!(
            AwsNameValidation::new().validate_bucket_name(bucket),
            "S3 allows no bucket the name {bucket:?}"
        );
        self.restore(bucket, &Snapshot(Arc::new(Bucket::new(versioning))));
    }

    /// Puts an object that has only a body.
    #[track_caller]
    pub fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        self.put_object(
            bucket,
            key,
            Object {
                body: body.into(),
                ..Object::default()
            },
        );
    }

    #[track_caller]
    pub fn put_object(&self, bucket: &str, key: &str, object: Object) {
        self.change(bucket, |bucket| {
            bucket.put(key, Content::Whole(Arc::new(object.stored())))
        });
    }

    /// Puts an object of zero bytes that only takes the memory of its key.
    #[track_caller]
    pub fn put_sized(&self, bucket: &str, key: &str, size_bytes: u64) {
        self.change(bucket, |bucket| bucket.put(key, Content::Sized(size_bytes)));
    }

    /// Deletes an object as a `DeleteObject` without a version id does.
    #[track_caller]
    pub fn delete(&self, bucket: &str, key: &str) {
        self.change(bucket, |bucket| bucket.delete(key, None));
    }

    #[track_caller]
    pub fn set_versioning(&self, bucket: &str, versioning: Versioning) {
        self.change(bucket, |bucket| bucket.versioning = versioning);
    }

    /// The object that a read without a version id finds.
    #[track_caller]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Object> {
        self.look(bucket, |bucket| {
            bucket.current(key).map(StoredVersion::object)
        })
    }

    /// The text of the object that a read without a version id finds.
    #[track_caller]
    pub fn text(&self, bucket: &str, key: &str) -> Option<String> {
        let object = self.object(bucket, key)?;
        Some(String::from_utf8_lossy(&object.body).into_owned())
    }

    /// The keys of the current objects under a prefix, in order.
    #[track_caller]
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        self.look(bucket, |bucket| {
            bucket
                .objects(prefix)
                .map(|(key, _)| key.to_owned())
                .collect()
        })
    }

    /// The sizes in bytes of the current objects under a prefix.
    #[track_caller]
    pub fn sizes(&self, bucket: &str, prefix: &str) -> BTreeMap<String, u64> {
        self.look(bucket, |bucket| {
            bucket
                .objects(prefix)
                .map(|(key, stored)| (key.to_owned(), stored.size_bytes()))
                .collect()
        })
    }

    /// All versions and delete markers under a prefix, the newest of each key first.
    #[track_caller]
    pub fn versions(&self, bucket: &str, prefix: &str) -> Vec<Version> {
        self.look(bucket, |bucket| {
            let newest_first = |(key, versions): (&str, &[StoredVersion])| {
                let key = key.to_owned();
                let version = move |(age, stored): (usize, &StoredVersion)| Version {
                    key: key.clone(),
                    version_id: stored.version_id(),
                    is_latest: age == 0,
                    is_delete_marker: stored.is_delete_marker(),
                    size_bytes: stored.size_bytes(),
                };
                versions
                    .iter()
                    .rev()
                    .enumerate()
                    .map(version)
                    .collect::<Vec<_>>()
            };
            bucket.under(prefix).flat_map(newest_first).collect()
        })
    }

    #[track_caller]
    pub fn snapshot(&self, bucket: &str) -> Snapshot {
        match lock(&self.0).buckets.get(bucket) {
            Some(found) => Snapshot(Arc::clone(found)),
            None => panic!("bucket {bucket:?} does not exist"),
        }
    }

    /// Sets the bucket to a snapshot of this or another server.
    pub fn restore(&self, bucket: &str, snapshot: &Snapshot) {
        lock(&self.0)
            .buckets
            .insert(bucket.to_owned(), Arc::clone(&snapshot.0));
    }

    /// Refuses all further deletions of this object with this error code. A bucket policy gives
    /// `AccessDenied`.
    pub fn refuse_delete(&self, bucket: &str, key: &str, code: &'static str) {
        lock(&self.0)
            .refusals
            .insert((bucket.to_owned(), key.to_owned()), code);
    }

    /// Refuses all further puts of this object with this error code.
    pub fn refuse_put(&self, bucket: &str, key: &str, code: &'static str) {
        lock(&self.0)
            .put_refusals
            .insert((bucket.to_owned(), key.to_owned()), code);
    }

    pub(super) fn put_refusal(&self, bucket: &str, key: &str) -> S3Result<()> {
        let key = (bucket.to_owned(), key.to_owned());
        lock(&self.0)
            .put_refusals
            .get(&key)
            .map_or(Ok(()), |code| Err(refused(code)))
    }

    /// Answers all further reads of this object without its entity tag. S3 always sends it, but a
    /// proxy or another implementation of S3 may not.
    pub fn withhold_etag(&self, bucket: &str, key: &str) {
        lock(&self.0)
            .without_etag
            .insert((bucket.to_owned(), key.to_owned()));
    }

    #[track_caller]
    fn look<T>(&self, bucket: &str, look: impl FnOnce(&Bucket) -> T) -> T {
        match lock(&self.0).buckets.get(bucket) {
            Some(found) => look(found),
            None => panic!("bucket {bucket:?} does not exist"),
        }
    }

    #[track_caller]
    fn change<T>(&self, bucket: &str, change: impl FnOnce(&mut Bucket) -> T) -> T {
        match lock(&self.0).buckets.get_mut(bucket) {
            Some(found) => change(Arc::make_mut(found)),
            None => panic!("bucket {bucket:?} does not exist"),
        }
    }
}

/// Changes of the content by requests. A missing bucket is an error of the client.
impl Buckets {
    /// The object that a read without a version id finds, if the bucket exists.
    pub(crate) fn find(&self, bucket: &str, key: &str) -> Option<Object> {
        lock(&self.0)
            .buckets
            .get(bucket)?
            .current(key)
            .map(StoredVersion::object)
    }

    pub(super) fn names(&self) -> Vec<String> {
        lock(&self.0).buckets.keys().cloned().collect()
    }

    pub(super) fn create(&self, bucket: &str) -> S3Result<()> {
        match lock(&self.0).buckets.entry(bucket.to_owned()) {
            Entry::Vacant(new) => {
                new.insert(Arc::default());
                Ok(())
            }
            Entry::Occupied(_) => Err(s3_error!(BucketAlreadyOwnedByYou)),
        }
    }

    pub(super) fn read<T>(
        &self,
        bucket: &str,
        read: impl FnOnce(&Bucket) -> S3Result<T>,
    ) -> S3Result<T> {
        let account = lock(&self.0);
        read(account.buckets.get(bucket).ok_or_else(no_such_bucket)?)
    }

    pub(super) fn write<T>(
        &self,
        bucket: &str,
        write: impl FnOnce(&mut Bucket) -> S3Result<T>,
    ) -> S3Result<T> {
        let mut account = lock(&self.0);
        write(Arc::make_mut(
            account.buckets.get_mut(bucket).ok_or_else(no_such_bucket)?,
        ))
    }

    pub(super) fn withholds_etag(&self, bucket: &str, key: &str) -> bool {
        lock(&self.0)
            .without_etag
            .contains(&(bucket.to_owned(), key.to_owned()))
    }

    pub(super) fn remove(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
        condition: Option<&ETagCondition>,
    ) -> S3Result<Deletion> {
        let mut account = lock(&self.0);
        if let Some(code) = account.refusals.get(&(bucket.to_owned(), key.to_owned())) {
            return Err(refused(code));
        }
        let bucket = account.buckets.get_mut(bucket).ok_or_else(no_such_bucket)?;
        precondition::delete(bucket.latest(key), condition)?;
        Ok(Arc::make_mut(bucket).delete(key, version_id))
    }
}

fn no_such_bucket() -> s3s::S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}
