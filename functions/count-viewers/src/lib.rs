//! Counts concurrent viewers per stream and minute, from access logs as they arrive.
//!
//! The viewers of a log are merged into the stored viewers of its minutes. A merge is a union of
//! sets. So a log may arrive twice, late, in parallel with others, or first truncated and then
//! complete: the end state is the same.
//!
//! The data points of a minute are computed from its stored viewers and can only grow. If several
//! runs report a minute, the greatest value is the right one.

mod minutes;
mod report;
mod settings;

pub use settings::Settings;

use minutes::{MinuteStore, MinuteWriter};
use onair_aws::s3::S3;
use onair_core::count_viewers::audience::Audience;
use onair_core::count_viewers::event::{CountRequest, LogSource, decode};
use onair_core::count_viewers::log::{Limits, LineCounts, LogError, LogReader};
use onair_core::event::Event;
use onair_lambda::{Error, Failure, Invocation, Report};
use report::LogSummary;
use std::time::Duration;
use tokio::time::Instant;

/// The most time that one attempt to write a minute takes, report included.
const WRITE_MARGIN: Duration = Duration::from_secs(5);
/// A log of CloudFront has at most 50 MB. A log of a load balancer covers five minutes, and other
/// logs usually cover at most one day. All minutes of a log are in memory at once.
const LIMITS: Limits = Limits {
    unpacked_bytes: 4 << 30,
    minutes: 1500,
};

/// Counts one log per event.
#[derive(Debug)]
pub struct Handler {
    settings: Settings,
    s3: S3,
}

struct LogContent {
    name: String,
    audience: Audience,
    line_counts: LineCounts,
    /// The reason for which the rest of the log could not be read.
    error: Option<LogError>,
}

impl Handler {
    pub fn new(settings: Settings, s3: S3) -> Self {
        Self { settings, s3 }
    }

    /// Counts the log of one event.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a retry or a person is needed. The readable part of a damaged log is counted
    /// nevertheless.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let Invocation { event, deadline } = invocation;
        let out_of_time =
            || Error::Incomplete("counting ran out of time; a retry counts the rest".to_owned());
        let counting = self.count(&event, deadline.last_start(WRITE_MARGIN));
        deadline.run(counting).await.ok_or_else(out_of_time)?
    }

    async fn count(&self, event: &Event, last_write: Instant) -> Result<Report, Failure> {
        let CountRequest { source, dry_run } = decode(event)?;
        let content = match source {
            LogSource::Ignored { why } => return Ok(Report::ignored(why)),
            LogSource::Object { bucket, key } if !self.is_log(&bucket, &key) => {
                let why = format!("s3://{bucket}/{key} is not an access log");
                return Ok(Report::ignored(why));
            }
            LogSource::Object { bucket, key } => self.read_object(&bucket, &key).await?,
            LogSource::Lines(lines) => self.read_lines(&lines),
        };
        let writer = (!dry_run && !self.settings.dry_run).then_some(MinuteWriter {
            s3: &self.s3,
            last_write,
        });
        self.store(content, writer).await
    }

    async fn store(
        &self,
        content: LogContent,
        writer: Option<MinuteWriter<'_>>,
    ) -> Result<Report, Failure> {
        let LogContent {
            name,
            audience,
            line_counts,
            error,
        } = content;
        if let Some(error @ LogError::TooManyMinutes(_)) = error {
            let help = "count it with `onair viewers`";
            return Err(Error::BadEvent(format!("{name}: {error}; {help}")).into());
        }
        let store = MinuteStore {
            settings: &self.settings,
            s3: &self.s3,
            writer,
        };
        let update = store.add(audience).await?;
        let rules = &self.settings.rules;
        let summary = LogSummary {
            name,
            line_counts,
            update,
            rules,
        };
        match error
            .map(|error| error.to_string())
            .or_else(|| summary.suspicion())
        {
            None => Ok(summary.report()),
            Some(error) => Err(summary.failure(&error)),
        }
    }

    /// Recognises other objects in a bucket of logs: folder markers, stored minutes, and the test
    /// file of a load balancer (Elastic Load Balancing, "Enable access logs").
    fn is_log(&self, bucket: &str, key: &str) -> bool {
        let is_stored_minute = bucket == self.settings.state_bucket && key.starts_with("viewers/");
        !(is_stored_minute || key.ends_with('/') || key.ends_with("ELBAccessLogTestFile"))
    }

    async fn read_object(&self, bucket: &str, key: &str) -> Result<LogContent, Error> {
        let name = format!("s3://{bucket}/{key}");
        let mut audience = Audience::default();
        let mut log = LogReader::new(&self.settings.rules, &mut audience, LIMITS);
        let mut error = None;
        let read = self.s3.chunks(bucket, key, |chunk| {
            error = log.push(chunk).err();
            error.is_none()
        });
        if !read.await? {
            return Err(Error::BadEvent(format!(
                "{name} does not exist: it was deleted before it was read"
            )));
        }
        let (line_counts, end_error) = log.end();
        Ok(LogContent {
            name,
            audience,
            line_counts,
            error: error.or(end_error),
        })
    }

    fn read_lines(&self, lines: &[u8]) -> LogContent {
        let mut audience = Audience::default();
        let mut log = LogReader::new(&self.settings.rules, &mut audience, LIMITS);
        let error = log.push(lines).err();
        let (line_counts, end_error) = log.end();
        LogContent {
            name: "a batch of CloudWatch Logs".to_owned(),
            audience,
            line_counts,
            error: error.or(end_error),
        }
    }
}
