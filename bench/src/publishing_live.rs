//! The time from the close of a segment until viewers see it: publish-live, and the method of a
//! known article, incron with `aws s3 sync`.

use crate::{median, table};
use anyhow::{Context, Result, ensure};
use scenes::live_stream::{self, BUCKET, FOLDER, LiveStream};
use scenes::program::{CREDENTIALS, Program};
use stand_in::S3;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The latency that the stand-in adds to every request.
const LATENCY: Duration = Duration::from_millis(25);
/// A segment is uploaded, then its playlist.
const LIMIT: Duration = LATENCY.saturating_mul(2);
const SEGMENT: Duration = Duration::from_secs(2);
/// About 2 Mbit/s.
const SEGMENT_BYTES: usize = 500_000;
const SEGMENTS: u64 = 12;
const TIME_LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq)]
enum Publisher {
    PublishLive,
    Incron,
}

pub(crate) async fn measure() -> Result<()> {
    eprintln!("publishing live");
    let (mut rows, mut costs) = (Vec::new(), Vec::new());
    for renditions in [1, 5, 20] {
        let (lags, Cost { cpu, peak_mb }) = measure_one(Publisher::PublishLive, renditions).await?;
        let ours = median(lags.clone())?;
        rows.push(row("publish-live", renditions, lags, ours)?);
        costs.push([
            renditions.to_string(),
            format!("{:.1} %", cpu * 100.0),
            format!("{peak_mb} MB"),
        ]);
        // Twenty concurrent processes of the peer would measure this machine.
        if renditions < 20 {
            let (lags, _) = measure_one(Publisher::Incron, renditions).await?;
            rows.push(row("incron, aws s3 sync", renditions, lags, ours)?);
        }
    }
    let head = [
        "",
        "renditions",
        "median",
        "99th percentile",
        "two requests = 1",
        "publish-live = 1",
    ];
    let title = "From a closed segment to a playlist that names it, 25 ms a request";
    table::print(title, head, rows);
    let head = [
        "renditions of 2 Mbit/s",
        "of one processor",
        "memory at most",
    ];
    table::print("What publish-live needs", head, costs);
    Ok(())
}

fn row(
    name: &str,
    renditions: usize,
    mut lags: Vec<Duration>,
    ours: Duration,
) -> Result<[String; 6]> {
    lags.sort();
    let middle = median(lags.clone())?;
    let p99 = lags[(lags.len() * 99).div_ceil(100) - 1];
    Ok([
        name.to_owned(),
        renditions.to_string(),
        format!("{:.0} ms", middle.as_secs_f64() * 1_000.0),
        format!("{:.0} ms", p99.as_secs_f64() * 1_000.0),
        format!("{:.2}", middle.as_secs_f64() / LIMIT.as_secs_f64()),
        format!("{:.1}", middle.as_secs_f64() / ours.as_secs_f64()),
    ])
}

/// The resources that a publisher uses.
struct Cost {
    /// The share of one processor.
    cpu: f64,
    peak_mb: u64,
}

/// The lag of each segment, and the cost of the publisher.
async fn measure_one(publisher: Publisher, renditions: usize) -> Result<(Vec<Duration>, Cost)> {
    let live = LiveStream::new(S3::builder().latency(LATENCY).start())?;
    let folders = create_folders(live.dir.path(), renditions)?;
    let work = tempfile::tempdir()?;
    let mut program = start(publisher, &live, &folders, work.path())?;
    sleep(Duration::from_secs(1)).await;
    let (mut lags, began) = (Vec::new(), Instant::now());
    for number in 0..SEGMENTS {
        let begin = Instant::now();
        let closed: Vec<Instant> = folders
            .iter()
            .map(|folder| write(folder, number))
            .collect::<Result<_>>()?;
        lags.extend(wait_for_segment(&live, &mut program, number, &closed).await?);
        sleep(SEGMENT.saturating_sub(begin.elapsed())).await;
    }
    let cost = cost(program.id(), began.elapsed())?;
    Ok((lags, cost))
}

fn create_folders(parent: &Path, renditions: usize) -> Result<Vec<PathBuf>> {
    let folders: Vec<PathBuf> = (0..renditions)
        .map(|number| parent.join(format!("r{number}")))
        .collect();
    for folder in &folders {
        fs::create_dir(folder)?;
        // incron watches a file, which must exist.
        fs::write(
            folder.join("index.m3u8"),
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n",
        )?;
    }
    Ok(folders)
}

/// Waits until every rendition's playlist names this segment. `closed` has the time for each
/// rendition. Returns the lags.
async fn wait_for_segment(
    live: &LiveStream,
    program: &mut Program,
    number: u64,
    closed: &[Instant],
) -> Result<Vec<Duration>> {
    let begin = Instant::now();
    let mut lags = Vec::new();
    let mut waiting: Vec<usize> = (0..closed.len()).collect();
    while !waiting.is_empty() {
        ensure!(
            begin.elapsed() < TIME_LIMIT,
            "segment {number} was not published within {TIME_LIMIT:?}"
        );
        ensure!(program.try_wait()?.is_none(), "the publisher ended");
        waiting.retain(|rendition| {
            let is_visible = is_visible(live, *rendition, number);
            if is_visible {
                lags.push(closed[*rendition].elapsed());
            }
            !is_visible
        });
        sleep(Duration::from_millis(1)).await;
    }
    Ok(lags)
}

/// From proc(5).
fn cost(process: u32, time: Duration) -> Result<Cost> {
    /// The kernel's clock for programs, on every Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let peak_kb: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()?;
    Ok(Cost {
        cpu: ticks as f64 / TICKS_PER_SECOND / time.as_secs_f64(),
        peak_mb: peak_kb / 1_000,
    })
}

/// Closes a segment, and overwrites the last playlist: a watch on a file ends with a rename.
fn write(folder: &Path, number: u64) -> Result<Instant> {
    fs::write(
        folder.join(format!("{number}.ts")),
        vec![u8::try_from(number % 251)?; SEGMENT_BYTES],
    )?;
    let closed = Instant::now();
    let first = number.saturating_sub(4);
    let lines: String = (first..=number)
        .map(|number| format!("#EXTINF:2.000,\n{number}.ts\n"))
        .collect();
    let text = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{lines}"
    );
    fs::write(folder.join("index.m3u8"), text)?;
    Ok(closed)
}

/// Whether the visible playlist names the segment.
fn is_visible(live: &LiveStream, rendition: usize, number: u64) -> bool {
    let text = live.playlist(&format!("r{rendition}"));
    text.lines()
        .any(|line| line.starts_with(&format!("{number}.")))
}

fn start(
    publisher: Publisher,
    live: &LiveStream,
    folders: &[PathBuf],
    work: &Path,
) -> Result<Program> {
    let mut command = match publisher {
        Publisher::PublishLive => live_stream::publisher(&live.s3, live.dir.path(), &[])?,
        Publisher::Incron => incron(&live.s3.endpoint_url(), folders, work)?,
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Program::start(&mut command)
        .context("the publisher cannot be started: `make bench` installs incron")
}

/// The method of the article, for each rendition: synchronize the folder when its playlist was
/// written.
fn incron(endpoint_url: &str, folders: &[PathBuf], work: &Path) -> Result<Command> {
    let (tables, users) = (work.join("tables"), work.join("users"));
    fs::create_dir(&tables)?;
    fs::create_dir(&users)?;
    let mut lines = String::new();
    for folder in folders {
        let script = write_sync_script(endpoint_url, folder, work)?;
        lines += &format!(
            "{}/index.m3u8 IN_CLOSE_WRITE {}\n",
            folder.display(),
            script.display()
        );
    }
    fs::write(tables.join("bench"), lines)?;
    let settings = work.join("incron.conf");
    let (tables, users, lock) = (tables.display(), users.display(), work.display());
    fs::write(
        &settings,
        format!(
            "system_table_dir = {tables}\nuser_table_dir = {users}\nlockfile_dir = {lock}\nlockfile_name = incrond\n"
        ),
    )?;
    let mut command = Command::new("incrond");
    command.arg("-n").arg("-f").arg(settings);
    Ok(command)
}

fn write_sync_script(endpoint_url: &str, folder: &Path, work: &Path) -> Result<PathBuf> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .context("a folder without a name")?;
    let script = work.join(format!("{name}.sh"));
    let exports: String = CREDENTIALS
        .into_iter()
        .chain([("AWS_ENDPOINT_URL_S3", endpoint_url)])
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect();
    let path = std::env::var("PATH")?;
    let sync = format!(
        "exec aws s3 sync '{}' 's3://{BUCKET}/{FOLDER}/{name}'",
        folder.display()
    );
    fs::write(
        &script,
        format!("#!/bin/sh\n{exports}export PATH='{path}'\n{sync}\n"),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}
