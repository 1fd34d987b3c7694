//! From a transcoder's disk to S3: what is put there, in which order, so that no playlist is ever
//! ahead of what it names.

pub mod job;
pub mod media_playlist;
pub mod names;
mod objects;
mod published;
pub mod publisher;
mod queue;
mod rendition;
pub mod vod;
pub mod window;
