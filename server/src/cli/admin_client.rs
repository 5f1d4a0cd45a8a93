//! A client of the admin listener, for the commands that look at a running replica: small requests, small answers, plain HTTP/1.1.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::admin::OPERATOR;

/// The longest answer that is read.
const BODY_BYTES_MAX: usize = 4 << 20;
/// How long a replica may take to answer. It answers from memory.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a replica may take to answer with a decision of the cluster: it reads for 10 s at most and waits for 10 s at most.
const DECISION_TIMEOUT: Duration = Duration::from_secs(25);
/// The port of `prometheus` when the Corefile names none.
const PORT: u16 = 9153;

/// Where a replica's admin listener is: the address of `prometheus` in its Corefile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminAddress {
    host: String,
    port: u16,
}

impl FromStr for AdminAddress {
    type Err = String;

    /// Reads `192.0.2.1:9153`, `:9153`, `localhost`, `[::1]:9153` or `http://127.0.0.1:9153/metrics`.
    fn from_str(text: &str) -> Result<AdminAddress, String> {
        let expected =
            |why: &str| Err(format!("expected an address such as `127.0.0.1:9153`, got `{text}`{why}"));
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return expected("; the admin listener speaks plain HTTP"),
            None => text,
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if let Some(port) = authority.strip_prefix(':').map(str::parse) {
            return port
                .map(|port| AdminAddress { host: "127.0.0.1".to_owned(), port })
                .or_else(|_| expected(""));
        }
        if let Ok(address) = authority.parse::<std::net::Ipv6Addr>() {
            return Ok(AdminAddress { host: format!("[{address}]"), port: PORT });
        }
        let Ok(uri) = authority.parse::<http::uri::Authority>() else { return expected("") };
        let port = match (uri.port(), authority.rsplit_once(':')) {
            (Some(port), _) => port.as_u16(),
            (None, Some((_, port))) if !port.ends_with(']') => {
                return expected("; a port goes from 0 to 65535");
            }
            (None, _) => PORT,
        };
        if uri.host().is_empty() || authority.contains('@') {
            return expected("");
        }
        Ok(AdminAddress { host: uri.host().to_owned(), port })
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why a replica does not say what it was asked, or does not do it.
#[derive(Debug, Error)]
pub enum AdminClientError {
    /// Nobody listens, or nobody answers.
    #[error("{address}: {error}{hint}", hint = hint(.error))]
    Unreachable {
        /// Whom we asked.
        address: AdminAddress,
        /// What the system says.
        error: io::Error,
    },
    /// What answers is no admin listener of Quorate.
    #[error("{address}: {what}; is this the address of `prometheus` in a replica's Corefile?")]
    Stranger {
        /// Whom we asked.
        address: AdminAddress,
        /// What came.
        what: String,
    },
    /// The replica says no, in its own words.
    #[error("{address}: {said}")]
    Refused {
        /// Whom we asked.
        address: AdminAddress,
        /// The replica's words.
        said: String,
    },
}

/// What to do about a replica that cannot be reached.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "; nobody listens there: `quorate serve` prints where it does, and `prometheus ADDRESS` in the Corefile says it"
        }
        io::ErrorKind::TimedOut => {
            "; is this the address of `prometheus` in the Corefile, and one that can be reached from here?"
        }
        _ => "",
    }
}

/// Asks for `GET path`.
///
/// Errors: see [`AdminClientError`].
pub async fn get(address: &AdminAddress, path: &str) -> Result<Value, AdminClientError> {
    ask(address, Method::GET, path, None, TIMEOUT).await
}

/// Asks for a change, `POST path`.
///
/// Errors: see [`AdminClientError`].
pub async fn post(address: &AdminAddress, path: &str) -> Result<Value, AdminClientError> {
    ask(address, Method::POST, path, None, TIMEOUT).await
}

/// Has certificates judged, `POST path` with `pem`. The cluster decides, so the answer may take a while.
///
/// Errors: see [`AdminClientError`].
pub async fn post_pem(address: &AdminAddress, path: &str, pem: String) -> Result<Value, AdminClientError> {
    ask(address, Method::POST, path, Some(pem), DECISION_TIMEOUT).await
}

/// The value of a parameter in a path, percent-encoded.
pub fn parameter(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

async fn ask(
    address: &AdminAddress,
    method: Method,
    path: &str,
    pem: Option<String>,
    within: Duration,
) -> Result<Value, AdminClientError> {
    let unreachable = |error| AdminClientError::Unreachable { address: address.clone(), error };
    let exchanged = timeout(within, exchange(address, method, path, pem)).await;
    let (status, body) =
        exchanged.map_err(|_| unreachable(io::ErrorKind::TimedOut.into()))?.map_err(unreachable)?;
    let parsed = serde_json::from_slice::<Value>(&body).map(printable);
    let said = parsed.as_ref().ok().and_then(|body| body["error"].as_str()).map(str::to_owned);
    match (status, parsed, said) {
        (200, Ok(body), _) => Ok(body),
        (_, _, Some(said)) => Err(AdminClientError::Refused { address: address.clone(), said }),
        (status, _, None) => {
            let what = format!("expected JSON, got something else (HTTP status {status})");
            Err(AdminClientError::Stranger { address: address.clone(), what })
        }
    }
}

/// The same without control characters: among what a replica says are words of its peers, and this goes to somebody's terminal.
fn printable(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(char::is_control, "\u{fffd}")),
        Value::Array(items) => items.into_iter().map(printable).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, printable(value))).collect(),
        plain => plain,
    }
}

/// One request on a connection of its own.
async fn exchange(
    address: &AdminAddress,
    method: Method,
    path: &str,
    pem: Option<String>,
) -> io::Result<(u16, Bytes)> {
    let host = address.host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, address.port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let mut request = Request::builder()
        .method(method)
        .uri(path.parse::<Uri>().map_err(io::Error::other)?)
        .header(HOST, address.to_string())
        .header(OPERATOR, "yes");
    if pem.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-pem-file");
    }
    let body = Full::new(Bytes::from(pem.unwrap_or_default()));
    let request = request.body(body).map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let body =
            Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await.map_err(io::Error::other)?;
        Ok((status, body.to_bytes()))
    };
    // The connection does the work while the exchange waits for it.
    tokio::select! {
        biased;
        exchanged = exchange => exchanged,
        Err(error) = connection => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn address_is_read_as_people_have_it() {
        for (text, expected) in [
            ("127.0.0.1:5460", "127.0.0.1:5460"),
            ("http://127.0.0.1:9153/metrics", "127.0.0.1:9153"),
            ("localhost", "localhost:9153"),
            (":9160", "127.0.0.1:9160"),
            ("[::1]:9160", "[::1]:9160"),
            ("[::1]", "[::1]:9153"),
            ("2001:db8::1", "[2001:db8::1]:9153"),
            ("replica.example.org:80", "replica.example.org:80"),
        ] {
            assert_eq!(
                text.parse::<AdminAddress>().map(|address| address.to_string()),
                Ok(expected.to_owned())
            );
        }
        for wrong in ["", "https://127.0.0.1", "127.0.0.1:99999", ":", "a b", "127.0.0.1:port", "user@host:1"]
        {
            let said = wrong.parse::<AdminAddress>().unwrap_err();
            assert!(said.starts_with("expected an address such as `127.0.0.1:9153`"), "{wrong}: {said}");
        }
    }

    /// What is said when the listener answers one request with `answer`; and the request.
    async fn said_to(answer: &'static str) -> (Result<Value, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: AdminAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).to_ascii_lowercase()
        });
        let result = post(&address, "/v1/quarantine/lift?replica=2").await;
        let result = result.map_err(|error| error.to_string().replace(&address.to_string(), "ADDRESS"));
        (result, serving.await.unwrap())
    }

    #[tokio::test]
    async fn request_carries_what_admits_an_operator() {
        let (answer, request) = said_to("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        assert_eq!(answer, Ok(Value::Object(Default::default())));
        assert!(request.starts_with("post /v1/quarantine/lift?replica=2 http/1.1\r\n"), "{request}");
        assert!(
            request.contains("\r\nhost: 127.0.0.1:") && request.contains("\r\nquorate-operator: yes\r\n"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn refusal_is_told_in_the_words_of_the_replica() {
        let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 19\r\n\r\n{\"error\":\"no such\"}";
        assert_eq!(said_to(answer).await.0, Err("ADDRESS: no such".to_owned()));
    }

    #[tokio::test]
    async fn no_control_character_of_a_peer_reaches_the_terminal() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 31\r\n\r\n{\"a\":[{\"b\":\"\\u001b[2J\\nreal\"}]}";
        let said = said_to(answer).await.0.unwrap();
        assert_eq!(said["a"][0]["b"], "\u{fffd}[2J\u{fffd}real");
    }

    #[tokio::test]
    async fn server_of_another_kind_is_told_as_such() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let expected = "ADDRESS: expected JSON, got something else (HTTP status 200); is this the address of `prometheus` in a replica's Corefile?";
        assert_eq!(said_to(answer).await.0, Err(expected.to_owned()));
        assert!(said_to("hello\r\n\r\n").await.0.unwrap_err().starts_with("ADDRESS: "));
    }

    #[tokio::test]
    async fn address_where_nobody_listens_is_told_with_where_to_look() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: AdminAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
        drop(listener);
        let said = get(&address, "/v1/status").await.unwrap_err().to_string();
        assert!(said.contains("nobody listens there: `quorate serve` prints where it does"), "{said}");
    }
}
