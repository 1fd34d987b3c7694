//! The command line. A new subcommand is a variant of [`Subcommand`], an arm of
//! [`Subcommand::run`], and a page in `docs/guides`; help, completions, man pages and the tests
//! follow.

use crate::exit::Exit;
use crate::{generate, variables, version};
use clap::{CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

pub(crate) const NAME: &str = "onair";

const EXAMPLES: &str = "\
Examples:
  Publish a transcoder's folder to S3:
    onair publish-live /var/lib/onair/hls s3://BUCKET/live

  Count viewers from access logs:
    onair viewers access.log access.log.1.gz

  Show the manual of a subcommand:
    onair viewers --help";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  Install completions for bash:
    onair completions bash | sudo tee /usr/share/bash-completion/completions/onair > /dev/null

  Install completions for zsh, in a folder of its fpath:
    onair completions zsh | sudo tee /usr/local/share/zsh/site-functions/_onair > /dev/null

  Install completions for fish, for one user:
    mkdir -p ~/.config/fish/completions
    onair completions fish > ~/.config/fish/completions/onair.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  Install the man pages of onair and of each subcommand:
    sudo onair man /usr/local/share/man/man1

  Read the page of a subcommand:
    man onair-publish-live";

/// Operations for HLS live streams on AWS, on the machines beside the functions
#[derive(Debug, Parser)]
#[command(name = NAME, version = version::text(), propagate_version = true)]
#[command(arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    subcommand: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    PublishLive(publish_live::Arguments),
    Viewers(viewers::Arguments),
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Shell that completions are printed for
        shell: clap_complete::Shell,
    },
    /// Write the man pages of onair and of its subcommands
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// Folder that the man pages are written to; created if it does not exist
        #[arg(value_hint = clap::ValueHint::DirPath)]
        dir: PathBuf,
    },
}

impl Subcommand {
    /// `former_names` is a warning about variables, for the log.
    fn run(self, former_names: Option<String>) -> Exit {
        match self {
            Self::PublishLive(arguments) => publish_live(arguments, former_names),
            Self::Viewers(arguments) => viewers(&arguments),
            Self::Completions { shell } => {
                ended("completions", &generate::completions(shell, command()))
            }
            Self::Man { dir } => ended("man", &generate::man_pages(&dir, command())),
        }
    }
}

/// Runs the program with these arguments.
pub(crate) fn run(line: &[OsString]) -> Exit {
    match parse(line) {
        Ok(cli) => cli.subcommand.run(variables::former_names_warning(line)),
        Err(error) => {
            // At any other error clap stopped before the end of the line.
            let is_read = error.kind() == clap::error::ErrorKind::MissingRequiredArgument;
            if let Some(warning) = is_read
                .then(|| variables::former_names_warning(line))
                .flatten()
            {
                report("publish-live", &warning);
            }
            show(&variables::named_in(error, line))
        }
    }
}

fn parse(line: &[OsString]) -> Result<Cli, clap::Error> {
    // `onair viewers --version` prints the name of the program, and not "onair-viewers".
    let with_name = |command: clap::Command| command.display_name(NAME);
    let mut command = variables::without_empty(command()).mut_subcommands(with_name);
    let mut matches = command.try_get_matches_from_mut(line)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The whole command line; each subcommand's `--help` ends with the exit codes.
pub(crate) fn command() -> clap::Command {
    let with_exit_codes = |command: clap::Command| {
        let examples = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        command.after_long_help(format!("{examples}\n\n{}", Exit::explained()))
    };
    with_exit_codes(Cli::command()).mut_subcommands(with_exit_codes)
}

/// Prints an error of the command line, or the help or version that it asks for.
fn show(error: &clap::Error) -> Exit {
    let exit = Exit::of(error);
    match error.print() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            write_errors(NAME, &format!("cannot write to standard output: {error}"));
            exit.max(Exit::Failed)
        }
        _ => exit,
    }
}

fn publish_live(arguments: publish_live::Arguments, former_names: Option<String>) -> Exit {
    let terminal = publish_live::open_log(&arguments);
    if let Some(warning) = former_names {
        tracing::warn!("{warning}");
    }
    // Only the daemon needs a runtime: the other subcommands run where none can be created.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("publish-live cannot start: {error}");
            return Exit::Failed;
        }
    };
    match runtime.block_on(publish_live::run(arguments, terminal)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!("{error}");
            Exit::Failed
        }
    }
}

fn viewers(arguments: &viewers::Arguments) -> Exit {
    match viewers::run(arguments) {
        Ok(summary) => {
            report("viewers", &summary);
            Exit::success_if(summary.is_whole())
        }
        Err(error) => {
            report("viewers", &error);
            Exit::Usage
        }
    }
}

fn ended(subcommand: &str, result: &Result<(), String>) -> Exit {
    if let Err(error) = result {
        report(subcommand, error);
    }
    Exit::success_if(result.is_ok())
}

fn report(subcommand: &str, text: &impl Display) {
    write_errors(&format!("{NAME} {subcommand}"), text);
}

/// Writes to standard error. A closed pipe is not an error.
fn write_errors(prefix: &str, text: &impl Display) {
    let mut to = std::io::stderr().lock();
    for line in text.to_string().lines() {
        let _ = writeln!(to, "{prefix}: {line}");
    }
}

#[cfg(test)]
mod tests;
