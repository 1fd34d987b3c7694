//! A real function's binary under the stand-in's Runtime API.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stand_in::{Answer, Function};

/// Cargo builds the package's examples along with its tests, beside them.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples/echo")
}

fn start(env: &[(&str, &str)]) -> Function {
    Function::start(&binary(), env.iter().copied())
}

#[tokio::test]
async fn a_function_answers_one_event_after_another() {
    let function = start(&[("SETTING", "yes"), ("AWS_REGION", "eu-west-1")]);
    let before_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let first = function
        .invoke_within(json!({"n": 1}), Duration::from_secs(7))
        .await
        .into_response();
    assert_eq!(first["event"], json!({"n": 1}));
    assert_eq!(
        first["arn"],
        "arn:aws:lambda:us-west-2:123456789012:function:echo"
    );
    let left_ms = u128::from(first["deadline_ms"].as_u64().unwrap()) - before_ms;
    assert!((7_000..60_000).contains(&left_ms), "{left_ms}");
    let names: Vec<_> = first["env"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        names.contains(&"SETTING") && names.contains(&"_HANDLER") && !names.contains(&"PATH"),
        "{names:?}"
    );

    assert_eq!(
        function.invoke(json!({"n": 2})).await.into_response()["event"],
        json!({"n": 2})
    );
    assert!(function.first_next_at().unwrap() > function.started_at());
    assert!(function.peak_rss_bytes().unwrap() > 1 << 20);
}

#[tokio::test]
async fn what_a_function_wrote_is_there_when_its_answer_is() {
    let function = start(&[]);
    for n in 0..20 {
        function
            .invoke(json!({"print": format!("line {n}")}))
            .await
            .into_response();
        assert_eq!(function.stdout().last().unwrap(), &format!("line {n}"));
        assert_eq!(function.stderr().last().unwrap(), &format!("line {n}"));
    }
    assert_eq!(function.stdout().len(), 20);
}

#[tokio::test]
async fn an_error_report_is_an_answer() {
    let function = start(&[]);
    let answer = function.invoke(json!({"fail": "no bucket"})).await;
    assert!(matches!(answer, Answer::Error { error_message, .. } if error_message == "no bucket"));
    function.invoke(json!({})).await.into_response();
}

#[tokio::test]
async fn an_end_without_an_answer_is_told() {
    let function = start(&[]);
    let died = Answer::Died {
        status: "exit status: 3".to_owned(),
    };
    assert_eq!(function.invoke(json!({"exit": 3})).await, died);
    assert_eq!(function.invoke(json!({})).await, died, "also later");
    assert_eq!(function.peak_rss_bytes(), None);
}

#[tokio::test]
async fn a_failed_start_is_told() {
    let function = start(&[("FAIL_TO_START", "BUCKET is missing")]);
    let (error_type, error_message) = ("Config".to_owned(), "BUCKET is missing".to_owned());
    assert_eq!(
        function.invoke(json!({})).await,
        Answer::InitError {
            error_type,
            error_message
        }
    );
}

#[tokio::test]
async fn a_kill_ends_the_invocation_under_way() {
    let function = start(&[]);
    function.invoke(json!({})).await.into_response();
    let invocation = function.invoke(json!({"hang": true}));
    let kill = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        function.kill();
    };
    let (answer, ()) = tokio::join!(invocation, kill);
    assert_eq!(
        answer,
        Answer::Died {
            status: "signal: 9 (SIGKILL)".to_owned()
        }
    );
}

#[tokio::test]
async fn the_time_limit_ends_the_process() {
    let function = start(&[]);
    let answer = function
        .invoke_within(json!({"hang": true}), Duration::from_millis(50))
        .await;
    assert_eq!(answer, Answer::TimedOut);
    assert!(matches!(
        function.invoke(json!({})).await,
        Answer::Died { .. }
    ));
}

#[test]
#[should_panic(expected = "/no/such/binary cannot be started")]
fn a_missing_binary_is_told() {
    Function::start(&PathBuf::from("/no/such/binary"), [("A", "B")]);
}
