//! Carries out a plan. All decisions are in the plan.

use crate::gather::StoredRecording;
use crate::report::{FolderDeletion, PruneProgress};
use crate::{Stop, stop_for_delete};
use futures::future::{join_all, try_join, try_join_all};
use onair_aws::s3::{DeleteError, StoredText, WriteOutcome};
use onair_core::prune_recording::HeldReason;
use onair_core::prune_recording::plan::{PrunePlan, Rewrite, Versions};
use onair_core::prune_recording::removed::REMOVED;
use std::collections::BTreeMap;
use tokio::sync::SetOnce;
use tokio::time::Instant;

/// The number of keys to list in search of a segment. IVS writes two playlists into the folder.
const FIRST_KEYS: i32 = 5;

/// The only part of this function that changes a recording.
pub(crate) struct RecordingWriter<'a> {
    recording: &'a StoredRecording<'a>,
    progress: &'a PruneProgress,
}

impl<'a> RecordingWriter<'a> {
    pub(crate) fn new(recording: &'a StoredRecording<'a>, progress: &'a PruneProgress) -> Self {
        Self {
            recording,
            progress,
        }
    }

    /// Checks, writes, deletes. The folders are listed at the same time, but nothing is deleted
    /// before everything is written.
    pub(crate) async fn apply(
        &self,
        plan: &PrunePlan,
        stored: BTreeMap<String, StoredText>,
        deletions: &[FolderDeletion],
    ) -> Result<(), Stop> {
        let written = SetOnce::new();
        let write = async {
            self.recording.check(plan).await?;
            self.rewrite(plan, &stored).await?;
            // Setting fails only the second time, and this is the first.
            let _ = written.set(());
            Ok(())
        };
        let delete = async {
            let deleted = deletions
                .iter()
                .map(|deletion| self.delete_folder(plan.versions, deletion, &written));
            first_failure(join_all(deleted).await)
        };
        try_join(write, delete).await.map(drop)
    }

    /// Writes the entry playlists, then the metadata.
    async fn rewrite(
        &self,
        plan: &PrunePlan,
        stored: &BTreeMap<String, StoredText>,
    ) -> Result<(), Stop> {
        let (playlists, metadata): (Vec<_>, Vec<_>) = plan
            .rewrites
            .iter()
            .partition(|rewrite| rewrite.is_playlist());
        for step in [playlists, metadata] {
            let writes = step
                .into_iter()
                .map(|rewrite| self.write(rewrite, stored.get(&rewrite.path())));
            // Wait for every write of the step, also after a failure: the next attempt must not
            // conflict with this one.
            join_all(writes)
                .await
                .into_iter()
                .collect::<Result<(), Stop>>()?;
        }
        Ok(())
    }

    async fn write(&self, rewrite: &Rewrite, stored: Option<&StoredText>) -> Result<(), Stop> {
        if Instant::now() >= self.recording.stop {
            return Err(Stop::OutOfTime);
        }
        let Some(stored) = stored else {
            return Err(Stop::Conflict);
        };
        self.progress.begin_write(rewrite);
        let user_metadata = match rewrite {
            Rewrite::Playlist { .. } => None,
            Rewrite::Metadata { removed, .. } => Some((REMOVED, removed.clone())),
        };
        let text = rewrite.text().to_owned();
        match self
            .recording
            .s3
            .rewrite(stored, text, user_metadata)
            .await?
        {
            WriteOutcome::Done => self.progress.end_write(rewrite),
            WriteOutcome::Conflict => return Err(Stop::Conflict),
        }
        Ok(())
    }

    async fn delete_folder(
        &self,
        versions: Versions,
        deletion: &FolderDeletion,
        written: &SetOnce<()>,
    ) -> Result<(), DeleteError> {
        let StoredRecording { s3, stop, .. } = *self.recording;
        let folder = self.recording.folder(&deletion.folder, versions);
        s3.delete_folder(&folder, written, stop, &deletion.stats)
            .await
    }
}

impl StoredRecording<'_> {
    /// Counts what [`RecordingWriter::apply`] would delete.
    pub(crate) async fn measure(
        &self,
        plan: &PrunePlan,
        deletions: &[FolderDeletion],
    ) -> Result<(), Stop> {
        self.check(plan).await?;
        let measured = deletions.iter().map(async |deletion| {
            let folder = self.folder(&deletion.folder, plan.versions);
            self.s3
                .measure_folder(&folder, self.stop, &deletion.stats)
                .await
        });
        first_failure(join_all(measured).await)
    }

    /// Checks that everything that the kept renditions need exists: their media playlists, and at
    /// least one segment in each folder.
    async fn check(&self, plan: &PrunePlan) -> Result<(), Stop> {
        if plan.is_empty() {
            return Ok(());
        }
        let playlists = plan
            .required_playlists
            .iter()
            .map(|path| self.check_exists(path));
        let folders = plan
            .required_folders
            .iter()
            .map(|path| self.check_has_segments(path));
        try_join(try_join_all(playlists), try_join_all(folders))
            .await
            .map(drop)
    }

    async fn check_exists(&self, path: &str) -> Result<(), Stop> {
        if self.s3.exists(self.bucket, &self.prefix.key(path)).await? {
            return Ok(());
        }
        let path = path.to_owned();
        Err(Stop::Held(HeldReason::MissingMediaPlaylist { path }))
    }

    async fn check_has_segments(&self, path: &str) -> Result<(), Stop> {
        let folder = self.folder(path, Versions::Current);
        let keys = self.s3.first_keys(&folder, FIRST_KEYS).await?;
        if keys.iter().any(|key| !key.ends_with(".m3u8")) {
            return Ok(());
        }
        let path = path.to_owned();
        Err(Stop::Held(HeldReason::NoSegments { path }))
    }
}

/// Reports a permanent failure in preference to a timeout: a retry would fail in the same way.
fn first_failure(results: Vec<Result<(), DeleteError>>) -> Result<(), Stop> {
    let (failed, out_of_time): (Vec<_>, Vec<_>) = results
        .into_iter()
        .filter_map(Result::err)
        .partition(|error| matches!(error, DeleteError::Failed(_)));
    match failed.into_iter().chain(out_of_time).next() {
        None => Ok(()),
        Some(error) => Err(stop_for_delete(error)),
    }
}
