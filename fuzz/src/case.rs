//! A recording and a retention policy as one text, so that seeds are readable and mutations stay
//! valid.

use onair_core::prune_recording::plan::{RetentionPolicy, Versions};
use onair_core::prune_recording::recording::{Inventory, Versioning};
use onair_core::prune_recording::removed::REMOVED;
use onair_core::prune_recording::rule::Rule;
use onair_core::prune_recording::{ENDED, ENTRY_PLAYLISTS, HLS, STARTED};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Case {
    pub(crate) inventory: Inventory,
    pub(crate) policy: RetentionPolicy,
}

impl Case {
    /// Parses sections that each begin with a line `== name`: the settings, the folders under
    /// `media/hls/` (one per line), the user metadata of `recording-ended.json`, and the files by
    /// their paths in the recording. `None` if the settings are not a valid rule.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut inventory = Inventory {
            started: None,
            ended: String::new(),
            playlists: BTreeMap::new(),
            folders: BTreeSet::new(),
            other_playlists: BTreeSet::new(),
            removed: String::new(),
            versioning: Versioning::Off,
        };
        let mut policy = None;
        for section in text.strip_prefix("== ")?.split("\n== ") {
            let (name, body) = section.split_once('\n').unwrap_or((section, ""));
            match name {
                "settings" => policy = parse_policy(body),
                // S3 groups keys by the slash, so the name of a folder has none.
                "folders" => {
                    inventory.folders = body.split(['\n', '/']).map(str::to_owned).collect();
                }
                REMOVED => body.clone_into(&mut inventory.removed),
                STARTED => inventory.started = Some(body.to_owned()),
                ENDED => body.clone_into(&mut inventory.ended),
                path => {
                    let Some(file) = path.strip_prefix(HLS) else {
                        continue;
                    };
                    if ENTRY_PLAYLISTS.contains(&file) {
                        inventory.playlists.insert(file.to_owned(), body.to_owned());
                    } else {
                        inventory.other_playlists.insert(file.to_owned());
                    }
                }
            }
        }
        Some(Self {
            inventory,
            policy: policy?,
        })
    }
}

fn parse_policy(settings: &str) -> Option<RetentionPolicy> {
    let of = |name: &str| {
        settings
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let rule = match (of("KEEP_RENDITIONS"), of("DELETE_RENDITIONS")) {
        (Some(keep), _) => Rule::Keep(keep.parse().ok()?),
        (None, delete) => Rule::Delete(delete?.parse().ok()?),
    };
    Some(RetentionPolicy {
        rule,
        delete_thumbnails: of("THUMBNAILS") == Some("delete"),
        versions: Versions::Current,
    })
}
