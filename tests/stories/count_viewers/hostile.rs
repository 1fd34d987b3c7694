//! Files that are not logs, and logs that an attacker made.

use super::{STATE, count, delivered, gzip, reported, start, subscription, text};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;
use stories::audience::{SimulatedAudience, combined};
use stories::{BUCKET, Cloud, error, response};

/// The part of a damaged log that is counted.
enum Part {
    Whole,
    Some,
    Nothing,
}

/// A log with malformed lines, and their number.
fn broken(log: &str) -> (Vec<u8>, u64) {
    let long = "x".repeat(1 << 20);
    let address =
        r#"unix: - - [01/Jan/2026:00:00:10 +0000] "GET /live/show/1.ts HTTP/1.1" 200 1 "-" "-""#;
    let rows: [&[u8]; 8] = [
        b"\x00\xff\xfe\x80 binary \x1b[31m",
        long.as_bytes(),
        b"10.0.0.1 - - [99/Foo/2026:00:00:10 +0000] \"GET /live/show/1.ts HTTP/1.1\" 200 1",
        b"10.0.0.1 - - [01/Jan/2026:00:00:10 +0000] \"GET /live/show/1.ts HTTP/1.1 200 1",
        b"10.0.0.1 - - [01/Jan/2026:00:00:10 +0000] \"GET /live/show/1.ts HTTP/1.1\" OK 1",
        address.as_bytes(),
        b"\"\"\"\"\"\"",
        b"   ",
    ];
    let mut bytes = Vec::new();
    for (number, line) in log.lines().enumerate() {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        if let Some(row) = rows.get(number) {
            bytes.extend_from_slice(row);
            bytes.extend_from_slice(if number % 2 == 0 { b"\n" } else { b"\r\n" });
        }
    }
    (bytes, u64::try_from(rows.len()).unwrap())
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[tokio::test]
async fn malformed_lines_are_counted_apart_and_the_others_are_counted() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let audience = SimulatedAudience::new(30, 3, 20);
    let (log, malformed) = broken(&text(&audience.lines(1, combined)));
    let answer = count(&cloud, &function, "logs/1", &log).await;

    assert_eq!(
        (&answer["outcome"], &answer["malformed"]),
        (&json!("counted"), &json!(malformed)),
        "{answer}"
    );
    assert_eq!(answer["note"], "line 2: not in the format combined");
    assert_eq!(reported(&function), audience.truth(60));

    // Requests that failed, and requests for other files, are not counted.
    let other = r#"10.9.9.9 - - [01/Jan/2026:00:00:10 +0000] "GET /live/show/1.ts HTTP/1.1" 404 1 "-" "-"
10.9.9.9 - - [01/Jan/2026:00:00:10 +0000] "HEAD /live/show/1.ts HTTP/1.1" 200 1 "-" "-"
10.9.9.9 - - [01/Jan/2026:00:00:10 +0000] "GET /live/show/poster.jpg HTTP/1.1" 200 1 "-" "-"
10.9.9.9 - - [01/Jan/2026:00:00:10 +0000] "\x16\x03\x01\x00" 400 1 "-" "-"
"#;
    let answer = count(&cloud, &function, "logs/2", other.as_bytes()).await;

    assert_eq!(
        (&answer["outcome"], &answer["other"]),
        (&json!("unchanged"), &json!(4)),
        "{answer}"
    );
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[tokio::test]
async fn the_readable_part_of_a_damaged_log_is_counted_and_the_error_reported() {
    let audience = SimulatedAudience::new(300, 3, 21);
    let log = text(&audience.lines(1, combined));
    let packed = gzip(log.as_bytes());
    let cut = packed[..packed.len() / 2].to_vec();
    let mut wrong = packed.clone();
    let end = wrong.len() - 6;
    wrong[end] ^= 0x55;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    bomb.write_all(log.as_bytes()).unwrap();
    let zeros = vec![0; 16 << 20];
    (0..257).for_each(|_| bomb.write_all(&zeros).unwrap());
    let bomb = bomb.finish().unwrap();
    let rows = [
        (
            "cut off",
            cut,
            "gzip data is damaged or cut off",
            Part::Some,
        ),
        (
            "with a wrong checksum",
            wrong,
            "gzip data is damaged or cut off",
            Part::Whole,
        ),
        (
            "a bomb",
            bomb,
            "decompressed size exceeds 4294967296 bytes",
            Part::Whole,
        ),
        (
            "zstd",
            b"\x28\xb5\x2f\xfd\x04\x00".to_vec(),
            "compressed with zstd; only gzip is supported",
            Part::Nothing,
        ),
        (
            "no gzip",
            b"\x1f\x8b is no gzip".to_vec(),
            "gzip data is damaged or cut off",
            Part::Nothing,
        ),
        (
            "a picture",
            b"\x89PNG\r\n\x1a\n\x00\x00".to_vec(),
            "no viewer can be counted: 3 lines cannot be parsed; line 1: unknown log format",
            Part::Nothing,
        ),
    ];
    for (what, log, expected, part) in rows {
        let cloud = Cloud::stand_in();
        let function = start(&cloud, &[]);
        cloud.s3().put(BUCKET, "logs/1", log);
        let (kind, message) = error(function.invoke(delivered("logs/1")).await);

        assert_eq!(kind, "BadEvent");
        assert!(
            message.starts_with("s3://") && message.contains(expected),
            "{what}: {message}"
        );

        // The readable part is stored and reported.
        let (counts, truth) = (reported(&function), audience.truth(60));

        assert_eq!(
            cloud.s3().keys(STATE, "viewers/").is_empty(),
            counts.is_empty(),
            "{what}"
        );

        match part {
            Part::Whole => assert_eq!(counts, truth, "{what}"),
            Part::Some => {
                assert!(!counts.is_empty() && counts != truth, "{what}");
                assert!(
                    counts.iter().all(|(of, viewers)| truth[of] >= *viewers),
                    "{what}"
                );
            }
            Part::Nothing => assert!(counts.is_empty(), "{what}"),
        }
    }
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[tokio::test]
async fn other_objects_are_ignored_and_bad_events_are_not_quoted() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let mut ours = delivered("viewers/0123/2026-01-01/0000.json");
    ours["detail"]["bucket"]["name"] = STATE.into();
    for event in [
        ours,
        delivered("logs/"),
        delivered("alb/AWSLogs/123456789012/ELBAccessLogTestFile"),
        json!({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}),
        json!({"source": "aws.ivs", "detail-type": "IVS Recording State Change", "detail": {}}),
    ] {
        assert_eq!(
            response(function.invoke(event.clone()).await)["outcome"],
            "ignored",
            "{event}"
        );
    }
    let data = |data: &str| json!({"awslogs": {"data": data}});
    let secret = "secret-of-a-viewer";
    let rows: [(Value, &str); 12] = [
        (json!(null), "not an EventBridge event"),
        (json!([]), "not an EventBridge event"),
        (json!({"awslogs": []}), "not an event of CloudWatch Logs"),
        (
            json!({"awslogs": {"data": 7}}),
            "not an event of CloudWatch Logs",
        ),
        (data(secret), "is not base64"),
        (data("AAAA"), "is not gzip"),
        (
            subscription(&json!([secret])),
            "is not what CloudWatch Logs sends",
        ),
        (
            subscription(
                &json!({"messageType": secret, "owner": "", "logGroup": "", "logStream": "",
                "subscriptionFilters": [], "logEvents": []}),
            ),
            "has an unknown messageType",
        ),
        (
            subscription(&json!({"messageType": secret})),
            "is not what CloudWatch Logs sends",
        ),
        (
            subscription(&json!({"messageType": "DATA_MESSAGE", "logEvents": [{"message": 7}]})),
            "is not what CloudWatch",
        ),
        (
            json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {}}}),
            "the detail of the event \"Object Created\" is not valid",
        ),
        (
            {
                let mut event = delivered("logs/1");
                event["onair"] = json!({"dryrun": true});
                event
            },
            "dryrun",
        ),
    ];
    for (event, expected) in rows {
        let (kind, message) = error(function.invoke(event.clone()).await);

        assert!(
            kind == "BadEvent" && message.contains(expected) && !message.contains(secret),
            "{event}: {message}"
        );
    }
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[tokio::test]
async fn streams_beyond_the_limit_are_dropped_and_reported() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let line = |number| {
        format!(
            "10.0.0.1 - - [01/Jan/2026:00:00:10 +0000] \"GET /show-{number:03}x/1.ts HTTP/1.1\" 200 1 \"-\" \"-\"\n"
        )
    };
    let log: String = (0..80).map(line).collect();
    let answer = count(&cloud, &function, "logs/1", log.as_bytes()).await;

    assert_eq!(
        (
            &answer["dropped"],
            answer["figures"].as_array().unwrap().len()
        ),
        (&json!(30), 50),
        "{answer}"
    );

    // The streams that were counted first stay.
    let answer = count(&cloud, &function, "logs/2", line(79).as_bytes()).await;

    assert_eq!(
        (&answer["outcome"], &answer["streams_dropped"]),
        (&json!("unchanged"), &json!(1)),
        "{answer}"
    );
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[tokio::test]
async fn the_limit_of_streams_holds_per_minute() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let log = |minute: i64| {
        let line = |number: i64| {
            format!(
                "10.0.0.1 - - [01/Jan/2026:00:{minute:02}:10 +0000] \"GET /at-{minute}-{number:02}x/1.ts HTTP/1.1\" 200 1\n"
            )
        };
        (0..30).map(line).collect::<String>()
    };
    for (minute, figures) in [(0, 30), (1, 60), (2, 60)] {
        let answer = count(
            &cloud,
            &function,
            &format!("logs/{minute}"),
            log(minute).as_bytes(),
        )
        .await;

        // Each stream of the minute before has a 0.
        assert_eq!(
            answer["figures"].as_array().unwrap().len(),
            figures,
            "{answer}"
        );
        assert_eq!(
            (&answer["dropped"], &answer["streams_dropped"]),
            (&Value::Null, &Value::Null),
            "{answer}"
        );
    }
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[tokio::test]
async fn a_few_requests_without_the_key_are_counted_and_many_are_an_error() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[("VIEWER_KEY", "cmcd-sid")]);
    let line = |query: &str| {
        format!(
            "10.0.0.1 - - [01/Jan/2026:00:00:10 +0000] \"GET /show/1.ts{query} HTTP/1.1\" 200 1\n"
        )
    };
    let (without, with) = (line(""), line("?CMCD=sid%3D%22a%22"));
    let broken = "no line\n";
    let rows = [
        ("one", without.clone(), 1, 0),
        ("one and a broken one", without.clone() + broken, 1, 1),
        ("99", without.repeat(99), 99, 0),
        ("many, and one with", without.repeat(1000) + &with, 1000, 0),
    ];
    for (what, log, unkeyed, malformed) in rows {
        let answer = count(&cloud, &function, "logs/1", log.as_bytes()).await;

        assert_eq!(answer["unkeyed"], unkeyed, "{what}: {answer}");
        assert_eq!(
            answer["malformed"].as_u64().unwrap_or_default(),
            malformed,
            "{what}: {answer}"
        );
    }
    let rows = [
        (
            without.repeat(100) + broken,
            "100 requests lack the key cmcd-sid (VIEWER_KEY)",
        ),
        (
            broken.to_owned(),
            "1 lines cannot be parsed; line 1: unknown log format",
        ),
    ];
    for (log, expected) in rows {
        cloud.s3().put(BUCKET, "logs/2", log);
        let (kind, message) = error(function.invoke(delivered("logs/2")).await);

        assert!(
            kind == "BadEvent" && message.contains(expected),
            "{message}"
        );
    }
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[tokio::test]
async fn a_log_with_too_many_minutes_is_refused() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let line = |number: i64| {
        let at = chrono::DateTime::from_timestamp(number * 86_400, 0)
            .unwrap()
            .format("%d/%b/%Y:%H:%M:%S +0000");
        format!("10.0.0.1 - - [{at}] \"GET /show/1.ts HTTP/1.1\" 200 1 \"-\" \"-\"\n")
    };
    let log: String = (0..3000).map(line).collect();
    cloud.s3().put(BUCKET, "logs/1", log);
    let (kind, message) = error(function.invoke(delivered("logs/1")).await);

    assert!(
        kind == "BadEvent"
            && message.contains("log contains lines of more than 1500 different minutes"),
        "{message}"
    );
    assert!(cloud.s3().keys(STATE, "viewers/").is_empty());
}

/// Promise P127. A stored minute that is damaged is named, and not overwritten.
#[tokio::test]
async fn a_damaged_stored_minute_is_named_and_not_overwritten() {
    let audience = SimulatedAudience::new(20, 2, 22);
    let log = text(&audience.lines(1, combined));
    let cloud = Cloud::stand_in();
    count(&cloud, &start(&cloud, &[]), "logs/1", log.as_bytes()).await;
    let key = cloud.s3().keys(STATE, "viewers/")[0].clone();
    for damage in [
        "",
        "{}",
        "\u{0}",
        r#"{"version":2,"minute":"2026-01-01T00:00:00Z","key":"address","streams":{}}"#,
    ] {
        cloud.s3().put(STATE, &key, damage.to_owned());
        let (kind, message) = error(start(&cloud, &[]).invoke(delivered("logs/1")).await);

        assert!(
            kind == "Config" && message.contains(&key) && message.contains("Delete it"),
            "{message}"
        );
        assert_eq!(
            cloud.s3().object(STATE, &key).unwrap().body,
            damage.as_bytes()
        );
    }
    cloud.s3().delete(STATE, &key);
    let function = start(&cloud, &[]);

    assert_eq!(
        response(function.invoke(delivered("logs/1")).await)["outcome"],
        "counted"
    );
    assert_eq!(reported(&function), audience.truth(60));
}
