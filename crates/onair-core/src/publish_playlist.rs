//! One multivariant playlist that names both sides of a pair, and the steering manifest beside it.

mod attributes;
pub mod index;
mod pairing;
mod side_playlist;
pub mod steering;

pub use side_playlist::SidePlaylist;

use crate::pair::held::HeldReason;
use crate::pair::state::PairState;
use crate::pair::{Pair, Side, Sides};

/// The published documents of a pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Published {
    /// The multivariant playlist, if one is published.
    pub index: Option<PublishedIndex>,
    /// The steering manifest, if one is published.
    pub steering: Option<Document>,
}

/// A playlist or a steering manifest, as it is stored in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The body of the object.
    pub text: String,
    /// The generation of the state that the text was rendered from.
    pub generation: u64,
}

/// The published multivariant playlist, parsed once.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedIndex {
    document: Document,
    playlist: Result<SidePlaylist, String>,
}

impl PublishedIndex {
    /// Parses a published playlist. If that fails, the error is kept: publishing replaces the
    /// playlist.
    pub fn parse(document: Document) -> Self {
        let playlist = index::parse(&document.text);
        Self { document, playlist }
    }

    /// The generation of the state that the playlist was rendered from.
    pub fn generation(&self) -> u64 {
        self.document.generation
    }

    /// The playlist of each side, as far as this playlist names it.
    pub fn sides(&self, state: &PairState) -> Sides<Option<SidePlaylist>> {
        match &self.playlist {
            Ok(playlist) => index::split(playlist, state),
            Err(_) => Sides::default(),
        }
    }
}

impl Published {
    /// The playlist of each side, as far as it is published.
    pub fn sides(&self, state: &PairState) -> Sides<Option<SidePlaylist>> {
        let index = self.index.as_ref();
        index.map(|index| index.sides(state)).unwrap_or_default()
    }

    /// The generation of the playlist and of the steering manifest, of those that are published.
    pub fn generations(&self) -> impl Iterator<Item = u64> {
        let index = self.index.as_ref().map(PublishedIndex::generation);
        let steering = self.steering.as_ref().map(|steering| steering.generation);
        index.into_iter().chain(steering)
    }

    /// Whether a document was rendered from a later state. Then another run has written it, and
    /// this run has to read again.
    pub fn is_ahead_of(&self, state: &PairState) -> bool {
        self.generations()
            .any(|published| published > state.generation)
    }
}

/// The result of a GET of a side's own multivariant playlist.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SideFetch {
    /// No request was made, so the published part of the side is used.
    #[default]
    Skipped,
    /// The playlist.
    Playlist(Box<SidePlaylist>),
    /// No usable playlist was returned, which may be temporary.
    Unavailable(String),
    /// The side has no endpoint.
    NoEndpoint,
}

/// The documents to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The playlist, if it has to be written.
    pub index: Option<String>,
    /// The steering manifest, if it has to be written.
    pub steering: Option<String>,
    /// The number of variants of each side in the playlist.
    pub variants: Sides<usize>,
    /// Entries that only one of the two sides has.
    pub unpaired: Vec<String>,
    /// Whether the playlist refers to the steering manifest.
    pub steered: bool,
    /// The reason for which a side is missing from the playlist or is not up to date in it.
    pub missing: Vec<String>,
}

impl Plan {
    /// Whether everything is published already.
    pub fn is_empty(&self) -> bool {
        self.index.is_none() && self.steering.is_none()
    }
}

/// Plans what to publish for a state.
///
/// A side without a response keeps its published part. A side is left out if it was cut in a way
/// that changes its URLs, or if it has no endpoint. A side that lists fewer variants than are
/// published also keeps its published part: an encoder that has just started lists its variants one
/// by one. A person can accept the smaller list (`accept_fewer_variants`).
///
/// # Errors
///
/// [`HeldReason`] if there would be nothing to play.
pub fn plan(
    pair: &Pair,
    state: &PairState,
    published: &Published,
    fetches: &Sides<SideFetch>,
    accept_fewer_variants: bool,
) -> Result<Plan, HeldReason> {
    let known = published.sides(state);
    let contents = Sides::of(|side| {
        let is_complete = |before: &SidePlaylist, now: &SidePlaylist| {
            accept_fewer_variants || now.variants.len() >= before.variants.len()
        };
        SideContent::choose(known[side].as_ref(), &fetches[side], is_complete)
    });
    let missing: Vec<String> = Side::BOTH
        .into_iter()
        .filter_map(|side| {
            let problem = contents[side].problem(pair, state, side, &fetches[side])?;
            Some(format!("{side}: {problem}"))
        })
        .collect();
    let playlists = Sides {
        a: contents.a.playlist,
        b: contents.b.playlist,
    };
    let visible = index::visible(state, &playlists);
    if visible.a.is_none() && visible.b.is_none() {
        return Err(nothing_to_publish(published, &missing));
    }
    let rendered = index::render(state, &playlists, pair.steering_ttl.is_some());
    index::parse(&rendered.text).map_err(|why| HeldReason::PlaylistInvalid { why })?;
    let steering = pair
        .steering_ttl
        .map(|ttl| steering::render(state, &playlists, ttl));
    let index = published.index.as_ref().map(|index| &index.document);
    let count = |side| visible[side].map_or(0, |playlist: &SidePlaylist| playlist.variants.len());
    Ok(Plan {
        steering: steering.filter(|text| is_new(state, published.steering.as_ref(), text)),
        index: Some(rendered.text).filter(|text| is_new(state, index, text)),
        variants: Sides::of(count),
        unpaired: rendered.unpaired,
        steered: rendered.steered,
        missing,
    })
}

/// The playlist of a side that is published next, and whether it is the published one because the
/// side itself lists fewer variants.
struct SideContent {
    playlist: Option<SidePlaylist>,
    /// The number of variants that the side lists, and the number that is published.
    fewer_variants: Option<(usize, usize)>,
}

impl SideContent {
    fn choose(
        known: Option<&SidePlaylist>,
        fetch: &SideFetch,
        is_complete: impl Fn(&SidePlaylist, &SidePlaylist) -> bool,
    ) -> Self {
        let (playlist, fewer_variants) = match (fetch, known) {
            (SideFetch::NoEndpoint, _) => (None, None),
            (SideFetch::Skipped | SideFetch::Unavailable(_), known) => (known.cloned(), None),
            (SideFetch::Playlist(now), Some(before)) if !is_complete(before, now) => {
                let counts = (now.variants.len(), before.variants.len());
                (Some(before.clone()), Some(counts))
            }
            (SideFetch::Playlist(now), _) => (Some(now.as_ref().clone()), None),
        };
        Self {
            playlist,
            fewer_variants,
        }
    }

    /// The reason for which viewers do not get the side as it is now, if they should.
    fn problem(
        &self,
        pair: &Pair,
        state: &PairState,
        side: Side,
        fetch: &SideFetch,
    ) -> Option<String> {
        if let Some((now, before)) = self.fewer_variants {
            return Some(format!(
                "the side lists {now} of {before} variants; its published part stays"
            ));
        }
        if !index::is_visible(state, side) {
            return None;
        }
        match (fetch, &self.playlist) {
            (SideFetch::Unavailable(why), Some(_)) => state.sides[side]
                .is_live()
                .then(|| format!("{why}; its published part stays")),
            (SideFetch::Unavailable(why), None) => Some(why.clone()),
            (SideFetch::NoEndpoint, _) => Some(format!(
                "MediaPackage has no endpoint {}",
                pair.sides[side].endpoint
            )),
            (SideFetch::Skipped, None) => Some("the side has not been published yet".to_owned()),
            (SideFetch::Skipped | SideFetch::Playlist(_), _) => None,
        }
    }
}

fn nothing_to_publish(published: &Published, missing: &[String]) -> HeldReason {
    let mut why = missing.join("; ");
    let index = published.index.as_ref();
    if let Some(Err(error)) = index.map(|index| &index.playlist) {
        why += &format!("; and the published playlist cannot be parsed: {error}");
    }
    HeldReason::NothingToPublish { why }
}

fn is_new(state: &PairState, published: Option<&Document>, text: &str) -> bool {
    published
        .is_none_or(|document| document.text != text || document.generation != state.generation)
}
