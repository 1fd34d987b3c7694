//! Simulated viewers whose presence is known, and the access logs of their requests.

use scenes::access_log::{self, Request};
use std::collections::{BTreeMap, BTreeSet};

pub use scenes::access_log::CLOUDFRONT_HEAD;

/// The begin of the logs: 2026-01-01T00:00:00Z.
pub const BEGIN_S: i64 = 1_767_225_600;

/// A viewer who plays one stream for some time, from one address.
#[derive(Debug, Clone)]
pub struct SimulatedViewer {
    /// The client address that all servers log.
    pub address: String,
    /// The user agent of the player.
    pub agent: String,
    /// The session id of the player.
    pub sid: String,
    pub stream: &'static str,
    /// The first request, in seconds after [`BEGIN_S`].
    pub from_s: i64,
    /// The last request, in seconds after [`BEGIN_S`].
    pub to_s: i64,
    /// The longest time between two requests.
    pub every_s: i64,
}

/// All simulated viewers of a test.
#[derive(Debug, Clone)]
pub struct SimulatedAudience {
    pub viewers: Vec<SimulatedViewer>,
    /// The length of the logs in minutes.
    pub minutes: i64,
    /// Minutes of which all logs are lost.
    pub lost: BTreeSet<i64>,
}

/// A line of a log, and the number of the server that wrote it.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// In seconds after [`BEGIN_S`].
    pub at_s: i64,
    pub server: usize,
    /// The line without its newline.
    pub text: String,
}

/// Pseudo-random numbers, the same for each seed (Knuth, MMIX).
pub struct SeededRandom(u64);

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `end`.
    ///
    /// # Panics
    ///
    /// If `end` is 0.
    pub fn below(&mut self, end: i64) -> i64 {
        i64::try_from(self.roll(u64::try_from(end).unwrap_or_default())).unwrap_or_default()
    }

    /// The next number below `sides`.
    ///
    /// # Panics
    ///
    /// If `sides` is 0.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = self.below(i64::try_from(last).unwrap_or_default() + 1);
            things.swap(last, usize::try_from(other).unwrap_or_default());
        }
    }
}

const STREAMS: [&str; 3] = ["live/show", "live/other", "news"];
const RENDITIONS: [&str; 3] = ["720p", "480p", "audio"];

impl SimulatedAudience {
    /// This many viewers of three streams in this many minutes.
    pub fn new(viewers: usize, minutes: i64, seed: u64) -> Self {
        let mut dice = SeededRandom::new(seed);
        let viewer = |number: usize| {
            let from_s = dice.below(minutes * 60);
            let stays_s = dice.below(400);
            let is_ipv6 = number.is_multiple_of(7);
            SimulatedViewer {
                address: if is_ipv6 {
                    format!("2001:db8::{number:x}")
                } else {
                    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
                },
                agent: format!("Player/{} (a \"quoted\" one)", number % 5),
                sid: format!("6e2fb550-{number:x}"),
                stream: STREAMS[number % 3],
                from_s,
                to_s: (from_s + stays_s).min(minutes * 60 - 1),
                every_s: 1 + dice.below(12),
            }
        };
        Self {
            viewers: (0..viewers).map(viewer).collect(),
            minutes,
            lost: BTreeSet::new(),
        }
    }

    /// The expected viewers at the end of each minute, by stream: those with a request in the
    /// window before. Streams without viewers are left out.
    ///
    /// # Panics
    ///
    /// If a viewer pauses for as long as the window, or if a window includes minutes whose logs are
    /// lost.
    pub fn truth(&self, window_s: i64) -> BTreeMap<(String, String), u64> {
        assert!(self.lost.is_empty() || window_s <= 60);
        let mut truth = BTreeMap::new();
        for minute in (0..self.minutes).filter(|minute| !self.lost.contains(minute)) {
            let end_s = minute * 60 + 60;
            for viewer in &self.viewers {
                assert!(viewer.every_s < window_s);
                if viewer.from_s < end_s && viewer.to_s >= end_s - window_s {
                    *truth
                        .entry((at(minute), viewer.stream.to_owned()))
                        .or_default() += 1;
                }
            }
        }
        truth
    }

    /// The lines of all servers, ordered by time. Viewers change between the servers.
    pub fn lines(
        &self,
        servers: usize,
        line: impl Fn(&SimulatedViewer, i64, &str) -> String,
    ) -> Vec<LogLine> {
        let mut lines = Vec::new();
        for (number, viewer) in self.viewers.iter().enumerate() {
            let times = (viewer.from_s..=viewer.to_s).filter(|at_s| viewer.asks_at(*at_s));
            for (count, at_s) in times.enumerate() {
                let rendition = RENDITIONS[(number + count / 9) % 3];
                let file = match count % 3 {
                    0 => "index.m3u8".to_owned(),
                    _ => format!("{}.m4s", at_s / 6),
                };
                let text = line(
                    viewer,
                    BEGIN_S + at_s,
                    &format!("/{}/{rendition}/{file}", viewer.stream),
                );
                lines.push(LogLine {
                    at_s,
                    server: (number + count) % servers,
                    text,
                });
            }
        }
        // A request for another file in each minute, so that every minute has a log.
        let mut stranger = self.viewers[0].clone();
        stranger.address = "192.0.2.200".to_owned();
        for minute in 0..self.minutes {
            for server in 0..servers {
                let at_s = minute * 60 + 30;
                let text = line(&stranger, BEGIN_S + at_s, "/robots.txt");
                lines.push(LogLine { at_s, server, text });
            }
        }
        lines.retain(|line| !self.lost.contains(&(line.at_s / 60)));
        lines.sort_by_key(|line| line.at_s);
        lines
    }
}

impl SimulatedViewer {
    fn request<'a>(&'a self, at_s: i64, path: &'a str) -> Request<'a> {
        Request {
            at_s,
            address: &self.address,
            agent: &self.agent,
            path,
            query: "",
            bytes: 1_234,
        }
    }

    fn asks_at(&self, at_s: i64) -> bool {
        at_s == self.to_s
            || at_s >= self.from_s && at_s < self.to_s && (at_s - self.from_s) % self.every_s == 0
    }
}

/// The begin of a minute, as figures have it.
pub fn at(minute: i64) -> String {
    let begins = chrono::DateTime::from_timestamp(BEGIN_S + minute * 60, 0).unwrap_or_default();
    begins.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The line of nginx and Apache, here in the time zone of Newfoundland.
pub fn combined(viewer: &SimulatedViewer, at_s: i64, path: &str) -> String {
    access_log::combined(&viewer.request(at_s, path), -12_600)
}

/// The line of nginx behind a proxy, in its example format `main`.
pub fn forwarded(viewer: &SimulatedViewer, at_s: i64, path: &str) -> String {
    let line = combined(
        &SimulatedViewer {
            address: "10.255.0.1".to_owned(),
            ..viewer.clone()
        },
        at_s,
        path,
    );
    // The part that a client can forge is first.
    format!(r#"{line} "198.51.100.{}, {}""#, at_s % 200, viewer.address)
}

/// The line of CloudFront. The session of the player is in the query.
pub fn cloudfront(viewer: &SimulatedViewer, at_s: i64, path: &str) -> String {
    let query = format!("CMCD=br%253D3200%252Csid%253D%2522{}%2522", viewer.sid);
    access_log::cloudfront(&Request {
        query: &query,
        ..viewer.request(at_s, path)
    })
}

/// The line of an Application Load Balancer.
pub fn alb(viewer: &SimulatedViewer, at_s: i64, path: &str) -> String {
    access_log::alb(&viewer.request(at_s, path))
}

/// The line of the proxy of `origin/`.
pub fn onair(viewer: &SimulatedViewer, at_s: i64, path: &str) -> String {
    access_log::onair(&viewer.request(at_s, path))
}
