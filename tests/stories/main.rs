//! The promises of `docs/behaviour.md`, each as a story: the real binary, the real SDK, an S3
//! across the wire. There is one test binary, so that it links once.

#![allow(clippy::too_many_lines, reason = "a test may be longer")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but not in what tests share"
)]

mod complete_lifecycle;
mod count_viewers;
mod dry_run;
mod fail_back;
mod fail_over;
mod house_rules;
mod prune_recording;
mod publish_live;
mod publish_playlist;
