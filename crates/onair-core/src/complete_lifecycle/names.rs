//! Which names may become part of a command line or of a key. Each check lists the characters that
//! are allowed, and rejects a name with any other.

use serde::Serialize;
use std::fmt;
use std::ops::RangeInclusive;

/// The ID of an EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// Reads `i-` and 8 or 17 hexadecimal digits (EC2 User Guide, "Resource IDs"). `None` for any
    /// other text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("i-")?;
        let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        ([8, 17].contains(&digits.len()) && digits.bytes().all(is_hexadecimal))
            .then(|| Self(text.to_owned()))
    }

    /// The ID as EC2 writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text has an accepted length, and only letters, digits and these `others`.
fn has_only(text: &str, lengths: RangeInclusive<usize>, others: &str) -> bool {
    lengths.contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Checks the name of a general-purpose bucket (S3 User Guide, "Bucket naming rules").
pub fn is_bucket(text: &str) -> bool {
    let edges = text.bytes().next().into_iter().chain(text.bytes().last());
    has_only(text, 3..=63, ".-")
        && !text.bytes().any(|byte| byte.is_ascii_uppercase())
        && edges.into_iter().all(|byte| byte.is_ascii_alphanumeric())
}

/// Checks the name of a lifecycle hook (Auto Scaling API reference, `PutLifecycleHook`:
/// `[A-Za-z0-9\-_\/]+`).
pub fn is_hook(text: &str) -> bool {
    has_only(text, 1..=255, "-_/")
}

/// Checks the name of an SSM document (SSM API reference, `CreateDocument`:
/// `^[a-zA-Z0-9_\-.]{3,128}$`).
pub fn is_document(text: &str) -> bool {
    has_only(text, 3..=128, "_-.")
}

/// Checks an absolute path without hidden parts or `..`.
pub fn is_directory(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(is_plain_path)
}

/// Checks a relative path to a YAML file, without hidden parts or `..`.
pub fn is_playbook(text: &str) -> bool {
    is_plain_path(text) && (text.ends_with(".yml") || text.ends_with(".yaml"))
}

/// Whether no part of a path is hidden, `..` or like an option of a command.
fn is_plain_path(text: &str) -> bool {
    let is_plain = |part: &str| has_only(part, 1..=128, "._-") && !part.starts_with(['.', '-']);
    text.len() <= 1024 && text.split('/').all(is_plain)
}

/// Checks the name of a log file: one part of a path, neither hidden nor like an option of a
/// command.
pub fn is_log_file(text: &str) -> bool {
    !text.contains('/') && is_plain_path(text)
}

/// Checks variables for a playbook: `k=v k=v`, or an empty text.
///
/// A value has none of the characters that the document of AWS rejects (`:`, `|`, `(`, `)`, `;`,
/// `&`). It also has none that is special to a shell between double quotes, where the document puts
/// the value.
pub fn is_variables(text: &str) -> bool {
    let is_name =
        |name: &str| has_only(name, 1..=64, "_") && !name.starts_with(|c: char| c.is_ascii_digit());
    let is_variable = |pair: &str| {
        pair.split_once('=')
            .is_some_and(|(name, value)| is_name(name) && has_only(value, 1..=1024, "_.,/@%+=-"))
    };
    text.len() <= 4096 && (text.is_empty() || text.split(' ').all(is_variable))
}
