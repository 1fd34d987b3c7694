//! What should be done: a value that can be printed, compared and be empty.

use super::metadata;
use super::recording::{Inventory, Recording, Rendition};
use super::removed::{self, Removed};
use super::rule::{Rule, Term, Terms};
use super::{ENDED, HLS, Refusal, THUMBNAILS, held};
use crate::playlist::MultivariantPlaylist;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What the user wants of every recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Which renditions stay.
    pub rule: Rule,
    /// Thumbnails go, too.
    pub delete_thumbnails: bool,
}

/// What to do to one recording, in this order: see that [`Plan::must_play`] is there, write the
/// playlists of [`Plan::rewrites`], then the metadata, delete [`Plan::deletions`] in any order.
/// Wherever that is cut short, what the entry playlists name is there, and planning again leads to
/// the same end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The renditions that stay, best first.
    pub kept: Vec<String>,
    /// The media playlists of the variants that stay, relative to the recording's prefix.
    pub must_play: BTreeSet<String>,
    /// The folders of the renditions that stay and that viewers can get, relative to the
    /// recording's prefix.
    pub must_hold_media: BTreeSet<String>,
    /// What to write: entry playlists, then metadata.
    pub rewrites: Vec<Rewrite>,
    /// What to delete.
    pub deletions: Vec<Deletion>,
}

/// A file that is to say something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// Relative to the recording's prefix.
    pub path: String,
    /// All of the new text.
    pub text: String,
    /// User metadata to set beside what the object has: see [`super::removed`].
    pub removed: Option<String>,
}

/// A folder that is to go with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deletion {
    /// The rendition, or `thumbnails`.
    pub name: String,
    /// Relative to the recording's prefix. Always ends in a slash, so a neighbour whose name starts
    /// alike is not in it.
    pub folder: String,
}

impl Plan {
    /// Whether there is nothing to do at all.
    pub fn is_empty(&self) -> bool {
        let Self {
            kept: _,
            must_play: _,
            must_hold_media: _,
            rewrites,
            deletions,
        } = self;
        rewrites.is_empty() && deletions.is_empty()
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kept,
            must_play,
            must_hold_media,
            rewrites,
            deletions,
        } = self;
        writeln!(f, "keep    {}", kept.join(", "))?;
        must_play
            .iter()
            .chain(must_hold_media)
            .try_for_each(|path| writeln!(f, "check   {path}"))?;
        rewrites
            .iter()
            .try_for_each(|rewrite| writeln!(f, "rewrite {}", rewrite.path))?;
        deletions
            .iter()
            .try_for_each(|deletion| writeln!(f, "delete  {}", deletion.folder))
    }
}

/// Decides what to do to the recording.
///
/// # Errors
///
/// [`Refusal`] when the recording leaves a doubt, when nothing that plays would be left, and when
/// the same policy would not lead to the same end after an interruption at any step.
pub fn plan(inventory: &Inventory, policy: &RetentionPolicy) -> Result<Plan, Refusal> {
    let plan = decide(inventory, policy)?;
    match unrepeatable_step(inventory, policy, &plan) {
        None => Ok(plan),
        Some(step) => held(format!(
            "the rule would not come out the same a second time ({step}): {ENDED} does not list a rendition that \
             an entry playlist names, so that nothing would remember it if the run were cut short"
        )),
    }
}

fn decide(inventory: &Inventory, policy: &RetentionPolicy) -> Result<Plan, Refusal> {
    let recording = Recording::parse(inventory)?;
    let all = &recording.renditions;
    let names = || {
        all.iter()
            .filter(|r| r.exists())
            .map(|r| r.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let goes: BTreeSet<&str> = match &policy.rule {
        Rule::Keep(terms) => {
            let stays = named_by_keep(terms, all);
            if !all
                .iter()
                .any(|rendition| rendition.exists() && stays.contains(rendition.name.as_str()))
            {
                return held(format!(
                    "KEEP_RENDITIONS matches none of the renditions {}",
                    names()
                ));
            }
            all.iter()
                .map(|rendition| rendition.name.as_str())
                .filter(|name| !stays.contains(name))
                .collect()
        }
        Rule::Delete(terms) => named_by_delete(terms, all),
    };
    let goes = |name: &str| goes.contains(name);
    let dropped: Vec<&Rendition> = all.iter().filter(|r| r.exists() && goes(&r.name)).collect();
    let mut kept: Vec<&Rendition> = all
        .iter()
        .filter(|r| r.exists() && !goes(&r.name))
        .collect();
    if !dropped.is_empty()
        && !kept
            .iter()
            .any(|rendition| rendition.playable && rendition.present)
    {
        return held(format!(
            "the rule would leave nothing that plays of {}",
            names()
        ));
    }
    if let (false, Some(file)) = (dropped.is_empty(), inventory.other_playlists.first()) {
        return held(format!(
            "{HLS}{file} lies beside the entry playlists and may name what would go; move it, or delete it"
        ));
    }
    kept.sort_by_key(|r| {
        (
            Reverse((r.height, r.frame_rate_milli, r.bandwidth_bps)),
            &r.name,
        )
    });

    let mut plan = Plan {
        kept: kept.iter().map(|r| r.name.clone()).collect(),
        ..Plan::default()
    };
    for (file, playlist) in &recording.playlists {
        let is_dropped = |uri: &str| recording.locate(uri).is_some_and(|at| goes(&at.folder));
        let text = playlist.without(is_dropped);
        // Read back, not assumed: what is written must be understood by the next run, and by
        // players.
        let rewritten = match MultivariantPlaylist::parse(&text) {
            Ok(rewritten) => rewritten,
            Err(error) => {
                return held(format!(
                    "the rule would leave {HLS}{file} unusable: {error}"
                ));
            }
        };
        if let Some(uri) = rewritten.all_uris().find(|uri| is_dropped(uri)) {
            return held(format!(
                "{HLS}{file} would still name {uri:?}, which would be deleted"
            ));
        }
        let places = rewritten.all_uris().filter_map(|uri| recording.locate(uri));
        plan.must_play
            .extend(places.map(|at| format!("{HLS}{}", at.path)));
        if text != inventory.playlists[*file] {
            plan.rewrites.push(Rewrite {
                path: format!("{HLS}{file}"),
                text,
                removed: None,
            });
        }
    }
    let playable = kept.iter().filter(|rendition| rendition.playable);
    plan.must_hold_media = playable
        .map(|rendition| format!("{HLS}{}/", rendition.name))
        .collect();

    let removed = removed::write(
        &all.iter()
            .filter(|r| r.removed || goes(&r.name))
            .map(memory)
            .collect::<Vec<_>>(),
    );
    if removed.len() > removed::MAX_BYTES {
        return held(format!(
            "there are more renditions to remember than {ENDED} can carry"
        ));
    }
    let text = match metadata::without(&inventory.ended, goes, policy.delete_thumbnails) {
        Ok(text) => text.unwrap_or_else(|| inventory.ended.clone()),
        Err(error) => return held(format!("{ENDED} cannot be rewritten: {error}")),
    };
    if text != inventory.ended || removed != inventory.removed {
        plan.rewrites.push(Rewrite {
            path: ENDED.to_owned(),
            text,
            removed: Some(removed),
        });
    }
    let present = dropped.iter().filter(|rendition| rendition.present);
    plan.deletions = present
        .map(|r| Deletion {
            name: r.name.clone(),
            folder: format!("{HLS}{}/", r.name),
        })
        .collect();
    if policy.delete_thumbnails {
        let folder = |folder: &str| Deletion {
            name: "thumbnails".to_owned(),
            folder: folder.to_owned(),
        };
        plan.deletions.extend(THUMBNAILS.map(folder));
    }
    Ok(plan)
}

/// What is to be remembered of a rendition that goes.
fn memory(rendition: &Rendition) -> Removed {
    Removed {
        name: rendition.name.clone(),
        height: rendition.height,
    }
}

/// What a keep rule names. `highest` and `lowest` look at what viewers can get: what no playlist
/// names any more cannot be what should stay.
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
    named(
        terms,
        all,
        playable().max_by_key(|r| quality(r)),
        playable().min_by_key(|r| quality(r)),
    )
}

/// What a delete rule names. `highest` and `lowest` look at all renditions that there ever were,
/// and among equals at one height at the one that is already gone: else a second run would take the
/// next one.
fn named_by_delete<'a>(terms: &Terms, all: &'a [Rendition]) -> BTreeSet<&'a str> {
    let quality = |r: &Rendition| (r.frame_rate_milli, r.bandwidth_bps, r.name.clone());
    let ever = || with_height(all.iter());
    let highest = ever().max_by_key(|r| (r.height, !r.playable, quality(r)));
    named(
        terms,
        all,
        highest,
        ever().min_by_key(|r| (r.height, r.playable, quality(r))),
    )
}

/// Those that have a height; all of them, if none has: a recording of audio has its highest, too.
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

/// The first step of `plan` after which planning anew would not lead to the same end.
///
/// A run can be killed anywhere and events come twice, so this is tried out on every state that the
/// plan passes through, instead of being argued rule by rule.
fn unrepeatable_step(
    inventory: &Inventory,
    policy: &RetentionPolicy,
    plan: &Plan,
) -> Option<String> {
    let (playlists, metadata): (Vec<_>, Vec<_>) = plan
        .rewrites
        .iter()
        .partition(|rewrite| rewrite.path.starts_with(HLS));
    let written = |rewrites: &[&Rewrite]| {
        let mut state = inventory.clone();
        rewrites.iter().for_each(|rewrite| state.write(rewrite));
        state
    };
    let rewritten = written(&plan.rewrites.iter().collect::<Vec<_>>());
    // Playlists are written at once, so any of them can be the last; metadata follows when all are.
    let some = (0..1_u32 << playlists.len()).map(|chosen| {
        let is_chosen = |(index, _): &(usize, &&Rewrite)| chosen & (1 << index) != 0;
        playlists
            .iter()
            .enumerate()
            .filter(is_chosen)
            .map(|(_, rewrite)| *rewrite)
            .collect::<Vec<_>>()
    });
    let all = playlists.iter().chain(&metadata).copied().collect();
    for step in some.chain([all]) {
        let mut again = written(&step);
        let same = decide(&again, policy).is_ok_and(|second| {
            second
                .rewrites
                .iter()
                .for_each(|rewrite| again.write(rewrite));
            again == rewritten && second.deletions == plan.deletions && second.kept == plan.kept
        });
        if !same {
            let paths: Vec<&str> = step.iter().map(|rewrite| rewrite.path.as_str()).collect();
            return Some(format!("after {} is written", paths.join(", ")));
        }
    }
    let is_gone = |deletions: &[&Deletion]| {
        let mut state = rewritten.clone();
        state
            .folders
            .retain(|name| !deletions.iter().any(|deletion| deletion.name == *name));
        let left: Vec<_> = plan
            .deletions
            .iter()
            .filter(|d| !deletions.contains(d) || !is_rendition(d))
            .collect();
        decide(&state, policy).is_ok_and(|second| {
            second.rewrites.is_empty()
                && second.kept == plan.kept
                && second.deletions.iter().eq(left)
        })
    };
    let all: Vec<&Deletion> = plan.deletions.iter().collect();
    let one_or_all = plan.deletions.iter().map(|one| vec![one]).chain([all]);
    one_or_all
        .into_iter()
        .find(|gone| !is_gone(gone))
        .map(|gone| {
            let folders: Vec<&str> = gone
                .iter()
                .map(|deletion| deletion.folder.as_str())
                .collect();
            format!("after {} is deleted", folders.join(", "))
        })
}

/// Thumbnail folders are looked into in every run, for nothing in the recording tells whether they
/// are empty.
fn is_rendition(deletion: &Deletion) -> bool {
    deletion.folder.starts_with(HLS)
}

impl Inventory {
    fn write(&mut self, rewrite: &Rewrite) {
        match rewrite.path.strip_prefix(HLS) {
            Some(file) => drop(self.playlists.insert(file.to_owned(), rewrite.text.clone())),
            None => {
                self.ended.clone_from(&rewrite.text);
                self.removed = rewrite.removed.clone().unwrap_or_default();
            }
        }
    }
}
