//! Counts concurrent viewers per stream and minute, from access logs.
//!
//! A viewer is present from their first request for a playlist or a segment until the window has
//! passed without another request. The data point of a minute is the number of viewers who are
//! present at its end. These are the viewers with a request in the window that ends there. With a
//! window of 60 s, these are the distinct viewers in the lines of the minute. With a window of two
//! minutes, they are the union of two minutes.
//!
//! One set of viewers per minute and stream is therefore all that is stored. Sets of the same
//! minute from several hosts, files and runs are merged. Merging is a union, so it is idempotent:
//! a second merge of the same set changes nothing.
//!
//! The modules import each other in one direction. `line` and `stream` read one line, `viewer_key`
//! identifies its viewer, and `rules` combines the three. `audience` counts, `log` reads a whole
//! log into an audience, and `stored_minute` stores one.

pub mod audience;
pub mod event;
pub mod line;
pub mod log;
mod rules;
pub mod stored_minute;
pub mod stream;
mod time;
pub mod viewer_key;
pub mod viewer_set;

pub use rules::CountingRules;
