//! The steering manifest: the order of the pathways, and the new URLs of a side that returned.
//!
//! The format is that of draft-pantos-content-steering. hls.js, Shaka, AVPlayer and Media3 (1.11)
//! read it.

use super::index::{is_visible, visible};
use super::pairing::{self, Paired};
use super::side_playlist::{Entry, SidePlaylist};
use crate::pair::state::{PairState, PathwayClone};
use crate::pair::{Side, Sides};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};

/// Renders the manifest: the active side, then the other side if the playlist names it.
///
/// hls.js does not fail over by itself to a pathway that is missing from PATHWAY-PRIORITY (1.7.4,
/// measured), so PATHWAY-PRIORITY names every live side.
///
/// An endpoint that was created again has another URL, and running players do not reload the
/// multivariant playlist. The manifest announces the URL as a clone of a known pathway
/// (PATHWAY-CLONES). A player skips known clones and needs the base of each new one, so the
/// manifest lists all clones, oldest first. A player never updates the URLs of a pathway.
pub fn render(
    state: &PairState,
    playlists: &Sides<Option<SidePlaylist>>,
    ttl: TimeDelta,
) -> String {
    let order = [state.active, state.active.other()];
    let named = order.into_iter().filter(|side| is_visible(state, *side));
    let mut manifest = json!({
        "VERSION": 1,
        "TTL": ttl.num_seconds(),
        "PATHWAY-PRIORITY": named.map(|side| state.sides[side].pathway.as_str()).collect::<Vec<_>>(),
    });
    let playlists = visible(state, playlists);
    let variants = [pairing::variants(&playlists), pairing::i_frames(&playlists)].concat();
    let media = pairing::renditions(&playlists);
    let clone = |clone: &PathwayClone| {
        let owner = Side::BOTH
            .into_iter()
            .find(|side| state.sides[*side].pathway == clone.id);
        let replacement = match owner.filter(|side| is_visible(state, *side)) {
            // The pathway is out of use, and is only the base of later ones.
            None => json!({}),
            Some(side) if playlists[side].is_none() => return None,
            Some(side) => json!({
                "PER-VARIANT-URIS": uris(&variants, side),
                "PER-RENDITION-URIS": uris(&media, side),
            }),
        };
        Some(json!({ "BASE-ID": clone.base, "ID": clone.id, "URI-REPLACEMENT": replacement }))
    };
    // A clone without URLs must not be announced, nor the later ones that may derive from it.
    let clones: Vec<Value> = state.clones.iter().map_while(clone).collect();
    if !clones.is_empty() {
        manifest["PATHWAY-CLONES"] = clones.into();
    }
    manifest.to_string() + "\n"
}

fn uris(paired: &[Paired], side: Side) -> Map<String, Value> {
    let uri = |paired: &Paired| {
        let Entry { uri, .. } = paired.entries[side].as_ref()?;
        Some((paired.stable_id.clone(), uri.as_ref()?.as_str().into()))
    };
    paired.iter().filter_map(uri).collect()
}
