//! Counts concurrent viewers in files of access logs: `onair viewers`.

mod arguments;
mod read;
mod show;

pub use arguments::Arguments;
pub use read::ReadSummary;

use onair_core::count_viewers::audience::Audience;
use std::io::{BufWriter, ErrorKind, Write};

/// Arguments that contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongArguments(String);

/// Counts the viewers in all files, and prints the data points to standard output.
///
/// # Errors
///
/// [`WrongArguments`]; then no file is read. All other errors are in the [`ReadSummary`].
pub fn run(arguments: &Arguments) -> Result<ReadSummary, WrongArguments> {
    let rules = arguments.rules().map_err(WrongArguments)?;
    let mut audience = Audience::default();
    let mut summary = read::read_all(&arguments.files, &rules, &mut audience);
    let points = audience.data_points(&rules);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let shown = if arguments.json {
        show::json(&points, &rules, &mut out)
    } else {
        show::table(&points, &audience, &rules, &mut out)
    };
    match shown.and_then(|()| out.flush()) {
        // `head` closes the pipe after the first lines, which is not a failure.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            summary.fail(format!("cannot write to standard output: {error}"));
        }
        _ => {}
    }
    Ok(summary)
}
