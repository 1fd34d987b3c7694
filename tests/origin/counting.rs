//! Concurrent viewers, from the log of the real proxy.

use crate::station::OriginServer;
use crate::web::{UpstreamServer, get};
use scenes::program::onair;
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn second_of_minute() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        % 60
}

/// Waits until the next steps fit into one minute, so that the test knows which minute it is.
pub(crate) fn wait_for_a_young_minute() {
    while second_of_minute() > 45 {
        sleep(Duration::from_millis(200));
    }
}

/// Promises P118 and P129.
#[test]
#[ignore = "needs nginx, ffmpeg, Chromium and npm: make test runs it"]
fn whoever_comes_through_the_proxy_is_counted_once_for_each_stream() {
    let servers = [(); 3].map(|()| UpstreamServer::start());
    let mut station = OriginServer::new("counted");
    let addresses = servers.each_ref().map(UpstreamServer::address);
    let url = station.start_proxy(&addresses.each_ref().map(String::as_str));
    wait_for_a_young_minute();
    for round in 0..3 {
        for viewer in 1..=120 {
            let address = format!("203.0.113.{viewer}");
            get(&url, "/show.m3u8", &address);
            get(&url, &format!("/show_180p/{round}.mi8vqk7k.ts"), &address);
            if viewer <= 45 {
                get(&url, &format!("/other_90p/{round}.mi8vqk7k.ts"), &address);
            }
        }
    }
    get(&url, "/favicon.ico", "198.51.100.1");
    servers
        .iter()
        .for_each(|web| web.behave(|manner| manner.empty = true));
    get(&url, "/never.m3u8", "198.51.100.2");
    assert!(
        second_of_minute() < 58,
        "the test took more than one minute"
    );
    let log = station.prefix().join("log/viewers.log");
    let output = onair("viewers")
        .unwrap()
        .arg("--json")
        .arg(log)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let figure = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (
            line["stream"].as_str().unwrap().to_owned(),
            line["viewers"].as_u64().unwrap(),
        )
    };
    let figures: BTreeMap<_, _> = lines.lines().map(figure).collect();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert_eq!(
        figures,
        [("other".to_owned(), 45), ("show".to_owned(), 120)].into()
    );
}
