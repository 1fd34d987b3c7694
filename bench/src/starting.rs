//! How long a new process takes: to its first `/next`, and from an event to the first answers of S3 over TLS.

use crate::{BUCKET, binary, event, median, table};
use anyhow::{Context, Result};
use stand_in::ivs::Recording;
use stand_in::{Answer, Function, S3, Versioning};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// A start is short, so it is measured more often than other things.
const STARTS_PER_RUN: usize = 6;

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
    // In turn, so that a slow moment of the machine strikes all alike.
    for _ in 0..runs * STARTS_PER_RUN {
        for ((_, program), times) in programs.iter().zip(&mut measured) {
            times.push(start(&s3, program, &ca_file).await?);
        }
    }
    let middle = |times: &[Times], which: fn(&Times) -> f64| median(times.iter().map(which).collect());
    let bare = middle(&measured[0], |times| times.init)?;
    let ours = middle(&measured[1], |times| times.init + times.first)?;
    let mut rows = Vec::new();
    for ((name, _), times) in programs.iter().zip(&measured) {
        let init = middle(times, |times| times.init)?;
        let (first, second) = (middle(times, |times| times.first)?, middle(times, |times| times.second)?);
        let no_s3 = *name == "bare lambda_runtime";
        let unless_bare = |text: String| if no_s3 { "-".to_owned() } else { text };
        rows.push([
            (*name).to_owned(),
            format!("{init:.1} ms"),
            format!("{:.2}", init / bare),
            unless_bare(format!("{first:.1} ms")),
            unless_bare(format!("{second:.1} ms")),
            unless_bare(format!("{:.1}", (init + first) / ours)),
        ]);
    }
    let head = [
        "",
        "start to /next",
        "x bare",
        "first event to answer",
        "second event",
        "start to answer, x On Air",
    ];
    table::print("Start-up, S3 over TLS (On Air asks S3 seven things at once, boto3 one)", head, rows);
    Ok(())
}

/// The event names a recording that is not there: all of the first reads, and nothing after them.
async fn start(s3: &S3, program: &std::path::Path, ca_file: &str) -> Result<Times> {
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
    let event = event(&Recording::default());
    let mut answers = [0.0; 2];
    for answer in &mut answers {
        // The process has asked for work before the time of the first event starts to run.
        while function.first_next_at().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            anyhow::ensure!(function.started_at().elapsed().as_secs() < 20, "{:?}", function.stderr());
        }
        let begin = Instant::now();
        let answered = function.invoke(event.clone()).await;
        *answer = begin.elapsed().as_secs_f64() * 1_000.0;
        anyhow::ensure!(!matches!(answered, Answer::Died { .. }), "{answered:?}: {:?}", function.stderr());
    }
    let init = function.first_next_at().context("it never asked for work")? - function.started_at();
    Ok(Times { init: init.as_secs_f64() * 1_000.0, first: answers[0], second: answers[1] })
}
