//! The VOD playlists of a stream whose segments are kept: beside each live playlist, another one
//! with everything that was published.

use super::names::{file_of, path_and_rest};
use crate::playlist::MultivariantPlaylist;

const PLAYLIST: &str = ".m3u8";
const VOD: &str = ".vod.m3u8";

/// The name of the VOD playlist of a live playlist.
///
/// `720p/index.m3u8` -> `720p/index.vod.m3u8`
pub fn vod_name(playlist: &str) -> String {
    format!(
        "{}{VOD}",
        playlist.strip_suffix(PLAYLIST).unwrap_or(playlist)
    )
}

pub(super) fn is_vod_name(playlist: &str) -> bool {
    playlist.ends_with(VOD)
}

/// The multivariant playlist of the VOD playlists, and the names of those.
pub(super) fn vod_multivariant(
    path: &str,
    playlist: &MultivariantPlaylist<'_>,
) -> (String, Vec<String>) {
    let names = playlist
        .playable_uris()
        .filter_map(|uri| file_of(path, uri))
        .map(|name| vod_name(&name))
        .collect();
    let text = playlist.with_uris(|uri| {
        file_of(path, uri)?;
        let (path, rest) = path_and_rest(uri);
        Some(format!("{}{rest}", vod_name(path)))
    });
    (text, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vod_multivariant_playlist_names_the_vod_playlists() {
        let text = "#EXTM3U\n# by hand\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"index.m3u8\",URI=\"audio/index.m3u8\"\n\
            #EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"a.key\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1000000,AUDIO=\"a\"\nnieder%20%C3%BC/index.m3u8?x=index.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2000000,AUDIO=\"a\"\nhttps://example.com/index.m3u8\n";
        let playlist = MultivariantPlaylist::parse(text).unwrap();
        let (vod, names) = vod_multivariant("show/master.m3u8", &playlist);
        assert_eq!(
            names,
            ["show/audio/index.vod.m3u8", "show/nieder ü/index.vod.m3u8"]
        );
        let expected = text
            .replace("\"audio/index.m3u8\"", "\"audio/index.vod.m3u8\"")
            .replace("%BC/index.m3u8?", "%BC/index.vod.m3u8?");
        assert_eq!(vod, expected);
    }

    #[test]
    fn a_vod_name_is_recognised() {
        assert_eq!(vod_name("720p/index.m3u8"), "720p/index.vod.m3u8");
        assert!(is_vod_name(&vod_name("a.m3u8")) && !is_vod_name("vod.m3u8"));
    }
}
