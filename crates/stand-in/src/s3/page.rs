//! One page of a listing, for all three list operations.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use super::bucket::{Bucket, StoredVersion};

/// Where a page begins and which names it may contain.
pub(super) struct PageBounds<'a> {
    pub(super) prefix: &'a str,
    /// Not empty, if it is set.
    pub(super) delimiter: Option<&'a str>,
    /// The last key, or common prefix, of the previous page.
    pub(super) after: Option<&'a str>,
    /// The last version of the previous page. Its key is `after`.
    pub(super) after_version: Option<&'a str>,
    pub(super) max: usize,
    pub(super) versions: Versions,
}

/// Which versions of a key are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// The current one, unless it is a delete marker.
    Current,
    /// All versions, the newest first.
    All,
}

pub(super) enum Entry<'a> {
    Version {
        key: &'a str,
        stored: &'a StoredVersion,
        is_latest: bool,
    },
    CommonPrefix(&'a str),
}

#[derive(Default)]
pub(super) struct Page<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) is_truncated: bool,
}

impl<'a> PageBounds<'a> {
    /// Reads the page from the bucket: one seek in the order of keys, and one more for every common
    /// prefix.
    pub(super) fn page(&self, bucket: &'a Bucket) -> Page<'a> {
        let mut page = Page::default();
        let Some(mut from) = self.start().filter(|_| self.max > 0) else {
            return page;
        };
        'seek: loop {
            for (key, versions) in bucket
                .keys
                .range::<str, _>((from.as_ref().map(String::as_str), Unbounded))
            {
                if !key.starts_with(self.prefix) {
                    return page;
                }
                let common_prefix = self.common_prefix(key);
                for (stored, is_latest) in self.listed(key, versions) {
                    if page.entries.len() == self.max {
                        page.is_truncated = true;
                        return page;
                    }
                    let Some(common_prefix) = common_prefix else {
                        page.entries.push(Entry::Version {
                            key,
                            stored,
                            is_latest,
                        });
                        continue;
                    };
                    page.entries.push(Entry::CommonPrefix(common_prefix));
                    match successor(common_prefix) {
                        Some(next) => from = Included(next),
                        None => return page,
                    }
                    continue 'seek;
                }
            }
            return page;
        }
    }

    /// Where the page begins, or `None` if nothing can follow.
    fn start(&self) -> Option<Bound<String>> {
        Some(match self.after {
            Some(after) if after >= self.prefix => {
                if self.common_prefix(after) == Some(after) {
                    Included(successor(after)?)
                } else if self.after_version.is_some() {
                    Included(after.to_owned())
                } else {
                    Excluded(after.to_owned())
                }
            }
            _ => Included(self.prefix.to_owned()),
        })
    }

    /// The key up to and including the first delimiter after the prefix.
    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter?;
        let at = key.strip_prefix(self.prefix)?.find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }

    fn listed(
        &self,
        key: &str,
        versions: &'a [StoredVersion],
    ) -> impl Iterator<Item = (&'a StoredVersion, bool)> {
        let before = self
            .after_version
            .filter(|_| self.after == Some(key))
            .map(|id| sequence(versions, id));
        let latest = versions.last().map(|stored| stored.sequence);
        let is_current = self.versions == Versions::Current;
        versions
            .iter()
            .rev()
            .take(if is_current { 1 } else { usize::MAX })
            .filter(move |stored| !(is_current && stored.is_delete_marker()))
            .filter(move |stored| before.is_none_or(|before| stored.sequence < before))
            .map(move |stored| (stored, Some(stored.sequence) == latest))
    }
}

impl<'a> Page<'a> {
    /// Keys and versions, and whether each is the latest of its key.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&'a str, &'a StoredVersion, bool)> {
        self.entries.iter().filter_map(|entry| match *entry {
            Entry::Version {
                key,
                stored,
                is_latest,
            } => Some((key, stored, is_latest)),
            Entry::CommonPrefix(_) => None,
        })
    }

    pub(super) fn common_prefixes(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter_map(|entry| match *entry {
            Entry::CommonPrefix(prefix) => Some(prefix),
            Entry::Version { .. } => None,
        })
    }

    /// The name and version after which the next page begins, if there is one.
    pub(super) fn next(&self) -> Option<(&'a str, Option<&'a StoredVersion>)> {
        self.entries
            .last()
            .filter(|_| self.is_truncated)
            .map(|last| match *last {
                Entry::Version { key, stored, .. } => (key, Some(stored)),
                Entry::CommonPrefix(prefix) => (prefix, None),
            })
    }
}

/// The position of a version among those of its key, even if it was deleted after it was listed.
/// Deleting page by page must not end the listing. The position of a deleted null version is
/// unknown, so its key starts again.
fn sequence(versions: &[StoredVersion], version_id: &str) -> u64 {
    match versions
        .iter()
        .find(|stored| stored.version_id() == version_id)
    {
        Some(stored) => stored.sequence,
        None => u64::from_str_radix(version_id, 16).unwrap_or(u64::MAX),
    }
}

/// The least string greater than every string that begins with `prefix`, if one exists. The order
/// of characters is the order of their UTF-8 bytes.
fn successor(prefix: &str) -> Option<String> {
    let mut rest = prefix.to_owned();
    while let Some(last) = rest.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            rest.push(next);
            return Some(rest);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_follows_everything_that_begins_with_the_prefix() {
        assert_eq!(successor("a/").as_deref(), Some("a0"));
        assert_eq!(successor("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(successor("a\u{10ffff}\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10ffff}"), None);
        assert_eq!(successor(""), None);
    }
}
