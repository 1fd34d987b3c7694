//! `onair`: On Air's one program for the machines beside the functions.

mod cli;
mod exit;
mod generate;
mod variables;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    cli::run(&line).into()
}
