//! How fast access logs are read, beside GoAccess, and how far estimates are off.

use crate::{median, table};
use anyhow::{Context, Result, ensure};
use onair_core::count_viewers::viewer_key::ViewerSecret;
use onair_core::count_viewers::viewer_set::ViewerSet;
use scenes::access_log::{CLOUDFRONT_HEAD, Request, alb, cloudfront, combined, onair};
use scenes::program::onair as program;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::iter;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

const LINES: u32 = 2_000_000;
const VIEWERS: u32 = 20_000;
const SECONDS: u32 = 1_200;
/// 2026-01-01T00:00:00Z
const BEGIN_S: i64 = 1_767_225_600;

/// All panels that are not about visitors.
const OTHER_PANELS: [&str; 17] = [
    "REQUESTS",
    "REQUESTS_STATIC",
    "NOT_FOUND",
    "HOSTS",
    "OS",
    "BROWSERS",
    "VISIT_TIMES",
    "VIRTUAL_HOSTS",
    "REFERRERS",
    "REFERRING_SITES",
    "KEYPHRASES",
    "STATUS_CODES",
    "REMOTE_USER",
    "CACHE_STATUS",
    "GEO_LOCATION",
    "MIME_TYPE",
    "TLS_TYPE",
];

pub(crate) async fn measure(runs: usize) -> Result<()> {
    eprintln!("counting: writing logs of {LINES} lines");
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    write(&path("combined"), "", |request| combined(request, 0))?;
    write(&path("cloudfront"), CLOUDFRONT_HEAD, cloudfront)?;
    write(&path("alb"), "", alb)?;
    write(&path("onair"), "", onair)?;
    ensure!(
        Command::new("gzip")
            .args(["-k", "-6"])
            .arg(path("combined"))
            .status()
            .await?
            .success(),
        "gzip failed"
    );

    let viewers = program("viewers")?;
    let viewers = iter::once(viewers.get_program()).chain(viewers.get_args());
    let viewers: Vec<String> = viewers
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let ours = |log: &str| {
        let arguments = ["--json".to_owned(), path(log).display().to_string()];
        [viewers.as_slice(), &arguments].concat()
    };
    let combined = path("combined").display().to_string();
    let goaccess = |more: &[String]| {
        let usual = [
            "goaccess",
            &combined,
            "--log-format=COMBINED",
            "--no-progress",
            "--date-spec=min",
            "-o",
        ];
        let usual = usual
            .into_iter()
            .map(str::to_owned)
            .chain([path("report.json").display().to_string()]);
        usual.chain(more.iter().cloned()).collect::<Vec<_>>()
    };
    let only_visitors = OTHER_PANELS.map(|panel| format!("--ignore-panel={panel}"));
    let commands = [
        (
            "wc -l",
            vec!["wc".to_owned(), "-l".to_owned(), combined.clone()],
            runs,
        ),
        ("On Air viewers, combined", ours("combined"), runs),
        ("On Air viewers, combined, gzip", ours("combined.gz"), runs),
        ("On Air viewers, cloudfront", ours("cloudfront"), runs),
        ("On Air viewers, alb", ours("alb"), runs),
        ("On Air viewers, onair", ours("onair"), runs),
        // It takes half a minute, each time the same.
        ("GoAccess, visitors only", goaccess(&only_visitors), 1),
        ("GoAccess", goaccess(&[]), 1),
    ];
    let mut times = Vec::new();
    for (name, command, runs) in &commands {
        eprintln!("counting: {name}");
        if command.starts_with(&viewers) {
            check(command).await?;
        }
        let mut took = Vec::new();
        for _ in 0..*runs {
            took.push(run(command).await?.as_secs_f64());
        }
        times.push(median(took)?);
    }
    let (floor, own) = (times[0], times[1]);
    let rows = commands.iter().zip(&times).map(|((name, ..), time)| {
        [
            (*name).to_owned(),
            format!("{time:.2} s"),
            format!("{:.2} million", f64::from(LINES) / time / 1e6),
            format!("{:.1}", time / floor),
            format!("{:.1}", time / own),
        ]
    });
    table::print(
        &format!("Reading {LINES} lines of {VIEWERS} viewers"),
        ["", "time", "lines/s", "x wc -l", "x On Air"],
        rows,
    );
    estimates();
    Ok(())
}

const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

fn write(path: &Path, head: &str, line: impl Fn(&Request<'_>) -> String) -> Result<()> {
    let mut log = BufWriter::new(File::create(path)?);
    log.write_all(head.as_bytes())?;
    for number in 0..LINES {
        // The next of a row that visits all viewers before it comes to one again.
        let viewer = number.wrapping_mul(7_919) % VIEWERS;
        let [_, b, c, d] = viewer.to_be_bytes();
        let second = u32::try_from(u64::from(number) * u64::from(SECONDS) / u64::from(LINES))?;
        let rendition = ["720p", "480p", "240p"][usize::try_from(viewer % 3)?];
        let request = Request {
            at_s: BEGIN_S + i64::from(second),
            address: &format!("10.{b}.{c}.{d}"),
            agent: AGENT,
            path: &format!("/live/show/{rendition}/{}.mi8vqk7k.ts", second / 6),
            query: "",
            bytes: 10_000 + viewer,
        };
        writeln!(log, "{}", line(&request))?;
    }
    Ok(log.flush()?)
}

/// What is fast and wrong is nothing. Every minute has lines of all viewers.
async fn check(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let output = Command::new(program).args(arguments).output().await?;
    let said = String::from_utf8(output.stdout)?;
    let figure = |minute| {
        let minute = format!("2026-01-01T00:{minute:02}:00Z");
        json!({"minute": minute, "stream": "live/show", "viewers": VIEWERS, "exact": true, "key": "address"})
    };
    let expected: String = (0..SECONDS / 60)
        .map(|minute| format!("{}\n", figure(minute)))
        .collect();
    ensure!(
        said == expected,
        "{command:?} says\n{said}where this is so:\n{expected}"
    );
    Ok(())
}

async fn run(command: &[String]) -> Result<Duration> {
    let begin = Instant::now();
    let (program, arguments) = command.split_first().context("no command")?;
    let mut child = Command::new(program);
    child
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = child
        .status()
        .await
        .with_context(|| format!("{program}: `make bench` installs it"))?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok(begin.elapsed())
}

/// A million viewers, again and again others.
fn estimates() {
    const TRIALS: u32 = 50;
    let rows = [10_000_u32, 100_000, 1_000_000].map(|viewers| {
        eprintln!("counting: estimates of {viewers}");
        let (mut squares, mut worst, mut bytes) = (0.0_f64, 0.0_f64, 0);
        for trial in 0..TRIALS {
            let secret = ViewerSecret::new(&format!("trial {trial}"));
            let mut all = ViewerSet::default();
            (0..viewers).for_each(|viewer| all.insert(secret.hash(&viewer.to_be_bytes()), 8192));
            let estimate = u32::try_from(all.count().viewers).unwrap_or(u32::MAX);
            let error = (f64::from(estimate) / f64::from(viewers) - 1.0).abs() * 100.0;
            (squares, worst) = (squares + error * error, worst.max(error));
            bytes = serde_json::to_string(&all)
                .map_or(0, |text| text.len())
                .max(bytes);
        }
        let usual = (squares / f64::from(TRIALS)).sqrt();
        [
            viewers.to_string(),
            format!("{usual:.2} %"),
            format!("{worst:.2} %"),
            format!("{:.1} KB", bytes as f64 / 1024.0),
        ]
    });
    let head = [
        "viewers",
        "error (root mean square)",
        "greatest of 50",
        "kept in S3",
    ];
    table::print("Estimates, beyond 8,192 viewers", head, rows);
}
