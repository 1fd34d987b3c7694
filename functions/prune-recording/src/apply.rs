//! Does what the plan says, in its order, deciding nothing.

use crate::report::{Progress, Removal};
use crate::{Halt, Handler};
use futures::future::{join_all, try_join, try_join_all};
use onair_aws::s3::{Contents, DeleteError, Folder, StoredText, WriteOutcome};
use onair_core::prune_recording::HLS;
use onair_core::prune_recording::event::Request;
use onair_core::prune_recording::plan::{Plan, Rewrite};
use onair_core::prune_recording::removed::REMOVED;
use std::collections::BTreeMap;
use tokio::sync::SetOnce;
use tokio::time::Instant;

/// Keys of a folder that are looked at. Its playlists, of which there are two, are none to play.
const FIRST_KEYS: i32 = 5;

impl Handler {
    /// Looks, writes, deletes. The folders that go are listed meanwhile, but nothing is deleted
    /// before everything is written.
    pub(crate) async fn apply(
        &self,
        request: &Request,
        plan: &Plan,
        stored: BTreeMap<String, StoredText>,
        removals: &[Removal],
        stop: Instant,
        progress: &Progress,
    ) -> Result<(), Halt> {
        let written = SetOnce::new();
        let write = async {
            self.look(request, plan).await?;
            self.rewrite(plan, stored, stop, progress).await?;
            // It is set once, so it cannot have been set before.
            let _ = written.set(());
            Ok(())
        };
        let delete = async {
            let emptied = removals.iter().map(async |removal| {
                self.s3
                    .empty(&folder(request, removal), &written, stop, &removal.stats)
                    .await
            });
            first_failure(join_all(emptied).await)
        };
        try_join(write, delete).await.map(drop)
    }

    /// Adds up what [`Handler::apply`] would delete.
    pub(crate) async fn measure(
        &self,
        request: &Request,
        plan: &Plan,
        removals: &[Removal],
        stop: Instant,
    ) -> Result<(), Halt> {
        self.look(request, plan).await?;
        let measured = removals.iter().map(async |removal| {
            self.s3
                .measure(&folder(request, removal), stop, &removal.stats)
                .await
        });
        first_failure(join_all(measured).await)
    }

    /// Whether that is there without which the recording would not play: the playlists that stay,
    /// and something to play beside them.
    async fn look(&self, request: &Request, plan: &Plan) -> Result<(), Halt> {
        if plan.is_empty() {
            return Ok(());
        }
        let playlists = plan.must_play.iter().map(async |path| {
            match self
                .s3
                .exists(&request.bucket, &request.prefix.key(path))
                .await?
            {
                true => Ok(()),
                false => Err(Halt::Held(format!(
                    "{path} is not there, though what would stay needs it"
                ))),
            }
        });
        let media = plan.must_hold_media.iter().map(async |path| {
            let folder = Folder::new(
                &request.bucket,
                &request.prefix.key(path),
                Contents::Current,
            );
            match self
                .s3
                .first_keys(&folder, FIRST_KEYS)
                .await?
                .iter()
                .any(|key| !key.ends_with(".m3u8"))
            {
                true => Ok(()),
                false => Err(Halt::Held(format!(
                    "{path} would stay, and holds nothing to play"
                ))),
            }
        });
        try_join(try_join_all(playlists), try_join_all(media))
            .await
            .map(drop)
    }

    /// Writes the entry playlists, then the metadata.
    async fn rewrite(
        &self,
        plan: &Plan,
        stored: BTreeMap<String, StoredText>,
        stop: Instant,
        progress: &Progress,
    ) -> Result<(), Halt> {
        let write = async |rewrite: &Rewrite| {
            if Instant::now() >= stop {
                return Err(Halt::OutOfTime);
            }
            let Some(stored) = stored.get(&rewrite.path) else {
                return Err(Halt::Conflict);
            };
            progress.tries(rewrite);
            let removed = rewrite.removed.clone().map(|removed| (REMOVED, removed));
            match self
                .s3
                .rewrite(stored, rewrite.text.clone(), removed)
                .await?
            {
                WriteOutcome::Done => progress.rewrote(&rewrite.path),
                WriteOutcome::Conflict => return Err(Halt::Conflict),
            }
            Ok(())
        };
        let (playlists, metadata): (Vec<_>, Vec<_>) = plan
            .rewrites
            .iter()
            .partition(|rewrite| rewrite.path.starts_with(HLS));
        for step in [playlists, metadata] {
            // All of a step come to their end, so that a repeated attempt meets no write of this
            // one.
            join_all(step.into_iter().map(&write))
                .await
                .into_iter()
                .collect::<Result<(), Halt>>()?;
        }
        Ok(())
    }
}

fn folder(request: &Request, removal: &Removal) -> Folder {
    Folder::new(
        &request.bucket,
        &request.prefix.key(&removal.deletion.folder),
        removal.contents,
    )
}

/// A refusal comes before a lack of time: the retry will meet it again.
fn first_failure(ended: Vec<Result<(), DeleteError>>) -> Result<(), Halt> {
    let (failed, out_of_time): (Vec<_>, Vec<_>) = ended
        .into_iter()
        .filter_map(Result::err)
        .partition(|why| matches!(why, DeleteError::Failed(_)));
    failed
        .into_iter()
        .chain(out_of_time)
        .next()
        .map_or(Ok(()), |why| Err(why.into()))
}
