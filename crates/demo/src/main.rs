//! On Air on one machine: runs the real programs against a loopback AWS and explains their actions.
//! With `--serve`, it runs a live stream to watch.
//!
//! The exit code is 0 only if every check passed.

mod complete_lifecycle;
mod count_viewers;
mod fail_over;
mod monitor;
mod narrate;
mod player;
mod program;
mod prune_recording;
mod publish_live;
mod recording;
mod serve;
mod stream;

use clap::Parser;
use narrate::Narrator;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Runs On Air on this machine and explains what it does
#[derive(Parser)]
struct Arguments {
    /// Serve a live stream and the page of this folder until Ctrl-C, instead of the demo
    #[arg(long, value_name = "PAGE")]
    serve: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut narrator = Narrator::on_stdout();
    // The future is dropped at the end, and with it every program that it started.
    let result = tokio::select! {
        result = run(&mut narrator, &arguments) => result,
        // An interrupted demo has not run all checks.
        () = stop_signal() => {
            return if arguments.serve.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match result.and_then(|()| narrator.end()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chapters in the order of a show.
async fn run(narrator: &mut Narrator, arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(page) = &arguments.serve {
        match serve::serve(narrator, page).await? {}
    }
    narrator.heading("On Air on this machine: the real programs, with stand-ins for AWS");
    publish_live::run(narrator).await?;
    fail_over::run(narrator).await?;
    count_viewers::run(narrator).await?;
    complete_lifecycle::run(narrator).await?;
    prune_recording::run(narrator).await?;
    narrator
        .explain("Next: README.md (deployment, settings) and docs/behaviour.md (every promise with its test).");
    Ok(())
}

/// Waits for Ctrl-C, `kill`, or the end of the terminal.
async fn stop_signal() {
    let signals = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
