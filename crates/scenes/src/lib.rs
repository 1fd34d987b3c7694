//! Scenes for stories, demo and bench: worlds in which On Air runs on one machine.
//!
//! - [`pair`]: a live show that runs twice.
//! - [`fleet`]: web servers in an Auto Scaling group.
//! - [`live_stream`]: a transcoder's folder, and the bucket that it is published to.
//! - [`recording`]: buckets with recordings of Amazon IVS.
//! - [`access_log`]: requests of viewers, as web servers log them.
//! - [`lambda`]: functions as Lambda runs them.
//! - [`program`]: `onair`, and other programs beside it.
//!
//! The stand-in replaces all of AWS. The binaries are those of the same build.

pub mod access_log;
pub mod fleet;
pub mod lambda;
pub mod live_stream;
pub mod pair;
pub mod program;
pub mod recording;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The root folder of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// A binary of this build, by its name. A program finds it in its own folder, a test in the folder
/// above `deps`.
///
/// # Errors
///
/// The binary has not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = env::current_exe().context("the path of this program is not known")?;
    let folder = own.parent().context("this program has no folder")?;
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let binary = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    ensure!(
        binary.is_file(),
        "{} does not exist: run `cargo build --workspace`",
        binary.display()
    );
    Ok(binary)
}

/// An event file, by its path below `events/`.
///
/// # Errors
///
/// The file does not exist, or is not JSON.
pub fn event(file: &str) -> Result<Value> {
    let path = root().join("events").join(file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// A text in an event.
///
/// # Errors
///
/// The event has no text there.
pub fn text<'a>(event: &'a Value, pointer: &str) -> Result<&'a str> {
    let text = event.pointer(pointer).and_then(Value::as_str);
    text.with_context(|| format!("the event has no text at {pointer}"))
}

/// A time in the format of events.
pub fn time(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
