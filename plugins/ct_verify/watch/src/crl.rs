//! Revocation lists: from files and URLs of the operator, and from where certificates say that theirs are.
//!
//! A list is taken when an issuer at hand signed it, it is valid now, and it is not older than the one from the same place. Which
//! certificates it covers is for the judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Notify;
use transparency::Moment;
use transparency::digest::Sha256;
use transparency::revocation::{Crl, CrlSet};
use transparency::skeleton::Skeleton;
use x509_parser::prelude::{CertificateRevocationList, FromDer, SubjectPublicKeyInfo};

use crate::bundle;
use crate::config::Source;
use crate::context::{Context, aside, jittered};
use crate::fetch::{FetchError, Limits, Permit};
use crate::inputs::Loaded;
use crate::issuers::Issuers;
use crate::state::read_bounded;

/// What a list says of itself, its signature verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListFacts {
    /// SHA-256 of the list.
    pub sha256: Sha256,
    /// Who issued it.
    pub issuer: String,
    /// SHA-256 of the key that signed it.
    pub key_sha256: Sha256,
    /// When it was made.
    pub this_update: Moment,
    /// Until when it is valid.
    pub next_update: Moment,
}

/// Why a list is not taken.
#[derive(Debug, Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("not readable: {0}")]
    File(#[from] std::io::Error),
    /// The URL does not answer.
    #[error("not to be had: {0}")]
    Fetch(#[from] FetchError),
    /// Longer than any that is handed on.
    #[error("the list has more than {CRL_BYTES_MAX} bytes")]
    TooLong,
    /// No revocation list.
    #[error("no revocation list")]
    Malformed,
    /// Nobody at hand has its issuer's name.
    #[error("its issuer `{0}` is not known")]
    UnknownIssuer(String),
    /// Its issuer has not signed it.
    #[error("no key of its issuer `{0}` signed it")]
    Signature(String),
    /// It does not say until when it is valid.
    #[error("it does not say until when it is valid")]
    Unlimited,
    /// Its time is over.
    #[error("it expired on {0}")]
    Expired(Moment),
    /// Its time has not come.
    #[error("it is of {0}, which is in the future")]
    Future(Moment),
    /// The one in use is newer.
    #[error("it is of {new}, the one in use of {old}")]
    Older {
        /// When the list in use was made.
        old: Moment,
        /// When this one was made.
        new: Moment,
    },
    /// No room for it beside the others.
    #[error("all lists together would have more than {SNAPSHOT_BYTES_MAX} bytes")]
    NoRoom,
}

/// Checks a list in DER: form, signature by one of these issuers, and that its time is now.
///
/// # Errors
/// [`ListError`] when one of these does not hold.
pub fn check_list<'a>(
    der: &[u8],
    issuers: impl IntoIterator<Item = &'a CertificateDer<'static>>,
    now: Moment,
) -> Result<ListFacts, ListError> {
    if CRL_BYTES_MAX < der.len() {
        return Err(ListError::TooLong);
    }
    let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| ListError::Malformed)?;
    if !rest.is_empty() {
        return Err(ListError::Malformed);
    }
    let name = list.issuer().as_raw();
    let shown: String = list.issuer().to_string().chars().take(NAME_SHOWN_MAX).collect();
    let issuers = issuers.into_iter().filter_map(|issuer| Skeleton::parse(issuer).ok());
    let named: Vec<Skeleton<'_>> = issuers.filter(|issuer| issuer.subject == name).collect();
    if named.is_empty() {
        return Err(ListError::UnknownIssuer(shown));
    }
    let signed = |issuer: &&Skeleton<'_>| {
        SubjectPublicKeyInfo::from_der(issuer.spki).is_ok_and(|(_, key)| list.verify_signature(&key).is_ok())
    };
    let Some(signer) = named.iter().take(SAME_NAME_MAX).find(signed) else {
        return Err(ListError::Signature(shown));
    };
    let this_update = Moment::from_seconds(list.last_update().timestamp());
    let next_update = list.next_update().ok_or(ListError::Unlimited)?;
    let next_update = Moment::from_seconds(next_update.timestamp());
    if now.plus_seconds(FUTURE_TOLERANCE_SECONDS) < this_update {
        return Err(ListError::Future(this_update));
    }
    if next_update <= now {
        return Err(ListError::Expired(next_update));
    }
    let (sha256, key_sha256) = (Sha256::of(der), signer.key_hash());
    Ok(ListFacts { sha256, issuer: shown, key_sha256, this_update, next_update })
}

/// Watches the places of revocation lists.
pub struct RevocationSource {
    context: Arc<Context>,
    issuers: Arc<Issuers>,
    places: Mutex<Places>,
    wake: Notify,
}

#[derive(Default)]
struct Places {
    /// What the operator named.
    named: Vec<Source>,
    /// What certificates named, the host allowed.
    listed: BTreeSet<String>,
    held: BTreeMap<Source, Held>,
    refused: BTreeMap<Source, String>,
}

struct Held {
    der: Bytes,
    facts: ListFacts,
}

impl RevocationSource {
    /// A source with the places that the operator named; what the state folder and files have of them is in use from now on.
    pub fn start(context: Arc<Context>, issuers: Arc<Issuers>, named: Vec<Source>) -> Self {
        let places = Places { named: named.clone(), ..Places::default() };
        let this = RevocationSource { context, issuers, places: Mutex::new(places), wake: Notify::new() };
        for source in named {
            this.recall(&source);
            if let Source::File(path) = &source {
                let read = read_bounded(path, CRL_BYTES_MAX).map_err(ListError::from);
                this.settle(&source, read.and_then(|bytes| this.take(&source, &bytes)));
            }
        }
        this.publish();
        this
    }

    /// Adds the places that a certificate names, those that may be asked.
    pub(crate) fn attend(&self, urls: &[String]) {
        let mut new = false;
        for url in urls {
            let allowed = reqwest::Url::parse(url)
                .is_ok_and(|url| url.host_str().is_some_and(|host| self.context.fetcher.allows(host)));
            let mut places = self.places();
            if allowed && places.listed.len() < LISTED_MAX && places.listed.insert(url.clone()) {
                drop(places);
                self.recall(&Source::Url(url.clone()));
                new = true;
            }
        }
        if new {
            self.publish();
            self.wake.notify_one();
        }
    }

    /// Looks at all places again and again, at those that are new soon.
    pub(crate) async fn run(self: Arc<Self>, refresh: Duration) {
        loop {
            self.look().await;
            let period = if self.lacks_a_list() { refresh.min(RETRY_MISSING) } else { refresh };
            let _woken_or_time = tokio::time::timeout(jittered(period), self.wake.notified()).await;
        }
    }

    /// Looks at all places once, one after another.
    pub async fn look(self: &Arc<Self>) {
        let all: Vec<(Source, Permit)> = {
            let places = self.places();
            let named = places.named.iter().map(|source| (source.clone(), Permit::Named));
            let listed = places.listed.iter().map(|url| (Source::Url(url.clone()), Permit::Listed));
            named.chain(listed).collect()
        };
        for (source, permit) in all {
            let fetched = match &source {
                Source::Url(url) => Some(self.context.fetcher.get(url, permit, LIST_LIMITS).await),
                Source::File(_) => None,
            };
            let this = self.clone();
            aside(move || {
                let read = match (&source, fetched) {
                    (Source::File(path), _) => {
                        read_bounded(path, CRL_BYTES_MAX).map(Bytes::from).map_err(ListError::from)
                    }
                    (Source::Url(_), fetched) => fetched.unwrap_or(Ok(Bytes::new())).map_err(ListError::from),
                };
                this.settle(&source, read.and_then(|bytes| this.take(&source, &bytes)));
            })
            .await;
        }
        let this = self.clone();
        aside(move || this.publish()).await;
    }

    /// Whether a place has given nothing yet that could be taken.
    fn lacks_a_list(&self) -> bool {
        let places = self.places();
        let listed = places.listed.iter().map(|url| Source::Url(url.clone()));
        places.named.iter().cloned().chain(listed).any(|source| !places.held.contains_key(&source))
    }

    /// The lists in use: where each is from, and what it says of itself.
    pub fn held(&self) -> Vec<(Source, ListFacts)> {
        self.places().held.iter().map(|(source, held)| (source.clone(), held.facts.clone())).collect()
    }

    /// Takes a list if it may follow the one from the same place; says whether it is another one.
    ///
    /// # Errors
    /// [`ListError`] when it may not. The one in use stays.
    pub fn take(&self, source: &Source, bytes: &[u8]) -> Result<bool, ListError> {
        let der = der_of(bytes);
        let facts = check_list(&der, &self.issuers.all(), self.context.now())?;
        {
            let mut places = self.places();
            if let Some(held) = places.held.get(source) {
                if held.facts.sha256 == facts.sha256 {
                    return Ok(false);
                }
                if facts.this_update < held.facts.this_update {
                    return Err(ListError::Older { old: held.facts.this_update, new: facts.this_update });
                }
            }
            let others = places.held.iter().filter(|(other, _)| *other != source);
            let others: usize = others.map(|(_, held)| held.der.len() + LENGTH_BYTES).sum();
            if SNAPSHOT_BYTES_MAX < others + der.len() + 2 * LENGTH_BYTES {
                return Err(ListError::NoRoom);
            }
            places.held.insert(source.clone(), Held { der: der.clone(), facts });
        }
        if let Err(error) = self.context.state.write(&file(source), &der) {
            tracing::warn!(%error, "the revocation list is not kept");
        }
        Ok(true)
    }

    /// Takes what the state folder has of a place.
    fn recall(&self, source: &Source) {
        let Some(der) = self.context.state.read(&file(source), CRL_BYTES_MAX) else { return };
        if let Ok(facts) = check_list(&der, &self.issuers.all(), self.context.now()) {
            self.places().held.insert(source.clone(), Held { der: der.into(), facts });
        }
    }

    /// Puts the lists into the inputs, if they are others than before.
    fn publish(&self) {
        let lists: Vec<Bytes> = self.places().held.values().map(|held| held.der.clone()).collect();
        let bytes = bundle::encode(lists.iter().map(|list| &list[..]));
        if self.context.inputs().crls.digest == Sha256::of(&bytes) {
            return;
        }
        let set = CrlSet::new(lists.iter().map(|list| Crl::parse(list)));
        let loaded = Arc::new(Loaded::new(set, bytes));
        self.context.update(|inputs| inputs.crls = loaded);
    }

    fn settle(&self, source: &Source, taken: Result<bool, ListError>) {
        let subject = match source {
            Source::File(path) => path.display().to_string(),
            Source::Url(url) => url.clone(),
        };
        match taken {
            Ok(new) => {
                self.places().refused.remove(source);
                if new {
                    self.context.note("crl_taken", &subject, "a new revocation list".to_owned());
                }
            }
            Err(error) => {
                self.context.events.count("crl_looks_failed");
                let text = error.to_string();
                // Said once, not at every look.
                if self.places().refused.insert(source.clone(), text.clone()).as_ref() != Some(&text) {
                    match error {
                        ListError::Signature(_) | ListError::Older { .. } => {
                            self.context.alarm("crl_refused", &subject, text, Value::Null);
                        }
                        _ => self.context.note("crl_refused", &subject, text),
                    }
                }
            }
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list in DER, whether it came so or in PEM.
fn der_of(bytes: &[u8]) -> Bytes {
    let pem = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
    let decoded = pem.then(|| CertificateRevocationListDer::from_pem_slice(bytes).ok()).flatten();
    decoded.map_or_else(|| Bytes::copy_from_slice(bytes), |list| Bytes::copy_from_slice(&list))
}

fn file(source: &Source) -> String {
    let name = match source {
        Source::File(path) => Sha256::of_pieces(&[b"file ", path.as_os_str().as_encoded_bytes()]),
        Source::Url(url) => Sha256::of_pieces(&[b"url ", url.as_bytes()]),
    };
    format!("crls/{name}.crl")
}

/// How long a revocation list may be that is fetched, in bytes: what replicas hand one another.
pub const CRL_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX - 2 * LENGTH_BYTES;
/// How long all lists together may be, with their lengths.
pub const SNAPSHOT_BYTES_MAX: usize = 16 << 20;
const LENGTH_BYTES: usize = 4;
/// How many places that certificates name are looked at.
const LISTED_MAX: usize = 256;
/// How many issuers of one name are tried.
const SAME_NAME_MAX: usize = 8;
const NAME_SHOWN_MAX: usize = 200;
const FUTURE_TOLERANCE_SECONDS: u64 = 300;
/// How soon places are asked again of which one has given nothing yet.
const RETRY_MISSING: Duration = Duration::from_secs(600);
const LIST_LIMITS: Limits = Limits { bytes_max: CRL_BYTES_MAX, total: Duration::from_secs(120) };
