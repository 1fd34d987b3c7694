//! Decides which object of a live stream is uploaded next. A visible playlist never names an object
//! that is not stored.
//!
//! Modules import each other in one direction: [`names`], [`media_playlist`], [`window`],
//! `objects`, `published`, [`vod`], `rendition`, [`publisher`].

pub mod job;
pub mod media_playlist;
pub mod names;
mod objects;
mod published;
pub mod publisher;
mod rendition;
pub mod vod;
pub mod window;
