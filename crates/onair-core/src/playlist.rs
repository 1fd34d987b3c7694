//! Multivariant playlists. An edit drops whole entries and keeps every other byte.
//!
//! This module parses tags with m3u8-rs, but never writes a playlist with it. The writer of m3u8-rs
//! changes the order of lines and attributes from run to run, drops comments, and turns CRLF into
//! LF.
//!
//! The parser of m3u8-rs is too lenient for a program that deletes. A STREAM-INF that it cannot
//! parse becomes an unknown tag, and the previous variant gets its URI. So this module parses each
//! tag alone, together with its own URI line. A line that cannot be parsed completely is an error
//! with its number. An edit keeps the original lines, except those of the dropped entries.

use std::collections::BTreeSet;

use m3u8_rs::{AlternativeMediaType, ClosedCaptionGroupId, MasterPlaylist, VariantStream};

/// The longest playlist that is read, in bytes. Real playlists have about 1 kB (four renditions).
/// The limit keeps a wrong object from filling a small function's memory.
pub const MAX_PLAYLIST_BYTES: usize = 1024 * 1024;

/// The reason for which a text is not a multivariant playlist that can be edited safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct PlaylistError {
    /// The line, counted from 1.
    pub line: usize,
    /// The error in the line, as a sentence.
    pub problem: &'static str,
}

/// A rendition group: the TYPE of its EXT-X-MEDIA tags and their GROUP-ID (RFC 8216, 4.3.4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RenditionGroup {
    media_type: &'static str,
    id: String,
}

/// An EXT-X-STREAM-INF tag with its URI line.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The URI line, as written.
    pub uri: String,
    /// BANDWIDTH, in bits per second.
    pub bandwidth_bps: u64,
    /// The height of RESOLUTION, in pixels.
    pub height: Option<u64>,
    /// FRAME-RATE, in frames per second.
    pub frame_rate: Option<f64>,
    groups: Vec<RenditionGroup>,
}

/// An entry that is kept or dropped as a whole: one line, or two for a variant.
#[derive(Debug, Clone, PartialEq)]
enum PlaylistEntry {
    /// EXT-X-STREAM-INF at line index `tag`, its URI at line index `uri`.
    Variant {
        tag: usize,
        uri: usize,
        variant: Variant,
    },
    /// EXT-X-I-FRAME-STREAM-INF, whose URI is an attribute.
    IFrames {
        tag: usize,
        uri: String,
        groups: Vec<RenditionGroup>,
    },
    /// One EXT-X-MEDIA of a group. Without a URI, the variants' own media playlists have its media.
    Media {
        tag: usize,
        uri: Option<String>,
        group: RenditionGroup,
    },
}

/// A multivariant playlist: its original lines and its parsed entries.
#[derive(Debug, Clone)]
pub struct MultivariantPlaylist<'a> {
    /// Each line with its own line end.
    lines: Vec<&'a str>,
    entries: Vec<PlaylistEntry>,
}

/// A tag as it is written: the whole line without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistItem<'a> {
    /// EXT-X-STREAM-INF with its URI.
    Variant {
        /// The line of the tag itself.
        tag: &'a str,
        /// The URI line that follows the tag.
        uri: &'a str,
    },
    /// EXT-X-I-FRAME-STREAM-INF, which has its URI as an attribute.
    IFrames(&'a str),
    /// EXT-X-MEDIA, which may have a URI as an attribute.
    Media(&'a str),
    /// Any other tag, known or not.
    Tag(&'a str),
}

impl<'a> MultivariantPlaylist<'a> {
    /// Parses a playlist.
    ///
    /// # Errors
    ///
    /// The first line that cannot be parsed completely: see the module's description.
    pub fn parse(text: &'a str) -> Result<Self, PlaylistError> {
        if text.len() > MAX_PLAYLIST_BYTES {
            return error(0, "the playlist is larger than 1 MiB");
        }
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let first = lines.first().copied().unwrap_or_default();
        if content(first.strip_prefix('\u{feff}').unwrap_or(first)) != "#EXTM3U" {
            return error(0, "the playlist does not start with #EXTM3U");
        }
        let entries = parse_entries(&lines)?;
        let playlist = Self { lines, entries };
        if playlist.variants().next().is_none() {
            return error(0, "the playlist has no variant");
        }
        Ok(playlist)
    }

    /// The variants, in the playlist's order.
    pub fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.entries.iter().filter_map(|entry| match entry {
            PlaylistEntry::Variant { variant, .. } => Some(variant),
            PlaylistEntry::IFrames { .. } | PlaylistEntry::Media { .. } => None,
        })
    }

    /// Every tag but the first, in the playlist's order.
    pub fn items(&self) -> impl Iterator<Item = PlaylistItem<'a>> {
        let mut entries = self.entries.iter().peekable();
        self.lines
            .iter()
            .enumerate()
            .skip(1)
            .filter_map(move |(number, line)| {
                let line = content(line);
                let entry = entries.next_if(|entry| match entry {
                    PlaylistEntry::Variant { tag, .. }
                    | PlaylistEntry::IFrames { tag, .. }
                    | PlaylistEntry::Media { tag, .. } => *tag == number,
                });
                match entry {
                    Some(PlaylistEntry::Variant { uri, .. }) => Some(PlaylistItem::Variant {
                        tag: line,
                        uri: content(self.lines[*uri]),
                    }),
                    Some(PlaylistEntry::IFrames { .. }) => Some(PlaylistItem::IFrames(line)),
                    Some(PlaylistEntry::Media { .. }) => Some(PlaylistItem::Media(line)),
                    None if line.starts_with("#EXT") => Some(PlaylistItem::Tag(line)),
                    None => None,
                }
            })
    }

    /// The URIs that a player plays: variants, I-frame entries, alternative renditions.
    pub fn playable_uris(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match entry {
            PlaylistEntry::Variant { variant, .. } => Some(variant.uri.as_str()),
            PlaylistEntry::IFrames { uri, .. } => Some(uri.as_str()),
            PlaylistEntry::Media { uri, .. } => uri.as_deref(),
        })
    }

    /// Every URI of the playlist, also in tags that this module does not know.
    pub fn all_uris(&self) -> impl Iterator<Item = &str> {
        let in_tags = self
            .lines
            .iter()
            .filter(|line| line.starts_with("#EXT"))
            .flat_map(|line| {
                line.split("URI=\"")
                    .skip(1)
                    .filter_map(|rest| rest.split('"').next())
            });
        self.variants()
            .map(|variant| variant.uri.as_str())
            .chain(in_tags)
    }

    /// The text in which `renamed` replaces playable URIs. A URI for which it returns `None`, and
    /// every other byte, stays as it is.
    pub fn with_uris(&self, renamed: impl Fn(&str) -> Option<String>) -> String {
        let mut lines: Vec<String> = self.lines.iter().map(|&line| line.to_owned()).collect();
        for entry in &self.entries {
            match entry {
                PlaylistEntry::Variant {
                    uri: line, variant, ..
                } => {
                    if let Some(uri) = renamed(&variant.uri) {
                        lines[*line] = lines[*line].replacen(&variant.uri, &uri, 1);
                    }
                }
                PlaylistEntry::IFrames { tag, uri: was, .. }
                | PlaylistEntry::Media {
                    tag,
                    uri: Some(was),
                    ..
                } => {
                    if let Some(uri) = renamed(was) {
                        lines[*tag] = with_uri(&lines[*tag], was, &uri);
                    }
                }
                PlaylistEntry::Media { uri: None, .. } => {}
            }
        }
        lines.concat()
    }

    /// The text without the variants and I-frame entries for whose URI `drop` returns true, and
    /// without the EXT-X-MEDIA groups that only those entries refer to. Every other byte stays as
    /// it is.
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> String {
        let mut dropped = BTreeSet::new();
        let mut referred_by_dropped = BTreeSet::new();
        let mut referred_by_kept = BTreeSet::new();
        for entry in &self.entries {
            let (uri, lines, groups) = match entry {
                PlaylistEntry::Variant { tag, uri, variant } => {
                    (&variant.uri, vec![*tag, *uri], &variant.groups)
                }
                PlaylistEntry::IFrames { tag, uri, groups } => (uri, vec![*tag], groups),
                PlaylistEntry::Media { .. } => continue,
            };
            if drop(uri) {
                dropped.extend(lines);
                referred_by_dropped.extend(groups);
            } else {
                referred_by_kept.extend(groups);
            }
        }
        for entry in &self.entries {
            if let PlaylistEntry::Media { tag, group, .. } = entry
                && referred_by_dropped.contains(&group)
                && !referred_by_kept.contains(&group)
            {
                dropped.insert(*tag);
            }
        }
        let kept = self
            .lines
            .iter()
            .enumerate()
            .filter(|(number, _)| !dropped.contains(number));
        kept.map(|(_, line)| *line).collect()
    }
}

/// Replaces the URI in a tag's attribute.
pub(crate) fn with_uri(tag: &str, was: &str, uri: &str) -> String {
    tag.replacen(&format!("URI=\"{was}\""), &format!("URI=\"{uri}\""), 1)
}

/// A line without its line end.
fn content(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The tag without its attributes, for example `#EXT-X-MEDIA` of `#EXT-X-MEDIA:TYPE=…`.
fn tag_name(line: &str) -> &str {
    line.split_once(':')
        .map_or(line, |(name, _)| name)
        .trim_end()
}

fn error<T>(index: usize, problem: &'static str) -> Result<T, PlaylistError> {
    Err(PlaylistError {
        line: index + 1,
        problem,
    })
}

/// Parses all lines but the first.
fn parse_entries(lines: &[&str]) -> Result<Vec<PlaylistEntry>, PlaylistError> {
    let mut entries = Vec::new();
    let mut stream_inf: Option<usize> = None;
    for (index, line) in lines.iter().enumerate().skip(1) {
        let line = content(line);
        if line.contains('\r') {
            return error(index, "the line has a carriage return before its end");
        }
        if !line.starts_with('#') {
            if line.trim().is_empty() {
                continue;
            }
            let Some(tag) = stream_inf.take() else {
                return error(index, "the URI has no EXT-X-STREAM-INF before it");
            };
            let Some(variant) = parse_variant(content(lines[tag]), line) else {
                return error(tag, "the EXT-X-STREAM-INF cannot be parsed");
            };
            entries.push(PlaylistEntry::Variant {
                tag,
                uri: index,
                variant,
            });
        } else if stream_inf.is_some() && line.starts_with("#EXT") {
            return error(index, "the tag is between an EXT-X-STREAM-INF and its URI");
        } else if tag_name(line) == "#EXT-X-STREAM-INF" {
            stream_inf = Some(index);
        } else {
            entries.extend(parse_tag(index, line)?);
        }
    }
    match stream_inf {
        None => Ok(entries),
        Some(tag) => error(tag, "the EXT-X-STREAM-INF has no URI"),
    }
}

/// Parses a tag that has its URI itself, if it has one. `None` for tags that an edit never drops.
fn parse_tag(index: usize, line: &str) -> Result<Option<PlaylistEntry>, PlaylistError> {
    let tag = index;
    match tag_name(line) {
        "#EXT-X-I-FRAME-STREAM-INF" => match parse_i_frames(line) {
            Some((uri, groups)) => Ok(Some(PlaylistEntry::IFrames { tag, uri, groups })),
            None => error(index, "the EXT-X-I-FRAME-STREAM-INF cannot be parsed"),
        },
        "#EXT-X-MEDIA" => match parse_media(line) {
            Some((uri, group)) => Ok(Some(PlaylistEntry::Media { tag, uri, group })),
            None => error(index, "the EXT-X-MEDIA cannot be parsed"),
        },
        "#EXTINF" | "#EXT-X-TARGETDURATION" | "#EXT-X-MEDIA-SEQUENCE" | "#EXT-X-ENDLIST" => {
            error(index, "the tag belongs to a media playlist")
        }
        _ => Ok(None),
    }
}

/// Parses lines as a playlist of their own. `None` if a part is left over or unknown.
fn parse_alone(lines: &[&str]) -> Option<MasterPlaylist> {
    let text = format!("#EXTM3U\n{}\n", lines.join("\n"));
    let (rest, playlist) = m3u8_rs::parse_master_playlist(text.as_bytes()).ok()?;
    (rest.is_empty() && playlist.unknown_tags.is_empty()).then_some(playlist)
}

fn parse_variant(tag: &str, uri: &str) -> Option<Variant> {
    let [variant] =
        <[VariantStream; 1]>::try_from(parse_alone(&[tag.trim_end(), uri])?.variants).ok()?;
    // The parser misread a URI if it returns another text: blanks around the URI, or an attribute
    // that continues across the line end.
    (variant.uri == uri && !variant.is_i_frame).then(|| Variant {
        bandwidth_bps: variant.bandwidth,
        height: variant.resolution.map(|resolution| resolution.height),
        frame_rate: variant.frame_rate,
        groups: groups_of(&variant),
        uri: variant.uri,
    })
}

fn parse_i_frames(tag: &str) -> Option<(String, Vec<RenditionGroup>)> {
    let [i_frames] =
        <[VariantStream; 1]>::try_from(parse_alone(&[tag.trim_end()])?.variants).ok()?;
    (i_frames.is_i_frame && tag.contains(&format!("URI=\"{}\"", i_frames.uri)))
        .then(|| (i_frames.uri.clone(), groups_of(&i_frames)))
}

fn parse_media(tag: &str) -> Option<(Option<String>, RenditionGroup)> {
    let playlist = parse_alone(&[tag.trim_end()])?;
    let [media] = playlist.alternatives.as_slice() else {
        return None;
    };
    let media_type = match media.media_type {
        AlternativeMediaType::Video => VIDEO,
        AlternativeMediaType::Audio => AUDIO,
        AlternativeMediaType::Subtitles => SUBTITLES,
        AlternativeMediaType::ClosedCaptions => CLOSED_CAPTIONS,
        AlternativeMediaType::Other(_) => return None,
    };
    Some((
        media.uri.clone(),
        RenditionGroup {
            media_type,
            id: media.group_id.clone(),
        },
    ))
}

const VIDEO: &str = "VIDEO";
const AUDIO: &str = "AUDIO";
const SUBTITLES: &str = "SUBTITLES";
const CLOSED_CAPTIONS: &str = "CLOSED-CAPTIONS";

fn groups_of(variant: &VariantStream) -> Vec<RenditionGroup> {
    let captions = match &variant.closed_captions {
        Some(ClosedCaptionGroupId::GroupId(id)) => Some(id),
        Some(ClosedCaptionGroupId::None | ClosedCaptionGroupId::Other(_)) | None => None,
    };
    let referred = [
        (VIDEO, variant.video.as_ref()),
        (AUDIO, variant.audio.as_ref()),
        (SUBTITLES, variant.subtitles.as_ref()),
        (CLOSED_CAPTIONS, captions),
    ];
    referred
        .into_iter()
        .filter_map(|(media_type, id)| {
            id.map(|id| RenditionGroup {
                media_type,
                id: id.clone(),
            })
        })
        .collect()
}
