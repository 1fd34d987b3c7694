//! A pair: one live stream that runs twice, as side A and side B. Each side has its own
//! MediaPackage endpoint.

pub mod endpoint;
pub mod freshness;
pub mod health;
pub mod held;
pub mod next;
pub mod observed;
pub mod state;
pub mod trigger;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::{Index, IndexMut};
use url::Url;

/// A side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// The first side in the settings and in a new state.
    A,
    /// The second side.
    B,
}

impl Side {
    /// Both sides, A first.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The side to which a fail-over moves viewers.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// A value for each side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE", deny_unknown_fields)]
pub struct Sides<T> {
    /// The value for side A.
    pub a: T,
    /// The value for side B.
    pub b: T,
}

impl<T> Sides<T> {
    /// Calls `of` for each side.
    pub fn of(of: impl Fn(Side) -> T) -> Self {
        Self {
            a: of(Side::A),
            b: of(Side::B),
        }
    }
}

impl<T> Sides<T> {
    /// Applies `f` to the value of each side.
    pub fn map<U>(self, f: impl Fn(T) -> U) -> Sides<U> {
        Sides {
            a: f(self.a),
            b: f(self.b),
        }
    }
}

impl<T> Index<Side> for Sides<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
}

impl<T> IndexMut<Side> for Sides<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

/// The settings of a pair, which are fixed at deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name of the pair, and the folder of its objects in S3.
    pub name: String,
    /// The channel and the endpoint of each side.
    pub sides: Sides<Source>,
    /// The change of the lost side's endpoint by a fail-over, in addition to steering.
    pub cut: CutBy,
    /// The time for which players keep a steering manifest, in whole seconds. `None` without
    /// steering.
    pub steering_ttl: Option<TimeDelta>,
    /// The types of MediaLive alerts that mean a lost input, as MediaLive spells them.
    pub alert_types: BTreeSet<String>,
    /// The time for which a lost side must be healthy before it returns.
    pub stabilization_period: TimeDelta,
    /// The side to which viewers are sent once both sides are live again. `None` leaves them on the
    /// active side.
    pub prefer: Option<Side>,
}

/// The source of a side: a pipeline of a MediaLive channel, and the MediaPackage (v1) endpoint that
/// serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The ARN of the MediaLive channel.
    pub channel_arn: String,
    /// The pipeline, `0` or `1`, as in the events of MediaLive.
    pub pipeline: String,
    /// The id of the MediaPackage endpoint.
    pub endpoint: String,
    /// The URL of a CDN in front of the endpoint.
    pub base_url: Option<Url>,
    /// The name of the CloudWatch alarm that reports a lost input.
    pub alarm: Option<String>,
}

impl Source {
    /// The id of the MediaLive channel: the last part of its ARN.
    pub fn channel_id(&self) -> &str {
        self.channel_arn.rsplit(':').next().unwrap_or_default()
    }

    /// The URL for viewers of what MediaPackage serves at `url`: `base_url` replaces scheme and
    /// host, and its path is put before the path.
    pub fn public_url(&self, url: &Url) -> Url {
        let Some(base) = &self.base_url else {
            return url.clone();
        };
        let mut public = base.clone();
        public.set_path(&format!(
            "{}{}",
            base.path().trim_end_matches('/'),
            url.path()
        ));
        public.set_query(url.query());
        public
    }
}

/// The change of the lost side's endpoint by a fail-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutBy {
    /// Deletes the endpoint: players get 404 and switch to the other side. Fail-back creates a new
    /// endpoint, which has a new URL.
    Delete,
    /// Sets `Origination: DENY`, so that the endpoint refuses requests. The URL stays.
    Deny,
    /// Leaves the endpoint. Only the steering manifest moves viewers.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_replaces_scheme_and_host_and_its_path_is_put_first() {
        let url: Url = "https://abc.mediapackage.us-west-2.amazonaws.com/out/v1/123/index.m3u8?x=1"
            .parse()
            .unwrap();
        let source = |base: Option<&str>| Source {
            channel_arn: "arn:aws:medialive:us-west-2:111122223333:channel:123456".to_owned(),
            pipeline: "0".to_owned(),
            endpoint: "a".to_owned(),
            base_url: base.map(|base| base.parse().unwrap()),
            alarm: None,
        };
        assert_eq!(source(None).public_url(&url), url);
        assert_eq!(
            source(Some("https://cdn.example.com/live/a/"))
                .public_url(&url)
                .as_str(),
            "https://cdn.example.com/live/a/out/v1/123/index.m3u8?x=1"
        );
        assert_eq!(
            source(Some("https://cdn.example.com"))
                .public_url(&url)
                .as_str(),
            "https://cdn.example.com/out/v1/123/index.m3u8?x=1"
        );
        assert_eq!(source(None).channel_id(), "123456");
    }
}
