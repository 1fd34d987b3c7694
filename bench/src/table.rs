//! Prints results as Markdown for docs/performance.md.

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

/// Prints a heading and a table.
pub(crate) fn print<const N: usize>(
    title: &str,
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let mut table = Table::new();
    table
        .load_style(ASCII_MARKDOWN)
        .set_header(head)
        .add_rows(rows);
    println!("\n### {title}\n\n{table}\n");
}
