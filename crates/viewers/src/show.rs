use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::{Audience, DataPoint, Minute};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// A line for each stream and minute.
pub(crate) fn json(
    figures: &[DataPoint],
    rules: &CountingRules,
    out: &mut impl Write,
) -> io::Result<()> {
    for figure in figures {
        writeln!(out, "{}", figure.to_json(rules))?;
    }
    Ok(())
}

/// How long the longest bar is, in characters.
const WIDTH: u64 = 40;

/// A table with a bar for each figure, and then the peaks.
pub(crate) fn table(
    figures: &[DataPoint],
    audience: &Audience,
    rules: &CountingRules,
    out: &mut impl Write,
) -> io::Result<()> {
    let most = figures
        .iter()
        .map(|figure| figure.count.viewers)
        .max()
        .unwrap_or_default();
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["minute (UTC)", "stream", "viewers", ""]);
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut before: Option<Minute> = None;
    let mut figures_of = BTreeMap::<Minute, Vec<&DataPoint>>::new();
    figures
        .iter()
        .for_each(|figure| figures_of.entry(figure.minute).or_default().push(figure));
    for minute in audience.minutes() {
        if let Some(before) = before.filter(|before| before.plus(1) < minute) {
            let (first, last) = (before.plus(1), minute.plus(-1));
            let text = if first == last {
                at(first)
            } else {
                format!("{} to {}", at(first), at(last))
            };
            table.add_row([text.as_str(), "", "?", "no log"]);
        }
        before = Some(minute);
        for figure in figures_of.remove(&minute).unwrap_or_default() {
            table.add_row([
                at(minute),
                figure.stream.clone(),
                viewers(figure),
                bar(figure.count.viewers, most),
            ]);
        }
    }
    writeln!(out, "{}", table.trim_fmt())?;
    let mut peaks = BTreeMap::<&str, &DataPoint>::new();
    for figure in figures {
        let peak = peaks.entry(&figure.stream).or_insert(figure);
        if figure.count.viewers > peak.count.viewers {
            *peak = figure;
        }
    }
    for (stream, peak) in peaks {
        writeln!(
            out,
            "most of {stream}: {} at {}",
            viewers(peak),
            at(peak.minute)
        )?;
    }
    if figures.is_empty() {
        writeln!(out, "no viewer was counted")?;
    }
    write!(
        out,
        "key: {}, window: {} s; ~ is an estimate",
        rules.viewer_key.name(),
        rules.window_s
    )?;
    // A window of a minute looks at no other.
    let partial = if rules.minutes_before() > 0 {
        ", ≥ looks back at minutes without a log"
    } else {
        ""
    };
    writeln!(out, "{partial}")
}

/// How many, and how sure that is.
fn viewers(
    DataPoint {
        count, is_partial, ..
    }: &DataPoint,
) -> String {
    let at_least = if *is_partial { "≥" } else { "" };
    let about = if count.exact { "" } else { "~" };
    format!("{at_least}{about}{}", count.viewers)
}

/// `2026-11-21 21:13`
fn at(minute: Minute) -> String {
    minute
        .iso8601()
        .replace('T', " ")
        .trim_end_matches(":00Z")
        .to_owned()
}

/// Eighths of a character, as far as the viewers are of the most.
fn bar(viewers: u64, most: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = u128::from(viewers) * u128::from(WIDTH * 8) / u128::from(most.max(1));
    let (full, part) = (eighths / 8, eighths % 8);
    let full = usize::try_from(full).unwrap_or_default();
    let part = usize::try_from(part)
        .ok()
        .and_then(|part| EIGHTHS.get(part))
        .unwrap_or(&"");
    format!("{}{part}", "█".repeat(full))
}
