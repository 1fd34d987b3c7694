//! Multivariant playlists, edited without touching a byte that is not meant.
//!
//! m3u8-rs says what a tag means; it never writes. Its writer reorders lines and attributes
//! (differently from run to run), drops comments and turns CRLF into LF, and its parser forgives
//! too much for work that deletes: a STREAM-INF it cannot read becomes an unknown tag and hands its
//! URI to the variant before it. So each tag is parsed alone, together with its own URI line,
//! anything that is not understood whole is refused by line number, and an edit is the original
//! lines minus those of the dropped entries.

use std::collections::BTreeSet;

use m3u8_rs::{AlternativeMediaType, ClosedCaptionGroupId, MasterPlaylist, VariantStream};

/// Longest playlist that is read, in bytes. Real ones have about 1 kB (four renditions); the bound
/// keeps a wrong object from filling a small function's memory.
pub const MAX_PLAYLIST_BYTES: usize = 1024 * 1024;

/// Why a text is not a multivariant playlist that can be edited safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct PlaylistError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// A rendition group: the TYPE of its EXT-X-MEDIA tags and their GROUP-ID (RFC 8216, 4.3.4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RenditionGroup {
    media_type: &'static str,
    id: String,
}

/// What an EXT-X-STREAM-INF tag and its URI line say.
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

/// A line (or, for a variant, two) that goes or stays as one.
#[derive(Debug, Clone, PartialEq)]
enum PlaylistEntry {
    /// EXT-X-STREAM-INF at `tag`, its URI at `uri`.
    Variant {
        tag: usize,
        uri: usize,
        variant: Variant,
    },
    /// EXT-X-I-FRAME-STREAM-INF, which carries its URI itself.
    IFrames {
        tag: usize,
        uri: String,
        groups: Vec<RenditionGroup>,
    },
    /// One EXT-X-MEDIA of a group, with a URI if it is not in the variants' own media playlists.
    Media {
        tag: usize,
        uri: Option<String>,
        group: RenditionGroup,
    },
}

/// A multivariant playlist: its original lines, and what is understood of them.
#[derive(Debug, Clone)]
pub struct MultivariantPlaylist<'a> {
    /// Each with its own line end.
    lines: Vec<&'a str>,
    entries: Vec<PlaylistEntry>,
}

/// One thing that a playlist says, as it is written: a tag's whole line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistItem<'a> {
    /// EXT-X-STREAM-INF with its URI.
    Variant {
        /// The tag.
        tag: &'a str,
        /// Its URI line.
        uri: &'a str,
    },
    /// EXT-X-I-FRAME-STREAM-INF.
    IFrames(&'a str),
    /// EXT-X-MEDIA.
    Media(&'a str),
    /// Any other tag, known or not.
    Tag(&'a str),
}

impl<'a> MultivariantPlaylist<'a> {
    /// Reads a playlist.
    ///
    /// # Errors
    ///
    /// Refuses, with the line, whatever is not wholly understood: see the module's first lines.
    pub fn parse(text: &'a str) -> Result<Self, PlaylistError> {
        let refuse = |line: usize, problem| {
            Err(PlaylistError {
                line: line + 1,
                problem,
            })
        };
        if text.len() > MAX_PLAYLIST_BYTES {
            return refuse(0, "larger than 1 MiB");
        }
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let first = lines
            .first()
            .map(|line| content(line.strip_prefix('\u{feff}').unwrap_or(line)));
        if first != Some("#EXTM3U") {
            return refuse(0, "does not start with #EXTM3U");
        }
        let mut entries = Vec::new();
        let mut awaiting_uri: Option<usize> = None;
        for (number, line) in lines.iter().enumerate().skip(1) {
            let line = content(line);
            if line.contains('\r') {
                return refuse(number, "has a carriage return inside");
            }
            if !line.starts_with('#') {
                if line.trim().is_empty() {
                    continue;
                }
                let Some(tag) = awaiting_uri.take() else {
                    return refuse(number, "is a URI without an EXT-X-STREAM-INF before it");
                };
                let Some(variant) = parse_variant(content(lines[tag]), line) else {
                    return refuse(tag, "is an EXT-X-STREAM-INF that cannot be understood");
                };
                entries.push(PlaylistEntry::Variant {
                    tag,
                    uri: number,
                    variant,
                });
                continue;
            }
            if awaiting_uri.is_some() && line.starts_with("#EXT") {
                return refuse(number, "stands between an EXT-X-STREAM-INF and its URI");
            }
            match tag_name(line) {
                "#EXT-X-STREAM-INF" => awaiting_uri = Some(number),
                "#EXT-X-I-FRAME-STREAM-INF" => match parse_i_frames(line) {
                    Some((uri, groups)) => entries.push(PlaylistEntry::IFrames {
                        tag: number,
                        uri,
                        groups,
                    }),
                    None => {
                        return refuse(
                            number,
                            "is an EXT-X-I-FRAME-STREAM-INF that cannot be understood",
                        );
                    }
                },
                "#EXT-X-MEDIA" => match parse_media(line) {
                    Some((uri, group)) => entries.push(PlaylistEntry::Media {
                        tag: number,
                        uri,
                        group,
                    }),
                    None => return refuse(number, "is an EXT-X-MEDIA that cannot be understood"),
                },
                "#EXTINF"
                | "#EXT-X-TARGETDURATION"
                | "#EXT-X-MEDIA-SEQUENCE"
                | "#EXT-X-ENDLIST" => {
                    return refuse(number, "belongs to a media playlist");
                }
                _ => {}
            }
        }
        if let Some(tag) = awaiting_uri {
            return refuse(tag, "is an EXT-X-STREAM-INF without a URI");
        }
        let playlist = Self { lines, entries };
        if playlist.variants().next().is_none() {
            return refuse(0, "starts a playlist that names no variant");
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

    /// Everything that the playlist says, in its order.
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

    /// The URIs of what is played: variants, I-frame entries, alternative renditions.
    pub fn playable_uris(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match entry {
            PlaylistEntry::Variant { variant, .. } => Some(variant.uri.as_str()),
            PlaylistEntry::IFrames { uri, .. } => Some(uri.as_str()),
            PlaylistEntry::Media { uri, .. } => uri.as_deref(),
        })
    }

    /// Every URI that the playlist names in any tag or line, known or not.
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

    /// The text with other URIs of what is played, where `renamed` gives one. Every other byte
    /// stays as it is.
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

    /// The text without the variants and I-frame entries whose URI `drop` names, and without the
    /// EXT-X-MEDIA groups that only those referred to. Every other byte stays as it is.
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> String {
        let mut gone = BTreeSet::new();
        let mut referred_by_gone = BTreeSet::new();
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
                gone.extend(lines);
                referred_by_gone.extend(groups);
            } else {
                referred_by_kept.extend(groups);
            }
        }
        for entry in &self.entries {
            if let PlaylistEntry::Media { tag, group, .. } = entry
                && referred_by_gone.contains(&group)
                && !referred_by_kept.contains(&group)
            {
                gone.insert(*tag);
            }
        }
        let kept = self
            .lines
            .iter()
            .enumerate()
            .filter(|(number, _)| !gone.contains(number));
        kept.map(|(_, line)| *line).collect()
    }
}

/// A tag with another URI in its attribute.
pub(crate) fn with_uri(tag: &str, was: &str, uri: &str) -> String {
    tag.replacen(&format!("URI=\"{was}\""), &format!("URI=\"{uri}\""), 1)
}

/// A line without its line end.
fn content(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// `#EXT-X-MEDIA` of `#EXT-X-MEDIA:TYPE=…`.
fn tag_name(line: &str) -> &str {
    line.split_once(':')
        .map_or(line, |(name, _)| name)
        .trim_end()
}

/// The meaning of lines that form a playlist by themselves: nothing left over, nothing unknown.
fn parse_alone(lines: &[&str]) -> Option<MasterPlaylist> {
    let text = format!("#EXTM3U\n{}\n", lines.join("\n"));
    let (rest, playlist) = m3u8_rs::parse_master_playlist(text.as_bytes()).ok()?;
    (rest.is_empty() && playlist.unknown_tags.is_empty()).then_some(playlist)
}

fn parse_variant(tag: &str, uri: &str) -> Option<Variant> {
    let [variant] =
        <[VariantStream; 1]>::try_from(parse_alone(&[tag.trim_end(), uri])?.variants).ok()?;
    // A URI that comes back changed (blanks around it, a key that ran across the line end) was
    // misread.
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
