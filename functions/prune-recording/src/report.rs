//! Counts and reports the changes of a run. The figures are also right if a run ends early.

use crate::gather::StoredRecording;
use onair_aws::s3::{DeleteStats, StoredText};
use onair_core::held;
use onair_core::metrics::Metric;
use onair_core::prune_recording::HeldReason;
use onair_core::prune_recording::plan::{Deletion, DeletionEffect, PrunePlan, Rewrite};
use onair_core::prune_recording::recording::Versioning;
use onair_lambda::{Error, Report};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether a run changes the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunMode {
    /// Nothing is changed. The figures are those of the run that would follow.
    DryRun,
    /// The plan is carried out.
    Prune,
}

/// A folder to delete, with the number of objects deleted (or, in a dry run, counted) so far.
pub(crate) struct FolderDeletion {
    pub(crate) folder: String,
    pub(crate) stats: DeleteStats,
    label: String,
}

impl FolderDeletion {
    fn new(deletion: &Deletion) -> Self {
        Self {
            folder: deletion.folder(),
            stats: DeleteStats::default(),
            label: deletion.label().to_owned(),
        }
    }
}

/// The changes of a run so far.
pub(crate) struct PruneProgress {
    recording: String,
    mode: RunMode,
    state: Mutex<ProgressState>,
}

struct ProgressState {
    /// Writes that S3 confirmed, by path.
    written: BTreeMap<String, Rewrite>,
    /// Writes of this attempt, by path. The answer to a write can be lost.
    begun: BTreeMap<String, Rewrite>,
    deletions: Arc<Vec<FolderDeletion>>,
    effect: DeletionEffect,
}

#[derive(Serialize, Default, Clone, Copy)]
struct DeletedAmount {
    objects: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct PruneAnswer<'a> {
    outcome: &'a str,
    recording: &'a str,
    kept: &'a [String],
    deleted: BTreeMap<&'a str, DeletedAmount>,
    objects_deleted: u64,
    bytes_deleted: u64,
    playlists_rewritten: usize,
    versioned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// A reason for `held` that an attempt met after it had written something.
#[derive(Debug, thiserror::Error)]
#[error("{reason} (rewritten before that: {})", .written.join(", "))]
struct HeldAfterWrites {
    reason: HeldReason,
    written: Vec<String>,
}

impl held::HeldReason for HeldAfterWrites {
    fn code(&self) -> &'static str {
        self.reason.code()
    }
}

impl PruneProgress {
    pub(crate) fn new(recording: &StoredRecording<'_>, mode: RunMode) -> Self {
        let state = ProgressState {
            written: BTreeMap::new(),
            begun: BTreeMap::new(),
            deletions: Arc::default(),
            effect: DeletionEffect::Permanent,
        };
        Self {
            recording: recording.to_string(),
            mode,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn mode(&self) -> RunMode {
        self.mode
    }

    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin_write(&self, rewrite: &Rewrite) {
        let mut state = self.state();
        state.begun.insert(rewrite.path(), rewrite.clone());
    }

    pub(crate) fn end_write(&self, rewrite: &Rewrite) {
        let mut state = self.state();
        state.written.insert(rewrite.path(), rewrite.clone());
    }

    /// Counts writes of the previous attempt whose answer was lost. Such a write looks like a
    /// conflict until the text is read again.
    pub(crate) fn confirm_writes(&self, stored: &BTreeMap<String, StoredText>) {
        let mut state = self.state();
        for (path, rewrite) in std::mem::take(&mut state.begun) {
            let is_stored = |stored: &StoredText| stored.text == rewrite.text();
            if stored.get(&path).is_some_and(is_stored) {
                state.written.insert(path, rewrite);
            }
        }
    }

    /// Begins an attempt at this plan. Earlier attempts deleted nothing: after a deletion there is
    /// no further attempt.
    pub(crate) fn begin(&self, plan: &PrunePlan) -> Arc<Vec<FolderDeletion>> {
        let mut state = self.state();
        state.effect = plan.effect();
        state.deletions = Arc::new(plan.deletions.iter().map(FolderDeletion::new).collect());
        Arc::clone(&state.deletions)
    }

    /// The metrics so far.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        match self.mode {
            RunMode::DryRun => Vec::new(),
            RunMode::Prune => self.state().metrics().into(),
        }
    }

    /// The error of a run that has no time left.
    pub(crate) fn incomplete(&self) -> Error {
        let state = self.state();
        let DeletedAmount { objects, bytes } = state.total();
        let so_far = match self.mode {
            RunMode::DryRun => "dry run, nothing was changed".to_owned(),
            RunMode::Prune => format!(
                "{} files rewritten, {objects} objects ({bytes} bytes) deleted so far; a retry continues from there",
                state.written.len()
            ),
        };
        let recording = &self.recording;
        Error::Incomplete(format!(
            "{recording} is not finished, because the function's timeout is near: {so_far}"
        ))
    }

    /// The answer of a run that a safety rule stopped.
    pub(crate) fn held(&self, reason: HeldReason) -> Report {
        let written: Vec<String> = self.state().written.keys().cloned().collect();
        if written.is_empty() {
            Report::held("recording", &self.recording, &reason)
        } else {
            let reason = HeldAfterWrites { reason, written };
            Report::held("recording", &self.recording, &reason)
        }
    }

    /// The answer of a run that carried out, or measured, the whole plan.
    pub(crate) fn report(&self, plan: &PrunePlan) -> Report {
        let state = self.state();
        let deleted = state.deleted();
        let (files, playlists) = match self.mode {
            RunMode::DryRun => count_files(&plan.rewrites),
            RunMode::Prune => count_files(state.written.values()),
        };
        let outcome = match self.mode {
            _ if files == 0 && deleted.is_empty() => "unchanged",
            RunMode::DryRun => "planned",
            RunMode::Prune => "pruned",
        };
        let total = state.total();
        let answer = PruneAnswer {
            outcome,
            recording: &self.recording,
            kept: &plan.kept,
            objects_deleted: total.objects,
            bytes_deleted: total.bytes,
            playlists_rewritten: playlists,
            versioned: plan.versioning != Versioning::Off,
            note: plan.effect().note().filter(|_| !deleted.is_empty()),
            deleted,
        };
        let metrics = if outcome == "pruned" {
            [
                &state.metrics()[..],
                &[Metric::count("RecordingsPruned", 1)],
            ]
            .concat()
        } else {
            Vec::new()
        };
        Report::of(&answer, metrics)
    }
}

impl ProgressState {
    fn amounts(&self) -> impl Iterator<Item = (&str, DeletedAmount)> {
        self.deletions.iter().map(|deletion| {
            let amount = DeletedAmount {
                objects: deletion.stats.objects(),
                bytes: self.effect.freed(deletion.stats.bytes()),
            };
            (deletion.label.as_str(), amount)
        })
    }

    /// The deleted amounts by rendition, without those of which nothing was deleted.
    fn deleted(&self) -> BTreeMap<&str, DeletedAmount> {
        let mut deleted: BTreeMap<&str, DeletedAmount> = BTreeMap::new();
        for (label, amount) in self.amounts().filter(|(_, amount)| amount.objects > 0) {
            *deleted.entry(label).or_default() += amount;
        }
        deleted
    }

    fn total(&self) -> DeletedAmount {
        let mut total = DeletedAmount::default();
        self.amounts().for_each(|(_, amount)| total += amount);
        total
    }

    fn metrics(&self) -> [Metric; 2] {
        let DeletedAmount { objects, bytes } = self.total();
        [
            Metric::count("ObjectsDeleted", objects),
            Metric::bytes("BytesDeleted", bytes),
        ]
    }
}

/// The number of files, and how many of them are entry playlists.
fn count_files<'a>(rewrites: impl IntoIterator<Item = &'a Rewrite>) -> (usize, usize) {
    rewrites
        .into_iter()
        .fold((0, 0), |(files, playlists), rewrite| {
            (files + 1, playlists + usize::from(rewrite.is_playlist()))
        })
}

impl AddAssign for DeletedAmount {
    fn add_assign(&mut self, more: Self) {
        self.objects += more.objects;
        self.bytes += more.bytes;
    }
}
