//! A client of a few lines: one request, and whatever comes back before the connection ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    /// Without chunks, but packed as it came.
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks for what is at a path below a URL like `http://127.0.0.1:1/`.
pub fn get(url: &str, path: &str) -> Got {
    exchange(url, &format!("GET /{path} HTTP/1.1\r\n"), b"", u64::MAX)
}

/// As `get`, but reads so many bytes at most.
pub fn get_some(url: &str, path: &str, bytes_max: u64) -> Got {
    exchange(url, &format!("GET /{path} HTTP/1.1\r\n"), b"", bytes_max)
}

pub fn get_gzip(url: &str, path: &str) -> Got {
    exchange(url, &format!("GET /{path} HTTP/1.1\r\nAccept-Encoding: gzip\r\n"), b"", u64::MAX)
}

pub fn post(url: &str, path: &str, body: &Value) -> Got {
    let body = body.to_string();
    let head = format!("POST /{path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    exchange(url, &head, body.as_bytes(), u64::MAX)
}

/// Connects and asks, without reading.
pub fn begin(url: &str, path: &str) -> TcpStream {
    send(url, &format!("GET /{path} HTTP/1.1\r\n"), b"")
}

/// Reads what comes.
pub fn finish(stream: TcpStream) -> Got {
    read(stream, u64::MAX)
}

fn exchange(url: &str, head: &str, body: &[u8], bytes_max: u64) -> Got {
    read(send(url, head, body), bytes_max)
}

fn send(url: &str, head: &str, body: &[u8]) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!("{head}Host: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream
}

fn read(stream: TcpStream, bytes_max: u64) -> Got {
    let mut bytes = Vec::new();
    // A connection that breaks is an answer, too.
    let _ = stream.take(bytes_max).read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let status = head[9..12].parse().unwrap();
    let rest = &bytes[end + 4..];
    if head.contains("transfer-encoding: chunked") {
        let (body, whole) = unchunked(rest);
        return Got { status, head, body, whole };
    }
    let length = head.split("content-length: ").nth(1).expect("a length").lines().next().unwrap();
    let whole = rest.len() == length.parse::<usize>().unwrap();
    Got { status, body: rest.to_vec(), head, whole }
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(end + 2..end + 2 + length) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(end + 4 + length..).unwrap_or_default();
    }
    (body, false)
}
