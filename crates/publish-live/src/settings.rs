use clap::builder::BoolishValueParser;
use clap::{Parser, ValueEnum};
use onair_core::publish_live::job::OnLost;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Puts a live stream from a transcoder's disk into S3: every segment when it is closed, every playlist when all that it
/// names is there.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    /// The folder into which the transcoder writes
    #[arg(env = "DIR")]
    dir: PathBuf,
    #[arg(env = "TARGET", value_parser = target, help = "Where to: s3://BUCKET or s3://BUCKET/PREFIX")]
    target: Target,
    /// How long a segment stays that no playlist names any more, unless everything is kept
    #[arg(long, env = "KEEP_WINDOW", value_name = "SECONDS", default_value_t = 300)]
    keep_window: u64,
    /// Keep everything, and beside each playlist one of all that was: index.vod.m3u8 of index.m3u8
    #[arg(long, env = "KEEP", value_parser = BoolishValueParser::new())]
    keep: bool,
    /// What becomes of a segment that cannot be published
    #[arg(long, env = "ON_LOST", value_enum, default_value_t = Lost::Gap)]
    on_lost: Lost,
    /// How often figures are reported
    #[arg(long, env = "REPORT_EVERY", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    report_every: u64,
    /// How to log
    #[arg(long, env = "LOG", value_enum, default_value_t = Log::Text)]
    pub log: Log,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lost {
    /// Players are told that it is not there (EXT-X-GAP)
    Gap,
    /// The playlist waits until the transcoder names it no more
    Hold,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Log {
    /// Lines for people
    Text,
    /// A JSON object a line
    Json,
}

/// Where to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    /// Empty, or with a slash at its end.
    pub(crate) prefix: String,
}

impl Display for Target {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// What the user decided.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) dir: PathBuf,
    pub(crate) target: Target,
    pub(crate) keep: Option<Duration>,
    pub(crate) on_lost: OnLost,
    pub(crate) log: Log,
    pub(crate) report_every: Duration,
    /// Who publishes: this folder of this machine.
    pub(crate) publisher: String,
}

impl From<Arguments> for Settings {
    fn from(arguments: Arguments) -> Self {
        // One that is not there is said not to be there by who watches it.
        let dir = arguments.dir.canonicalize().unwrap_or(arguments.dir);
        Self {
            publisher: publisher(&dir),
            log: arguments.log,
            report_every: Duration::from_secs(arguments.report_every),
            dir,
            target: arguments.target,
            keep: (!arguments.keep).then(|| Duration::from_secs(arguments.keep_window)),
            on_lost: match arguments.on_lost {
                Lost::Gap => OnLost::Gap,
                Lost::Hold => OnLost::Hold,
            },
        }
    }
}

/// The same for each process that publishes this folder from this machine, and for no other. Machines that are copies of
/// one image may have one ID, so their name is in it, too.
fn publisher(dir: &Path) -> String {
    let line = |path| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let (host, id) = (line("/proc/sys/kernel/hostname"), line("/etc/machine-id"));
    // Viewers may see it, and the ID is nobody's business (machine-id(5)): its beginning tells machines apart.
    let id = id.get(..8).unwrap_or_default();
    // User metadata is ASCII.
    utf8_percent_encode(&format!("{host}:{} ({id})", dir.display()), NON_ALPHANUMERIC).to_string()
}

fn target(text: &str) -> Result<Target, String> {
    const ACCEPTS: &str = "it must be s3://BUCKET or s3://BUCKET/PREFIX";
    let (bucket, prefix) =
        text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))).ok_or(ACCEPTS)?;
    let prefix = prefix.trim_end_matches('/');
    if bucket.is_empty() || prefix.starts_with('/') || prefix.contains("//") {
        return Err(ACCEPTS.to_owned());
    }
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Ok(Target { bucket: bucket.to_owned(), prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_bucket_and_perhaps_a_prefix() {
        let of = |text| target(text).map(|target| (target.bucket, target.prefix));
        assert_eq!(of("s3://b"), Ok(("b".to_owned(), String::new())));
        assert_eq!(of("s3://b/live/show/"), Ok(("b".to_owned(), "live/show/".to_owned())));
        for wrong in ["b/live", "s3://", "s3:///live", "s3://b//live", "s3://b/a//c"] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
