//! The peak memory for different numbers of keys.

use crate::{BUCKET, deleting, ended, recording, table};
use anyhow::{Context, Result, ensure};
use scenes::recording::Archive;
use stand_in::S3;
use std::time::{Duration, Instant};

/// Sizes of the recording, in objects.
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];

pub(crate) async fn measure() -> Result<()> {
    let mut rows = Vec::new();
    for objects in SIZES {
        eprintln!("memory: {objects} objects");
        let recording = recording(objects);
        let archive = Archive::new(S3::start(), BUCKET);
        archive.put(&recording);
        archive.s3.set_latency(Duration::from_millis(25));
        let (function, ended) = (deleting::start(&archive)?, ended(&recording)?);
        let begin = Instant::now();
        let report = function
            .invoke_within(ended, Duration::from_secs(900))
            .await
            .into_response();
        ensure!(report["outcome"] == "pruned", "{report}");
        let peak_bytes = function
            .peak_rss_bytes()
            .context("the peak memory cannot be read")?;
        rows.push([
            objects.to_string(),
            format!("{:.1} s", begin.elapsed().as_secs_f64()),
            format!("{} MB", peak_bytes / 1_000_000),
        ]);
    }
    table::print(
        "Peak memory of the process, three renditions of four deleted",
        ["objects", "time", "peak"],
        rows,
    );
    Ok(())
}
