use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::line::LogFormat;
use onair_core::count_viewers::stream::StreamRule;
use onair_core::count_viewers::viewer_key::{ViewerKey, ViewerKeyError, ViewerSecret};
use onair_lambda::{Accepts, Environment, Error};
use std::fmt::Display;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// The settings of this function, which are fixed at deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `STATE_BUCKET`: where minutes are stored between runs.
    pub state_bucket: String,
    /// How the lines of logs become data points.
    pub rules: CountingRules,
    /// `DRY_RUN=true`: count only and store nothing, for every event.
    pub dry_run: bool,
}

const STATE_BUCKET: Accepts<'_> = Accepts::any("the name of a bucket");
const PROXIES: &str = "blocks of addresses such as 10.0.0.0/8, separated by commas";
/// The length is checked apart from this: no error may quote the secret.
const SECRET: Accepts<'_> = Accepts::any("a secret text of at least 16 characters");
/// A shorter secret can be guessed, and then viewers' addresses can be recovered.
const MIN_SECRET_CHARACTERS: usize = 16;
/// Each stream is a metric, which is billed by the month.
const MAX_STREAMS: usize = 50;
const MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// A data point is computed from at most one hour of stored minutes.
const WINDOW_S: RangeInclusive<NonZeroU32> = NonZeroU32::MIN..=NonZeroU32::MIN.saturating_add(3599);
/// A stored minute grows by eleven bytes for each viewer of a stream. Below the lower limit, an
/// estimate would not be smaller.
const EXACT_UP_TO: RangeInclusive<usize> = 4096..=50_000;

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], which names the variable and what it accepts.
    pub fn read(env: &Environment) -> Result<Self, Error> {
        let secret = secret(env)?;
        let viewer_key = viewer_key(env)?;
        let streams = StreamRule::parse(env.get("STREAM_PATH").unwrap_or_default());
        let [combined, cloudfront, alb, onair] =
            LogFormat::NAMES.map(|(name, format)| (name, Some(format)));
        let formats = [("auto", None), combined, cloudfront, alb, onair];
        Ok(Self {
            state_bucket: env.required("STATE_BUCKET", STATE_BUCKET)?,
            rules: CountingRules {
                window_s: env.number("WINDOW_SECONDS", MINUTE, WINDOW_S)?,
                viewer_key,
                secret,
                streams: streams.map_err(|error| problem("STREAM_PATH", error))?,
                format: env.choice("LOG_FORMAT", &formats)?,
                exact_up_to: env.number("EXACT_UP_TO", 8192, EXACT_UP_TO)?,
                max_streams: MAX_STREAMS,
            },
            dry_run: env.flag("DRY_RUN")?,
        })
    }
}

fn secret(env: &Environment) -> Result<ViewerSecret, Error> {
    let secret = env.required("VIEWER_SECRET", SECRET)?;
    if secret.chars().count() < MIN_SECRET_CHARACTERS {
        return Err(Error::Config(format!(
            "VIEWER_SECRET is too short; it accepts at least {MIN_SECRET_CHARACTERS} characters"
        )));
    }
    Ok(ViewerSecret::new(&secret))
}

fn viewer_key(env: &Environment) -> Result<ViewerKey, Error> {
    let proxies = env.get("TRUSTED_PROXIES").unwrap_or_default();
    let proxies = proxies
        .split(',')
        .map(str::trim)
        .filter(|block| !block.is_empty());
    let proxies = proxies.map(|block| {
        block
            .parse()
            .map_err(|_| Error::setting("TRUSTED_PROXIES", block, PROXIES))
    });
    let proxies = proxies.collect::<Result<_, _>>()?;
    ViewerKey::parse(env.get("VIEWER_KEY").unwrap_or("address"), proxies).map_err(viewer_key_error)
}

fn viewer_key_error(error: ViewerKeyError) -> Error {
    match error {
        ViewerKeyError::Unknown(name) => {
            Error::setting("VIEWER_KEY", &name, &ViewerKey::NAMES.join(", "))
        }
        error => problem("VIEWER_KEY", format!("{error} (TRUSTED_PROXIES)")),
    }
}

fn problem(name: &str, problem: impl Display) -> Error {
    Error::Config(format!("{name}: {problem}"))
}

#[cfg(test)]
#[allow(clippy::too_many_lines, reason = "a test may be longer")]
mod tests {
    use super::*;

    fn said(settings: &[(&str, &str)]) -> String {
        let base = [
            ("VIEWER_SECRET", "0123456789abcdef"),
            ("STATE_BUCKET", "state"),
        ];
        let environment: Environment = base.iter().chain(settings).copied().collect();
        Settings::read(&environment)
            .map_or_else(|error| error.to_string(), |all| format!("{all:?}"))
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_it_accepts() {
        let rows: [(&[(&str, &str)], &str); 11] = [
            (&[("STATE_BUCKET", "")], "STATE_BUCKET is not set"),
            (&[("VIEWER_SECRET", "")], "VIEWER_SECRET is not set"),
            (&[("VIEWER_SECRET", "short")], "VIEWER_SECRET is too short"),
            (
                &[("WINDOW_SECONDS", "0")],
                "WINDOW_SECONDS is \"0\"; it accepts a whole number from 1 to 3600",
            ),
            (
                &[("WINDOW_SECONDS", "3601")],
                "it accepts a whole number from 1 to 3600",
            ),
            (&[("EXACT_UP_TO", "many")], "EXACT_UP_TO is \"many\""),
            (
                &[("VIEWER_KEY", "cookie")],
                "VIEWER_KEY is \"cookie\"; it accepts address,",
            ),
            (
                &[("VIEWER_KEY", "x-forwarded-for")],
                "VIEWER_KEY: x-forwarded-for requires trusted proxies",
            ),
            (
                &[("TRUSTED_PROXIES", "10.0.0.0/8")],
                "VIEWER_KEY: trusted proxies have no effect with address",
            ),
            (
                &[("TRUSTED_PROXIES", "10.0.0.0/99")],
                "TRUSTED_PROXIES is \"10.0.0.0/99\"; it accepts blocks",
            ),
            (
                &[("STREAM_PATH", "live")],
                "STREAM_PATH: \"live\" is not a pattern",
            ),
        ];
        for (settings, expected) in rows {
            assert!(
                said(settings).contains(expected),
                "{settings:?}: {}",
                said(settings)
            );
        }
        assert!(
            said(&[("LOG_FORMAT", "w3c")])
                .contains("it accepts auto, combined, cloudfront, alb, onair")
        );
    }

    #[test]
    fn the_secret_is_in_no_log() {
        assert!(!said(&[]).contains("0123456789abcdef"), "{}", said(&[]));
    }
}
