//! Plain HTTP: gets playlists from the URLs that viewers use. With the connector of the SDK, so
//! that a function contains one implementation of HTTP and of TLS.

use crate::error::Error;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use std::time::Duration;

/// Sends GET requests. Does not follow redirects, so that only published URLs are requested.
#[derive(Debug)]
pub struct Http {
    connector: Connector,
}

/// The response to a GET request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status code.
    pub status: u16,
    /// `X-MediaPackage-Manifest-Last-Updated`, Unix time in milliseconds.
    pub last_updated_ms: Option<i64>,
    /// The body, which must be UTF-8.
    pub text: String,
}

/// The time limit of a whole request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// The size limit of a body, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

impl Default for Http {
    fn default() -> Self {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(REQUEST_TIMEOUT)
            .read_timeout(REQUEST_TIMEOUT)
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
    /// Gets `url`, and returns the response with any status.
    ///
    /// # Errors
    ///
    /// The request failed or timed out, or the body is too long.
    pub async fn get(&self, url: &str) -> Result<HttpResponse, Error> {
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, self.answer(url)).await;
        let late = || format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()).into();
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
