//! `complete-lifecycle`: wiring only.

use complete_lifecycle::{Handler, Settings};
use onair_aws::autoscaling::AutoScaling;
use onair_aws::s3::S3;
use onair_aws::ssm::Ssm;
use onair_lambda::{Environment, Error};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    onair_lambda::start(serve()).await
}

async fn serve() -> Result<(), Error> {
    let settings = Settings::read(&Environment::of_process())?;
    let config = onair_aws::connect().await;
    let handler = Handler::new(
        settings,
        AutoScaling::new(&config),
        Ssm::new(&config),
        S3::new(&config),
    );
    onair_lambda::run(|invocation| handler.handle(invocation)).await
}
