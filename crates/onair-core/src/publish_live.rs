//! From a transcoder's disk to S3: what is put there, in which order, so that no playlist is ever
//! ahead of what it names.

mod document;
pub mod job;
pub mod names;
mod objects;
pub mod publisher;
mod queue;
mod rendition;
pub mod snapshot;
pub mod timeline;
pub mod vod;
