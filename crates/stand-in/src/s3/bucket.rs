//! One bucket: keys in UTF-8 byte order, and the versions of each.
//!
//! The rules are those of the S3 user guide, "Retaining multiple versions of objects".

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::object::{Object, Versioning, declared_etag};

/// The version id of an object that is put while a bucket is not versioned, or when versioning is
/// suspended.
const NULL_VERSION: &str = "null";

#[derive(Clone, Default)]
pub(super) struct Bucket {
    pub(super) versioning: Versioning,
    /// The versions of each key, oldest first, at least one.
    pub(super) keys: BTreeMap<Box<str>, Vec<StoredVersion>>,
    last_sequence: u64,
}

/// A stored version. It is small because a bucket may hold millions.
#[derive(Clone)]
pub(super) struct StoredVersion {
    pub(super) sequence: u64,
    is_null: bool,
    modified_s: u64,
    content: Content,
}

#[derive(Clone)]
pub(super) enum Content {
    DeleteMarker,
    Sized(u64),
    Whole(Arc<Object>),
}

/// The effect of a delete.
#[derive(Default)]
pub(super) struct Deletion {
    /// Whether a delete marker was added or removed.
    pub(super) is_delete_marker: bool,
    /// The version that was added or removed, in a versioned bucket.
    pub(super) version_id: Option<String>,
}

impl Bucket {
    pub(super) fn new(versioning: Versioning) -> Self {
        Self {
            versioning,
            ..Self::default()
        }
    }

    /// The newest version of a key, which may be a delete marker.
    pub(super) fn latest(&self, key: &str) -> Option<&StoredVersion> {
        self.keys.get(key)?.last()
    }

    /// The object that a read without a version id finds.
    pub(super) fn current(&self, key: &str) -> Option<&StoredVersion> {
        self.latest(key).filter(|stored| !stored.is_delete_marker())
    }

    pub(super) fn version(&self, key: &str, version_id: &str) -> Option<&StoredVersion> {
        self.keys
            .get(key)?
            .iter()
            .find(|stored| stored.version_id() == version_id)
    }

    /// Adds a version. It replaces the null version if the bucket does not keep versions. Returns
    /// the version id to report.
    pub(super) fn put(&mut self, key: &str, content: Content) -> Option<String> {
        let is_null = self.versioning != Versioning::Enabled;
        let versions = self.keys.entry(key.into()).or_default();
        if is_null {
            versions.retain(|stored| !stored.is_null);
        }
        self.last_sequence += 1;
        let stored = StoredVersion {
            sequence: self.last_sequence,
            is_null,
            modified_s: now_s(),
            content,
        };
        let version_id = (self.versioning != Versioning::Off).then(|| stored.version_id());
        // Most keys only ever have one version. Growing by four would triple their memory.
        versions.reserve_exact(1);
        versions.push(stored);
        version_id
    }

    /// Deletes as S3 does: the deletion of a missing key succeeds.
    pub(super) fn delete(&mut self, key: &str, version_id: Option<&str>) -> Deletion {
        match version_id {
            Some(version_id) => self.remove(key, version_id),
            None if self.versioning == Versioning::Off => {
                self.keys.remove(key);
                Deletion::default()
            }
            None => Deletion {
                is_delete_marker: true,
                version_id: self.put(key, Content::DeleteMarker),
            },
        }
    }

    fn remove(&mut self, key: &str, version_id: &str) -> Deletion {
        let mut deletion = Deletion {
            version_id: Some(version_id.to_owned()),
            ..Deletion::default()
        };
        if let Some(versions) = self.keys.get_mut(key) {
            if let Some(at) = versions
                .iter()
                .position(|stored| stored.version_id() == version_id)
            {
                deletion.is_delete_marker = versions.remove(at).is_delete_marker();
            }
            if versions.is_empty() {
                self.keys.remove(key);
            }
        }
        deletion
    }

    /// Every key from `prefix` on that begins with it.
    pub(super) fn under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a [StoredVersion])> {
        let from = (
            std::ops::Bound::Included(prefix),
            std::ops::Bound::Unbounded,
        );
        self.keys
            .range::<str, _>(from)
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, versions)| (&**key, versions.as_slice()))
    }

    /// The objects under `prefix` that reads without a version id find.
    pub(super) fn objects<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a StoredVersion)> {
        self.under(prefix)
            .filter_map(|(key, versions)| Some((key, versions.last()?)))
            .filter(|(_, stored)| !stored.is_delete_marker())
    }
}

impl StoredVersion {
    pub(super) fn is_delete_marker(&self) -> bool {
        matches!(self.content, Content::DeleteMarker)
    }

    pub(super) fn version_id(&self) -> String {
        if self.is_null {
            NULL_VERSION.to_owned()
        } else {
            format!("{:032x}", self.sequence)
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        match &self.content {
            Content::DeleteMarker => 0,
            Content::Sized(size_bytes) => *size_bytes,
            Content::Whole(object) => object.size_bytes,
        }
    }

    /// In quotes, or empty for a delete marker.
    pub(super) fn etag(&self) -> String {
        match &self.content {
            Content::DeleteMarker => String::new(),
            Content::Sized(size_bytes) => declared_etag(*size_bytes),
            Content::Whole(object) => object.etag.clone(),
        }
    }

    pub(super) fn storage_class(&self) -> &str {
        match &self.content {
            Content::Whole(object) => object.storage_class.as_deref().unwrap_or("STANDARD"),
            Content::DeleteMarker | Content::Sized(_) => "STANDARD",
        }
    }

    /// The object, or an empty one for a delete marker.
    pub(super) fn object(&self) -> Object {
        match &self.content {
            Content::DeleteMarker => Object::default(),
            Content::Sized(size_bytes) => Object::of_size(*size_bytes),
            Content::Whole(object) => Object::clone(object),
        }
    }

    /// Last modified, to the second, as S3 reports it.
    pub(super) fn modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.modified_s)
    }
}

/// Compares as a read does: time and version are ignored.
impl PartialEq for StoredVersion {
    fn eq(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::Sized(this), Content::Sized(that)) => this == that,
            (Content::Whole(this), Content::Whole(that)) => this == that,
            _ => self.object() == other.object(),
        }
    }
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The content of a bucket at one time, to compare end states or to load into another server.
/// Taking and loading it is cheap: the first change on either side copies the content.
///
/// Two snapshots are equal if reads without a version id find the same keys, bodies, entity tags
/// and headers. Times and older versions are loaded but not compared.
#[derive(Clone)]
pub struct Snapshot(pub(super) Arc<Bucket>);

impl Snapshot {
    /// The current objects by key.
    pub fn objects(&self) -> impl Iterator<Item = (&str, Object)> {
        self.0
            .objects("")
            .map(|(key, stored)| (key, stored.object()))
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.objects("").eq(other.0.objects(""))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.objects()).finish()
    }
}
