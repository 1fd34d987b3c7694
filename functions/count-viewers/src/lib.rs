//! Counts concurrent viewers per stream and minute, from access logs as they arrive.
//!
//! A log's viewers are added to what is kept of its minutes. Adding is a union of sets: the same
//! log twice, logs in any order, several at once or one cut off and sent again end the same. The
//! figures follow from what is kept, and only grow, so the greatest that was reported of a minute
//! is the one that counts.

mod minutes;
mod report;
mod settings;

pub use settings::Settings;

use minutes::MinuteStore;
use onair_aws::s3::S3;
use onair_core::count_viewers::audience::Audience;
use onair_core::count_viewers::event::{LogSource, decode};
use onair_core::count_viewers::log::{Limits, LineCounts, LogError, LogReader};
use onair_lambda::{Error, Failure, Invocation, Report};
use report::LogSummary;
use std::time::Duration;
use tokio::time::Instant;

/// An attempt to add to a minute takes less.
const LAST_ATTEMPT: Duration = Duration::from_secs(5);
/// CloudFront's logs have at most 50 MB, a load balancer's are of five minutes, others as a rule of
/// a day at most. All of a log's minutes are in memory at once.
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

/// What was read of one log.
struct LogContent {
    name: String,
    audience: Audience,
    line_counts: LineCounts,
    /// It could not be read to its end.
    trouble: Option<LogError>,
}

impl Handler {
    /// A handler with these settings.
    pub fn new(settings: Settings, s3: S3) -> Self {
        Self { settings, s3 }
    }

    /// Deals with one event.
    ///
    /// # Errors
    ///
    /// Where a retry or a person is needed. What could be read of a damaged log is counted all the
    /// same.
    pub async fn handle(&self, invocation: Invocation) -> Result<Report, Failure> {
        let Invocation { event, deadline } = invocation;
        let late =
            || Error::Incomplete("the time is nearly up; a retry adds what is missing".to_owned());
        let counting = self.count(&event, deadline.last_start(LAST_ATTEMPT));
        deadline.run(counting).await.ok_or_else(late)?
    }

    async fn count(&self, event: &serde_json::Value, stop: Instant) -> Result<Report, Failure> {
        let arrival = decode(event).map_err(|error| Error::BadEvent(error.to_string()))?;
        let (logged, dry_run) = match arrival {
            LogSource::Ignored { why } => return Ok(Report::ignored(why)),
            LogSource::Object { bucket, key, .. } if self.is_no_log(&bucket, &key) => {
                return Ok(Report::ignored("the object is no access log"));
            }
            LogSource::Object {
                bucket,
                key,
                dry_run,
            } => (self.read(&bucket, &key).await?, dry_run),
            LogSource::Lines(lines) => (self.lines(&lines), false),
        };
        let LogContent {
            name,
            audience,
            line_counts,
            trouble,
        } = logged;
        if let Some(trouble @ LogError::TooManyMinutes(_)) = trouble {
            let help = "count it by `viewers`, if it is a log";
            return Err(Error::BadEvent(format!("{name}: {trouble}; {help}")).into());
        }
        let dry_run = dry_run || self.settings.dry_run;
        let minutes = MinuteStore {
            settings: &self.settings,
            s3: &self.s3,
            dry_run,
            stop,
        };
        let added = minutes.add(audience).await?;
        let summary = LogSummary {
            name,
            line_counts,
            added,
            dry_run,
        };
        let trouble = trouble.map(|trouble| trouble.to_string());
        match trouble.or_else(|| summary.makes_no_sense(&self.settings.rules)) {
            None => Ok(summary.report(&self.settings.rules)),
            Some(trouble) => Err(summary.failure(&trouble, &self.settings.rules)),
        }
    }

    /// What lies beside logs: a folder's name, a load balancer's proof that it may write
    /// (Elastic Load Balancing, "Enable access logs"), and what is kept here.
    fn is_no_log(&self, bucket: &str, key: &str) -> bool {
        let is_ours = bucket == self.settings.state_bucket && key.starts_with("viewers/");
        is_ours || key.ends_with('/') || key.ends_with("ELBAccessLogTestFile")
    }

    async fn read(&self, bucket: &str, key: &str) -> Result<LogContent, Error> {
        let mut audience = Audience::default();
        let mut log = LogReader::new(&self.settings.rules, &mut audience, LIMITS);
        let mut trouble = None;
        let read = self.s3.chunks(bucket, key, |piece| {
            trouble = log.push(piece).err();
            trouble.is_none()
        });
        let name = format!("s3://{bucket}/{key}");
        if !read.await? {
            return Err(Error::BadEvent(format!(
                "{name} is not there: it was deleted meanwhile"
            )));
        }
        let (line_counts, ended) = log.end();
        Ok(LogContent {
            name,
            audience,
            line_counts,
            trouble: trouble.or(ended),
        })
    }

    fn lines(&self, lines: &[u8]) -> LogContent {
        let mut audience = Audience::default();
        let mut log = LogReader::new(&self.settings.rules, &mut audience, LIMITS);
        let trouble = log.push(lines).err();
        let (line_counts, ended) = log.end();
        let name = "a batch of CloudWatch Logs".to_owned();
        LogContent {
            name,
            audience,
            line_counts,
            trouble: trouble.or(ended),
        }
    }
}
