//! Each S3 call of a run fails once in each way, or the process is killed there. Then the same
//! event is sent again.

use super::{STATE, count, delivered, reported, start, text, together};
use stand_in::{Answer, Fault, Function};
use std::time::{Duration, Instant};
use stories::audience::{SimulatedAudience, combined};
use stories::faults::{Disruption, PreparedRun, every_request_disrupted, usual};
use stories::{BUCKET, Cloud, error, response};

/// Promise P128. Whichever request fails, and wherever the process dies, the same event again
/// reaches the same end state and reports the same figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_failure_or_kill_the_same_event_reaches_the_same_end_state() {
    let audience = SimulatedAudience::new(30, 2, 30);
    let lines = audience.lines(2, combined);
    let logs = [0, 1].map(|server| text(lines.iter().filter(|line| line.server == server)));
    // The first log was counted. Another process counts the second.
    let before = async || {
        let cloud = Cloud::stand_in();
        for (server, log) in logs.iter().enumerate() {
            cloud
                .s3()
                .put(BUCKET, &format!("logs/{server}"), log.clone());
        }
        let first = start(&cloud, &[]);
        response(first.invoke(delivered("logs/0")).await);
        cloud.s3().reset_calls();
        let function = start(&cloud, &[]);
        let (traffic, event) = (cloud.s3().traffic().clone(), delivered("logs/1"));
        PreparedRun {
            world: (cloud, first),
            traffic,
            function,
            event,
        }
    };
    let stored = |cloud: &Cloud| -> Vec<_> {
        let keys = cloud.s3().keys(STATE, "").into_iter();
        keys.map(|key| (key.clone(), cloud.s3().object(STATE, &key).unwrap().body))
            .collect()
    };
    let undisturbed = async |(cloud, first): (Cloud, Function), second: &Function, answer| {
        response(answer);

        assert_eq!(together(&[&first, second]), audience.truth(60));

        stored(&cloud)
    };
    let conflict = Fault::Status {
        status: 412,
        code: "PreconditionFailed",
    };
    let disruptions = [usual(), vec![Disruption::Fault(conflict)]].concat();
    let calls = every_request_disrupted(
        "two logs",
        &disruptions,
        before,
        undisturbed,
        async |expected, run| {
            // A refusal is not retried, and neither is the conflict of a read.
            let is_final = run.disruption.is_status(403) || run.disruption.is_status(412);
            let is_done = matches!(run.answer, Answer::Response(_));

            assert!(run.disruption.is_kill() || is_final || is_done, "{run}");

            // Lambda may retry in a new process.
            let (cloud, first) = &run.world;
            let third = start(cloud, &[]);
            let answer = third.invoke(delivered("logs/1")).await;

            assert!(matches!(answer, Answer::Response(_)), "{run}: {answer:?}");
            assert!(stored(cloud) == *expected, "{run}");
            assert_eq!(
                together(&[first, &run.function, &third]),
                audience.truth(60),
                "{run}"
            );
        },
    );
    let calls = calls.await;

    assert!(calls.len() >= 5, "{calls:?}");
}

/// Promise P122. Logs may arrive twice, late, in any order and several at once: adding the same log
/// again changes nothing (`unchanged`).
#[tokio::test]
async fn a_conflict_with_another_writer_is_retried() {
    const OTHERS: usize = 13;
    let cloud = Cloud::stand_in();
    let audience = SimulatedAudience::new(20, 1, 31);
    cloud
        .s3()
        .put(BUCKET, "logs/1", text(&audience.lines(1, combined)));
    // The first call reads the log. Each attempt is a GET and a PUT.
    for other in 0..OTHERS {
        cloud.s3().fault(
            2 + 2 * other,
            Fault::Status {
                status: 412,
                code: "PreconditionFailed",
            },
        );
    }
    let function = start(&cloud, &[]);

    assert_eq!(
        response(function.invoke(delivered("logs/1")).await)["outcome"],
        "counted"
    );
    assert_eq!(reported(&function), audience.truth(60));
}

/// Promise P122. Logs may arrive twice, late, in any order and several at once: adding the same log
/// again changes nothing (`unchanged`).
#[tokio::test]
async fn endless_conflicts_are_an_error_that_says_what_to_do() {
    let cloud = Cloud::stand_in();
    let function = start(&cloud, &[]);
    let mut audience = SimulatedAudience::new(20, 1, 32);
    let all = text(&audience.lines(1, combined));
    audience.viewers.truncate(10);
    count(
        &cloud,
        &function,
        "logs/0",
        text(&audience.lines(1, combined)).as_bytes(),
    )
    .await;
    let key = cloud.s3().keys(STATE, "viewers/")[0].clone();
    let stored = cloud.s3().snapshot(STATE);
    cloud.s3().refuse_put(STATE, &key, "PreconditionFailed");
    cloud.s3().put(BUCKET, "logs/1", all);
    // The function stops shortly before its deadline, and after a minute in any case.
    for (limit_s, least_s, most_s) in [(8, 1, 5), (150, 50, 70)] {
        let begun = Instant::now();
        let answer = function
            .invoke_within(delivered("logs/1"), Duration::from_secs(limit_s))
            .await;
        let waited_s = begun.elapsed().as_secs();

        assert!(
            (least_s..=most_s).contains(&waited_s),
            "{waited_s} s of {limit_s}"
        );

        let (kind, message) = error(answer);

        assert!(kind == "Incomplete" && message.contains(&key), "{message}");
        assert!(
            message.contains("PutObject s3://") && message.contains("send the event again"),
            "{message}"
        );
    }

    assert!(cloud.s3().snapshot(STATE) == stored);
}
