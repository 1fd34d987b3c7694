//! Which stream a path belongs to.

use regex::bytes::Regex;
use std::fmt;
use std::str::FromStr;

/// How the stream is found in a path.
#[derive(Debug, Clone)]
pub enum StreamRule {
    /// As streams usually lie: the folders of the file, without the one that is a rendition's, or without the
    /// rendition's name at the last one's end (`/live/show/720p/1.ts`, `/live/show_720p/1.ts` are `live/show`). A
    /// playlist with a name of its own stands for a folder of that name (`/live/show.m3u8`).
    Usual,
    /// By patterns, the first that fits.
    Patterns(Vec<Pattern>),
}

/// A path in which `{stream}` stands for the stream's name, `*` for anything without a slash, and `**` for anything.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// A pattern that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pattern of a path: it starts with a slash and has {{stream}} in it once, as in /live/{{stream}}/**"
)]
pub struct PatternError(String);

impl StreamRule {
    /// Patterns separated by commas; nothing is the usual rule.
    ///
    /// # Errors
    ///
    /// [`PatternError`]
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

    /// The name of the stream whose playlist or segment has this path; `None` for any other path.
    pub fn stream<'a>(&self, path: &'a [u8]) -> Option<&'a str> {
        if !is_hls(path) {
            return None;
        }
        let name = match self {
            Self::Usual => usual(path),
            Self::Patterns(patterns) => {
                let captures = patterns.iter().find_map(|pattern| pattern.regex.captures(path))?;
                captures.name(STREAM)?.as_bytes()
            }
        };
        let name = std::str::from_utf8(name).ok()?;
        let is_name =
            (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        is_name.then_some(name)
    }
}

const STREAM: &str = "stream";
/// The value of a metric's dimension may have 1,024 characters, all ASCII (CloudWatch, `Dimension`); a name of this length
/// is none.
const MAX_NAME_BYTES: usize = 200;

/// Whether a path is that of a playlist or of a segment.
fn is_hls(path: &[u8]) -> bool {
    const EXTENSIONS: [&[u8]; 13] = [
        b"m3u8", b"ts", b"m4s", b"mp4", b"cmfv", b"cmfa", b"cmft", b"m4v", b"m4a", b"aac", b"ac3", b"ec3",
        b"vtt",
    ];
    let extension = memchr::memrchr(b'.', path).map(|dot| &path[dot + 1..]);
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

fn usual(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let file_at = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
    // Only of playlists: a segment is called otherwise each time.
    if let Some(stem) = path.strip_suffix(b".m3u8")
        && names_a_stream(&stem[file_at..])
    {
        return without_rendition(stem);
    }
    let mut folder = &path[..file_at.saturating_sub(1)];
    while let Some(slash) = memchr::memrchr(b'/', folder)
        && is_rendition(&folder[slash + 1..])
    {
        folder = &folder[..slash];
    }
    without_rendition(folder)
}

/// Not what packagers call each playlist (`index_1`, `chunklist_b800000`, `720p`).
fn names_a_stream(stem: &[u8]) -> bool {
    const USUAL: [&[u8]; 14] = [
        b"index",
        b"master",
        b"playlist",
        b"manifest",
        b"main",
        b"prog_index",
        b"chunklist",
        b"media",
        b"stream",
        b"variant",
        b"rendition",
        b"video",
        b"audio",
        b"hls",
    ];
    let word = stem.split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
    !stem.is_empty() && !USUAL.contains(&word) && !stem.starts_with(b"prog_index") && !is_rendition(stem)
}

/// `show_720p` and `show-720p30` without their ends.
fn without_rendition(name: &[u8]) -> &[u8] {
    match memchr::memrchr2(b'_', b'-', name) {
        Some(at) if at > 0 && is_rendition(&name[at + 1..]) => &name[..at],
        _ => name,
    }
}

/// Whether a folder's name is that of a rendition: `720p`, `720p30`, `1280x720`, `2800k`, `0` to `99`, `v0`, `stream_0`,
/// and a few words.
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
    let name = name.strip_prefix(b"v").filter(|rest| digits(rest) > 0).unwrap_or(name);
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
        let refuse = || PatternError(text.to_owned());
        if !text.starts_with('/') || text.matches("{stream}").count() != 1 {
            return Err(refuse());
        }
        let escaped = regex::escape(text)
            .replace(r"\*\*", ".*")
            .replace(r"\*", "[^/]*")
            .replace(r"\{stream\}", &format!("(?<{STREAM}>[^/]+)"));
        let regex = Regex::new(&format!("(?s-u)^{escaped}$")).map_err(|_| refuse())?;
        Ok(Self { text: text.to_owned(), regex })
    }
}

/// As it was written: a rule is known by that.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
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
            ("/index.m3u8", None),
            ("/my-show_240p.m3u8", Some("my-show")),
            ("/my-show/index.m3u8", Some("my-show")),
            ("/out/v1/6aa3/index_1_2.ts", Some("out/v1/6aa3")),
            ("/show-2x/1.ts", Some("show-2x")),
            ("/2026/1.ts", Some("2026")),
            ("/live/2026/1.ts", Some("live/2026")),
            ("/720p/1.ts", Some("720p")),
            ("/1.ts", None),
            ("/live/show/player.js", None),
            ("/live/show/", None),
            ("", None),
            ("/caf\u{e9}/index.m3u8", None),
        ];
        for (path, stream) in rows {
            assert_eq!(StreamRule::Usual.stream(path.as_bytes()), stream, "{path}");
        }
    }

    #[test]
    fn a_pattern_says_where_the_name_stands() {
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
            assert_eq!(rule.stream(path.as_bytes()), stream, "{path}");
        }
        for wrong in ["live/{stream}", "/live", "/{stream}/{stream}", "/live/{stream}/**,"] {
            assert!(StreamRule::parse(wrong).is_err(), "{wrong}");
        }
        // What means something to a regular expression means itself.
        assert_eq!(StreamRule::parse("/a.b(/{stream}/*").unwrap().stream(b"/a.b(/s/1.ts"), Some("s"));
        assert_eq!(StreamRule::parse("/a.b/{stream}/*").unwrap().stream(b"/axb/s/1.ts"), None);
    }
}
