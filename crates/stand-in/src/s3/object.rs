//! What a bucket holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use md5::{Digest as _, Md5};

/// An object: its content and the headers it was put with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The content, or its beginning: zero bytes follow up to `size_bytes`.
    pub body: Bytes,
    /// What S3 reports as the size. Putting raises it to the body's length, so it can be left at 0.
    pub size_bytes: u64,
    /// In quotes, as on the wire. Putting replaces it: the body's MD5, or with a declared size
    /// something made from that size.
    pub etag: String,
    /// `binary/octet-stream` when put without (S3 API reference, `PutObject`).
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`, which S3 takes off.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`, an HTTP date.
    pub expires: Option<String>,
    /// `STANDARD` when empty.
    pub storage_class: Option<String>,
    /// The headers `x-amz-server-side-encryption` and `x-amz-server-side-encryption-…`, by name.
    /// Nothing is encrypted.
    pub encryption: BTreeMap<String, String>,
    /// The SHA-256 that it was put with, in base64. S3 has none of what was put without.
    pub checksum_sha256: Option<String>,
    /// The user's metadata, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
}

impl Object {
    /// Fills in what S3 fills in when it stores an object.
    pub(super) fn stored(mut self) -> Self {
        let body_bytes = self.body.len() as u64;
        if self.size_bytes > body_bytes {
            self.etag = declared_etag(self.size_bytes);
        } else {
            self.size_bytes = body_bytes;
            self.etag = format!("\"{:x}\"", Md5::digest(&self.body));
        }
        self.content_type
            .get_or_insert_with(|| "binary/octet-stream".to_owned());
        self
    }

    /// An object of which only the size matters.
    pub(super) fn of_size(size_bytes: u64) -> Self {
        Self {
            size_bytes,
            ..Self::default()
        }
        .stored()
    }
}

/// An entity tag without content to hash. It changes with the size, and costs no memory.
pub(super) fn declared_etag(size_bytes: u64) -> String {
    format!("\"{size_bytes:032x}\"")
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// Opaque, or `null` for what was put while the bucket was not versioned.
    pub version_id: String,
    /// Whether this is the current version of its key.
    pub is_latest: bool,
    /// Whether this hides the object instead of being one.
    pub is_delete_marker: bool,
    /// 0 for a delete marker.
    pub size_bytes: u64,
}

/// Whether a bucket keeps what is overwritten and deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// Never switched on: an overwrite or a delete is final.
    #[default]
    Off,
    /// Every put and every delete adds a version.
    Enabled,
    /// Older versions stay; new ones replace the one whose id is `null`.
    Suspended,
}
