//! What an instance says it saved, against what S3 says it has.

use super::InstanceId;
use super::names::is_log_file;
use crate::json::{object, objects};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The greatest number of files that one run saves.
const MAX_FILES: usize = 1000;

/// The last line of the command's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// SHA-256 of the manifest, in hexadecimal digits.
    pub sha256: String,
    /// How many files it lists.
    pub files: usize,
    /// The sum of their sizes.
    pub bytes: u64,
}

/// The receipt at the end of an output: `onair-manifest sha256=<hex> files=<n> bytes=<sum>`.
///
/// # Errors
///
/// What the last line is instead, in words of ours: the output is an instance's own.
pub fn receipt(stdout: &str) -> Result<Receipt, String> {
    let last = stdout
        .lines()
        .map(str::trim_end)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();
    let mut words = last.split(' ');
    let mut next = |start: &str| words.next()?.strip_prefix(start);
    let parsed = (|| {
        next("onair-manifest")?.is_empty().then_some(())?;
        let sha256 = next("sha256=")?;
        let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (sha256.len() == 64 && sha256.bytes().all(is_hexadecimal)).then_some(())?;
        let (files, bytes) = (next("files=")?.parse().ok()?, next("bytes=")?.parse().ok()?);
        Some(Receipt {
            sha256: sha256.to_owned(),
            files,
            bytes,
        })
    })();
    match parsed {
        Some(receipt) if words.next().is_none() => Ok(receipt),
        _ => Err("the output of the command does not end with its manifest's line".to_owned()),
    }
}

/// A file that S3 must have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFile {
    /// Its name below the run's prefix.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in base64, as S3 gives it.
    pub sha256: String,
}

impl SavedFile {
    /// Compares with what S3 has: size and SHA-256 in base64.
    ///
    /// # Errors
    ///
    /// What differs.
    pub fn verify(&self, stored: Option<(u64, Option<&str>)>) -> Result<(), String> {
        let Self {
            name,
            bytes,
            sha256,
        } = self;
        match stored {
            None => Err(format!("{name} is not there")),
            Some((size, _)) if size != *bytes => Err(format!(
                "{name} has {size} bytes, and the manifest says {bytes}"
            )),
            Some((_, None)) => Err(format!("S3 has no SHA-256 of {name}")),
            Some((_, Some(has))) if has != sha256 => {
                Err(format!("{name} has another SHA-256 than the manifest says"))
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

/// The files that a manifest lists, if it is the one that the command told of, and its instance's.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(
    manifest: &str,
    receipt: &Receipt,
    instance: &InstanceId,
) -> Result<Vec<SavedFile>, String> {
    let digest = Sha256::digest(manifest.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != receipt.sha256 {
        return Err("the manifest is not the one that the command told of".to_owned());
    }
    // Its content is an instance's own, and may be anything: it is not repeated.
    let mut json = serde_json::Deserializer::from_str(manifest);
    let parsed = object::<Manifest, _>(&mut json).and_then(|parsed| json.end().map(|()| parsed));
    let Manifest {
        instance: of,
        files,
    } = parsed.map_err(|_| "the manifest cannot be understood".to_owned())?;
    if of != instance.as_str() {
        return Err("the manifest is another instance's".to_owned());
    }
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(format!(
            "the manifest lists {} files; 1 to {MAX_FILES} are taken",
            files.len()
        ));
    }
    let is_sha256 = |text: &str| {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        text.len() == 44
            && text
                .strip_suffix('=')
                .is_some_and(|text| text.bytes().all(is_base64))
    };
    if !files
        .iter()
        .all(|file| is_log_file(&file.name) && is_sha256(&file.sha256))
    {
        return Err("the manifest lists a file whose name or SHA-256 is none".to_owned());
    }
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    if names.len() < files.len() {
        return Err("the manifest lists a file twice".to_owned());
    }
    let bytes = files
        .iter()
        .try_fold(0_u64, |sum, file| sum.checked_add(file.bytes));
    if (files.len(), bytes) != (receipt.files, Some(receipt.bytes)) {
        return Err(
            "the manifest and the command's last line differ in number or size of the files"
                .to_owned(),
        );
    }
    Ok(files)
}
