//! A live stream: the folder of a transcoder, and the bucket to which it is published.

use crate::program::{CREDENTIALS, onair};
use anyhow::Result;
use stand_in::{S3, Versioning};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The bucket that viewers read.
pub const BUCKET: &str = "onair-live";
/// The prefix of the stream in the bucket.
pub const FOLDER: &str = "live";

/// A stream before its first publication. Its folder is deleted when this is dropped.
pub struct LiveStream {
    pub s3: S3,
    /// The folder of the transcoder.
    pub dir: TempDir,
}

impl LiveStream {
    /// Creates an empty folder, and an empty bucket in this S3.
    ///
    /// # Errors
    ///
    /// The folder cannot be created.
    pub fn new(s3: S3) -> Result<Self> {
        s3.create_bucket(BUCKET, Versioning::Off);
        let dir = tempfile::Builder::new().prefix("onair-").tempdir()?;
        Ok(Self { s3, dir })
    }

    /// A published text by its path below the prefix, or an empty one if it does not exist.
    pub fn text(&self, path: &str) -> String {
        self.s3
            .text(BUCKET, &format!("{FOLDER}/{path}"))
            .unwrap_or_default()
    }

    /// The published playlist of a rendition, or an empty text if it does not exist.
    pub fn playlist(&self, rendition: &str) -> String {
        self.text(&format!("{rendition}/index.m3u8"))
    }
}

/// The command `onair publish-live` for this folder and S3.
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
