//! Prints the demo: text, tables, diffs, JSON and checks, at most [`WIDTH`] columns wide.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde_json::Value;
use similar::TextDiff;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

const WIDTH: usize = 100;
/// The beginning of every line that is not a heading.
const INDENT: &str = "  ";
/// Unchanged lines around a change in a diff.
const DIFF_CONTEXT: usize = 2;
/// The number of contradictions that a failed check prints.
const SHOWN_CONTRADICTIONS: usize = 3;

/// The style of a line, as an escape sequence (ECMA-48, 8.3.117).
#[derive(Clone, Copy)]
enum Style {
    Plain,
    Bold,
    Red,
    Green,
}

/// Prints the demo on standard output and counts the checks.
pub(crate) struct Narrator {
    colour: bool,
    /// The first error of printing. The demo continues after it.
    printed: io::Result<()>,
    checks: usize,
    failed_checks: usize,
}

impl Narrator {
    /// Uses colours only on a terminal: see <https://no-color.org>.
    pub(crate) fn on_stdout() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = io::stdout().is_terminal() && !no_color;
        Self {
            colour,
            printed: Ok(()),
            checks: 0,
            failed_checks: 0,
        }
    }

    /// Prints the title of a chapter or step.
    pub(crate) fn heading(&mut self, text: &str) {
        self.line("", Style::Plain);
        self.line(text, Style::Bold);
    }

    /// Prints text, wrapped at the width.
    pub(crate) fn explain(&mut self, text: &str) {
        self.indented(&wrap(text, WIDTH - INDENT.len()).join("\n"));
    }

    /// Prints text with its own lines. A line that is too long loses its middle.
    pub(crate) fn show(&mut self, text: &str) {
        let inner = format!("{INDENT}{text}").replace('\n', &format!("\n{INDENT}"));
        self.indented(&inner);
    }

    /// Prints a table of names and figures.
    pub(crate) fn table<const N: usize>(
        &mut self,
        head: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let mut table = Table::new();
        let rule = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
        table.load_style(rule).set_header(head).add_rows(rows);
        table.column_iter_mut().skip(1).for_each(|column| {
            column.set_cell_alignment(CellAlignment::Right);
        });
        let lines: Vec<String> = table.lines().collect();
        self.indented(&lines.join("\n"));
    }

    /// Prints the difference of two versions of a file.
    pub(crate) fn diff(&mut self, before: (&str, &str), after: (&str, &str)) {
        let diff = TextDiff::from_lines(before.1, after.1);
        // IVS writes no newline at the end of its playlists. A hint about that would only confuse.
        let mut diff = diff.unified_diff();
        diff.header(before.0, after.0)
            .context_radius(DIFF_CONTEXT)
            .missing_newline_hint(false);
        let diff = diff.to_string();
        for line in diff.lines() {
            let style = match line.as_bytes() {
                [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => Style::Bold,
                [b'-', ..] => Style::Red,
                [b'+', ..] => Style::Green,
                _ => Style::Plain,
            };
            self.line(&format!("{INDENT}{INDENT}{line}"), style);
        }
    }

    /// Prints the result of a check. It passed if there is no contradiction.
    pub(crate) fn check(
        &mut self,
        expected: &str,
        contradictions: impl IntoIterator<Item = String>,
    ) {
        let contradictions: Vec<String> = contradictions.into_iter().collect();
        let (mark, style) = if contradictions.is_empty() {
            ('✓', Style::Green)
        } else {
            ('✗', Style::Red)
        };
        self.checks += 1;
        self.failed_checks += usize::from(!contradictions.is_empty());
        self.line(&format!("{INDENT}{mark} {expected}"), style);
        let more = contradictions.len().saturating_sub(SHOWN_CONTRADICTIONS);
        for contradiction in contradictions.iter().take(SHOWN_CONTRADICTIONS) {
            self.show(&format!("- {contradiction}"));
        }
        if more > 0 {
            self.show(&format!("- and {more} more"));
        }
    }

    /// Whether every check so far passed.
    pub(crate) fn passed(&self) -> bool {
        self.failed_checks == 0
    }

    /// Prints the result of the demo, and returns whether every check passed.
    pub(crate) fn end(mut self) -> anyhow::Result<bool> {
        let passed = self.passed();
        let (verdict, style) = if passed {
            (format!("✓ all {} checks passed", self.checks), Style::Green)
        } else {
            (
                format!("✗ {} of {} checks failed", self.failed_checks, self.checks),
                Style::Red,
            )
        };
        self.line(&format!("{INDENT}{verdict}"), style);
        self.printed
            .map_err(|error| anyhow::Error::new(error).context("the demo could not be printed"))?;
        Ok(passed)
    }

    fn indented(&mut self, text: &str) {
        for line in text.lines() {
            self.line(&format!("{INDENT}{line}"), Style::Plain);
        }
    }

    fn line(&mut self, text: &str, style: Style) {
        let text = fit(text.trim_end(), WIDTH);
        let line = match style {
            Style::Bold if self.colour => format!("\x1b[1m{text}\x1b[0m"),
            Style::Red if self.colour => format!("\x1b[31m{text}\x1b[0m"),
            Style::Green if self.colour => format!("\x1b[32m{text}\x1b[0m"),
            Style::Plain | Style::Bold | Style::Red | Style::Green => text,
        };
        if self.printed.is_ok() {
            self.printed = writeln!(io::stdout(), "{line}");
        }
    }
}

/// The text in lines of at most `width` columns, unless a word is longer.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The line, or its beginning and its end with `…` between them.
fn fit(line: &str, width: usize) -> String {
    let columns = line.chars().count();
    if columns <= width {
        return line.to_owned();
    }
    let head = width / 2;
    let tail = columns - (width - head - 1);
    line.chars()
        .take(head)
        .chain(['…'])
        .chain(line.chars().skip(tail))
        .collect()
}

/// JSON with one line for every value that fits into it, in the original order.
pub(crate) fn pretty(value: &Value) -> String {
    pretty_within(value, WIDTH - 2 * INDENT.len())
}

fn pretty_within(value: &Value, width: usize) -> String {
    let one_line = flat(value);
    if one_line.chars().count() <= width {
        return one_line;
    }
    let inner = width.saturating_sub(INDENT.len());
    let (open, close, lines): (_, _, Vec<String>) = match value {
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                let key = format!("{}: ", Value::from(key.as_str()));
                let value =
                    pretty_within(value, inner.saturating_sub(key.chars().count() + ",".len()));
                format!("{key}{value}")
            };
            ('{', '}', fields.iter().map(field).collect())
        }
        Value::Array(items) => (
            '[',
            ']',
            items
                .iter()
                .map(|item| pretty_within(item, inner.saturating_sub(",".len())))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return one_line,
    };
    let lines = lines
        .iter()
        .map(|line| format!("{INDENT}{}", line.replace('\n', &format!("\n{INDENT}"))));
    format!("{open}\n{}\n{close}", lines.collect::<Vec<_>>().join(",\n"))
}

fn flat(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), flat(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(flat).collect::<Vec<_>>().join(", ")
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// `5013` as `5,013`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let grouped = digits.bytes().enumerate().flat_map(|(at, digit)| {
        let comma = (at > 0 && (digits.len() - at).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([char::from(digit)])
    });
    grouped.collect()
}

/// A size in a unit that is easy to read.
pub(crate) fn size(size_bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units
        .into_iter()
        .find(|(unit_bytes, _)| size_bytes >= *unit_bytes)
    {
        Some((unit_bytes, unit)) => {
            let hundredths = (size_bytes + unit_bytes / 200) / (unit_bytes / 100);
            format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100)
        }
        None => format!("{size_bytes} B"),
    }
}

/// The contradiction to an expected outcome, if there is one.
pub(crate) fn outcome_is_not(expected: &str, answer: &Value) -> Option<String> {
    let (outcome, why) = (
        &answer["outcome"],
        answer["why"].as_str().unwrap_or("no reason given"),
    );
    (outcome != expected).then(|| format!("the outcome is {outcome} ({why})"))
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_are_written_for_people() {
        let counts = [0, 999, 1_000, 5_013, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "5,013", "1,234,567"]);
        let sizes = [0, 999, 1_000, 18_000_000, 3_655_600_000].map(size);
        assert_eq!(sizes, ["0 B", "999 B", "1.00 kB", "18.00 MB", "3.66 GB"]);
    }

    #[test]
    fn nothing_is_wider_than_the_page() {
        assert_eq!(
            wrap("one two  three\n four", 9),
            ["one two", "three", "four"]
        );
        assert_eq!(fit("exactly so", 10), "exactly so");
        assert_eq!(fit("grün: much too long a line", 11), "grün:… line");
    }

    #[test]
    fn json_breaks_only_where_it_must() {
        assert_eq!(
            pretty(&json!({ "kept": ["720p30"], "n": 1 })),
            r#"{ "kept": ["720p30"], "n": 1 }"#
        );
        let long = "x".repeat(WIDTH);
        let broken = pretty(&json!({ "a": [1, 2], "b": [{ "c": long }] }));
        assert_eq!(
            broken,
            format!(
                "{{\n  \"a\": [1, 2],\n  \"b\": [\n    {{\n      \"c\": \"{long}\"\n    }}\n  ]\n}}"
            )
        );
    }
}
