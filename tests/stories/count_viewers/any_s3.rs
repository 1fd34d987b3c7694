//! Stories that run against any S3: the stand-in, and moto under the role of the template.

use super::{count, delivered, gzip, reported, start, text};
use std::process;
use stories::audience::{CLOUDFRONT_HEAD, SimulatedAudience, alb, cloudfront, combined, onair};
use stories::{Cloud, error};

/// A secret per story and run. All stories count the same minutes, and moto keeps them from one run
/// to the next. The secret is part of their names, so each story starts without stored minutes.
fn secret(story: &str) -> String {
    format!("a secret of {story} in run {:010}", process::id())
}

/// Promise P121. Logs are nginx's and Apache's `combined`, CloudFront's standard logs, those of an
/// Application Load Balancer, and those of `origin/`.
#[tokio::test]
async fn a_log_of_each_format_plain_or_gzip_is_counted() {
    let audience = SimulatedAudience::new(30, 3, 12);
    let formats: [(&str, String); 4] = [
        ("combined", text(&audience.lines(1, combined))),
        (
            "cloudfront",
            CLOUDFRONT_HEAD.to_owned() + &text(&audience.lines(1, cloudfront)),
        ),
        ("alb", text(&audience.lines(1, alb))),
        ("onair", text(&audience.lines(1, onair))),
    ];
    for (format, log) in formats {
        for setting in ["auto", format] {
            for (packed, log) in [
                ("plain", log.clone().into_bytes()),
                ("gz", gzip(log.as_bytes())),
            ] {
                let cloud = Cloud::any().await;
                let secret = secret(&format!("{format} {setting} {packed}"));
                let function = start(
                    &cloud,
                    &[("LOG_FORMAT", setting), ("VIEWER_SECRET", &secret)],
                );
                let key = format!("logs/{format}-{setting}.{packed}");
                let answer = count(&cloud, &function, &key, &log).await;

                assert_eq!(answer["outcome"], "counted", "{format} {setting} {packed}");
                assert_eq!(
                    reported(&function),
                    audience.truth(60),
                    "{format} {setting} {packed}"
                );
            }
        }
    }
}

/// Promises P121 and P122.
#[tokio::test]
async fn a_minute_in_two_logs_is_counted_as_one() {
    let cloud = Cloud::any().await;
    let audience = SimulatedAudience::new(30, 3, 13);
    let lines = audience.lines(2, combined);
    let secret = secret("two logs");
    let settings = [("VIEWER_SECRET", secret.as_str()), ("WINDOW_SECONDS", "90")];
    let function = start(&cloud, &settings);
    for server in [0, 1, 0] {
        let log = text(lines.iter().filter(|line| line.server == server));
        count(
            &cloud,
            &function,
            &format!("logs/server-{server}"),
            log.as_bytes(),
        )
        .await;
    }

    assert_eq!(reported(&function), audience.truth(90));
}

/// Promise P126. A malformed line is counted separately, whatever is in it, and the answer reports
/// where the first one is and why.
#[tokio::test]
async fn a_log_that_was_deleted_before_it_was_read_is_an_error() {
    let cloud = Cloud::any().await;
    let function = start(&cloud, &[]);
    let (kind, message) = error(function.invoke(delivered("logs/gone")).await);

    assert!(
        kind == "BadEvent" && message.contains("logs/gone does not exist: it was deleted"),
        "{message}"
    );
}
