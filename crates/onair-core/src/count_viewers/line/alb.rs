use super::{
    LoggedRequest, RequestLine, non_empty, parse_request_line, take_quoted, take_until, time,
};

/// `type time elb client:port target:port … elb_status … "request" "agent" …`
pub(super) fn parse(line: &[u8]) -> Option<LoggedRequest<'_>> {
    let mut rest = line;
    let kind = take_until(&mut rest, b' ')?;
    if ![&b"http"[..], b"https", b"h2", b"grpcs", b"ws", b"wss"].contains(&kind) {
        return None;
    }
    let at_s = time::iso8601(take_until(&mut rest, b' ')?)?;
    take_until(&mut rest, b' ')?;
    let client = take_until(&mut rest, b' ')?;
    let address = &client[..memchr::memrchr(b':', client)?];
    // An IPv6 address may have brackets.
    let address = address
        .strip_prefix(b"[")
        .and_then(|inner| inner.strip_suffix(b"]"))
        .unwrap_or(address);
    for _ in ["target", "request time", "target time", "response time"] {
        take_until(&mut rest, b' ')?;
    }
    // 460 and 463 come from the load balancer itself. `-`: the connection ended without a response.
    let status = time::number(take_until(&mut rest, b' ')?).unwrap_or_default();
    for _ in ["target status", "received bytes", "sent bytes"] {
        take_until(&mut rest, b' ')?;
    }
    let RequestLine {
        method,
        path,
        query,
    } = parse_request_line(take_quoted(&mut rest)?).unwrap_or_default();
    rest = rest.strip_prefix(b" ")?;
    let agent = non_empty(take_quoted(&mut rest)?);
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
