use super::{
    LoggedRequest, RequestLine, non_empty, parse_request_line, take_quoted, take_until, time,
};

/// Parses `address - user [time] "request" status bytes "referer" "agent" "forwarded for"`. The
/// last field may be missing (nginx, `ngx_http_log_module`), or the last three (`common` of
/// Apache).
pub(super) fn parse(line: &[u8]) -> Option<LoggedRequest<'_>> {
    let mut rest = line;
    let address = take_until(&mut rest, b' ')?;
    // The name of a user may contain spaces.
    take_until(&mut rest, b'[')?;
    let at_s = time::common(take_until(&mut rest, b']')?)?;
    rest = rest.strip_prefix(b" ")?;
    // Bytes that are not HTTP (a TLS handshake, a scan) count as a request without a path.
    let RequestLine {
        method,
        path,
        query,
    } = parse_request_line(take_quoted(&mut rest)?).unwrap_or_default();
    rest = rest.strip_prefix(b" ")?;
    let status = time::number(take_until(&mut rest, b' ')?)?;
    let mut next = || {
        let at = memchr::memchr(b'"', rest)?;
        rest = &rest[at..];
        take_quoted(&mut rest)
    };
    let (_referer, agent, forwarded_for) = (next(), next(), next());
    let (agent, forwarded_for) = (agent.and_then(non_empty), forwarded_for.and_then(non_empty));
    Some(LoggedRequest {
        at_s,
        address: Some(address),
        agent,
        forwarded_for,
        method,
        path,
        query,
        status,
    })
}
