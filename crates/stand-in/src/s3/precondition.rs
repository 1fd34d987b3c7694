//! `If-Match` and `If-None-Match` (S3 user guide, "Add preconditions to S3 operations with
//! conditional requests").

use s3s::dto::ETagCondition;
use s3s::{S3Error, S3Result, s3_error};

use super::bucket::StoredVersion;

/// The precondition of a read of `found`: 412 or 304.
pub(super) fn read(
    found: &StoredVersion,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    if if_match.is_some_and(|condition| !is_met(condition, found)) {
        return Err(failed());
    }
    if if_none_match.is_some_and(|condition| is_met(condition, found)) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

/// The precondition of a put over `current`: 412, or 404 where `If-Match` finds no object.
pub(super) fn put(
    current: Option<&StoredVersion>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    if let Some(condition) = if_match {
        let current = current.ok_or_else(no_such_key)?;
        if !is_met(condition, current) {
            return Err(failed());
        }
    }
    match if_none_match {
        None => Ok(()),
        Some(ETagCondition::Any) if current.is_some() => Err(failed()),
        Some(ETagCondition::Any) => Ok(()),
        // S3 API reference, PutObject, If-None-Match: "Expects the '*' (asterisk) character."
        Some(ETagCondition::ETag(_)) => Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        )),
    }
}

/// The precondition of a delete, which looks only at the current version. 412 on a delete marker,
/// 404 without an object (S3 user guide, "How to perform conditional deletes").
pub(super) fn delete(
    latest: Option<&StoredVersion>,
    condition: Option<&ETagCondition>,
) -> S3Result<()> {
    let Some(condition) = condition else {
        return Ok(());
    };
    let latest = latest.ok_or_else(no_such_key)?;
    if latest.is_delete_marker() || !is_met(condition, latest) {
        return Err(failed());
    }
    Ok(())
}

pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

fn failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

fn is_met(condition: &ETagCondition, found: &StoredVersion) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => found.etag().trim_matches('"') == etag.value(),
    }
}
