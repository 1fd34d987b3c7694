use indicatif::{ProgressBar, ProgressStyle};
use onair_core::count_viewers::CountingRules;
use onair_core::count_viewers::audience::Audience;
use onair_core::count_viewers::log::{Limits, LineCounts, LogReader};
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The totals, warnings and failures of all files. Each warning and failure is displayed as one
/// line, and the totals as the last line.
#[derive(Debug)]
pub struct ReadSummary {
    files: u64,
    totals: LineCounts,
    /// One sentence per file that could not be read, or that has too many malformed lines.
    failures: Vec<String>,
    /// One sentence per file with some malformed lines.
    warnings: Vec<String>,
}

const CHUNK_BYTES: usize = 256 << 10;
/// A gzip log is read up to this multiple of its size, and to one gigabyte in any case. An access
/// log shrinks to a tenth, and a file that is made to fill a disk shrinks to a thousandth.
const MAX_RATIO: u64 = 100;
const MIN_LIMIT_BYTES: u64 = 1 << 30;

/// Reads one file after the other. A file that cannot be read does not stop the others.
pub(crate) fn read_all(
    files: &[PathBuf],
    rules: &CountingRules,
    audience: &mut Audience,
) -> ReadSummary {
    let mut summary = ReadSummary {
        files: files.len() as u64,
        totals: LineCounts::default(),
        failures: Vec::new(),
        warnings: Vec::new(),
    };
    let sizes = files
        .iter()
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len());
    // The bar is drawn only on a terminal.
    let progress = ProgressBar::new(sizes.sum()).with_style(style());
    for file in files {
        let name = printable(file);
        match read_file(file, rules, audience, &progress) {
            Ok(read) => summary.add(&name, &read, rules),
            Err(error) => summary.fail(format!("{name}: {error}")),
        }
    }
    progress.finish_and_clear();
    summary
}

/// The part of a file that could be read.
struct FileContent {
    line_counts: LineCounts,
    /// The error that ended the log early.
    error: Option<String>,
}

fn read_file(
    file: &Path,
    rules: &CountingRules,
    audience: &mut Audience,
    progress: &ProgressBar,
) -> io::Result<FileContent> {
    let (mut source, size_bytes) = open(file)?;
    let limits = Limits {
        unpacked_bytes: MIN_LIMIT_BYTES.max(size_bytes.saturating_mul(MAX_RATIO)),
        minutes: usize::MAX,
    };
    let mut log = LogReader::new(rules, audience, limits);
    let error = read_chunks(&mut source, &mut log, progress);
    let (line_counts, end_error) = log.end();
    Ok(FileContent {
        line_counts,
        error: error.or_else(|| end_error.map(|error| error.to_string())),
    })
}

/// Opens a file, or standard input for `-`. The size is 0 if it is not known.
fn open(file: &Path) -> io::Result<(Box<dyn Read>, u64)> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), 0));
    }
    let file = File::open(file)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(
            ErrorKind::IsADirectory,
            "is a folder: name the files in it",
        ));
    }
    Ok((Box::new(file), metadata.len()))
}

/// Returns the error that ended the log early.
fn read_chunks(
    source: &mut impl Read,
    log: &mut LogReader<'_>,
    progress: &ProgressBar,
) -> Option<String> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = match source.read(&mut chunk) {
            Ok(0) => return None,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Some(error.to_string()),
        };
        progress.inc(u64::try_from(length).unwrap_or_default());
        if let Err(error) = log.push(&chunk[..length]) {
            return Some(error.to_string());
        }
    }
}

/// Replaces line ends and terminal escapes in the name of a file.
fn printable(file: &Path) -> String {
    let mut name = String::new();
    for character in file.to_string_lossy().chars() {
        if character.is_control() {
            name.extend(character.escape_default());
        } else {
            name.push(character);
        }
    }
    name
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

impl ReadSummary {
    /// Whether all files were read and all data points were printed.
    pub fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn fail(&mut self, sentence: String) {
        self.failures.push(sentence);
    }

    fn add(&mut self, name: &str, read: &FileContent, rules: &CountingRules) {
        let FileContent { line_counts, error } = read;
        self.totals.add(*line_counts);
        let list = if is_mostly_parsed(line_counts) && !line_counts.is_suspicious() {
            &mut self.warnings
        } else {
            &mut self.failures
        };
        if let Some((line, error)) = line_counts.first_error {
            let lines = count(line_counts.lines, "line");
            let malformed = line_counts.malformed;
            list.push(format!(
                "{name}: {malformed} of {lines} cannot be parsed; the first is line {line}: {error}"
            ));
        }
        if line_counts.unkeyed > 0 {
            let requests = count(line_counts.unkeyed, "request");
            let verb = if line_counts.unkeyed == 1 {
                "lacks"
            } else {
                "lack"
            };
            let key = rules.viewer_key.name();
            list.push(format!("{name}: {requests} {verb} the key {key} (--key)"));
        }
        if let Some(error) = error {
            self.fail(format!("{name}: {error}; the part before is counted"));
        }
    }
}

/// A few malformed lines are a warning. If a tenth is malformed, the file may contain two formats,
/// of which only the first is parsed.
fn is_mostly_parsed(line_counts: &LineCounts) -> bool {
    line_counts.malformed * 10 <= line_counts.lines
}

impl Display for ReadSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for sentence in self.warnings.iter().chain(&self.failures) {
            writeln!(f, "{sentence}")?;
        }
        let LineCounts {
            lines,
            counted,
            other,
            dropped,
            malformed,
            ..
        } = self.totals;
        write!(
            f,
            "{}, {}: {} of viewers, {other} other, {malformed} malformed",
            count(self.files, "file"),
            count(lines, "line"),
            count(counted, "request")
        )?;
        if dropped > 0 {
            write!(f, ", {dropped} of streams beyond the limit (--stream)")?;
        }
        Ok(())
    }
}
