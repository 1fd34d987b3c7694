//! How fast On Air and GoAccess read access logs, and the error of estimates.

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

/// All panels of GoAccess except the ones about visitors.
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
    write_logs(folder.path()).await?;
    let commands = commands(folder.path(), runs)?;
    let mut times = Vec::new();
    for command in &commands {
        eprintln!("counting: {}", command.name);
        times.push(time(command).await?);
    }
    let (floor, own) = (times[0], times[1]);
    let rows = commands.iter().zip(&times).map(|(command, time)| {
        [
            command.name.to_owned(),
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

async fn write_logs(folder: &Path) -> Result<()> {
    let path = |name: &str| folder.join(name);
    write(&path("combined"), "", |request| combined(request, 0))?;
    write(&path("cloudfront"), CLOUDFRONT_HEAD, cloudfront)?;
    write(&path("alb"), "", alb)?;
    write(&path("onair"), "", onair)?;
    let mut gzip = Command::new("gzip");
    gzip.args(["-k", "-6"]).arg(path("combined"));
    ensure!(gzip.status().await?.success(), "gzip failed");
    Ok(())
}

/// A command that reads a log.
struct Reader {
    name: &'static str,
    command: Vec<String>,
    runs: usize,
    /// Whether this is On Air, whose figures are checked.
    is_ours: bool,
}

/// `wc -l` and On Air come first: the table shows ratios to them.
fn commands(folder: &Path, runs: usize) -> Result<Vec<Reader>> {
    let combined = folder.join("combined").display().to_string();
    let mut commands = vec![Reader {
        name: "wc -l",
        command: vec!["wc".to_owned(), "-l".to_owned(), combined],
        runs,
        is_ours: false,
    }];
    for (name, log) in [
        ("On Air viewers, combined", "combined"),
        ("On Air viewers, combined, gzip", "combined.gz"),
        ("On Air viewers, cloudfront", "cloudfront"),
        ("On Air viewers, alb", "alb"),
        ("On Air viewers, onair", "onair"),
    ] {
        commands.push(Reader {
            name,
            command: onair_viewers(&folder.join(log))?,
            runs,
            is_ours: true,
        });
    }
    let only_visitors = OTHER_PANELS.map(|panel| format!("--ignore-panel={panel}"));
    for (name, options) in [
        ("GoAccess, visitors only", only_visitors.as_slice()),
        ("GoAccess", &[]),
    ] {
        commands.push(Reader {
            name,
            command: goaccess(folder, options),
            // A run takes half a minute, and the times differ little.
            runs: 1,
            is_ours: false,
        });
    }
    Ok(commands)
}

fn onair_viewers(log: &Path) -> Result<Vec<String>> {
    let viewers = program("viewers")?;
    Ok(iter::once(viewers.get_program())
        .chain(viewers.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .chain(["--json".to_owned(), log.display().to_string()])
        .collect())
}

fn goaccess(folder: &Path, options: &[String]) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    [
        "goaccess".to_owned(),
        path("combined"),
        "--log-format=COMBINED".to_owned(),
        "--no-progress".to_owned(),
        "--date-spec=min".to_owned(),
        "-o".to_owned(),
        path("report.json"),
    ]
    .into_iter()
    .chain(options.iter().cloned())
    .collect()
}

/// The median time in seconds.
async fn time(reader: &Reader) -> Result<f64> {
    if reader.is_ours {
        check(&reader.command).await?;
    }
    let mut times = Vec::new();
    for _ in 0..reader.runs {
        times.push(run(&reader.command).await?.as_secs_f64());
    }
    median(times)
}

const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

fn write(path: &Path, head: &str, line: impl Fn(&Request<'_>) -> String) -> Result<()> {
    let mut log = BufWriter::new(File::create(path)?);
    log.write_all(head.as_bytes())?;
    for number in 0..LINES {
        // A sequence that visits every viewer before it repeats one.
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

/// Checks the figures before the time is measured. Every minute has lines of all viewers.
async fn check(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let output = Command::new(program).args(arguments).output().await?;
    let printed = String::from_utf8(output.stdout)?;
    let figure = |minute| {
        let minute = format!("2026-01-01T00:{minute:02}:00Z");
        json!({"minute": minute, "stream": "live/show", "viewers": VIEWERS, "exact": true, "key": "address"})
    };
    let expected: String = (0..SECONDS / 60)
        .map(|minute| format!("{}\n", figure(minute)))
        .collect();
    ensure!(
        printed == expected,
        "{command:?} printed\n{printed}expected:\n{expected}"
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
        .with_context(|| format!("{program} cannot be started: `make bench` installs it"))?;
    ensure!(status.success(), "{program} failed: {status}");
    Ok(begin.elapsed())
}

/// Prints the errors of estimates, each over many sets of viewers.
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
