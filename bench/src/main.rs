//! Measures On Air and its peers: the same work on the same server in the same run. Prints tables.
//!
//! Times depend on the machine; the ratios are the result.

mod counting;
mod deleting;
mod failing_over;
mod memory;
mod peers;
mod publishing_live;
mod starting;
mod table;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use serde_json::Value;
use stand_in::ivs::{Recording, Rendition};

/// The bucket of every measurement.
pub(crate) const BUCKET: &str = "recordings";

/// Measures On Air and its peers and prints tables
#[derive(Parser)]
struct Arguments {
    /// The measurements to run. The default is all of them
    #[arg(value_enum)]
    what: Vec<Measurement>,
    /// Objects in the recording of which three of four renditions are deleted
    #[arg(long, default_value_t = 100_000)]
    objects: u64,
    /// Runs of each measurement. The tables show the median
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    Counting,
    Deleting,
    FailingOver,
    Memory,
    PublishingLive,
    Starting,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments {
        what,
        objects,
        runs,
    } = Arguments::parse();
    ensure!(
        runs > 0 && objects >= 1_000,
        "at least one run and 1,000 objects are needed"
    );
    let wanted = |one| what.is_empty() || what.contains(&one);
    if wanted(Measurement::Counting) {
        counting::measure(runs).await?;
    }
    if wanted(Measurement::Starting) {
        starting::measure(runs).await?;
    }
    if wanted(Measurement::FailingOver) {
        failing_over::measure(runs).await?;
    }
    if wanted(Measurement::PublishingLive) {
        publishing_live::measure().await?;
    }
    if wanted(Measurement::Deleting) {
        deleting::measure(objects, runs).await?;
    }
    if wanted(Measurement::Memory) {
        memory::measure().await?;
    }
    Ok(())
}

/// A recording of about this many objects in four renditions.
pub(crate) fn recording(objects: u64) -> Recording {
    // Each rendition has two playlists in addition to the segments.
    let segments = objects / 4 - 2;
    let renditions = [
        ("720p30", 720),
        ("480p30", 480),
        ("360p30", 360),
        ("160p30", 160),
    ]
    .map(|(name, height)| Rendition::new(name, height, 8));
    Recording {
        renditions: renditions.into(),
        segments,
        thumbnails: 0,
        ..Recording::default()
    }
}

/// The event that IVS sends when the recording has ended.
pub(crate) fn ended(recording: &Recording) -> Result<Value> {
    Ok(scenes::recording::ended(
        scenes::event("prune-recording/recording-end.json")?,
        BUCKET,
        recording,
    ))
}

pub(crate) fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> Result<T> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values
        .get(values.len() / 2)
        .copied()
        .context("nothing was measured")
}
