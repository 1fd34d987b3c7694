use super::{LineError, LogFormat, LoggedRequest, non_empty, time};

/// The index of each column of `NAMES`, if the log has it.
#[derive(Debug, Clone)]
pub(super) struct Columns([Option<usize>; NAMES.len()]);

const NAMES: [&str; 9] = [
    "date",
    "time",
    "cs-method",
    "cs-uri-stem",
    "sc-status",
    ADDRESS,
    "cs(User-Agent)",
    "cs-uri-query",
    "x-forwarded-for",
];
/// How many of the first names every log must have. Some viewer keys need the others.
const ALWAYS_NEEDED: usize = 5;
/// Required only if the viewer key is made of it.
pub(super) const ADDRESS: &str = "c-ip";

/// CloudFront has fewer columns.
const MAX_COLUMNS: usize = 64;

impl Default for Columns {
    /// The order since 2014 (CloudFront Developer Guide, "Standard log file fields"), for a log
    /// whose first lines were cut off.
    fn default() -> Self {
        Self([
            Some(0),
            Some(1),
            Some(5),
            Some(7),
            Some(8),
            Some(4),
            Some(10),
            Some(11),
            Some(19),
        ])
    }
}

impl Columns {
    /// Reads the order of the columns from a `#Fields:` line.
    pub(super) fn learn(&mut self, line: &[u8]) {
        if let Some(fields) = line.strip_prefix(b"#Fields:") {
            let names: Vec<_> = fields
                .split(u8::is_ascii_whitespace)
                .filter(|name| !name.is_empty())
                .take(MAX_COLUMNS)
                .collect();
            self.0 = NAMES.map(|wanted| names.iter().position(|name| *name == wanted.as_bytes()));
        }
    }

    pub(super) fn parse<'a>(&self, line: &'a [u8]) -> Result<LoggedRequest<'a>, LineError> {
        let missing = NAMES
            .iter()
            .zip(self.0)
            .take(ALWAYS_NEEDED)
            .find(|(_, column)| column.is_none());
        match missing {
            Some((name, _)) => Err(LineError::MissingColumn(name)),
            None => self
                .columns(line)
                .ok_or(LineError::WrongFormat(LogFormat::CloudFront)),
        }
    }

    fn columns<'a>(&self, line: &'a [u8]) -> Option<LoggedRequest<'a>> {
        let mut values = [None; MAX_COLUMNS];
        let ends = memchr::memchr_iter(b'\t', line).chain([line.len()]);
        let mut from = 0;
        for (value, end) in values.iter_mut().zip(ends) {
            *value = Some(&line[from..end]);
            from = end + 1;
        }
        let [
            date,
            at,
            method,
            path,
            status,
            address,
            agent,
            query,
            forwarded_for,
        ] = self.0.map(|column| values[column?]);
        Some(LoggedRequest {
            at_s: time::date_and_time(date?, at?)?,
            address,
            agent: agent.and_then(non_empty),
            forwarded_for: forwarded_for.and_then(non_empty),
            method: method?,
            path: path?,
            query: query.and_then(non_empty),
            // 000: the client closed the connection before the response.
            status: time::number(status?)?,
        })
    }
}
