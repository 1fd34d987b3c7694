//! The transcoder's disk.

use onair_core::publish_live::media_playlist::files_of;
use onair_core::publish_live::names::FileId;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The longest playlist that is read, in bytes: a day of segments.
const MAX_PLAYLIST_BYTES: u64 = 16 * 1024 * 1024;

/// The folder into which the transcoder writes. Paths are relative to it, with `/` between their
/// parts.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    dir: PathBuf,
}

/// A playlist of the folder.
pub(crate) struct ReadPlaylist {
    pub(crate) text: String,
    /// The files that it names, if they exist and are not empty.
    pub(crate) files: BTreeMap<String, FileId>,
}

/// The reasons for which a file cannot be read.
#[derive(Debug)]
pub(crate) enum FileReadError {
    /// The file does not exist, or has another content.
    Gone(String),
    /// A later try may succeed.
    Failed(String),
}

impl Disk {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Opens a file of the folder. Links to files outside, pipes and devices are refused. With
    /// them, a user who may write here could publish any file, or block the daemon.
    fn open(&self, path: &str) -> io::Result<File> {
        let real = self.dir.join(path).canonicalize()?;
        if !real.starts_with(&self.dir) || !fs::metadata(&real)?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "it is not a regular file in the folder",
            ));
        }
        File::open(real)
    }

    /// A file, if it exists and is not empty.
    pub(crate) fn file(&self, path: &str) -> Option<FileId> {
        let metadata = fs::metadata(self.dir.join(path)).ok()?;
        (metadata.is_file() && metadata.len() > 0).then(|| id(&metadata))
    }

    pub(crate) fn playlist(&self, path: &str) -> Option<ReadPlaylist> {
        let mut text = String::new();
        let read = self
            .open(path)
            .and_then(|file| file.take(MAX_PLAYLIST_BYTES).read_to_string(&mut text));
        if let Err(error) = read {
            // Some transcoders remove a playlist just before they write it again.
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(
                    playlist.path = path,
                    "playlist {path} cannot be read: {error}"
                );
            }
            return None;
        }
        let files = files_of(path, &text).into_iter();
        let files = files.filter_map(|path| self.file(&path).map(|file| (path, file)));
        Some(ReadPlaylist {
            files: files.collect(),
            text,
        })
    }

    /// The content of a file, if the file was not written again.
    pub(crate) fn content(&self, path: &str, file: FileId) -> Result<Vec<u8>, FileReadError> {
        match self.read_unchanged(path, file) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(FileReadError::Gone(format!(
                "file {path} was written again before it was read"
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FileReadError::Gone(
                format!("file {path} cannot be read: {error}"),
            )),
            Err(error) => Err(FileReadError::Failed(format!(
                "file {path} cannot be read: {error}"
            ))),
        }
    }

    /// `None` if the file has another content, or was written while it was read.
    fn read_unchanged(&self, path: &str, file: FileId) -> io::Result<Option<Vec<u8>>> {
        let mut open = self.open(path)?;
        if id(&open.metadata()?) != file {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        (&mut open)
            .take(file.size_bytes + 1)
            .read_to_end(&mut bytes)?;
        Ok((id(&open.metadata()?) == file).then_some(bytes))
    }

    /// All playlists in the folder and below it.
    pub(crate) fn playlists(&self) -> Vec<String> {
        let (mut found, mut folders) = (Vec::new(), vec![self.dir.clone()]);
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::warn!("folder {} cannot be read: {error}", folder.display());
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

/// A path relative to the folder, as the core uses it. `None` if it is not UTF-8.
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
