//! Generates completions and man pages from the definition of the command line.

use crate::cli::NAME;
use crate::version;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Prints completions for a shell.
pub(crate) fn completions(shell: Shell, mut command: Command) -> Result<(), String> {
    // clap_complete panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut script);
    let mut to = io::stdout().lock();
    match to.write_all(&script).and_then(|()| to.flush()) {
        // A reader that closes the pipe early has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Writes `onair.1` and a page for each subcommand.
pub(crate) fn man_pages(dir: &Path, command: Command) -> Result<(), String> {
    std::fs::create_dir_all(dir)
        .map_err(|error| format!("cannot create the folder {}: {error}", dir.display()))?;
    // A page of clap's `help` subcommand would only repeat `--help`.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    [&command]
        .into_iter()
        .chain(command.get_subcommands())
        .try_for_each(|command| man_page(dir, command))
}

fn man_page(dir: &Path, command: &Command) -> Result<(), String> {
    let page = Man::new(command.clone()).source(format!("{NAME} {}", version::text()));
    let file = dir.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| format!("cannot write the man page {}: {error}", file.display()))
}
