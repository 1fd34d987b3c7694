//! How long it takes to delete three of four renditions, with 25 ms per request.

use crate::peers::Peer;
use crate::{BUCKET, ended, median, recording, table};
use anyhow::{Result, ensure};
use scenes::lambda::Lambda;
use scenes::recording::Archive;
use stand_in::ivs::Recording;
use stand_in::{S3, Snapshot};
use std::time::{Duration, Instant};

/// The latency that the stand-in adds to every request.
const LATENCY: Duration = Duration::from_millis(25);
/// Keys in a page of a listing, and in a `DeleteObjects`.
const PAGE: u64 = 1_000;

pub(crate) async fn measure(objects: u64, runs: usize) -> Result<()> {
    let recording = recording(objects);
    let archive = Archive::new(S3::start(), BUCKET);
    archive.put(&recording);
    let whole = archive.contents();
    let in_a_rendition = recording.segments + 2;
    let limit = LATENCY * u32::try_from(in_a_rendition.div_ceil(PAGE) + 1)?;
    let folders = ["480p30", "360p30", "160p30"]
        .map(|name| format!("{}/media/hls/{name}/", recording.prefix));

    eprintln!("the server alone: On Air without latency");
    let alone = on_air(&archive, &recording, &whole, Duration::ZERO, runs).await?;
    eprintln!("On Air");
    let ours = on_air(&archive, &recording, &whole, LATENCY, runs).await?;
    let keys = in_a_rendition * 3;
    let scale = Scale { keys, limit, ours };
    let mut rows = vec![
        scale.row("limit: (longest list chain + 1) x 25 ms", limit),
        scale.row("On Air", ours),
    ];
    for peer in Peer::ALL {
        eprintln!("{}", peer.name());
        restore(&archive.s3, &whole, LATENCY);
        let time = peer.delete(&archive.s3, &recording, &folders).await?;
        rows.push(scale.row(peer.name(), time));
    }
    rows.push(scale.row("On Air on the same server without latency", alone));
    let title = format!(
        "Deleting {keys} of {objects} objects, {} ms a request",
        LATENCY.as_millis()
    );
    table::print(&title, ["", "time", "keys/s", "x limit", "x On Air"], rows);
    Ok(())
}

/// The values to which a row of the table relates a time.
struct Scale {
    keys: u64,
    limit: Duration,
    ours: Duration,
}

impl Scale {
    fn row(&self, name: &str, time: Duration) -> [String; 5] {
        let keys = f64::from(u32::try_from(self.keys).unwrap_or(u32::MAX));
        let seconds = time.as_secs_f64();
        [
            name.to_owned(),
            format!("{seconds:.2} s"),
            format!("{:.0}", keys / seconds),
            format!("{:.2}", seconds / self.limit.as_secs_f64()),
            format!("{:.1}", seconds / self.ours.as_secs_f64()),
        ]
    }
}

/// Restores the whole recording. The first write copies the restored bucket in the stand-in, so it
/// is done before the measurement.
fn restore(s3: &S3, whole: &Snapshot, latency: Duration) {
    s3.restore(BUCKET, whole);
    s3.put(BUCKET, "first-write", "");
    s3.set_latency(latency);
}

/// The time from the event to the answer, in a process that has started.
async fn on_air(
    archive: &Archive,
    recording: &Recording,
    whole: &Snapshot,
    latency: Duration,
    runs: usize,
) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..runs {
        restore(&archive.s3, whole, latency);
        let function = start(archive)?;
        let ended = ended(recording)?;
        let begin = Instant::now();
        let report = function
            .invoke_within(ended, Duration::from_secs(600))
            .await
            .into_response();
        times.push(begin.elapsed());
        let expected = (recording.segments + 2) * 3;
        ensure!(
            report["outcome"] == "pruned" && report["objects_deleted"] == expected,
            "{report}"
        );
        eprintln!("  {:.3} s", begin.elapsed().as_secs_f64());
    }
    median(times)
}

/// Starts the function with a rule that keeps the highest rendition.
pub(crate) fn start(archive: &Archive) -> Result<Lambda> {
    Lambda::start(
        "prune-recording",
        archive.environment(&[("KEEP_RENDITIONS", "highest")]),
    )
}
