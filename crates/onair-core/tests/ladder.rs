//! Recordings for the tests, in the form in which IVS writes them.

use onair_core::prune_recording::PlanError;
use onair_core::prune_recording::plan::{PrunePlan, RetentionPolicy, Rewrite, Versions, plan};
use onair_core::prune_recording::recording::{Inventory, Versioning};
use onair_core::prune_recording::rule::Rule;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One rung of a ladder: a rendition in a playlist and in the metadata.
#[derive(Debug, Clone)]
pub(crate) struct Rung {
    pub(crate) name: String,
    /// `None` for audio only: such a rendition has neither RESOLUTION nor `resolution_height`.
    pub(crate) height: Option<u64>,
    pub(crate) bandwidth_bps: u64,
    /// FRAME-RATE. IVS writes none.
    pub(crate) frame_rate: Option<f64>,
    /// The folder of its alternative audio, if that is an EXT-X-MEDIA with a URI. IVS writes none.
    pub(crate) audio: Option<String>,
}

impl Rung {
    pub(crate) fn new(name: &str, height: u64, bandwidth_bps: u64) -> Self {
        Self {
            name: name.to_owned(),
            height: Some(height),
            bandwidth_bps,
            frame_rate: None,
            audio: None,
        }
    }
}

/// The four renditions of most channels.
pub(crate) fn usual() -> Vec<Rung> {
    vec![
        Rung::new("720p30", 720, 2_440_200),
        Rung::new("480p30", 480, 1_495_199),
        Rung::new("360p30", 360, 630_000),
        Rung::new("160p30", 160, 230_000),
    ]
}

/// An entry playlist as IVS writes it: a VIDEO group before each variant, no newline at the end.
pub(crate) fn playlist(ladder: &[Rung], file: &str) -> String {
    let mut text = String::from(
        "#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID=\"net.live-video.content.id\",VALUE=\"x\"",
    );
    let mut audio_groups = BTreeSet::new();
    for Rung {
        name,
        height,
        bandwidth_bps,
        frame_rate,
        audio,
    } in ladder
    {
        if let Some(folder) = audio.as_ref().filter(|folder| audio_groups.insert(*folder)) {
            text += &format!(
                "\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{folder}\",NAME=\"English\",URI=\"{folder}/{file}\""
            );
        }
        let size = height.map(|height| format!(",RESOLUTION={}x{height}", height * 16 / 9));
        let rate = frame_rate.map(|rate| format!(",FRAME-RATE={rate:.3}"));
        let label = height.map_or_else(|| name.clone(), |height| format!("{height}p"));
        let audio = audio.as_ref().map(|folder| format!(",AUDIO=\"{folder}\""));
        let more = [size, Some(format!(",VIDEO=\"{name}\"")), rate, audio];
        text += &format!(
            "\n#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"{name}\",NAME=\"{label}\",AUTOSELECT=YES,DEFAULT=YES\
             \n#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH={bandwidth_bps},CODECS=\"avc1.4D401F,mp4a.40.2\"{}\
             \n{name}/{file}",
            more.into_iter().flatten().collect::<String>()
        );
    }
    text
}

/// `recording-started.json` or `recording-ended.json`.
pub(crate) fn metadata(ladder: &[Rung], status: &str) -> String {
    let renditions: Vec<Value> = ladder
        .iter()
        .map(|rung| match rung.height {
            Some(height) => {
                json!({"path": rung.name, "playlist": "playlist.m3u8", "resolution_height": height})
            }
            None => json!({"path": rung.name, "playlist": "playlist.m3u8"}),
        })
        .collect();
    json!({
        "version": "v1",
        "recording_status": status,
        "media": {
            "hls": {"path": "media/hls", "playlist": "master.m3u8",
                    "byte_range_playlist": "byte-range-multivariant.m3u8", "renditions": renditions},
            "thumbnails": {"path": "media/thumbnails"},
        },
    })
    .to_string()
}

/// A complete recording of these renditions.
pub(crate) fn recording(ladder: &[Rung]) -> Inventory {
    Inventory {
        started: Some(metadata(ladder, "RECORDING_STARTED")),
        ended: metadata(ladder, "RECORDING_ENDED"),
        playlists: BTreeMap::from([
            ("master.m3u8".to_owned(), playlist(ladder, "playlist.m3u8")),
            (
                "byte-range-multivariant.m3u8".to_owned(),
                playlist(ladder, "byte-range-variant.m3u8"),
            ),
        ]),
        folders: ladder
            .iter()
            .map(|rung| &rung.name)
            .chain(ladder.iter().flat_map(|rung| &rung.audio))
            .cloned()
            .collect(),
        other_playlists: BTreeSet::new(),
        removed: String::new(),
        versioning: Versioning::Off,
    }
}

pub(crate) fn keep(list: &str) -> RetentionPolicy {
    RetentionPolicy {
        rule: Rule::Keep(list.parse().unwrap()),
        delete_thumbnails: false,
        versions: Versions::Current,
    }
}

pub(crate) fn delete(list: &str) -> RetentionPolicy {
    RetentionPolicy {
        rule: Rule::Delete(list.parse().unwrap()),
        delete_thumbnails: false,
        versions: Versions::Current,
    }
}

/// The recording when the first `rewrites` files are written and the renditions `deleted` are
/// deleted.
pub(crate) fn after(
    inventory: &Inventory,
    plan: &PrunePlan,
    rewrites: usize,
    deleted: &[&str],
) -> Inventory {
    let written = plan.rewrites.iter().take(rewrites);
    with(inventory, written, |folder| deleted.contains(&folder))
}

/// The recording when these files are written and the folders for which `is_deleted` is true are
/// deleted.
pub(crate) fn with<'a>(
    inventory: &Inventory,
    written: impl IntoIterator<Item = &'a Rewrite>,
    is_deleted: impl Fn(&str) -> bool,
) -> Inventory {
    let mut after = inventory.clone();
    for rewrite in written {
        match rewrite {
            Rewrite::Playlist { file, text } => {
                after.playlists.insert(file.clone(), text.clone());
            }
            Rewrite::Metadata { text, removed } => {
                after.ended.clone_from(text);
                after.removed.clone_from(removed);
            }
        }
    }
    after.folders.retain(|folder| !is_deleted(folder));
    after
}

pub(crate) fn why(inventory: &Inventory, policy: &RetentionPolicy) -> String {
    match plan(inventory, policy) {
        Ok(plan) => panic!("not refused, but:\n{plan}"),
        Err(PlanError::Held(reason)) => format!("held: {reason}"),
        Err(missing @ PlanError::MissingFile { .. }) => format!("missing: {missing}"),
    }
}
