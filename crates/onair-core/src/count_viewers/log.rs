//! Reads an access log in chunks, plain or gzip.

use super::audience::Audience;
use super::line::{LineError, LineParser, LoggedRequest, MAX_LINE_BYTES};
use super::rules::CountingRules;
use super::viewer_key::NotAnAddress;
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// Fewer unusable lines than this can be chance in a small batch.
const MIN_SUSPICIOUS_LINES: u64 = 100;

/// The numbers of lines that were counted, and of lines that were not, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineCounts {
    /// All lines.
    pub lines: u64,
    /// Requests of viewers.
    pub counted: u64,
    /// Requests for other files than a playlist or a segment, and requests that failed.
    pub other: u64,
    /// Requests that lack the viewer key.
    pub unkeyed: u64,
    /// Requests of streams beyond `max_streams`.
    pub dropped: u64,
    /// Lines that cannot be parsed.
    pub malformed: u64,
    /// The first malformed line: its number, from 1, and the error.
    pub first_error: Option<(u64, LineError)>,
}

impl LineCounts {
    /// Whether no viewer could be counted although there may have been some.
    ///
    /// This is the case if all lines are malformed, or if many lines are malformed or lack the key.
    /// Any log has a few requests without the key: those of a browser or a monitor.
    pub fn is_suspicious(&self) -> bool {
        let is_all_malformed = self.lines > 0 && self.malformed == self.lines;
        let unusable = self.malformed + self.unkeyed;
        self.counted + self.dropped == 0 && (is_all_malformed || unusable >= MIN_SUSPICIOUS_LINES)
    }

    /// Adds the counts of another log. An earlier `first_error` stays.
    pub fn add(&mut self, more: Self) {
        self.lines += more.lines;
        self.counted += more.counted;
        self.other += more.other;
        self.unkeyed += more.unkeyed;
        self.dropped += more.dropped;
        self.malformed += more.malformed;
        self.first_error = self.first_error.or(more.first_error);
    }
}

/// The limits for reading a log. A file that is not an access log may be endless.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes of a gzip log, decompressed.
    pub unpacked_bytes: u64,
    /// The most minutes in the audience. All of them are in memory.
    pub minutes: usize,
}

/// The reason for which a log was not read to its end. The audience contains the part before. The
/// text follows the name of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The compression is not gzip.
    #[error("compressed with {0}; only gzip is supported: decompress the log first")]
    UnsupportedCompression(&'static str),
    /// The gzip data is damaged or cut off.
    #[error("gzip data is damaged or cut off: {0}")]
    Gzip(#[source] io::Error),
    /// The decompressed log exceeds [`Limits::unpacked_bytes`].
    #[error(
        "decompressed size exceeds {0} bytes, which is unusual for an access log: \
         inspect the file, and decompress it first"
    )]
    TooLarge(u64),
    /// The log exceeds [`Limits::minutes`].
    #[error("log contains lines of more than {0} different minutes")]
    TooManyMinutes(usize),
}

/// Reads one log into an audience.
pub struct LogReader<'r> {
    decoder: Decoder<'r>,
}

enum Decoder<'r> {
    /// The first bytes show the compression. Fewer than [`MAGIC_BYTES`] have been read.
    Undetected(Vec<u8>, LineCounter<'r>),
    Plain(LineCounter<'r>),
    Gzip(Box<MultiGzDecoder<LineCounter<'r>>>),
    /// The compression is not supported.
    Unsupported,
}

impl<'r> LogReader<'r> {
    /// A reader at the start of a log.
    pub fn new(rules: &'r CountingRules, audience: &'r mut Audience, limits: Limits) -> Self {
        let counter = LineCounter {
            rules,
            audience,
            parser: LineParser::new(rules.format),
            counts: LineCounts::default(),
            partial_line: Vec::new(),
            is_too_long: false,
            limits,
            unpacked_bytes: 0,
        };
        Self {
            decoder: Decoder::Undetected(Vec::new(), counter),
        }
    }

    /// Reads the next chunk.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the rest of the log cannot be read.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), LogError> {
        let Decoder::Undetected(start, _) = &mut self.decoder else {
            return self.decoder.write(chunk);
        };
        start.extend_from_slice(chunk);
        if start.len() < MAGIC_BYTES {
            return Ok(());
        }
        self.detect_compression()
    }

    fn detect_compression(&mut self) -> Result<(), LogError> {
        let undetected = std::mem::replace(&mut self.decoder, Decoder::Unsupported);
        let Decoder::Undetected(start, counter) = undetected else {
            return Ok(());
        };
        if let Some((_, compression)) = UNSUPPORTED_MAGIC
            .iter()
            .find(|(magic, _)| start.starts_with(magic))
        {
            return Err(LogError::UnsupportedCompression(compression));
        }
        self.decoder = if start.starts_with(GZIP_MAGIC) {
            Decoder::Gzip(Box::new(MultiGzDecoder::new(counter)))
        } else {
            Decoder::Plain(counter)
        };
        self.decoder.write(&start)
    }

    /// Ends the log. Returns the counts of its lines, and the error if the end is damaged.
    pub fn end(self) -> (LineCounts, Option<LogError>) {
        match self.decoder {
            Decoder::Undetected(start, mut counter) => {
                let fed = counter.feed(&start);
                counter.end(fed)
            }
            Decoder::Plain(mut counter) => counter.end(Ok(())),
            Decoder::Gzip(mut gzip) => {
                let unpacked = gzip.try_finish().map_err(log_error);
                gzip.get_mut().end(unpacked)
            }
            Decoder::Unsupported => (LineCounts::default(), None),
        }
    }
}

/// RFC 1952, 2.3.1.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// No access log starts with these bytes. Sources: RFC 8878, 3.1.1; "The .xz File Format", 2.1.1.1;
/// bzip2, where the size of a block follows; APPNOTE of PKWARE, 4.3.7.
const UNSUPPORTED_MAGIC: [(&[u8], &str); 4] = [
    (&[0x28, 0xb5], "zstd"),
    (&[0xfd, 0x37], "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
];
/// The longest of them.
const MAGIC_BYTES: usize = 4;

impl Decoder<'_> {
    fn write(&mut self, chunk: &[u8]) -> Result<(), LogError> {
        match self {
            Self::Plain(counter) => counter.feed(chunk),
            Self::Gzip(gzip) => gzip.write_all(chunk).map_err(log_error),
            Self::Undetected(..) | Self::Unsupported => Ok(()),
        }
    }
}

/// The decoder passes on a [`LogError`] of the counter. Any other error is its own.
fn log_error(error: io::Error) -> LogError {
    error.downcast().unwrap_or_else(LogError::Gzip)
}

/// Splits decompressed text into lines, and counts each line into the audience.
struct LineCounter<'r> {
    rules: &'r CountingRules,
    audience: &'r mut Audience,
    parser: LineParser,
    counts: LineCounts,
    /// The start of a line whose end is in a later chunk.
    partial_line: Vec<u8>,
    /// The line that has started is too long, and is skipped to its end.
    is_too_long: bool,
    limits: Limits,
    unpacked_bytes: u64,
}

impl Write for LineCounter<'_> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let more_bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(more_bytes);
        if self.unpacked_bytes > self.limits.unpacked_bytes {
            return Err(io::Error::other(LogError::TooLarge(
                self.limits.unpacked_bytes,
            )));
        }
        self.feed(chunk).map_err(io::Error::other)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LineCounter<'_> {
    fn feed(&mut self, chunk: &[u8]) -> Result<(), LogError> {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            self.end_line(&chunk[from..end])?;
            from = end + 1;
        }
        self.begin_line(&chunk[from..]);
        Ok(())
    }

    fn begin_line(&mut self, part: &[u8]) {
        if self.is_too_long {
            return;
        }
        if self.partial_line.len() + part.len() > MAX_LINE_BYTES {
            self.is_too_long = true;
            self.partial_line.clear();
        } else {
            self.partial_line.extend_from_slice(part);
        }
    }

    fn end_line(&mut self, part: &[u8]) -> Result<(), LogError> {
        if self.partial_line.is_empty() && !self.is_too_long && part.len() <= MAX_LINE_BYTES {
            return self.count_line(part);
        }
        self.begin_line(part);
        if std::mem::take(&mut self.is_too_long) {
            self.counts.lines += 1;
            self.count_malformed(LineError::TooLong);
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.partial_line);
        let counted = self.count_line(&line);
        line.clear();
        // The buffer is used again.
        self.partial_line = line;
        counted
    }

    /// Counts the last line if it has no line end.
    fn end(&mut self, mut read: Result<(), LogError>) -> (LineCounts, Option<LogError>) {
        if !self.partial_line.is_empty() || self.is_too_long {
            read = read.and(self.end_line(b""));
        }
        (self.counts, read.err())
    }

    fn count_line(&mut self, line: &[u8]) -> Result<(), LogError> {
        self.counts.lines += 1;
        match self.parser.parse(line) {
            Ok(None) => self.counts.lines -= 1,
            Ok(Some(request)) => self.count_request(&request),
            Err(error) => self.count_malformed(error),
        }
        if self.audience.minutes().len() > self.limits.minutes {
            return Err(LogError::TooManyMinutes(self.limits.minutes));
        }
        Ok(())
    }

    fn count_request(&mut self, request: &LoggedRequest<'_>) {
        self.audience.add_minute(request.at_s);
        let is_served = request.method == b"GET" && matches!(request.status, 200 | 206 | 304);
        let stream = self.rules.streams.stream(request.path);
        let Some(stream) = stream.filter(|_| is_served) else {
            self.counts.other += 1;
            return;
        };
        let key = &self.rules.viewer_key;
        match key.hash_viewer(request, &self.rules.secret) {
            Ok(Some(viewer)) => self.count_viewer(request.at_s, &stream, viewer),
            Ok(None) => self.counts.unkeyed += 1,
            Err(NotAnAddress) => self.count_malformed(LineError::of_missing_address(request)),
        }
    }

    fn count_viewer(&mut self, at_s: i64, stream: &str, viewer: u64) {
        if self.audience.add_viewer(at_s, stream, viewer, self.rules) {
            self.counts.counted += 1;
        } else {
            self.counts.dropped += 1;
        }
    }

    fn count_malformed(&mut self, error: LineError) {
        self.counts.malformed += 1;
        self.counts
            .first_error
            .get_or_insert((self.counts.lines, error));
    }
}
