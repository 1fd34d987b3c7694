use chrono::TimeDelta;
use onair_core::pair::{CutBy, Pair, Side, Sides, Source};
use onair_lambda::{Environment, Error};
use url::{Host, Url};

/// What the user decided once, at deployment: the same for every function of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// All that decisions are made from.
    pub pair: Pair,
    /// `CONTROL_BUCKET`: where the state lies.
    pub control_bucket: String,
    /// `PUBLIC_BUCKET`: where viewers get the playlist and the steering manifest.
    pub public_bucket: String,
    /// `DRY_RUN=true`: plan only, whatever the event says.
    pub dry_run: bool,
}

/// The alerts that mean that nothing usable comes in: no video, no packets, no RTMP stream
/// (MediaLive User Guide, "Types of alerts": 5201, 5302, 5305, 5307, 5308).
const ALERT_TYPES: &str = "Video Not Detected,Stopped Receiving UDP Input,RTMP Stream Not Found,RTMP Has No Audio/Video,RTMP Server Disconnected";

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], which names the variable and what it accepts.
    pub fn read(env: &Environment<impl Fn(&str) -> Option<String>>) -> Result<Self, Error> {
        let name = required(
            env,
            "PAIR",
            "a name of a-z, 0-9 and -, which becomes a folder",
        )?;
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.len() > 63 || name.starts_with('-') || !name.chars().all(is_name) {
            return refuse(
                "PAIR",
                &name,
                "at most 63 of a-z, 0-9 and -, and does not start with -",
            );
        }
        let sides = Sides {
            a: source(env, Side::A)?,
            b: source(env, Side::B)?,
        };
        if (&sides.a.channel_arn, &sides.a.pipeline) == (&sides.b.channel_arn, &sides.b.pipeline) {
            return config(
                "SIDE_A_ and SIDE_B_ name the same pipeline of the same channel; they must differ",
            );
        }
        if sides.a.endpoint == sides.b.endpoint {
            return config(
                "SIDE_A_ENDPOINT and SIDE_B_ENDPOINT are the same; each side has its own",
            );
        }
        let cut = env.choice(
            "CUT",
            &[
                ("delete", CutBy::Delete),
                ("deny", CutBy::Deny),
                ("none", CutBy::None),
            ],
        )?;
        let steering = env.choice("STEERING", &[("on", true), ("off", false)])?;
        if cut == CutBy::None && !steering {
            return config(
                "CUT is \"none\" and STEERING is \"off\": nothing would move a viewer; change one of them",
            );
        }
        let types = env
            .get("ALERT_TYPES")
            .unwrap_or_else(|| ALERT_TYPES.to_owned());
        let pair = Pair {
            name,
            sides,
            cut,
            steering_ttl: Some(seconds(env, "STEERING_TTL_SECONDS", 10, 1..=3600)?)
                .filter(|_| steering),
            alert_types: types
                .split(',')
                .map(|kind| kind.trim().to_owned())
                .filter(|kind| !kind.is_empty())
                .collect(),
            quiet: seconds(env, "QUIET_SECONDS", 360, 0..=86400)?,
            prefer: env.choice(
                "PREFER",
                &[("stay", None), ("A", Some(Side::A)), ("B", Some(Side::B))],
            )?,
        };
        Ok(Self {
            pair,
            control_bucket: required(
                env,
                "CONTROL_BUCKET",
                "the name of the private bucket for the state",
            )?,
            public_bucket: required(
                env,
                "PUBLIC_BUCKET",
                "the name of the bucket that viewers read through a CDN",
            )?,
            dry_run: env.choice("DRY_RUN", &[("false", false), ("true", true)])?,
        })
    }
}

fn source(env: &Environment<impl Fn(&str) -> Option<String>>, side: Side) -> Result<Source, Error> {
    let of = |what: &str| format!("SIDE_{side}_{what}");
    let name = of("CHANNEL_ARN");
    let accepts = "the ARN of a MediaLive channel (arn:aws:medialive:REGION:ACCOUNT:channel:ID)";
    let channel_arn = required(env, &name, accepts)?;
    let parts: Vec<&str> = channel_arn.split(':').collect();
    let ["arn", _, "medialive", region, _, "channel", id] = parts.as_slice() else {
        return refuse(&name, &channel_arn, accepts);
    };
    if id.is_empty() {
        return refuse(&name, &channel_arn, accepts);
    }
    // MediaLive is asked in the function's own region: elsewhere there may be another channel with
    // that id.
    if let Some(own) = env.get("AWS_REGION").filter(|own| own != region) {
        return refuse(
            &name,
            &channel_arn,
            &format!("a channel of {own}, where this function runs"),
        );
    }
    let name = of("PIPELINE");
    let pipeline = required(env, &name, "0 or 1")?;
    if !matches!(pipeline.as_str(), "0" | "1") {
        return refuse(&name, &pipeline, "0 or 1");
    }
    let name = of("ENDPOINT");
    let accepts = "the id of a MediaPackage (v1) endpoint: letters, digits, - and _";
    let endpoint = required(env, &name, accepts)?;
    if !endpoint
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    {
        return refuse(&name, &endpoint, accepts);
    }
    let name = of("BASE_URL");
    let base_url = env
        .get(&name)
        .map(|url| base_url(&name, &url))
        .transpose()?;
    Ok(Source {
        channel_arn,
        pipeline,
        endpoint,
        base_url,
        alarm: env.get(&of("ALARM")),
    })
}

fn base_url(name: &str, text: &str) -> Result<Url, Error> {
    let accepts = "an https URL without a query (http to loopback only)";
    let Ok(url) = text.parse::<Url>() else {
        return refuse(name, text, accepts);
    };
    let is_allowed = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    let is_bare = url.username().is_empty() && url.password().is_none();
    match is_allowed && is_bare && url.query().is_none() && url.fragment().is_none() {
        true => Ok(url),
        false => refuse(name, text, accepts),
    }
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn seconds(
    env: &Environment<impl Fn(&str) -> Option<String>>,
    name: &str,
    default: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<TimeDelta, Error> {
    let Some(value) = env.get(name) else {
        return Ok(TimeDelta::seconds(default));
    };
    match value
        .parse::<i64>()
        .ok()
        .filter(|seconds| range.contains(seconds))
    {
        Some(seconds) => Ok(TimeDelta::seconds(seconds)),
        None => refuse(
            name,
            &value,
            &format!("whole seconds from {} to {}", range.start(), range.end()),
        ),
    }
}

fn required(
    env: &Environment<impl Fn(&str) -> Option<String>>,
    name: &str,
    accepts: &str,
) -> Result<String, Error> {
    env.get(name)
        .ok_or_else(|| Error::Config(format!("{name} is not set; it accepts {accepts}")))
}

fn refuse<T>(name: &str, value: &str, accepts: &str) -> Result<T, Error> {
    Err(Error::Config(format!(
        "{name} is {value:?}; it accepts {accepts}"
    )))
}

fn config<T>(text: &str) -> Result<T, Error> {
    Err(Error::Config(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 9] = [
        ("PAIR", "show"),
        ("CONTROL_BUCKET", "control"),
        ("PUBLIC_BUCKET", "public"),
        (
            "SIDE_A_CHANNEL_ARN",
            "arn:aws:medialive:us-west-2:111122223333:channel:123456",
        ),
        ("SIDE_A_PIPELINE", "0"),
        ("SIDE_A_ENDPOINT", "show-a"),
        (
            "SIDE_B_CHANNEL_ARN",
            "arn:aws:medialive:us-west-2:111122223333:channel:654321",
        ),
        ("SIDE_B_PIPELINE", "0"),
        ("SIDE_B_ENDPOINT", "show-b"),
    ];

    fn read(changed: &[(&str, &str)]) -> Result<Settings, String> {
        let all: Vec<(&str, &str)> = changed.iter().chain(&GOOD).copied().collect();
        let lookup = |name: &str| {
            all.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        Settings::read(&Environment::of(lookup)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.pair.cut, CutBy::Delete);
        assert_eq!(settings.pair.steering_ttl, Some(TimeDelta::seconds(10)));
        assert_eq!(settings.pair.quiet, TimeDelta::seconds(360));
        assert_eq!((settings.pair.prefer, settings.dry_run), (None, false));
        assert_eq!(settings.pair.alert_types.len(), 5);
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_it_accepts() {
        let rows: [(&[(&str, &str)], &str); 15] = [
            (&[("PAIR", "")], "PAIR is not set; it accepts"),
            (&[("PAIR", "../show")], "PAIR is \"../show\"; it accepts"),
            (&[("CONTROL_BUCKET", " ")], "CONTROL_BUCKET is not set"),
            (
                &[("SIDE_A_CHANNEL_ARN", "123456")],
                "SIDE_A_CHANNEL_ARN is \"123456\"; it accepts the ARN",
            ),
            (
                &[("AWS_REGION", "eu-west-1")],
                "SIDE_A_CHANNEL_ARN is \"arn:aws:medialive:us-west-2:111122223333:channel:123456\"; it accepts a channel of eu-west-1",
            ),
            (
                &[("SIDE_B_PIPELINE", "2")],
                "SIDE_B_PIPELINE is \"2\"; it accepts 0 or 1",
            ),
            (
                &[("SIDE_B_ENDPOINT", "a/../b")],
                "SIDE_B_ENDPOINT is \"a/../b\"",
            ),
            (&[("SIDE_B_ENDPOINT", "show-a")], "are the same"),
            (
                &[("SIDE_B_CHANNEL_ARN", GOOD[3].1)],
                "the same pipeline of the same channel",
            ),
            (
                &[("SIDE_A_BASE_URL", "http://cdn.example.com")],
                "SIDE_A_BASE_URL is \"http://cdn.example.com\"",
            ),
            (
                &[("CUT", "stop")],
                "CUT is \"stop\"; it accepts delete, deny, none",
            ),
            (
                &[("CUT", "none"), ("STEERING", "off")],
                "nothing would move a viewer",
            ),
            (
                &[("STEERING_TTL_SECONDS", "0")],
                "it accepts whole seconds from 1 to 3600",
            ),
            (
                &[("QUIET_SECONDS", "5m")],
                "QUIET_SECONDS is \"5m\"; it accepts whole seconds",
            ),
            (&[("PREFER", "a")], "PREFER is \"a\"; it accepts stay, A, B"),
        ];
        for (settings, expected) in rows {
            let refusal = read(settings).unwrap_err();
            assert!(refusal.contains(expected), "{settings:?}: {refusal}");
        }
        assert!(read(&[("SIDE_A_BASE_URL", "http://127.0.0.1:8080/cdn")]).is_ok());
    }
}
