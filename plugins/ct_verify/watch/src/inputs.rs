//! What certificates are judged by, as this replica has it from its own sources: a snapshot that is replaced as a whole.

use std::sync::Arc;

use bytes::Bytes;
use transparency::digest::Sha256;
use transparency::log_list::LogList;
use transparency::revocation::CrlSet;
use transparency::roots::Intermediates;

use crate::bundle;

/// Something that was read, and the bytes that it was read from.
#[derive(Debug)]
pub struct Loaded<T> {
    /// What the bytes say.
    pub value: T,
    /// The bytes, as they are handed to peers.
    pub bytes: Bytes,
    /// Their SHA-256.
    pub digest: Sha256,
}

impl<T> Loaded<T> {
    /// What these bytes say, and the bytes.
    pub fn new(value: T, bytes: Bytes) -> Self {
        let digest = Sha256::of(&bytes);
        Loaded { value, bytes, digest }
    }
}

/// What this replica judges by, except for its roots, which change with its configuration alone.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The log list; its bytes are the file.
    pub log_list: Option<Arc<Loaded<LogList>>>,
    /// Configured and fetched issuers; their bytes are a [`bundle`] of certificates.
    pub intermediates: Arc<Loaded<Intermediates>>,
    /// Revocation lists whose signatures fit; their bytes are a [`bundle`] of lists in DER.
    pub crls: Arc<Loaded<CrlSet>>,
}

impl Default for Inputs {
    fn default() -> Self {
        Inputs {
            log_list: None,
            intermediates: Arc::new(Loaded::new(Intermediates::default(), bundle::encode([]))),
            crls: Arc::new(Loaded::new(CrlSet::default(), bundle::encode([]))),
        }
    }
}
