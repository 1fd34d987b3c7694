//! A playlist as it is in S3.

use super::job::{RetryLater, StoredText};
use super::media_playlist::MediaPlaylist;
use std::time::Duration;

/// A playlist in S3, as far as it is known, and the request for it that is in flight.
#[derive(Debug, Default)]
pub(super) struct PublishedPlaylist {
    read_back: ReadBack,
    /// The text that viewers see. Empty after the stream ended: only the existence is remembered.
    visible: Option<String>,
    age_when_read: Duration,
    is_write_in_flight: bool,
    not_before: Duration,
}

/// Whether the text that an earlier process published has been read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ReadBack {
    #[default]
    Due,
    InFlight,
    Done,
}

impl PublishedPlaylist {
    pub(super) fn is_read_due(&self, now: Duration) -> bool {
        self.read_back == ReadBack::Due && now >= self.not_before
    }

    pub(super) fn begin_read(&mut self) {
        self.read_back = ReadBack::InFlight;
    }

    /// Records the result of the read. A failed read is due again after its pause.
    pub(super) fn end_read(
        &mut self,
        result: Result<Option<StoredText>, RetryLater>,
        now: Duration,
    ) -> Result<(), String> {
        match result {
            Ok(stored) => {
                if let Some(stored) = stored {
                    self.visible = Some(stored.text);
                    self.age_when_read = stored.age;
                }
                self.read_back = ReadBack::Done;
                Ok(())
            }
            Err(failed) => {
                self.read_back = ReadBack::Due;
                self.not_before = now.saturating_add(failed.pause);
                Err(failed.cause)
            }
        }
    }

    pub(super) fn is_read(&self) -> bool {
        self.read_back == ReadBack::Done
    }

    pub(super) fn is_writable(&self, now: Duration) -> bool {
        self.is_read() && !self.is_write_in_flight && now >= self.not_before
    }

    pub(super) fn begin_write(&mut self) {
        self.is_write_in_flight = true;
    }

    /// Records the result of writing this text.
    pub(super) fn end_write(
        &mut self,
        text: String,
        result: Result<(), RetryLater>,
        now: Duration,
    ) -> Result<(), String> {
        self.is_write_in_flight = false;
        match result {
            Ok(()) => {
                self.visible = Some(text);
                Ok(())
            }
            Err(failed) => {
                self.not_before = now.saturating_add(failed.pause);
                Err(failed.cause)
            }
        }
    }

    pub(super) fn is_write_in_flight(&self) -> bool {
        self.is_write_in_flight
    }

    pub(super) fn is_visible(&self) -> bool {
        self.visible.is_some()
    }

    pub(super) fn shows(&self, text: &str) -> bool {
        self.visible.as_deref() == Some(text)
    }

    /// The media playlist that viewers see. Anything else under this name will be overwritten.
    pub(super) fn media_playlist(&self) -> Option<MediaPlaylist> {
        MediaPlaylist::parse(self.visible.as_deref()?).ok()
    }

    pub(super) fn age_when_read(&self) -> Duration {
        self.age_when_read
    }

    /// Frees the memory of a text that is not compared with anything any more.
    pub(super) fn forget_text(&mut self) {
        if let Some(text) = &mut self.visible {
            *text = String::new();
        }
    }
}
