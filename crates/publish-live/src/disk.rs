//! The transcoder's disk.

use onair_core::publish_live::names::{FileId, files_of};
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Longest playlist that is read, in bytes: a day of segments.
const MAX_PLAYLIST_BYTES: u64 = 16 * 1024 * 1024;

/// The folder into which the transcoder writes. Paths are relative to it, with `/` between their
/// parts.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    dir: PathBuf,
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum FileReadError {
    /// It is not there, or not the one that was asked for.
    Gone(String),
    /// It may be read later.
    Failed(String),
}

impl Disk {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Where a file is. Links lead to nothing outside of the folder, and a pipe or a device is no
    /// file: whoever may write here could publish or block everything with them.
    fn open(&self, path: &str) -> io::Result<File> {
        let real = self.dir.join(path).canonicalize()?;
        if !real.starts_with(&self.dir) || !fs::metadata(&real)?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no file of this folder",
            ));
        }
        File::open(real)
    }

    /// A file that is there and not empty.
    pub(crate) fn file(&self, path: &str) -> Option<FileId> {
        let metadata = fs::metadata(self.dir.join(path)).ok()?;
        (metadata.is_file() && metadata.len() > 0).then(|| id(&metadata))
    }

    /// A playlist, and those of the files it names that are there.
    pub(crate) fn playlist(&self, path: &str) -> Option<(String, BTreeMap<String, FileId>)> {
        let mut text = String::new();
        let read = self
            .open(path)
            .and_then(|file| file.take(MAX_PLAYLIST_BYTES).read_to_string(&mut text));
        if let Err(error) = read {
            // Who replaces a file by removing it first writes it again in a moment.
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(playlist.path = path, "it cannot be read: {error}");
            }
            return None;
        }
        let files = files_of(path, &text).into_iter();
        let files = files
            .filter_map(|path| self.file(&path).map(|file| (path, file)))
            .collect();
        Some((text, files))
    }

    /// The content of a file, if it is still this one.
    pub(crate) fn content(&self, path: &str, file: FileId) -> Result<Vec<u8>, FileReadError> {
        let read = || -> io::Result<(FileId, Vec<u8>, FileId)> {
            let mut open = self.open(path)?;
            let before = id(&open.metadata()?);
            let mut bytes = Vec::new();
            (&mut open)
                .take(file.size_bytes + 1)
                .read_to_end(&mut bytes)?;
            Ok((before, bytes, id(&open.metadata()?)))
        };
        let (before, bytes, after) = read().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FileReadError::Gone(format!("{path}: {error}")),
            _ => FileReadError::Failed(format!("{path}: {error}")),
        })?;
        match before == file && after == file {
            true => Ok(bytes),
            false => Err(FileReadError::Gone(format!("{path} was written again"))),
        }
    }

    /// All playlists in the folder and below it.
    pub(crate) fn playlists(&self) -> Vec<String> {
        let (mut found, mut folders) = (Vec::new(), vec![self.dir.clone()]);
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::warn!("{}: {error}", folder.display());
                    continue;
                }
            };
            for entry in entries.flatten() {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder {
                    folders.push(entry.path());
                } else if let Some(path) = relative(&self.dir, &entry.path())
                    && path.ends_with(".m3u8")
                {
                    found.push(path);
                }
            }
        }
        found
    }
}

/// A path as the core knows it. `None` if it is not UTF-8.
pub(crate) fn relative(dir: &Path, path: &Path) -> Option<String> {
    Some(path.strip_prefix(dir).ok()?.to_str()?.to_owned())
}

fn id(metadata: &Metadata) -> FileId {
    let modified = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified_ms = modified
        .and_then(|time| u64::try_from(time.as_millis()).ok())
        .unwrap_or_default();
    FileId {
        size_bytes: metadata.len(),
        modified_ms,
    }
}
