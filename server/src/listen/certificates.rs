//! TLS settings of a listener, from the files of the `tls` directive. TLS 1.2 and 1.3 for streams, 1.3 alone for QUIC.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use corefile::Scheme;
use plugins::setup::TlsFiles;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use thiserror::Error;

/// Why a listener has no TLS settings.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{0}`: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// A file is not what it should be.
    #[error("expected {1} in PEM form in `{0}`")]
    Pem(PathBuf, &'static str),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("cannot use the certificate: {0}")]
    Unusable(#[source] rustls::Error),
}

/// Reads the files and returns settings for a listener of `scheme`.
pub fn server_config(files: &TlsFiles, scheme: Scheme) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| pem_error(&files.certificate, "certificates", error))?;
    if chain.is_empty() {
        return Err(TlsError::Pem(files.certificate.clone(), "certificates"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| pem_error(&files.key, "a private key", error))?;
    let versions: &[_] = if scheme == Scheme::Quic { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = match scheme {
        Scheme::Https => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        // RFC 9250 §4.1.1
        Scheme::Quic => vec![b"doq".to_vec()],
        // RFC 7858 and the ALPN registry; a client that offers none is served too.
        Scheme::Tls | Scheme::Dns => vec![b"dot".to_vec()],
    };
    // A query that is replayed is answered twice, which tells an observer more than once is needed.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn pem_error(path: &std::path::Path, expected: &'static str, error: pem::Error) -> TlsError {
    match error {
        pem::Error::Io(error) => TlsError::Read(path.to_owned(), error),
        _ => TlsError::Pem(path.to_owned(), expected),
    }
}
