//! How many people watched: concurrent viewers per stream and minute, from access logs.

mod arguments;
mod read;
mod show;

use arguments::Arguments;
use clap::Parser;
use onair_core::count_viewers::audience::Audience;
use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let rules = match arguments.rules() {
        Ok(rules) => rules,
        Err(problem) => {
            eprintln!("viewers: {problem}");
            return ExitCode::from(2);
        }
    };
    let mut audience = Audience::default();
    let read = read::all(&arguments.files, &rules, &mut audience);
    let figures = audience.figures(&rules);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let shown = match arguments.json {
        true => show::json(&figures, &rules, &mut out),
        false => show::table(&figures, &audience, &rules, &mut out),
    };
    // Whoever reads only the first lines has seen what he wanted.
    let shown = shown.and_then(|()| out.flush()).or_else(|error| match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    });
    if let Err(error) = &shown {
        eprintln!("viewers: standard output: {error}");
    }
    eprintln!("{read}");
    if shown.is_ok() && read.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
