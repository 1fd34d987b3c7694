//! Plain HTTP: reading playlists from where viewers get them. By the SDK's own connector, so that
//! there is one HTTP and one TLS in a function.

use crate::error::Error;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use std::time::Duration;

/// A client for plain GETs. It follows no redirect: what is asked for is what is published.
#[derive(Debug)]
pub struct Http {
    connector: Connector,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// `X-MediaPackage-Manifest-Last-Updated`, Unix time in milliseconds.
    pub last_updated_ms: Option<i64>,
    /// The body.
    pub text: String,
}

/// The time that a whole request may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longest body that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

impl Default for Http {
    fn default() -> Self {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(PATIENCE)
            .read_timeout(PATIENCE)
            .build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .sleep_impl(TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build();
        Self { connector }
    }
}

impl Http {
    /// Gets what is at `url`, whatever its status.
    ///
    /// # Errors
    ///
    /// When there is no whole answer of a bearable size in time.
    pub async fn get(&self, url: &str) -> Result<HttpResponse, Error> {
        let answer = tokio::time::timeout(PATIENCE, self.answer(url)).await;
        let late = || format!("no answer within {} s", PATIENCE.as_secs()).into();
        answer
            .unwrap_or_else(|_| Err(late()))
            .map_err(|error| Error::new("GET", url, error))
    }

    async fn answer(
        &self,
        url: &str,
    ) -> Result<HttpResponse, Box<dyn std::error::Error + Send + Sync>> {
        let response = self.connector.call(HttpRequest::get(url)?).await?;
        let last_updated_ms = response
            .headers()
            .get("x-mediapackage-manifest-last-updated");
        let (status, last_updated_ms) = (
            response.status().as_u16(),
            last_updated_ms.and_then(|value| value.parse().ok()),
        );
        let mut body = ByteStream::new(response.into_body());
        let mut bytes = Vec::new();
        while let Some(chunk) = body.try_next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_BYTES {
                return Err(format!("the answer is longer than {MAX_BYTES} bytes").into());
            }
        }
        Ok(HttpResponse {
            status,
            last_updated_ms,
            text: String::from_utf8(bytes)?,
        })
    }
}
