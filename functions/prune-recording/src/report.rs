//! What has been done so far, and what is said of it: figures that are right also when a run ends
//! early.

use onair_aws::s3::{Contents, DeleteStats, StoredText, Versioning};
use onair_core::metrics::Metric;
use onair_core::prune_recording::HLS;
use onair_core::prune_recording::event::Request;
use onair_core::prune_recording::plan::{Deletion, Plan, Rewrite};
use onair_lambda::{Error, Report};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A folder that goes, and how far that has come.
pub(crate) struct Removal {
    pub(crate) deletion: Deletion,
    pub(crate) contents: Contents,
    pub(crate) stats: DeleteStats,
}

/// How far a run has come.
pub(crate) struct Progress {
    recording: String,
    /// Nothing is changed: what is counted would be.
    pub(crate) dry_run: bool,
    state: Mutex<State>,
}

struct State {
    /// What was written, and what was tried: the answer to a write can be lost.
    rewritten: BTreeSet<String>,
    tried: BTreeMap<String, String>,
    removals: Arc<Vec<Removal>>,
    versioning: Versioning,
    purge: bool,
}

#[derive(Serialize, Default, Clone, Copy)]
struct Amount {
    objects: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Figures<'a> {
    outcome: &'a str,
    recording: &'a str,
    kept: &'a [String],
    deleted: BTreeMap<&'a str, Amount>,
    objects_deleted: u64,
    bytes_deleted: u64,
    playlists_rewritten: usize,
    versioned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

const HIDDEN: &str = "the bucket keeps versions: objects are hidden by delete markers and no bytes are freed; set \
                      VERSIONS=purge, or give the bucket a lifecycle rule for noncurrent versions";
const PARTLY_HIDDEN: &str = "the bucket's versioning is suspended: objects written since are gone for ever, those written \
                             before are only hidden and free no bytes; the figures count both";

impl Progress {
    pub(crate) fn of(request: &Request, dry_run: bool) -> Self {
        let state = State {
            rewritten: BTreeSet::new(),
            tried: BTreeMap::new(),
            removals: Arc::default(),
            versioning: Versioning::Off,
            purge: false,
        };
        let recording = format!("s3://{}/{}", request.bucket, request.prefix);
        Self {
            recording,
            dry_run,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tries(&self, rewrite: &Rewrite) {
        self.state()
            .tried
            .insert(rewrite.path.clone(), rewrite.text.clone());
    }

    pub(crate) fn rewrote(&self, path: &str) {
        self.state().rewritten.insert(path.to_owned());
    }

    /// A write whose answer was lost looks like a conflict, until the text is read again.
    pub(crate) fn look_back(&self, stored: &BTreeMap<String, StoredText>) {
        let mut state = self.state();
        let tried = std::mem::take(&mut state.tried);
        let written = tried
            .into_iter()
            .filter(|(path, text)| stored.get(path).is_some_and(|is| is.text == *text));
        state.rewritten.extend(written.map(|(path, _)| path));
    }

    /// What an attempt is to remove. An attempt before it has deleted nothing, else there would be
    /// no other.
    pub(crate) fn begin(
        &self,
        plan: &Plan,
        versioning: Versioning,
        purge: bool,
    ) -> Arc<Vec<Removal>> {
        let all_versions = purge && versioning != Versioning::Off;
        let contents = if all_versions {
            Contents::Versions
        } else {
            Contents::Current
        };
        let removal = |deletion: &Deletion| Removal {
            deletion: deletion.clone(),
            contents,
            stats: DeleteStats::default(),
        };
        let mut state = self.state();
        (state.versioning, state.purge) = (versioning, purge);
        state.removals = Arc::new(plan.deletions.iter().map(removal).collect());
        Arc::clone(&state.removals)
    }

    /// The figures so far, for CloudWatch.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        if self.dry_run {
            Vec::new()
        } else {
            self.state().metrics().into()
        }
    }

    /// The error for a run that has no time left.
    pub(crate) fn incomplete(&self) -> Error {
        let state = self.state();
        let Amount { objects, bytes } = state.total();
        let (recording, rewritten) = (&self.recording, state.rewritten.len());
        let so_far = if self.dry_run {
            "a dry run, nothing was changed".to_owned()
        } else {
            format!(
                "{rewritten} files rewritten, {objects} objects ({bytes} bytes) deleted so far; a retry goes on from there"
            )
        };
        Error::Incomplete(format!("the time for {recording} is nearly up: {so_far}"))
    }

    /// The answer of a run that a safety rule ended.
    pub(crate) fn held(&self, why: &str) -> Report {
        let rewritten: Vec<String> = self.state().rewritten.iter().cloned().collect();
        let before = match rewritten.is_empty() {
            true => String::new(),
            false => format!(" (rewritten before that: {})", rewritten.join(", ")),
        };
        Report::held_why("recording", &self.recording, format!("{why}{before}"))
    }

    /// The answer of a run that came to its end.
    pub(crate) fn report(&self, plan: &Plan) -> Report {
        let state = self.state();
        let mut deleted: BTreeMap<&str, Amount> = BTreeMap::new();
        for (name, amount) in state.removed().filter(|(_, amount)| amount.objects > 0) {
            *deleted.entry(name).or_default() += amount;
        }
        let planned = || {
            plan.rewrites
                .iter()
                .map(|rewrite| rewrite.path.clone())
                .collect()
        };
        let rewritten: BTreeSet<String> = if self.dry_run {
            planned()
        } else {
            state.rewritten.clone()
        };
        let changes = !rewritten.is_empty() || !deleted.is_empty();
        let outcome = match (changes, self.dry_run) {
            (false, _) => "unchanged",
            (true, true) => "planned",
            (true, false) => "pruned",
        };
        let total = state.total();
        let note = match state.versioning {
            Versioning::Enabled if !state.purge => Some(HIDDEN),
            Versioning::Suspended if !state.purge => Some(PARTLY_HIDDEN),
            _ => None,
        };
        let figures = Figures {
            outcome,
            recording: &self.recording,
            kept: &plan.kept,
            objects_deleted: total.objects,
            bytes_deleted: total.bytes,
            playlists_rewritten: rewritten
                .iter()
                .filter(|path| path.starts_with(HLS))
                .count(),
            versioned: state.versioning != Versioning::Off,
            note: note.filter(|_| !deleted.is_empty()),
            deleted,
        };
        let pruned = outcome == "pruned";
        let metrics = pruned.then(|| {
            state
                .metrics()
                .into_iter()
                .chain([Metric::count("RecordingsPruned", 1)])
        });
        Report::of(&figures, metrics.into_iter().flatten().collect())
    }
}

impl State {
    fn removed(&self) -> impl Iterator<Item = (&str, Amount)> {
        let hides = self.versioning == Versioning::Enabled && !self.purge;
        self.removals.iter().map(move |removal| {
            let bytes = if hides { 0 } else { removal.stats.bytes() };
            (
                removal.deletion.name.as_str(),
                Amount {
                    objects: removal.stats.objects(),
                    bytes,
                },
            )
        })
    }

    fn total(&self) -> Amount {
        let mut total = Amount::default();
        self.removed().for_each(|(_, amount)| total += amount);
        total
    }

    fn metrics(&self) -> [Metric; 2] {
        let Amount { objects, bytes } = self.total();
        [
            Metric::count("ObjectsDeleted", objects),
            Metric::bytes("BytesDeleted", bytes),
        ]
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, more: Self) {
        self.objects += more.objects;
        self.bytes += more.bytes;
    }
}
