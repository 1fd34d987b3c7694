//! Puts a live stream from a transcoder's disk into S3.

use clap::Parser;
use publish_live::{Arguments, Log, Terminal, run};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = Terminal::new(arguments.log);
    let lines = tracing_subscriber::fmt().with_target(false).with_writer(terminal.writer());
    match arguments.log {
        Log::Json => lines.json().flatten_event(true).init(),
        Log::Text => lines.init(),
    }
    match run(arguments.into(), terminal, told_to_stop()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
