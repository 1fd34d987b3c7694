//! Checks that S3 has the logs that an instance reports to have saved.

use super::InstanceId;
use super::names::is_log_file;
use crate::json::{object, objects};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The greatest number of files in one manifest.
const MAX_FILES: usize = 1000;

/// The reason for which the logs of an instance are not verified.
///
/// No text quotes the output or the manifest: an instance can write anything there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogCheckError {
    /// The command wrote something else last, or its output was cut off.
    #[error("the output of the command does not end with the line onair-manifest")]
    NoReceipt,
    /// There is no object with the manifest's key.
    #[error("the manifest does not exist in S3")]
    ManifestMissing,
    /// The object exists, but is not text or is too large.
    #[error("the manifest cannot be read: {0}")]
    ManifestUnreadable(String),
    /// The SHA-256 of the object differs from the one in its receipt.
    #[error("the manifest differs from the one that the command reported")]
    ManifestReplaced,
    /// The object is not JSON of the right form.
    #[error("the manifest is malformed")]
    ManifestMalformed,
    /// The manifest names another instance.
    #[error("the manifest belongs to another instance")]
    OtherInstance,
    /// The manifest is empty or too long.
    #[error("the manifest lists {0} files; 1 to {MAX_FILES} are accepted")]
    FileCount(usize),
    /// A name is not one plain file name, or a SHA-256 is not 32 bytes in base64.
    #[error("the manifest lists a file with an invalid name or SHA-256")]
    InvalidFile,
    /// Two entries have the same name.
    #[error("the manifest lists a file twice")]
    DuplicateFile,
    /// The manifest is not the one for which the receipt was written.
    #[error("the manifest and the last line of the output differ in number or size of the files")]
    TotalsDiffer,
    /// There is no object for this file.
    #[error("{name} does not exist in S3")]
    FileMissing {
        /// The name in the manifest.
        name: String,
    },
    /// The object has another size.
    #[error("{name} has {stored} bytes in S3 and {expected} in the manifest")]
    SizeDiffers {
        /// The name in the manifest.
        name: String,
        /// The size in S3.
        stored: u64,
        /// The size in the manifest.
        expected: u64,
    },
    /// The object was uploaded without a SHA-256.
    #[error("{name} has no SHA-256 in S3")]
    ChecksumMissing {
        /// The name in the manifest.
        name: String,
    },
    /// The object has another SHA-256.
    #[error("{name} has another SHA-256 in S3 than in the manifest")]
    ChecksumDiffers {
        /// The name in the manifest.
        name: String,
    },
}

/// The last line of the command's output, which reports the saved files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The SHA-256 of the manifest, in hexadecimal digits.
    pub sha256: String,
    /// The number of files in the manifest.
    pub files: usize,
    /// The sum of their sizes.
    pub bytes: u64,
}

impl Receipt {
    /// Reads the last line of an output: `onair-manifest sha256=<hex> files=<n> bytes=<sum>`.
    ///
    /// # Errors
    ///
    /// [`LogCheckError::NoReceipt`] if the last line is anything else.
    pub fn parse(stdout: &str) -> Result<Self, LogCheckError> {
        let last = stdout
            .lines()
            .map(str::trim_end)
            .rfind(|line| !line.is_empty());
        last.and_then(Self::parse_line)
            .ok_or(LogCheckError::NoReceipt)
    }

    fn parse_line(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("onair-manifest ")?.split(' ');
        let mut value = |name: &str| words.next()?.strip_prefix(name);
        let sha256 = value("sha256=")?;
        let files = value("files=")?.parse().ok()?;
        let bytes = value("bytes=")?.parse().ok()?;
        let is_whole = words.next().is_none() && is_hexadecimal_sha256(sha256);
        is_whole.then(|| Self {
            sha256: sha256.to_owned(),
            files,
            bytes,
        })
    }
}

fn is_hexadecimal_sha256(text: &str) -> bool {
    let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(is_hexadecimal)
}

fn is_base64_sha256(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len() == 44
        && text
            .strip_suffix('=')
            .is_some_and(|digits| digits.bytes().all(is_base64))
}

/// A file that S3 must have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFile {
    /// The name of the file, below the wait's prefix.
    pub name: String,
    /// The size of the file.
    pub bytes: u64,
    /// The SHA-256 of the file in base64, as S3 returns it.
    pub sha256: String,
}

impl SavedFile {
    /// Compares the file with its object in S3: its size, and its SHA-256 in base64.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn verify(&self, stored: Option<(u64, Option<&str>)>) -> Result<(), LogCheckError> {
        let name = self.name.clone();
        match stored {
            None => Err(LogCheckError::FileMissing { name }),
            Some((size, _)) if size != self.bytes => Err(LogCheckError::SizeDiffers {
                name,
                stored: size,
                expected: self.bytes,
            }),
            Some((_, None)) => Err(LogCheckError::ChecksumMissing { name }),
            Some((_, Some(sha256))) if sha256 != self.sha256 => {
                Err(LogCheckError::ChecksumDiffers { name })
            }
            Some(_) => Ok(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    instance: String,
    #[serde(deserialize_with = "objects")]
    files: Vec<SavedFile>,
}

/// The files to compare with S3 before an instance may terminate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCheck {
    /// The instance that saved its logs.
    pub instance: InstanceId,
    /// The bucket that must have them.
    pub bucket: String,
    /// Their prefix in the bucket, without a slash at the end.
    pub prefix: String,
    /// The receipt of the command.
    pub receipt: Receipt,
}

impl LogCheck {
    /// The key of the manifest. It contains the manifest's SHA-256, so that two commands of one
    /// wait do not overwrite each other's manifest.
    pub fn manifest_key(&self) -> String {
        format!("{}/manifest-{}.json", self.prefix, self.receipt.sha256)
    }

    /// The key of one of the files.
    pub fn file_key(&self, file: &SavedFile) -> String {
        format!("{}/{}", self.prefix, file.name)
    }

    /// Reads the files of a manifest, if it is this instance's and the receipt belongs to it.
    ///
    /// # Errors
    ///
    /// Any other manifest, and one with a name that is not a plain file name.
    pub fn files(&self, manifest: &str) -> Result<Vec<SavedFile>, LogCheckError> {
        let digest = Sha256::digest(manifest.as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if digest != self.receipt.sha256 {
            return Err(LogCheckError::ManifestReplaced);
        }
        let mut json = serde_json::Deserializer::from_str(manifest);
        let parsed = object::<Manifest, _>(&mut json);
        let Manifest { instance, files } = parsed
            .and_then(|parsed| json.end().map(|()| parsed))
            .map_err(|_| LogCheckError::ManifestMalformed)?;
        if instance != self.instance.as_str() {
            return Err(LogCheckError::OtherInstance);
        }
        if files.is_empty() || files.len() > MAX_FILES {
            return Err(LogCheckError::FileCount(files.len()));
        }
        let is_valid = |file: &SavedFile| is_log_file(&file.name) && is_base64_sha256(&file.sha256);
        if !files.iter().all(is_valid) {
            return Err(LogCheckError::InvalidFile);
        }
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        if names.len() < files.len() {
            return Err(LogCheckError::DuplicateFile);
        }
        let bytes = files
            .iter()
            .try_fold(0_u64, |sum, file| sum.checked_add(file.bytes));
        if (files.len(), bytes) != (self.receipt.files, Some(self.receipt.bytes)) {
            return Err(LogCheckError::TotalsDiffer);
        }
        Ok(files)
    }
}
