//! DNS over HTTPS, RFC 8484: HTTP/1.1 and HTTP/2 over TLS, GET and POST of `/dns-query`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use plugins::{Client, Transport};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant as Time, sleep, timeout, timeout_at};
use tracing::trace;

use super::freshness::max_age;
use super::limits::{CONNECTION_QUERIES_MAX, Connections, MESSAGE_TIMEOUT, WRITE_TIMEOUT};
use super::stream::Streams;
use super::tcp::{self, Accepted};
use super::tls::{Settings, handshake};
use crate::engine::Glance;
use crate::message::{FLAG_QR, HEADER_BYTES};

/// Serves DNS over HTTPS.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    connections: Arc<Connections>,
    streams: Streams,
) {
    let ends = (streams.tasks.clone(), streams.stop.clone());
    tcp::accept(listener, Transport::Https, connections, ends, move |Accepted { stream, client }| {
        let (settings, streams) = (settings.clone(), streams.clone());
        async move {
            if let Some(stream) = handshake(stream, &settings, &client).await {
                serve_connection(stream, client, streams).await;
            }
        }
    })
    .await;
}

/// Requests of a connection that are under way, and a bell for when one begins or ends.
#[derive(Default)]
struct Activity {
    requests: AtomicUsize,
    changed: Notify,
}

/// Serves a connection until it ends, is idle for too long, or the listener is stopped.
async fn serve_connection<S>(stream: S, client: Client, streams: Streams)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let service = service_fn(|request| {
        let (streams, activity) = (streams.clone(), activity.clone());
        async move {
            activity.requests.fetch_add(1, Ordering::Relaxed);
            activity.changed.notify_one();
            let response = respond(request, client, &streams).await;
            activity.requests.fetch_sub(1, Ordering::Relaxed);
            activity.changed.notify_one();
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder();
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut connection => return trace!(?ended, %client.address, "connection ended"),
        () = streams.stop.cancelled() => "stopped",
        () = idle(&activity, &streams) => "idle",
    };
    trace!(ended, %client.address, "closing connection");
    connection.as_mut().graceful_shutdown();
    let _ = timeout(streams.entrance.query_deadline() + WRITE_TIMEOUT, connection).await;
}

/// Returns when no request has been under way for as long as a connection may be idle.
async fn idle(activity: &Activity, streams: &Streams) {
    loop {
        let busy = activity.requests.load(Ordering::Relaxed) > 0;
        tokio::select! {
            () = activity.changed.notified() => {}
            () = sleep(streams.entrance.idle_timeout()), if !busy => return,
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(MESSAGE_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(CONNECTION_QUERIES_MAX as u32)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(u32::from(u16::MAX))
        .initial_connection_window_size(CONNECTION_BYTES_MAX)
        .max_send_buf_size(u16::MAX.into())
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(Some(RESETS_MAX))
        .keep_alive_interval(MESSAGE_TIMEOUT)
        .keep_alive_timeout(WRITE_TIMEOUT);
    builder
}

/// Answers a request.
async fn respond<B>(request: Request<B>, client: Client, streams: &Streams) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, mut body) = request.into_parts();
    let until = Time::now() + MESSAGE_TIMEOUT;
    let wire = match read_request(&parts, &mut body, until).await {
        Ok(wire) => wire,
        Err(status) => {
            // Both versions of HTTP break the stream off when the client is still sending, and the answer may be lost with it.
            let _ = timeout_at(until, drain(body)).await;
            return refuse(status);
        }
    };
    let received = Instant::now();
    let Ok(_room) = streams.room.acquire().await else { return refuse(StatusCode::SERVICE_UNAVAILABLE) };
    let mut reply = Vec::new();
    let answered = match streams.entrance.glance(&wire, &client, received, &mut reply) {
        Glance::Answered => Some(reply),
        Glance::Silent | Glance::Dropped => None,
        Glance::Ask => streams.entrance.serve(&wire, client, received).await,
    };
    let Some(reply) = answered else { return refuse(StatusCode::INTERNAL_SERVER_ERROR) };
    let lifetime = HeaderValue::from_str(&format!("max-age={}", max_age(&reply)));
    let mut response = Response::new(Full::new(Bytes::from(reply)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(DNS_MESSAGE));
    headers.insert(CACHE_CONTROL, lifetime.expect("digits are legal in a header"));
    response
}

/// The DNS message in a request, or the status that says why there is none. Its body has to be there before `until`.
async fn read_request<B>(parts: &Parts, body: &mut B, until: Time) -> Result<Bytes, StatusCode>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if parts.uri.path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    let wire = match parts.method {
        Method::GET => message_in_query(parts.uri.query().unwrap_or_default())?.into(),
        Method::POST => message_in_body(parts, body, until).await?,
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    if wire.len() < HEADER_BYTES || wire[2] & FLAG_QR != 0 {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(wire)
}

/// The message in `dns=`, base64url without padding. Its length is judged before it is decoded.
fn message_in_query(query: &str) -> Result<Vec<u8>, StatusCode> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("dns="));
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    if value.len() > QUERY_CHARACTERS_MAX {
        return Err(StatusCode::URI_TOO_LONG);
    }
    URL_SAFE_NO_PAD.decode(value).map_err(|_| StatusCode::BAD_REQUEST)
}

async fn message_in_body<B>(parts: &Parts, body: &mut B, until: Time) -> Result<Bytes, StatusCode>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !content_type.eq_ignore_ascii_case(DNS_MESSAGE.as_bytes()) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    match timeout_at(until, Limited::new(body, u16::MAX.into()).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// Reads what is left of a body, to its end or to so much that the client has itself to blame.
async fn drain<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut bytes = 0;
    while bytes <= DRAINED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

fn refuse(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

/// RFC 8484 §4.1 leaves the path to the server; this one is what clients are configured with.
const PATH: &str = "/dns-query";
const DNS_MESSAGE: &str = "application/dns-message";
/// Characters of a message in a URI. A query without a cookie or padding has some fifty bytes.
const QUERY_CHARACTERS_MAX: usize = 4096;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// Bytes of a request's header.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Bytes of all bodies of a connection that may be on their way.
const CONNECTION_BYTES_MAX: u32 = 1 << 20;
/// Bytes of a body that is not wanted that are read all the same.
const DRAINED_BYTES_MAX: usize = 64 << 10;
/// Streams that a client has reset and that are not yet forgotten; more close the connection.
const RESETS_MAX: usize = 64;
