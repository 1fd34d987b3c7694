//! The decisions of On Air.
//!
//! Everything here is a pure function from observed facts to a decision. There is no SDK, runtime,
//! clock, environment, file or network: `clippy.toml` beside this crate's manifest forbids them.
//! Each function of the template has a module of the same name. The other modules are shared.

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
