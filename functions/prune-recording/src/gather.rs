//! Reads what the plan is made from: all at once, in one round trip.

use crate::{Halt, Handler};
use onair_aws::s3::{Contents, Folder, ReadOutcome, StoredText, Versioning};
use onair_core::playlist::MAX_PLAYLIST_BYTES;
use onair_core::prune_recording::event::Request;
use onair_core::prune_recording::recording::Inventory;
use onair_core::prune_recording::removed::REMOVED;
use onair_core::prune_recording::{ENDED, ENTRY_PLAYLISTS, HLS, STARTED};
use onair_lambda::Error;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Longest metadata file that is read, in bytes. Real ones have about 1 kB.
const MAX_METADATA_BYTES: usize = 1024 * 1024;

/// What is there.
pub(crate) struct Gathered {
    pub(crate) inventory: Inventory,
    /// What can be rewritten, by its path in the recording.
    pub(crate) stored: BTreeMap<String, StoredText>,
    /// What deleting means in this bucket.
    pub(crate) versioning: Versioning,
}

/// Something of the recording is not there. Events can overtake what they tell of, and nobody
/// promises that the metadata is there before the event, so this is an error, which Lambda tries
/// again.
pub(crate) fn not_whole(request: &Request, why: &str) -> Halt {
    Halt::Failed(Error::BadEvent(format!(
        "s3://{}/{} is not a whole recording: {why}. If it has only just ended, a retry will find it; if not, see what \
         sent this event",
        request.bucket, request.prefix
    )))
}

impl Handler {
    pub(crate) async fn gather(&self, request: &Request, stop: Instant) -> Result<Gathered, Halt> {
        let Request { bucket, prefix, .. } = request;
        let text = async |path: &str, max_bytes| match self
            .s3
            .read(bucket, &prefix.key(path), max_bytes)
            .await?
        {
            ReadOutcome::Absent => Ok(None),
            ReadOutcome::Text(text) => Ok(Some(*text)),
            ReadOutcome::Unreadable(why) => {
                Err(Halt::Held(format!("{path} cannot be read: {why}")))
            }
        };
        // Where versions go, so do renditions of which only hidden versions are left.
        let contents = if self.settings.purge_versions {
            Contents::Versions
        } else {
            Contents::Current
        };
        let hls = Folder::new(bucket, &prefix.key(HLS), contents);
        let playlist_paths = ENTRY_PLAYLISTS.map(|name| format!("{HLS}{name}"));
        let playlists = playlist_paths
            .iter()
            .map(|path| text(path, MAX_PLAYLIST_BYTES));
        let (ended, started, playlists, hls, versioning) = futures::try_join!(
            text(ENDED, MAX_METADATA_BYTES),
            text(STARTED, MAX_METADATA_BYTES),
            futures::future::try_join_all(playlists),
            async { Ok(self.s3.list_folder(&hls, stop).await?) },
            async { Ok(self.s3.versioning(bucket).await?) },
        )?;
        let Some(ended) = ended else {
            return Err(not_whole(request, &format!("{ENDED} is not there")));
        };
        let mut inventory = Inventory {
            started: started.map(|started| started.text),
            ended: ended.text.clone(),
            playlists: BTreeMap::new(),
            folders: hls.folders,
            other_playlists: hls
                .files
                .into_iter()
                .filter(|file| is_other_playlist(file))
                .collect(),
            removed: ended.metadata(REMOVED).unwrap_or_default().to_owned(),
        };
        let mut stored = BTreeMap::from([(ENDED.to_owned(), ended)]);
        for (name, playlist) in ENTRY_PLAYLISTS.iter().zip(playlists) {
            if let Some(playlist) = playlist {
                inventory
                    .playlists
                    .insert((*name).to_owned(), playlist.text.clone());
                stored.insert(format!("{HLS}{name}"), playlist);
            }
        }
        Ok(Gathered {
            inventory,
            stored,
            versioning,
        })
    }
}

fn is_other_playlist(file: &str) -> bool {
    file.ends_with(".m3u8") && !ENTRY_PLAYLISTS.contains(&file)
}
