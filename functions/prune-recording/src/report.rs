//! What has been done so far, and what is said of it: figures that are right also when a run ends early.

use onair_aws::s3::{Contents, Tally};
use onair_core::metrics::Metric;
use onair_core::prune_recording::HLS;
use onair_core::prune_recording::event::Request;
use onair_core::prune_recording::plan::{Deletion, Plan};
use onair_lambda::{Error, Report};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A folder that goes, and how far that has come.
pub(crate) struct Removal {
    pub(crate) deletion: Deletion,
    pub(crate) contents: Contents,
    pub(crate) tally: Tally,
}

/// How far a run has come.
#[derive(Default)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Default)]
struct State {
    rewritten: BTreeSet<String>,
    removals: Arc<Vec<Removal>>,
    /// Deleting frees no bytes: it only hides what is there.
    hides: bool,
}

#[derive(Serialize, Default, Clone, Copy)]
struct Amount {
    objects: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Figures<'a> {
    outcome: &'a str,
    recording: String,
    kept: &'a [String],
    deleted: BTreeMap<&'a str, Amount>,
    objects_deleted: u64,
    bytes_deleted: u64,
    playlists_rewritten: usize,
    versioned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

const NO_BYTES_FREED: &str = "the bucket keeps versions: objects are hidden by delete markers and no bytes are freed; set \
                              VERSIONS=purge, or give the bucket a lifecycle rule for noncurrent versions";

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rewrote(&self, path: &str) {
        self.state().rewritten.insert(path.to_owned());
    }

    /// What an attempt is to remove. An attempt before it has deleted nothing, else there would be no other.
    pub(crate) fn begin(&self, plan: &Plan, keeps_versions: bool, purge: bool) -> Arc<Vec<Removal>> {
        let contents = if keeps_versions && purge { Contents::Versions } else { Contents::Current };
        let removal =
            |deletion: &Deletion| Removal { deletion: deletion.clone(), contents, tally: Tally::default() };
        let mut state = self.state();
        state.hides = keeps_versions && !purge;
        state.removals = Arc::new(plan.deletions.iter().map(removal).collect());
        Arc::clone(&state.removals)
    }

    /// The figures so far, for CloudWatch.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.state().metrics().into()
    }

    /// The error for a run that has no time left.
    pub(crate) fn incomplete(&self) -> Error {
        let Amount { objects, bytes } = self.state().total();
        let rewritten = self.state().rewritten.len();
        Error::Incomplete(format!(
            "the time is nearly up: {rewritten} files rewritten, {objects} objects ({bytes} bytes) deleted so far. A retry \
             goes on from there"
        ))
    }

    /// The answer of a run that came to its end.
    pub(crate) fn report(
        &self,
        request: &Request,
        plan: &Plan,
        keeps_versions: bool,
        dry_run: bool,
    ) -> Report {
        let state = self.state();
        let mut deleted: BTreeMap<&str, Amount> = BTreeMap::new();
        for (name, amount) in state.removed().filter(|(_, amount)| amount.objects > 0) {
            *deleted.entry(name).or_default() += amount;
        }
        let planned = || plan.rewrites.iter().map(|rewrite| rewrite.path.clone()).collect();
        let rewritten = if dry_run { planned() } else { state.rewritten.clone() };
        let changes = !rewritten.is_empty() || !deleted.is_empty();
        let outcome = match (changes, dry_run) {
            (false, _) => "unchanged",
            (true, true) => "planned",
            (true, false) => "pruned",
        };
        let total = state.total();
        let hides = state.hides && !deleted.is_empty();
        let figures = Figures {
            outcome,
            recording: format!("s3://{}/{}", request.bucket, request.prefix),
            kept: &plan.kept,
            deleted,
            objects_deleted: total.objects,
            bytes_deleted: total.bytes,
            playlists_rewritten: rewritten.iter().filter(|path| path.starts_with(HLS)).count(),
            versioned: keeps_versions,
            note: hides.then_some(NO_BYTES_FREED),
        };
        let pruned = outcome == "pruned";
        let metrics =
            pruned.then(|| state.metrics().into_iter().chain([Metric::count("RecordingsPruned", 1)]));
        Report::of(&figures, metrics.into_iter().flatten().collect())
    }
}

impl State {
    fn removed(&self) -> impl Iterator<Item = (&str, Amount)> {
        self.removals.iter().map(|removal| {
            let bytes = if self.hides { 0 } else { removal.tally.bytes() };
            (removal.deletion.name.as_str(), Amount { objects: removal.tally.objects(), bytes })
        })
    }

    fn total(&self) -> Amount {
        let mut total = Amount::default();
        self.removed().for_each(|(_, amount)| total += amount);
        total
    }

    fn metrics(&self) -> [Metric; 2] {
        let Amount { objects, bytes } = self.total();
        [Metric::count("ObjectsDeleted", objects), Metric::bytes("BytesDeleted", bytes)]
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, more: Self) {
        self.objects += more.objects;
        self.bytes += more.bytes;
    }
}
