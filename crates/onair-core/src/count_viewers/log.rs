//! One log, as it comes: packed or not, a piece at a time.

use super::CountingRules;
use super::audience::Audience;
use super::line::{LineError, LineParser, LoggedRequest};
use super::viewer_key::NotAnAddress;
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// A longer line is none: nginx takes at most 32 kB of a request's first line and headers by
/// default.
pub const MAX_LINE_BYTES: usize = 64 << 10;

/// More than a small batch may have by chance.
const MIN_SUSPICIOUS_LINES: u64 = 100;

/// What became of the lines of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineCounts {
    /// All of them.
    pub lines: u64,
    /// Requests of viewers.
    pub counted: u64,
    /// Requests for something else than a playlist or a segment, and those that were not served.
    pub other: u64,
    /// Requests that do not say what viewers are known by.
    pub unkeyed: u64,
    /// Requests of streams beyond the greatest number of streams.
    pub dropped: u64,
    /// Lines that cannot be understood.
    pub malformed: u64,
    /// The first of them: its number, from 1, and why.
    pub first_error: Option<(u64, LineError)>,
}

impl LineCounts {
    /// Nobody could be counted, though somebody may have watched: no line of it is understood, or
    /// many lines and requests say nothing. A few may lack the key in any log: a browser's, a
    /// monitor's.
    pub fn says_nothing(&self) -> bool {
        let is_no_log = self.lines > 0 && self.malformed == self.lines;
        self.counted + self.dropped == 0
            && (is_no_log || self.malformed + self.unkeyed >= MIN_SUSPICIOUS_LINES)
    }

    /// The sum of both; the first problem is this one's, if it has one.
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

/// How far a log is read: what is no access log may be without end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A packed log is read up to so many bytes, unpacked.
    pub unpacked_bytes: u64,
    /// The audience may be of so many different minutes.
    pub minutes: usize,
}

/// Why a log was not read to its end. What was read until then is in the audience.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It is packed otherwise.
    #[error("it is packed by {0}: unpack it first")]
    Packing(&'static str),
    /// It is packed, and damaged or cut off.
    #[error("it is gzip, and broken: {0}")]
    Gzip(#[source] io::Error),
    /// It would take for ever.
    #[error(
        "unpacked it has more than {0} bytes, which is much for an access log: see what it is, and unpack it first"
    )]
    TooLarge(u64),
    /// It would be held in memory, all of it.
    #[error("it has lines of more than {0} different minutes")]
    TooManyMinutes(usize),
}

/// Reads one log into an audience.
pub struct LogReader<'r> {
    decoder: Decoder<'r>,
}

enum Decoder<'r> {
    /// The first bytes say whether it is packed; here are fewer.
    Begun(Vec<u8>, LineCounter<'r>),
    Plain(LineCounter<'r>),
    Packed(Box<MultiGzDecoder<LineCounter<'r>>>),
    /// Only while it changes.
    Nothing,
}

impl<'r> LogReader<'r> {
    /// A log of which nothing was read yet.
    pub fn new(rules: &'r CountingRules, audience: &'r mut Audience, limits: Limits) -> Self {
        let lines = LineCounter {
            rules,
            audience,
            reader: LineParser::new(rules.format),
            line_counts: LineCounts::default(),
            begun: Vec::new(),
            is_skipping: false,
            limits,
            unpacked_bytes: 0,
        };
        Self {
            decoder: Decoder::Begun(Vec::new(), lines),
        }
    }

    /// The next piece of it.
    ///
    /// # Errors
    ///
    /// When it makes no sense to read on.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), LogError> {
        if let Decoder::Begun(first, _) = &mut self.decoder {
            first.extend_from_slice(piece);
            if first.len() < FIRST_BYTES {
                return Ok(());
            }
            let Decoder::Begun(first, lines) =
                std::mem::replace(&mut self.decoder, Decoder::Nothing)
            else {
                unreachable!("it has just been that")
            };
            if let Some((_, packing)) = OTHER_PACKINGS
                .iter()
                .find(|(begin, _)| first.starts_with(begin))
            {
                return Err(LogError::Packing(packing));
            }
            self.decoder = if first.starts_with(GZIP) {
                Decoder::Packed(Box::new(MultiGzDecoder::new(lines)))
            } else {
                Decoder::Plain(lines)
            };
            return self.decoder.write(&first);
        }
        self.decoder.write(piece)
    }

    /// Nothing follows. Says what became of the lines, and what was wrong at the end, if something
    /// was.
    pub fn end(self) -> (LineCounts, Option<LogError>) {
        match self.decoder {
            Decoder::Begun(first, mut lines) => {
                let fed = lines.feed(&first);
                lines.end(fed)
            }
            Decoder::Plain(mut lines) => lines.end(Ok(())),
            Decoder::Packed(mut unpacking) => {
                let unpacked = unpacking.try_finish().map_err(unreadable);
                unpacking.get_mut().end(unpacked)
            }
            Decoder::Nothing => (LineCounts::default(), None),
        }
    }
}

/// RFC 1952, 2.3.1.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What no log begins with: RFC 8878, 3.1.1; "The .xz File Format", 2.1.1.1; bzip2's block size
/// follows; PKWARE's APPNOTE, 4.3.7.
const OTHER_PACKINGS: [(&[u8], &str); 4] = [
    (&[0x28, 0xb5], "zstd"),
    (&[0xfd, 0x37], "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
];
/// So many bytes say by what a log is packed.
const FIRST_BYTES: usize = 4;

impl Decoder<'_> {
    fn write(&mut self, piece: &[u8]) -> Result<(), LogError> {
        match self {
            Self::Plain(lines) => lines.feed(piece),
            Self::Packed(unpacking) => unpacking.write_all(piece).map_err(unreadable),
            Self::Begun(..) | Self::Nothing => Ok(()),
        }
    }
}

/// What was wrong with the lines comes back through the unpacking; all else is wrong with that.
fn unreadable(error: io::Error) -> LogError {
    error.downcast().unwrap_or_else(LogError::Gzip)
}

/// Plain text in, viewers into the audience. What is unpacked is written into it.
struct LineCounter<'r> {
    rules: &'r CountingRules,
    audience: &'r mut Audience,
    reader: LineParser,
    line_counts: LineCounts,
    /// A line whose end is not there yet.
    begun: Vec<u8>,
    /// The present line is too long, and its end is awaited.
    is_skipping: bool,
    limits: Limits,
    unpacked_bytes: u64,
}

impl Write for LineCounter<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let more_bytes = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(more_bytes);
        if self.unpacked_bytes > self.limits.unpacked_bytes {
            return Err(io::Error::other(LogError::TooLarge(
                self.limits.unpacked_bytes,
            )));
        }
        self.feed(piece).map_err(io::Error::other)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LineCounter<'_> {
    fn feed(&mut self, piece: &[u8]) -> Result<(), LogError> {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', piece) {
            self.end_line(&piece[from..end])?;
            from = end + 1;
        }
        self.begin_line(&piece[from..]);
        Ok(())
    }

    fn begin_line(&mut self, part: &[u8]) {
        if self.is_skipping {
            return;
        }
        if self.begun.len() + part.len() > MAX_LINE_BYTES {
            self.is_skipping = true;
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn end_line(&mut self, part: &[u8]) -> Result<(), LogError> {
        if self.begun.is_empty() && !self.is_skipping && part.len() <= MAX_LINE_BYTES {
            return self.line(part);
        }
        self.begin_line(part);
        if std::mem::take(&mut self.is_skipping) {
            self.line_counts.lines += 1;
            self.malformed(LineError::TooLong);
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.begun);
        let read = self.line(&line);
        line.clear();
        self.begun = line;
        read
    }

    /// Nothing follows: what has begun is the last line.
    fn end(&mut self, mut read: Result<(), LogError>) -> (LineCounts, Option<LogError>) {
        if !self.begun.is_empty() || self.is_skipping {
            read = read.and(self.end_line(b""));
        }
        (self.line_counts, read.err())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), LogError> {
        self.line_counts.lines += 1;
        match self.reader.read(line) {
            Ok(None) => self.line_counts.lines -= 1,
            Ok(Some(request)) => self.request(&request),
            Err(problem) => self.malformed(problem),
        }
        match self.audience.minutes().len() > self.limits.minutes {
            true => Err(LogError::TooManyMinutes(self.limits.minutes)),
            false => Ok(()),
        }
    }

    fn request(&mut self, request: &LoggedRequest<'_>) {
        let minute = self.audience.minute(request.at_s);
        let is_served = request.method == b"GET" && matches!(request.status, 200 | 206 | 304);
        let Some(stream) = self
            .rules
            .streams
            .stream(request.path)
            .filter(|_| is_served)
        else {
            self.line_counts.other += 1;
            return;
        };
        match self.rules.viewer_key.viewer(request, &self.rules.secret) {
            Ok(Some(viewer)) => {
                match self
                    .audience
                    .insert(minute, request.at_s, &stream, viewer, self.rules)
                {
                    true => self.line_counts.counted += 1,
                    false => self.line_counts.dropped += 1,
                }
            }
            Ok(None) => self.line_counts.unkeyed += 1,
            Err(NotAnAddress) => self.malformed(LineError::of_address(request)),
        }
    }

    fn malformed(&mut self, problem: LineError) {
        self.line_counts.malformed += 1;
        self.line_counts
            .first_error
            .get_or_insert((self.line_counts.lines, problem));
    }
}
