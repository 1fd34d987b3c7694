//! `fail-back`: wiring only.

use fail_back::FAIL_BACK;
use onair_aws::medialive::MediaLive;
use onair_aws::mediapackage::MediaPackage;
use onair_aws::s3::S3;
use onair_lambda::{Environment, Error};
use onair_pair::{PairContext, PairHandler, Settings};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    onair_lambda::start(serve()).await
}

async fn serve() -> Result<(), Error> {
    let settings = Settings::read(&Environment::of_process())?;
    let config = onair_aws::connect().await;
    let context = PairContext::new(settings, S3::new(&config), MediaPackage::new(&config));
    let handler = PairHandler::new(FAIL_BACK, context, MediaLive::new(&config));
    onair_lambda::run(|invocation| handler.handle(invocation)).await
}
