//! `onair`: On Air's one program for the machines beside the functions.

mod cli;
mod exit;
mod generate;
mod variables;
mod version;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::run(std::env::args_os().collect()).await.into()
}
