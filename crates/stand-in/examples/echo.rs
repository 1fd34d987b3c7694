//! The function that the crate's own tests run. The event names its behaviour.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if let Ok(message) = std::env::var("FAIL_TO_START") {
        return fail_to_start(&message);
    }
    lambda_runtime::run(service_fn(obey)).await
}

async fn obey(LambdaEvent { payload, context }: LambdaEvent<Value>) -> Result<Value, Error> {
    let mut names: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
    names.sort();
    if let Some(line) = payload["print"].as_str() {
        println!("{line}");
        eprintln!("{line}");
    }
    if let Some(message) = payload["fail"].as_str() {
        return Err(message.into());
    }
    if let Some(status) = payload["exit"].as_i64() {
        std::process::exit(i32::try_from(status)?);
    }
    if payload["hang"] == json!(true) {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    Ok(
        json!({"event": payload, "env": names, "arn": context.invoked_function_arn, "deadline_ms": context.deadline}),
    )
}

/// The runtime crate ends without a report when a start fails.
fn fail_to_start(message: &str) -> Result<(), Error> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let report = json!({"errorType": "Config", "errorMessage": message}).to_string();
    let mut connection = TcpStream::connect(&address)?;
    write!(
        connection,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{report}",
        report.len()
    )?;
    connection.read_to_end(&mut Vec::new())?;
    Err(message.into())
}
