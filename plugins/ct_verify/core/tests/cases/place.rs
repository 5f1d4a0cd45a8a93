//! Where test data is: `../shared/data` beside the repository, or `QUORATE_TEST_DATA`.

use std::io::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

/// The folder with certificate data; `None`, and a printed word, when it is absent. In CI it must be there.
pub fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("QUORATE_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared/data")),
        PathBuf::from,
    );
    let folder = shared.join("ct");
    if folder.join("README.md").is_file() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none_or(|value| value != "true"),
        "no test data in {}",
        folder.display()
    );
    // What a test prints that passes is thrown away; what is written there is not.
    let _unheard = writeln!(std::io::stderr(), "skipped: no test data in {}", folder.display());
    None
}

/// The folder with our own vectors, which are always there; `examples/vectors.rs` made them.
pub fn own() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
}

/// A JSON file.
pub fn json(path: PathBuf) -> Value {
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The certificates of a PEM file.
pub fn chain(path: PathBuf) -> Vec<CertificateDer<'static>> {
    let pem = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    CertificateDer::pem_slice_iter(&pem).map(|certificate| certificate.expect("PEM")).collect()
}

/// Base64 as a JSON value; null is nothing.
pub fn base64(value: &Value) -> Vec<u8> {
    value.as_str().map_or(Vec::new(), |text| STANDARD.decode(text).expect("base64"))
}
