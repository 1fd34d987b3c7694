//! Names of files in the folder, of objects in the bucket, and of both in playlists.

use percent_encoding::percent_decode_str;

/// Identifies one content of a file: writing the file again changes its size or its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Size of the file, in bytes.
    pub size_bytes: u64,
    /// When the file was written, in milliseconds of Unix time.
    pub modified_ms: u64,
}

impl FileId {
    /// The name under which this content of the file `name` is published. It contains the time, so
    /// that a name never means two contents. A transcoder that restarts uses its names again, and
    /// caches keep a segment for a year.
    ///
    /// `720p/12.ts` -> `720p/12.lx3k9f2a.ts`
    pub fn published_name(self, name: &str) -> String {
        let time = base36(self.modified_ms);
        let (path, rest) = path_and_rest(name);
        match extension(path) {
            Some(dot) => format!("{}.{time}{}{rest}", &path[..dot], &path[dot..]),
            None => format!("{path}.{time}{rest}"),
        }
    }
}

/// The name of the file that is published under a name.
///
/// `720p/12.lx3k9f2a.ts` -> `720p/12.ts`
pub fn written_name(published: &str) -> String {
    let (path, rest) = path_and_rest(published);
    let Some(end) = extension(path) else {
        return published.to_owned();
    };
    match extension(&path[..end]) {
        Some(time) => format!("{}{}{rest}", &path[..time], &path[end..]),
        // The file has no extension: the time is the only one.
        None => format!("{}{rest}", &path[..end]),
    }
}

/// The path of a URI, and its query and fragment.
pub(super) fn path_and_rest(uri: &str) -> (&str, &str) {
    uri.split_at(uri.find(['?', '#']).unwrap_or(uri.len()))
}

/// The index at which the extension of a name begins.
fn extension(path: &str) -> Option<usize> {
    let file = path.rfind('/').map_or(0, |slash| slash + 1);
    path[file..]
        .rfind('.')
        .filter(|dot| *dot > 0)
        .map(|dot| file + dot)
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(
            DIGITS[usize::try_from(number % 36).unwrap_or_default()],
        ));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// Whether a URI has a scheme (RFC 3986, 3.1), so that it leads to another host.
pub fn is_absolute(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// The path of the file that a playlist names by this URI. `None` if the URI leads to another host
/// or out of the folder.
///
/// Paths are relative to the folder, with `/` between their parts.
pub fn file_of(playlist: &str, uri: &str) -> Option<String> {
    let (uri, _) = path_and_rest(uri);
    if uri.is_empty() || uri.starts_with('/') || is_absolute(uri) {
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

/// The role of a file in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A media playlist or a multivariant playlist.
    Playlist,
    /// A segment, which a playlist names soon after.
    Segment,
    /// A key or a film: part of the stream only if a playlist names it.
    Other,
}

/// The role and the Content-Type of a file, by its extension (RFC 8216bis, 10; IANA's registry).
/// `None` if it is not a file of a stream.
pub fn file_kind(path: &str) -> Option<(FileKind, &'static str)> {
    let (_, extension) = path.rsplit_once('.')?;
    let (kind, content_type) = match extension.to_ascii_lowercase().as_str() {
        "m3u8" => (FileKind::Playlist, "application/vnd.apple.mpegurl"),
        "ts" => (FileKind::Segment, "video/mp2t"),
        "m4s" | "cmfv" => (FileKind::Segment, "video/mp4"),
        "cmfa" => (FileKind::Segment, "audio/mp4"),
        "aac" => (FileKind::Segment, "audio/aac"),
        "ac3" => (FileKind::Segment, "audio/ac3"),
        "ec3" => (FileKind::Segment, "audio/eac3"),
        "vtt" | "webvtt" => (FileKind::Segment, "text/vtt"),
        "mp4" | "m4v" => (FileKind::Other, "video/mp4"),
        "m4a" => (FileKind::Other, "audio/mp4"),
        "mp3" => (FileKind::Other, "audio/mpeg"),
        "key" => (FileKind::Other, "application/octet-stream"),
        _ => return None,
    };
    Some((kind, content_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_means_two_contents() {
        let file = FileId {
            size_bytes: 1,
            modified_ms: 1_700_000_000_123,
        };
        assert_eq!(file.published_name("720p/12.ts"), "720p/12.loyw3v5n.ts");
        assert_eq!(file.published_name("a.b/init"), "a.b/init.loyw3v5n");
        assert_eq!(file.published_name(".hidden"), ".hidden.loyw3v5n");
        assert_eq!(
            FileId {
                size_bytes: 0,
                modified_ms: 0
            }
            .published_name("a.ts"),
            "a.0.ts"
        );
        assert_eq!(
            file.published_name("a/12.ts?v=1.5/x"),
            "a/12.loyw3v5n.ts?v=1.5/x"
        );
        for name in ["720p/12.ts", "a.b/init", "12.ts?v=1.5"] {
            assert_eq!(written_name(&file.published_name(name)), name);
        }
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
