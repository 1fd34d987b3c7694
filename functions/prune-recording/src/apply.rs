//! Does what the plan says, in its order, deciding nothing.

use crate::Handler;
use crate::report::{Progress, Removal};
use futures::future::{join_all, try_join_all};
use onair_aws::s3::{Folder, StoredText, Unfinished, Written};
use onair_core::prune_recording::event::Request;
use onair_core::prune_recording::plan::Plan;
use onair_lambda::Error;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// What came of writing playlists and metadata.
pub(crate) enum Rewritten {
    Done,
    /// Somebody else wrote meanwhile: the plan is made of what is no longer so.
    Conflict,
}

impl Handler {
    /// A media playlist that must be there for the recording to play, and is not.
    pub(crate) async fn missing(&self, request: &Request, plan: &Plan) -> Result<Option<String>, Error> {
        if plan.is_empty() {
            return Ok(None);
        }
        let checks = plan.must_play.iter().map(async |path| {
            let there = self.s3.exists(&request.bucket, &request.prefix.key(path)).await;
            there.map(|there| (!there).then(|| path.clone()))
        });
        Ok(try_join_all(checks).await?.into_iter().flatten().next())
    }

    /// Writes playlists before metadata, one after the other.
    pub(crate) async fn rewrite(
        &self,
        plan: &Plan,
        mut stored: BTreeMap<String, StoredText>,
        stop: Instant,
        progress: &Progress,
    ) -> Result<Rewritten, Error> {
        for rewrite in &plan.rewrites {
            if Instant::now() >= stop {
                return Err(progress.incomplete());
            }
            let Some(stored) = stored.remove(&rewrite.path) else { return Ok(Rewritten::Conflict) };
            match self.s3.rewrite(&stored, rewrite.text.clone()).await? {
                Written::Done => progress.rewrote(&rewrite.path),
                Written::Conflict => return Ok(Rewritten::Conflict),
            }
        }
        Ok(Rewritten::Done)
    }

    /// Deletes all folders of the plan at once.
    pub(crate) async fn delete(
        &self,
        request: &Request,
        removals: &[Removal],
        stop: Instant,
        progress: &Progress,
    ) -> Result<(), Error> {
        let ended = join_all(
            removals
                .iter()
                .map(async |removal| self.s3.empty(&folder(request, removal), stop, &removal.tally).await),
        );
        first_error(ended.await, progress)
    }

    /// Adds up what [`Handler::delete`] would delete.
    pub(crate) async fn measure(
        &self,
        request: &Request,
        removals: &[Removal],
        stop: Instant,
        progress: &Progress,
    ) -> Result<(), Error> {
        let ended = join_all(
            removals
                .iter()
                .map(async |removal| self.s3.measure(&folder(request, removal), stop, &removal.tally).await),
        );
        first_error(ended.await, progress)
    }
}

fn folder(request: &Request, removal: &Removal) -> Folder {
    Folder::new(&request.bucket, &request.prefix.key(&removal.deletion.folder), removal.contents)
}

/// A refusal comes before a lack of time: the retry will meet it again.
fn first_error(ended: Vec<Result<(), Unfinished>>, progress: &Progress) -> Result<(), Error> {
    let mut out_of_time = false;
    for result in ended {
        match result {
            Ok(()) => {}
            Err(Unfinished::OutOfTime) => out_of_time = true,
            Err(Unfinished::Failed(error)) => return Err(error.into()),
        }
    }
    if out_of_time { Err(progress.incomplete()) } else { Ok(()) }
}
