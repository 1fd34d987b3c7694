//! Reads the inputs of the plan, in one round trip.

use crate::{Stop, stop_for_delete};
use onair_aws::s3::{Folder, ReadOutcome, S3, StoredText};
use onair_core::playlist::MAX_PLAYLIST_BYTES;
use onair_core::prune_recording::event::RecordingPrefix;
use onair_core::prune_recording::plan::Versions;
use onair_core::prune_recording::recording::Inventory;
use onair_core::prune_recording::removed::REMOVED;
use onair_core::prune_recording::{ENDED, ENTRY_PLAYLISTS, HLS, HeldReason, PlanError, STARTED};
use onair_lambda::Error;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The longest metadata file that is read, in bytes. Real files have about 1 kB.
const MAX_METADATA_BYTES: usize = 1024 * 1024;

/// One recording in S3.
pub(crate) struct StoredRecording<'a> {
    pub(crate) s3: &'a S3,
    pub(crate) bucket: &'a str,
    pub(crate) prefix: &'a RecordingPrefix,
    /// The last instant at which a request may start.
    pub(crate) stop: Instant,
}

/// The contents of a recording as they were read.
pub(crate) struct Gathered {
    pub(crate) inventory: Inventory,
    /// The files that can be rewritten, by their path in the recording.
    pub(crate) stored: BTreeMap<String, StoredText>,
}

impl StoredRecording<'_> {
    /// Reads the recording. With [`Versions::All`], it also finds renditions that have only hidden
    /// versions left.
    pub(crate) async fn gather(&self, versions: Versions) -> Result<Gathered, Stop> {
        let hls = self.folder(HLS, versions);
        let playlist_paths = ENTRY_PLAYLISTS.map(|name| format!("{HLS}{name}"));
        let playlists = playlist_paths
            .iter()
            .map(|path| self.read(path, MAX_PLAYLIST_BYTES));
        let (ended, started, playlists, hls, versioning) = futures::try_join!(
            self.read(ENDED, MAX_METADATA_BYTES),
            self.read(STARTED, MAX_METADATA_BYTES),
            futures::future::try_join_all(playlists),
            async {
                let listing = self.s3.list_folder(&hls, self.stop).await;
                listing.map_err(stop_for_delete)
            },
            async { Ok(self.s3.versioning(self.bucket).await?) },
        )?;
        let Some(ended) = ended else {
            return Err(self.not_complete(&format!("{ENDED} does not exist")));
        };
        let other_playlists = hls.files.into_iter().filter(|file| is_other_playlist(file));
        let mut inventory = Inventory {
            started: started.map(|started| started.text),
            ended: ended.text.clone(),
            playlists: BTreeMap::new(),
            folders: hls.folders,
            other_playlists: other_playlists.collect(),
            removed: ended.metadata(REMOVED).unwrap_or_default().to_owned(),
            versioning,
        };
        let mut stored = BTreeMap::from([(ENDED.to_owned(), ended)]);
        for (name, playlist) in ENTRY_PLAYLISTS.iter().zip(playlists) {
            if let Some(playlist) = playlist {
                let text = playlist.text.clone();
                inventory.playlists.insert((*name).to_owned(), text);
                stored.insert(format!("{HLS}{name}"), playlist);
            }
        }
        Ok(Gathered { inventory, stored })
    }

    async fn read(&self, path: &str, max_bytes: usize) -> Result<Option<StoredText>, Stop> {
        let key = self.prefix.key(path);
        match self.s3.read(self.bucket, &key, max_bytes).await? {
            ReadOutcome::Absent => Ok(None),
            ReadOutcome::Text(text) => Ok(Some(*text)),
            ReadOutcome::Unreadable(problem) => Err(Stop::Held(HeldReason::UnreadableFile {
                path: path.to_owned(),
                problem,
            })),
        }
    }

    pub(crate) fn folder(&self, path: &str, versions: Versions) -> Folder {
        Folder::new(self.bucket, &self.prefix.key(path), versions)
    }

    pub(crate) fn stop_for(&self, error: PlanError) -> Stop {
        match error {
            PlanError::Held(reason) => Stop::Held(reason),
            PlanError::MissingFile { .. } => self.not_complete(&error.to_string()),
        }
    }

    /// A file of the recording is missing. An event can arrive before the files that it announces,
    /// and IVS does not document an order. So this is an error, and Lambda retries the event.
    fn not_complete(&self, why: &str) -> Stop {
        Stop::Failed(Error::BadEvent(format!(
            "{self} is not a complete recording: {why}; a retry succeeds if IVS is still writing, otherwise check \
             what sent this event"
        )))
    }
}

impl std::fmt::Display for StoredRecording<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

fn is_other_playlist(file: &str) -> bool {
    file.ends_with(".m3u8") && !ENTRY_PLAYLISTS.contains(&file)
}
