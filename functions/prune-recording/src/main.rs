//! Starts the function `prune-recording`.

use onair_aws::s3::S3;
use onair_lambda::{Environment, Error};
use prune_recording::{Handler, Settings};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    onair_lambda::start(serve()).await
}

async fn serve() -> Result<(), Error> {
    let settings = Settings::read(&Environment::of_process())?;
    let handler = Handler::new(settings, S3::new(&onair_aws::connect().await));
    onair_lambda::run(|invocation| handler.handle(invocation)).await
}
