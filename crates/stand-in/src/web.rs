//! HTTP responses to browsers.

use std::io;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION};
use hyper::{Method, Response, StatusCode};

use crate::server::{HandlerResult, whole};

/// A file as it is served, or an error or redirect instead.
pub(crate) struct File {
    status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

impl File {
    pub(crate) fn new(content_type: &str, cache_control: &str, body: impl Into<Bytes>) -> Self {
        let headers = [
            (CONTENT_TYPE, content_type.to_owned()),
            (CACHE_CONTROL, cache_control.to_owned()),
        ];
        let headers = headers
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self {
            status: StatusCode::OK,
            headers,
            body: body.into(),
        }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A response with only a status.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn redirect(url: String) -> Self {
        Self {
            headers: vec![(LOCATION, url)],
            ..Self::empty(StatusCode::FOUND)
        }
    }

    /// The response to a GET, HEAD or CORS preflight request from a page of any origin.
    pub(crate) fn answer(self, method: &Method) -> HandlerResult {
        let mut head = Response::builder()
            .header("access-control-allow-origin", "*")
            .header("access-control-expose-headers", "*");
        if *method == Method::OPTIONS {
            head = head
                .header("access-control-allow-methods", "GET, HEAD, OPTIONS")
                .header("access-control-allow-headers", "*");
            return head.body(whole("")).map_err(io::Error::other);
        }
        if ![Method::GET, Method::HEAD].contains(method) {
            return head
                .status(StatusCode::METHOD_NOT_ALLOWED)
                .body(whole(""))
                .map_err(io::Error::other);
        }
        head = head
            .status(self.status)
            .header(CONTENT_LENGTH, self.body.len());
        for (name, value) in self.headers {
            head = head.header(name, value);
        }
        let body = if *method == Method::HEAD {
            Bytes::new()
        } else {
            self.body
        };
        head.body(whole(body)).map_err(io::Error::other)
    }
}
