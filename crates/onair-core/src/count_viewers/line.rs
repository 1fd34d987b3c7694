//! A line of an access log: who asked, when, for what, and what he got.

mod alb;
mod cloudfront;
mod combined;
mod onair;

use super::time;
use cloudfront::Columns;

/// How an access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// nginx's and Apache's `combined`, also with `"$http_x_forwarded_for"` at its end (nginx's own
    /// example `main`).
    Combined,
    /// Standard logs of CloudFront, which name their columns in `#Fields` (CloudFront Developer
    /// Guide, "Standard log file format").
    CloudFront,
    /// An Application Load Balancer's (Elastic Load Balancing, "Access log entries").
    Alb,
    /// That of `origin/`: one JSON object a line.
    OnAir,
}

impl LogFormat {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("combined", Self::Combined),
        ("cloudfront", Self::CloudFront),
        ("alb", Self::Alb),
        ("onair", Self::OnAir),
    ];

    /// What a line looks like, if it can be read.
    fn of(line: &[u8]) -> Option<Self> {
        if line.starts_with(b"#Version:") || line.starts_with(b"#Fields:") {
            return Some(Self::CloudFront);
        }
        // The strictest first.
        let formats = [Self::OnAir, Self::Alb, Self::CloudFront, Self::Combined];
        formats.into_iter().find(|format| {
            LineParser::new(Some(*format))
                .read(line)
                .is_ok_and(|line| line.is_some())
        })
    }
}

/// What a line says. Nothing in it was checked but its form: all of it is said by whoever sent the
/// request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoggedRequest<'a> {
    /// Unix time in seconds: of the request's end, which is when it is logged.
    pub at_s: i64,
    /// The address that the connection came from, if the log says any.
    pub address: Option<&'a [u8]>,
    /// `User-Agent`, as the log spells it.
    pub agent: Option<&'a [u8]>,
    /// `X-Forwarded-For`
    pub forwarded_for: Option<&'a [u8]>,
    /// The method.
    pub method: &'a [u8],
    /// The path, without the query.
    pub path: &'a [u8],
    /// The query, without its `?`.
    pub query: Option<&'a [u8]>,
    /// The status.
    pub status: u32,
}

/// Why a line says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is not of any format.
    #[error("it looks like no access log: combined, cloudfront, alb and onair are understood")]
    Unknown,
    /// It has another form than the log's other lines.
    #[error("it is not of the form {}", name(*.0))]
    Form(LogFormat),
    /// The log's columns are too few.
    #[error("the log's #Fields do not name {0}, which is needed")]
    Column(&'static str),
    /// It is too long to be of use.
    #[error("it has more than {} bytes", super::log::MAX_LINE_BYTES)]
    TooLong,
    /// The client is not an address.
    #[error("the client is no IP address")]
    Address,
}

impl LineError {
    /// Why there is no address in what a line says. Only CloudFront's logs can be without that
    /// column.
    pub(super) fn of_address(request: &LoggedRequest<'_>) -> Self {
        if request.address.is_some() {
            Self::Address
        } else {
            Self::Column(cloudfront::ADDRESS)
        }
    }
}

fn name(format: LogFormat) -> &'static str {
    LogFormat::NAMES
        .iter()
        .find(|(_, known)| *known == format)
        .map_or("", |(name, _)| name)
}

/// Reads the lines of one log.
#[derive(Debug, Clone)]
pub struct LineParser {
    format: Option<LogFormat>,
    columns: Columns,
}

impl LineParser {
    /// For a log of this format; `None` = as its first line that can be read looks.
    pub fn new(format: Option<LogFormat>) -> Self {
        Self {
            format,
            columns: Columns::default(),
        }
    }

    /// What a line says. `None`: it is empty, or about the log itself.
    ///
    /// # Errors
    ///
    /// When it cannot be understood.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Result<Option<LoggedRequest<'a>>, LineError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(None);
        }
        let format = match self.format {
            Some(format) => format,
            None => *self
                .format
                .insert(LogFormat::of(line).ok_or(LineError::Unknown)?),
        };
        let request = match format {
            LogFormat::Combined => combined::read(line),
            LogFormat::CloudFront if line.starts_with(b"#") => {
                self.columns.learn(line);
                return Ok(None);
            }
            LogFormat::CloudFront => return self.columns.read(line).map(Some),
            LogFormat::Alb => alb::read(line),
            LogFormat::OnAir => onair::read(line),
        };
        request.map(Some).ok_or(LineError::Form(format))
    }
}

/// Takes what lies before `end` off the text, and `end` with it.
fn until<'a>(text: &mut &'a [u8], end: u8) -> Option<&'a [u8]> {
    let at = memchr::memchr(end, text)?;
    let (before, after) = (&text[..at], &text[at + 1..]);
    *text = after;
    Some(before)
}

/// Takes a `"…"` off the text, without its quotes. What has a quote in it is escaped, by `\x22`
/// (nginx), `\"` (Apache) or `%22` (a load balancer).
fn quoted<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
    let inner = text.strip_prefix(b"\"")?;
    let end = memchr::memchr_iter(b'"', inner).find(|at| {
        let escapes = inner[..*at]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        escapes % 2 == 0
    })?;
    *text = &inner[end + 1..];
    Some(&inner[..end])
}

/// What is asked for.
#[derive(Default)]
struct RequestLine<'a> {
    method: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

/// `GET /path?query HTTP/1.1`, or with a whole URL instead of the path.
fn request_line(text: &[u8]) -> Option<RequestLine<'_>> {
    let method = memchr::memchr(b' ', text)?;
    let version = memchr::memrchr(b' ', text).filter(|at| *at > method)?;
    let target = &text[method + 1..version];
    let target = match target
        .strip_prefix(b"http")
        .and_then(|rest| memchr::memmem::find(&rest[..rest.len().min(4)], b"://"))
    {
        Some(scheme_end) => {
            let host = &target[4 + scheme_end + 3..];
            &host[memchr::memchr(b'/', host)?..]
        }
        None => target,
    };
    let (path, query) = split_query(target);
    Some(RequestLine {
        method: &text[..method],
        path,
        query,
    })
}

fn split_query(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', target) {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

/// A field that may be `-`: nothing.
fn some(field: &[u8]) -> Option<&[u8]> {
    (!field.is_empty() && field != b"-").then_some(field)
}
