//! How long a new process takes: to its first `/next`, and from an event to the first answers of S3 over TLS.

use crate::{BUCKET, binary, event, median, table};
use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use stand_in::ivs::Recording;
use stand_in::{ACCESS_KEY_ID, Answer, Function, REGION, S3, SECRET_ACCESS_KEY, Versioning};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A start is short, so it is measured more often than other things.
const STARTS_PER_RUN: usize = 6;
/// The functions whose start alone is measured.
const OTHERS: [&str; 5] =
    ["publish-playlist", "fail-over", "fail-back", "complete-lifecycle", "count-viewers"];

/// Milliseconds.
#[derive(Clone, Copy)]
struct Times {
    init: f64,
    first: f64,
    second: f64,
}

pub(crate) async fn measure(runs: usize) -> Result<()> {
    eprintln!("starting");
    let s3 = S3::builder().tls().start();
    s3.create_bucket(BUCKET, Versioning::Off);
    let mut ca = tempfile::NamedTempFile::new()?;
    ca.write_all(s3.ca_pem().context("the server has no certificate")?.as_bytes())?;
    let ca_file = ca.path().display().to_string();
    let python = PathBuf::from(std::env::var("ONAIR_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    let handler = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/boto3_function.py");
    let script = tempfile::Builder::new().suffix(".sh").tempfile()?;
    std::fs::write(script.path(), format!("#!/bin/sh\nexec {} {handler}\n", python.display()))?;
    std::fs::set_permissions(script.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let script = script.into_temp_path();

    let programs = [
        ("bare lambda_runtime", binary("bare-function")?),
        ("On Air prune-recording", binary("prune-recording")?),
        ("boto3", script.to_path_buf()),
    ];
    let mut measured: [Vec<Times>; 3] = Default::default();
    let mut others: [Vec<f64>; OTHERS.len()] = Default::default();
    // In turn, so that a slow moment of the machine strikes all alike.
    for _ in 0..runs * STARTS_PER_RUN {
        for ((_, program), times) in programs.iter().zip(&mut measured) {
            times.push(start(&s3, program, &ca_file).await?);
        }
        for (name, times) in OTHERS.iter().zip(&mut others) {
            let function = Function::start(&binary(name)?, environment(&s3.endpoint_url(), &ca_file));
            times.push(time_to_next(&function).await?);
        }
    }
    let middle = |times: &[Times], which: fn(&Times) -> f64| median(times.iter().map(which).collect());
    let bare = middle(&measured[0], |times| times.init)?;
    let ours = middle(&measured[1], |times| times.init + times.first)?;
    let mut rows = Vec::new();
    for ((name, program), times) in programs.iter().zip(&measured) {
        let init = middle(times, |times| times.init)?;
        let (first, second) = (middle(times, |times| times.first)?, middle(times, |times| times.second)?);
        let no_s3 = *name == "bare lambda_runtime";
        let unless_bare = |text: String| if no_s3 { "-".to_owned() } else { text };
        rows.push([
            (*name).to_owned(),
            if *name == "boto3" { "-".to_owned() } else { zipped(program)? },
            format!("{init:.1} ms"),
            format!("{:.2}", init / bare),
            unless_bare(format!("{first:.1} ms")),
            unless_bare(format!("{second:.1} ms")),
            unless_bare(format!("{:.1}", (init + first) / ours)),
        ]);
    }
    for (name, times) in OTHERS.iter().zip(others) {
        let init = median(times)?;
        let [none, no, not] = ["-", "-", "-"].map(str::to_owned);
        let ratio = format!("{:.2}", init / bare);
        rows.push([
            format!("On Air {name}"),
            zipped(&binary(name)?)?,
            format!("{init:.1} ms"),
            ratio,
            none,
            no,
            not,
        ]);
    }
    let head = [
        "",
        "zip",
        "start to /next",
        "x bare",
        "first event to answer",
        "second event",
        "start to answer, x On Air",
    ];
    table::print("Start-up, S3 over TLS (On Air asks S3 seven things at once, boto3 one)", head, rows);
    Ok(())
}

/// What Lambda stores of a program: its size in a zip file.
fn zipped(program: &Path) -> Result<String> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(&std::fs::read(program)?)?;
    Ok(format!("{:.2} MB", deflate.finish()?.len() as f64 / 1e6))
}

/// What every function needs to start; each takes its own.
fn environment(endpoint: &str, ca_file: &str) -> Vec<(String, String)> {
    let channel = "arn:aws:medialive:us-west-2:111122223333:channel:1234567";
    let settings = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("SSL_CERT_FILE", ca_file),
        ("PAIR", "show"),
        ("CONTROL_BUCKET", "control"),
        ("PUBLIC_BUCKET", "public"),
        ("SIDE_A_CHANNEL_ARN", channel),
        ("SIDE_A_ENDPOINT", "show-a"),
        ("SIDE_B_CHANNEL_ARN", channel),
        ("SIDE_B_ENDPOINT", "show-b"),
        ("AUTO_SCALING_GROUP", "web"),
        ("LAUNCH_HOOK", "onair-launch"),
        ("TERMINATE_HOOK", "onair-terminate"),
        ("PLAYBOOK_BUCKET", "fleet-bucket"),
        ("LOG_BUCKET", "fleet-bucket"),
        ("LOG_DOCUMENT", "onair-logs"),
        ("STATE_BUCKET", "state"),
        ("VIEWER_SECRET", "0123456789abcdef"),
    ];
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Milliseconds from the start of the process until it asks for work.
async fn time_to_next(function: &Function) -> Result<f64> {
    loop {
        if let Some(asked_at) = function.first_next_at() {
            return Ok((asked_at - function.started_at()).as_secs_f64() * 1_000.0);
        }
        ensure!(
            function.started_at().elapsed().as_secs() < 20,
            "it never asked for work: {:?}",
            function.stdout()
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The event names a recording that is not there: all of the first reads, and nothing after them.
async fn start(s3: &S3, program: &Path, ca_file: &str) -> Result<Times> {
    let endpoint = s3.endpoint_url();
    let environment = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("SSL_CERT_FILE", ca_file),
        ("AWS_CA_BUNDLE", ca_file),
        ("RECORDING_BUCKETS", BUCKET),
        ("KEEP_RENDITIONS", "highest"),
        ("PATH", "/usr/bin:/bin"),
    ];
    let function = Function::start(program, environment);
    // The process has asked for work before the time of the first event starts to run.
    let init = time_to_next(&function).await?;
    let event = event(&Recording::default());
    let mut answers = [0.0; 2];
    for answer in &mut answers {
        let begin = Instant::now();
        let answered = function.invoke(event.clone()).await;
        *answer = begin.elapsed().as_secs_f64() * 1_000.0;
        ensure!(!matches!(answered, Answer::Died { .. }), "{answered:?}: {:?}", function.stderr());
    }
    Ok(Times { init, first: answers[0], second: answers[1] })
}
