//! The objects of a bucket.

use std::collections::BTreeMap;

use bytes::Bytes;
use md5::{Digest as _, Md5};

/// An object: its content and the headers of its put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The content, or its beginning: zero bytes follow up to `size_bytes`.
    pub body: Bytes,
    /// The size that S3 reports. Putting raises it to the body's length, so 0 is allowed.
    pub size_bytes: u64,
    /// In quotes, as on the wire. Putting replaces it: by the body's MD5, or by a tag that is made
    /// from a declared size.
    pub etag: String,
    /// `binary/octet-stream` if the put had none (S3 API reference, `PutObject`).
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    /// `Content-Encoding` without `aws-chunked`, which S3 removes.
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    /// An HTTP date.
    pub expires: Option<String>,
    /// The default is `STANDARD`.
    pub storage_class: Option<String>,
    /// The headers `x-amz-server-side-encryption` and `x-amz-server-side-encryption-…`, by name.
    /// The stand-in encrypts nothing.
    pub encryption: BTreeMap<String, String>,
    /// The SHA-256 of the put in base64. S3 has none if the put had none.
    pub checksum_sha256: Option<String>,
    /// The user's metadata, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
}

impl Object {
    /// Adds what S3 adds when it stores an object.
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

/// An entity tag without content to hash. It depends on the size, and takes no memory.
pub(super) fn declared_etag(size_bytes: u64) -> String {
    format!("\"{size_bytes:032x}\"")
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub key: String,
    /// Opaque, or `null` if the bucket was not versioned.
    pub version_id: String,
    /// Whether this is the current version of its key.
    pub is_latest: bool,
    /// Whether this version is a delete marker and not an object.
    pub is_delete_marker: bool,
    /// 0 for a delete marker.
    pub size_bytes: u64,
}

/// Whether a bucket keeps overwritten and deleted objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// Was never enabled: an overwrite or a delete is final.
    #[default]
    Off,
    /// Every put and every delete adds a version.
    Enabled,
    /// Older versions stay. New ones replace the one whose id is `null`.
    Suspended,
}
