//! What a watch is told at its start: sources, folders, periods, and whom it may ask.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use crate::clock::{Clock, SystemClock};
use crate::resolver::{Resolver, SystemResolver};

/// Where a list comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file, looked at every [`FILE_PERIOD`].
    File(PathBuf),
    /// A URL, asked every `refresh`.
    Url(String),
}

/// What a watch is told at its start.
#[derive(Clone)]
pub struct WatchConfig {
    /// Where to keep what outlives a restart; without it, nothing does.
    pub state: Option<PathBuf>,
    /// The log list.
    pub log_list: Option<Source>,
    /// Revocation lists.
    pub crls: Vec<Source>,
    /// Issuers that the operator gives: they help to build chains, and their revocation lists are believed.
    pub intermediates: Vec<CertificateDer<'static>>,
    /// Certificates of roots: their revocation lists are believed, too.
    pub roots: Vec<CertificateDer<'static>>,
    /// How often lists are asked for.
    pub refresh: Duration,
    /// How often logs are asked for their heads.
    pub heads_period: Duration,
    /// Hosts that may be asked though only a certificate names them.
    pub hosts: Vec<String>,
    /// Whether private addresses may be reached.
    pub allow_private: bool,
    /// Whether logs are asked for heads and proofs.
    pub audit: bool,
    /// By whose certificates servers are believed.
    pub tls_roots: Arc<RootCertStore>,
    /// Where addresses come from.
    pub resolver: Arc<dyn Resolver>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for WatchConfig {
    fn default() -> Self {
        WatchConfig {
            state: None,
            log_list: None,
            crls: Vec::new(),
            intermediates: Vec::new(),
            roots: Vec::new(),
            refresh: REFRESH_DEFAULT,
            heads_period: HEADS_PERIOD_DEFAULT,
            hosts: Vec::new(),
            allow_private: false,
            audit: true,
            tls_roots: Arc::new(RootCertStore::empty()),
            resolver: Arc::new(SystemResolver),
            clock: Arc::new(SystemClock),
        }
    }
}

/// How often files are looked at.
pub const FILE_PERIOD: Duration = Duration::from_secs(5);
/// How often lists are asked for, unless the operator says otherwise.
pub const REFRESH_DEFAULT: Duration = Duration::from_secs(6 * 3600);
/// How often logs are asked for their heads, unless the operator says otherwise.
pub const HEADS_PERIOD_DEFAULT: Duration = Duration::from_secs(600);
