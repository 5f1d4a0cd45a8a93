//! Issuers of certificates: those that the operator gave, and those that certificates say where to find.
//!
//! A fetched one is taken when it signed the certificate that named it; whether it leads to a root is for the judgement.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use tokio::sync::mpsc;
use transparency::Moment;
use transparency::digest::Sha256;
use transparency::facts::Facts;
use transparency::roots::{Intermediates, certificates_from_pem};
use transparency::skeleton::Skeleton;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

use crate::bundle;
use crate::context::{Context, aside};
use crate::crl::RevocationSource;
use crate::fetch::{FetchError, Limits, Permit};
use crate::inputs::Loaded;

/// Why what a URL gave is not the issuer of the certificate that named it.
#[derive(Debug, Error)]
pub enum IssuerError {
    /// It does not answer.
    #[error("not to be had: {0}")]
    Fetch(#[from] FetchError),
    /// No certificate, or another's.
    #[error("not the certificate of the issuer")]
    Other,
    /// It has not signed it.
    #[error("the issuer's key has not signed the certificate")]
    Signature,
}

/// The issuers at hand.
pub struct Issuers {
    context: Arc<Context>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Of the operator: roots, for signatures of revocation lists alone.
    roots: Vec<CertificateDer<'static>>,
    /// Of the operator: they help to build chains, too.
    given: Vec<CertificateDer<'static>>,
    /// Fetched: they help to build chains, too.
    fetched: BTreeMap<Sha256, CertificateDer<'static>>,
    /// Came with chains: for signatures of revocation lists alone, the oldest go.
    seen: VecDeque<CertificateDer<'static>>,
}

impl Known {
    /// Those that help to build chains.
    fn helping(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.given.iter().chain(self.fetched.values())
    }
}

impl Issuers {
    /// The issuers that the operator gave, and those that were fetched before the last restart.
    pub fn open(
        context: Arc<Context>,
        intermediates: Vec<CertificateDer<'static>>,
        roots: Vec<CertificateDer<'static>>,
    ) -> Self {
        let kept = context.state.read(FILE, FILE_BYTES_MAX).unwrap_or_default();
        let kept = bundle::decode(&kept).unwrap_or_default();
        let kept = kept.into_iter().map(|der| CertificateDer::from(der.to_vec()));
        let kept = kept.take(FETCHED_MAX);
        let fetched = kept.map(|certificate| (Sha256::of(&certificate), certificate)).collect();
        let known = Known { roots, given: intermediates, fetched, seen: VecDeque::new() };
        let issuers = Issuers { context, known: Mutex::new(known) };
        issuers.publish();
        issuers
    }

    /// All of them.
    pub fn all(&self) -> Vec<CertificateDer<'static>> {
        let known = self.known();
        known.roots.iter().chain(known.helping()).chain(&known.seen).cloned().collect()
    }

    /// Whether one with this subject is at hand, for chains.
    fn helps(&self, subject: &[u8]) -> bool {
        let known = self.known();
        let mut all = known.roots.iter().chain(known.helping());
        all.any(|one| Skeleton::parse(one).is_ok_and(|one| one.subject == subject))
    }

    fn see(&self, certificate: &CertificateDer<'static>) {
        let mut known = self.known();
        if !known.seen.contains(certificate) {
            if known.seen.len() == SEEN_MAX {
                known.seen.pop_front();
            }
            known.seen.push_back(certificate.clone());
        }
    }

    fn take(&self, certificate: CertificateDer<'static>) {
        let bytes = {
            let mut known = self.known();
            if FETCHED_MAX <= known.fetched.len() {
                return;
            }
            known.fetched.insert(Sha256::of(&certificate), certificate);
            bundle::encode(known.fetched.values().map(|one| &one[..]))
        };
        if let Err(error) = self.context.state.write(FILE, &bytes) {
            tracing::warn!(%error, "fetched issuers are not kept");
        }
        self.publish();
    }

    fn publish(&self) {
        let certificates: Vec<CertificateDer<'static>> = self.known().helping().cloned().collect();
        let bytes = bundle::encode(certificates.iter().map(|one| &one[..]));
        let loaded = Arc::new(Loaded::new(Intermediates::new(certificates), bytes));
        self.context.update(|inputs| inputs.intermediates = loaded);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after certificates that were seen: fetches their issuers, and has their revocation lists watched.
pub struct IssuerSource {
    context: Arc<Context>,
    issuers: Arc<Issuers>,
    revocation: Arc<RevocationSource>,
    /// Leaves that were looked after; with a time when that is to be done again from then on.
    seen: Mutex<BTreeMap<Sha256, Option<Moment>>>,
    queue: mpsc::Sender<Vec<CertificateDer<'static>>>,
}

impl IssuerSource {
    /// A source, and the task that works off what it is given.
    pub(crate) fn new(
        context: Arc<Context>,
        issuers: Arc<Issuers>,
        revocation: Arc<RevocationSource>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (queue, mut waiting) = mpsc::channel::<Vec<CertificateDer<'static>>>(WAITING_MAX);
        let source = Arc::new(IssuerSource { context, issuers, revocation, seen: Mutex::default(), queue });
        let weak = Arc::downgrade(&source);
        let worker = async move {
            while let Some(chain) = waiting.recv().await {
                let Some(source) = weak.upgrade() else { return };
                source.look_after(chain).await;
            }
        };
        (source, worker)
    }

    /// Has a chain looked after, leaf first. Returns at once; what was seen before, or is too much, is passed over. One whose issuer was not
    /// to be had is looked after again when it comes after [`RETRY_SECONDS`].
    pub fn attend(&self, chain: &[CertificateDer<'_>]) {
        let Some(leaf) = chain.first() else { return };
        let digest = Sha256::of(leaf);
        {
            let mut seen = self.seen();
            if seen.get(&digest).is_some_and(|again| again.is_none_or(|again| self.context.now() < again)) {
                return;
            }
            if seen.len() >= REMEMBERED_MAX {
                seen.clear();
            }
            seen.insert(digest, None);
        }
        let chain = chain.iter().take(CHAIN_MAX).map(|one| one.clone().into_owned()).collect();
        if self.queue.try_send(chain).is_err() {
            self.context.events.count("certificates_passed_over");
            // So that it is looked after when it comes again.
            self.seen().remove(&digest);
        }
    }

    /// Walks up from the leaf: each certificate's revocation lists, then its issuer, from the chain or from where it says.
    async fn look_after(&self, chain: Vec<CertificateDer<'static>>) {
        chain.iter().skip(1).for_each(|issuer| self.issuers.see(issuer));
        let (begin, mut is_missing) = (self.context.now(), false);
        let mut lists = Vec::new();
        let mut current = chain.first().cloned();
        for _ in 0..CHAIN_MAX {
            let Some(certificate) = current.take() else { break };
            let Ok(read) = Skeleton::parse(&certificate) else { break };
            let Ok(facts) = Facts::read(&read) else { break };
            lists.extend(facts.crl_urls);
            if read.issuer == read.subject {
                break;
            }
            let named = |one: &&CertificateDer<'static>| {
                Skeleton::parse(one).is_ok_and(|one| one.subject == read.issuer)
            };
            current = chain.iter().find(named).cloned();
            if current.is_none() && !self.issuers.helps(read.issuer) {
                current = self.fetch(&read, &facts.issuer_urls).await;
                is_missing = current.is_none() && !facts.issuer_urls.is_empty();
            }
        }
        if let Some(leaf) = chain.first().filter(|_| is_missing)
            && let Some(again) = self.seen().get_mut(&Sha256::of(leaf))
        {
            *again = Some(begin.plus_seconds(RETRY_SECONDS));
        }
        let revocation = self.revocation.clone();
        aside(move || revocation.attend(&lists)).await;
    }

    async fn fetch(&self, certificate: &Skeleton<'_>, urls: &[String]) -> Option<CertificateDer<'static>> {
        for url in urls.iter().take(URLS_MAX) {
            let fetched = self.context.fetcher.get(url, Permit::Listed, ISSUER_LIMITS).await;
            let issuer = fetched.map_err(IssuerError::from).and_then(|bytes| issuer_of(certificate, &bytes));
            match issuer {
                Ok(issuer) => {
                    let (issuers, taken) = (self.issuers.clone(), issuer.clone());
                    aside(move || issuers.take(taken)).await;
                    self.context.note("issuer_taken", url, Sha256::of(&issuer).to_string());
                    return Some(issuer);
                }
                Err(error) => {
                    self.context.events.count("issuer_looks_failed");
                    tracing::debug!(url, %error, "issuer is not taken");
                }
            }
        }
        None
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<Sha256, Option<Moment>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The certificate in these bytes, DER or PEM, if it is that of the issuer.
fn issuer_of(certificate: &Skeleton<'_>, bytes: &Bytes) -> Result<CertificateDer<'static>, IssuerError> {
    let pem = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
    let issuer = if pem {
        certificates_from_pem(bytes, 1).ok().and_then(|mut all| all.pop()).ok_or(IssuerError::Other)?
    } else {
        CertificateDer::from(bytes.to_vec())
    };
    let read = Skeleton::parse(&issuer).map_err(|_| IssuerError::Other)?;
    if read.subject != certificate.issuer {
        return Err(IssuerError::Other);
    }
    let (_, signed) = X509Certificate::from_der(certificate.der).map_err(|_| IssuerError::Other)?;
    let (_, key) = SubjectPublicKeyInfo::from_der(read.spki).map_err(|_| IssuerError::Other)?;
    signed.verify_signature(Some(&key)).map_err(|_| IssuerError::Signature)?;
    Ok(issuer)
}

/// How many certificates of a chain are looked at, and how far up it is walked.
const CHAIN_MAX: usize = 8;
/// How many issuers are kept for chains.
const FETCHED_MAX: usize = 2048;
/// How many issuers that came with chains are kept.
const SEEN_MAX: usize = 256;
/// How many chains wait.
const WAITING_MAX: usize = 256;
/// How many certificates are remembered as seen; then all are forgotten.
const REMEMBERED_MAX: usize = 16_384;
/// How soon a certificate is looked after again whose issuer was not to be had, in seconds.
const RETRY_SECONDS: u64 = 600;
/// How many places of one issuer are tried.
const URLS_MAX: usize = 2;
const FILE: &str = "issuers.bundle";
const FILE_BYTES_MAX: usize = 32 << 20;
const ISSUER_LIMITS: Limits = Limits { bytes_max: 64 << 10, total: Duration::from_secs(20) };
