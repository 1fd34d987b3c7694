//! The start of a new process: the time to its first `/next`, and from an event to the first
//! responses of S3 over TLS.

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
use tempfile::{NamedTempFile, TempPath};

/// A start is short, so it is measured more often.
const STARTS_PER_RUN: usize = 6;
/// The functions of which only the start is measured.
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

/// The certificates that a program trusts: variables of OpenSSL and of the AWS CLI.
type Trusted<'a> = [(&'static str, &'a str); 3];

pub(crate) async fn measure(runs: usize) -> Result<()> {
    eprintln!("starting");
    let archive = Archive::new(S3::builder().tls().start(), BUCKET);
    let ca = certificates(&archive)?;
    let ca_file = ca.path().display().to_string();
    // Debian also has each certificate in a folder, which a program would read as well.
    let empty = tempfile::tempdir()?;
    let empty = empty.path().display().to_string();
    let trusted = [
        ("SSL_CERT_FILE", ca_file.as_str()),
        ("SSL_CERT_DIR", &empty),
        ("AWS_CA_BUNDLE", &ca_file),
    ];
    let script = boto3_script()?;
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
    // In turn, so that a slow moment of the machine affects all alike.
    for _ in 0..runs * STARTS_PER_RUN {
        for ((_, program), times) in programs.iter().zip(&mut measured) {
            times.push(start(&archive, program, trusted).await?);
        }
        for (name, times) in OTHERS.iter().zip(&mut others) {
            let function = Lambda::start(name, others_environment.clone())?;
            times.push(ms(function.started().await?));
        }
    }
    print(&programs, &measured, &others)
}

/// A file with all certificates that the system trusts, as a function reads them in Lambda, and
/// with the one of the server.
fn certificates(archive: &Archive) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(&std::fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default())?;
    let own = archive.s3.ca_pem();
    let own = own.context("the server has no certificate")?;
    file.write_all(own.as_bytes())?;
    Ok(file)
}

/// An executable that runs the function in Python.
fn boto3_script() -> Result<TempPath> {
    let python =
        PathBuf::from(std::env::var("ONAIR_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    let handler = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/boto3_function.py");
    let script = tempfile::Builder::new().suffix(".sh").tempfile()?;
    std::fs::write(
        script.path(),
        format!("#!/bin/sh\nexec {} {handler}\n", python.display()),
    )?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(script.path(), executable)?;
    Ok(script.into_temp_path())
}

fn print(
    programs: &[(&str, PathBuf); 3],
    measured: &[Vec<Times>; 3],
    others: &[Vec<f64>],
) -> Result<()> {
    let bare = middle(&measured[0], |times| times.init)?;
    let ours = middle(&measured[1], |times| times.init + times.first)?;
    let mut rows = Vec::new();
    for ((name, program), times) in programs.iter().zip(measured) {
        rows.push(row(name, program, times, (bare, ours))?);
    }
    for (name, times) in OTHERS.iter().zip(others) {
        let init = median(times.clone())?;
        let none = || "-".to_owned();
        rows.push([
            format!("On Air {name}"),
            zipped(&binary(name)?)?,
            format!("{init:.1} ms"),
            format!("{:.2}", init / bare),
            none(),
            none(),
            none(),
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
        "Start-up, S3 over TLS (On Air sends seven concurrent requests to S3, boto3 one)",
        head,
        rows,
    );
    Ok(())
}

fn middle(times: &[Times], time: fn(&Times) -> f64) -> Result<f64> {
    median(times.iter().map(time).collect())
}

/// The last parameter has the times to which the ratios refer: `bare` to `/next`, `ours` to the
/// answer.
fn row(
    name: &str,
    program: &Path,
    times: &[Times],
    (bare, ours): (f64, f64),
) -> Result<[String; 7]> {
    let init = middle(times, |times| times.init)?;
    let first = middle(times, |times| times.first)?;
    let second = middle(times, |times| times.second)?;
    let has_s3 = name != "bare lambda_runtime";
    let with_s3 = |text: String| if has_s3 { text } else { "-".to_owned() };
    let zip = if name == "boto3" {
        "-".to_owned()
    } else {
        zipped(program)?
    };
    Ok([
        name.to_owned(),
        zip,
        format!("{init:.1} ms"),
        format!("{:.2}", init / bare),
        with_s3(format!("{first:.1} ms")),
        with_s3(format!("{second:.1} ms")),
        with_s3(format!("{:.1}", (init + first) / ours)),
    ])
}

/// The size of a program in a zip file, as Lambda stores it.
fn zipped(program: &Path) -> Result<String> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(&std::fs::read(program)?)?;
    Ok(format!("{:.2} MB", deflate.finish()?.len() as f64 / 1e6))
}

/// The environment of all other functions.
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

/// Sends an event for a recording that does not exist. The function only sends its first reads.
async fn start(archive: &Archive, program: &Path, trusted: Trusted<'_>) -> Result<Times> {
    let more = [("KEEP_RENDITIONS", "highest"), ("PATH", "/usr/bin:/bin")];
    let environment = archive.environment(&[trusted.as_slice(), &more].concat());
    let function = Lambda::start_binary(&program.display().to_string(), program, environment);
    // The process requests an event before the time of the first event starts.
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
