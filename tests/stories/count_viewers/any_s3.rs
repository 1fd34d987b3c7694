//! Stories that any S3 can tell: the stand-in, and moto under the template's own role.

use super::{count, delivered, gzip, reported, start, text};
use std::process;
use stories::audience::{CLOUDFRONT_HEAD, SimulatedAudience, alb, cloudfront, combined, onair};
use stories::{Cloud, error};

/// Minutes are kept under names that the secret goes into. All of these stories tell of the same
/// minutes, and an S3 that is not the stand-in keeps them from one run to the next.
fn secret(story: &str) -> String {
    format!("a secret of {story} in run {:010}", process::id())
}

/// Promise P121.
#[tokio::test]
async fn a_log_of_each_format_plain_or_packed_is_counted() {
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

/// Promise P126.
#[tokio::test]
async fn a_log_that_was_deleted_meanwhile_is_said_to_be_gone() {
    let cloud = Cloud::any().await;
    let function = start(&cloud, &[]);
    let (kind, message) = error(function.invoke(delivered("logs/gone")).await);
    assert!(
        kind == "BadEvent" && message.contains("logs/gone does not exist: it was deleted"),
        "{message}"
    );
}
