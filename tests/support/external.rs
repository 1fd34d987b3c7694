//! Services that the environment names instead of the stand-ins, as
//! `tests/template/second_opinion.py` sets them.

use crate::StoredObject;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use std::env;

/// The addresses of the services, and the credentials for them.
pub(crate) struct External {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    /// Prepares the stories.
    pub(crate) admin: Credentials,
    /// Has only the role of the function.
    pub(crate) function: Credentials,
}

impl External {
    /// `None` if the environment does not name an S3.
    pub(crate) fn from_environment() -> Option<Self> {
        Some(Self {
            endpoint: env::var("ONAIR_S3_ENDPOINT").ok()?,
            region: variable("ONAIR_REGION"),
            admin: credentials("ADMIN", None),
            function: credentials("FUNCTION", Some(variable("ONAIR_FUNCTION_SESSION_TOKEN"))),
        })
    }

    pub(crate) fn admin_s3(&self) -> aws_sdk_s3::Client {
        s3_client(&self.endpoint, &self.region, &self.admin)
    }
}

pub(crate) fn s3_client(endpoint: &str, region: &str, user: &Credentials) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(user.clone());
    aws_sdk_s3::Client::from_conf(config.build())
}

pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn credentials(user: &str, token: Option<String>) -> Credentials {
    Credentials::new(
        variable(&format!("ONAIR_{user}_ACCESS_KEY_ID")),
        variable(&format!("ONAIR_{user}_SECRET_ACCESS_KEY")),
        token,
        None,
        "environment",
    )
}

/// Reads the body of a `GetObject`. `key` is for the panic only.
pub(crate) async fn stored(key: &str, answer: GetObjectOutput) -> StoredObject {
    let body = answer.body.collect().await;
    let body = body.unwrap_or_else(|error| panic!("{key}: {error:?}"));
    StoredObject {
        text: String::from_utf8_lossy(&body.to_vec()).into_owned(),
        content_type: answer.content_type,
        cache_control: answer.cache_control,
        metadata: answer.metadata.unwrap_or_default().into_iter().collect(),
    }
}
