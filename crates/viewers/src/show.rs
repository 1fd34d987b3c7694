use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::{Audience, DataPoint, Minute};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Prints one line per data point.
pub(crate) fn json(
    points: &[DataPoint],
    rules: &CountingRules,
    out: &mut impl Write,
) -> io::Result<()> {
    for point in points {
        writeln!(out, "{}", point.to_json(rules))?;
    }
    Ok(())
}

/// The length of the longest bar, in characters.
const BAR_WIDTH: u64 = 40;

/// Prints a table with a bar for each data point, then the peak of each stream and a legend.
pub(crate) fn table(
    points: &[DataPoint],
    audience: &Audience,
    rules: &CountingRules,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "{}", rows(points, audience).trim_fmt())?;
    for (stream, peak) in peaks(points) {
        let (viewers, minute) = (viewers(peak), utc(peak.minute));
        writeln!(out, "peak of {stream}: {viewers} at {minute}")?;
    }
    if points.is_empty() {
        writeln!(out, "no viewer was counted")?;
    }
    // A window of one minute is never partial.
    let partial = if rules.minutes_before() > 0 {
        ", ≥ is a minimum (a minute of the window has no log)"
    } else {
        ""
    };
    let key = rules.viewer_key.name();
    let window_s = rules.window_s;
    writeln!(
        out,
        "key: {key}, window: {window_s} s; ~ is an estimate{partial}"
    )
}

fn rows(points: &[DataPoint], audience: &Audience) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["minute (UTC)", "stream", "viewers", ""]);
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let max = points.iter().map(|point| point.count.viewers).max();
    let mut by_minute = BTreeMap::<Minute, Vec<&DataPoint>>::new();
    for point in points {
        by_minute.entry(point.minute).or_default().push(point);
    }
    let mut previous: Option<Minute> = None;
    for minute in audience.minutes() {
        if let Some(gap) = previous.and_then(|previous| gap(previous, minute)) {
            table.add_row([gap.as_str(), "", "?", "no log"]);
        }
        previous = Some(minute);
        for point in by_minute.remove(&minute).unwrap_or_default() {
            table.add_row([
                utc(minute),
                point.stream.clone(),
                viewers(point),
                bar(point.count.viewers, max.unwrap_or_default()),
            ]);
        }
    }
    table
}

/// The minutes between two minutes, if there are any.
fn gap(previous: Minute, minute: Minute) -> Option<String> {
    let (first, last) = (previous.plus(1), minute.plus(-1));
    match first.cmp(&last) {
        std::cmp::Ordering::Less => Some(format!("{} to {}", utc(first), utc(last))),
        std::cmp::Ordering::Equal => Some(utc(first)),
        std::cmp::Ordering::Greater => None,
    }
}

/// The first of the greatest data points of each stream.
fn peaks(points: &[DataPoint]) -> BTreeMap<&str, &DataPoint> {
    let mut peaks = BTreeMap::<&str, &DataPoint>::new();
    for point in points {
        let peak = peaks.entry(&point.stream).or_insert(point);
        if point.count.viewers > peak.count.viewers {
            *peak = point;
        }
    }
    peaks
}

/// The number of viewers, with a sign if it is not exact or not complete.
fn viewers(point: &DataPoint) -> String {
    let at_least = if point.is_partial { "≥" } else { "" };
    let about = if point.count.exact { "" } else { "~" };
    format!("{at_least}{about}{}", point.count.viewers)
}

/// `2026-11-21 21:13`
fn utc(minute: Minute) -> String {
    minute
        .iso8601()
        .replace('T', " ")
        .trim_end_matches(":00Z")
        .to_owned()
}

/// A bar in eighths of a character. `max` viewers have the full width.
fn bar(viewers: u64, max: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = u128::from(viewers) * u128::from(BAR_WIDTH * 8) / u128::from(max.max(1));
    let (full, part) = (eighths / 8, eighths % 8);
    let full = usize::try_from(full).unwrap_or_default();
    let part = usize::try_from(part)
        .ok()
        .and_then(|part| EIGHTHS.get(part))
        .unwrap_or(&"");
    format!("{}{part}", "█".repeat(full))
}
