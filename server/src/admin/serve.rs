//! The HTTP side of `admin`: connections, limits, and what each path answers.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Path, State};

/// Serves a listener until `stop`. `configured` is its address in the Corefile.
pub async fn listen(socket: TcpListener, configured: SocketAddr, state: Arc<State>, stop: CancellationToken) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return warn!(address = %configured, %error, "HTTP service cannot be served"),
    };
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let (state, stop) = (state.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(stream, configured, state) => {}
            }
            drop(permit);
        });
    }
}

async fn serve(stream: TcpStream, configured: SocketAddr, state: Arc<State>) {
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let response = respond(request.method(), request.uri(), configured, &state);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_headers(HEADERS_MAX);
    let connection = builder.max_buf_size(BUFFER_BYTES).serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => debug!(%error, "HTTP connection failed"),
    }
}

/// Answers a request on the listener that the Corefile calls `configured`.
pub fn respond(method: &Method, uri: &Uri, configured: SocketAddr, state: &State) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".into());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let current = state.current.load();
    let has = |path| current.paths.get(&configured).is_some_and(|paths| paths.contains(&path));
    match uri.path() {
        "/health" if has(Path::Health) => text(StatusCode::OK, "OK\n".into()),
        "/ready" if has(Path::Ready) => match missing(state) {
            missing if missing.is_empty() => text(StatusCode::OK, "OK\n".into()),
            missing => text(StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n"),
        },
        "/metrics" if has(Path::Metrics) => typed(StatusCode::OK, OPEN_METRICS, state.metrics.encode()),
        path if path.starts_with("/v1/") && has(Path::Metrics) => {
            let query = uri.query().unwrap_or_default();
            let plugins = current.chains.iter().flat_map(|chain| chain.plugins());
            match plugins.filter_map(|plugin| plugin.api(path, query)).next() {
                Some((status, json)) => {
                    typed(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), "application/json", json)
                }
                None => {
                    typed(StatusCode::NOT_FOUND, "application/json", r#"{"error":"no such resource"}"#.into())
                }
            }
        }
        _ => text(StatusCode::NOT_FOUND, "no such page\n".into()),
    }
}

/// What is not ready, each with the reason.
fn missing(state: &State) -> Vec<String> {
    if state.stopping.load(Ordering::Relaxed) {
        return vec!["stopping".into()];
    }
    let current = state.current.load();
    let mut missing: Vec<String> = Vec::new();
    for plugin in current.chains.iter().flat_map(|chain| chain.plugins()) {
        if let Err(reason) = plugin.ready() {
            missing.push(format!("{}: {reason}", plugin.name()));
        }
    }
    missing.dedup();
    missing
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Connections of one listener.
const CONNECTIONS_MAX: usize = 64;
/// Pause after `accept` failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time for the header of a request, and between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Life of a connection; scrapers open another.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES: usize = 16 << 10;
