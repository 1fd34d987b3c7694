//! The steering manifest: where players go, and how those that are playing learn of a side that
//! came back elsewhere.
//!
//! Form: draft-pantos-content-steering; read by hls.js, Shaka, AVPlayer and Media3 (1.11).

use super::index::{is_visible, visible};
use super::pairing::{self, Paired};
use super::side_playlist::{Entry, SidePlaylist};
use crate::pair::state::{PairState, PathwayClone};
use crate::pair::{Side, Sides};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};

/// Renders the manifest: the first side, then the other if its URLs are good for anything.
///
/// hls.js does not fail over by itself to a pathway that PATHWAY-PRIORITY does not name (1.7.4,
/// measured), so a side that is live is always named.
///
/// A side whose endpoint was made again is at another URL, and players do not read the multivariant
/// playlist twice: they learn of it as a clone of a pathway that they have (PATHWAY-CLONES). A
/// player skips the clones that it has and needs each one's base, so all are told in the order in
/// which they came into being; a name keeps the URLs with which it was first told for ever.
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
        let of = Side::BOTH
            .into_iter()
            .find(|side| state.sides[*side].pathway == clone.id);
        let replacement = match of.filter(|side| is_visible(state, *side)) {
            // Nobody is sent there any more; it is only what a later one is made from.
            None => json!({}),
            Some(side) if playlists[side].is_none() => return None,
            Some(side) => json!({
                "PER-VARIANT-URIS": uris(&variants, side),
                "PER-RENDITION-URIS": uris(&media, side),
            }),
        };
        Some(json!({ "BASE-ID": clone.base, "ID": clone.id, "URI-REPLACEMENT": replacement }))
    };
    // Without its URLs a clone must not be told, and then none that may be made from it.
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
