//! The multivariant playlist of one side, with absolute URIs.

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
    /// The lines of EXT-X-SESSION-DATA, EXT-X-SESSION-KEY and EXT-X-START.
    pub(super) session: Vec<String>,
    /// EXT-X-STREAM-INF.
    pub(super) variants: Vec<Entry>,
    /// EXT-X-I-FRAME-STREAM-INF.
    pub(super) i_frames: Vec<Entry>,
    /// EXT-X-MEDIA.
    pub(super) media: Vec<Entry>,
}

/// The attributes and the URI of a variant or a rendition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// All attributes except URI.
    pub(super) attributes: Attributes,
    /// `None` for a rendition whose media is part of the variant's playlist.
    pub(super) uri: Option<Url>,
}

/// The version of a playlist without EXT-X-VERSION (RFC 8216, 4.3.1.2).
const DEFAULT_VERSION: u32 = 1;

impl SidePlaylist {
    /// Parses the playlist at `url`.
    ///
    /// # Errors
    ///
    /// A line cannot be parsed completely, a URI is invalid, or the playlist uses variables
    /// (EXT-X-DEFINE).
    pub fn parse(text: &str, url: &Url) -> Result<Self, String> {
        let playlist = MultivariantPlaylist::parse(text).map_err(|error| error.to_string())?;
        let absolute = |uri: &str| {
            url.join(uri)
                .map_err(|error| format!("URI {uri:?} is invalid: {error}"))
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
            version: DEFAULT_VERSION,
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
                PlaylistItem::Tag(tag) => side.add_tag(tag)?,
            }
        }
        Ok(side)
    }

    /// Adds a tag that is neither a variant nor a rendition. An unknown tag is about the side's own
    /// playlist, and is left out.
    fn add_tag(&mut self, tag: &str) -> Result<(), String> {
        match tag.split_once(':').map_or(tag, |(name, _)| name) {
            "#EXT-X-VERSION" => {
                self.version = tag
                    .split_once(':')
                    .and_then(|(_, n)| n.trim().parse().ok())
                    .unwrap_or(DEFAULT_VERSION);
            }
            "#EXT-X-INDEPENDENT-SEGMENTS" => self.independent_segments = true,
            "#EXT-X-DEFINE" => {
                return Err("EXT-X-DEFINE is not supported".to_owned());
            }
            "#EXT-X-SESSION-DATA" | "#EXT-X-SESSION-KEY" | "#EXT-X-START" => {
                let uri = Attributes::of_tag(tag).text("URI").map(str::to_owned);
                // A relative URI would be resolved against the published playlist.
                if uri.is_none_or(|uri| Url::parse(&uri).is_ok()) {
                    self.session.push(tag.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The URL of the media playlist of the first variant, which a probe gets.
    pub fn media_playlist(&self) -> Option<&Url> {
        self.variants.first()?.uri.as_ref()
    }
}
