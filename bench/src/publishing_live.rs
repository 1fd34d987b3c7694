//! From when a segment is closed until viewers see it: publish-live beside what the known article
//! does, incron and `aws s3 sync`.

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

/// What every request is made to wait.
const LATENCY: Duration = Duration::from_millis(25);
/// A segment goes up, then its playlist.
const LIMIT: Duration = LATENCY.saturating_mul(2);
const SEGMENT: Duration = Duration::from_secs(2);
/// About 2 Mbit/s.
const SEGMENT_BYTES: usize = 500_000;
const SEGMENTS: u64 = 12;
/// Longest time that a segment gets.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq)]
enum Who {
    PublishLive,
    Incron,
}

pub(crate) async fn measure() -> Result<()> {
    eprintln!("publishing live");
    let (mut rows, mut costs) = (Vec::new(), Vec::new());
    for renditions in [1, 5, 20] {
        let mut of_ours = None;
        for who in [Who::PublishLive, Who::Incron] {
            // Twenty of the peer's processes at a time would measure this machine.
            if who == Who::Incron && renditions == 20 {
                continue;
            }
            let (mut lags, cost) = measure_one(who, renditions).await?;
            if who == Who::PublishLive {
                let Cost { cpu, peak_mb } = cost;
                costs.push([
                    renditions.to_string(),
                    format!("{:.1} %", cpu * 100.0),
                    format!("{peak_mb} MB"),
                ]);
            }
            lags.sort();
            let middle = median(lags.clone())?;
            let p99 = lags[(lags.len() * 99).div_ceil(100) - 1];
            let ours = *of_ours.get_or_insert(middle);
            rows.push([
                match who {
                    Who::PublishLive => "publish-live".to_owned(),
                    Who::Incron => "incron, aws s3 sync".to_owned(),
                },
                renditions.to_string(),
                format!("{:.0} ms", middle.as_secs_f64() * 1_000.0),
                format!("{:.0} ms", p99.as_secs_f64() * 1_000.0),
                format!("{:.2}", middle.as_secs_f64() / LIMIT.as_secs_f64()),
                format!("{:.1}", middle.as_secs_f64() / ours.as_secs_f64()),
            ]);
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
    table::print(
        "From a closed segment to a playlist that names it, 25 ms a request",
        head,
        rows,
    );
    let head = [
        "renditions of 2 Mbit/s",
        "of one processor",
        "memory at most",
    ];
    table::print("What publish-live needs", head, costs);
    Ok(())
}

/// What a publisher needs.
struct Cost {
    /// Processor time by time.
    cpu: f64,
    peak_mb: u64,
}

/// How long each segment took, and what that cost.
async fn measure_one(who: Who, renditions: usize) -> Result<(Vec<Duration>, Cost)> {
    let live = LiveStream::new(S3::builder().latency(LATENCY).start())?;
    let folder = |number| live.dir.path().join(format!("r{number}"));
    let folders: Vec<PathBuf> = (0..renditions).map(folder).collect();
    for folder in &folders {
        fs::create_dir(folder)?;
        // incron watches a file, which must be there.
        fs::write(
            folder.join("index.m3u8"),
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n",
        )?;
    }
    let work = tempfile::tempdir()?;
    let mut publisher = start(who, &live, &folders, work.path())?;
    sleep(Duration::from_secs(1)).await;
    let (mut lags, began) = (Vec::new(), Instant::now());
    for number in 0..SEGMENTS {
        let begin = Instant::now();
        let closed: Vec<Instant> = folders
            .iter()
            .map(|folder| write(folder, number))
            .collect::<Result<_>>()?;
        let mut waiting: Vec<usize> = (0..renditions).collect();
        while !waiting.is_empty() {
            ensure!(
                begin.elapsed() < PATIENCE,
                "segment {number} was never seen"
            );
            ensure!(publisher.try_wait()?.is_none(), "the publisher ended");
            waiting.retain(|rendition| {
                let is_visible = is_visible(&live, *rendition, number);
                if is_visible {
                    lags.push(closed[*rendition].elapsed());
                }
                !is_visible
            });
            sleep(Duration::from_millis(1)).await;
        }
        sleep(SEGMENT.saturating_sub(begin.elapsed())).await;
    }
    let cost = cost(publisher.id(), began.elapsed())?;
    Ok((lags, cost))
}

/// From proc(5).
fn cost(process: u32, time: Duration) -> Result<Cost> {
    /// Of the kernel's clock towards programs, on every Linux.
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

/// Closes a segment, and writes its playlist over the last one: a watch on a file does not outlive
/// a rename.
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

fn start(who: Who, live: &LiveStream, folders: &[PathBuf], work: &Path) -> Result<Program> {
    let mut command = match who {
        Who::PublishLive => live_stream::publisher(&live.s3, live.dir.path(), &[])?,
        Who::Incron => incron(&live.s3.endpoint_url(), folders, work)?,
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Program::start(&mut command)
        .context("the publisher does not start: `make bench` installs incron")
}

/// The article's line, for each rendition: when its playlist was written, synchronize its folder.
fn incron(endpoint_url: &str, folders: &[PathBuf], work: &Path) -> Result<Command> {
    let (tables, users) = (work.join("tables"), work.join("users"));
    fs::create_dir(&tables)?;
    fs::create_dir(&users)?;
    let mut lines = String::new();
    for folder in folders {
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .context("a folder without a name")?;
        let script = work.join(format!("{name}.sh"));
        let environment = CREDENTIALS
            .into_iter()
            .chain([("AWS_ENDPOINT_URL_S3", endpoint_url)]);
        let exports: String = environment
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
