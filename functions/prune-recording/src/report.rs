//! What has been done so far, and what is said of it: figures that are right also when a run ends early.

use onair_aws::s3::{Contents, Tally};
use onair_core::metrics::Metric;
use onair_core::prune_recording::HLS;
use onair_core::prune_recording::event::Request;
use onair_core::prune_recording::plan::{Deletion, Plan};
use onair_lambda::{Error, Report};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A folder that goes, and how far that has come.
pub(crate) struct Removal {
    pub(crate) deletion: Deletion,
    pub(crate) contents: Contents,
    pub(crate) tally: Tally,
}

/// How far a run has come.
#[derive(Default)]
pub(crate) struct Progress {
    rewritten: Mutex<BTreeSet<String>>,
    removals: OnceLock<Vec<Removal>>,
    /// Deleting frees no bytes: it only hides what is there.
    hides: OnceLock<bool>,
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
    pub(crate) fn rewrote(&self, path: &str) {
        self.rewritten.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }

    /// What is to be removed, from here on. Only the first call counts, and a run makes only one.
    pub(crate) fn removals(&self, plan: &Plan, keeps_versions: bool, purge: bool) -> &[Removal] {
        let contents = if keeps_versions && purge { Contents::Versions } else { Contents::Current };
        self.hides.get_or_init(|| keeps_versions && !purge);
        self.removals.get_or_init(|| {
            let removal = |deletion: &Deletion| Removal {
                deletion: deletion.clone(),
                contents,
                tally: Tally::default(),
            };
            plan.deletions.iter().map(removal).collect()
        })
    }

    fn removed(&self) -> impl Iterator<Item = (&str, Amount)> {
        let hides = self.hides.get().copied().unwrap_or_default();
        self.removals.get().into_iter().flatten().map(move |removal| {
            let bytes = if hides { 0 } else { removal.tally.bytes() };
            (removal.deletion.name.as_str(), Amount { objects: removal.tally.objects(), bytes })
        })
    }

    fn total(&self) -> Amount {
        self.removed().fold(Amount::default(), |sum, (_, amount)| Amount {
            objects: sum.objects + amount.objects,
            bytes: sum.bytes + amount.bytes,
        })
    }

    /// The figures so far, for CloudWatch.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let Amount { objects, bytes } = self.total();
        vec![Metric::count("ObjectsDeleted", objects), Metric::bytes("BytesDeleted", bytes)]
    }

    /// The error for a run that has no time left.
    pub(crate) fn incomplete(&self) -> Error {
        let Amount { objects, bytes } = self.total();
        let rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner).len();
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
        let mut deleted: BTreeMap<&str, Amount> = BTreeMap::new();
        for (name, Amount { objects, bytes }) in self.removed().filter(|(_, amount)| amount.objects > 0) {
            let amount = deleted.entry(name).or_default();
            (amount.objects, amount.bytes) = (amount.objects + objects, amount.bytes + bytes);
        }
        let planned = || plan.rewrites.iter().map(|rewrite| rewrite.path.clone()).collect();
        let done = || self.rewritten.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rewritten: BTreeSet<String> = if dry_run { planned() } else { done() };
        let changes = !rewritten.is_empty() || !deleted.is_empty();
        let outcome = match (changes, dry_run) {
            (false, _) => "unchanged",
            (true, true) => "planned",
            (true, false) => "pruned",
        };
        let total = self.total();
        let hides = self.hides.get().copied().unwrap_or_default() && !deleted.is_empty();
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
        let mut metrics = Vec::new();
        if outcome == "pruned" {
            metrics = self.metrics();
            metrics.push(Metric::count("RecordingsPruned", 1));
        }
        Report::of(&figures, metrics)
    }
}
