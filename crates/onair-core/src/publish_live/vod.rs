//! What stays of a live stream when everything is kept: beside each playlist another one, of all
//! that was.

use super::media_playlist::{MediaPlaylist, Segment};
use super::names::{file_of, path_and_rest};
use super::objects::{FAILED_ALONE, LiveObject, LiveObjects, ObjectState};
use super::rendition::LiveRendition;
use crate::playlist::MultivariantPlaylist;
use std::time::Duration;

const PLAYLIST: &str = ".m3u8";
const VOD: &str = ".vod.m3u8";

/// How far the playlist of all that was has come.
#[derive(Debug, Default)]
pub(super) struct VodState {
    /// The number behind the last segment in it.
    pub(super) end: u64,
    /// It says that nothing comes after it.
    pub(super) has_ended: bool,
}

/// The playlist of all that was, beside this one.
///
/// `720p/index.m3u8` -> `720p/index.vod.m3u8`
pub fn vod_name(playlist: &str) -> String {
    format!(
        "{}{VOD}",
        playlist.strip_suffix(PLAYLIST).unwrap_or(playlist)
    )
}

/// Whether a name is that of a playlist of all that was.
pub(super) fn is_vod_name(playlist: &str) -> bool {
    playlist.ends_with(VOD)
}

/// A multivariant playlist that names the playlists of all that was, and those.
pub(super) fn multivariant(
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

impl VodState {
    pub(super) fn of(visible: &MediaPlaylist) -> Self {
        Self {
            end: visible.sequence + visible.segments.len() as u64,
            has_ended: visible.ended,
        }
    }
}

impl LiveRendition {
    /// The end of what the playlist of all that was is to have, if it is to be put. What will never
    /// be there is a gap from now on: it has left the window, so nobody waits for it.
    pub(super) fn vod_due(
        &mut self,
        playlist: &str,
        objects: &LiveObjects,
        now: Duration,
    ) -> Option<u64> {
        // What viewers see of the show now comes first.
        if self.visible_end < self.window.sequence() {
            return None;
        }
        let mut end = self.window.number_in_all(self.visible_end)?;
        let mut lost = Vec::new();
        for (number, segment) in self.not_in_vod() {
            let is_missing = |name: &String| !self.is_there(name, objects);
            let mut missing = segment
                .needs()
                .filter_map(|uri| file_of(playlist, uri))
                .filter(is_missing);
            let Some(missing) = missing.next() else {
                continue;
            };
            match objects.get(&missing) {
                Some(LiveObject {
                    state: ObjectState::Due(_) | ObjectState::Busy,
                    failed_alone,
                    ..
                }) if *failed_alone < FAILED_ALONE => {
                    end = number;
                    break;
                }
                _ => lost.push(segment.uri.clone()),
            }
        }
        if self.window.lose(|uri| lost.iter().any(|lost| lost == uri)) {
            self.refresh(playlist, objects, now);
        }
        let vod = self.vod.as_ref()?;
        let ended = self.window.has_ended() && self.waits_since.is_none();
        let new = end.saturating_sub(vod.end);
        // The window has it, too, until it slides on: half of that leaves time enough.
        let is_time = ended || vod.has_ended || 2 * new >= self.window.segments().count() as u64;
        (new > 0 && is_time || ended && !vod.has_ended).then_some(end)
    }

    /// What has left the window and is not in the playlist of all that was.
    pub(super) fn not_in_vod(&self) -> impl Iterator<Item = (u64, &Segment)> {
        self.window
            .past(self.vod.as_ref().map_or(u64::MAX, |vod| vod.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_multivariant_playlist_of_all_that_was_names_those_of_its_renditions() {
        let text = "#EXTM3U\n# by hand\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"index.m3u8\",URI=\"audio/index.m3u8\"\n\
            #EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"a.key\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1000000,AUDIO=\"a\"\nnieder%20%C3%BC/index.m3u8?x=index.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2000000,AUDIO=\"a\"\nhttps://example.com/index.m3u8\n";
        let playlist = MultivariantPlaylist::parse(text).unwrap();
        let (all, names) = multivariant("show/master.m3u8", &playlist);
        assert_eq!(
            names,
            ["show/audio/index.vod.m3u8", "show/nieder ü/index.vod.m3u8"]
        );
        let expected = text
            .replace("\"audio/index.m3u8\"", "\"audio/index.vod.m3u8\"")
            .replace("%BC/index.m3u8?", "%BC/index.vod.m3u8?");
        assert_eq!(all, expected);
    }

    #[test]
    fn a_name_is_the_other_one_s_or_not() {
        assert_eq!(vod_name("720p/index.m3u8"), "720p/index.vod.m3u8");
        assert!(is_vod_name(&vod_name("a.m3u8")) && !is_vod_name("vod.m3u8"));
    }
}
