//! Recordings in the shape that IVS gives them, made for the tests.

use onair_core::prune_recording::plan::{Plan, Wish, plan};
use onair_core::prune_recording::recording::Inventory;
use onair_core::prune_recording::rule::Rule;
use onair_core::prune_recording::{ENDED, HLS, Refusal};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One rung: what a playlist and the metadata say of a rendition.
#[derive(Debug, Clone)]
pub(crate) struct Rung {
    pub(crate) name: String,
    pub(crate) height: u64,
    pub(crate) bandwidth_bps: u64,
    /// FRAME-RATE; IVS writes none.
    pub(crate) frame_rate: Option<f64>,
}

impl Rung {
    pub(crate) fn new(name: &str, height: u64, bandwidth_bps: u64) -> Self {
        Self { name: name.to_owned(), height, bandwidth_bps, frame_rate: None }
    }
}

/// Four renditions, as most channels have them.
pub(crate) fn usual() -> Vec<Rung> {
    vec![
        Rung::new("720p30", 720, 2_440_200),
        Rung::new("480p30", 480, 1_495_199),
        Rung::new("360p30", 360, 630_000),
        Rung::new("160p30", 160, 230_000),
    ]
}

/// An entry playlist as IVS writes it: a VIDEO group beside each variant, no newline at the end.
pub(crate) fn playlist(ladder: &[Rung], file: &str) -> String {
    let mut text =
        String::from("#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID=\"net.live-video.content.id\",VALUE=\"x\"");
    for Rung { name, height, bandwidth_bps, frame_rate } in ladder {
        let width = height * 16 / 9;
        let rate = frame_rate.map(|rate| format!(",FRAME-RATE={rate:.3}")).unwrap_or_default();
        text += &format!(
            "\n#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"{name}\",NAME=\"{height}p\",AUTOSELECT=YES,DEFAULT=YES\
             \n#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH={bandwidth_bps},CODECS=\"avc1.4D401F,mp4a.40.2\",\
             RESOLUTION={width}x{height},VIDEO=\"{name}\"{rate}\n{name}/{file}"
        );
    }
    text
}

/// `recording-started.json` or `recording-ended.json`.
pub(crate) fn metadata(ladder: &[Rung], status: &str) -> String {
    let renditions: Vec<Value> = ladder
        .iter()
        .map(|rung| json!({"path": rung.name, "playlist": "playlist.m3u8", "resolution_height": rung.height}))
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

/// A whole recording of these renditions.
pub(crate) fn recording(ladder: &[Rung]) -> Inventory {
    Inventory {
        started: Some(metadata(ladder, "RECORDING_STARTED")),
        ended: metadata(ladder, "RECORDING_ENDED"),
        playlists: BTreeMap::from([
            ("master.m3u8".to_owned(), playlist(ladder, "playlist.m3u8")),
            ("byte-range-multivariant.m3u8".to_owned(), playlist(ladder, "byte-range-variant.m3u8")),
        ]),
        folders: ladder.iter().map(|rung| rung.name.clone()).collect(),
        other_playlists: BTreeSet::new(),
        removed: String::new(),
    }
}

pub(crate) fn keep(list: &str) -> Wish {
    Wish { rule: Rule::Keep(list.parse().unwrap()), delete_thumbnails: false }
}

pub(crate) fn delete(list: &str) -> Wish {
    Wish { rule: Rule::Delete(list.parse().unwrap()), delete_thumbnails: false }
}

/// What the recording looks like when the first `rewrites` files are written and the renditions `gone` are
/// deleted.
pub(crate) fn after(inventory: &Inventory, plan: &Plan, rewrites: usize, gone: &[&str]) -> Inventory {
    let mut after = inventory.clone();
    for rewrite in plan.rewrites.iter().take(rewrites) {
        match rewrite.path.strip_prefix(HLS) {
            Some(file) => drop(after.playlists.insert(file.to_owned(), rewrite.text.clone())),
            None => {
                after.ended.clone_from(&rewrite.text);
                after.removed = rewrite.removed.clone().unwrap();
            }
        }
        assert!(rewrite.path.starts_with(HLS) || rewrite.path == ENDED);
    }
    after.folders.retain(|folder| !gone.contains(&folder.as_str()));
    after
}

pub(crate) fn why(inventory: &Inventory, wish: &Wish) -> String {
    match plan(inventory, wish) {
        Ok(plan) => panic!("not refused, but:\n{plan}"),
        Err(Refusal::Held(why)) => format!("held: {why}"),
        Err(Refusal::NotWhole(why)) => format!("not whole: {why}"),
    }
}
