use super::{LoggedRequest, RequestLine, quoted, request_line, some, time, until};

/// `type time elb client:port target:port … elb_status … "request" "agent" …`
pub(super) fn read(line: &[u8]) -> Option<LoggedRequest<'_>> {
    let mut rest = line;
    let kind = until(&mut rest, b' ')?;
    if ![&b"http"[..], b"https", b"h2", b"grpcs", b"ws", b"wss"].contains(&kind) {
        return None;
    }
    let at_s = time::iso8601(until(&mut rest, b' ')?)?;
    until(&mut rest, b' ')?;
    let client = until(&mut rest, b' ')?;
    let address = &client[..memchr::memrchr(b':', client)?];
    // An IPv6 address is written with or without brackets.
    let address = address
        .strip_prefix(b"[")
        .and_then(|inner| inner.strip_suffix(b"]"))
        .unwrap_or(address);
    for _ in ["target", "request time", "target time", "response time"] {
        until(&mut rest, b' ')?;
    }
    // 460 and 463 are the load balancer's own; "-" is a connection without an answer.
    let status = time::number(until(&mut rest, b' ')?).unwrap_or_default();
    for _ in ["target status", "received bytes", "sent bytes"] {
        until(&mut rest, b' ')?;
    }
    let RequestLine {
        method,
        path,
        query,
    } = request_line(quoted(&mut rest)?).unwrap_or_default();
    rest = rest.strip_prefix(b" ")?;
    let agent = some(quoted(&mut rest)?);
    Some(LoggedRequest {
        at_s,
        address: Some(address),
        agent,
        forwarded_for: None,
        method,
        path,
        query,
        status,
    })
}
