//! Parses one recording from its metadata, its entry playlists and its folders.

use super::metadata::{self, RecordingMetadata};
use super::removed::{self, RemovedRendition};
use super::{ENDED, ENTRY_PLAYLISTS, HLS, HeldReason, PlanError, STARTED, held};
use crate::playlist::{MultivariantPlaylist, Variant};
use percent_encoding::percent_decode_str;
use std::collections::{BTreeMap, BTreeSet};

/// The contents of a recording as they were read, before parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// `recording-started.json`, if it exists.
    pub started: Option<String>,
    /// The text of `recording-ended.json`.
    pub ended: String,
    /// The entry playlists that exist, by file name.
    pub playlists: BTreeMap<String, String>,
    /// The folders under `media/hls/`, without a slash.
    pub folders: BTreeSet<String>,
    /// Other playlists in the folder of the entry playlists, by file name.
    pub other_playlists: BTreeSet<String>,
    /// The user metadata [`removed::REMOVED`] of `recording-ended.json`.
    pub removed: String,
    /// Whether the bucket keeps versions.
    pub versioning: Versioning,
}

/// Whether a bucket keeps versions (S3 User Guide, "Deleting object versions").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versioning {
    /// The bucket never kept versions: a delete is permanent.
    #[default]
    Off,
    /// A delete adds a delete marker, which hides the object and frees no bytes.
    Enabled,
    /// The bucket once kept versions: a delete hides objects from that time, and deletes newer ones
    /// permanently.
    Suspended,
}

/// One rendition, merged from all sources that name it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendition {
    /// Its folder under `media/hls/`.
    pub name: String,
    /// In pixels. The first source that has a height: `recording-ended.json`, RESOLUTION, the list
    /// of removed renditions, `recording-started.json`, the name (`720p30`).
    pub height: Option<u64>,
    /// In thousandths of a frame per second, from FRAME-RATE or else from the name.
    pub frame_rate_milli: Option<u64>,
    /// The greatest BANDWIDTH of its variants.
    pub bandwidth_bps: Option<u64>,
    /// An entry playlist names it, so a viewer can play it.
    pub playable: bool,
    /// Its folder has objects.
    pub present: bool,
    /// The metadata `recording-ended.json` names it.
    pub listed: bool,
    /// An earlier run removed it, or was interrupted before it did.
    pub removed: bool,
}

impl Rendition {
    /// Whether a playlist or the metadata names it, or its folder has objects.
    pub fn exists(&self) -> bool {
        self.playable || self.present || self.listed
    }
}

/// The facts about one rendition, by source.
#[derive(Default)]
struct RenditionSources {
    ended_height: Option<u64>,
    playlist_height: Option<u64>,
    started_height: Option<u64>,
    removed: Option<RemovedRendition>,
    frame_rate_milli: Option<u64>,
    bandwidth_bps: Option<u64>,
    playable: bool,
    present: bool,
    listed: bool,
}

impl RenditionSources {
    fn add_variant(&mut self, variant: &Variant) {
        self.playable = true;
        self.playlist_height = variant.height.or(self.playlist_height);
        let frame_rate_milli = variant.frame_rate.and_then(milli);
        self.frame_rate_milli = frame_rate_milli.or(self.frame_rate_milli);
        self.bandwidth_bps = self.bandwidth_bps.max(Some(variant.bandwidth_bps));
    }

    fn into_rendition(self, name: String) -> Rendition {
        let (name_height, name_frame_rate_milli) = quality_in(&name).unzip();
        let removed_height = self.removed.as_ref().and_then(|removed| removed.height);
        Rendition {
            height: self
                .ended_height
                .or(self.playlist_height)
                .or(removed_height)
                .or(self.started_height)
                .or(name_height),
            frame_rate_milli: self.frame_rate_milli.or(name_frame_rate_milli.flatten()),
            bandwidth_bps: self.bandwidth_bps,
            playable: self.playable,
            present: self.present,
            listed: self.listed,
            removed: self.removed.is_some(),
            name,
        }
    }
}

/// A recording in which every URI of an entry playlist leads to a known place.
#[derive(Debug)]
pub struct ParsedRecording<'a> {
    /// The entry playlists, by file name.
    pub playlists: BTreeMap<&'a str, MultivariantPlaylist<'a>>,
    /// Every rendition that a source names, in order of name.
    pub renditions: Vec<Rendition>,
    known_folders: BTreeSet<String>,
}

impl<'a> ParsedRecording<'a> {
    /// Parses the contents of a recording.
    ///
    /// # Errors
    ///
    /// [`PlanError`] if the files do not show which objects belong to which rendition.
    pub fn parse(inventory: &'a Inventory) -> Result<Self, PlanError> {
        let ended = parse_ended(&inventory.ended)?;
        let Some(removed) = removed::read(&inventory.removed) else {
            let value = inventory.removed.clone();
            return held(HeldReason::InvalidRemovedList { value });
        };
        check_entry_playlists(&ended, inventory)?;
        let playlists = parse_playlists(inventory)?;

        let mut sources = sources_of_metadata(inventory, &ended, removed);
        let known_folders = sources.keys().chain(&inventory.folders).cloned().collect();
        let mut recording = Self {
            playlists,
            renditions: Vec::new(),
            known_folders,
        };
        recording.check_locations()?;
        recording.add_variants(&mut sources);
        // A folder that no source names is not a rendition and stays, whatever its name.
        for (name, sources) in &mut sources {
            sources.present = inventory.folders.contains(name);
        }
        let renditions = sources.into_iter();
        recording.renditions = renditions.map(|(name, s)| s.into_rendition(name)).collect();
        Ok(recording)
    }

    /// Checks every URI that is played, also of files that are not renditions: an unknown path
    /// could lead into a folder that is deleted.
    fn check_locations(&self) -> Result<(), PlanError> {
        for (file, playlist) in &self.playlists {
            let mut uris = playlist.playable_uris();
            if let Some(uri) = uris.find(|uri| self.locate(uri).is_none()) {
                return held(HeldReason::UnknownLocation {
                    path: format!("{HLS}{file}"),
                    uri: uri.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn add_variants(&self, sources: &mut BTreeMap<String, RenditionSources>) {
        for variant in self
            .playlists
            .values()
            .flat_map(MultivariantPlaylist::variants)
        {
            if let Some(location) = self.locate(&variant.uri) {
                let sources = sources.entry(location.folder).or_default();
                sources.add_variant(variant);
            }
        }
    }

    /// The file that a URI of an entry playlist names, if that is in a folder next to the playlist.
    ///
    /// A URI is percent-encoded, a key is not. A folder whose real name looks encoded is found by
    /// its name. If both spellings are folders, the URI is ambiguous and has no location.
    pub fn locate(&self, uri: &str) -> Option<Location> {
        let path = uri.split(['?', '#']).next().unwrap_or_default();
        let path = path.strip_prefix("./").unwrap_or(path);
        let decoded = percent_decode_str(path).decode_utf8().ok()?;
        let [raw, decoded] = [path, &decoded].map(Location::of);
        let is_known = |at: &Option<Location>| {
            at.as_ref()
                .is_some_and(|at| self.known_folders.contains(&at.folder))
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

/// Whether this is the name of one folder or file, and not a path.
fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/') && !name.chars().any(char::is_control)
}

/// Parses [`ENDED`] of a recording that ended well.
fn parse_ended(text: &str) -> Result<RecordingMetadata, PlanError> {
    let ended = parse_metadata(ENDED, text)?;
    if ended.recording_status != "RECORDING_ENDED" {
        return held(HeldReason::NotEnded {
            status: ended.recording_status,
        });
    }
    Ok(ended)
}

fn parse_metadata(path: &'static str, text: &str) -> Result<RecordingMetadata, PlanError> {
    let metadata = match metadata::parse(text) {
        Ok(metadata) => metadata,
        Err(error) => {
            let problem = error.to_string();
            return held(HeldReason::InvalidMetadata { path, problem });
        }
    };
    let hls = &metadata.media.hls;
    if hls.path.trim_end_matches('/') != HLS.trim_end_matches('/') {
        let folder = hls.path.clone();
        return held(HeldReason::PlaylistsElsewhere { path, folder });
    }
    match hls.renditions.iter().find(|r| !is_plain(&r.path)) {
        None => Ok(metadata),
        Some(rendition) => held(HeldReason::InvalidRenditionName {
            path,
            name: rendition.path.clone(),
        }),
    }
}

/// Checks that every entry playlist that the metadata names is known and exists.
fn check_entry_playlists(
    ended: &RecordingMetadata,
    inventory: &Inventory,
) -> Result<(), PlanError> {
    let hls = &ended.media.hls;
    for name in std::iter::once(&hls.playlist).chain(&hls.byte_range_playlist) {
        if !ENTRY_PLAYLISTS.contains(&name.as_str()) {
            let name = name.clone();
            return held(HeldReason::UnknownEntryPlaylist { name });
        }
        if !inventory.playlists.contains_key(name) {
            let path = format!("{HLS}{name}");
            return Err(PlanError::MissingFile { path });
        }
    }
    Ok(())
}

fn parse_playlists(
    inventory: &Inventory,
) -> Result<BTreeMap<&str, MultivariantPlaylist<'_>>, PlanError> {
    let mut playlists = BTreeMap::new();
    for (name, text) in &inventory.playlists {
        match MultivariantPlaylist::parse(text) {
            Ok(playlist) => playlists.insert(name.as_str(), playlist),
            Err(problem) => {
                let path = format!("{HLS}{name}");
                return held(HeldReason::InvalidPlaylist { path, problem });
            }
        };
    }
    Ok(playlists)
}

/// The facts about each rendition in the metadata files and in the list of removed renditions.
fn sources_of_metadata(
    inventory: &Inventory,
    ended: &RecordingMetadata,
    removed: Vec<RemovedRendition>,
) -> BTreeMap<String, RenditionSources> {
    let mut all: BTreeMap<String, RenditionSources> = BTreeMap::new();
    for rendition in removed {
        let sources = all.entry(rendition.name.clone()).or_default();
        sources.removed = Some(rendition);
    }
    // The start metadata only adds heights of existing folders. An invalid file is not an error.
    let started = inventory.started.as_ref();
    let started = started.and_then(|text| parse_metadata(STARTED, text).ok());
    let announced = started
        .iter()
        .flat_map(|started| &started.media.hls.renditions);
    for rendition in announced.filter(|r| inventory.folders.contains(&r.path)) {
        let sources = all.entry(rendition.path.clone()).or_default();
        sources.started_height = rendition.resolution_height;
    }
    for rendition in &ended.media.hls.renditions {
        let sources = all.entry(rendition.path.clone()).or_default();
        sources.ended_height = rendition.resolution_height;
        sources.listed = true;
    }
    all
}

/// Height and frame rate in a rendition's name: `720p60`, `1080p`, or `720p30-abc` from a real-time
/// stage.
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
    // The range check makes the conversion safe: it neither wraps nor loses the sign.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..1e6)
        .contains(&frame_rate)
        .then(|| (frame_rate * 1000.0).round() as u64)
}
