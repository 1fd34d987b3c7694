//! On Air on one machine: the real programs under a loopback AWS, and a story that says what they
//! do, line by line; or, with `--serve`, a live stream to watch.
//!
//! Exit code 0 only if all that was promised happened.

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

/// Tells the story of On Air on this machine.
#[derive(Parser)]
struct Arguments {
    /// No story, but a live stream, and this folder's page to watch it with, until Ctrl-C
    #[arg(long, value_name = "PAGE")]
    serve: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut narrator = Narrator::on_stdout();
    // Whatever is told is dropped in the end, and with it all that it started.
    let told = tokio::select! {
        told = tell(&mut narrator, &arguments) => told,
        // A story that was cut short promised more than happened.
        () = told_to_stop() => {
            return if arguments.serve.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match told.and_then(|()| narrator.end()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The chapters, in the order of a show's life.
async fn tell(narrator: &mut Narrator, arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(page) = &arguments.serve {
        match serve::serve(narrator, page).await? {}
    }
    narrator.heading("On Air on this machine: the real programs; stand-ins for AWS");
    publish_live::tell(narrator).await?;
    fail_over::tell(narrator).await?;
    count_viewers::tell(narrator).await?;
    complete_lifecycle::tell(narrator).await?;
    prune_recording::tell(narrator).await?;
    narrator
        .say("Read on: README.md (deploy it, set it) and docs/behaviour.md (every promise, with its test).");
    Ok(())
}

/// Ctrl-C, `kill`, or the terminal was closed.
async fn told_to_stop() {
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
