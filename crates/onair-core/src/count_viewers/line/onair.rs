use super::{LoggedRequest, split_query, time};
use serde::Deserialize;
use std::borrow::Cow;

/// The log format of `origin/nginx/proxy.conf` and of the web server in `ansible/`.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: &'a str,
    #[serde(borrow)]
    client: &'a str,
    /// Owned if it contains an escape: a quote or a backslash.
    #[serde(borrow)]
    path: Cow<'a, str>,
    status: u32,
}

pub(super) fn parse(line: &[u8]) -> Option<LoggedRequest<'_>> {
    let Line {
        time,
        client,
        path,
        status,
    } = serde_json::from_slice(line).ok()?;
    // A path with an escape does not belong to a stream, but the line is well-formed.
    let path = match path {
        Cow::Borrowed(path) => path.as_bytes(),
        Cow::Owned(_) => b"",
    };
    let (path, query) = split_query(path);
    let (at_s, address) = (time::iso8601(time.as_bytes())?, Some(client.as_bytes()));
    Some(LoggedRequest {
        at_s,
        address,
        method: b"GET",
        path,
        query,
        status,
        ..LoggedRequest::default()
    })
}
