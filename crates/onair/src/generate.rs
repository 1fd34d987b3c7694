//! What is made from the command line's definition: completions and man pages.

use crate::cli::NAME;
use clap::Command;
use clap_complete::Shell;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Prints completions for a shell.
pub(crate) fn completions(shell: Shell, mut command: Command) -> Result<(), String> {
    // clap_complete panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut script);
    let mut to = io::stdout().lock();
    match to.write_all(&script).and_then(|()| to.flush()) {
        // A reader who stops early has what they wanted.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

/// Writes `onair.1` and a page for each subcommand.
pub(crate) fn man_pages(dir: &Path, command: Command) -> Result<(), String> {
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
    written.map_err(|error| format!("{}: {error}", dir.display()))
}
