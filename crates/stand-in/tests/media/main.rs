//! The stand-in's media services, driven by the real SDK, by players' requests and by signed ones
//! by hand. `tests/clients` drives the same with boto3.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

mod alerts;
mod endpoints;
mod faults;
#[path = "../sdk/mod.rs"]
mod sdk;
mod site;
mod streams;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use aws_sdk_mediapackage::Client;
use aws_sdk_mediapackage::config::retry::RetryConfig;
use aws_sdk_mediapackage::config::{BehaviorVersion, Config, Credentials, Region};
use sdk::{refusal, refused};
use serde_json::{Value, json};
use stand_in::{ACCESS_KEY_ID, MediaPackage, REGION, SECRET_ACCESS_KEY, SyntheticStream, Traffic};

/// A client that tries once.
fn client(mediapackage: &MediaPackage) -> Client {
    client_with(mediapackage, ACCESS_KEY_ID)
}

fn client_with(mediapackage: &MediaPackage, access_key_id: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new(
            access_key_id,
            SECRET_ACCESS_KEY,
            None,
            None,
            "stand-in",
        ))
        .endpoint_url(mediapackage.endpoint_url())
        .region(Region::new(REGION))
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// A MediaPackage with the channel `a` and nothing else.
fn start() -> (MediaPackage, Client) {
    let mediapackage = MediaPackage::start(&Traffic::default());
    mediapackage.create_channel("a", SyntheticStream::default());
    let client = client(&mediapackage);
    (mediapackage, client)
}

/// The request that creates an endpoint of the channel `a`.
fn hls(id: &str) -> Value {
    json!({"id": id, "channelId": "a", "hlsPackage": {}})
}

/// An answer of a web server. The headers' names are in small letters.
#[derive(Debug)]
struct Page {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Page {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    fn number(&self, header: &str) -> u64 {
        self.headers[header].parse().unwrap()
    }
}

/// The response to a player.
fn get(url: &str) -> Page {
    ask("GET", url, &[]).unwrap()
}

/// The response to a GET without a query, with the access key in its credential and with an invalid
/// signature.
fn get_signed(service: &str, region: &str, url: &str) -> Page {
    let credential = format!("{ACCESS_KEY_ID}/20261121/{region}/{service}/aws4_request");
    let signature =
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
    ask("GET", url, &[("authorization", &signature)]).unwrap()
}

fn ask(method: &str, url: &str, headers: &[(&str, &str)]) -> std::io::Result<Page> {
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let mut connection = TcpStream::connect(host)?;
    write!(
        connection,
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n"
    )?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Ok(Page {
        status,
        headers,
        body,
    })
}
