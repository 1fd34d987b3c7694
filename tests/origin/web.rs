//! A web server behind the proxy. It records requests, and can be slow, empty or broken.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) path: String,
    pub(crate) headers: String,
}

/// How the server behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct WebBehaviour {
    /// Every file is missing.
    pub(crate) empty: bool,
    /// Every request fails.
    pub(crate) broken: bool,
    /// The delay of every response.
    pub(crate) pause: Duration,
    pub(crate) content: String,
}

/// The server. Its thread ends with the test.
pub(crate) struct UpstreamServer {
    port: u16,
    asked: Arc<Mutex<Vec<ReceivedRequest>>>,
    manner: Arc<Mutex<WebBehaviour>>,
}

impl UpstreamServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, manner) = (
            Arc::<Mutex<Vec<ReceivedRequest>>>::default(),
            Arc::<Mutex<WebBehaviour>>::default(),
        );
        let (of_asked, of_manner) = (Arc::clone(&asked), Arc::clone(&manner));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, manner) = (Arc::clone(&of_asked), Arc::clone(&of_manner));
                thread::spawn(move || answer(stream, &asked, &manner));
            }
        });
        Self {
            port,
            asked,
            manner,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn behave(&self, change: impl FnOnce(&mut WebBehaviour)) {
        change(&mut self.manner.lock().unwrap());
    }

    pub(crate) fn asked(&self) -> Vec<ReceivedRequest> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers one request. The response allows caches to keep it for a day, which the proxy must
/// ignore.
fn answer(
    mut stream: TcpStream,
    asked: &Mutex<Vec<ReceivedRequest>>,
    manner: &Mutex<WebBehaviour>,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    asked.lock().unwrap().push(ReceivedRequest {
        path,
        headers: headers.join("\n"),
    });
    let manner = manner.lock().unwrap().clone();
    sleep(manner.pause);
    let (status, body) = match (manner.broken, manner.empty) {
        (true, _) => ("503 Service Unavailable", "broken"),
        (_, true) => ("404 Not Found", "missing"),
        _ => ("200 OK", manner.content.as_str()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nCache-Control: max-age=86400\r\nX-Accel-Expires: 86400\r\n\
         Set-Cookie: a=b\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // A client that has disconnected needs no response.
    let _ = stream.write_all(answer.as_bytes());
}

/// The response that a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl HttpResponse {
    /// The value of a header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        let headers = self
            .headers
            .lines()
            .filter_map(|line| line.split_once(": "));
        let mut found = headers.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value).unwrap_or_default()
    }
}

/// Sends a request as a viewer does, through a CDN if `forwarded` is not empty.
pub(crate) fn get(url: &str, path: &str, forwarded: &str) -> HttpResponse {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let forwarded = if forwarded.is_empty() {
        String::new()
    } else {
        format!("X-Forwarded-For: {forwarded}\r\n")
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: live.example\r\n{forwarded}Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (first, headers) = head.split_once("\r\n").unwrap();
    let status = first.split(' ').nth(1).unwrap().parse().unwrap();
    HttpResponse {
        status,
        headers: headers.to_owned(),
        body: body.to_owned(),
    }
}
