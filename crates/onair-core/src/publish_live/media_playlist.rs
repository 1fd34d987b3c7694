//! One media playlist as it lay on the transcoder's disk at one moment.
//!
//! Every line that is not known here comes through unchanged: what is published is the transcoder's
//! own playlist, with other numbers where they would go back.

use super::names::{file_of, is_absolute, written};
use crate::playlist::with_uri;
use quick_m3u8::config::{ParsingOptions, ParsingOptionsBuilder};
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::{EnumeratedString, Key, Method, Tag};
use quick_m3u8::{HlsLine, Reader};
use std::collections::BTreeSet;

/// An hour: no player waits so long for a segment.
const MAX_TARGET_S: u64 = 3_600;
/// What JavaScript can count (2^53): players do not go farther.
const MAX_NUMBER: u64 = 1 << 53;

/// A media playlist, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaPlaylist {
    /// `EXT-X-VERSION`.
    pub version: u64,
    /// `EXT-X-TARGETDURATION`, in seconds.
    pub target_s: u64,
    /// `EXT-X-MEDIA-SEQUENCE`: the number of the first segment.
    pub sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity_sequence: u64,
    /// `EXT-X-ENDLIST`: nothing comes after it.
    pub ended: bool,
    /// Tags that hold for the whole playlist, as they are written.
    pub header: Vec<String>,
    /// The segments.
    pub segments: Vec<Segment>,
}

/// A text is no media playlist that can be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaPlaylistError {
    /// It is a multivariant playlist.
    #[error("it is a multivariant playlist")]
    Multivariant,
    /// It is not whole yet, or there is something in it that cannot be published piece by piece.
    #[error("{0}")]
    Unusable(String),
}

/// A segment, with all that a player needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Where it is, as it is written.
    pub uri: String,
    /// The same as the transcoder wrote it, whatever it is published as.
    pub written_as: String,
    /// In seconds.
    pub duration_s: f64,
    /// The tags that stand before it and hold for it alone, as they are written.
    pub tags: Vec<String>,
    /// It does not continue what was before it.
    pub discontinuity: bool,
    /// It is not there, and players are told so (`EXT-X-GAP`).
    pub gap: bool,
    /// The keys that it is encrypted with (`EXT-X-KEY`): one for each key format.
    pub keys: Vec<ResourceTag>,
    /// The initialization section that it needs (`EXT-X-MAP`).
    pub map: Option<ResourceTag>,
    /// That stands before all keys, so it is not encrypted with them (RFC 8216bis, 4.4.4.5).
    pub map_is_clear: bool,
}

/// A tag that names a file which segments need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTag {
    /// The tag, as it is written.
    pub tag: String,
    /// The URI in it. A key may have none that leads anywhere.
    pub uri: Option<String>,
    /// `KEYFORMAT`; empty for a map.
    format: String,
}

impl ResourceTag {
    /// The same with another URI.
    pub fn at(&self, uri: &str) -> Self {
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
    /// Reads a media playlist.
    ///
    /// # Errors
    ///
    /// [`MediaPlaylistError`]
    pub fn parse(text: &str) -> Result<Self, MediaPlaylistError> {
        let mut reading = PlaylistReader::default();
        let mut lines = text.lines();
        if lines
            .next()
            .map(|line| line.trim_start_matches('\u{feff}').trim_end())
            != Some("#EXTM3U")
        {
            return Err(MediaPlaylistError::Unusable(
                "it does not begin with #EXTM3U".to_owned(),
            ));
        }
        for (number, line) in lines.enumerate() {
            let read = reading.line(line.trim_end());
            read.map_err(|why| {
                MediaPlaylistError::Unusable(format!("line {}: {why}", number + 2))
            })?;
        }
        let PlaylistReader {
            snapshot,
            target_s,
            is_multivariant,
            ..
        } = reading;
        if is_multivariant {
            return Err(MediaPlaylistError::Multivariant);
        }
        let unusable = |why: &str| MediaPlaylistError::Unusable(why.to_owned());
        let target_s = target_s.ok_or_else(|| unusable("it has no EXT-X-TARGETDURATION"))?;
        if target_s > MAX_TARGET_S
            || snapshot.sequence.max(snapshot.discontinuity_sequence) > MAX_NUMBER
        {
            return Err(unusable(
                "its EXT-X-TARGETDURATION or its numbers make no sense",
            ));
        }
        let has_parts = |segment: &Segment| {
            segment
                .tags
                .iter()
                .any(|tag| tag.starts_with("#EXT-X-BYTERANGE"))
        };
        if !snapshot.ended && snapshot.segments.iter().any(has_parts) {
            return Err(unusable(
                "EXT-X-BYTERANGE: it needs a file for each segment, not one that grows",
            ));
        }
        Ok(Self {
            target_s,
            ..snapshot
        })
    }

    /// What its segments need, each once, in their order: URIs as they are written.
    pub fn needs(&self) -> Vec<&str> {
        let mut known = BTreeSet::new();
        self.segments
            .iter()
            .flat_map(Segment::needs)
            .filter(|uri| known.insert(*uri))
            .collect()
    }

    /// A URI that leads out of the folder that this playlist is in, to what nobody publishes. A key
    /// may be anywhere on the host.
    pub fn leads_out(&self, playlist: &str) -> Option<&str> {
        let keys = || self.segments.iter().flat_map(|segment| &segment.keys);
        let is_key = |uri: &str| keys().any(|key| key.uri.as_deref() == Some(uri));
        let is_astray = |uri: &&str| file_of(playlist, uri).is_none() && !is_absolute(uri);
        let mut astray = self.needs().into_iter().filter(is_astray);
        astray.find(|uri| !uri.starts_with('/') || !is_key(uri))
    }
}

impl Segment {
    /// What it needs, itself last. A gap needs nothing.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let attached = self
            .map
            .iter()
            .chain(&self.keys)
            .filter_map(|attached| attached.uri.as_deref());
        attached.chain([self.uri.as_str()]).filter(|_| !self.gap)
    }

    /// Whether it is what is published as another one, and its file is not there any more.
    pub fn is_absent_of(&self, published: &Self) -> bool {
        self.uri == self.written_as && written(&published.uri) == self.written_as
    }

    /// Gives what is named under a name for the time being the one under which it is published.
    pub fn rename(&mut self, mut published: impl FnMut(&str) -> Option<String>) {
        for attached in self.map.iter_mut().chain(&mut self.keys) {
            if let Some(uri) = attached.uri.as_deref().and_then(&mut published) {
                *attached = attached.at(&uri);
            }
        }
        if let Some(uri) = published(&self.uri) {
            self.uri = uri;
        }
    }

    /// The tags that name what it needs, behind a segment with these keys and this map, in the
    /// order in which a player applies them.
    pub fn attached(&self, keys: &[ResourceTag], map: &Option<ResourceTag>) -> Vec<String> {
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

#[derive(Default)]
struct PlaylistReader {
    snapshot: MediaPlaylist,
    target_s: Option<u64>,
    next: Segment,
    /// A tag of a segment has come: what is unknown from here on belongs to segments.
    in_segments: bool,
    has_duration: bool,
    is_multivariant: bool,
}

impl PlaylistReader {
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
                match self.in_segments {
                    true => self.next.tags.push(text.to_owned()),
                    false => self.snapshot.header.push(text.to_owned()),
                }
                Ok(())
            }
            Err(error) => Err(format!("{text:?} cannot be understood: {}", error.error)),
        }
    }

    fn segment(&mut self, uri: &str) -> Result<(), String> {
        if self.is_multivariant {
            return Ok(());
        }
        if !std::mem::take(&mut self.has_duration) {
            return Err(format!("{uri:?} has no EXTINF"));
        }
        let Segment {
            keys,
            map,
            map_is_clear,
            ..
        } = &self.next;
        let (keys, map, map_is_clear) = (keys.clone(), map.clone(), *map_is_clear);
        let next = Segment {
            keys,
            map,
            map_is_clear,
            ..Segment::default()
        };
        let segment = std::mem::replace(&mut self.next, next);
        let (uri, written_as) = (uri.to_owned(), uri.to_owned());
        self.snapshot.segments.push(Segment {
            uri,
            written_as,
            ..segment
        });
        Ok(())
    }

    fn tag(&mut self, tag: Tag, text: &str) -> Result<(), String> {
        let snapshot = &mut self.snapshot;
        let refused = |tag: &str| Err(format!("{tag} cannot be published piece by piece"));
        match tag {
            Tag::Version(version) => snapshot.version = version.version(),
            Tag::Targetduration(target) => self.target_s = Some(target.target_duration()),
            Tag::MediaSequence(sequence) => snapshot.sequence = sequence.media_sequence(),
            Tag::DiscontinuitySequence(sequence) => {
                snapshot.discontinuity_sequence = sequence.discontinuity_sequence();
            }
            Tag::Endlist(_) => snapshot.ended = true,
            // A window that slides is neither of these; what is kept gets its own.
            Tag::PlaylistType(_) | Tag::M3u(_) => {}
            // Parts and hints name what is not closed yet. Without them it is a playlist of whole
            // segments.
            Tag::PartInf(_)
            | Tag::ServerControl(_)
            | Tag::Part(_)
            | Tag::PreloadHint(_)
            | Tag::RenditionReport(_) => {}
            Tag::IndependentSegments(_) | Tag::Start(_) | Tag::IFramesOnly(_) => {
                snapshot.header.push(text.to_owned());
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

    /// A key holds until the next of its format; none at all is METHOD=NONE (RFC 8216bis, 4.4.4.4).
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
