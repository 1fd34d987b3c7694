//! A media playlist: a snapshot of the transcoder's playlist, or the playlist that viewers see.
//!
//! Unknown lines are kept unchanged. The published playlist is the transcoder's own playlist, with
//! other numbers where its own would decrease.

use super::names::{file_of, is_absolute, written_name};
use crate::playlist::with_uri;
use quick_m3u8::config::{ParsingOptions, ParsingOptionsBuilder};
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::{EnumeratedString, Key, Method, Tag};
use quick_m3u8::{HlsLine, Reader};
use std::collections::BTreeSet;

/// An hour: players do not wait that long for a segment.
const MAX_TARGET_S: u64 = 3_600;
/// The greatest integer that JavaScript counts exactly (2^53), which limits players.
const MAX_NUMBER: u64 = 1 << 53;

/// A parsed media playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaPlaylist {
    /// Protocol version that players need (`EXT-X-VERSION`).
    pub version: u64,
    /// Longest segment, in seconds (`EXT-X-TARGETDURATION`).
    pub target_s: u64,
    /// Number of the first segment (`EXT-X-MEDIA-SEQUENCE`).
    pub sequence: u64,
    /// Number of discontinuities before the first segment (`EXT-X-DISCONTINUITY-SEQUENCE`).
    pub discontinuity_sequence: u64,
    /// No segment will be added (`EXT-X-ENDLIST`).
    pub ended: bool,
    /// Tags that apply to the whole playlist, as they are written.
    pub header: Vec<String>,
    /// Its segments, the oldest first.
    pub segments: Vec<Segment>,
}

/// The reasons for which a text is not a media playlist that can be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaPlaylistError {
    /// The text is a multivariant playlist.
    #[error("this is a multivariant playlist")]
    Multivariant,
    /// The first line is not `#EXTM3U`: the file is not a playlist, or is not complete.
    #[error("the first line is not #EXTM3U")]
    NoHeader,
    /// A line cannot be parsed, or cannot be published segment by segment.
    #[error("line {number}: {why}")]
    Line {
        /// Number of the line, from 1.
        number: usize,
        /// The error in it.
        why: String,
    },
    /// The tag is missing, so that the playlist is not complete yet.
    #[error("EXT-X-TARGETDURATION is missing")]
    NoTargetDuration,
    /// A number is greater than any player accepts.
    #[error("EXT-X-TARGETDURATION or a sequence number is out of range")]
    OutOfRange,
    /// The segments are parts of one file that grows.
    #[error("EXT-X-BYTERANGE needs a file for each segment, not one file that grows")]
    ByteRange,
}

/// A segment, with all its tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// URI of the segment. In a snapshot that is published, the URI of the published object.
    pub uri: String,
    /// The URI that the transcoder wrote.
    pub written_as: String,
    /// Duration in seconds (`EXTINF`).
    pub duration_s: f64,
    /// The tags that apply to this segment alone, as they are written.
    pub tags: Vec<String>,
    /// The segment does not continue the one before (`EXT-X-DISCONTINUITY`).
    pub discontinuity: bool,
    /// The segment is not available, and players skip it (`EXT-X-GAP`).
    pub gap: bool,
    /// The keys of the encryption (`EXT-X-KEY`), one for each key format.
    pub keys: Vec<ResourceTag>,
    /// The initialization section (`EXT-X-MAP`).
    pub map: Option<ResourceTag>,
    /// `EXT-X-MAP` is before all keys, so that the section is not encrypted (RFC 8216bis, 4.4.4.5).
    pub map_is_clear: bool,
}

/// A tag that names a file which segments need: a key or an initialization section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTag {
    /// The tag, as it is written.
    pub tag: String,
    /// The URI in the tag. Some keys have none.
    pub uri: Option<String>,
    /// `KEYFORMAT`, empty for an initialization section.
    format: String,
}

impl ResourceTag {
    /// The same tag with another URI.
    pub fn with_uri(&self, uri: &str) -> Self {
        let tag = match &self.uri {
            Some(was) => with_uri(&self.tag, was, uri),
            None => self.tag.clone(),
        };
        Self {
            tag,
            uri: Some(uri.to_owned()),
            format: self.format.clone(),
        }
    }
}

impl MediaPlaylist {
    /// Parses a media playlist.
    ///
    /// # Errors
    ///
    /// [`MediaPlaylistError`]
    pub fn parse(text: &str) -> Result<Self, MediaPlaylistError> {
        let reader = PlaylistReader::read(text)?;
        if reader.is_multivariant {
            return Err(MediaPlaylistError::Multivariant);
        }
        let target_s = reader
            .target_s
            .ok_or(MediaPlaylistError::NoTargetDuration)?;
        let playlist = Self {
            target_s,
            ..reader.playlist
        };
        let highest = playlist.sequence.max(playlist.discontinuity_sequence);
        if target_s > MAX_TARGET_S || highest > MAX_NUMBER {
            return Err(MediaPlaylistError::OutOfRange);
        }
        if !playlist.ended && playlist.segments.iter().any(Segment::is_byte_range) {
            return Err(MediaPlaylistError::ByteRange);
        }
        Ok(playlist)
    }

    /// The number after the last segment.
    pub fn end(&self) -> u64 {
        self.sequence + self.segments.len() as u64
    }

    /// The URIs that its segments need, each once, in their order.
    pub fn needs(&self) -> Vec<&str> {
        let mut known = BTreeSet::new();
        self.segments
            .iter()
            .flat_map(Segment::needs)
            .filter(|uri| known.insert(*uri))
            .collect()
    }

    /// A URI that leads out of the published folder, and not to another host. A key may have an
    /// absolute path.
    pub fn uri_outside_folder(&self, playlist: &str) -> Option<&str> {
        let keys = || self.segments.iter().flat_map(|segment| &segment.keys);
        let is_key = |uri: &str| keys().any(|key| key.uri.as_deref() == Some(uri));
        let is_outside = |uri: &&str| file_of(playlist, uri).is_none() && !is_absolute(uri);
        let mut outside = self.needs().into_iter().filter(is_outside);
        outside.find(|uri| !uri.starts_with('/') || !is_key(uri))
    }
}

impl Segment {
    /// The URIs that a player needs for this segment, its own last. A gap needs none.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let resources = self.map.iter().chain(&self.keys);
        let resources = resources.filter_map(|resource| resource.uri.as_deref());
        resources.chain([self.uri.as_str()]).filter(|_| !self.gap)
    }

    /// Whether this is the segment that is published as another one, and its file was deleted.
    pub fn is_absent_of(&self, published: &Self) -> bool {
        self.uri == self.written_as && written_name(&published.uri) == self.written_as
    }

    fn is_byte_range(&self) -> bool {
        self.tags
            .iter()
            .any(|tag| tag.starts_with("#EXT-X-BYTERANGE"))
    }

    /// Replaces each URI by the one under which its file is published, if `published` has one.
    pub fn rename(&mut self, mut published: impl FnMut(&str) -> Option<String>) {
        for resource in self.map.iter_mut().chain(&mut self.keys) {
            if let Some(uri) = resource.uri.as_deref().and_then(&mut published) {
                *resource = resource.with_uri(&uri);
            }
        }
        if let Some(uri) = published(&self.uri) {
            self.uri = uri;
        }
    }

    /// The tags for its keys and its initialization section, after a segment with these keys and
    /// this section, in the order in which a player applies them.
    pub fn resource_tags(&self, keys: &[ResourceTag], map: &Option<ResourceTag>) -> Vec<String> {
        let new_map = self.map.iter().filter(|_| self.map != *map);
        let (before_keys, after_keys) = if self.map_is_clear { (1, 0) } else { (0, 1) };
        let mut tags: Vec<String> = new_map
            .clone()
            .take(before_keys)
            .map(|map| map.tag.clone())
            .collect();
        if self.keys != keys {
            if self.keys.len() < keys.len() {
                tags.push("#EXT-X-KEY:METHOD=NONE".to_owned());
            }
            tags.extend(self.keys.iter().map(|key| key.tag.clone()));
        }
        tags.extend(new_map.take(after_keys).map(|map| map.tag.clone()));
        tags
    }
}

/// The files that a media playlist at this path names.
pub fn files_of(path: &str, text: &str) -> Vec<String> {
    let Ok(playlist) = MediaPlaylist::parse(text) else {
        return Vec::new();
    };
    playlist
        .needs()
        .into_iter()
        .filter_map(|uri| file_of(path, uri))
        .collect()
}

#[derive(Default)]
struct PlaylistReader {
    playlist: MediaPlaylist,
    target_s: Option<u64>,
    next: Segment,
    /// A tag of a segment was read: from here on, unknown tags belong to segments.
    in_segments: bool,
    has_duration: bool,
    is_multivariant: bool,
}

impl PlaylistReader {
    fn read(text: &str) -> Result<Self, MediaPlaylistError> {
        let mut reader = Self::default();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if first.trim_start_matches('\u{feff}').trim_end() != "#EXTM3U" {
            return Err(MediaPlaylistError::NoHeader);
        }
        for (number, line) in (2..).zip(lines) {
            let read = reader.line(line.trim_end());
            read.map_err(|why| MediaPlaylistError::Line { number, why })?;
        }
        Ok(reader)
    }

    fn line(&mut self, text: &str) -> Result<(), String> {
        const OPTIONS: fn() -> ParsingOptions = || {
            ParsingOptionsBuilder::new()
                .with_parsing_for_all_tags()
                .build()
        };
        let mut reader = Reader::from_str(text, OPTIONS());
        match reader.read_line() {
            Ok(None | Some(HlsLine::Blank)) => Ok(()),
            Ok(Some(HlsLine::Uri(uri))) => self.segment(&uri),
            Ok(Some(HlsLine::KnownTag(KnownTag::Hls(tag)))) => self.tag(tag, text),
            Ok(Some(HlsLine::KnownTag(_) | HlsLine::UnknownTag(_) | HlsLine::Comment(_))) => {
                let tags = if self.in_segments {
                    &mut self.next.tags
                } else {
                    &mut self.playlist.header
                };
                tags.push(text.to_owned());
                Ok(())
            }
            Err(error) => Err(format!("{text:?} cannot be parsed: {}", error.error)),
        }
    }

    fn segment(&mut self, uri: &str) -> Result<(), String> {
        if self.is_multivariant {
            return Ok(());
        }
        if !std::mem::take(&mut self.has_duration) {
            return Err(format!("{uri:?} has no EXTINF"));
        }
        // Keys and the initialization section apply until the next tag of their kind.
        let next = Segment {
            keys: self.next.keys.clone(),
            map: self.next.map.clone(),
            map_is_clear: self.next.map_is_clear,
            ..Segment::default()
        };
        let segment = std::mem::replace(&mut self.next, next);
        self.playlist.segments.push(Segment {
            uri: uri.to_owned(),
            written_as: uri.to_owned(),
            ..segment
        });
        Ok(())
    }

    fn tag(&mut self, tag: Tag, text: &str) -> Result<(), String> {
        let playlist = &mut self.playlist;
        let refused = |tag: &str| Err(format!("{tag} cannot be published segment by segment"));
        match tag {
            Tag::Version(version) => playlist.version = version.version(),
            Tag::Targetduration(target) => self.target_s = Some(target.target_duration()),
            Tag::MediaSequence(sequence) => playlist.sequence = sequence.media_sequence(),
            Tag::DiscontinuitySequence(sequence) => {
                playlist.discontinuity_sequence = sequence.discontinuity_sequence();
            }
            Tag::Endlist(_) => playlist.ended = true,
            // A sliding window is neither EVENT nor VOD. The VOD playlist gets a type of its own.
            Tag::PlaylistType(_) | Tag::M3u(_) => {}
            // Parts and hints name files that are still open. Without them this is a playlist of
            // complete segments.
            Tag::PartInf(_)
            | Tag::ServerControl(_)
            | Tag::Part(_)
            | Tag::PreloadHint(_)
            | Tag::RenditionReport(_) => {}
            Tag::IndependentSegments(_) | Tag::Start(_) | Tag::IFramesOnly(_) => {
                playlist.header.push(text.to_owned());
            }
            Tag::Skip(_) => return refused("EXT-X-SKIP"),
            Tag::Define(_) => return refused("EXT-X-DEFINE"),
            Tag::Media(_)
            | Tag::StreamInf(_)
            | Tag::IFrameStreamInf(_)
            | Tag::SessionData(_)
            | Tag::SessionKey(_)
            | Tag::ContentSteering(_) => self.is_multivariant = true,
            tag => self.tag_of_segment(&tag, text),
        }
        Ok(())
    }

    fn tag_of_segment(&mut self, tag: &Tag, text: &str) {
        self.in_segments = true;
        match tag {
            Tag::Discontinuity(_) => self.next.discontinuity = true,
            Tag::Gap(_) => self.next.gap = true,
            Tag::Map(map) => {
                let uri = Some(map.uri().to_owned());
                self.next.map_is_clear = self.next.keys.is_empty();
                self.next.map = Some(ResourceTag {
                    tag: text.to_owned(),
                    uri,
                    format: String::new(),
                });
            }
            Tag::Key(key) => self.key(key, text),
            Tag::Inf(inf) => {
                self.next.duration_s = inf.duration();
                self.has_duration = true;
                self.next.tags.push(text.to_owned());
            }
            _ => self.next.tags.push(text.to_owned()),
        }
    }

    /// A key applies until the next of its format, or until METHOD=NONE (RFC 8216bis, 4.4.4.4).
    fn key(&mut self, key: &Key, text: &str) {
        if key.method() == EnumeratedString::Known(Method::None) {
            self.next.keys.clear();
            return;
        }
        let format = key.keyformat().to_owned();
        self.next.keys.retain(|known| known.format != format);
        self.next.keys.push(ResourceTag {
            tag: text.to_owned(),
            uri: key.uri().map(str::to_owned),
            format,
        });
    }
}

impl Default for MediaPlaylist {
    fn default() -> Self {
        Self {
            version: 1,
            target_s: 0,
            sequence: 0,
            discontinuity_sequence: 0,
            ended: false,
            header: Vec::new(),
            segments: Vec::new(),
        }
    }
}

impl Default for Segment {
    fn default() -> Self {
        Self {
            uri: String::new(),
            written_as: String::new(),
            duration_s: 0.0,
            tags: Vec::new(),
            discontinuity: false,
            gap: false,
            keys: Vec::new(),
            map: None,
            map_is_clear: false,
        }
    }
}
