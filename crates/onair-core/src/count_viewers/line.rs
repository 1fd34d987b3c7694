//! Parses a line of an access log: the client, the time, the request and the status.

mod alb;
mod cloudfront;
mod combined;
mod onair;

use super::time;
use cloudfront::Columns;

/// The format of an access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `combined` of nginx and Apache. `"$http_x_forwarded_for"` may follow at the end, as in the
    /// format `main` of nginx.
    Combined,
    /// Standard logs of CloudFront, whose columns are named in `#Fields` (CloudFront Developer
    /// Guide, "Standard log file format").
    CloudFront,
    /// Application Load Balancer (Elastic Load Balancing, "Access log entries").
    Alb,
    /// The format of `origin/`: one JSON object per line.
    OnAir,
}

impl LogFormat {
    /// The name of each format in settings, arguments and errors.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("combined", Self::Combined),
        ("cloudfront", Self::CloudFront),
        ("alb", Self::Alb),
        ("onair", Self::OnAir),
    ];

    /// The format in which a line can be parsed.
    fn detect(line: &[u8]) -> Option<Self> {
        if line.starts_with(b"#Version:") || line.starts_with(b"#Fields:") {
            return Some(Self::CloudFront);
        }
        // The strictest format is first.
        let formats = [Self::OnAir, Self::Alb, Self::CloudFront, Self::Combined];
        formats.into_iter().find(|format| {
            LineParser::new(Some(*format))
                .parse(line)
                .is_ok_and(|request| request.is_some())
        })
    }
}

/// The request in a line. Only its form has been checked: the client chose the path, the query and
/// the headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoggedRequest<'a> {
    /// Unix time in seconds at which the request ended. That is when servers log it.
    pub at_s: i64,
    /// The address of the connection, if the log contains it.
    pub address: Option<&'a [u8]>,
    /// `User-Agent`, with the escapes of the log.
    pub agent: Option<&'a [u8]>,
    /// `X-Forwarded-For`, with the escapes of the log.
    pub forwarded_for: Option<&'a [u8]>,
    /// The HTTP method.
    pub method: &'a [u8],
    /// The path, without the query.
    pub path: &'a [u8],
    /// The query, without its `?`.
    pub query: Option<&'a [u8]>,
    /// The HTTP status of the response.
    pub status: u32,
}

/// The reason for which a line cannot be parsed. The text follows the number of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The first line does not have any known format.
    #[error("unknown log format; expected combined, cloudfront, alb or onair")]
    UnknownFormat,
    /// The line does not have the format of the log.
    #[error("not in the format {}", name(*.0))]
    WrongFormat(LogFormat),
    /// A log of CloudFront lacks a column.
    #[error("#Fields does not contain {0}, which is required")]
    MissingColumn(&'static str),
    /// The line exceeds [`MAX_LINE_BYTES`].
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The client is not an IP address, and the viewer key needs one.
    #[error("the client address is not an IP address")]
    NotAnAddress,
}

impl LineError {
    /// The reason for which a request has no address. Only the logs of CloudFront can lack that
    /// column.
    pub(super) fn of_missing_address(request: &LoggedRequest<'_>) -> Self {
        if request.address.is_some() {
            Self::NotAnAddress
        } else {
            Self::MissingColumn(cloudfront::ADDRESS)
        }
    }
}

fn name(format: LogFormat) -> &'static str {
    LogFormat::NAMES
        .iter()
        .find(|(_, known)| *known == format)
        .map_or("", |(name, _)| name)
}

/// nginx accepts at most 32 kB of request line and headers by default. A longer line is malformed.
pub const MAX_LINE_BYTES: usize = 64 << 10;

/// Parses the lines of one log.
#[derive(Debug, Clone)]
pub struct LineParser {
    format: Option<LogFormat>,
    columns: Columns,
}

impl LineParser {
    /// A parser for this format. `None` detects it from the first line that can be parsed.
    pub fn new(format: Option<LogFormat>) -> Self {
        Self {
            format,
            columns: Columns::default(),
        }
    }

    /// Parses a line. `None` if the line is empty or describes the log itself.
    ///
    /// # Errors
    ///
    /// [`LineError`] if the line does not have the format of the log.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Option<LoggedRequest<'a>>, LineError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(None);
        }
        let format = match self.format {
            Some(format) => format,
            None => *self
                .format
                .insert(LogFormat::detect(line).ok_or(LineError::UnknownFormat)?),
        };
        let request = match format {
            LogFormat::Combined => combined::parse(line),
            LogFormat::CloudFront if line.starts_with(b"#") => {
                self.columns.learn(line);
                return Ok(None);
            }
            LogFormat::CloudFront => return self.columns.parse(line).map(Some),
            LogFormat::Alb => alb::parse(line),
            LogFormat::OnAir => onair::parse(line),
        };
        request.map(Some).ok_or(LineError::WrongFormat(format))
    }
}

/// Removes the text before `end`, and `end`, from the start of the text. Returns the former.
fn take_until<'a>(text: &mut &'a [u8], end: u8) -> Option<&'a [u8]> {
    let at = memchr::memchr(end, text)?;
    let (before, after) = (&text[..at], &text[at + 1..]);
    *text = after;
    Some(before)
}

/// Removes a `"…"` from the start of the text. Returns it without its quotes. A quote inside of it
/// is escaped as `\x22` (nginx), `\"` (Apache) or `%22` (a load balancer).
fn take_quoted<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
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

/// The first line of an HTTP request.
#[derive(Default)]
struct RequestLine<'a> {
    method: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

/// Parses `GET /path?query HTTP/1.1`. A whole URL may replace the path.
fn parse_request_line(text: &[u8]) -> Option<RequestLine<'_>> {
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

/// `-` and an empty field mean that there is no value.
fn non_empty(field: &[u8]) -> Option<&[u8]> {
    (!field.is_empty() && field != b"-").then_some(field)
}
