//! The three list operations: what a request asks for, and the answer's form.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, DeleteMarkerEntry, ETag, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass,
    ObjectVersion, ObjectVersionStorageClass, Timestamp,
};
use s3s::{S3Error, S3Result, s3_error};

use super::bucket::{Bucket, Stored};
use super::page::{Entry, Page, Versions, Window};

/// S3 API reference: "by default, the action returns up to 1,000 key names … never contain more".
const MAX_KEYS: i32 = 1000;

pub(super) fn objects_v2(bucket: &Bucket, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let form = Form::of(input.encoding_type.as_ref())?;
    let token = input.continuation_token.as_deref().map(continue_after).transpose()?;
    let max_keys = max_keys(input.max_keys)?;
    let window = Window {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        after: token.as_deref().or(input.start_after.as_deref()),
        after_version: None,
        max: usize::try_from(max_keys).unwrap_or_default(),
        versions: Versions::Current,
    };
    let page = window.page(bucket);
    let (contents, common_prefixes) = form.objects(&page);
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(page.entries.len()).ok(),
        next_continuation_token: page.next().map(|(name, _)| continuation_token(name)),
        is_truncated: Some(page.is_truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        max_keys: Some(max_keys),
        prefix: Some(form.text(window.prefix)),
        delimiter: window.delimiter.map(|delimiter| form.text(delimiter)),
        start_after: input.start_after.as_deref().map(|start_after| form.text(start_after)),
        name: Some(input.bucket),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    })
}

pub(super) fn objects(bucket: &Bucket, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let form = Form::of(input.encoding_type.as_ref())?;
    let max_keys = max_keys(input.max_keys)?;
    let window = Window {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        after: input.marker.as_deref().filter(|marker| !marker.is_empty()),
        after_version: None,
        max: usize::try_from(max_keys).unwrap_or_default(),
        versions: Versions::Current,
    };
    let page = window.page(bucket);
    let (contents, common_prefixes) = form.objects(&page);
    Ok(ListObjectsOutput {
        // S3 API reference, ListObjects: "This element is returned only if you have the delimiter request parameter".
        next_marker: page.next().filter(|_| window.delimiter.is_some()).map(|(name, _)| form.text(name)),
        is_truncated: Some(page.is_truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        max_keys: Some(max_keys),
        prefix: Some(form.text(window.prefix)),
        marker: Some(form.text(input.marker.as_deref().unwrap_or_default())),
        delimiter: window.delimiter.map(|delimiter| form.text(delimiter)),
        name: Some(input.bucket),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    })
}

pub(super) fn versions(
    bucket: &Bucket,
    input: ListObjectVersionsInput,
) -> S3Result<ListObjectVersionsOutput> {
    let form = Form::of(input.encoding_type.as_ref())?;
    let max_keys = max_keys(input.max_keys)?;
    let key_marker = input.key_marker.as_deref().filter(|marker| !marker.is_empty());
    let version_id_marker = input.version_id_marker.as_deref().filter(|marker| !marker.is_empty());
    if version_id_marker.is_some() && key_marker.is_none() {
        return Err(s3_error!(
            InvalidArgument,
            "A version-id marker cannot be specified without a key marker."
        ));
    }
    let window = Window {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        after: key_marker,
        after_version: version_id_marker,
        max: usize::try_from(max_keys).unwrap_or_default(),
        versions: Versions::All,
    };
    let page = window.page(bucket);
    let (versions, delete_markers) = form.versions(&page);
    let next = page.next();
    Ok(ListObjectVersionsOutput {
        next_key_marker: next.map(|(name, _)| form.text(name)),
        next_version_id_marker: next.and_then(|(_, stored)| stored).map(Stored::version_id),
        is_truncated: Some(page.is_truncated),
        versions: Some(versions),
        delete_markers: Some(delete_markers),
        common_prefixes: Some(form.common_prefixes(&page)),
        max_keys: Some(max_keys),
        prefix: Some(form.text(window.prefix)),
        delimiter: window.delimiter.map(|delimiter| form.text(delimiter)),
        key_marker: Some(form.text(input.key_marker.as_deref().unwrap_or_default())),
        name: Some(input.bucket),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        encoding_type: input.encoding_type,
        ..ListObjectVersionsOutput::default()
    })
}

/// A greater number is answered as if it were the greatest allowed.
fn max_keys(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(MAX_KEYS) {
        ..0 => {
            Err(s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647"))
        }
        asked => Ok(asked.min(MAX_KEYS)),
    }
}

/// Hexadecimal, so that no client can take it for a key.
fn continuation_token(last: &str) -> String {
    last.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn continue_after(token: &str) -> S3Result<String> {
    let wrong = || -> S3Error { s3_error!(InvalidArgument, "The continuation token provided is incorrect") };
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
    String::from_utf8(bytes.ok_or_else(wrong)?).map_err(|_| wrong())
}

impl Page<'_> {
    /// The name the next page comes after, if there is one, and its version.
    fn next(&self) -> Option<(&str, Option<&Stored>)> {
        self.entries.last().filter(|_| self.is_truncated).map(|last| match last {
            Entry::Version { key, stored, .. } => (*key, Some(*stored)),
            Entry::CommonPrefix(prefix) => (*prefix, None),
        })
    }
}

/// How keys are written: `encoding-type=url` keeps those apart from XML that it cannot hold.
struct Form {
    url: bool,
}

/// S3 API reference, `ListObjectsV2`, `EncodingType`: the slash stays as it is, `test_file(3).png` is `test_file%283%29.png`.
const URL: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

impl Form {
    fn of(encoding_type: Option<&EncodingType>) -> S3Result<Self> {
        match encoding_type.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    fn text(&self, text: &str) -> String {
        if self.url { utf8_percent_encode(text, URL).to_string().replace(' ', "+") } else { text.to_owned() }
    }

    fn objects(&self, page: &Page<'_>) -> (Vec<Object>, Vec<CommonPrefix>) {
        let object = |(key, stored, _): (&str, &Stored, bool)| Object {
            key: Some(self.text(key)),
            size: size(stored),
            e_tag: Some(etag(stored)),
            last_modified: Some(Timestamp::from(stored.modified())),
            storage_class: Some(ObjectStorageClass::from(stored.storage_class().to_owned())),
            ..Object::default()
        };
        (page.versions().map(object).collect(), self.common_prefixes(page))
    }

    fn versions(&self, page: &Page<'_>) -> (Vec<ObjectVersion>, Vec<DeleteMarkerEntry>) {
        let (markers, versions): (Vec<_>, Vec<_>) =
            page.versions().partition(|(_, stored, _)| stored.is_delete_marker());
        let version = |(key, stored, is_latest): (&str, &Stored, bool)| ObjectVersion {
            key: Some(self.text(key)),
            version_id: Some(stored.version_id()),
            is_latest: Some(is_latest),
            size: size(stored),
            e_tag: Some(etag(stored)),
            last_modified: Some(Timestamp::from(stored.modified())),
            storage_class: Some(ObjectVersionStorageClass::from(stored.storage_class().to_owned())),
            ..ObjectVersion::default()
        };
        let marker = |(key, stored, is_latest): (&str, &Stored, bool)| DeleteMarkerEntry {
            key: Some(self.text(key)),
            version_id: Some(stored.version_id()),
            is_latest: Some(is_latest),
            last_modified: Some(Timestamp::from(stored.modified())),
            ..DeleteMarkerEntry::default()
        };
        (versions.into_iter().map(version).collect(), markers.into_iter().map(marker).collect())
    }

    fn common_prefixes(&self, page: &Page<'_>) -> Vec<CommonPrefix> {
        let prefixes = page.entries.iter().filter_map(|entry| match entry {
            Entry::CommonPrefix(prefix) => Some(CommonPrefix { prefix: Some(self.text(prefix)) }),
            Entry::Version { .. } => None,
        });
        prefixes.collect()
    }
}

impl<'a> Page<'a> {
    fn versions(&self) -> impl Iterator<Item = (&'a str, &'a Stored, bool)> {
        self.entries.iter().filter_map(|entry| match *entry {
            Entry::Version { key, stored, is_latest } => Some((key, stored, is_latest)),
            Entry::CommonPrefix(_) => None,
        })
    }
}

pub(super) fn etag(stored: &Stored) -> ETag {
    ETag::Strong(stored.etag().trim_matches('"').to_owned())
}

pub(super) fn size(stored: &Stored) -> Option<i64> {
    i64::try_from(stored.size_bytes()).ok()
}
