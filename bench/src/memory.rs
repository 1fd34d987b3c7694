//! Whether memory grows with the number of keys.

use crate::{BUCKET, deleting, event, recording, table};
use anyhow::{Context, Result, ensure};
use stand_in::{S3, Versioning};
use std::time::{Duration, Instant};

/// Sizes of the recording, in objects.
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];

pub(crate) async fn measure() -> Result<()> {
    let mut rows = Vec::new();
    for objects in SIZES {
        eprintln!("memory: {objects} objects");
        let recording = recording(objects);
        let s3 = S3::start();
        s3.create_bucket(BUCKET, Versioning::Off);
        recording.put_into(&s3, BUCKET);
        s3.set_latency(Duration::from_millis(25));
        let function = deleting::start(&s3)?;
        let begin = Instant::now();
        let report =
            function.invoke_within(event(&recording), Duration::from_secs(900)).await.into_response();
        ensure!(report["outcome"] == "pruned", "{report}");
        let peak_bytes = function.peak_rss_bytes().context("the peak of memory cannot be read")?;
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
