//! How many people watched, from access logs: `onair viewers`.

mod arguments;
mod read;
mod show;

pub use arguments::Arguments;
pub use read::ReadSummary;

use onair_core::count_viewers::audience::Audience;
use std::io::{BufWriter, ErrorKind, Write};

/// The arguments contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongArguments(String);

/// Counts the viewers in all files, and prints the figures to standard output.
///
/// # Errors
///
/// [`WrongArguments`]; then no file is read. What else goes wrong is in the [`ReadSummary`].
pub fn run(arguments: &Arguments) -> Result<ReadSummary, WrongArguments> {
    let rules = arguments.rules().map_err(WrongArguments)?;
    let mut audience = Audience::default();
    let mut summary = read::all(&arguments.files, &rules, &mut audience);
    let figures = audience.data_points(&rules);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let shown = match arguments.json {
        true => show::json(&figures, &rules, &mut out),
        false => show::table(&figures, &audience, &rules, &mut out),
    };
    match shown.and_then(|()| out.flush()) {
        // A reader who stops after the first lines has seen what they wanted.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            summary.fail(format!("cannot write to standard output: {error}"));
        }
        _ => {}
    }
    Ok(summary)
}
