use chrono::TimeDelta;
use onair_core::pair::{CutBy, Pair, Side, Sides, Source};
use onair_lambda::{Accepts, Environment, Error};
use url::{Host, Url};

/// The settings of a pair, which are fixed at deployment and the same for each of its functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Everything that decisions depend on.
    pub pair: Pair,
    /// `CONTROL_BUCKET`: the state is stored here.
    pub control_bucket: String,
    /// `PUBLIC_BUCKET`: viewers read the playlist and the steering manifest from here.
    pub public_bucket: String,
    /// `DRY_RUN=true`: plan only, for every event.
    pub dry_run: bool,
}

const PAIR: Accepts<'_> = Accepts::only(
    "a name of at most 63 of a-z, 0-9 and -, which does not start with - and becomes a folder",
    is_pair_name,
);
const CONTROL_BUCKET: Accepts<'_> = Accepts::any("the name of the private bucket for the state");
const PUBLIC_BUCKET: Accepts<'_> =
    Accepts::any("the name of the bucket that viewers read through a CDN");
const CHANNEL_ARN: &str =
    "the ARN of a MediaLive channel (arn:aws:medialive:REGION:ACCOUNT:channel:ID)";
const PIPELINE: Accepts<'_> = Accepts::only("0 or 1", |pipeline| matches!(pipeline, "0" | "1"));
const ENDPOINT: Accepts<'_> = Accepts::only(
    "the id of a MediaPackage (v1) endpoint: letters, digits, - and _",
    is_endpoint_id,
);
const BASE_URL: &str = "an https URL without a query (http to loopback only)";
/// The alerts of an input without usable content: video, packets or the RTMP stream are missing.
/// (MediaLive User Guide, "Types of alerts": 5201, 5302, 5305, 5307, 5308.)
const ALERT_TYPES: &str = "Video Not Detected,Stopped Receiving UDP Input,RTMP Stream Not Found,RTMP Has No Audio/Video,RTMP Server Disconnected";

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], which names the variable and what it accepts.
    pub fn read(env: &Environment) -> Result<Self, Error> {
        Ok(Self {
            pair: pair(env)?,
            control_bucket: env.required("CONTROL_BUCKET", CONTROL_BUCKET)?,
            public_bucket: env.required("PUBLIC_BUCKET", PUBLIC_BUCKET)?,
            dry_run: env.flag("DRY_RUN")?,
        })
    }
}

fn pair(env: &Environment) -> Result<Pair, Error> {
    let cuts = [
        ("delete", CutBy::Delete),
        ("deny", CutBy::Deny),
        ("none", CutBy::None),
    ];
    let preferences = [("stay", None), ("A", Some(Side::A)), ("B", Some(Side::B))];
    let name = env.required("PAIR", PAIR)?;
    let sides = sides(env)?;
    let cut = env.choice("CUT", &cuts)?;
    let is_steered = env.choice("STEERING", &[("on", true), ("off", false)])?;
    if cut == CutBy::None && !is_steered {
        return config(
            "CUT is \"none\" and STEERING is \"off\": a fail-over could not move viewers; change one of them",
        );
    }
    let steering_ttl = env.seconds("STEERING_TTL_SECONDS", 10, 1..=3600)?;
    let alert_types = env.get("ALERT_TYPES").unwrap_or(ALERT_TYPES).split(',');
    Ok(Pair {
        name,
        sides,
        cut,
        steering_ttl: is_steered.then(|| TimeDelta::seconds(steering_ttl)),
        alert_types: alert_types
            .map(|kind| kind.trim().to_owned())
            .filter(|kind| !kind.is_empty())
            .collect(),
        stabilization_period: TimeDelta::seconds(env.seconds("QUIET_SECONDS", 360, 0..=86400)?),
        prefer: env.choice("PREFER", &preferences)?,
    })
}

fn is_pair_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 63 && !name.starts_with('-') && name.chars().all(is_allowed)
}

fn sides(env: &Environment) -> Result<Sides<Source>, Error> {
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
        return config("SIDE_A_ENDPOINT and SIDE_B_ENDPOINT are the same; each side has its own");
    }
    Ok(sides)
}

fn source(env: &Environment, side: Side) -> Result<Source, Error> {
    let name = |setting: &str| format!("SIDE_{side}_{setting}");
    Ok(Source {
        channel_arn: channel_arn(env, &name("CHANNEL_ARN"))?,
        pipeline: env.required(&name("PIPELINE"), PIPELINE)?,
        endpoint: env.required(&name("ENDPOINT"), ENDPOINT)?,
        base_url: base_url(env, &name("BASE_URL"))?,
        alarm: env.get(&name("ALARM")).map(str::to_owned),
    })
}

fn channel_arn(env: &Environment, name: &str) -> Result<String, Error> {
    let arn = env.required(name, Accepts::any(CHANNEL_ARN))?;
    let parts: Vec<&str> = arn.split(':').collect();
    let region = match parts.as_slice() {
        ["arn", _, "medialive", region, _, "channel", id] if !id.is_empty() => *region,
        _ => return Err(Error::setting(name, &arn, CHANNEL_ARN)),
    };
    // The function sends requests to MediaLive in its own region. A channel with the same id may
    // exist in another region.
    match env.get("AWS_REGION").filter(|own| *own != region) {
        Some(own) => {
            let accepts = format!("a channel of {own}, where this function runs");
            Err(Error::setting(name, &arn, &accepts))
        }
        None => Ok(arn),
    }
}

fn is_endpoint_id(id: &str) -> bool {
    id.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn base_url(env: &Environment, name: &str) -> Result<Option<Url>, Error> {
    let Some(text) = env.get(name) else {
        return Ok(None);
    };
    match text.parse().ok().filter(is_base_url) {
        Some(url) => Ok(Some(url)),
        None => Err(Error::setting(name, text, BASE_URL)),
    }
}

fn is_base_url(url: &Url) -> bool {
    let is_allowed = url.scheme() == "https" || url.scheme() == "http" && is_loopback(url);
    let has_user = !url.username().is_empty() || url.password().is_some();
    is_allowed && !has_user && url.query().is_none() && url.fragment().is_none()
}

/// Checks that a URL is one of this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn config<T>(text: &str) -> Result<T, Error> {
    Err(Error::Config(text.to_owned()))
}

#[cfg(test)]
#[allow(clippy::too_many_lines, reason = "a test may be longer")]
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
        let environment: Environment = GOOD.iter().chain(changed).copied().collect();
        Settings::read(&environment).map_err(|error| error.to_string())
    }

    #[test]
    fn a_setting_that_is_not_set_has_its_default() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.pair.cut, CutBy::Delete);
        assert_eq!(settings.pair.steering_ttl, Some(TimeDelta::seconds(10)));
        assert_eq!(settings.pair.stabilization_period, TimeDelta::seconds(360));
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
                "a fail-over could not move viewers",
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
            let error = read(settings).unwrap_err();
            assert!(error.contains(expected), "{settings:?}: {error}");
        }
        assert!(read(&[("SIDE_A_BASE_URL", "http://127.0.0.1:8080/cdn")]).is_ok());
    }
}
