//! What may reach a command line or a key, character by character. Whatever is not wholly of these
//! is refused.

use serde::Serialize;
use std::fmt;

/// The id of an EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// `i-` and 8 or 17 hexadecimal digits, and nothing else (EC2 User Guide, "Resource IDs").
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("i-")?;
        let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        ([8, 17].contains(&digits.len()) && digits.bytes().all(is_hexadecimal))
            .then(|| Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn all(text: &str, lengths: std::ops::RangeInclusive<usize>, others: &str) -> bool {
    lengths.contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// The name of a general-purpose bucket (S3 User Guide, "Bucket naming rules").
pub fn is_bucket(text: &str) -> bool {
    let edges = text.bytes().next().into_iter().chain(text.bytes().last());
    all(text, 3..=63, ".-")
        && !text.bytes().any(|byte| byte.is_ascii_uppercase())
        && edges.into_iter().all(|byte| byte.is_ascii_alphanumeric())
}

/// The name of a lifecycle hook (Auto Scaling API reference, `PutLifecycleHook`:
/// `[A-Za-z0-9\-_\/]+`).
pub fn is_hook(text: &str) -> bool {
    all(text, 1..=255, "-_/")
}

/// The name of an SSM document (SSM API reference, `CreateDocument`: `^[a-zA-Z0-9_\-.]{3,128}$`).
pub fn is_document(text: &str) -> bool {
    all(text, 3..=128, "_-.")
}

/// An absolute path of plain parts.
pub fn is_directory(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(is_plain_path)
}

/// A relative path of plain parts to a file of YAML.
pub fn is_playbook(text: &str) -> bool {
    is_plain_path(text) && (text.ends_with(".yml") || text.ends_with(".yaml"))
}

/// No part is hidden, leads upwards or looks like an option.
fn is_plain_path(text: &str) -> bool {
    let is_plain = |part: &str| all(part, 1..=128, "._-") && !part.starts_with(['.', '-']);
    text.len() <= 1024 && text.split('/').all(is_plain)
}

/// The name of a file of the logs: one plain part.
pub(super) fn is_log_file(text: &str) -> bool {
    !text.contains('/') && is_plain_path(text)
}

/// `k=v k=v`, or nothing. A value has none of the characters that the document of AWS refuses (`:`,
/// `|`, `(`, `)`, `;`, `&`), and none that means anything to the shell between the double quotes
/// where the document puts it.
pub fn is_variables(text: &str) -> bool {
    let is_name =
        |name: &str| all(name, 1..=64, "_") && !name.starts_with(|c: char| c.is_ascii_digit());
    let is_variable = |pair: &str| {
        pair.split_once('=')
            .is_some_and(|(name, value)| is_name(name) && all(value, 1..=1024, "_.,/@%+=-"))
    };
    text.len() <= 4096 && (text.is_empty() || text.split(' ').all(is_variable))
}
