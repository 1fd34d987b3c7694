//! A playlist as it lies in the bucket.

use std::time::Duration;

/// What is known of it, and what is under way.
#[derive(Debug, Default)]
pub(super) struct PublishedPlaylist {
    /// Whether it is known what an earlier process has put there.
    pub(super) recalled: ReadBack,
    /// What viewers see.
    pub(super) visible: Option<String>,
    /// How old that was when it was recalled.
    pub(super) age: Duration,
    pub(super) busy: bool,
    pub(super) not_before: Duration,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadBack {
    #[default]
    Due,
    Busy,
    Done,
}

impl PublishedPlaylist {
    /// Whether it may be put now.
    pub(super) fn is_free(&self, now: Duration) -> bool {
        self.recalled == ReadBack::Done && !self.busy && now >= self.not_before
    }

    pub(super) fn has(&self, text: &str) -> bool {
        self.visible.as_deref() == Some(text)
    }
}
