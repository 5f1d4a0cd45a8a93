//! The HTTP side of `admin`: connections, limits, and what each path answers.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use plugins::plugin::Plugin;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Current, Path, State, operator, page, post};

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
    // Who that is decides what it may do; without an address it is nobody on this machine.
    let client = stream.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let state = &state;
        async move {
            let (request, body) = request.into_parts();
            if operator::is_rebound(configured.ip(), &request.headers) {
                return Ok(text(StatusCode::MISDIRECTED_REQUEST, NOT_BY_THIS_NAME.to_owned()));
            }
            Ok::<_, Infallible>(match post::receive(&request, body, configured, state).await {
                Some(response) => response,
                None => answer(request, client, configured, state).await,
            })
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_headers(HEADERS_MAX);
    let connection = builder.max_buf_size(BUFFER_BYTES).serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => debug!(%error, "HTTP connection failed"),
    }
}

/// Answers as `respond`, what plugins tell beside the runtime: it may lie on a disk, which no query waits for.
async fn answer(
    request: Parts,
    client: IpAddr,
    configured: SocketAddr,
    state: &Arc<State>,
) -> Response<Full<Bytes>> {
    if !request.uri.path().starts_with("/v1/") {
        return respond(&request, client, configured, state);
    }
    let Ok(room) = state.asking.clone().try_acquire_owned() else {
        return json(
            503,
            format!(r#"{{"error":"{ASKING_MAX} requests of this kind are under way; try again"}}"#),
        );
    };
    let state = state.clone();
    let asking = tokio::task::spawn_blocking(move || {
        let _room = room;
        respond(&request, client, configured, &state)
    });
    asking.await.unwrap_or_else(|_| json(500, r#"{"error":"answering failed; the log says why"}"#))
}

/// Answers a request of `client` on the listener that the Corefile calls `configured`. What a request carries beside its head is not looked at; where it
/// is, `post` has answered.
pub fn respond(
    request: &Parts,
    client: IpAddr,
    configured: SocketAddr,
    state: &State,
) -> Response<Full<Bytes>> {
    let current = state.current.load();
    let has = |path| current.serves(configured, path);
    let path = request.uri.path();
    let is_api = path.starts_with("/v1/") && has(Path::Metrics);
    if request.method == Method::POST && is_api {
        return change(request, client, &current);
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        return only("only GET is answered\n", "GET, HEAD");
    }
    match path {
        "/health" if has(Path::Health) => text(StatusCode::OK, "OK\n".into()),
        "/ready" if has(Path::Ready) => match missing(state) {
            missing if missing.is_empty() => text(StatusCode::OK, "OK\n".into()),
            missing => text(StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n"),
        },
        "/metrics" if has(Path::Metrics) => typed(StatusCode::OK, OPEN_METRICS, state.metrics.encode()),
        _ if is_api => {
            let query = request.uri.query().unwrap_or_default();
            of_plugins(&current, |plugin| plugin.api(path, query))
                .unwrap_or_else(|| json(404, NO_SUCH_RESOURCE))
        }
        _ => {
            // The page asks the API, so it stands where that does.
            let page = if has(Path::Metrics) { page::get(path, &request.headers) } else { None };
            page.unwrap_or_else(|| text(StatusCode::NOT_FOUND, "no such page\n".into()))
        }
    }
}

/// Does what an operator of this machine asks for.
fn change(request: &Parts, client: IpAddr, current: &Current) -> Response<Full<Bytes>> {
    let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
    if let Err(why) = operator::admit(client, &request.headers) {
        debug!(%client, path, why, "a change was refused");
        return json(403, serde_json::json!({ "error": why }).to_string());
    }
    let changed = of_plugins(current, |plugin| plugin.change(path, query));
    changed.unwrap_or_else(|| match of_plugins(current, |plugin| plugin.api(path, query)) {
        Some(_) => only("nothing can be changed here; only GET is answered\n", "GET, HEAD"),
        None => json(404, NO_SUCH_RESOURCE),
    })
}

/// The answer of the first plugin that has one.
fn of_plugins(
    current: &Current,
    ask: impl Fn(&dyn Plugin) -> Option<(u16, String)>,
) -> Option<Response<Full<Bytes>>> {
    current
        .plugins()
        .filter_map(|plugin| ask(plugin.as_ref()))
        .next()
        .map(|(status, body)| json(status, body))
}

/// What is not ready, each with the reason.
fn missing(state: &State) -> Vec<String> {
    if state.stopping.load(Ordering::Relaxed) {
        return vec!["stopping".into()];
    }
    let current = state.current.load();
    let mut missing: Vec<String> = Vec::new();
    for plugin in current.plugins() {
        if let Err(reason) = plugin.ready() {
            missing.push(format!("{}: {reason}", plugin.name()));
        }
    }
    missing.dedup();
    missing
}

fn only(why: &str, allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, why.to_owned());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

pub(super) fn json(status: u16, body: impl Into<String>) -> Response<Full<Bytes>> {
    typed(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), "application/json", body.into())
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
const NOT_BY_THIS_NAME: &str =
    "expected `Host` to be an address or `localhost`: a web page may have had its name point here\n";
const NO_SUCH_RESOURCE: &str = r#"{"error":"no such resource"}"#;
/// Connections of one listener.
const CONNECTIONS_MAX: usize = 64;
/// Requests that plugins answer at a time, over all listeners: a disk that hangs holds a thread for each.
pub const ASKING_MAX: usize = 16;
/// Pause after `accept` failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time for the header of a request, and between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Life of a connection; scrapers open another.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES: usize = 16 << 10;
