//! Access log lines of viewers' requests, in the formats of several servers.

use chrono::{DateTime, FixedOffset, Utc};
use serde_json::Value;

/// A request in an access log.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The time of the response, in Unix seconds.
    pub at_s: i64,
    pub address: &'a str,
    /// The user agent of the player.
    pub agent: &'a str,
    /// The path with a leading slash.
    pub path: &'a str,
    /// The query without its question mark, or an empty text. Only CloudFront logs it.
    pub query: &'a str,
    /// The size of the response.
    pub bytes: u32,
}

impl Request<'_> {
    fn at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.at_s, 0).unwrap_or_default()
    }

    fn utc(&self, format: &str) -> String {
        self.at().format(format).to_string()
    }
}

/// The first lines of a log of CloudFront.
pub const CLOUDFRONT_HEAD: &str = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) \
    cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id \
    x-host-header cs-protocol cs-bytes time-taken x-forwarded-for\n";

/// The line of nginx and Apache, in a time zone this many seconds east of Greenwich.
pub fn combined(request: &Request<'_>, east_s: i32) -> String {
    let Request {
        address,
        agent,
        path,
        bytes,
        ..
    } = request;
    let at = match FixedOffset::east_opt(east_s) {
        Some(zone) => request
            .at()
            .with_timezone(&zone)
            .format("%d/%b/%Y:%H:%M:%S %z")
            .to_string(),
        None => request.utc("%d/%b/%Y:%H:%M:%S +0000"),
    };
    let agent = agent.replace('"', "\\x22");
    format!(r#"{address} - - [{at}] "GET {path} HTTP/1.1" 200 {bytes} "-" "{agent}""#)
}

/// The line of CloudFront.
pub fn cloudfront(request: &Request<'_>) -> String {
    let Request {
        address,
        agent,
        path,
        query,
        bytes,
        ..
    } = request;
    let at = request.utc("%Y-%m-%d\t%H:%M:%S");
    let agent = agent.replace(' ', "%20").replace('"', "%22");
    let query = if query.is_empty() { "-" } else { query };
    format!(
        "{at}\tSFO5-C1\t{bytes}\t{address}\tGET\td111111abcdef8.cloudfront.net\t{path}\t200\t-\t{agent}\t{query}\t-\t\
         Hit\tc3R1ZmY=\tshow.example\thttps\t300\t0.001\t-"
    )
}

/// The line of an Application Load Balancer.
pub fn alb(request: &Request<'_>) -> String {
    let Request {
        address,
        agent,
        path,
        bytes,
        ..
    } = request;
    let at = request.utc("%Y-%m-%dT%H:%M:%S.186641Z");
    let agent = agent.replace('"', "%22");
    format!(
        "https {at} app/web/50dc6c495c0c9188 {address}:2817 10.0.0.66:80 0.086 0.048 0.037 200 200 0 {bytes} \
         \"GET https://show.example:443{path} HTTP/1.1\" \"{agent}\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 \
         arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/web/73e2d6bc24d8a067 \
         \"Root=1-58337281-1d84f3d73c47ec4e58577259\" \"show.example\" \"-\" 1 {at} \"forward\" \"-\" \"-\" \
         \"10.0.0.66:80\" \"200\" \"-\" \"-\""
    )
}

/// The line of the proxy of `origin/`.
pub fn onair(request: &Request<'_>) -> String {
    let Request {
        address,
        path,
        bytes,
        ..
    } = request;
    let at = request.utc("%Y-%m-%dT%H:%M:%S+00:00");
    format!(
        r#"{{"time":"{at}","client":"{address}","path":"{path}","status":200,"bytes":{bytes}}}"#
    )
}

/// A documented event of S3 for the log with this key.
pub fn delivered(mut event: Value, bucket: &str, key: &str) -> Value {
    event["detail"]["bucket"]["name"] = bucket.into();
    event["detail"]["object"]["key"] = key.into();
    event
}
