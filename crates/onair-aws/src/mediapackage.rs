//! AWS Elemental MediaPackage (v1): origin endpoints, whose definitions are read and written as
//! wire JSON.
//!
//! The types of the SDK contain the attributes that were known when it was generated. They would
//! drop newer attributes, and an update without an attribute resets that attribute.

use crate::error::Error;
use aws_config::SdkConfig;
use aws_sdk_mediapackage::Client;
use aws_sdk_mediapackage::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_mediapackage::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_mediapackage::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use onair_core::pair::endpoint::Definition;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads and changes origin endpoints.
#[derive(Debug, Clone)]
pub struct MediaPackage {
    client: Client,
}

impl MediaPackage {
    /// Creates a client with the shared configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// Describes an endpoint. `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// The request failed.
    pub async fn describe(&self, id: &str) -> Result<Option<Definition>, Error> {
        let wire = Wire::default();
        let request = self
            .client
            .describe_origin_endpoint()
            .id(id)
            .customize()
            .interceptor(wire.clone());
        match request.send().await {
            Ok(_) => wire.definition("DescribeOriginEndpoint", id).map(Some),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(Error::of("DescribeOriginEndpoint", id, error)),
        }
    }

    /// Deletes an endpoint. Succeeds if the endpoint does not exist.
    ///
    /// # Errors
    ///
    /// The request failed.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        match self.client.delete_origin_endpoint().id(id).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(Error::of("DeleteOriginEndpoint", id, error)),
        }
    }

    /// Creates an endpoint from the body of a CreateOriginEndpoint request, and returns its
    /// definition.
    ///
    /// # Errors
    ///
    /// The request failed.
    pub async fn create(&self, id: &str, body: &Value) -> Result<Definition, Error> {
        let (wire, body) = (Wire::default(), body.to_string());
        // The SDK requires both parameters, but this body replaces the one that it builds.
        let channel = "in-the-body";
        let request = self
            .client
            .create_origin_endpoint()
            .id(id)
            .channel_id(channel)
            .customize();
        let request = request
            .interceptor(wire.clone())
            .mutate_request(move |request| replace_body(request, &body));
        request
            .send()
            .await
            .map_err(|error| Error::of("CreateOriginEndpoint", id, error))?;
        wire.definition("CreateOriginEndpoint", id)
    }

    /// Replaces the definition of an endpoint by the body of an UpdateOriginEndpoint request, and
    /// returns the new definition.
    ///
    /// # Errors
    ///
    /// The request failed.
    pub async fn update(&self, id: &str, body: &Value) -> Result<Definition, Error> {
        let (wire, body) = (Wire::default(), body.to_string());
        let request = self.client.update_origin_endpoint().id(id).customize();
        let request = request
            .interceptor(wire.clone())
            .mutate_request(move |request| replace_body(request, &body));
        request
            .send()
            .await
            .map_err(|error| Error::of("UpdateOriginEndpoint", id, error))?;
        wire.definition("UpdateOriginEndpoint", id)
    }
}

/// Sends this body instead of the one that the SDK built.
fn replace_body(request: &mut HttpRequest, body: &str) {
    *request.body_mut() = SdkBody::from(body);
    request
        .headers_mut()
        .insert("content-length", body.len().to_string());
}

/// Checks the error code, because moto returns the status 400 instead of 404.
fn is_not_found<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        == Some("NotFoundException")
}

/// The body of the last response.
#[derive(Debug, Clone, Default)]
struct Wire(Arc<Mutex<Vec<u8>>>);

impl Wire {
    fn definition(&self, operation: &'static str, id: &str) -> Result<Definition, Error> {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = serde_json::from_slice::<Value>(&body)
            .map_err(|error| Error::new(operation, id, error))?;
        Definition::parse(&value)
            .map_err(|problem| Error::new(operation, id, format!("invalid response: {problem}")))
    }
}

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "Wire"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body.to_vec();
        Ok(())
    }
}
