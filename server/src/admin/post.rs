//! `POST` with a body, below `/v1/`: what whoever reaches the listener may send, and within which bounds.
//!
//! Such a request changes nothing, so it needs no operator. That no web page can send it from somebody's browser, its content type sees to: a form cannot
//! have one of these, and a script of another site only after a preflight (Fetch Standard §4.8), which is never answered here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use plugins::plugin::Plugin;
use plugins::validator::REQUEST_BYTES_MAX;
use serde_json::json;
use tokio::time::timeout;

use super::serve::json as answer;
use super::{Path, State};

/// Answers `POST` to a path that a plugin receives; `None` for every other request, whose body is not read.
pub async fn receive<B>(
    request: &Parts,
    body: B,
    configured: SocketAddr,
    state: &State,
) -> Option<Response<Full<Bytes>>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let receivers = receivers(request, configured, state);
    if receivers.is_empty() {
        return None;
    }
    if !has_content_type(&request.headers) {
        let expected = CONTENT_TYPES.map(|expected| format!("`{expected}`")).join(", ");
        return Some(refuse(415, &format!("expected one of the content types {expected}")));
    }
    let Ok(permit) = state.posts.clone().try_acquire_owned() else {
        return Some(refuse(503, &format!("{POSTS_MAX} requests of this kind are under way; try again")));
    };
    let body = match timeout(BODY_TIMEOUT, Limited::new(body, REQUEST_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Some(refuse(413, &format!("expected a body of at most {REQUEST_BYTES_MAX} bytes")));
        }
        Ok(Err(_)) => return Some(refuse(400, "the body ends early")),
        Err(_) => return Some(refuse(408, "expected the whole body within 10 s")),
    };
    // Whoever goes does not stop what was begun for it, so its place is free only when that is done.
    let uri = request.uri.clone();
    let begun = tokio::spawn(async move {
        let _permit = permit;
        hand_to(&receivers, &uri, body).await
    });
    Some(match begun.await {
        Ok(Some((status, text))) => answer(status, text),
        Ok(None) => refuse(404, "no such resource"),
        Err(_) => refuse(500, "the request failed here; see the log"),
    })
}

/// What the first plugin answers that has this resource.
async fn hand_to(receivers: &[Arc<dyn Plugin>], uri: &Uri, body: Bytes) -> Option<(u16, String)> {
    for plugin in receivers {
        let answered = plugin.post(uri.path(), uri.query().unwrap_or_default(), body.clone()).await;
        if answered.is_some() {
            return answered;
        }
    }
    None
}

/// The plugins that receive the body of a request; none of a request without one that is read.
fn receivers(request: &Parts, configured: SocketAddr, state: &State) -> Vec<Arc<dyn Plugin>> {
    let (current, path) = (state.current.load(), request.uri.path());
    let is_ours = request.method == Method::POST
        && path.starts_with("/v1/")
        && current.serves(configured, Path::Metrics);
    let receives = |plugin: &&Arc<dyn Plugin>| is_ours && plugin.receives(path);
    current.plugins().filter(receives).cloned().collect()
}

fn has_content_type(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    CONTENT_TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known))
}

fn refuse(status: u16, why: &str) -> Response<Full<Bytes>> {
    answer(status, json!({ "error": why }).to_string())
}

/// What a body may be. None of them is one that a form or a simple request can have.
const CONTENT_TYPES: [&str; 3] =
    ["application/x-pem-file", "application/pkix-cert", "application/octet-stream"];
/// Requests with a body at a time, over all listeners.
pub const POSTS_MAX: usize = 16;
/// Time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;
