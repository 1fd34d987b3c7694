//! The redundant multivariant playlist: the file that viewers open.
//!
//! The requirements of players (read in their sources, August 2026):
//!
//! - AVPlayer tries backups in the listed order, so the two variants of a pair are adjacent, and
//!   the active side's is first.
//! - hls.js 1.7 recognises redundant variants by equal bitrate, RESOLUTION, FRAME-RATE, CODECS,
//!   VIDEO-RANGE and HDCP-LEVEL, so these attributes are identical within a pair.
//! - Media3 1.11 rejects a steered playlist in which a group belongs to two pathways. It also
//!   rejects one in which a variant or a rendition lacks a pathway. So each pathway has its own
//!   groups, and a playlist with unpaired entries is not steered.
//! - Shaka 5.2 recognises redundant variants only in a steered playlist.

use super::attributes::Attributes;
use super::pairing::{self, GROUPS, Paired};
use super::side_playlist::{Entry, SidePlaylist};
use crate::pair::state::PairState;
use crate::pair::{Side, Sides};
use url::Url;

/// The rendered playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The text of the playlist.
    pub text: String,
    /// Descriptions of the entries that only one of two sides has.
    pub unpaired: Vec<String>,
    /// Whether the playlist refers to the steering manifest.
    pub steered: bool,
}

/// The URL of the steering manifest, relative to the playlist.
const STEERING: &str = "steering.json";

/// Whether the playlist names a side: a live one, or one that was cut and keeps its URLs. A player
/// that opens the playlist during the cut can then use the side once it has returned.
pub fn is_visible(state: &PairState, side: Side) -> bool {
    state.sides[side].keeps_urls()
}

/// Renders the playlist from the state and the playlists of both sides. A side without a playlist
/// is left out.
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

    let mut lines = version_tags(&playlists);
    if steered {
        lines.extend(steering_tag(state, &playlists));
    }
    for tag in present(&playlists).flat_map(|playlist| &playlist.session) {
        if !lines.contains(tag) {
            lines.push(tag.clone());
        }
    }
    lines.extend(in_order(&media, state).map(|one| one.media_tag()));
    lines.extend(in_order(&variants, state).flat_map(|one| one.variant_lines()));
    lines.extend(in_order(&i_frames, state).map(|one| one.i_frame_tag()));
    Index {
        text: lines.join("\n") + "\n",
        unpaired,
        steered,
    }
}

fn present<'a>(
    playlists: &Sides<Option<&'a SidePlaylist>>,
) -> impl Iterator<Item = &'a SidePlaylist> {
    [playlists.a, playlists.b].into_iter().flatten()
}

fn version_tags(playlists: &Sides<Option<&SidePlaylist>>) -> Vec<String> {
    let version = present(playlists).map(|playlist| playlist.version).max();
    let mut lines = vec![
        "#EXTM3U".to_owned(),
        format!("#EXT-X-VERSION:{}", version.unwrap_or(1)),
    ];
    if present(playlists).all(|playlist| playlist.independent_segments) {
        lines.push("#EXT-X-INDEPENDENT-SEGMENTS".to_owned());
    }
    lines
}

/// The tag that refers to the steering manifest. Players begin with the active side, if the
/// playlist names it.
fn steering_tag(state: &PairState, playlists: &Sides<Option<&SidePlaylist>>) -> Option<String> {
    let first = order(state)
        .into_iter()
        .find(|side| playlists[*side].is_some())?;
    let pathway = &state.sides[first].pathway;
    Some(format!(
        "#EXT-X-CONTENT-STEERING:SERVER-URI=\"{STEERING}\",PATHWAY-ID=\"{pathway}\""
    ))
}

/// The active side first.
fn order(state: &PairState) -> [Side; 2] {
    [state.active, state.active.other()]
}

/// An entry of one side, and the attributes that it shares with the entry of the other side.
struct SideEntry<'a> {
    paired: &'a Paired,
    entry: &'a Entry,
    pathway: &'a str,
}

/// The entries of both sides. The two of a pair are adjacent, and the active side's is first.
fn in_order<'a>(paired: &'a [Paired], state: &'a PairState) -> impl Iterator<Item = SideEntry<'a>> {
    paired.iter().flat_map(move |paired| {
        order(state).into_iter().filter_map(move |side| {
            Some(SideEntry {
                paired,
                entry: paired.entries[side].as_ref()?,
                pathway: &state.sides[side].pathway,
            })
        })
    })
}

impl SideEntry<'_> {
    fn media_tag(&self) -> String {
        let mut attributes = self.paired.attributes.clone();
        if let Some(group) = self.entry.attributes.text("GROUP-ID") {
            attributes.set_text("GROUP-ID", &group_of(group, self.pathway));
        }
        if let Some(uri) = &self.entry.uri {
            attributes.set_text("STABLE-RENDITION-ID", &self.paired.stable_id);
            attributes.set_text("URI", uri.as_str());
        }
        format!("#EXT-X-MEDIA:{attributes}")
    }

    fn variant_lines(&self) -> impl Iterator<Item = String> + use<> {
        let tag = format!("#EXT-X-STREAM-INF:{}", self.variant_attributes());
        let uri = self.entry.uri.as_ref().map(Url::to_string);
        [tag].into_iter().chain(uri)
    }

    fn i_frame_tag(&self) -> String {
        let mut attributes = self.variant_attributes();
        let uri = self.entry.uri.as_ref();
        attributes.set_text("URI", uri.map(Url::as_str).unwrap_or_default());
        format!("#EXT-X-I-FRAME-STREAM-INF:{attributes}")
    }

    /// The attributes of a variant on one side: those that are the same on both sides, then the
    /// side's own groups, pathway and stable id.
    fn variant_attributes(&self) -> Attributes {
        let mut attributes = self.paired.attributes.clone();
        for name in GROUPS {
            let own = &self.entry.attributes;
            match (own.raw(name), own.text(name)) {
                // CLOSED-CAPTIONS=NONE names no group.
                (Some(raw), _) if !raw.starts_with('"') => attributes.set(name, raw),
                (Some(_), Some(group)) => {
                    attributes.set_text(name, &group_of(group, self.pathway));
                }
                _ => {}
            }
        }
        attributes.set_text("PATHWAY-ID", self.pathway);
        attributes.set_text("STABLE-VARIANT-ID", &self.paired.stable_id);
        attributes
    }
}

/// Parses a published playlist, which names both sides.
///
/// # Errors
///
/// A text that On Air did not write.
pub fn parse(text: &str) -> Result<SidePlaylist, String> {
    // Every URI in a published playlist is absolute; this base only has to be a URL.
    let base = Url::parse("https://published.invalid/").map_err(|error| error.to_string())?;
    SidePlaylist::parse(text, &base)
}

/// The part of each side in a published playlist. With it, fail-over probes the other side without
/// another request, and a side that does not answer stays in the playlist.
pub fn split(whole: &SidePlaylist, state: &PairState) -> Sides<Option<SidePlaylist>> {
    Sides::of(|side| {
        let pathway = state.sides[side].pathway.as_str();
        let suffix = group_of("", pathway);
        let is_of_side = |entry: &&Entry| entry.attributes.text("PATHWAY-ID") == Some(pathway);
        let of_side = |entries: &[Entry]| -> Vec<Entry> {
            let own = entries.iter().filter(is_of_side);
            own.map(|entry| without_suffix(entry, &GROUPS, &suffix))
                .collect()
        };
        let media = whole.media.iter().filter(|entry| {
            let group = entry.attributes.text("GROUP-ID");
            group.is_some_and(|group| group.ends_with(&suffix))
        });
        let playlist = SidePlaylist {
            variants: of_side(&whole.variants),
            i_frames: of_side(&whole.i_frames),
            media: media
                .map(|entry| without_suffix(entry, &["GROUP-ID"], &suffix))
                .collect(),
            ..whole.clone()
        };
        (!playlist.variants.is_empty()).then_some(playlist)
    })
}

/// The entry with the group names of the side's own playlist, without the suffix of a pathway.
fn without_suffix(entry: &Entry, names: &[&str], suffix: &str) -> Entry {
    let mut entry = entry.clone();
    for name in names {
        let own = entry
            .attributes
            .text(name)
            .and_then(|group| group.strip_suffix(suffix))
            .map(str::to_owned);
        if let Some(own) = own {
            entry.attributes.set_text(name, &own);
        }
    }
    entry
}

/// The sides that the playlist names.
pub(super) fn visible<'a>(
    state: &PairState,
    playlists: &'a Sides<Option<SidePlaylist>>,
) -> Sides<Option<&'a SidePlaylist>> {
    Sides::of(|side| playlists[side].as_ref().filter(|_| is_visible(state, side)))
}

/// The name of a group within a pathway.
fn group_of(group: &str, pathway: &str) -> String {
    format!("{group}-{pathway}")
}

fn unpaired(kinds: &[(&str, &[Paired])]) -> Vec<String> {
    let mut unpaired = Vec::new();
    for (kind, all) in kinds {
        for paired in *all {
            for side in Side::BOTH {
                if paired.entries[side].is_none() {
                    unpaired.push(format!("{side} lacks {kind} {}", paired.description()));
                }
            }
        }
    }
    unpaired
}
