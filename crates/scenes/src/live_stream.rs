//! A live stream: a folder into which a transcoder writes, and the bucket that it is published to.

use crate::program::{CREDENTIALS, onair};
use anyhow::Result;
use stand_in::{S3, Versioning};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The bucket that viewers read.
pub const BUCKET: &str = "onair-live";
/// The stream's folder there.
pub const FOLDER: &str = "live";

/// A stream of which nothing has been published yet. Its folder is deleted when this is dropped.
pub struct LiveStream {
    /// The bucket.
    pub s3: S3,
    /// What the transcoder writes into.
    pub dir: TempDir,
}

impl LiveStream {
    /// An empty folder, and an empty bucket in this S3.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn new(s3: S3) -> Result<Self> {
        s3.create_bucket(BUCKET, Versioning::Off);
        let dir = tempfile::Builder::new().prefix("onair-").tempdir()?;
        Ok(Self { s3, dir })
    }

    /// A published text, by its path in the stream's folder. Empty if it is not there.
    pub fn text(&self, path: &str) -> String {
        self.s3
            .text(BUCKET, &format!("{FOLDER}/{path}"))
            .unwrap_or_default()
    }

    /// The published playlist of a rendition. Empty if it is not there.
    pub fn playlist(&self, rendition: &str) -> String {
        self.text(&format!("{rendition}/index.m3u8"))
    }
}

/// `onair publish-live`, which publishes a folder to the stream's in this S3.
///
/// # Errors
///
/// The program has not been built.
pub fn publisher(s3: &S3, dir: &Path, options: &[&str]) -> Result<Command> {
    let mut command = onair("publish-live")?;
    command
        .arg(dir)
        .arg(format!("s3://{BUCKET}/{FOLDER}"))
        .args(options);
    command
        .env("AWS_ENDPOINT_URL_S3", s3.endpoint_url())
        .envs(CREDENTIALS)
        .stdin(Stdio::null());
    Ok(command)
}
