//! An S3 for stories: the stand-in, or any other that the environment names.

use crate::external::{External, s3_client, stored};
use crate::{BUCKET, VERSIONED};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use futures::{StreamExt, stream};
use stand_in::ivs::Recording;
use stand_in::{ACCESS_KEY_ID, Object, REGION, S3, SECRET_ACCESS_KEY, Versioning};
use std::collections::BTreeMap;

/// Concurrent puts of a recording.
const PUTS_IN_FLIGHT: usize = 16;

/// An S3 with the two buckets of the stories.
pub struct Cloud {
    stand_in: Option<S3>,
    endpoint: String,
    function: Credentials,
    region: String,
    client: Client,
}

/// An object as a reader gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    pub text: String,
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    /// The user's metadata.
    pub metadata: BTreeMap<String, String>,
}

impl Cloud {
    /// The S3 at `ONAIR_S3_ENDPOINT`, with the credentials of its administrator and of the
    /// function, which `tests/template/second_opinion.py` sets. Without the variable, the story
    /// gets its own stand-in.
    pub async fn any() -> Self {
        let Some(external) = External::from_environment() else {
            return Self::stand_in();
        };
        let cloud = Self {
            client: external.admin_s3(),
            stand_in: None,
            endpoint: external.endpoint,
            function: external.function,
            region: external.region,
        };
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        let request = cloud
            .client
            .put_bucket_versioning()
            .bucket(VERSIONED)
            .versioning_configuration(enabled);
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        cloud
    }

    /// A stand-in for this story only.
    pub fn stand_in() -> Self {
        let s3 = S3::start();
        s3.create_bucket(BUCKET, Versioning::Off);
        s3.create_bucket(VERSIONED, Versioning::Enabled);
        let credentials =
            Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "stand-in");
        Self {
            endpoint: s3.endpoint_url(),
            client: s3_client(&s3.endpoint_url(), REGION, &credentials),
            stand_in: Some(s3),
            function: credentials,
            region: REGION.to_owned(),
        }
    }

    /// The stand-in, for stories that only a stand-in supports.
    ///
    /// # Panics
    ///
    /// If this is another S3.
    pub fn s3(&self) -> &S3 {
        self.stand_in
            .as_ref()
            .unwrap_or_else(|| panic!("this story needs the stand-in"))
    }

    /// The environment that a function needs to use this S3.
    pub fn environment(&self) -> Vec<(String, String)> {
        let token = self.function.session_token().unwrap_or_default();
        let values = [
            ("AWS_ENDPOINT_URL_S3", self.endpoint.as_str()),
            ("AWS_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", self.function.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", self.function.secret_access_key()),
            ("AWS_SESSION_TOKEN", token),
        ];
        let set = values.into_iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    pub async fn put_recording(&self, bucket: &str, recording: &Recording) {
        if let Some(s3) = &self.stand_in {
            return recording.put_into(s3, bucket);
        }
        let puts = recording
            .objects()
            .into_iter()
            .map(|(key, object)| self.put_object(bucket, key, object));
        stream::iter(puts)
            .buffer_unordered(PUTS_IN_FLIGHT)
            .collect::<()>()
            .await;
    }

    /// Puts an object that has only a text.
    pub async fn put(&self, bucket: &str, key: &str, text: &str) {
        self.put_object(
            bucket,
            key.to_owned(),
            Object {
                body: text.to_owned().into(),
                ..Object::default()
            },
        )
        .await;
    }

    /// Puts an object that has only a body.
    pub async fn put_bytes(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        self.put_object(
            bucket,
            key.to_owned(),
            Object {
                body: bytes.into(),
                ..Object::default()
            },
        )
        .await;
    }

    pub async fn put_object(&self, bucket: &str, key: String, object: Object) {
        let size = usize::try_from(object.size_bytes).unwrap_or_default();
        let mut body = object.body.to_vec();
        body.resize(size.max(body.len()), 0);
        let request = self
            .client
            .put_object()
            .bucket(bucket)
            .key(&key)
            .set_content_type(object.content_type)
            .set_cache_control(object.cache_control)
            .set_metadata(Some(object.metadata.into_iter().collect()))
            .body(ByteStream::from(body));
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{key}: {error:?}"));
    }

    /// The keys under a prefix, with their sizes in bytes.
    pub async fn sizes(&self, bucket: &str, prefix: &str) -> BTreeMap<String, i64> {
        let pages = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .into_paginator()
            .send();
        let objects = pages
            .try_collect()
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        let objects = objects
            .into_iter()
            .flat_map(|page| page.contents.unwrap_or_default());
        objects
            .filter_map(|object| Some((object.key?, object.size?)))
            .collect()
    }

    /// The folders under `media/hls/` of a recording that are not empty.
    pub async fn renditions(&self, bucket: &str, recording: &Recording) -> Vec<String> {
        let prefix = format!("{}/media/hls/", recording.prefix);
        let keys = self.sizes(bucket, &prefix).await;
        let mut names: Vec<String> = keys
            .keys()
            .filter_map(|key| Some(key[prefix.len()..].split_once('/')?.0.to_owned()))
            .collect();
        names.dedup();
        names
    }

    /// The number of versions and of delete markers under a prefix.
    pub async fn versions(&self, bucket: &str, prefix: &str) -> (usize, usize) {
        let answer = self
            .client
            .list_object_versions()
            .bucket(bucket)
            .prefix(prefix)
            .send()
            .await;
        let answer = answer.unwrap_or_else(|error| panic!("{error:?}"));
        (answer.versions().len(), answer.delete_markers().len())
    }

    /// An object of a recording, by its path below the recording's prefix.
    pub async fn get(&self, bucket: &str, recording: &Recording, path: &str) -> StoredObject {
        let key = format!("{}/{path}", recording.prefix);
        let answer = self
            .client
            .get_object()
            .bucket(bucket)
            .key(&key)
            .send()
            .await;
        let answer = answer.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        stored(&key, answer).await
    }
}
