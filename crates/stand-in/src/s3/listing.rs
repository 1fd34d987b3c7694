//! The three list operations: their parameters and the form of their answers.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, DeleteMarkerEntry, ETag, EncodingType, ListObjectVersionsInput,
    ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass, ObjectVersion, ObjectVersionStorageClass,
    Timestamp,
};
use s3s::{S3Error, S3Result, s3_error};

use super::bucket::{Bucket, StoredVersion};
use super::page::{Page, PageBounds, Versions};

/// S3 API reference, `ListObjectsV2`: "The response might contain fewer keys but will never contain
/// more."
const MAX_KEYS: i32 = 1000;

pub(super) fn objects_v2(
    bucket: &Bucket,
    input: ListObjectsV2Input,
) -> S3Result<ListObjectsV2Output> {
    let parameters = ListParameters::new(
        &input.prefix,
        &input.delimiter,
        input.max_keys,
        input.encoding_type.as_ref(),
    )?;
    let token = input
        .continuation_token
        .as_deref()
        .map(continue_after)
        .transpose()?;
    let page = parameters
        .page_bounds(
            token.as_ref().or(input.start_after.as_ref()),
            None,
            Versions::Current,
        )
        .page(bucket);
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(page.entries.len()).ok(),
        next_continuation_token: page.next().map(|(name, _)| continuation_token(name)),
        is_truncated: Some(page.is_truncated),
        contents: Some(parameters.objects(&page)),
        common_prefixes: Some(parameters.common_prefixes(&page)),
        max_keys: Some(parameters.max_keys),
        prefix: Some(parameters.text(parameters.prefix)),
        delimiter: parameters
            .delimiter
            .map(|delimiter| parameters.text(delimiter)),
        start_after: input
            .start_after
            .as_deref()
            .map(|start_after| parameters.text(start_after)),
        name: Some(input.bucket),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type.clone(),
        ..ListObjectsV2Output::default()
    })
}

pub(super) fn objects(bucket: &Bucket, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let parameters = ListParameters::new(
        &input.prefix,
        &input.delimiter,
        input.max_keys,
        input.encoding_type.as_ref(),
    )?;
    let page = parameters
        .page_bounds(input.marker.as_ref(), None, Versions::Current)
        .page(bucket);
    Ok(ListObjectsOutput {
        // S3 API reference, ListObjects: "returned only if you have the delimiter request parameter
        // specified".
        next_marker: page
            .next()
            .filter(|_| parameters.delimiter.is_some())
            .map(|(name, _)| parameters.text(name)),
        is_truncated: Some(page.is_truncated),
        contents: Some(parameters.objects(&page)),
        common_prefixes: Some(parameters.common_prefixes(&page)),
        max_keys: Some(parameters.max_keys),
        prefix: Some(parameters.text(parameters.prefix)),
        marker: Some(parameters.text(input.marker.as_deref().unwrap_or_default())),
        delimiter: parameters
            .delimiter
            .map(|delimiter| parameters.text(delimiter)),
        name: Some(input.bucket),
        encoding_type: input.encoding_type.clone(),
        ..ListObjectsOutput::default()
    })
}

pub(super) fn versions(
    bucket: &Bucket,
    input: ListObjectVersionsInput,
) -> S3Result<ListObjectVersionsOutput> {
    let parameters = ListParameters::new(
        &input.prefix,
        &input.delimiter,
        input.max_keys,
        input.encoding_type.as_ref(),
    )?;
    let (key_marker, version_id_marker) = markers(&input)?;
    let page = parameters
        .page_bounds(key_marker, version_id_marker, Versions::All)
        .page(bucket);
    let next = page.next();
    Ok(ListObjectVersionsOutput {
        next_key_marker: next.map(|(name, _)| parameters.text(name)),
        next_version_id_marker: next
            .and_then(|(_, stored)| stored)
            .map(StoredVersion::version_id),
        is_truncated: Some(page.is_truncated),
        versions: Some(parameters.listed_versions(&page)),
        delete_markers: Some(parameters.listed_delete_markers(&page)),
        common_prefixes: Some(parameters.common_prefixes(&page)),
        max_keys: Some(parameters.max_keys),
        prefix: Some(parameters.text(parameters.prefix)),
        delimiter: parameters
            .delimiter
            .map(|delimiter| parameters.text(delimiter)),
        key_marker: Some(parameters.text(input.key_marker.as_deref().unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.clone().unwrap_or_default()),
        name: Some(input.bucket),
        encoding_type: input.encoding_type.clone(),
        ..ListObjectVersionsOutput::default()
    })
}

/// The key and the version after which a page begins.
fn markers(input: &ListObjectVersionsInput) -> S3Result<(Option<&String>, Option<&String>)> {
    let key_marker = input.key_marker.as_ref().filter(|key| !key.is_empty());
    let version_id_marker = input.version_id_marker.as_ref();
    let version_id_marker = version_id_marker.filter(|version| !version.is_empty());
    if version_id_marker.is_some() && key_marker.is_none() {
        return Err(s3_error!(
            InvalidArgument,
            "A version-id marker cannot be specified without a key marker."
        ));
    }
    Ok((key_marker, version_id_marker))
}

/// In hexadecimal, so that no client can mistake it for a key.
fn continuation_token(last: &str) -> String {
    last.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn continue_after(token: &str) -> S3Result<String> {
    let wrong = || -> S3Error {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    };
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
    String::from_utf8(bytes.ok_or_else(wrong)?).map_err(|_| wrong())
}

/// The parameters that the list operations have in common.
struct ListParameters<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    max_keys: i32,
    /// `encoding-type=url`, for keys that XML cannot hold.
    url: bool,
}

/// S3 API reference, `ListObjectsV2`, `EncodingType`: `test_file(3).png` is `test_file%283%29.png`.
/// The slash stays.
const URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

type Listed<'a> = (&'a str, &'a StoredVersion, bool);

impl<'a> ListParameters<'a> {
    /// A larger number of keys than the limit is answered with the limit.
    fn new(
        prefix: &'a Option<String>,
        delimiter: &'a Option<String>,
        max_keys: Option<i32>,
        encoding_type: Option<&EncodingType>,
    ) -> S3Result<Self> {
        let max_keys = max_keys.unwrap_or(MAX_KEYS).min(MAX_KEYS);
        if max_keys < 0 {
            return Err(s3_error!(
                InvalidArgument,
                "Argument maxKeys must be an integer between 0 and 2147483647"
            ));
        }
        if encoding_type.is_some_and(|encoding| encoding.as_str() != EncodingType::URL) {
            return Err(s3_error!(
                InvalidArgument,
                "Invalid Encoding Method specified in Request"
            ));
        }
        Ok(Self {
            prefix: prefix.as_deref().unwrap_or_default(),
            delimiter: delimiter
                .as_deref()
                .filter(|delimiter| !delimiter.is_empty()),
            max_keys,
            url: encoding_type.is_some(),
        })
    }

    fn page_bounds<'w>(
        &'w self,
        after: Option<&'w String>,
        after_version: Option<&'w String>,
        versions: Versions,
    ) -> PageBounds<'w> {
        PageBounds {
            prefix: self.prefix,
            delimiter: self.delimiter,
            after: after.map(String::as_str).filter(|after| !after.is_empty()),
            after_version: after_version.map(String::as_str),
            max: usize::try_from(self.max_keys).unwrap_or_default(),
            versions,
        }
    }

    fn text(&self, text: &str) -> String {
        if self.url {
            utf8_percent_encode(text, URL).to_string().replace(' ', "+")
        } else {
            text.to_owned()
        }
    }

    fn objects(&self, page: &Page<'_>) -> Vec<Object> {
        let object = |(key, stored, _): Listed<'_>| Object {
            key: Some(self.text(key)),
            size: i64::try_from(stored.size_bytes()).ok(),
            e_tag: Some(etag(stored)),
            last_modified: Some(Timestamp::from(stored.modified())),
            storage_class: Some(ObjectStorageClass::from(stored.storage_class().to_owned())),
            ..Object::default()
        };
        page.versions().map(object).collect()
    }

    fn listed_versions(&self, page: &Page<'_>) -> Vec<ObjectVersion> {
        let versions = page.versions();
        versions
            .filter(|(_, stored, _)| !stored.is_delete_marker())
            .map(|version| self.version(version))
            .collect()
    }

    fn listed_delete_markers(&self, page: &Page<'_>) -> Vec<DeleteMarkerEntry> {
        let versions = page.versions();
        versions
            .filter(|(_, stored, _)| stored.is_delete_marker())
            .map(|marker| self.delete_marker(marker))
            .collect()
    }

    fn version(&self, (key, stored, is_latest): Listed<'_>) -> ObjectVersion {
        ObjectVersion {
            key: Some(self.text(key)),
            version_id: Some(stored.version_id()),
            is_latest: Some(is_latest),
            size: i64::try_from(stored.size_bytes()).ok(),
            e_tag: Some(etag(stored)),
            last_modified: Some(Timestamp::from(stored.modified())),
            storage_class: Some(ObjectVersionStorageClass::from(
                stored.storage_class().to_owned(),
            )),
            ..ObjectVersion::default()
        }
    }

    fn delete_marker(&self, (key, stored, is_latest): Listed<'_>) -> DeleteMarkerEntry {
        DeleteMarkerEntry {
            key: Some(self.text(key)),
            version_id: Some(stored.version_id()),
            is_latest: Some(is_latest),
            last_modified: Some(Timestamp::from(stored.modified())),
            ..DeleteMarkerEntry::default()
        }
    }

    fn common_prefixes(&self, page: &Page<'_>) -> Vec<CommonPrefix> {
        page.common_prefixes()
            .map(|prefix| CommonPrefix {
                prefix: Some(self.text(prefix)),
            })
            .collect()
    }
}

fn etag(stored: &StoredVersion) -> ETag {
    ETag::Strong(stored.etag().trim_matches('"').to_owned())
}
