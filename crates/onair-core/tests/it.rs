//! The core's rules as tables, snapshots and properties. One test binary: it links once.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

mod ladder;
mod lifecycle_orders;
mod lifecycle_rules;
mod live_orders;
mod live_rules;
mod orders;
mod pair_builder;
mod pair_failures;
mod pair_orders;
mod pair_rules;
mod pair_runs;
mod pair_world;
mod playlists;
mod prune_plans;
mod prune_properties;
mod viewers_logs;
