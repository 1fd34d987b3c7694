//! One log, as it comes: packed or not, a piece at a time.

use super::Rules;
use super::audience::Audience;
use super::key::NotAnAddress;
use super::line::{Problem, Reader, Request};
use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// A longer line is none: nginx takes at most 32 kB of a request's first line and headers by default.
pub const MAX_LINE_BYTES: usize = 64 << 10;

/// What became of the lines of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
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
    pub first_problem: Option<(u64, Problem)>,
}

impl Tally {
    /// Nobody could be counted, though somebody may have watched.
    pub fn says_nothing(&self) -> bool {
        self.counted == 0 && self.malformed + self.unkeyed > 0
    }

    /// The sum of both; the first problem is this one's, if it has one.
    pub fn add(&mut self, more: Self) {
        self.lines += more.lines;
        self.counted += more.counted;
        self.other += more.other;
        self.unkeyed += more.unkeyed;
        self.dropped += more.dropped;
        self.malformed += more.malformed;
        self.first_problem = self.first_problem.or(more.first_problem);
    }
}

/// Why a log could not be read to its end. What was read until then is counted.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is packed, and damaged or cut off.
    #[error("it is gzip, and broken: {0}")]
    Gzip(#[source] io::Error),
    /// It would take for ever.
    #[error(
        "unpacked it has more than {0} bytes, which is much for an access log: see what it is, and unpack it first"
    )]
    TooLarge(u64),
}

/// Reads one log into an audience.
pub struct Log<'r> {
    source: Source<'r>,
}

enum Source<'r> {
    /// Two bytes say whether it is packed; here are fewer.
    Begun(Vec<u8>, Lines<'r>),
    Plain(Lines<'r>),
    Packed(Box<MultiGzDecoder<Lines<'r>>>),
    /// Only while it changes.
    Nothing,
}

impl<'r> Log<'r> {
    /// A packed log is read up to so many bytes, unpacked.
    pub fn new(rules: &'r Rules, audience: &'r mut Audience, max_unpacked_bytes: u64) -> Self {
        let lines = Lines {
            rules,
            audience,
            reader: Reader::new(rules.format),
            tally: Tally::default(),
            begun: Vec::new(),
            is_skipping: false,
            max_unpacked_bytes,
            unpacked_bytes: 0,
        };
        Self { source: Source::Begun(Vec::new(), lines) }
    }

    /// The next piece of it.
    ///
    /// # Errors
    ///
    /// When it makes no sense to read on.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        if let Source::Begun(first, _) = &mut self.source {
            first.extend_from_slice(piece);
            if first.len() < GZIP.len() {
                return Ok(());
            }
            let Source::Begun(first, lines) = std::mem::replace(&mut self.source, Source::Nothing) else {
                unreachable!("it has just been that")
            };
            self.source = if first.starts_with(GZIP) {
                Source::Packed(Box::new(MultiGzDecoder::new(lines)))
            } else {
                Source::Plain(lines)
            };
            return self.source.write(&first);
        }
        self.source.write(piece)
    }

    /// Nothing follows. Says what became of the lines, and what was wrong at the end, if something was.
    pub fn end(self) -> (Tally, Option<Unreadable>) {
        match self.source {
            Source::Begun(first, mut lines) => {
                lines.feed(&first);
                (lines.end(), None)
            }
            Source::Plain(mut lines) => (lines.end(), None),
            Source::Packed(mut unpacking) => {
                let ended = unpacking.try_finish().map_err(unreadable).err();
                (unpacking.get_mut().end(), ended)
            }
            Source::Nothing => (Tally::default(), None),
        }
    }
}

/// RFC 1952, 2.3.1.
const GZIP: &[u8] = &[0x1f, 0x8b];

impl Source<'_> {
    fn write(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        let written = match self {
            Self::Plain(lines) => {
                lines.feed(piece);
                Ok(())
            }
            Self::Packed(unpacking) => unpacking.write_all(piece),
            Self::Begun(..) | Self::Nothing => Ok(()),
        };
        written.map_err(unreadable)
    }
}

fn unreadable(error: io::Error) -> Unreadable {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TooLarge>()) {
        Some(TooLarge(max_bytes)) => Unreadable::TooLarge(*max_bytes),
        None => Unreadable::Gzip(error),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes")]
struct TooLarge(u64);

/// Plain text in, viewers into the audience. What is unpacked is written into it.
struct Lines<'r> {
    rules: &'r Rules,
    audience: &'r mut Audience,
    reader: Reader,
    tally: Tally,
    /// A line whose end is not there yet.
    begun: Vec<u8>,
    /// The present line is too long, and its end is awaited.
    is_skipping: bool,
    max_unpacked_bytes: u64,
    unpacked_bytes: u64,
}

impl Write for Lines<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let more_bytes = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(more_bytes);
        if self.unpacked_bytes > self.max_unpacked_bytes {
            return Err(io::Error::other(TooLarge(self.max_unpacked_bytes)));
        }
        self.feed(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines<'_> {
    fn feed(&mut self, piece: &[u8]) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', piece) {
            self.end_line(&piece[from..end]);
            from = end + 1;
        }
        self.begin_line(&piece[from..]);
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

    fn end_line(&mut self, part: &[u8]) {
        if self.begun.is_empty() && !self.is_skipping && part.len() <= MAX_LINE_BYTES {
            return self.line(part);
        }
        self.begin_line(part);
        if std::mem::take(&mut self.is_skipping) {
            self.tally.lines += 1;
            self.malformed(Problem::TooLong);
        } else {
            let mut line = std::mem::take(&mut self.begun);
            self.line(&line);
            line.clear();
            self.begun = line;
        }
    }

    /// Nothing follows: what has begun is the last line.
    fn end(&mut self) -> Tally {
        if !self.begun.is_empty() || self.is_skipping {
            self.end_line(b"");
        }
        self.tally
    }

    fn line(&mut self, line: &[u8]) {
        self.tally.lines += 1;
        match self.reader.read(line) {
            Ok(None) => self.tally.lines -= 1,
            Ok(Some(request)) => self.request(&request),
            Err(problem) => self.malformed(problem),
        }
    }

    fn request(&mut self, request: &Request<'_>) {
        let minute = self.audience.minute(request.at_s);
        let is_served = request.method == b"GET" && matches!(request.status, 200 | 206 | 304);
        let Some(stream) = self.rules.streams.stream(request.path).filter(|_| is_served) else {
            self.tally.other += 1;
            return;
        };
        match self.rules.keying.viewer(request, &self.rules.secret) {
            Ok(Some(viewer)) => {
                match self.audience.insert(minute, request.at_s, &stream, viewer, self.rules) {
                    true => self.tally.counted += 1,
                    false => self.tally.dropped += 1,
                }
            }
            Ok(None) => self.tally.unkeyed += 1,
            Err(NotAnAddress) => self.malformed(Problem::Address),
        }
    }

    fn malformed(&mut self, problem: Problem) {
        self.tally.malformed += 1;
        self.tally.first_problem.get_or_insert((self.tally.lines, problem));
    }
}
