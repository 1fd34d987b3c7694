//! On Air on one machine: the real function binaries under a loopback AWS, and a story that says what they
//! do, line by line.
//!
//! Exit code 0 only if all that was promised happened.

mod fail_over;
mod lambda;
mod narrate;
mod prune_recording;
mod recording;
mod viewer;

use narrate::Narrator;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut narrator = Narrator::on_stdout();
    let told = tell(&mut narrator).await;
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
async fn tell(narrator: &mut Narrator) -> anyhow::Result<()> {
    narrator.heading("On Air on this machine: the real functions; stand-ins for AWS");
    fail_over::tell(narrator).await?;
    prune_recording::tell(narrator).await?;
    narrator
        .say("Read on: README.md (deploy it, set it) and docs/behaviour.md (every promise, with its test).");
    Ok(())
}
