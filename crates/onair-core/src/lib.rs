//! What On Air decides.
//!
//! Everything here is a pure function from what is there to what should be done: no SDK, no
//! runtime, no clock, no environment, no files, no network (`clippy.toml` beside this crate's
//! manifest refuses them). A module per function of the template, named after it, plus the nouns
//! that they share.

#![warn(missing_docs)]

pub mod complete_lifecycle;
pub mod count_viewers;
pub mod event;
pub mod fail_back;
pub mod fail_over;
pub mod held;
mod json;
pub mod metrics;
pub mod number;
pub mod pair;
pub mod playlist;
pub mod prune_recording;
pub mod publish_live;
pub mod publish_playlist;
