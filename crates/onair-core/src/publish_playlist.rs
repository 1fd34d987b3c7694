//! One multivariant playlist that names both sides of a pair, and the steering manifest beside it.

mod attributes;
pub mod index;
mod pairing;
mod side_playlist;
pub mod steering;

pub use side_playlist::SidePlaylist;

use crate::pair::state::PairState;
use crate::pair::{Pair, Side, Sides};

/// What is published now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The playlist's text, if there is one.
    pub index: Option<Document>,
    /// The steering manifest's, if there is one.
    pub steering: Option<Document>,
}

/// A published text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The text.
    pub text: String,
    /// The generation of the state that it was rendered from.
    pub generation: u64,
}

/// What came of asking a side for its own playlist.
#[derive(Debug, Clone, PartialEq)]
pub enum SideFetch {
    /// It was not asked: what was published of it counts.
    Skipped,
    /// Here it is.
    Playlist(Box<SidePlaylist>),
    /// It did not give one that can be used. That may pass.
    Unavailable(String),
    /// It has no endpoint.
    NoEndpoint,
}

/// What is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The playlist, if it is to be written.
    pub index: Option<String>,
    /// The steering manifest, if it is to be written.
    pub steering: Option<String>,
    /// How many variants each side has in it.
    pub variants: Sides<usize>,
    /// What only one of two sides has.
    pub unpaired: Vec<String>,
    /// Whether players are told of the steering manifest.
    pub steered: bool,
    /// Why a side is not in it as it should be.
    pub missing: Vec<String>,
}

/// Why nothing is published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A safety rule says no.
    #[error("{0}")]
    Held(String),
    /// What is published was rendered from a later state than the one that was read.
    #[error("a later state than this one was published")]
    Superseded,
}

/// Plans what is published of a state.
///
/// A side that does not answer keeps what was published of it; one that was cut in a way that moves
/// its URLs, or whose endpoint is not there, is left out. A side that lists fewer variants than
/// were published of it keeps them, too, unless a person says that it may lose them
/// (`accept_less`): an encoder that has just started lists them one by one.
///
/// # Errors
///
/// [`Refusal`]
pub fn plan(
    pair: &Pair,
    state: &PairState,
    published: &Published,
    asked: &Sides<SideFetch>,
    accept_less: bool,
) -> Result<Plan, Refusal> {
    let documents = [&published.index, &published.steering];
    if documents
        .into_iter()
        .flatten()
        .any(|document| document.generation > state.generation)
    {
        return Err(Refusal::Superseded);
    }
    let (known, unreadable) = match published
        .index
        .as_ref()
        .map(|index| index::parse(&index.text, state))
    {
        None => (Sides::default(), None),
        Some(Ok(known)) => (known, None),
        Some(Err(why)) => (Sides::default(), Some(why)),
    };
    let mut missing = Vec::new();
    let mut playlists = Sides { a: None, b: None };
    for side in Side::BOTH {
        let is_visible = index::is_visible(state, side);
        playlists[side] = match &asked[side] {
            SideFetch::Playlist(playlist) => Some(playlist.as_ref().clone()),
            SideFetch::Skipped | SideFetch::Unavailable(_) => known[side].clone(),
            SideFetch::NoEndpoint => None,
        };
        if let (SideFetch::Playlist(now), Some(before)) = (&asked[side], &known[side])
            && !accept_less
            && now.variants.len() < before.variants.len()
        {
            let (now, before_count) = (now.variants.len(), before.variants.len());
            missing.push(format!(
                "{side}: it lists {now} of {before_count} variants; what was published of it stays"
            ));
            playlists[side] = Some(before.clone());
        }
        match &asked[side] {
            _ if !is_visible => {}
            SideFetch::Unavailable(why) if playlists[side].is_some() => {
                if state.sides[side].is_live() {
                    missing.push(format!("{side}: {why}; what was published of it stays"));
                }
            }
            SideFetch::Unavailable(why) => missing.push(format!("{side}: {why}")),
            SideFetch::NoEndpoint => missing.push(format!(
                "{side}: it has no endpoint {}",
                pair.sides[side].endpoint
            )),
            SideFetch::Skipped if playlists[side].is_none() => {
                missing.push(format!("{side}: nothing was published of it yet"));
            }
            SideFetch::Skipped | SideFetch::Playlist(_) => {}
        }
    }
    if !Side::BOTH
        .into_iter()
        .any(|side| index::is_visible(state, side) && playlists[side].is_some())
    {
        let why = match unreadable {
            Some(why) => format!("; and what is published cannot be read: {why}"),
            None => String::new(),
        };
        return Err(Refusal::Held(format!(
            "no side has a playlist to publish ({}{why})",
            missing.join("; ")
        )));
    }
    let rendered = index::render(state, &playlists, pair.steering_ttl.is_some());
    if let Err(why) = index::parse(&rendered.text, state) {
        return Err(Refusal::Held(format!(
            "what would be published could not be read: {why}"
        )));
    }
    let steering = pair
        .steering_ttl
        .map(|ttl| steering::render(state, &playlists, ttl));
    let is_new = |document: &Option<Document>, text: &String| {
        document.as_ref().is_none_or(|document| {
            document.text != *text || document.generation != state.generation
        })
    };
    let visible = index::visible(state, &playlists);
    Ok(Plan {
        steering: steering.filter(|text| is_new(&published.steering, text)),
        index: Some(rendered.text).filter(|text| is_new(&published.index, text)),
        variants: Sides::of(|side| {
            visible[side]
                .map(|playlist| playlist.variants.len())
                .unwrap_or_default()
        }),
        unpaired: rendered.unpaired,
        steered: rendered.steered,
        missing,
    })
}
