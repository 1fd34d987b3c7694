//! The operations of S3.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use futures::stream;
use hyper::Uri;
use hyper::header::{ETAG, HeaderMap, HeaderName, HeaderValue};
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest as _, Sha256};

use super::bucket::{Bucket, Content, Deletion, StoredVersion};
use super::listing;
use super::object;
use super::{Buckets, Versioning, precondition};
use crate::ACCOUNT_ID;
use crate::traffic::Arrival;

/// S3 API reference, `DeleteObjects`: "The request can contain a list of up to 1,000 keys".
const MAX_DELETES: usize = 1000;

/// S3 API reference, `PutObject`: the largest object of one request, 5 GB.
const MAX_PUT_BYTES: usize = 5 << 30;

/// The beginning of the headers that describe how an object is encrypted, in requests and answers.
const ENCRYPTION: &str = "x-amz-server-side-encryption";

pub(super) struct Protocol(pub(super) Buckets);

#[async_trait::async_trait]
impl S3 for Protocol {
    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = |name| s3s::dto::Bucket {
            name: Some(name),
            // The AWS CLI fails on a bucket without a date.
            creation_date: Some(Timestamp::default()),
            ..s3s::dto::Bucket::default()
        };
        let buckets = self.0.names().into_iter().map(bucket).collect();
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            owner: Some(Owner {
                id: Some(ACCOUNT_ID.to_owned()),
                ..Owner::default()
            }),
            ..ListBucketsOutput::default()
        }))
    }

    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.0.create(&req.input.bucket)?;
        let location = Some(format!("/{}", req.input.bucket));
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.0.read(&req.input.bucket, |_| Ok(()))?;
        let bucket_region = Some(crate::REGION.to_owned());
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region,
            ..HeadBucketOutput::default()
        }))
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let status = self.0.read(&req.input.bucket, |bucket| {
            Ok(match bucket.versioning {
                Versioning::Off => None,
                Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
                Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
            })
        })?;
        Ok(S3Response::new(GetBucketVersioningOutput {
            status: status.map(BucketVersioningStatus::from_static),
            ..GetBucketVersioningOutput::default()
        }))
    }

    async fn put_bucket_versioning(
        &self,
        req: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let status = req.input.versioning_configuration.status;
        let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => return Err(s3_error!(IllegalVersioningConfigurationException)),
        };
        self.0.write(&req.input.bucket, |bucket| {
            bucket.versioning = versioning;
            Ok(())
        })?;
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let name = req.input.bucket.clone();
        self.0
            .read(&name, |bucket| listing::objects_v2(bucket, req.input))
            .map(S3Response::new)
    }

    async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let name = req.input.bucket.clone();
        self.0
            .read(&name, |bucket| listing::objects(bucket, req.input))
            .map(S3Response::new)
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let name = req.input.bucket.clone();
        self.0
            .read(&name, |bucket| listing::versions(bucket, req.input))
            .map(S3Response::new)
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let HeadObjectInput {
            bucket,
            key,
            version_id,
            if_match,
            if_none_match,
            checksum_mode,
            ..
        } = req.input;
        refuse_unsupported(&req.headers, &req.uri)?;
        let (object, mut headers) = self.0.read(&bucket, |bucket| {
            let found = find(bucket, &key, version_id.as_deref())?;
            precondition::read(found, if_match.as_ref(), if_none_match.as_ref())?;
            Ok((found.object(), headers(bucket, found)))
        })?;
        if self.0.withholds_etag(&bucket, &key) {
            headers.remove(ETAG);
        }
        let metadata = Some(object.metadata.into_iter().collect());
        // S3 API reference, HeadObject: without the mode the answer has no checksum.
        let is_asked = checksum_mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        let checksum_sha256 = object.checksum_sha256.filter(|_| is_asked);
        Ok(S3Response::with_headers(
            HeadObjectOutput {
                metadata,
                checksum_sha256,
                ..HeadObjectOutput::default()
            },
            headers,
        ))
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let GetObjectInput {
            bucket,
            key,
            version_id,
            if_match,
            if_none_match,
            ..
        } = req.input;
        refuse_unsupported(&req.headers, &req.uri)?;
        let (mut object, mut headers) = self.0.read(&bucket, |bucket| {
            let found = find(bucket, &key, version_id.as_deref())?;
            precondition::read(found, if_match.as_ref(), if_none_match.as_ref())?;
            Ok((found.object(), headers(bucket, found)))
        })?;
        if self.0.withholds_etag(&bucket, &key) {
            headers.remove(ETAG);
        }
        let metadata = Some(std::mem::take(&mut object.metadata).into_iter().collect());
        let body = Some(content(object));
        Ok(S3Response::with_headers(
            GetObjectOutput {
                body,
                metadata,
                ..GetObjectOutput::default()
            },
            headers,
        ))
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let headers = req.headers;
        let input = req.input;
        self.0.put_refusal(&input.bucket, &input.key)?;
        let mut body = input.body.map(s3s::Body::from).unwrap_or_default();
        let body = body
            .store_all_limited(MAX_PUT_BYTES)
            .await
            .map_err(|error| s3_error!(IncompleteBody, "the body cannot be read: {error}"))?;
        check_sha256(input.checksum_sha256.as_deref(), &body)?;
        let (name, key) = (input.bucket, input.key);
        let object = object::Object {
            body,
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input
                .content_encoding
                .as_deref()
                .and_then(without_aws_chunked),
            content_language: input.content_language,
            expires: header_text(headers.get("expires")),
            encryption: encryption(&headers),
            checksum_sha256: input.checksum_sha256,
            storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            ..object::Object::default()
        }
        .stored();
        let e_tag = Some(ETag::Strong(object.etag.trim_matches('"').to_owned()));
        let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let version_id = self.0.write(&name, |bucket| {
            precondition::put(bucket.current(&key), if_match, if_none_match)?;
            Ok(bucket.put(&key, Content::Whole(Arc::new(object))))
        })?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag,
            version_id,
            ..PutObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = req.input;
        if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
            return Err(unsupported_delete());
        }
        let deletion = self.0.remove(
            &input.bucket,
            &input.key,
            input.version_id.as_deref(),
            input.if_match.as_ref(),
        )?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: deletion.is_delete_marker.then_some(true),
            version_id: deletion.version_id,
            ..DeleteObjectOutput::default()
        }))
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        self.0.read(&bucket, |_| Ok(()))?;
        check_deletes(&req.headers, &delete)?;
        let arrival = req.extensions.get::<Arc<Arrival>>();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for (n, object) in delete.objects.into_iter().enumerate() {
            let planned = arrival.and_then(|arrival| arrival.fails_key(n));
            match self.delete_one(&bucket, &object, planned) {
                Ok(deletion) => deleted.push(deleted_object(object, deletion)),
                Err(error) => errors.push(delete_error(object, &error)),
            }
        }
        if delete.quiet == Some(true) {
            deleted.clear();
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            ..DeleteObjectsOutput::default()
        }))
    }
}

impl Protocol {
    /// Deletes one object of a `DeleteObjects`, unless a fault is planned for it.
    fn delete_one(
        &self,
        bucket: &str,
        object: &ObjectIdentifier,
        planned: Option<&'static str>,
    ) -> S3Result<Deletion> {
        if let Some(code) = planned {
            return Err(super::refused(code));
        }
        let condition = object.e_tag.clone().map(|etag| match etag.value() {
            "*" => ETagCondition::Any,
            _ => ETagCondition::ETag(etag),
        });
        let version_id = object.version_id.as_deref();
        self.0
            .remove(bucket, &object.key, version_id, condition.as_ref())
    }
}

fn check_deletes(headers: &HeaderMap, delete: &Delete) -> S3Result<()> {
    if !has_checksum(headers) {
        return Err(s3_error!(
            InvalidRequest,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        ));
    }
    if delete.objects.is_empty() || delete.objects.len() > MAX_DELETES {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    let mut objects = delete.objects.iter();
    if objects.any(|object| object.last_modified_time.is_some() || object.size.is_some()) {
        return Err(unsupported_delete());
    }
    Ok(())
}

fn deleted_object(object: ObjectIdentifier, deletion: Deletion) -> DeletedObject {
    let is_delete_marker = deletion.is_delete_marker;
    DeletedObject {
        key: Some(object.key),
        version_id: object.version_id,
        delete_marker: is_delete_marker.then_some(true),
        delete_marker_version_id: deletion.version_id.filter(|_| is_delete_marker),
    }
}

fn delete_error(object: ObjectIdentifier, error: &S3Error) -> s3s::dto::Error {
    s3s::dto::Error {
        key: Some(object.key),
        version_id: object.version_id,
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
    }
}

fn check_sha256(stated: Option<&str>, body: &[u8]) -> S3Result<()> {
    if stated.is_some_and(|stated| stated != sha256(body)) {
        return Err(s3_error!(
            BadDigest,
            "The SHA256 you specified did not match the calculated checksum."
        ));
    }
    Ok(())
}

fn header_text(value: Option<&HeaderValue>) -> Option<String> {
    value?.to_str().map(str::to_owned).ok()
}

/// The headers that describe how an object is encrypted.
fn encryption(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(ENCRYPTION))
        .filter_map(|(name, value)| Some((name.to_string(), header_text(Some(value))?)))
        .collect()
}

/// The object to read, or the error (S3 user guide, "Working with delete markers").
fn find<'a>(
    bucket: &'a Bucket,
    key: &str,
    version_id: Option<&str>,
) -> S3Result<&'a StoredVersion> {
    let found = match version_id {
        None => bucket.latest(key).ok_or_else(precondition::no_such_key)?,
        Some(version_id) => bucket
            .version(key, version_id)
            .ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?,
    };
    if !found.is_delete_marker() {
        return Ok(found);
    }
    let mut error = match version_id {
        None => precondition::no_such_key(),
        Some(_) => s3_error!(
            MethodNotAllowed,
            "The specified method is not allowed against this resource."
        ),
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("x-amz-delete-marker"),
        HeaderValue::from_static("true"),
    );
    if let Ok(version_id) = HeaderValue::from_str(&found.version_id()) {
        headers.insert(HeaderName::from_static("x-amz-version-id"), version_id);
    }
    error.set_headers(headers);
    Err(error)
}

/// The headers of a read, without the user's metadata.
fn headers(bucket: &Bucket, found: &StoredVersion) -> HeaderMap {
    let object = found.object();
    let mut modified = Vec::new();
    let modified = Timestamp::from(found.modified())
        .format(TimestampFormat::HttpDate, &mut modified)
        .map(|()| modified);
    let lines = [
        ("accept-ranges", Some("bytes".to_owned())),
        ("cache-control", object.cache_control),
        ("content-disposition", object.content_disposition),
        ("content-encoding", object.content_encoding),
        ("content-language", object.content_language),
        ("content-length", Some(object.size_bytes.to_string())),
        ("content-type", object.content_type),
        ("etag", Some(object.etag)),
        ("expires", object.expires),
        (
            "last-modified",
            modified
                .ok()
                .and_then(|modified| String::from_utf8(modified).ok()),
        ),
        // S3 API reference, GetObject: "for all objects except for S3 Standard storage class
        // objects".
        (
            "x-amz-storage-class",
            object.storage_class.filter(|class| class != "STANDARD"),
        ),
        (
            "x-amz-version-id",
            (bucket.versioning != Versioning::Off).then(|| found.version_id()),
        ),
    ];
    let lines = lines
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let parsed = lines.chain(object.encryption).filter_map(|(name, value)| {
        Some((
            HeaderName::try_from(name).ok()?,
            HeaderValue::from_str(&value).ok()?,
        ))
    });
    parsed.collect()
}

fn sha256(body: &[u8]) -> String {
    BASE64.encode(Sha256::digest(body))
}

/// The body, then zero bytes up to the declared size.
fn content(object: object::Object) -> StreamingBlob {
    const ZEROS: &[u8] = &[0; 64 << 10];
    let missing_bytes = object.size_bytes.saturating_sub(object.body.len() as u64);
    if missing_bytes == 0 {
        return StreamingBlob::from(s3s::Body::from(object.body));
    }
    let zeros = stream::unfold(missing_bytes, |left_bytes| async move {
        let length = usize::try_from(left_bytes)
            .unwrap_or(usize::MAX)
            .min(ZEROS.len());
        (length > 0).then(|| {
            (
                Ok(Bytes::from_static(&ZEROS[..length])),
                left_bytes - length as u64,
            )
        })
    });
    let body = stream::once(std::future::ready(Ok::<_, std::io::Error>(object.body)));
    StreamingBlob::wrap(futures::StreamExt::chain(body, zeros))
}

/// S3 user guide, "Checking object integrity": `aws-chunked` describes how the request was sent,
/// not what is stored.
fn without_aws_chunked(encoding: &str) -> Option<String> {
    let stored: Vec<_> = encoding
        .split(',')
        .map(str::trim)
        .filter(|coding| *coding != "aws-chunked")
        .collect();
    (!stored.is_empty()).then(|| stored.join(","))
}

/// S3 API reference, `DeleteObjects`: the request must have a checksum.
fn has_checksum(headers: &HeaderMap) -> bool {
    let names = ["content-md5", "x-amz-checksum-", "x-amz-trailer"];
    headers
        .keys()
        .any(|header| names.iter().any(|name| header.as_str().starts_with(name)))
}

/// To ignore an unsupported parameter would be a wrong answer.
fn refuse_unsupported(headers: &HeaderMap, uri: &Uri) -> S3Result<()> {
    let conditions = ["range", "if-modified-since", "if-unmodified-since"];
    let has_part = uri
        .query()
        .is_some_and(|query| query.contains("partNumber="));
    if has_part || conditions.iter().any(|name| headers.contains_key(*name)) {
        return Err(s3_error!(
            NotImplemented,
            "ranges, parts and conditions on time are not implemented"
        ));
    }
    Ok(())
}

/// S3 API reference, `DeleteObject`: conditions on time and size are for directory buckets.
fn unsupported_delete() -> S3Error {
    s3_error!(
        NotImplemented,
        "A header you provided implies functionality that is not implemented"
    )
}
