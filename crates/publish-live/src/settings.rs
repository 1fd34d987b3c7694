use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use onair_core::number::WholeNumber;
use onair_core::publish_live::job::OnLost;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  Publish a transcoder's folder, with all folders in it:
    onair publish-live /var/lib/onair/hls s3://BUCKET/live

  Keep everything, with a VOD playlist beside each live playlist:
    onair publish-live --keep /var/lib/onair/hls s3://BUCKET/live/2026-11-21

  Run as a service, with JSON log lines and CloudWatch metrics each minute:
    onair publish-live --log json /var/lib/onair/hls s3://BUCKET/live

Credentials, region and endpoint have the same sources as for the AWS CLI: AWS_PROFILE, AWS_REGION,
the instance's role, AWS_ENDPOINT_URL_S3 for another S3.";

/// Up to a year.
const KEEP_WINDOW_S: WholeNumber<u64> = WholeNumber {
    unit: "seconds",
    range: 0..=31_536_000,
    example: 300,
};
/// Up to a day.
const REPORT_EVERY_S: WholeNumber<u64> = WholeNumber {
    unit: "seconds",
    range: 1..=86_400,
    example: 60,
};

/// Publish a live stream from a transcoder's disk to S3
///
/// A daemon. It uploads each segment when the transcoder closes it, and each playlist when
/// everything that the playlist names is in S3. It runs until SIGTERM or Ctrl-C.
///
/// Each argument can be set by a variable instead; an empty variable counts as not set.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder that the transcoder writes to; everything below it is published
    #[arg(
        env = "ONAIR_DIR",
        value_hint = ValueHint::DirPath,
        value_parser = PathBufValueParser::new().try_map(folder)
    )]
    dir: PathBuf,
    #[arg(
        env = "ONAIR_TARGET",
        value_parser = target,
        help = "S3 URL to publish to: s3://BUCKET or s3://BUCKET/PREFIX"
    )]
    target: LiveTarget,
    /// Seconds until a segment that no playlist names any more is deleted, 0 to 31536000; not used
    /// with --keep
    #[arg(
        long,
        env = "ONAIR_KEEP_WINDOW",
        value_name = "SECONDS",
        default_value_t = 300,
        allow_negative_numbers = true,
        value_parser = |text: &str| KEEP_WINDOW_S.parse(text)
    )]
    keep_window: u64,
    /// Delete nothing, and publish a VOD playlist beside each playlist: index.vod.m3u8 of
    /// index.m3u8
    #[arg(long, env = "ONAIR_KEEP", value_parser = switch)]
    keep: bool,
    /// Treatment of a segment that cannot be published
    #[arg(long, env = "ONAIR_ON_LOST", value_enum, default_value_t = OnLostArgument::Gap)]
    on_lost: OnLostArgument,
    /// Seconds between two reports of figures, 1 to 86400
    #[arg(
        long,
        env = "ONAIR_REPORT_EVERY",
        value_name = "SECONDS",
        default_value_t = 60,
        allow_negative_numbers = true,
        value_parser = |text: &str| REPORT_EVERY_S.parse(text)
    )]
    report_every: u64,
    /// Format of the log
    #[arg(long, env = "ONAIR_LOG", value_enum, default_value_t = LogOutput::Text)]
    log: LogOutput,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnLostArgument {
    /// The playlist marks the segment as missing (EXT-X-GAP), and players skip it
    Gap,
    /// The playlist waits until the transcoder no longer names the segment
    Hold,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogOutput {
    /// Lines for people to read
    Text,
    /// One JSON object per line, and metrics for CloudWatch on standard output
    Json,
}

/// The bucket and the prefix that are published to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveTarget {
    pub(crate) bucket: String,
    /// Empty, or with a slash at the end.
    pub(crate) prefix: String,
}

impl Display for LiveTarget {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// The arguments in the form that the daemon uses.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) dir: PathBuf,
    pub(crate) target: LiveTarget,
    /// `None` with `--keep`: nothing is deleted.
    pub(crate) delete_after: Option<Duration>,
    pub(crate) on_lost: OnLost,
    pub(crate) log: LogOutput,
    pub(crate) report_every: Duration,
    /// The name of the publisher: this folder on this machine.
    pub(crate) publisher: String,
}

impl Arguments {
    pub(crate) fn log(&self) -> LogOutput {
        self.log
    }
}

impl From<Arguments> for Settings {
    fn from(arguments: Arguments) -> Self {
        // The folder watcher reports a folder that does not exist.
        let dir = arguments.dir.canonicalize().unwrap_or(arguments.dir);
        Self {
            publisher: publisher_name(&dir),
            log: arguments.log,
            report_every: Duration::from_secs(arguments.report_every),
            dir,
            target: arguments.target,
            delete_after: (!arguments.keep).then(|| Duration::from_secs(arguments.keep_window)),
            on_lost: match arguments.on_lost {
                OnLostArgument::Gap => OnLost::Gap,
                OnLostArgument::Hold => OnLost::Hold,
            },
        }
    }
}

/// The name that all processes have which publish this folder from this machine. Machines that are
/// copies of one image may have the same ID, so that the name contains the host name as well.
fn publisher_name(dir: &Path) -> String {
    let line = |path| {
        fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    let (host, id) = (line("/proc/sys/kernel/hostname"), line("/etc/machine-id"));
    // Viewers can read the name, and the ID is confidential (machine-id(5)): its first characters
    // distinguish machines.
    let id = id.get(..8).unwrap_or_default();
    // User metadata is ASCII.
    utf8_percent_encode(
        &format!("{host}:{} ({id})", dir.display()),
        NON_ALPHANUMERIC,
    )
    .to_string()
}

/// The value of a flag's variable. The flag itself has no value.
fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// If DIR is set by a variable and TARGET is the only argument, clap reads TARGET as DIR.
fn folder(dir: PathBuf) -> Result<PathBuf, &'static str> {
    if dir.to_string_lossy().starts_with("s3://") {
        return Err(
            "expected a folder: give both DIR and TARGET as arguments, or set TARGET by ONAIR_TARGET",
        );
    }
    Ok(dir)
}

fn target(text: &str) -> Result<LiveTarget, &'static str> {
    let url = text
        .strip_prefix("s3://")
        .ok_or("expected s3://BUCKET or s3://BUCKET/PREFIX")?;
    let (bucket, prefix) = url.split_once('/').unwrap_or((url, ""));
    if !is_bucket(bucket) {
        return Err(
            "expected a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens that begins \
             and ends with a letter or a digit, as in s3://my-bucket/live",
        );
    }
    let prefix = prefix.trim_end_matches('/');
    let is_part = |part: &str| !["", ".", ".."].contains(&part) && !part.contains(char::is_control);
    if !prefix.is_empty() && !prefix.split('/').all(is_part) {
        return Err(
            "expected a prefix without empty parts, parts that are . or .., and control characters",
        );
    }
    let prefix = if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}/")
    };
    Ok(LiveTarget {
        bucket: bucket.to_owned(),
        prefix,
    })
}

/// S3's rules for names of general purpose buckets, without the reserved prefixes and suffixes.
fn is_bucket(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().next_back()];
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| is_plain(byte) || matches!(byte, b'.' | b'-'))
        && ends.into_iter().flatten().all(is_plain)
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flags_variable_is_true_or_false() {
        for (text, expected) in [
            ("true", Ok(true)),
            ("1", Ok(true)),
            ("Off", Ok(false)),
            ("no", Ok(false)),
        ] {
            assert_eq!(switch(text), expected, "{text}");
        }
        assert!(switch("ture").is_err_and(|error| error.contains("true or false")));
    }

    #[test]
    fn a_target_is_a_bucket_and_perhaps_a_prefix() {
        let of = |text| target(text).map(|target| (target.bucket, target.prefix));
        for (text, bucket, prefix) in [
            ("s3://live", "live", ""),
            ("s3://live/", "live", ""),
            ("s3://my.bucket-1/live/show/", "my.bucket-1", "live/show/"),
            ("s3://000/a b?c#d/..e", "000", "a b?c#d/..e/"),
        ] {
            assert_eq!(
                of(text),
                Ok((bucket.to_owned(), prefix.to_owned())),
                "{text}"
            );
        }
        let long = format!("s3://{}/live", "a".repeat(64));
        for wrong in [
            "live/show",
            "S3://live",
            "s3://",
            "s3:///show",
            "s3://li",
            "s3://Live",
            "s3://live_",
            "s3://.live",
            "s3://live-",
            "s3://li..ve",
            "s3://li ve",
            "s3://live?a",
            &long,
            "s3://live//show",
            "s3://live/a//c",
            "s3://live/..",
            "s3://live/./a",
            "s3://live/a/../b",
            "s3://live/a\nb",
        ] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
