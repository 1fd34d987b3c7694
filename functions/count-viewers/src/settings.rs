use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::line::LogFormat;
use onair_core::count_viewers::stream::StreamRule;
use onair_core::count_viewers::viewer_key::{ViewerKey, ViewerSecret};
use onair_lambda::{Environment, Error};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What the user decided once, at deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `STATE_BUCKET`: where minutes are kept between runs.
    pub state_bucket: String,
    /// How logs become figures.
    pub rules: CountingRules,
    /// `DRY_RUN=true`: figures only, whatever the event says.
    pub dry_run: bool,
}

/// Each stream is a metric, which is paid for by the month.
const MAX_STREAMS: usize = 50;
/// Shorter secrets can be found out by trying, and then addresses can.
const MIN_SECRET_CHARACTERS: usize = 16;

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], which names the variable and what it accepts.
    pub fn read(env: &Environment<impl Fn(&str) -> Option<String>>) -> Result<Self, Error> {
        let config = |name: &str, problem: String| Error::Config(format!("{name}{problem}"));
        let needed = |name: &str, accepts: &str| {
            env.get(name)
                .ok_or_else(|| config(name, format!(" is not set; it accepts {accepts}")))
        };
        let secret = needed("VIEWER_SECRET", "a secret text of at least 16 characters")?;
        if secret.chars().count() < MIN_SECRET_CHARACTERS {
            let problem =
                format!(" is too short; it accepts at least {MIN_SECRET_CHARACTERS} characters");
            return Err(config("VIEWER_SECRET", problem));
        }
        let proxies = env.get("TRUSTED_PROXIES").unwrap_or_default();
        let proxies = proxies
            .split(',')
            .map(str::trim)
            .filter(|block| !block.is_empty());
        let proxies = proxies.map(|block| {
            let problem = format!(
                ": {block:?} is no block of addresses; it accepts such as 10.0.0.0/8, separated by commas"
            );
            block.parse().map_err(|_| config("TRUSTED_PROXIES", problem))
        });
        let key = env
            .get("VIEWER_KEY")
            .unwrap_or_else(|| "address".to_owned());
        let viewer_key = ViewerKey::parse(&key, proxies.collect::<Result<_, _>>()?);
        let viewer_key = viewer_key
            .map_err(|error| config("VIEWER_KEY", format!(": {error} (TRUSTED_PROXIES)")))?;
        let streams = StreamRule::parse(&env.get("STREAM_PATH").unwrap_or_default());
        let [combined, cloudfront, alb, onair] =
            LogFormat::NAMES.map(|(name, format)| (name, Some(format)));
        Ok(Self {
            state_bucket: needed("STATE_BUCKET", "the name of a bucket")?,
            rules: CountingRules {
                window_s: number(
                    env,
                    "WINDOW_SECONDS",
                    NonZeroU32::MIN.saturating_add(59),
                    &WINDOW_S,
                )?,
                viewer_key,
                secret: ViewerSecret::new(&secret),
                streams: streams.map_err(|error| config("STREAM_PATH", format!(": {error}")))?,
                format: env.choice(
                    "LOG_FORMAT",
                    &[("auto", None), combined, cloudfront, alb, onair],
                )?,
                exact_up_to: number(env, "EXACT_UP_TO", 8192, &EXACT_UP_TO)?,
                max_streams: MAX_STREAMS,
            },
            dry_run: env.choice("DRY_RUN", &[("false", false), ("true", true)])?,
        })
    }
}

/// An hour of minutes is read for each figure at most.
const WINDOW_S: RangeInclusive<NonZeroU32> = NonZeroU32::MIN..=NonZeroU32::MIN.saturating_add(3599);

/// What is kept of a minute and a stream grows by eleven bytes for each. Below, an estimate would
/// not be smaller.
const EXACT_UP_TO: RangeInclusive<usize> = 4096..=50_000;

fn number<T: FromStr + PartialOrd + std::fmt::Display + Copy>(
    env: &Environment<impl Fn(&str) -> Option<String>>,
    name: &str,
    default: T,
    accepted: &RangeInclusive<T>,
) -> Result<T, Error> {
    let Some(text) = env.get(name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| accepted.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (accepted.start(), accepted.end());
        Error::Config(format!(
            "{name} is {text:?}; it accepts a whole number from {least} to {most}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(settings: &[(&str, &str)]) -> String {
        let base = [
            ("VIEWER_SECRET", "0123456789abcdef"),
            ("STATE_BUCKET", "state"),
        ];
        let lookup = |name: &str| {
            let all = settings.iter().chain(&base);
            all.into_iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&Environment::of(lookup))
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
                "VIEWER_KEY: \"cookie\" is no key; it accepts address,",
            ),
            (
                &[("VIEWER_KEY", "x-forwarded-for")],
                "needs the trusted proxies",
            ),
            (
                &[("TRUSTED_PROXIES", "10.0.0.0/8")],
                "trusted proxies mean nothing with address",
            ),
            (
                &[("TRUSTED_PROXIES", "10.0.0.0/99")],
                "TRUSTED_PROXIES: \"10.0.0.0/99\" is no block",
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
