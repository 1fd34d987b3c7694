//! `count-viewers`: see the same heading in `docs/behaviour.md`.

mod any_s3;
mod by_hand;
mod faults;
mod hostile;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use stand_in::Function;
use std::collections::BTreeMap;
use std::env;
use std::io::Write as _;
use std::time::Duration;
use stories::audience::{
    BEGIN_S, CLOUDFRONT_HEAD, LogLine, SeededRandom, SimulatedAudience, SimulatedViewer,
    cloudfront, combined, forwarded,
};
use stories::{BUCKET, Cloud, binary, error, event, response};

/// The bucket of the stored minutes, unless `ONAIR_STATE_BUCKET` names another.
const STATE: &str = stories::VERSIONED;
const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyz0123456";

type ViewerCounts = BTreeMap<(String, String), u64>;

/// Starts `count-viewers` with the usual settings and these.
fn start(cloud: &Cloud, settings: &[(&str, &str)]) -> Function {
    let state = env::var("ONAIR_STATE_BUCKET").unwrap_or_else(|_| STATE.to_owned());
    let usual = [("STATE_BUCKET", state.as_str()), ("VIEWER_SECRET", SECRET)];
    let settings = usual
        .iter()
        .chain(settings)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Function::start(
        &binary("count-viewers"),
        cloud.environment().into_iter().chain(settings),
    )
}

/// The event of S3 for a log.
fn delivered(key: &str) -> Value {
    scenes::access_log::delivered(event("count-viewers/object-created.json"), BUCKET, key)
}

fn text<'a>(lines: impl IntoIterator<Item = &'a LogLine>) -> String {
    lines
        .into_iter()
        .map(|line| line.text.clone() + "\n")
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

/// Stores a log, sends its event and returns the answer.
async fn count(cloud: &Cloud, function: &Function, key: &str, log: &[u8]) -> Value {
    cloud.put_bytes(BUCKET, key, log.to_vec()).await;
    response(function.invoke(delivered(key)).await)
}

/// The maximum of each metric sample, as the dashboard shows it. Zeros are left out.
fn reported(function: &Function) -> ViewerCounts {
    let mut figures = ViewerCounts::new();
    for line in function.stdout() {
        let line: Value = serde_json::from_str(&line).unwrap();
        let Some(viewers) = line["ConcurrentViewers"].as_u64() else {
            continue;
        };
        assert_eq!(line["viewers"].as_u64(), Some(viewers), "{line}");
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([["Function", "Stream"]]),
            "{line}"
        );
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        assert_eq!(text("Stream"), text("stream"));
        let begins = chrono::DateTime::parse_from_rfc3339(&text("minute"))
            .unwrap()
            .timestamp_millis();
        assert_eq!(line["_aws"]["Timestamp"], begins, "{line}");
        let most = figures.entry((text("minute"), text("stream"))).or_default();
        *most = viewers.max(*most);
    }
    figures.retain(|_, viewers| *viewers > 0);
    figures
}

/// Promises P118, P121 and P123.
#[tokio::test]
async fn logs_of_two_servers_in_any_parts_and_order_give_the_true_audience() {
    for (seed, window_s) in [(1, 60), (2, 90), (3, 150), (4, 30)] {
        let audience = SimulatedAudience::new(60, 6, seed);
        let lines = audience.lines(2, combined);
        let mut dice = SeededRandom::new(seed);
        // The log of each server is in three files. A few lines are in two of them.
        let mut logs = Vec::new();
        for server in 0..2 {
            let of_server: Vec<_> = lines.iter().filter(|line| line.server == server).collect();
            let third = of_server.len() / 3;
            for (from, to) in [
                (0, third + 5),
                (third, 2 * third),
                (2 * third, of_server.len()),
            ] {
                logs.push(gzip(text(of_server[from..to].iter().copied()).as_bytes()));
            }
        }
        let cloud = Cloud::stand_in();
        let function = start(&cloud, &[("WINDOW_SECONDS", &window_s.to_string())]);
        let mut order: Vec<usize> = (0..logs.len()).chain(0..logs.len()).collect();
        dice.shuffle(&mut order);
        for log in order {
            count(&cloud, &function, &format!("logs/{log}.gz"), &logs[log]).await;
        }

        assert_eq!(
            reported(&function),
            audience.truth(window_s),
            "{window_s} s"
        );
    }
}

/// Promise P122. Logs may arrive twice, late, in any order and several at once: adding the same log
/// again changes nothing (`unchanged`).
#[tokio::test]
async fn a_log_that_arrives_again_changes_nothing_and_gives_the_same_answer() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let audience = SimulatedAudience::new(40, 3, 7);
    let log = text(&audience.lines(1, combined));
    let first = count(&cloud, &function, "logs/1", log.as_bytes()).await;

    assert_eq!(first["outcome"], "counted");

    let stored = cloud.s3().snapshot(STATE);
    let again = start(&cloud, &[]);
    let second = count(&cloud, &again, "logs/1", log.as_bytes()).await;

    assert_eq!(second["outcome"], "unchanged");
    assert_eq!(
        (&second["figures"], second["key"].as_str()),
        (&first["figures"], Some("address"))
    );
    assert!(cloud.s3().snapshot(STATE) == stored);
    // If the first run was killed before its report, the second run reports everything.
    assert_eq!(reported(&again), audience.truth(60));
}

/// Promises P122 and P123.
#[tokio::test]
async fn concurrent_logs_of_the_same_minutes_are_all_counted() {
    for window_s in [60, 90, 150] {
        let cloud = Cloud::stand_in();
        let audience = SimulatedAudience::new(200, 3, 8);
        let lines = audience.lines(8, combined);
        let window = window_s.to_string();
        let functions: Vec<Function> = (0..8)
            .map(|_| start(&cloud, &[("WINDOW_SECONDS", &window)]))
            .collect();
        let counting = functions.iter().enumerate().map(|(server, function)| {
            let log = text(lines.iter().filter(move |line| line.server == server));
            let cloud = &cloud;
            async move { count(cloud, function, &format!("logs/{server}"), log.as_bytes()).await }
        });
        let answers = futures::future::join_all(counting).await;
        // All viewers of the last log may be in earlier ones.
        let is_done =
            |answer: &Value| answer["outcome"] == "counted" || answer["outcome"] == "unchanged";

        assert!(answers.iter().all(is_done), "{answers:?}");
        assert_eq!(
            together(&functions.iter().collect::<Vec<_>>()),
            audience.truth(window_s),
            "{window_s} s"
        );
    }
}

/// The maximum over all functions.
fn together(functions: &[&Function]) -> ViewerCounts {
    let mut most = ViewerCounts::new();
    for (of, viewers) in functions.iter().flat_map(|function| reported(function)) {
        let known = most.entry(of).or_default();
        *known = viewers.max(*known);
    }
    most
}

/// Promise P124. No address is stored with the figures, reported or logged.
#[tokio::test]
async fn no_address_is_stored_reported_or_logged() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[("AWS_LAMBDA_LOG_LEVEL", "TRACE")]);
    let audience = SimulatedAudience::new(30, 2, 9);
    let mut log = text(&audience.lines(1, combined));
    log += "10.0.0.9 - - this line of 10.0.0.9 is broken\n";
    let answer = count(&cloud, &function, "logs/1", log.as_bytes()).await;

    assert_eq!(answer["malformed"], 1);

    let output = function.stdout().join("\n") + &function.stderr().join("\n");

    assert!(output.contains("ConcurrentViewers"));

    let hexadecimal = |address: &str| {
        let parts: Option<Vec<u8>> = address.split('.').map(|part| part.parse().ok()).collect();
        parts.map(|parts| {
            parts
                .iter()
                .map(|part| format!("{part:02x}"))
                .collect::<String>()
        })
    };
    for key in cloud.s3().keys(STATE, "") {
        let stored =
            String::from_utf8(cloud.s3().object(STATE, &key).unwrap().body.to_vec()).unwrap();
        for SimulatedViewer { address, .. } in &audience.viewers {
            for text in [&output, &stored, &key] {
                assert!(!text.contains(address), "{address} in {text}");
                assert!(
                    hexadecimal(address).is_none_or(|address| !text.contains(&address)),
                    "{address}"
                );
            }
        }
    }
    // Another secret makes other hashes, so viewers cannot be looked up.
    let other = start(
        &cloud,
        &[("VIEWER_SECRET", "another secret of some length")],
    );
    let before = cloud.s3().keys(STATE, "").len();

    assert_eq!(
        count(&cloud, &other, "logs/1", log.as_bytes()).await["outcome"],
        "counted"
    );
    assert_eq!(cloud.s3().keys(STATE, "").len(), 2 * before);
}

/// Promise P120. Up to `EXACT_UP_TO` (8,192) viewers of a stream in a minute the figure is exact,
/// and above it is an estimate (`"exact": false`).
#[tokio::test]
async fn viewers_beyond_the_exact_limit_are_a_marked_estimate() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[("EXACT_UP_TO", "4096")]);
    let viewer =
        |number: i64| format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
    let line = |number| {
        format!(
            "{} - - [01/Jan/2026:00:00:00 +0000] \"GET /show/1.ts HTTP/1.1\" 200 1 \"-\" \"-\"\n",
            viewer(number)
        )
    };
    let log = |numbers: std::ops::Range<i64>| numbers.map(line).collect::<String>();
    let answer = count(&cloud, &function, "logs/1", log(0..4096).as_bytes()).await;

    assert_eq!(
        (
            &answer["figures"][0]["viewers"],
            &answer["figures"][0]["exact"]
        ),
        (&json!(4096), &json!(true))
    );

    let answer = count(&cloud, &function, "logs/2", log(2000..60_000).as_bytes()).await;
    let viewers = answer["figures"][0]["viewers"].as_i64().unwrap();

    assert!(
        answer["figures"][0]["exact"] == false && (viewers - 60_000).abs() <= 1200,
        "{answer}"
    );
    assert_eq!(
        count(&cloud, &function, "logs/1", log(0..4096).as_bytes()).await["outcome"],
        "unchanged"
    );

    let sizes = cloud.s3().sizes(STATE, "viewers/");

    assert!(
        sizes.len() == 1 && sizes.values().all(|size| *size <= 64 << 10),
        "{sizes:?}"
    );
}

/// Promise P119. A minute without a log has no figure, and a table shows it as such.
#[tokio::test]
async fn viewers_who_left_are_a_zero_and_a_minute_without_a_log_is_nothing() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let line = |minute: i64, path: &str| {
        format!(
            "10.0.0.1 - - [01/Jan/2026:00:{minute:02}:20 +0000] \"GET {path} HTTP/1.1\" 200 1 \"-\" \"-\"\n"
        )
    };
    let log = line(0, "/show/1.ts") + &line(1, "/") + &line(2, "/") + &line(5, "/show/2.ts");
    // One log gives the same data points as one log per minute.
    let whole = count(&cloud, &function, "logs/1", log.as_bytes()).await;
    let figures = whole["figures"].as_array().unwrap();
    let viewers: Vec<_> = figures
        .iter()
        .map(|figure| (figure["minute"].as_str().unwrap(), &figure["viewers"]))
        .collect();
    let (zero, one) = (json!(0), json!(1));
    let at = [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:01:00Z",
        "2026-01-01T00:02:00Z",
        "2026-01-01T00:05:00Z",
    ];

    assert_eq!(
        viewers,
        [(at[0], &one), (at[1], &zero), (at[2], &zero), (at[3], &one)]
    );

    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    for (number, part) in log.lines().enumerate() {
        count(
            &cloud,
            &function,
            &format!("logs/{number}"),
            part.as_bytes(),
        )
        .await;
    }
    let zeros = function
        .stdout()
        .iter()
        .filter(|line| line.contains("\"viewers\":0"))
        .count();

    assert_eq!(zeros, 1, "{:?}", function.stdout());
}

/// Promises P119 and P123.
#[tokio::test]
async fn a_window_of_minutes_ends_with_a_zero_whichever_log_arrives_last() {
    let log = |minute: i64| {
        let path = if minute == 5 { "/show/1.ts" } else { "/" };
        format!(
            "10.0.0.1 - - [01/Jan/2026:00:{minute:02}:40 +0000] \"GET {path} HTTP/1.1\" 200 1 \"-\" \"-\"\n"
        )
    };
    let in_order: Vec<i64> = (3..=10).collect();
    let late: Vec<i64> = [3, 4, 6, 7, 8, 9, 10, 5].into();
    let zero_late: Vec<i64> = [3, 4, 5, 9, 10, 6, 8, 7].into();
    for (window_s, zero) in [("60", 6), ("90", 7), ("120", 7), ("180", 8)] {
        for order in [&in_order, &late, &zero_late] {
            let cloud = Cloud::stand_in();
            let function = start(&cloud, &[("WINDOW_SECONDS", window_s)]);
            let mut reported = BTreeMap::new();
            for minute in order {
                let answer = count(
                    &cloud,
                    &function,
                    &format!("logs/{minute}"),
                    log(*minute).as_bytes(),
                )
                .await;
                for figure in answer["figures"].as_array().unwrap() {
                    let minute: i64 = figure["minute"].as_str().unwrap()[14..16].parse().unwrap();
                    reported.insert(minute, figure["viewers"].as_i64().unwrap());
                }
            }
            let expected: BTreeMap<_, _> = (5..=zero)
                .map(|minute| (minute, i64::from(minute < zero)))
                .collect();

            assert_eq!(reported, expected, "{window_s} s, {order:?}");
        }
    }
}

/// Promise P121. Logs are nginx's and Apache's `combined`, CloudFront's standard logs, those of an
/// Application Load Balancer, and those of `origin/`.
#[tokio::test]
async fn lines_of_cloudwatch_logs_are_counted() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let audience = SimulatedAudience::new(20, 2, 10);
    let batch = |lines: &[LogLine]| {
        let events: Vec<_> = lines
            .iter()
            .map(|line| json!({"id": "1", "timestamp": 1, "message": line.text}))
            .collect();
        let message = json!({"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "web",
            "logStream": "i-1", "subscriptionFilters": ["onair"], "logEvents": events});
        subscription(&message)
    };
    for lines in audience.lines(1, stories::audience::onair).chunks(50) {
        let outcome = response(function.invoke(batch(lines)).await)["outcome"].take();

        // All viewers of a batch may be in earlier ones.
        assert!(outcome == "counted" || outcome == "unchanged", "{outcome}");
    }

    assert_eq!(reported(&function), audience.truth(60));

    let fresh = start(&cloud, &[("VIEWER_SECRET", "a secret of its own")]);
    let documented = [
        ("count-viewers/subscription.json", "counted"),
        ("count-viewers/subscription-control.json", "ignored"),
    ];
    for (file, expected) in documented {
        assert_eq!(
            response(fresh.invoke(event(file)).await)["outcome"],
            expected,
            "{file}"
        );
    }
}

/// Promise P121. Logs are nginx's and Apache's `combined`, CloudFront's standard logs, those of an
/// Application Load Balancer, and those of `origin/`.
#[tokio::test]
async fn the_key_decides_what_identifies_a_viewer() {
    let open = SimulatedAudience::new(60, 3, 14);
    // Viewers behind one address, with different players and sessions.
    let mut house = open.clone();
    for (number, viewer) in house.viewers.iter_mut().enumerate() {
        viewer.address = "203.0.113.1".to_owned();
        viewer.agent = format!("Player/{number}");
    }
    let forwarded = text(&open.lines(1, forwarded));
    let cloudfront = CLOUDFRONT_HEAD.to_owned() + &text(&house.lines(1, cloudfront));
    let one = |truth: ViewerCounts| {
        truth
            .into_keys()
            .map(|of| (of, 1))
            .collect::<ViewerCounts>()
    };
    let rows = [
        (
            "x-forwarded-for",
            "10.255.0.0/16",
            &forwarded,
            open.truth(60),
        ),
        // The proxy is not trusted, so all requests come from one viewer: the proxy.
        (
            "x-forwarded-for",
            "192.0.2.0/24",
            &forwarded,
            one(open.truth(60)),
        ),
        ("address", "", &forwarded, one(open.truth(60))),
        ("address+agent", "", &cloudfront, house.truth(60)),
        ("cmcd-sid", "", &cloudfront, house.truth(60)),
        ("address", "", &cloudfront, one(house.truth(60))),
    ];
    for (key, proxies, log, truth) in rows {
        let cloud = Cloud::stand_in();
        let function = start(&cloud, &[("VIEWER_KEY", key), ("TRUSTED_PROXIES", proxies)]);
        let answer = count(&cloud, &function, "logs/1", log.as_bytes()).await;

        assert_eq!(answer["key"], key);
        assert_eq!(reported(&function), truth, "{key} {proxies}");
    }
    // A log without the key is an error, and not a log without viewers.
    let cloud = Cloud::stand_in();
    cloud.s3().put(BUCKET, "logs/1", forwarded);
    let function = start(&cloud, &[("VIEWER_KEY", "cmcd-sid")]);
    let (kind, message) = error(function.invoke(delivered("logs/1")).await);
    let expected = "requests lack the key cmcd-sid (VIEWER_KEY)";

    assert!(
        kind == "BadEvent" && message.contains(expected),
        "{message}"
    );
}

/// Promise P119. A minute without a log has no figure, and a table shows it as such.
#[tokio::test]
async fn a_data_point_is_partial_until_all_minutes_of_its_window_have_logs() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[("WINDOW_SECONDS", "120")]);
    let line = |minute: i64| {
        format!(
            "10.0.0.1 - - [01/Jan/2026:00:{minute:02}:20 +0000] \"GET /show/1.ts HTTP/1.1\" 200 1 \"-\" \"-\"\n"
        )
    };
    let partial = |answer: &Value| {
        let figures = answer["figures"].as_array().unwrap().iter();
        let marked = figures.map(|figure| {
            (
                figure["minute"].as_str().unwrap()[14..16].to_owned(),
                figure["partial"] == true,
            )
        });
        marked.collect::<Vec<_>>()
    };
    let answer = count(&cloud, &function, "logs/5", line(5).as_bytes()).await;

    assert_eq!(partial(&answer), [("05".to_owned(), true)]);

    let answer = count(&cloud, &function, "logs/4", line(4).as_bytes()).await;

    assert_eq!(
        partial(&answer),
        [("04".to_owned(), true), ("05".to_owned(), false)]
    );

    let partial_lines = function
        .stdout()
        .iter()
        .filter(|line| line.contains(r#""partial":true"#) && line.contains("_aws"))
        .count();

    assert_eq!(partial_lines, 2, "{:?}", function.stdout());
}

/// Packs a message as CloudWatch Logs does.
fn subscription(message: &Value) -> Value {
    use base64::Engine as _;
    let data =
        base64::engine::general_purpose::STANDARD.encode(gzip(message.to_string().as_bytes()));
    json!({"awslogs": {"data": data}})
}

/// A set of 8,000 viewers takes 147 KB. 200 minutes in memory once are 29 MB.
#[tokio::test]
async fn a_long_log_of_many_viewers_is_in_memory_once() {
    const MINUTES: i64 = 200;
    const MOST_BYTES: u64 = 72 << 20;
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    for minute in 0..MINUTES {
        let at = chrono::DateTime::from_timestamp(BEGIN_S + minute * 60, 0).unwrap();
        let at = at.format("%d/%b/%Y:%H:%M:%S +0000").to_string();
        for viewer in 0..8000 {
            let (c, d) = (viewer / 200, viewer % 200);
            writeln!(
                packed,
                "10.0.{c}.{d} - - [{at}] \"GET /show/1.ts HTTP/1.1\" 200 1"
            )
            .unwrap();
        }
    }
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    cloud
        .s3()
        .put(BUCKET, "logs/1.gz", packed.finish().unwrap());
    // A debug build takes long.
    let answer = function
        .invoke_within(delivered("logs/1.gz"), Duration::from_secs(300))
        .await;

    assert_eq!(response(answer)["counted"], 8000 * MINUTES);

    // `None` on systems without /proc.
    let peak_bytes = function.peak_rss_bytes();

    assert!(
        peak_bytes.is_none_or(|peak| peak < MOST_BYTES),
        "{peak_bytes:?}"
    );
}

/// Promise P125. A dry run reports the figures of a real run, stores nothing, and reports no
/// metric.
#[tokio::test]
async fn a_dry_run_reports_data_points_and_stores_nothing() {
    let cloud = Cloud::stand_in();
    let audience = SimulatedAudience::new(20, 2, 11);
    let log = text(&audience.lines(1, combined));
    cloud.s3().put(BUCKET, "logs/1", log);
    let by_setting = start(&cloud, &[("DRY_RUN", "true")]);
    let by_event = start(&cloud, &[]);
    let mut dry = event("count-viewers/dry-run.json");
    dry["detail"] = delivered("logs/1")["detail"].take();
    for (function, event) in [(&by_setting, delivered("logs/1")), (&by_event, dry)] {
        let answer = response(function.invoke(event).await);

        assert_eq!(answer["outcome"], "planned");
        assert_eq!(
            answer["figures"].as_array().unwrap().len(),
            audience.truth(60).len()
        );
        assert!(cloud.s3().keys(STATE, "viewers/").is_empty() && reported(function).is_empty());
    }
    // An error does not claim that something was counted.
    cloud.s3().put(BUCKET, "logs/1", "no line\n");
    let (_, message) = error(by_setting.invoke(delivered("logs/1")).await);

    assert!(
        message.ends_with("nothing is counted in a dry run"),
        "{message}"
    );
}
