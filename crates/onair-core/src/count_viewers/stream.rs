//! Finds the name of the stream in the path of a request.

use percent_encoding::percent_decode;
use regex::bytes::Regex;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// How to derive the name of the stream from a path.
#[derive(Debug, Clone)]
pub enum StreamRule {
    /// The usual layouts.
    ///
    /// The name is the folder of the file, without a folder or an ending that names a rendition:
    /// `/live/show/720p/1.ts` and `/live/show_720p/1.ts` are `live/show`. A playlist that is named
    /// after its stream counts as a folder, and so do its numbered segments: `/live/show.m3u8` and
    /// `/live/show-12.ts` are `live/show`. Other files at the root are `/`.
    Usual,
    /// Patterns. The first that matches the path is used.
    Patterns(Vec<Pattern>),
}

/// A pattern of a path. `{stream}` matches the name of the stream, `*` matches any text without a
/// slash, and `**` matches any text.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a pattern of a path: expected a slash at the start and {{stream}} once, \
     as in /live/{{stream}}/**"
)]
pub struct PatternError(String);

impl StreamRule {
    /// Parses patterns separated by commas. Without patterns, this is [`Self::Usual`].
    ///
    /// # Errors
    ///
    /// [`PatternError`] for the first pattern that cannot be used.
    pub fn parse(patterns: &str) -> Result<Self, PatternError> {
        if patterns.trim().is_empty() {
            return Ok(Self::Usual);
        }
        patterns
            .split(',')
            .map(|pattern| pattern.trim().parse())
            .collect::<Result<_, _>>()
            .map(Self::Patterns)
    }

    /// The name of the stream whose playlist or segment has this path. `None` for any other path.
    ///
    /// A server treats many spellings of a path as the same (`//`, `/./`, `%2e`). The path is
    /// normalised first, so that clients cannot invent streams.
    pub fn stream<'a>(&self, path: &'a [u8]) -> Option<Cow<'a, str>> {
        match normalised(path) {
            Cow::Borrowed(path) => self.name(path).map(Cow::Borrowed),
            Cow::Owned(path) => self.name(&path).map(|name| Cow::Owned(name.to_owned())),
        }
    }

    fn name<'a>(&self, path: &'a [u8]) -> Option<&'a str> {
        if !is_hls(path) {
            return None;
        }
        let name = match self {
            Self::Usual => usual_name(path),
            Self::Patterns(patterns) => {
                let captures = patterns
                    .iter()
                    .find_map(|pattern| pattern.regex.captures(path))?;
                captures.name(STREAM)?.as_bytes()
            }
        };
        let name = std::str::from_utf8(name).ok()?;
        let is_name = (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic());
        is_name.then_some(name)
    }
}

/// Removes escapes, empty segments and dot segments from a path (RFC 3986, 6.2.2).
fn normalised(path: &[u8]) -> Cow<'_, [u8]> {
    let is_plain =
        |pair: &[u8]| pair[1] != b'%' && (pair[0] != b'/' || !matches!(pair[1], b'/' | b'.'));
    if path.windows(2).all(is_plain) {
        return Cow::Borrowed(path);
    }
    let path: Cow<'_, [u8]> = percent_decode(path).into();
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let normalised = parts.into_iter().flat_map(|part| [b"/", part].concat());
    Cow::Owned(normalised.collect())
}

const STREAM: &str = "stream";
/// A request with a longer name is not counted. CloudWatch allows 1,024 ASCII characters in the
/// value of a dimension (`Dimension`).
const MAX_NAME_BYTES: usize = 200;

/// Whether a path has the extension of a playlist or a segment.
fn is_hls(path: &[u8]) -> bool {
    const EXTENSIONS: [&[u8]; 13] = [
        b"m3u8", b"ts", b"m4s", b"mp4", b"cmfv", b"cmfa", b"cmft", b"m4v", b"m4a", b"aac", b"ac3",
        b"ec3", b"vtt",
    ];
    let extension = memchr::memrchr(b'.', path).map(|dot| &path[dot + 1..]);
    extension.is_some_and(|extension| {
        EXTENSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}

fn usual_name(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let file_at = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
    let file = &path[file_at..];
    let stem = match file.strip_suffix(b".m3u8") {
        Some(stem) => Some(stem),
        None => segment_stem(file),
    };
    if let Some(stem) = stem.filter(|stem| is_stream_name(stem)) {
        return without_rendition(&path[..file_at + stem.len()]);
    }
    let mut folder = &path[..file_at.saturating_sub(1)];
    while let Some(slash) = memchr::memrchr(b'/', folder)
        && is_rendition(&folder[slash + 1..])
    {
        folder = &folder[..slash];
    }
    if folder.is_empty() {
        b"/"
    } else {
        without_rendition(folder)
    }
}

/// The part before the number of a segment: `show` of `show-12.ts`, `show_720p` of
/// `show_720p_00012.ts`. `None` for a name without a number at its end. `None` also for a name with
/// other digits: they may differ for each segment.
fn segment_stem(file: &[u8]) -> Option<&[u8]> {
    let stem = &file[..memchr::memchr(b'.', file)?];
    let digits = stem
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let name = &stem[..stem.len() - digits];
    let name = name
        .strip_suffix(b"-")
        .or_else(|| name.strip_suffix(b"_"))
        .unwrap_or(name);
    let words = without_rendition(name);
    (digits > 0 && !words.iter().any(u8::is_ascii_digit)).then_some(name)
}

/// Whether a stem is the name of a stream. Generic stems are not, since packagers use them for
/// every stream: `index_1`, `chunklist_b800000`, `seg-12`, `720p`.
fn is_stream_name(stem: &[u8]) -> bool {
    const GENERIC: [&[u8]; 24] = [
        b"index",
        b"master",
        b"playlist",
        b"manifest",
        b"main",
        b"prog",
        b"chunklist",
        b"chunk",
        b"media",
        b"stream",
        b"variant",
        b"rendition",
        b"video",
        b"audio",
        b"hls",
        b"seg",
        b"segment",
        b"frag",
        b"fragment",
        b"file",
        b"fileSequence",
        b"part",
        b"data",
        b"init",
    ];
    let word = stem
        .split(|byte| !byte.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    !stem.is_empty()
        && !GENERIC
            .iter()
            .any(|generic| generic.eq_ignore_ascii_case(word))
        && !is_rendition(stem)
}

/// Removes a rendition from the end of a name: `show_720p` and `show-720p30` are `show`.
fn without_rendition(name: &[u8]) -> &[u8] {
    match memchr::memrchr2(b'_', b'-', name) {
        Some(at) if at > 0 && is_rendition(&name[at + 1..]) => &name[..at],
        _ => name,
    }
}

/// Whether a name is the name of a rendition: `720p`, `720p30`, `1280x720`, `2800k`, `0` to `99`,
/// `v0`, `stream_0`, and a few words.
fn is_rendition(name: &[u8]) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"audio",
        b"video",
        b"source",
        b"chunked",
        b"high",
        b"medium",
        b"mid",
        b"low",
        b"subtitles",
        b"subs",
        b"hd",
        b"sd",
    ];
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let name = name.strip_prefix(b"stream_").unwrap_or(name);
    let name = name
        .strip_prefix(b"v")
        .filter(|rest| digits(rest) > 0)
        .unwrap_or(name);
    let first = digits(name);
    match &name[first..] {
        _ if first == 0 => WORDS.iter().any(|word| word.eq_ignore_ascii_case(name)),
        b"" => first <= 2,
        [b'p', rate @ ..] => digits(rate) == rate.len(),
        [b'x', height @ ..] => !height.is_empty() && digits(height) == height.len(),
        b"k" | b"kbps" => true,
        _ => false,
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = || PatternError(text.to_owned());
        if !text.starts_with('/') || text.matches("{stream}").count() != 1 {
            return Err(error());
        }
        let escaped = regex::escape(text)
            .replace(r"\*\*", ".*")
            .replace(r"\*", "[^/]*")
            .replace(r"\{stream\}", &format!("(?<{STREAM}>[^/]+)"));
        let regex = Regex::new(&format!("(?s-u)^{escaped}$")).map_err(|_| error())?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }
}

/// The text of the pattern. Do not change this format: it is part of the names of stored minutes.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::too_many_lines, reason = "a test may be longer")]
mod tests {
    use super::*;

    #[test]
    fn the_usual_layouts_name_their_streams() {
        let rows = [
            ("/live/show/720p/1.ts", Some("live/show")),
            ("/live/show/index.m3u8", Some("live/show")),
            ("/live/show/v0/prog_index.m3u8", Some("live/show")),
            ("/live/show/stream_2/data07.m4s", Some("live/show")),
            ("/live/show/1280x720/audio/7.aac", Some("live/show")),
            ("/show_720p/index.m3u8", Some("show")),
            ("/show_720p/1.mi8vqk7k.ts", Some("show")),
            ("/show.m3u8", Some("show")),
            ("/live/show.m3u8", Some("live/show")),
            ("/live/show_720p.m3u8", Some("live/show")),
            ("/live/show/720p.m3u8", Some("live/show")),
            ("/live/show/playlist_720p.m3u8", Some("live/show")),
            ("/live/show/chunklist_w12_b800000.m3u8", Some("live/show")),
            ("/index.m3u8", Some("/")),
            ("/stream.m3u8", Some("/")),
            ("/stream12.ts", Some("/")),
            ("/hls/show.m3u8", Some("hls/show")),
            ("/hls/show-12.ts", Some("hls/show")),
            ("/live/event_1080p30.m3u8", Some("live/event")),
            ("/live/event_1080p30_00012.ts", Some("live/event")),
            ("/live/show/seg-12.ts", Some("live/show")),
            ("/live/show/fileSequence12.ts", Some("live/show")),
            ("/live/show/a8f3e9.ts", Some("live/show")),
            ("/live/show/aBcDeF.m4s", Some("live/show")),
            ("//live//show/index.m3u8", Some("live/show")),
            ("/live/AAAA/../show/1.ts", Some("live/show")),
            ("/live/show/%2e/BBBB/%2e%2e/1.ts", Some("live/show")),
            ("/live/sh%6fw/index.m3u8", Some("live/show")),
            ("/../../live/./show/1.ts", Some("live/show")),
            ("/my-show_240p.m3u8", Some("my-show")),
            ("/my-show/index.m3u8", Some("my-show")),
            ("/out/v1/6aa3/index_1_2.ts", Some("out/v1/6aa3")),
            ("/show-2x/1.ts", Some("show-2x")),
            ("/2026/1.ts", Some("2026")),
            ("/live/2026/1.ts", Some("live/2026")),
            ("/720p/1.ts", Some("720p")),
            ("/1.ts", Some("/")),
            ("/live/show/player.js", None),
            ("/live/show/", None),
            ("", None),
            ("/caf\u{e9}/index.m3u8", None),
        ];
        for (path, stream) in rows {
            assert_eq!(
                StreamRule::Usual.stream(path.as_bytes()).as_deref(),
                stream,
                "{path}"
            );
        }
    }

    #[test]
    fn a_pattern_finds_the_name_in_the_path() {
        let rule = StreamRule::parse("/live/{stream}_*/**, /live/{stream}.m3u8").unwrap();
        let rows = [
            ("/live/my_show_720p/1.ts", Some("my_show")),
            ("/live/my_show_720p/a/b.m4s", Some("my_show")),
            ("/live/my_show.m3u8", Some("my_show")),
            ("/vod/my_show_720p/1.ts", None),
            ("/live/a/b.m3u8", None),
            ("/live/my_show_720p/x.jpg", None),
        ];
        for (path, stream) in rows {
            assert_eq!(rule.stream(path.as_bytes()).as_deref(), stream, "{path}");
        }
        for wrong in [
            "live/{stream}",
            "/live",
            "/{stream}/{stream}",
            "/live/{stream}/**,",
        ] {
            assert!(StreamRule::parse(wrong).is_err(), "{wrong}");
        }
        // Special characters of regular expressions match themselves.
        assert_eq!(
            StreamRule::parse("/a.b(/{stream}/*")
                .unwrap()
                .stream(b"/a.b(/s/1.ts")
                .as_deref(),
            Some("s")
        );
        assert_eq!(
            StreamRule::parse("/a.b/{stream}/*")
                .unwrap()
                .stream(b"/axb/s/1.ts"),
            None
        );
    }
}
