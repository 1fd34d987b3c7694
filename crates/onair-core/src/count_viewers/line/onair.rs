use super::{LoggedRequest, split_query, time};
use serde::Deserialize;
use std::borrow::Cow;

/// What `origin/nginx/proxy.conf` logs, and the playbook's web server.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: &'a str,
    #[serde(borrow)]
    client: &'a str,
    /// Escaped if it has a quote or a backslash in it.
    #[serde(borrow)]
    path: Cow<'a, str>,
    status: u32,
}

pub(super) fn read(line: &[u8]) -> Option<LoggedRequest<'_>> {
    let Line {
        time,
        client,
        path,
        status,
    } = serde_json::from_slice(line).ok()?;
    // Such a path is not that of a stream; it must not fail the line either.
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
