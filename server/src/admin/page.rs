//! The dashboard: one page with its style and scripts, out of the program itself. What it shows it asks of `/v1/` and `/metrics`, as anybody may.
//!
//! Pure. The files stand in `page/`; none of them holds a script or a style inline, or names another host, so that the policy below can be strict.

use std::hash::Hasher as _;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body_util::Full;
use siphasher::sip::SipHasher13;

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

/// All of them. Links in them are relative, so that a proxy may serve the page under another path.
const FILES: [File; 11] = [
    File { path: "/", content_type: HTML, text: include_str!("page/index.html") },
    File { path: "/page/style.css", content_type: CSS, text: include_str!("page/style.css") },
    File { path: "/page/icon.svg", content_type: SVG, text: include_str!("page/icon.svg") },
    File { path: "/page/dashboard.js", content_type: SCRIPT, text: include_str!("page/dashboard.js") },
    File { path: "/page/resource.js", content_type: SCRIPT, text: include_str!("page/resource.js") },
    File { path: "/page/words.js", content_type: SCRIPT, text: include_str!("page/words.js") },
    File { path: "/page/write.js", content_type: SCRIPT, text: include_str!("page/write.js") },
    File { path: "/page/standing.js", content_type: SCRIPT, text: include_str!("page/standing.js") },
    File { path: "/page/replicas.js", content_type: SCRIPT, text: include_str!("page/replicas.js") },
    File { path: "/page/transparency.js", content_type: SCRIPT, text: include_str!("page/transparency.js") },
    File { path: "/page/why.js", content_type: SCRIPT, text: include_str!("page/why.js") },
];

/// The file at `path`, if there is one; without its text for a client that has it already (RFC 9110 §13.1.2).
pub fn get(path: &str, headers: &HeaderMap) -> Option<Response<Full<Bytes>>> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let tag = tag(file.text);
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|known| names(known, &tag));
    let text = if is_known { "" } else { file.text };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(ETAG, HeaderValue::try_from(tag).expect("hexadecimal digits in quotes are a value"));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

/// What names this text among all that ever stood at its path; the same in every process, so that a client's copy survives a restart.
fn tag(text: &str) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether `If-None-Match: value` holds `tag`. What a proxy has compressed comes back as weak, and is the same to us.
fn names(value: &HeaderValue, tag: &str) -> bool {
    let Ok(value) = value.to_str() else { return false };
    value.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// What is said with every file: that the page takes nothing from elsewhere, makes no markup out of text, and stands in no frame.
const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Asked for each time, so that the page is that of the program which answers it.
    (CACHE_CONTROL, "no-cache"),
];
/// Source: Content Security Policy Level 3; Trusted Types, by which a browser itself refuses to make markup of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
