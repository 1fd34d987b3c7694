//! Times as AWS and HLS write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::{Timestamp, TimestampFormat};

/// ISO 8601 in UTC with milliseconds.
pub(crate) fn iso8601(at: SystemTime) -> String {
    let mut text = Vec::new();
    // Formatting fails only for years after 9999.
    let _ = Timestamp::from(at).format(TimestampFormat::DateTime, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Parses what [`iso8601`] writes, with or without milliseconds.
pub(crate) fn from_iso8601(text: &str) -> Option<SystemTime> {
    let mut seconds = Vec::new();
    let parsed = Timestamp::parse(TimestampFormat::DateTime, text).ok()?;
    parsed
        .format(TimestampFormat::EpochSeconds, &mut seconds)
        .ok()?;
    let seconds = String::from_utf8(seconds).ok()?.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
