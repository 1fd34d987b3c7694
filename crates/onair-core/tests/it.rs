//! The core's rules as tables, snapshots and properties. One test binary: it links once.

mod ladder;
mod playlists;
mod prune_plans;
mod prune_properties;
