//! What is there: one recording, understood from its metadata, its entry playlists and its folders.

use super::metadata::{self, Metadata};
use super::removed::{self, REMOVED, Removed};
use super::{ENDED, ENTRY_PLAYLISTS, HLS, Refusal, STARTED, held};
use crate::playlist::MultivariantPlaylist;
use percent_encoding::percent_decode_str;
use std::collections::{BTreeMap, BTreeSet};

/// What was read of a recording, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// `recording-started.json`, if it is there.
    pub started: Option<String>,
    /// `recording-ended.json`
    pub ended: String,
    /// The entry playlists that are there, by file name.
    pub playlists: BTreeMap<String, String>,
    /// The folders under `media/hls/`, without a slash.
    pub folders: BTreeSet<String>,
    /// Other playlists beside the entry playlists, by file name.
    pub other_playlists: BTreeSet<String>,
    /// The user metadata [`REMOVED`] of `recording-ended.json`.
    pub removed: String,
}

/// One rendition, from all that names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendition {
    /// Its folder under `media/hls/`.
    pub name: String,
    /// In pixels: `recording-ended.json` first, then RESOLUTION, then what an earlier run wrote
    /// down, then `recording-started.json`, then the name (`720p30`).
    pub height: Option<u64>,
    /// In thousandths of a frame per second: FRAME-RATE first, then the name.
    pub frame_rate_milli: Option<u64>,
    /// The greatest BANDWIDTH of its variants.
    pub bandwidth_bps: Option<u64>,
    /// An entry playlist names it: a viewer can get it.
    pub playable: bool,
    /// There is a folder with something in it.
    pub present: bool,
    /// `recording-ended.json` names it.
    pub listed: bool,
    /// An earlier run removed it, or was about to.
    pub removed: bool,
}

impl Rendition {
    /// Whether anything of it is left.
    pub fn exists(&self) -> bool {
        self.playable || self.present || self.listed
    }
}

/// What the sources say of one rendition, before they are weighed.
#[derive(Default)]
struct RenditionSources {
    ended_height: Option<u64>,
    playlist_height: Option<u64>,
    started_height: Option<u64>,
    removed: Option<Removed>,
    frame_rate_milli: Option<u64>,
    bandwidth_bps: Option<u64>,
    playable: bool,
    present: bool,
    listed: bool,
}

impl RenditionSources {
    fn rendition(self, name: String) -> Rendition {
        let (height, frame_rate_milli) = quality_in(&name).unzip();
        Rendition {
            height: self
                .ended_height
                .or(self.playlist_height)
                .or(self.removed.as_ref().and_then(|removed| removed.height))
                .or(self.started_height)
                .or(height),
            frame_rate_milli: self.frame_rate_milli.or(frame_rate_milli.flatten()),
            bandwidth_bps: self.bandwidth_bps,
            playable: self.playable,
            present: self.present,
            listed: self.listed,
            removed: self.removed.is_some(),
            name,
        }
    }
}

/// A recording that makes sense.
#[derive(Debug)]
pub struct Recording<'a> {
    /// The entry playlists, by file name.
    pub playlists: BTreeMap<&'a str, MultivariantPlaylist<'a>>,
    /// Every rendition that anything names, in order of name.
    pub renditions: Vec<Rendition>,
    known: BTreeSet<String>,
}

impl<'a> Recording<'a> {
    /// Understands what was read, or says why that is not possible.
    ///
    /// # Errors
    ///
    /// Whatever leaves a doubt which objects belong to which rendition.
    pub fn parse(inventory: &'a Inventory) -> Result<Self, Refusal> {
        let ended = parse_metadata(ENDED, &inventory.ended)?;
        if ended.recording_status != "RECORDING_ENDED" {
            return held(format!(
                "{ENDED} says {:?}, not RECORDING_ENDED",
                ended.recording_status
            ));
        }
        // It only adds what is known of folders that are there, so a broken one is as good as none.
        let started = inventory
            .started
            .as_ref()
            .and_then(|text| parse_metadata(STARTED, text).ok());
        let Some(removed) = removed::read(&inventory.removed) else {
            return held(format!(
                "the metadata {REMOVED} of {ENDED} cannot be understood: {:?}",
                inventory.removed
            ));
        };
        for name in
            std::iter::once(&ended.media.hls.playlist).chain(&ended.media.hls.byte_range_playlist)
        {
            if !ENTRY_PLAYLISTS.contains(&name.as_str()) {
                return held(format!(
                    "{ENDED} names the entry playlist {name:?}, which is none of {ENTRY_PLAYLISTS:?}"
                ));
            }
            if !inventory.playlists.contains_key(name) {
                return Err(Refusal::NotWhole(format!(
                    "{HLS}{name} is not there, though {ENDED} names it"
                )));
            }
        }
        let mut playlists = BTreeMap::new();
        for (name, text) in &inventory.playlists {
            match MultivariantPlaylist::parse(text) {
                Ok(playlist) => playlists.insert(name.as_str(), playlist),
                Err(error) => return held(format!("{HLS}{name} cannot be understood: {error}")),
            };
        }

        let mut found: BTreeMap<String, RenditionSources> = BTreeMap::new();
        for rendition in removed {
            let sources = found.entry(rendition.name.clone()).or_default();
            sources.removed = Some(rendition);
        }
        let expected = started
            .iter()
            .flat_map(|started| &started.media.hls.renditions);
        for metadata in expected.filter(|rendition| inventory.folders.contains(&rendition.path)) {
            found
                .entry(metadata.path.clone())
                .or_default()
                .started_height = metadata.resolution_height;
        }
        for metadata in &ended.media.hls.renditions {
            let sources = found.entry(metadata.path.clone()).or_default();
            sources.ended_height = metadata.resolution_height;
            sources.listed = true;
        }
        let known = found.keys().chain(&inventory.folders).cloned().collect();
        let mut recording = Self {
            playlists,
            renditions: Vec::new(),
            known,
        };

        for (file, playlist) in &recording.playlists {
            // Also of what is no rendition: by a way that is not understood it may lead into one
            // that goes.
            if let Some(uri) = playlist
                .playable_uris()
                .find(|uri| recording.locate(uri).is_none())
            {
                return held(format!(
                    "{HLS}{file} names {uri:?}, which is no file in a folder beside it"
                ));
            }
            for variant in playlist.variants() {
                let Some(location) = recording.locate(&variant.uri) else {
                    continue;
                };
                let sources = found.entry(location.folder).or_default();
                sources.playable = true;
                sources.playlist_height = variant.height.or(sources.playlist_height);
                sources.frame_rate_milli = variant
                    .frame_rate
                    .and_then(milli)
                    .or(sources.frame_rate_milli);
                sources.bandwidth_bps = sources.bandwidth_bps.max(Some(variant.bandwidth_bps));
            }
        }
        // A folder that nothing names and no run removed is somebody else's, whatever it is called:
        // it stays.
        for (name, sources) in &mut found {
            sources.present = inventory.folders.contains(name);
        }
        recording.renditions = found
            .into_iter()
            .map(|(name, sources)| sources.rendition(name))
            .collect();
        Ok(recording)
    }

    /// Where a URI of an entry playlist points to, if that is a file in a folder beside the
    /// playlist.
    ///
    /// A URI is percent-encoded, a key is not; a folder whose real name looks encoded is found by
    /// its name, and one that could be either is not found at all.
    pub fn locate(&self, uri: &str) -> Option<Location> {
        let path = uri.split(['?', '#']).next().unwrap_or_default();
        let path = path.strip_prefix("./").unwrap_or(path);
        let decoded = percent_decode_str(path).decode_utf8().ok()?;
        let [raw, decoded] = [path, &decoded].map(Location::of);
        let is_known = |at: &Option<Location>| {
            at.as_ref()
                .is_some_and(|at| self.known.contains(&at.folder))
        };
        match (is_known(&raw), is_known(&decoded)) {
            (true, true) if raw != decoded => None,
            (true, _) => raw,
            (false, _) => decoded,
        }
    }
}

/// A file below `media/hls/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The first folder of the path: the rendition's name.
    pub folder: String,
    /// The whole path, relative to `media/hls/`.
    pub path: String,
}

impl Location {
    fn of(path: &str) -> Option<Self> {
        let (folder, file) = path.split_once('/')?;
        let plain = path.split('/').all(is_plain) && !folder.contains(':') && !file.is_empty();
        plain.then(|| Self {
            folder: folder.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// Whether this is the name of one folder or file, and not a way to another.
fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/') && !name.chars().any(char::is_control)
}

fn parse_metadata(file: &str, text: &str) -> Result<Metadata, Refusal> {
    let metadata = match metadata::parse(text) {
        Ok(metadata) => metadata,
        Err(error) => return held(format!("{file} cannot be understood: {error}")),
    };
    if metadata.media.hls.path.trim_end_matches('/') != HLS.trim_end_matches('/') {
        return held(format!(
            "{file} puts the playlists into {:?} and not into {HLS}",
            metadata.media.hls.path
        ));
    }
    match metadata
        .media
        .hls
        .renditions
        .iter()
        .find(|rendition| !is_plain(&rendition.path))
    {
        Some(rendition) => held(format!(
            "{file} names a rendition {:?}, which is not one folder",
            rendition.path
        )),
        None => Ok(metadata),
    }
}

/// Height and frame rate that a rendition's name states: `720p60`, `1080p`, or `720p30-abc` as
/// real-time stages have it.
fn quality_in(name: &str) -> Option<(u64, Option<u64>)> {
    let (height, rest) = name.split_once('p')?;
    let rate = rest.split('-').next().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(height) || !digits(rate) {
        return None;
    }
    let rate_milli = rate.parse().ok().map(|rate: u64| rate.saturating_mul(1000));
    Some((height.parse().ok()?, rate_milli))
}

fn milli(frame_rate: f64) -> Option<u64> {
    // In range by the check, so the conversion neither wraps nor loses the sign.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..1e6)
        .contains(&frame_rate)
        .then(|| (frame_rate * 1000.0).round() as u64)
}
