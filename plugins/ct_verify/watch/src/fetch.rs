//! One GET with bounds on everything: whom, how long, how much, how many at a time.
//!
//! Decides whether a URL may be asked at all. What comes back is bytes that nobody has looked at.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, StatusCode, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::resolver::{Forbidden, Guard, Resolver, check_addresses};

/// Whom background work may ask, and how.
#[derive(Clone)]
pub struct FetchConfig {
    /// Hosts that may be asked though only a certificate names them: `crl.example.org`, or `*.example.org` for all below it.
    pub hosts: Vec<String>,
    /// Whether private addresses may be reached: for tests, and for networks with their own logs.
    pub allow_private: bool,
    /// By whose certificates servers are believed.
    pub tls_roots: Arc<RootCertStore>,
    /// Where addresses come from.
    pub resolver: Arc<dyn Resolver>,
}

/// Asks others, within bounds. Cheap to share behind an `Arc`.
pub struct Fetcher {
    client: Client,
    hosts: Vec<String>,
    allow_private: bool,
    places: Semaphore,
}

/// Who named a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// The operator, or the log list that the operator chose.
    Named,
    /// A certificate, so anybody: the operator must have allowed the host.
    Listed,
}

/// How much of an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest body, in bytes, unpacked.
    pub bytes_max: usize,
    /// From the first connection to the last byte.
    pub total: Duration,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Not a URL, or not one of HTTP.
    #[error("`{0}` is no URL of HTTP")]
    Url(String),
    /// The operator has not allowed the host.
    #[error("`{0}` is not among the hosts that may be asked")]
    Host(String),
    /// The host is inside some network.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The answer sends us elsewhere.
    #[error("`{from}` sends us to another host, or around in circles")]
    Redirect {
        /// Who answered so.
        from: String,
    },
    /// The answer is none that helps.
    #[error("status {0}")]
    Status(u16),
    /// The body is longer than the bound.
    #[error("more than {0} bytes")]
    TooLong(usize),
    /// The time was over.
    #[error("no whole answer within {0:?}")]
    TimedOut(Duration),
    /// The connection, TLS or HTTP broke.
    #[error("{0}")]
    Broken(String),
}

/// The client for HTTP could not be set up.
#[derive(Debug, Error)]
#[error("no client for HTTP: {0}")]
pub struct FetcherError(String);

impl Fetcher {
    /// A fetcher by these rules. Proxies, cookies and referrers are not used.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(config: FetchConfig) -> Result<Self, FetcherError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetcherError(error.to_string()))?
            .with_root_certificates(config.tls_roots)
            .with_no_client_auth();
        let guard = Guard { resolver: config.resolver, allow_private: config.allow_private };
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(guard))
            .redirect(redirect::Policy::custom(follow))
            .no_proxy()
            .referer(false)
            .user_agent("quorate")
            .connect_timeout(CONNECT_MAX)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE_MAX)
            .build()
            .map_err(|error| FetcherError(chain_of(&error)))?;
        Ok(Fetcher {
            client,
            hosts: config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            allow_private: config.allow_private,
            places: Semaphore::new(CONCURRENT_MAX),
        })
    }

    /// Whether the operator allowed this host, in lower case as URLs have it.
    pub fn allows(&self, host: &str) -> bool {
        self.hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
            Some(zone) => host
                .strip_suffix(zone)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty()),
            None => allowed == host,
        })
    }

    /// The body of a URL, whole.
    ///
    /// # Errors
    /// [`FetchError`] for anything but status 200 and a body within the bounds.
    pub async fn get(&self, url: &str, permit: Permit, limits: Limits) -> Result<Bytes, FetchError> {
        let url = self.check(url, permit)?;
        let asked = async {
            let _place =
                self.places.acquire().await.map_err(|error| FetchError::Broken(error.to_string()))?;
            self.ask(url, limits.bytes_max).await
        };
        tokio::time::timeout(limits.total, asked).await.unwrap_or(Err(FetchError::TimedOut(limits.total)))
    }

    fn check(&self, text: &str, permit: Permit) -> Result<Url, FetchError> {
        let not_http = || FetchError::Url(text.chars().take(URL_SHOWN_MAX).collect());
        if text.len() > URL_BYTES_MAX {
            return Err(not_http());
        }
        let url = Url::parse(text).map_err(|_| not_http())?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            return Err(not_http());
        }
        let host = url.host_str().ok_or_else(not_http)?;
        if permit == Permit::Listed && !self.allows(host) {
            return Err(FetchError::Host(host.to_owned()));
        }
        // The client does not ask the resolver, and so not its guard, for an address in place of a name.
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            check_addresses(host, &[address], self.allow_private)?;
        }
        Ok(url)
    }

    async fn ask(&self, url: Url, bytes_max: usize) -> Result<Bytes, FetchError> {
        let mut response = self.client.get(url).send().await.map_err(refine)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).map_or(true, |announced| bytes_max < announced) {
            return Err(FetchError::TooLong(bytes_max));
        }
        let mut body = BytesMut::new();
        // Counted as it comes, after unpacking: a small body may unpack to a large one.
        while let Some(chunk) = response.chunk().await.map_err(refine)? {
            if bytes_max - body.len() < chunk.len() {
                return Err(FetchError::TooLong(bytes_max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// Follows a redirection on the same host and port, or from plain HTTP to TLS on it, and no other.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let Some(before) = attempt.previous().last() else { return attempt.stop() };
    let (url, ports) = (attempt.url(), (before.port(), attempt.url().port()));
    let same_host = before.host_str() == url.host_str();
    let same_place =
        before.scheme() == url.scheme() && before.port_or_known_default() == url.port_or_known_default();
    let upgrade = before.scheme() == "http" && url.scheme() == "https" && ports == (None, None);
    if same_host && (same_place || upgrade) && attempt.previous().len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.error(Elsewhere)
    }
}

#[derive(Debug, Error)]
#[error("to another host, or around in circles")]
struct Elsewhere;

/// The error of the client in our words: a refusal of ours comes back wrapped in its own.
fn refine(error: reqwest::Error) -> FetchError {
    if error.is_redirect() {
        let from = error.url().and_then(Url::host_str).unwrap_or_default().to_owned();
        return FetchError::Redirect { from };
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return FetchError::Forbidden(forbidden.clone());
        }
        cause = inner.source();
    }
    FetchError::Broken(chain_of(&error))
}

/// All that an error says, outermost first; the URL left out, which the caller knows.
fn chain_of(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = if text.is_empty() { inner.to_string() } else { format!("{text}: {inner}") };
        cause = inner.source();
    }
    let text = if text.is_empty() { error.to_string() } else { text };
    text.chars().take(ERROR_TEXT_MAX).collect()
}

/// How many requests may be under way at once: more than there are logs in use, so that slow ones do not hold up others.
const CONCURRENT_MAX: usize = 128;
/// How often an answer may send us on.
const REDIRECTS_MAX: usize = 3;
/// How long a URL may be, in bytes.
pub const URL_BYTES_MAX: usize = 2048;
const URL_SHOWN_MAX: usize = 200;
const ERROR_TEXT_MAX: usize = 300;
const CONNECT_MAX: Duration = Duration::from_secs(10);
const IDLE_MAX: Duration = Duration::from_secs(30);
