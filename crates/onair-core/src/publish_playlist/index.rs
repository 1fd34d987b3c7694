//! The redundant multivariant playlist: what viewers open.
//!
//! What each player needs of it (read in their sources, August 2026):
//!
//! - AVPlayer takes a backup in the listed order: the two of a pair stand together, the first
//!   side's first.
//! - hls.js 1.7 recognises redundant variants by equal bitrate, RESOLUTION, FRAME-RATE, CODECS,
//!   VIDEO-RANGE and HDCP-LEVEL: both of a pair say exactly the same of themselves.
//! - Media3 1.11 refuses a steered playlist in which a group belongs to two pathways, or in which
//!   not every variant and every rendition has all pathways: groups are named per pathway, and what
//!   cannot be paired turns steering off.
//! - Shaka 5.2 recognises redundant variants only in a steered playlist.

use super::attributes::Attributes;
use super::pairing::{self, GROUPS, Paired};
use super::side_playlist::{Entry, SidePlaylist};
use crate::pair::state::PairState;
use crate::pair::{Side, Sides};
use url::Url;

/// The playlist, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its text.
    pub text: String,
    /// What only one of two sides has, in words.
    pub unpaired: Vec<String>,
    /// Whether players are told of the steering manifest.
    pub steered: bool,
}

/// The steering manifest's address, relative to the playlist.
const STEERING: &str = "steering.json";

/// Which sides viewers may be sent to: those that are live, and those that were cut in a way that
/// keeps their URLs, so that who opens the playlist meanwhile has the side when it is back.
pub fn is_visible(state: &PairState, side: Side) -> bool {
    state.sides[side].keeps_its_urls()
}

/// Renders the playlist from the state and both sides' own playlists. A side whose playlist is
/// missing is left out.
pub fn render(state: &PairState, playlists: &Sides<Option<SidePlaylist>>, steering: bool) -> Index {
    let playlists = visible(state, playlists);
    let variants = pairing::variants(&playlists);
    let i_frames = pairing::i_frames(&playlists);
    let media = pairing::renditions(&playlists);
    let unpaired = match (playlists.a, playlists.b) {
        (Some(_), Some(_)) => unpaired(&[
            ("variant", &variants),
            ("I-frame entry", &i_frames),
            ("rendition", &media),
        ]),
        _ => Vec::new(),
    };
    let steered = steering && unpaired.is_empty();
    let order = [state.active, state.active.other()];
    let pathway = |side: Side| state.sides[side].pathway.as_str();

    let first = order.into_iter().find(|side| playlists[*side].is_some());
    let steered_from = first.filter(|_| steered).map(pathway);
    let mut lines = head(&playlists, steered_from);
    lines.extend(in_order(&media, order).map(|line| media_line(&line, pathway(line.side))));
    for line in in_order(&variants, order) {
        let attributes = of_variant(line.paired, line.entry, pathway(line.side));
        lines.push(format!("#EXT-X-STREAM-INF:{attributes}"));
        lines.extend(line.entry.uri.clone().map(String::from));
    }
    for line in in_order(&i_frames, order) {
        let mut attributes = of_variant(line.paired, line.entry, pathway(line.side));
        let uri = line.entry.uri.as_ref().map(Url::as_str);
        attributes.set_text("URI", uri.unwrap_or_default());
        lines.push(format!("#EXT-X-I-FRAME-STREAM-INF:{attributes}"));
    }
    Index {
        text: lines.join("\n") + "\n",
        unpaired,
        steered,
    }
}

/// The lines before the entries. `steered_from` is the first pathway of a steered playlist.
fn head(playlists: &Sides<Option<&SidePlaylist>>, steered_from: Option<&str>) -> Vec<String> {
    let present = || Side::BOTH.into_iter().filter_map(|side| playlists[side]);
    let version = present().map(|playlist| playlist.version).max();
    let mut lines = vec![
        "#EXTM3U".to_owned(),
        format!("#EXT-X-VERSION:{}", version.unwrap_or(1)),
    ];
    if present().all(|playlist| playlist.independent_segments) {
        lines.push("#EXT-X-INDEPENDENT-SEGMENTS".to_owned());
    }
    if let Some(first) = steered_from {
        lines.push(format!(
            "#EXT-X-CONTENT-STEERING:SERVER-URI=\"{STEERING}\",PATHWAY-ID=\"{first}\""
        ));
    }
    for tag in present().flat_map(|playlist| &playlist.session) {
        if !lines.contains(tag) {
            lines.push(tag.clone());
        }
    }
    lines
}

/// An entry of one side, and its pair.
struct EntryLine<'a> {
    paired: &'a Paired,
    entry: &'a Entry,
    side: Side,
}

/// The entries of all pairs, those of the active side first in each pair.
fn in_order(paired: &[Paired], order: [Side; 2]) -> impl Iterator<Item = EntryLine<'_>> {
    let both = paired
        .iter()
        .flat_map(move |paired| order.map(|side| (paired, side)));
    both.filter_map(|(paired, side)| {
        let entry = paired.entries[side].as_ref()?;
        Some(EntryLine {
            paired,
            entry,
            side,
        })
    })
}

fn media_line(line: &EntryLine<'_>, pathway: &str) -> String {
    let mut attributes = line.paired.attributes.clone();
    if let Some(group) = line.entry.attributes.text("GROUP-ID") {
        attributes.set_text("GROUP-ID", &group_of(group, pathway));
    }
    if let Some(uri) = &line.entry.uri {
        attributes.set_text("STABLE-RENDITION-ID", &line.paired.stable_id);
        attributes.set_text("URI", uri.as_str());
    }
    format!("#EXT-X-MEDIA:{attributes}")
}

/// Parses a published playlist, both sides in one.
///
/// # Errors
///
/// A text that On Air did not write.
pub fn parse(text: &str) -> Result<SidePlaylist, String> {
    // Every URI in a published playlist is absolute; this base only has to be a URL.
    let base = Url::parse("https://published.invalid/").map_err(|error| error.to_string())?;
    SidePlaylist::parse(text, &base)
}

/// The part of each side in a published playlist. From it, fail-over knows the other side without a
/// request, and a side that does not answer keeps its place.
pub fn split(whole: &SidePlaylist, state: &PairState) -> Sides<Option<SidePlaylist>> {
    Sides::of(|side| {
        let pathway = state.sides[side].pathway.as_str();
        let suffix = group_of("", pathway);
        let own_groups = |entry: &Entry, names: &[&str]| {
            let mut entry = entry.clone();
            for name in names {
                let own = entry
                    .attributes
                    .text(name)
                    .and_then(|group| group.strip_suffix(&suffix))
                    .map(str::to_owned);
                if let Some(own) = own {
                    entry.attributes.set_text(name, &own);
                }
            }
            entry
        };
        let of_side = |entries: &[Entry]| -> Vec<Entry> {
            let own = entries
                .iter()
                .filter(|entry| entry.attributes.text("PATHWAY-ID") == Some(pathway));
            own.map(|entry| own_groups(entry, &GROUPS)).collect()
        };
        let media = whole.media.iter().filter(|entry| {
            entry
                .attributes
                .text("GROUP-ID")
                .is_some_and(|group| group.ends_with(&suffix))
        });
        let playlist = SidePlaylist {
            variants: of_side(&whole.variants),
            i_frames: of_side(&whole.i_frames),
            media: media
                .map(|entry| own_groups(entry, &["GROUP-ID"]))
                .collect(),
            ..whole.clone()
        };
        (!playlist.variants.is_empty()).then_some(playlist)
    })
}

/// The sides that the playlist names.
pub(super) fn visible<'a>(
    state: &PairState,
    playlists: &'a Sides<Option<SidePlaylist>>,
) -> Sides<Option<&'a SidePlaylist>> {
    Sides::of(|side| playlists[side].as_ref().filter(|_| is_visible(state, side)))
}

/// A group's name within a pathway.
fn group_of(group: &str, pathway: &str) -> String {
    format!("{group}-{pathway}")
}

/// What a variant says of itself on one side: what both say, and then where its place and its
/// groups are.
fn of_variant(paired: &Paired, entry: &Entry, pathway: &str) -> Attributes {
    let mut attributes = paired.attributes.clone();
    for name in GROUPS {
        match (entry.attributes.raw(name), entry.attributes.text(name)) {
            // CLOSED-CAPTIONS=NONE names no group.
            (Some(raw), _) if !raw.starts_with('"') => attributes.set(name, raw),
            (Some(_), Some(group)) => attributes.set_text(name, &group_of(group, pathway)),
            _ => {}
        }
    }
    attributes.set_text("PATHWAY-ID", pathway);
    attributes.set_text("STABLE-VARIANT-ID", &paired.stable_id);
    attributes
}

fn unpaired(kinds: &[(&str, &[Paired])]) -> Vec<String> {
    let mut unpaired = Vec::new();
    for (kind, all) in kinds {
        for paired in *all {
            for side in Side::BOTH {
                if paired.entries[side].is_none() {
                    let bandwidth = paired
                        .attributes
                        .text("BANDWIDTH")
                        .map(|bps| format!(", {bps} bit/s"));
                    let bandwidth = bandwidth.unwrap_or_default();
                    unpaired.push(format!(
                        "{side} lacks {kind} {}{bandwidth}",
                        paired.stable_id
                    ));
                }
            }
        }
    }
    unpaired
}
