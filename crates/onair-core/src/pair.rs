//! A pair: one live stream that runs twice, as side A and side B, each into a MediaPackage endpoint
//! of its own.

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

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Side A.
    A,
    /// Side B.
    B,
}

impl Side {
    /// Both, A first.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The one that is not this.
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

/// The same thing of each side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE", deny_unknown_fields)]
pub struct Sides<T> {
    /// Side A's.
    pub a: T,
    /// Side B's.
    pub b: T,
}

impl<T> Sides<T> {
    /// What `of` says of each side.
    pub fn of(of: impl Fn(Side) -> T) -> Self {
        Self {
            a: of(Side::A),
            b: of(Side::B),
        }
    }
}

impl<T> Sides<T> {
    /// The result of `f` for each side.
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

/// What the user decided of a pair, once, at deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Its name: the folder of its objects.
    pub name: String,
    /// Where each side comes from.
    pub sides: Sides<Source>,
    /// What a fail-over does to the side that is lost, beside telling viewers.
    pub cut: CutBy,
    /// How long players keep a steering manifest, if there is one. Whole seconds.
    pub steering_ttl: Option<TimeDelta>,
    /// The types of MediaLive alerts that mean a lost input, as MediaLive spells them.
    pub alert_types: BTreeSet<String>,
    /// How long a side must have been clean before it is taken back.
    pub stabilization_period: TimeDelta,
    /// Where viewers are sent when both sides are well again; `None` leaves them where they are.
    pub prefer: Option<Side>,
}

/// Where a side comes from: a pipeline of a MediaLive channel, and the MediaPackage (v1) endpoint
/// that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The ARN of the MediaLive channel.
    pub channel_arn: String,
    /// The pipeline, `0` or `1`, as MediaLive's events spell it.
    pub pipeline: String,
    /// The id of the MediaPackage endpoint.
    pub endpoint: String,
    /// What stands in front of the endpoint, if anything does.
    pub base_url: Option<Url>,
    /// The CloudWatch alarm that tells of a lost input, if one does.
    pub alarm: Option<String>,
}

impl Source {
    /// The id of the MediaLive channel: the last part of its ARN.
    pub fn channel_id(&self) -> &str {
        self.channel_arn.rsplit(':').next().unwrap_or_default()
    }

    /// Where viewers find what MediaPackage serves at `url`: `base_url` takes the place of scheme
    /// and host, and its path comes before the path.
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

/// What a fail-over does to the side that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutBy {
    /// Deletes its endpoint, so that every player gets 404 and goes elsewhere. The way back makes a
    /// new one, at a new URL.
    Delete,
    /// Forbids its endpoint to serve (`Origination: DENY`); the URL stays.
    Deny,
    /// Nothing: only the steering manifest sends viewers elsewhere.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_front_replaces_scheme_and_host_and_its_path_comes_first() {
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
