//! Tests of requests with a body: which are read, and within which bounds.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use http::Request;
use hyper::body::Frame;
use plugins::chain::Chain;
use plugins::metrics::Metrics;
use plugins::setup::Service;
use plugins::{Next, Query, ServeError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::*;
use crate::admin::{Admin, Current};

const PEM: &str = "application/x-pem-file";
const PATH: &str = "/v1/things/judge?name=a";

/// Says how long the body was.
struct Receiver;

#[async_trait]
impl Plugin for Receiver {
    fn name(&self) -> &'static str {
        "receiver"
    }

    async fn serve(&self, _query: &Query, _next: Next) -> Result<plugins::Response, ServeError> {
        Err(ServeError::NoPlugin)
    }

    fn receives(&self, path: &str) -> bool {
        path == "/v1/things/judge"
    }

    async fn post(&self, path: &str, query: &str, body: Bytes) -> Option<(u16, String)> {
        assert!(self.receives(path), "{path}");
        Some((200, format!("{query}: {} bytes", body.len())))
    }
}

/// Answers when it is let.
struct Slow(Arc<Notify>);

#[async_trait]
impl Plugin for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn serve(&self, _query: &Query, _next: Next) -> Result<plugins::Response, ServeError> {
        Err(ServeError::NoPlugin)
    }

    fn receives(&self, path: &str) -> bool {
        path == "/v1/things/judge"
    }

    async fn post(&self, _path: &str, _query: &str, _body: Bytes) -> Option<(u16, String)> {
        self.0.notified().await;
        Some((200, "judged".to_owned()))
    }
}

/// A body of which nothing comes.
struct Stuck;

impl Body for Stuck {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

fn configured() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn admin(service: Service) -> Admin {
    admin_of(service, Arc::new(Receiver))
}

fn admin_of(service: Service, plugin: Arc<dyn Plugin>) -> Admin {
    let admin = Admin::new(Arc::new(Metrics::new()));
    let paths = admin.open(&[service]).unwrap().paths;
    let chains = vec![Chain::new(vec![plugin])];
    admin.state.current.store(Arc::new(Current { paths, chains, lameduck: Duration::ZERO }));
    admin
}

fn with_api() -> Admin {
    admin(Service::Metrics { address: configured() })
}

/// What is answered to `POST target` with a body of this content type; `None` when the body is not read.
async fn post<B>(state: &State, target: &str, content_type: &str, body: B) -> Option<(u16, String)>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let request = Request::post(target).header("content-type", content_type).body(()).unwrap();
    let response = receive(&request.into_parts().0, body, configured(), state).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Some((status, String::from_utf8(body.to_vec()).unwrap()))
}

fn of_length(length: usize) -> Full<Bytes> {
    Full::new(Bytes::from(vec![b'x'; length]))
}

#[tokio::test]
async fn body_reaches_the_plugin_that_receives_its_path() {
    let admin = with_api();
    let answer = post(&admin.state, PATH, PEM, of_length(5)).await;
    assert_eq!(answer, Some((200, "name=a: 5 bytes".to_owned())));
}

#[tokio::test]
async fn body_that_nobody_receives_is_not_read() {
    let admin = with_api();
    assert_eq!(post(&admin.state, "/v1/others", PEM, Stuck).await, None);
    let request = Request::get(PATH).header("content-type", PEM).body(()).unwrap();
    assert!(receive(&request.into_parts().0, Stuck, configured(), &admin.state).await.is_none());
    let without_api = self::admin(Service::Ready { address: configured() });
    assert_eq!(post(&without_api.state, PATH, PEM, Stuck).await, None);
}

#[tokio::test]
async fn content_type_that_a_web_page_can_send_is_refused() {
    let admin = with_api();
    for content_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/x-pem-file",
        "text/plain; application/x-pem-file",
    ] {
        let (status, why) = post(&admin.state, PATH, content_type, Stuck).await.unwrap();
        assert!(status == 415 && why.contains("`application/pkix-cert`"), "{content_type}: {status} {why}");
    }
    for content_type in
        ["application/pkix-cert", "application/octet-stream", "Application/X-PEM-File; charset=us-ascii"]
    {
        assert_eq!(
            post(&admin.state, PATH, content_type, of_length(1)).await.map(|answer| answer.0),
            Some(200)
        );
    }
}

#[tokio::test]
async fn body_beyond_the_bound_is_refused() {
    let admin = with_api();
    let most = post(&admin.state, PATH, PEM, of_length(REQUEST_BYTES_MAX)).await;
    assert_eq!(most.map(|answer| answer.0), Some(200));
    let (status, why) = post(&admin.state, PATH, PEM, of_length(REQUEST_BYTES_MAX + 1)).await.unwrap();
    assert_eq!((status, why), (413, r#"{"error":"expected a body of at most 262144 bytes"}"#.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn body_that_does_not_come_is_not_waited_for() {
    let admin = with_api();
    let started = tokio::time::Instant::now();
    let answer = post(&admin.state, PATH, PEM, Stuck).await;
    assert_eq!(answer.map(|answer| answer.0), Some(408));
    assert_eq!(started.elapsed(), BODY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_there_is_room_for_are_refused_until_there_is() {
    let admin = with_api();
    let mut under_way = JoinSet::new();
    for _ in 0..POSTS_MAX {
        let state = admin.state.clone();
        under_way.spawn(async move { post(&state, PATH, PEM, Stuck).await });
    }
    for _ in 0..POSTS_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(admin.state.posts.available_permits(), 0);
    let refused = post(&admin.state, PATH, PEM, of_length(1)).await;
    assert_eq!(refused.map(|answer| answer.0), Some(503));
    while let Some(answer) = under_way.join_next().await {
        assert_eq!(answer.unwrap().map(|answer| answer.0), Some(408));
    }
    let taken = post(&admin.state, PATH, PEM, of_length(1)).await;
    assert_eq!(taken.map(|answer| answer.0), Some(200));
}

#[tokio::test(start_paused = true)]
async fn client_that_goes_makes_no_room_before_its_request_is_done() {
    let gate = Arc::new(Notify::new());
    let admin = admin_of(Service::Metrics { address: configured() }, Arc::new(Slow(gate.clone())));
    let free = || admin.state.posts.available_permits();
    for _ in 0..POSTS_MAX {
        // Time stands still until the plugin waits, so this is a client that goes then.
        let client = post(&admin.state, PATH, PEM, of_length(1));
        assert!(timeout(Duration::from_millis(1), client).await.is_err());
    }
    assert_eq!(free(), 0, "what they asked for is under way");
    let refused = post(&admin.state, PATH, PEM, of_length(1)).await;
    assert_eq!(refused.map(|answer| answer.0), Some(503));
    gate.notify_waiters();
    let all = u32::try_from(POSTS_MAX).unwrap();
    let done = timeout(BODY_TIMEOUT, admin.state.posts.acquire_many(all)).await;
    assert!(done.expect("room again").is_ok());
}

#[tokio::test]
async fn body_is_taken_over_a_socket() {
    let mut admin = Admin::new(Arc::new(Metrics::new()));
    let opened = admin.open(&[Service::Metrics { address: configured() }]).unwrap();
    admin.replace(opened, vec![Chain::new(vec![Arc::new(Receiver)])]);
    let address = admin.listeners.values().next().unwrap().address;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {PEM}\r\ncontent-length: 4\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"body").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("name=a: 4 bytes"), "{answer}");
}
