//! Whether the files of `tls` hold what they should.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Reads the chain at `path`.
///
/// Errors: a sentence of what is wrong.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("`{}` holds no certificate", path.display()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{}` is no PEM file: {error}", path.display())),
    }
}

/// Reads the key at `path`.
///
/// Errors: a sentence of what is wrong, without a byte of the file.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| format!("`{}` holds no private key", path.display()))
}

/// Checks that `key` is the key of the first of `certificates`.
///
/// Errors: a sentence of what is wrong.
pub fn check_pair(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<(), String> {
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(certificates, key, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err("the key is not that of the certificate".into()),
        Err(error) => Err(format!("certificate and key cannot be used: {error}")),
    }
}

/// The permissions of the file at `path` if others than its owner can read it.
pub fn readable_by_others(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let length = fs::metadata(path).map_err(|error| cannot_read(path, &error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("`{}` has {length} bytes, expected {FILE_BYTES_MAX} at most", path.display()));
    }
    fs::read(path).map_err(|error| cannot_read(path, &error))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read `{}`: {error}", path.display())
}

/// Longest PEM file.
const FILE_BYTES_MAX: u64 = 1 << 20;
