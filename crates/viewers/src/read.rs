use indicatif::{ProgressBar, ProgressStyle};
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::Audience;
use onair_core::count_viewers::log::{Limits, LineCounts, LogReader};
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What was read of all files, line by line: first what is wrong with them, at the end the sums.
#[derive(Debug)]
pub struct ReadSummary {
    files: u64,
    all: LineCounts,
    /// One sentence each: of files that could not be read to their end, and of lines that could not
    /// be understood.
    failed: Vec<String>,
    warnings: Vec<String>,
}

const PIECE_BYTES: usize = 256 << 10;
/// A packed log is read up to a hundred times its size, and a gigabyte in any case: access logs
/// shrink to a tenth, and what is made to fill a disk to a thousandth.
const MAX_RATIO: u64 = 100;
const SMALL_BYTES: u64 = 1 << 30;

/// Reads one file after the other. One that cannot be read does not hinder the others.
pub(crate) fn all(
    files: &[PathBuf],
    rules: &CountingRules,
    audience: &mut Audience,
) -> ReadSummary {
    let mut summary = ReadSummary {
        files: files.len() as u64,
        all: LineCounts::default(),
        failed: Vec::new(),
        warnings: Vec::new(),
    };
    let sizes = files
        .iter()
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len());
    // Only on a terminal.
    let progress = ProgressBar::new(sizes.sum()).with_style(style());
    for file in files {
        let name = printable(file);
        match one(file, rules, audience, &progress) {
            Ok((line_counts, ended)) => {
                summary.all.add(line_counts);
                let is_read = is_mostly_read(&line_counts) && !line_counts.is_suspicious();
                let list = if is_read {
                    &mut summary.warnings
                } else {
                    &mut summary.failed
                };
                if let Some((line, problem)) = line_counts.first_error {
                    list.push(format!(
                        "{name}: {} of {} cannot be read; the first is line {line}: {problem}",
                        line_counts.malformed,
                        count(line_counts.lines, "line")
                    ));
                }
                if line_counts.unkeyed > 0 {
                    let key = rules.viewer_key.name();
                    let (requests, lack) = (
                        count(line_counts.unkeyed, "request"),
                        if line_counts.unkeyed == 1 {
                            "lacks"
                        } else {
                            "lack"
                        },
                    );
                    list.push(format!("{name}: {requests} {lack} the key {key} (--key)"));
                }
                summary.failed.extend(ended.map(|problem| {
                    format!("{name}: {problem}; what was read until then is counted")
                }));
            }
            Err(error) => summary.failed.push(format!("{name}: {error}")),
        }
    }
    progress.finish_and_clear();
    summary
}

/// What is of two formats is read as the one that it begins with: of some broken lines nobody needs
/// to know, of a part of the file somebody does.
fn is_mostly_read(line_counts: &LineCounts) -> bool {
    line_counts.malformed * 10 <= line_counts.lines
}

/// A file's name may have line ends and codes for the terminal in it.
fn printable(file: &Path) -> String {
    let name = file.to_string_lossy();
    let escape = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    name.chars().map(escape).collect()
}

/// `1 line`, `2 lines`
fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn style() -> ProgressStyle {
    let template = "{wide_bar} {bytes} of {total_bytes}, {eta} left";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn one(
    file: &Path,
    rules: &CountingRules,
    audience: &mut Audience,
    progress: &ProgressBar,
) -> io::Result<(LineCounts, Option<String>)> {
    let (mut source, size_bytes): (Box<dyn Read>, u64) = if file == Path::new("-") {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let file = File::open(file)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "a folder cannot be read: name the files in it",
            ));
        }
        (Box::new(file), metadata.len())
    };
    let unpacked_bytes = SMALL_BYTES.max(size_bytes.saturating_mul(MAX_RATIO));
    let mut log = LogReader::new(
        rules,
        audience,
        Limits {
            unpacked_bytes,
            minutes: usize::MAX,
        },
    );
    let mut piece = vec![0; PIECE_BYTES];
    let mut trouble = None;
    loop {
        let length = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                trouble = Some(error.to_string());
                break;
            }
        };
        progress.inc(u64::try_from(length).unwrap_or_default());
        if let Err(error) = log.push(&piece[..length]) {
            trouble = Some(error.to_string());
            break;
        }
    }
    let (line_counts, ended) = log.end();
    Ok((
        line_counts,
        trouble.or_else(|| ended.map(|error| error.to_string())),
    ))
}

impl ReadSummary {
    /// Everything was read, and the figures were printed.
    pub fn is_whole(&self) -> bool {
        self.failed.is_empty()
    }

    pub(crate) fn fail(&mut self, sentence: String) {
        self.failed.push(sentence);
    }
}

impl Display for ReadSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for sentence in self.warnings.iter().chain(&self.failed) {
            writeln!(f, "{sentence}")?;
        }
        let LineCounts {
            lines,
            counted,
            other,
            dropped,
            malformed,
            ..
        } = self.all;
        write!(
            f,
            "{}, {}: {} of viewers, {other} other, {malformed} not understood",
            count(self.files, "file"),
            count(lines, "line"),
            count(counted, "request")
        )?;
        if dropped > 0 {
            write!(f, ", {dropped} of too many streams (--stream)")?;
        }
        Ok(())
    }
}
