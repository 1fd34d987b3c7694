use super::{LoggedRequest, RequestLine, quoted, request_line, some, time, until};

/// `address - user [time] "request" status bytes "referer" "agent" "forwarded for"`; the last, or
/// the last three, may be missing (nginx, `ngx_http_log_module`; Apache's `common`).
pub(super) fn read(line: &[u8]) -> Option<LoggedRequest<'_>> {
    let mut rest = line;
    let address = until(&mut rest, b' ')?;
    // A user's name may have blanks in it.
    until(&mut rest, b'[')?;
    let at_s = time::common(until(&mut rest, b']')?)?;
    rest = rest.strip_prefix(b" ")?;
    // What is not HTTP at all (a TLS handshake, a scan) is a request without a path.
    let RequestLine {
        method,
        path,
        query,
    } = request_line(quoted(&mut rest)?).unwrap_or_default();
    rest = rest.strip_prefix(b" ")?;
    let status = time::number(until(&mut rest, b' ')?)?;
    let mut next = || {
        let at = memchr::memchr(b'"', rest)?;
        rest = &rest[at..];
        quoted(&mut rest)
    };
    let (_referer, agent, forwarded_for) = (next(), next(), next());
    let (agent, forwarded_for) = (agent.and_then(some), forwarded_for.and_then(some));
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
