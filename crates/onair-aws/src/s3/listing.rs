//! What lies in a folder, page by page.

use super::{DeleteError, FailedRequest, S3, uri};
use aws_sdk_s3::types::CommonPrefix;
use futures::{Stream, stream};
use tokio::time::Instant;

/// A folder in a bucket, and which of its contents are meant.
#[derive(Debug, Clone)]
pub struct Folder {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) contents: Contents,
}

/// What a folder is taken to contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// The objects that a viewer can get.
    Current,
    /// Every version of every object, and every delete marker.
    Versions,
}

impl Folder {
    /// The folder at `prefix`, which gets a slash at its end if it has none: a prefix without one
    /// would also mean the neighbours whose names start alike.
    pub fn new(bucket: &str, prefix: &str, contents: Contents) -> Self {
        let prefix = format!("{}/", prefix.strip_suffix('/').unwrap_or(prefix));
        Self {
            bucket: bucket.to_owned(),
            prefix,
            contents,
        }
    }
}

/// One page of a listing.
#[derive(Default)]
pub(super) struct Page {
    pub(super) objects: Vec<ListedObject>,
    pub(super) folders: Vec<String>,
}

pub(super) struct ListedObject {
    pub(super) key: String,
    pub(super) version: Option<String>,
    pub(super) size_bytes: u64,
    /// A plain read finds it.
    pub(super) is_current: bool,
}

impl ListedObject {
    fn new(
        key: Option<String>,
        version: Option<String>,
        size_bytes: Option<i64>,
        is_current: bool,
    ) -> Option<Self> {
        let size_bytes = size_bytes
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or_default();
        Some(Self {
            key: key?,
            version,
            size_bytes,
            is_current,
        })
    }
}

/// Where the next page starts.
enum Cursor {
    Start,
    After {
        token: Option<String>,
        version: Option<String>,
    },
    End,
}

impl S3 {
    /// The folder's listing, each page asked for when the one before is taken. `delimiter` keeps it
    /// to the folder itself.
    pub(super) fn pages<'a>(
        &'a self,
        folder: &'a Folder,
        delimiter: Option<&'a str>,
        stop: Instant,
    ) -> impl Stream<Item = Result<Page, DeleteError>> + 'a {
        stream::try_unfold(Cursor::Start, move |cursor| async move {
            let (token, version) = match cursor {
                Cursor::End => return Ok(None),
                Cursor::Start => (None, None),
                Cursor::After { token, version } => (token, version),
            };
            loop {
                if Instant::now() >= stop {
                    return Err(DeleteError::OutOfTime);
                }
                let (token, version) = (token.clone(), version.clone());
                let page = match folder.contents {
                    Contents::Current => self.objects(folder, delimiter, token).await,
                    Contents::Versions => self.versions(folder, delimiter, token, version).await,
                };
                match page {
                    Ok(page) => return Ok(Some(page)),
                    // The SDK has given up; there is time left, and going slower is what S3 asks
                    // for.
                    Err(FailedRequest {
                        is_slow_down: true, ..
                    }) => self.rate_limiter.acquire().await,
                    Err(FailedRequest { error, .. }) => return Err(DeleteError::Failed(error)),
                }
            }
        })
    }

    async fn objects(
        &self,
        folder: &Folder,
        delimiter: Option<&str>,
        token: Option<String>,
    ) -> Result<(Page, Cursor), FailedRequest> {
        let Folder { bucket, prefix, .. } = folder;
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let request = request
            .set_delimiter(delimiter.map(str::to_owned))
            .set_continuation_token(token);
        let answer = request
            .send()
            .await
            .map_err(|e| FailedRequest::new("ListObjectsV2", uri(bucket, prefix), e))?;
        let objects = answer.contents.unwrap_or_default().into_iter();
        let page = Page {
            objects: objects
                .filter_map(|object| ListedObject::new(object.key, None, object.size, true))
                .collect(),
            folders: folders(answer.common_prefixes),
        };
        let next = answer.next_continuation_token;
        Ok((
            page,
            next.map_or(Cursor::End, |token| Cursor::After {
                token: Some(token),
                version: None,
            }),
        ))
    }

    async fn versions(
        &self,
        folder: &Folder,
        delimiter: Option<&str>,
        key_marker: Option<String>,
        version_id_marker: Option<String>,
    ) -> Result<(Page, Cursor), FailedRequest> {
        let Folder { bucket, prefix, .. } = folder;
        let request = self
            .client
            .list_object_versions()
            .bucket(bucket)
            .prefix(prefix);
        let request = request
            .set_delimiter(delimiter.map(str::to_owned))
            .set_key_marker(key_marker)
            .set_version_id_marker(version_id_marker);
        let answer = request
            .send()
            .await
            .map_err(|e| FailedRequest::new("ListObjectVersions", uri(bucket, prefix), e))?;
        let versions = answer.versions.unwrap_or_default().into_iter();
        let versions = versions.filter_map(|v| {
            ListedObject::new(v.key, v.version_id, v.size, v.is_latest == Some(true))
        });
        let markers = answer.delete_markers.unwrap_or_default().into_iter();
        let markers = markers
            .filter_map(|marker| ListedObject::new(marker.key, marker.version_id, None, false));
        let page = Page {
            objects: versions.chain(markers).collect(),
            folders: folders(answer.common_prefixes),
        };
        let more = answer.is_truncated == Some(true);
        let (token, version) = (answer.next_key_marker, answer.next_version_id_marker);
        Ok((
            page,
            if more {
                Cursor::After { token, version }
            } else {
                Cursor::End
            },
        ))
    }
}

fn folders(prefixes: Option<Vec<CommonPrefix>>) -> Vec<String> {
    prefixes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|common| common.prefix)
        .collect()
}
