//! Names: of files in the folder, of objects in the bucket, and in playlists.

use super::snapshot::Snapshot;
use percent_encoding::percent_decode_str;

/// What tells one content of a file from another: whoever writes it again changes one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// When it was written, Unix time in milliseconds.
    pub modified_ms: u64,
}

impl FileId {
    /// The name under which this content is published, `name` being the file's: it has the time in it, so that no name
    /// ever means two contents. Transcoders that begin again use theirs again, and caches keep a segment for long.
    ///
    /// `720p/12.ts` -> `720p/12.lx3k9f2a.ts`
    pub fn published(self, name: &str) -> String {
        let time = base36(self.modified_ms);
        let file = name.rfind('/').map_or(0, |slash| slash + 1);
        match name[file..].rfind('.').filter(|dot| *dot > 0) {
            Some(dot) => format!("{}.{time}{}", &name[..file + dot], &name[file + dot..]),
            None => format!("{name}.{time}"),
        }
    }
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[usize::try_from(number % 36).unwrap_or_default()]));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// The file that a playlist names by this URI. `None` if it leads elsewhere: to another host, or out of the folder.
///
/// Paths are relative to the folder, with `/` between their parts.
pub fn file_of(playlist: &str, uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if uri.is_empty() || uri.starts_with('/') || has_scheme {
        return None;
    }
    let decoded = percent_decode_str(uri).decode_utf8().ok()?;
    let mut parts: Vec<&str> = playlist.split('/').collect();
    parts.pop();
    for part in decoded.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            "" => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The files that a media playlist names.
pub fn files_of(playlist: &str, text: &str) -> Vec<String> {
    let Ok(snapshot) = Snapshot::parse(text) else { return Vec::new() };
    snapshot.needs().into_iter().filter_map(|uri| file_of(playlist, uri)).collect()
}

/// What an object is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A playlist.
    Playlist,
    /// What players fetch because a playlist names it.
    Media,
}

/// What a file is, by its name, if it is anything of a stream, and its Content-Type (RFC 8216bis, 10; the IANA's registry).
pub fn kind(path: &str) -> Option<(Kind, &'static str)> {
    let (_, extension) = path.rsplit_once('.')?;
    let media = |content_type| Some((Kind::Media, content_type));
    match extension.to_ascii_lowercase().as_str() {
        "m3u8" => Some((Kind::Playlist, "application/vnd.apple.mpegurl")),
        "ts" => media("video/mp2t"),
        "mp4" | "m4s" | "m4v" | "cmfv" => media("video/mp4"),
        "m4a" | "cmfa" => media("audio/mp4"),
        "aac" => media("audio/aac"),
        "ac3" => media("audio/ac3"),
        "ec3" => media("audio/eac3"),
        "mp3" => media("audio/mpeg"),
        "vtt" | "webvtt" => media("text/vtt"),
        "key" => media("application/octet-stream"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_contents() {
        let file = FileId { size_bytes: 1, modified_ms: 1_700_000_000_123 };
        assert_eq!(file.published("720p/12.ts"), "720p/12.loyw3v5n.ts");
        assert_eq!(file.published("a.b/init"), "a.b/init.loyw3v5n");
        assert_eq!(file.published(".hidden"), ".hidden.loyw3v5n");
        assert_eq!(FileId { size_bytes: 0, modified_ms: 0 }.published("a.ts"), "a.0.ts");
    }

    #[test]
    fn a_uri_leads_to_a_file_in_the_folder_or_nowhere() {
        let rows = [
            ("live/index.m3u8", "12.ts", Some("live/12.ts")),
            ("index.m3u8", "720p/12.ts?x=1", Some("720p/12.ts")),
            ("live/index.m3u8", "../a%20%C3%A9.ts", Some("a é.ts")),
            ("live/index.m3u8", "./12.ts", Some("live/12.ts")),
            ("index.m3u8", "../12.ts", None),
            ("index.m3u8", "%2e%2e/12.ts", None),
            ("index.m3u8", "/12.ts", None),
            ("index.m3u8", "https://example.com/12.ts", None),
            ("index.m3u8", "a//b.ts", None),
            ("index.m3u8", "", None),
            ("index.m3u8", "%ff.ts", None),
            ("index.m3u8", "12:30.ts", Some("12:30.ts")),
        ];
        for (playlist, uri, file) in rows {
            assert_eq!(file_of(playlist, uri).as_deref(), file, "{uri}");
        }
    }
}
