//! How long a new process takes: to its first `/next`, and from an event to the first answers of S3
//! over TLS.

use crate::{BUCKET, ended, median, table};
use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use scenes::binary;
use scenes::fleet::Fleet;
use scenes::lambda::{Environment, Lambda};
use scenes::pair::Pair;
use scenes::recording::Archive;
use stand_in::ivs::Recording;
use stand_in::{Answer, S3, SyntheticStream};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A start is short, so it is measured more often than other things.
const STARTS_PER_RUN: usize = 6;
/// The functions whose start alone is measured.
const OTHERS: [&str; 5] = [
    "publish-playlist",
    "fail-over",
    "fail-back",
    "complete-lifecycle",
    "count-viewers",
];

/// Milliseconds.
#[derive(Clone, Copy)]
struct Times {
    init: f64,
    first: f64,
    second: f64,
}

/// Which certificates a program trusts: variables of OpenSSL, and of the AWS CLI.
type Trusted<'a> = [(&'static str, &'a str); 3];

pub(crate) async fn measure(runs: usize) -> Result<()> {
    eprintln!("starting");
    let archive = Archive::new(S3::builder().tls().start(), BUCKET);
    let mut ca = tempfile::NamedTempFile::new()?;
    // All certificates that the system trusts, as a function reads them in Lambda.
    ca.write_all(&std::fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default())?;
    ca.write_all(
        archive
            .s3
            .ca_pem()
            .context("the server has no certificate")?
            .as_bytes(),
    )?;
    let ca_file = ca.path().display().to_string();
    // Debian has each certificate a second time in a folder, which would be read as well.
    let no_others = tempfile::tempdir()?;
    let no_others = no_others.path().display().to_string();
    let trusted = [
        ("SSL_CERT_FILE", ca_file.as_str()),
        ("SSL_CERT_DIR", &no_others),
        ("AWS_CA_BUNDLE", &ca_file),
    ];
    let python =
        PathBuf::from(std::env::var("ONAIR_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    let handler = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/boto3_function.py");
    let script = tempfile::Builder::new().suffix(".sh").tempfile()?;
    std::fs::write(
        script.path(),
        format!("#!/bin/sh\nexec {} {handler}\n", python.display()),
    )?;
    std::fs::set_permissions(
        script.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let script = script.into_temp_path();

    let programs = [
        ("bare lambda_runtime", binary("bare-function")?),
        ("On Air prune-recording", binary("prune-recording")?),
        ("boto3", script.to_path_buf()),
    ];
    let mut measured: [Vec<Times>; 3] = Default::default();
    let mut others: [Vec<f64>; OTHERS.len()] = Default::default();
    let (show, fleet) = (
        Pair::with([SyntheticStream::default(), SyntheticStream::default()]),
        Fleet::new(),
    );
    let others_environment = environment(&show, &fleet, trusted);
    // In turn, so that a slow moment of the machine strikes all alike.
    for _ in 0..runs * STARTS_PER_RUN {
        for ((_, program), times) in programs.iter().zip(&mut measured) {
            times.push(start(&archive, program, trusted).await?);
        }
        for (name, times) in OTHERS.iter().zip(&mut others) {
            times.push(ms(Lambda::start(name, others_environment.clone())?
                .started()
                .await?));
        }
    }
    let middle =
        |times: &[Times], which: fn(&Times) -> f64| median(times.iter().map(which).collect());
    let bare = middle(&measured[0], |times| times.init)?;
    let ours = middle(&measured[1], |times| times.init + times.first)?;
    let mut rows = Vec::new();
    for ((name, program), times) in programs.iter().zip(&measured) {
        let init = middle(times, |times| times.init)?;
        let (first, second) = (
            middle(times, |times| times.first)?,
            middle(times, |times| times.second)?,
        );
        let no_s3 = *name == "bare lambda_runtime";
        let unless_bare = |text: String| if no_s3 { "-".to_owned() } else { text };
        rows.push([
            (*name).to_owned(),
            if *name == "boto3" {
                "-".to_owned()
            } else {
                zipped(program)?
            },
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
    table::print(
        "Start-up, S3 over TLS (On Air asks S3 seven things at once, boto3 one)",
        head,
        rows,
    );
    Ok(())
}

/// What Lambda stores of a program: its size in a zip file.
fn zipped(program: &Path) -> Result<String> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(&std::fs::read(program)?)?;
    Ok(format!("{:.2} MB", deflate.finish()?.len() as f64 / 1e6))
}

/// What the other functions need to start; each takes its own.
fn environment(show: &Pair, fleet: &Fleet, trusted: Trusted<'_>) -> Environment {
    let more = [
        ("STATE_BUCKET", "state"),
        ("VIEWER_SECRET", "0123456789abcdef"),
    ];
    [show.environment(&trusted), fleet.environment(&more)].concat()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The event names a recording that is not there: all of the first reads, and nothing after them.
async fn start(archive: &Archive, program: &Path, trusted: Trusted<'_>) -> Result<Times> {
    let more = [("KEEP_RENDITIONS", "highest"), ("PATH", "/usr/bin:/bin")];
    let environment = archive.environment(&[trusted.as_slice(), &more].concat());
    let function = Lambda::start_binary(&program.display().to_string(), program, environment);
    // The process has asked for work before the time of the first event starts to run.
    let init = ms(function.started().await?);
    let ended = ended(&Recording::default())?;
    let mut answers = [0.0; 2];
    for answer in &mut answers {
        let begin = Instant::now();
        let answered = function.invoke(ended.clone()).await;
        *answer = ms(begin.elapsed());
        ensure!(
            !matches!(answered, Answer::Died { .. }),
            "{answered:?}: {:?}",
            function.stderr()
        );
    }
    Ok(Times {
        init,
        first: answers[0],
        second: answers[1],
    })
}
