//! Shows one line for each rendition on a terminal, below the log.

use crate::settings::LogOutput;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use onair_core::publish_live::publisher::{LivePublisher, RenditionStatus};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// The terminal on standard error. Shows nothing if standard error is not a terminal, or if the log
/// is JSON.
#[derive(Debug)]
pub struct Terminal {
    lines: MultiProgress,
    renditions: BTreeMap<String, ProgressBar>,
}

impl Terminal {
    pub(crate) fn new(log: LogOutput) -> Self {
        let lines = match log {
            LogOutput::Text => MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            LogOutput::Json => MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
        };
        Self {
            lines,
            renditions: BTreeMap::new(),
        }
    }

    /// A writer for the log, above the lines of the renditions.
    pub(crate) fn writer(&self) -> impl Fn() -> TerminalWriter + Send + Sync + use<> {
        let lines = self.lines.clone();
        move || TerminalWriter(lines.clone())
    }

    /// Shows the present state of each rendition.
    pub(crate) fn show(&mut self, publisher: &LivePublisher, now: Duration) {
        if self.lines.is_hidden() {
            return;
        }
        let known: BTreeMap<&str, RenditionStatus> = publisher.renditions().collect();
        self.renditions.retain(|name, line| {
            let is_known = known.contains_key(name.as_str());
            if !is_known {
                line.finish_and_clear();
            }
            is_known
        });
        for (name, status) in known {
            let line = self.renditions.entry(name.to_owned()).or_insert_with(|| {
                let line = self.lines.add(ProgressBar::no_length());
                match ProgressStyle::with_template("{wide_msg}") {
                    Ok(style) => line.with_style(style),
                    Err(_) => line,
                }
            });
            line.set_message(format!("{name}  {}", describe(&status, now)));
        }
    }

    /// Removes the lines of the renditions.
    pub(crate) fn clear(&self) {
        // The terminal may be closed.
        let _ = self.lines.clear();
    }
}

fn describe(status: &RenditionStatus, now: Duration) -> String {
    let newest = status.newest.as_deref().unwrap_or("nothing yet");
    let lag = status
        .lag
        .map(|lag| format!(", {} ms after it was closed", lag.as_millis()));
    let queue = match (status.to_upload, status.waits_since) {
        (0, None) if status.has_ended => ", ended".to_owned(),
        (_, None) => String::new(),
        (files, Some(since)) => {
            let seconds = now.saturating_sub(since).as_secs();
            let cause = status
                .cause
                .as_ref()
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            format!("; {files} files to upload, behind for {seconds} s{cause}")
        }
    };
    format!("{newest}{}{queue}", lag.unwrap_or_default())
}

/// Writes to standard error, above the lines of the renditions.
#[derive(Debug)]
pub(crate) struct TerminalWriter(MultiProgress);

impl Write for TerminalWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A reader that closes the log does not end the stream.
        let _ = self.0.suspend(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::too_many_lines, reason = "a test may be longer")]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_viewers_see_and_what_is_left() {
        let at = RenditionStatus {
            newest: Some("12.mwql1xyw.ts".to_owned()),
            lag: Some(Duration::from_millis(61)),
            waits_since: None,
            to_upload: 0,
            cause: None,
            has_ended: false,
        };
        let now = Duration::from_secs(60);
        assert_eq!(
            describe(&at, now),
            "12.mwql1xyw.ts, 61 ms after it was closed"
        );
        let ended = RenditionStatus {
            has_ended: true,
            lag: None,
            ..at.clone()
        };
        assert_eq!(describe(&ended, now), "12.mwql1xyw.ts, ended");
        let behind = RenditionStatus {
            newest: None,
            lag: None,
            waits_since: Some(Duration::from_secs(48)),
            to_upload: 3,
            cause: Some("S3 does not answer".to_owned()),
            ..at
        };
        assert_eq!(
            describe(&behind, now),
            "nothing yet; 3 files to upload, behind for 12 s: S3 does not answer"
        );
    }
}
