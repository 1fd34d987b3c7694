//! One side's multivariant playlist, understood, with every URI absolute.

use super::attributes::Attributes;
use crate::playlist::{MultivariantPlaylist, PlaylistItem};
use url::Url;

/// A side's multivariant playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct SidePlaylist {
    /// EXT-X-VERSION.
    pub(super) version: u32,
    /// EXT-X-INDEPENDENT-SEGMENTS.
    pub(super) independent_segments: bool,
    /// EXT-X-SESSION-DATA, EXT-X-SESSION-KEY and EXT-X-START, as they are written.
    pub(super) session: Vec<String>,
    /// EXT-X-STREAM-INF.
    pub(super) variants: Vec<Entry>,
    /// EXT-X-I-FRAME-STREAM-INF.
    pub(super) i_frames: Vec<Entry>,
    /// EXT-X-MEDIA.
    pub(super) media: Vec<Entry>,
}

/// A tag's attributes without its URI, and that.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) attributes: Attributes,
    /// None for an EXT-X-MEDIA whose media is in the variant's own playlist.
    pub(super) uri: Option<Url>,
}

/// The version of a playlist that does not say one (RFC 8216, 4.3.1.2).
const FIRST_VERSION: u32 = 1;

impl SidePlaylist {
    /// Reads the playlist that lies at `url`.
    ///
    /// # Errors
    ///
    /// A text that is not wholly understood, names what cannot be found, or uses variables
    /// (EXT-X-DEFINE).
    pub fn parse(text: &str, url: &Url) -> Result<Self, String> {
        let playlist = MultivariantPlaylist::parse(text).map_err(|error| error.to_string())?;
        let absolute = |uri: &str| {
            url.join(uri)
                .map_err(|error| format!("its URI {uri:?}: {error}"))
        };
        let entry = |tag: &str, uri: Option<&str>| {
            let attributes = Attributes::of_tag(tag);
            let uri = uri.or(attributes.text("URI")).map(absolute).transpose()?;
            Ok::<_, String>(Entry {
                attributes: attributes.without(&["URI"]),
                uri,
            })
        };
        let mut side = Self {
            version: FIRST_VERSION,
            independent_segments: false,
            session: Vec::new(),
            variants: Vec::new(),
            i_frames: Vec::new(),
            media: Vec::new(),
        };
        for item in playlist.items() {
            match item {
                PlaylistItem::Variant { tag, uri } => side.variants.push(entry(tag, Some(uri))?),
                PlaylistItem::IFrames(tag) => side.i_frames.push(entry(tag, None)?),
                PlaylistItem::Media(tag) => side.media.push(entry(tag, None)?),
                PlaylistItem::Tag(tag) => side.say(tag)?,
            }
        }
        Ok(side)
    }

    /// A tag that is neither a variant nor a rendition. What nobody knows here is about the
    /// playlist that it stands in, not about a variant, and is left out.
    fn say(&mut self, tag: &str) -> Result<(), String> {
        match tag.split_once(':').map_or(tag, |(name, _)| name) {
            "#EXT-X-VERSION" => {
                self.version = tag
                    .split_once(':')
                    .and_then(|(_, n)| n.trim().parse().ok())
                    .unwrap_or(FIRST_VERSION);
            }
            "#EXT-X-INDEPENDENT-SEGMENTS" => self.independent_segments = true,
            "#EXT-X-DEFINE" => {
                return Err("it uses EXT-X-DEFINE, which is not understood".to_owned());
            }
            "#EXT-X-SESSION-DATA" | "#EXT-X-SESSION-KEY" | "#EXT-X-START" => {
                let uri = Attributes::of_tag(tag).text("URI").map(str::to_owned);
                // A relative one would mean another place where this is published.
                if uri.is_none_or(|uri| Url::parse(&uri).is_ok()) {
                    self.session.push(tag.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Where a media playlist of this side is: that of the variant that it names first.
    pub fn media_playlist(&self) -> Option<&Url> {
        self.variants.first()?.uri.as_ref()
    }
}
