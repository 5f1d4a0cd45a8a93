//! How to speak TLS to an upstream: roots, our certificate, the name to expect. RFC 7858, RFC 8310.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The files that `tls` names.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles<'p> {
    /// Our certificate chain and its key, for upstreams that ask who we are.
    pub identity: Option<(&'p Path, &'p Path)>,
    /// Certificates that sign upstreams'; without it those that browsers trust.
    pub roots: Option<&'p Path>,
}

/// A client configuration from `files`. Server names are sent (SNI), which hickory's own client does not do.
///
/// Errors: a file that cannot be read, or holds no such thing, in words.
pub fn client_config(files: &TlsFiles<'_>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match files.roots {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has all of the default versions")
        .with_root_certificates(roots);
    let config = match files.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key_der =
                PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
            let config = builder.with_client_auth_cert(chain, key_der);
            config.map_err(|error| format!("{}: {error}", certificate.display()))?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let describe = |error: rustls_pki_types::pem::Error| format!("{}: {error}", path.display());
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(describe)?.collect::<Result<_, _>>().map_err(describe)?;
    if found.is_empty() { Err(format!("{}: holds no certificate", path.display())) } else { Ok(found) }
}
