//! One GET: who may be asked, and how much of an answer is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ct_log::{Lie, Site};
use ct_watch::fetch::{FetchError, Fetcher, Limits, Permit};
use ct_watch::resolver::Resolver;
use tokio::io::AsyncWriteExt as _;

use crate::stand::{Always, fetch_config};

const LIMITS: Limits = Limits { bytes_max: 1000, total: Duration::from_secs(20) };

fn fetcher() -> Fetcher {
    Fetcher::new(fetch_config(&[], true)).unwrap()
}

/// The URL with a name in place of the address.
fn named(url: &str) -> String {
    url.replace("127.0.0.1", "site.example.org")
}

#[tokio::test]
async fn body_within_the_bound_comes_whole() {
    let site = Site::start();
    let url = site.put("/list", [7; 1000]);
    assert_eq!(&fetcher().get(&url, Permit::Named, LIMITS).await.unwrap()[..], [7; 1000]);
}

#[tokio::test]
async fn body_beyond_the_bound_is_cut_off() {
    let site = Site::start();
    let url = site.put("/list", [7; 1001]);
    let too_long = |got| matches!(got, Err(FetchError::TooLong(1000)));
    assert!(too_long(fetcher().get(&url, Permit::Named, LIMITS).await));
    for lie in [Lie::Oversize(100 << 20), Lie::Endless, Lie::GzipBomb(100 << 20)] {
        site.control().be_honest();
        site.lie(lie.clone());
        assert!(too_long(fetcher().get(&url, Permit::Named, LIMITS).await), "{lie:?}");
    }
}

#[tokio::test]
async fn answer_that_does_not_come_whole_in_time_is_none() {
    let site = Site::start();
    let url = site.put("/list", [7; 10]);
    let limits = Limits { total: Duration::from_millis(200), ..LIMITS };
    for lie in [Lie::Hold, Lie::Stall] {
        site.lie(lie.clone());
        let got = fetcher().get(&url, Permit::Named, limits).await;
        assert!(matches!(got, Err(FetchError::TimedOut(_))), "{lie:?}: {got:?}");
        site.control().be_honest();
    }
    site.lie(Lie::Cut);
    let got = fetcher().get(&url, Permit::Named, LIMITS).await;
    assert!(matches!(got, Err(FetchError::Broken(_))), "{got:?}");
}

#[tokio::test]
async fn any_status_but_200_is_no_answer() {
    let site = Site::start();
    for status in [204, 404, 500] {
        site.control().be_honest();
        site.lie(Lie::Status(status));
        let got = fetcher().get(&site.url("/list"), Permit::Named, LIMITS).await;
        assert!(matches!(got, Err(FetchError::Status(got)) if got == status), "{status}: {got:?}");
    }
}

#[tokio::test]
async fn private_address_is_refused_before_anybody_connects() {
    let site = Site::start();
    let url = site.put("/list", "body");
    let strict = Fetcher::new(fetch_config(&[], false)).unwrap();
    for url in
        [&url, &url.replace("127.0.0.1", "[::ffff:127.0.0.1]"), &url.replace("127.0.0.1", "2130706433")]
    {
        let got = strict.get(url, Permit::Named, LIMITS).await;
        assert!(matches!(got, Err(FetchError::Forbidden(_))), "{url}: {got:?}");
    }
    assert_eq!(site.control().asked(""), 0);
}

#[tokio::test]
async fn name_with_a_private_address_is_refused_even_beside_a_public_one() {
    let site = Site::start();
    let url = named(&site.put("/list", "body"));
    for addresses in [&["127.0.0.1"][..], &["9.9.9.9", "127.0.0.1"]] {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let mut config = fetch_config(&[], false);
        config.resolver = Arc::new(Always(addresses));
        let got = Fetcher::new(config).unwrap().get(&url, Permit::Named, LIMITS).await;
        assert!(matches!(got, Err(FetchError::Forbidden(_))), "{got:?}");
    }
    assert_eq!(site.control().asked(""), 0);
}

/// Says this machine when it is asked first, and then what must not be reached.
struct Rebinding(AtomicUsize);

#[async_trait]
impl Resolver for Rebinding {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
        let first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        Ok(vec![if first { "127.0.0.1" } else { "192.0.2.1" }.parse().unwrap()])
    }
}

#[tokio::test]
async fn address_that_was_checked_is_the_one_that_is_connected_to() {
    let site = Site::start();
    let url = named(&site.put("/list", "body"));
    let resolver = Arc::new(Rebinding(AtomicUsize::new(0)));
    let mut config = fetch_config(&[], true);
    config.resolver = resolver.clone();
    let got = Fetcher::new(config).unwrap().get(&url, Permit::Named, LIMITS).await;
    assert_eq!(&got.unwrap()[..], b"body");
    assert_eq!(resolver.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn redirect_to_another_host_or_port_is_not_followed() {
    let (site, inner) = (Site::start(), Site::start());
    let secret = inner.put("/secret", "secret");
    site.control().lie_at("/crl", Lie::Redirect(secret.clone()));
    site.control().lie_at("/ssh", Lie::Redirect("file:///etc/passwd".to_owned()));
    for path in ["/crl", "/ssh"] {
        let got = fetcher().get(&site.url(path), Permit::Named, LIMITS).await;
        assert!(matches!(got, Err(FetchError::Redirect { .. } | FetchError::Status(302))), "{path}: {got:?}");
    }
    assert_eq!(inner.control().asked(""), 0);
}

#[tokio::test]
async fn redirect_within_the_host_is_followed_but_not_in_circles() {
    let site = Site::start();
    let url = site.put("/new", "body");
    site.control().lie_at("/old", Lie::Redirect(url));
    site.control().lie_at("/circle", Lie::Redirect(site.url("/circle")));
    let got = fetcher().get(&site.url("/old"), Permit::Named, LIMITS).await;
    assert_eq!(&got.unwrap()[..], b"body");
    let got = fetcher().get(&site.url("/circle"), Permit::Named, LIMITS).await;
    assert!(matches!(got, Err(FetchError::Redirect { .. })), "{got:?}");
    assert!(site.control().asked("/circle") <= 5);
}

#[tokio::test]
async fn host_that_only_a_certificate_names_must_be_allowed() {
    let site = Site::start();
    let url = site.put("/crl", "list");
    let got = fetcher().get(&url, Permit::Listed, LIMITS).await;
    assert!(matches!(got, Err(FetchError::Host(_))), "{got:?}");
    assert_eq!(site.control().asked(""), 0);
    let allowing = Fetcher::new(fetch_config(&["127.0.0.1"], true)).unwrap();
    assert!(allowing.get(&url, Permit::Listed, LIMITS).await.is_ok());
}

#[test]
fn pattern_allows_names_below_a_zone_and_no_others() {
    let fetcher = Fetcher::new(fetch_config(&["*.crl.example.org", "one.example.org"], false)).unwrap();
    for (host, allowed) in [
        ("a.crl.example.org", true),
        ("b.a.crl.example.org", true),
        ("one.example.org", true),
        ("crl.example.org", false),
        ("evilcrl.example.org", false),
        (".crl.example.org", false),
        ("two.one.example.org", false),
        ("one.example.org.example.net", false),
    ] {
        assert_eq!(fetcher.allows(host), allowed, "{host}");
    }
}

#[tokio::test]
async fn what_is_no_plain_url_of_http_is_refused() {
    let long = format!("http://127.0.0.1/{}", "x".repeat(3000));
    for url in
        ["", "ftp://127.0.0.1/", "file:///etc/passwd", "http://user@127.0.0.1/", "http://", "no url", &long]
    {
        let got = fetcher().get(url, Permit::Named, LIMITS).await;
        assert!(matches!(got, Err(FetchError::Url(_))), "{url}: {got:?}");
    }
}

/// A server of TLS with a certificate of its own for `site.example.org`; gives its URL and the certificate.
async fn tls_site() -> (String, rustls_pki_types::CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["site.example.org".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://site.example.org:{}/list", listener.local_addr().unwrap().port());
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (url, certificate)
}

#[tokio::test]
async fn server_is_believed_by_the_roots_that_were_given_and_by_its_name() {
    let (url, certificate) = tls_site().await;
    let mut config = fetch_config(&[], true);
    config.resolver = Arc::new(Always(vec!["127.0.0.1".parse().unwrap()]));
    let got = Fetcher::new(config.clone()).unwrap().get(&url, Permit::Named, LIMITS).await;
    assert!(matches!(got, Err(FetchError::Broken(_))), "{got:?}");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    config.tls_roots = Arc::new(roots);
    let trusting = Fetcher::new(config).unwrap();
    assert_eq!(&trusting.get(&url, Permit::Named, LIMITS).await.unwrap()[..], b"body");
    let got = trusting.get(&url.replace("site.", "other."), Permit::Named, LIMITS).await;
    assert!(matches!(got, Err(FetchError::Broken(_))), "{got:?}");
}
