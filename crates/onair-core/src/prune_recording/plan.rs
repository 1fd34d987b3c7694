//! Decides what to do with a recording. The plan is a value: it can be printed and compared.

use super::metadata;
use super::recording::{Inventory, ParsedRecording, Rendition, Versioning};
use super::removed::{self, RemovedRendition};
use super::rule::{Rule, Term, Terms};
use super::{ENDED, HLS, HeldReason, PlanError, THUMBNAILS, held};
use crate::playlist::MultivariantPlaylist;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The parts of every recording to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Which renditions to keep.
    pub rule: Rule,
    /// Whether to delete thumbnails.
    pub delete_thumbnails: bool,
    /// Which versions to delete in a bucket with versioning.
    pub versions: Versions,
}

/// Which versions of an object a listing or a deletion covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// The objects that a viewer can get. With versioning, a delete marker hides them.
    #[default]
    Current,
    /// Every version of every object, and every delete marker.
    All,
}

/// The changes of one recording, in this order:
///
/// 1. Check that [`PrunePlan::required_playlists`] exist and [`PrunePlan::required_folders`] have
///    segments.
/// 2. Write the playlists of [`PrunePlan::rewrites`], then the metadata.
/// 3. Delete [`PrunePlan::deletions`] in any order.
///
/// Wherever a run is interrupted, everything that the entry playlists name exists, and the next
/// plan reaches the same end state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrunePlan {
    /// The kept renditions, best first.
    pub kept: Vec<String>,
    /// The media playlists of the kept variants, relative to the recording's prefix.
    pub required_playlists: BTreeSet<String>,
    /// The folders of the kept renditions that a playlist names, relative to the recording's
    /// prefix.
    pub required_folders: BTreeSet<String>,
    /// The files to write: entry playlists, then metadata.
    pub rewrites: Vec<Rewrite>,
    /// The folders to delete.
    pub deletions: Vec<Deletion>,
    /// Which versions to delete.
    pub versions: Versions,
    /// Whether the bucket keeps versions.
    pub versioning: Versioning,
}

/// A file to write again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// An entry playlist without the deleted renditions.
    Playlist {
        /// The file's name under [`HLS`].
        file: String,
        /// The whole new text.
        text: String,
    },
    /// The file [`ENDED`] without the deleted renditions.
    Metadata {
        /// The whole new text.
        text: String,
        /// The new value of the user metadata [`removed::REMOVED`]. Other user metadata stays.
        removed: String,
    },
}

impl Rewrite {
    /// The file's path, relative to the recording's prefix.
    pub fn path(&self) -> String {
        match self {
            Self::Playlist { file, .. } => format!("{HLS}{file}"),
            Self::Metadata { .. } => ENDED.to_owned(),
        }
    }

    /// The whole new text.
    pub fn text(&self) -> &str {
        match self {
            Self::Playlist { text, .. } | Self::Metadata { text, .. } => text,
        }
    }

    /// Whether this is an entry playlist.
    pub fn is_playlist(&self) -> bool {
        matches!(self, Self::Playlist { .. })
    }
}

/// A folder to delete with everything in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deletion {
    /// A rendition: the folder of this name under [`HLS`].
    Rendition(String),
    /// One of the folders [`THUMBNAILS`].
    Thumbnails(&'static str),
}

impl Deletion {
    /// The folder, relative to the recording's prefix. The path ends in a slash: without it, the
    /// prefix `hd` would match the folder `hd-2`.
    pub fn folder(&self) -> String {
        match self {
            Self::Rendition(name) => format!("{HLS}{name}/"),
            Self::Thumbnails(folder) => (*folder).to_owned(),
        }
    }

    /// The name under which an answer counts the objects: the rendition, or `thumbnails`.
    pub fn label(&self) -> &str {
        match self {
            Self::Rendition(name) => name,
            Self::Thumbnails(_) => "thumbnails",
        }
    }
}

/// The effect of a deletion on the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionEffect {
    /// Nothing stays: the bytes are freed.
    Permanent,
    /// Every object stays as a hidden version: no bytes are freed.
    Hidden,
    /// The objects that were written before versioning was suspended stay as hidden versions.
    PartlyHidden,
}

impl DeletionEffect {
    /// How many of the deleted bytes are freed. If versioning is suspended, a listing does not show
    /// which objects a delete only hides, so all of them count as freed.
    pub fn freed(self, deleted_bytes: u64) -> u64 {
        match self {
            Self::Hidden => 0,
            Self::Permanent | Self::PartlyHidden => deleted_bytes,
        }
    }

    /// The note on the effect in the answer.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Permanent => None,
            Self::Hidden => Some(
                "the bucket keeps versions: delete markers hide the objects and no bytes are freed; set \
                 VERSIONS=purge, or give the bucket a lifecycle rule for noncurrent versions",
            ),
            Self::PartlyHidden => Some(
                "the bucket's versioning is suspended: objects written since then are deleted permanently; \
                 older objects are hidden and free no bytes; the figures count both",
            ),
        }
    }
}

impl PrunePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.rewrites.is_empty() && self.deletions.is_empty()
    }

    /// The effect of the deletions on the bucket.
    pub fn effect(&self) -> DeletionEffect {
        match (self.versions, self.versioning) {
            (Versions::All, _) | (Versions::Current, Versioning::Off) => DeletionEffect::Permanent,
            (Versions::Current, Versioning::Enabled) => DeletionEffect::Hidden,
            (Versions::Current, Versioning::Suspended) => DeletionEffect::PartlyHidden,
        }
    }
}

impl std::fmt::Display for PrunePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "keep    {}", self.kept.join(", "))?;
        for path in self.required_playlists.iter().chain(&self.required_folders) {
            writeln!(f, "check   {path}")?;
        }
        for rewrite in &self.rewrites {
            writeln!(f, "rewrite {}", rewrite.path())?;
        }
        let verb = match self.versions {
            Versions::Current => "delete ",
            Versions::All => "purge  ",
        };
        for deletion in &self.deletions {
            writeln!(f, "{verb} {}", deletion.folder())?;
        }
        Ok(())
    }
}

/// Decides what to do with the recording.
///
/// # Errors
///
/// [`PlanError`] if the recording is ambiguous, or if nothing playable would remain. Also if a run
/// that is interrupted at any step and repeated would reach another end state.
pub fn plan(inventory: &Inventory, policy: &RetentionPolicy) -> Result<PrunePlan, PlanError> {
    let plan = decide(inventory, policy)?;
    match unrepeatable_step(inventory, policy, &plan) {
        None => Ok(plan),
        Some(step) => held(HeldReason::NotRepeatable { step }),
    }
}

fn decide(inventory: &Inventory, policy: &RetentionPolicy) -> Result<PrunePlan, PlanError> {
    let recording = ParsedRecording::parse(inventory)?;
    let selection = Selection::of(&recording.renditions, &policy.rule)?;
    selection.check(inventory)?;

    let PlaylistEdits {
        mut rewrites,
        required_playlists,
    } = edit_playlists(inventory, &recording, &selection)?;
    rewrites.extend(edit_metadata(inventory, &recording, &selection, policy)?);

    Ok(PrunePlan {
        kept: selection.kept.iter().map(|r| r.name.clone()).collect(),
        required_playlists,
        required_folders: selection.required_folders(),
        rewrites,
        deletions: deletions(&selection, policy),
        versions: match inventory.versioning {
            // Deleting versions needs another permission, and is useless without versioning.
            Versioning::Off => Versions::Current,
            Versioning::Enabled | Versioning::Suspended => policy.versions,
        },
        versioning: inventory.versioning,
    })
}

/// The renditions of a recording, as the rule divides them.
struct Selection<'a> {
    /// The names that the rule deletes, including renditions of which nothing is left.
    deleted_names: BTreeSet<&'a str>,
    /// The deleted renditions of which something is left.
    deleted: Vec<&'a Rendition>,
    /// The kept renditions, best first.
    kept: Vec<&'a Rendition>,
}

impl<'a> Selection<'a> {
    fn of(all: &'a [Rendition], rule: &Rule) -> Result<Self, PlanError> {
        let deleted_names = match rule {
            Rule::Keep(terms) => {
                let kept = named_by_keep(terms, all);
                let existing = all.iter().filter(|rendition| rendition.exists());
                if !existing.clone().any(|r| kept.contains(r.name.as_str())) {
                    let renditions = join_names(existing);
                    return held(HeldReason::NothingMatches { renditions });
                }
                let names = all.iter().map(|rendition| rendition.name.as_str());
                names.filter(|name| !kept.contains(name)).collect()
            }
            Rule::Delete(terms) => named_by_delete(terms, all),
        };
        let existing = all.iter().filter(|rendition| rendition.exists());
        let (deleted, mut kept): (Vec<_>, Vec<_>) =
            existing.partition(|rendition| deleted_names.contains(rendition.name.as_str()));
        kept.sort_by_key(|r| {
            (
                Reverse((r.height, r.frame_rate_milli, r.bandwidth_bps)),
                &r.name,
            )
        });
        Ok(Self {
            deleted_names,
            deleted,
            kept,
        })
    }

    fn deletes(&self, name: &str) -> bool {
        self.deleted_names.contains(name)
    }

    /// Holds a deletion after which nothing is playable, or that may break a playlist that On Air
    /// does not rewrite.
    fn check(&self, inventory: &Inventory) -> Result<(), PlanError> {
        if self.deleted.is_empty() {
            return Ok(());
        }
        if !self.kept.iter().any(|r| r.playable && r.present) {
            let mut all: Vec<_> = self.deleted.iter().chain(&self.kept).copied().collect();
            all.sort_by_key(|rendition| &rendition.name);
            return held(HeldReason::NothingPlayable {
                renditions: join_names(all),
            });
        }
        match inventory.other_playlists.first() {
            None => Ok(()),
            Some(file) => held(HeldReason::OtherPlaylist {
                path: format!("{HLS}{file}"),
            }),
        }
    }

    fn required_folders(&self) -> BTreeSet<String> {
        let playable = self.kept.iter().filter(|rendition| rendition.playable);
        playable.map(|r| format!("{HLS}{}/", r.name)).collect()
    }
}

fn join_names<'a>(renditions: impl IntoIterator<Item = &'a Rendition>) -> String {
    let names = renditions.into_iter().map(|r| r.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

struct PlaylistEdits {
    rewrites: Vec<Rewrite>,
    required_playlists: BTreeSet<String>,
}

/// Removes the deleted renditions from the entry playlists.
fn edit_playlists(
    inventory: &Inventory,
    recording: &ParsedRecording<'_>,
    selection: &Selection<'_>,
) -> Result<PlaylistEdits, PlanError> {
    let mut edits = PlaylistEdits {
        rewrites: Vec::new(),
        required_playlists: BTreeSet::new(),
    };
    let is_deleted = |uri: &str| {
        let location = recording.locate(uri);
        location.is_some_and(|location| selection.deletes(&location.folder))
    };
    for (file, playlist) in &recording.playlists {
        let path = format!("{HLS}{file}");
        let text = playlist.without(is_deleted);
        // The next run and every player must be able to parse the new text.
        let edited = match MultivariantPlaylist::parse(&text) {
            Ok(edited) => edited,
            Err(problem) => return held(HeldReason::UnusablePlaylist { path, problem }),
        };
        if let Some(uri) = edited.all_uris().find(|uri| is_deleted(uri)) {
            let uri = uri.to_owned();
            return held(HeldReason::DeletedRenditionNeeded { path, uri });
        }
        let needed = edited.all_uris().filter_map(|uri| recording.locate(uri));
        let needed = needed.map(|location| format!("{HLS}{}", location.path));
        edits.required_playlists.extend(needed);
        if text != inventory.playlists[*file] {
            edits.rewrites.push(Rewrite::Playlist {
                file: (*file).to_owned(),
                text,
            });
        }
    }
    Ok(edits)
}

/// Removes the deleted renditions from the metadata, and records them in the user metadata.
fn edit_metadata(
    inventory: &Inventory,
    recording: &ParsedRecording<'_>,
    selection: &Selection<'_>,
    policy: &RetentionPolicy,
) -> Result<Option<Rewrite>, PlanError> {
    let removed: Vec<RemovedRendition> = recording
        .renditions
        .iter()
        .filter(|r| r.removed || selection.deletes(&r.name))
        .map(|r| RemovedRendition {
            name: r.name.clone(),
            height: r.height,
        })
        .collect();
    let removed = removed::write(&removed);
    if removed.len() > removed::MAX_BYTES {
        return held(HeldReason::TooManyRemoved);
    }
    let is_deleted = |name: &str| selection.deletes(name);
    let text = match metadata::without(&inventory.ended, is_deleted, policy.delete_thumbnails) {
        Ok(text) => text.unwrap_or_else(|| inventory.ended.clone()),
        Err(error) => {
            let problem = error.to_string();
            return held(HeldReason::UneditableMetadata { problem });
        }
    };
    let is_changed = text != inventory.ended || removed != inventory.removed;
    Ok(is_changed.then_some(Rewrite::Metadata { text, removed }))
}

fn deletions(selection: &Selection<'_>, policy: &RetentionPolicy) -> Vec<Deletion> {
    let present = selection.deleted.iter().filter(|r| r.present);
    let renditions = present.map(|r| Deletion::Rendition(r.name.clone()));
    let thumbnails = THUMBNAILS.map(Deletion::Thumbnails);
    let thumbnails = thumbnails.into_iter().filter(|_| policy.delete_thumbnails);
    renditions.chain(thumbnails).collect()
}

/// The renditions that a keep rule names. `highest` and `lowest` consider the renditions that an
/// entry playlist names: a rendition that no viewer can get is not worth keeping.
fn named_by_keep<'a>(terms: &Terms, all: &'a [Rendition]) -> BTreeSet<&'a str> {
    let quality = |r: &Rendition| {
        (
            r.height,
            r.frame_rate_milli,
            r.bandwidth_bps,
            r.name.clone(),
        )
    };
    let playable = || with_height(all.iter().filter(|r| r.playable));
    let highest = playable().max_by_key(|r| quality(r));
    let lowest = playable().min_by_key(|r| quality(r));
    named(terms, all, highest, lowest)
}

/// The renditions that a delete rule names. `highest` and `lowest` consider all renditions that the
/// recording ever had. Among equal heights, a rendition that is already deleted is preferred:
/// otherwise a second run would delete another one.
fn named_by_delete<'a>(terms: &Terms, all: &'a [Rendition]) -> BTreeSet<&'a str> {
    let quality = |r: &Rendition| (r.frame_rate_milli, r.bandwidth_bps, r.name.clone());
    let ever = || with_height(all.iter());
    let highest = ever().max_by_key(|r| (r.height, !r.playable, quality(r)));
    let lowest = ever().min_by_key(|r| (r.height, r.playable, quality(r)));
    named(terms, all, highest, lowest)
}

/// The renditions that have a height. All of them if none has a height: an audio-only recording
/// also has a highest rendition.
fn with_height<'a>(
    renditions: impl Iterator<Item = &'a Rendition> + Clone,
) -> impl Iterator<Item = &'a Rendition> {
    let any = renditions
        .clone()
        .any(|rendition| rendition.height.is_some());
    renditions.filter(move |rendition| !any || rendition.height.is_some())
}

fn named<'a>(
    terms: &Terms,
    all: &'a [Rendition],
    highest: Option<&'a Rendition>,
    lowest: Option<&'a Rendition>,
) -> BTreeSet<&'a str> {
    let is_named = |rendition: &Rendition| {
        terms.0.iter().any(|term| match term {
            Term::Highest => highest.is_some_and(|highest| highest.name == rendition.name),
            Term::Lowest => lowest.is_some_and(|lowest| lowest.name == rendition.name),
            Term::Name(name) => *name == rendition.name,
            Term::Height(how, bound) => rendition
                .height
                .is_some_and(|height| how.holds(height, *bound)),
        })
    };
    all.iter()
        .filter(|rendition| is_named(rendition))
        .map(|rendition| rendition.name.as_str())
        .collect()
}

/// The first step of `plan` after which the next plan would not reach the same end state.
///
/// Lambda can kill a run at any step, and events are delivered more than once. So this function
/// plans again in every state that the plan passes through. That replaces a proof for each rule.
fn unrepeatable_step(
    inventory: &Inventory,
    policy: &RetentionPolicy,
    plan: &PrunePlan,
) -> Option<String> {
    let rewritten = inventory.after(&plan.rewrites);
    let write = write_steps(plan).into_iter().find(|step| {
        let state = inventory.after(step.iter().copied());
        !completes_writing(&state, policy, plan, &rewritten)
    });
    if let Some(step) = write {
        let paths: Vec<String> = step.iter().map(|rewrite| rewrite.path()).collect();
        return Some(format!("after {} is written", paths.join(", ")));
    }
    let deletion = delete_steps(plan)
        .into_iter()
        .find(|step| !completes_deleting(&rewritten, policy, plan, step))?;
    let folders: Vec<String> = deletion.iter().map(|deletion| deletion.folder()).collect();
    Some(format!("after {} is deleted", folders.join(", ")))
}

/// Every set of files that an interrupted run may have written. Playlists are written in parallel,
/// so each subset of them is possible. Metadata is written after all playlists.
fn write_steps(plan: &PrunePlan) -> Vec<Vec<&Rewrite>> {
    let playlists: Vec<&Rewrite> = plan.rewrites.iter().filter(|r| r.is_playlist()).collect();
    let subset = |bits: u32| {
        let chosen = playlists.iter().enumerate();
        let chosen = chosen.filter(|(index, _)| bits & (1 << index) != 0);
        chosen.map(|(_, rewrite)| *rewrite).collect()
    };
    let mut steps: Vec<Vec<&Rewrite>> = (0..1_u32 << playlists.len()).map(subset).collect();
    steps.push(plan.rewrites.iter().collect());
    steps
}

/// Each single deletion, and all of them.
fn delete_steps(plan: &PrunePlan) -> Vec<Vec<&Deletion>> {
    let mut steps: Vec<Vec<&Deletion>> = plan.deletions.iter().map(|one| vec![one]).collect();
    steps.push(plan.deletions.iter().collect());
    steps
}

/// Whether a second plan in `state` reaches the same files, deletions and kept renditions.
fn completes_writing(
    state: &Inventory,
    policy: &RetentionPolicy,
    plan: &PrunePlan,
    rewritten: &Inventory,
) -> bool {
    decide(state, policy).is_ok_and(|second| {
        state.after(&second.rewrites) == *rewritten
            && second.deletions == plan.deletions
            && second.kept == plan.kept
    })
}

/// Whether a second plan, after the deletions `done`, writes nothing and contains exactly the other
/// deletions.
fn completes_deleting(
    rewritten: &Inventory,
    policy: &RetentionPolicy,
    plan: &PrunePlan,
    done: &[&Deletion],
) -> bool {
    let mut state = rewritten.clone();
    state.folders.retain(|name| {
        let is_folder =
            |deletion: &Deletion| matches!(deletion, Deletion::Rendition(n) if n == name);
        !done.iter().any(|deletion| is_folder(deletion))
    });
    // Every plan contains the thumbnail folders: the inventory does not show whether they are
    // empty.
    let left = plan
        .deletions
        .iter()
        .filter(|deletion| matches!(deletion, Deletion::Thumbnails(_)) || !done.contains(deletion));
    decide(&state, policy).is_ok_and(|second| {
        second.rewrites.is_empty() && second.kept == plan.kept && second.deletions.iter().eq(left)
    })
}

impl Inventory {
    /// The inventory after these files are written.
    fn after<'a>(&self, rewrites: impl IntoIterator<Item = &'a Rewrite>) -> Self {
        let mut after = self.clone();
        for rewrite in rewrites {
            match rewrite {
                Rewrite::Playlist { file, text } => {
                    after.playlists.insert(file.clone(), text.clone());
                }
                Rewrite::Metadata { text, removed } => {
                    after.ended.clone_from(text);
                    after.removed.clone_from(removed);
                }
            }
        }
        after
    }
}
