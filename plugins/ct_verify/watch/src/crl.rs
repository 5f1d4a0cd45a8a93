//! Revocation lists: from files and URLs of the operator, and from where certificates say that theirs are.
//!
//! A list is taken when an issuer at hand signed it, it is valid now, and it is not older than the one from the same place. Which
//! certificates it covers is for the judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use transparency::digest::Sha256;
use transparency::revocation::{Crl, CrlSet};

use crate::bundle;
use crate::config::{FILE_PERIOD, Source};
use crate::context::{Context, aside, jittered};
pub use crate::crl_list::{
    CRL_BYTES_MAX, LISTS_PER_PLACE_MAX, ListError, ListFacts, SNAPSHOT_BYTES_MAX, check_list,
};
use crate::crl_list::{Held, LENGTH_BYTES, lists_of, succeed};
use crate::fetch::{Limits, Permit};
use crate::inputs::Loaded;
use crate::issuers::Issuers;
use crate::state::read_bounded;

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
    /// Never empty.
    held: BTreeMap<Source, Vec<Held>>,
    refused: BTreeMap<Source, String>,
    /// How files looked from outside whose lists were taken.
    stamps: BTreeMap<PathBuf, Stamp>,
}

/// How a file looks from outside.
type Stamp = (SystemTime, u64);

impl RevocationSource {
    /// A source with the places that the operator named; what the state folder and files have of them is in use from now on.
    pub fn start(context: Arc<Context>, issuers: Arc<Issuers>, named: Vec<Source>) -> Self {
        let places = Places { named: named.clone(), ..Places::default() };
        let this = RevocationSource { context, issuers, places: Mutex::new(places), wake: Notify::new() };
        for source in named {
            this.recall(&source);
        }
        this.read_files();
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

    /// Looks at all places again and again, at those that are new soon, and at files every [`FILE_PERIOD`].
    pub(crate) async fn run(self: Arc<Self>, refresh: Duration) {
        let has_files = self.places().named.iter().any(|source| matches!(source, Source::File(_)));
        loop {
            self.look().await;
            let period = if self.lacks_a_list() { refresh.min(RETRY_MISSING) } else { refresh };
            let until = Instant::now() + jittered(period);
            if !has_files {
                let _woken_or_time = timeout_at(until, self.wake.notified()).await;
                continue;
            }
            while Instant::now() < until {
                let file_period = jittered(FILE_PERIOD);
                if timeout(file_period, self.wake.notified()).await.is_ok() {
                    break;
                }
                let this = self.clone();
                aside(move || this.read_files().then(|| this.publish())).await;
            }
        }
    }

    /// Reads the operator's files that have changed; says whether there was one.
    fn read_files(&self) -> bool {
        let named = self.places().named.clone();
        let mut any = false;
        for source in &named {
            let Source::File(path) = source else { continue };
            let stamp = stamp(path);
            if stamp.is_some() && self.places().stamps.get(path).copied() == stamp {
                continue;
            }
            any = true;
            let read = read_bounded(path, CRL_BYTES_MAX).map_err(ListError::from);
            let taken = read.and_then(|bytes| self.take(source, &bytes));
            let is_taken = taken.is_ok();
            self.settle(source, taken);
            if let Some(stamp) = stamp.filter(|_| is_taken) {
                self.places().stamps.insert(path.clone(), stamp);
            }
        }
        any
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
        let places = self.places();
        let all = places.held.iter().flat_map(|(source, held)| held.iter().map(move |one| (source, one)));
        all.map(|(source, one)| (source.clone(), one.facts.clone())).collect()
    }

    /// Takes the lists that may follow those from the same place; says whether there are others than before.
    ///
    /// # Errors
    /// [`ListError`] when one of them may not. What it would follow stays in use.
    pub fn take(&self, source: &Source, bytes: &[u8]) -> Result<bool, ListError> {
        let (issuers, now) = (self.issuers.all(), self.context.now());
        let (mut checked, mut refused) = (Vec::new(), None);
        for der in lists_of(bytes)? {
            match check_list(&der, &issuers, now) {
                Ok(facts) => checked.push(Held { der, facts }),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let next = {
            let mut places = self.places();
            let held = places.held.get(source).map_or(&[][..], |held| held);
            let (next, another) = succeed(source, held, checked, refused.is_none(), now);
            refused = refused.or(another);
            let digests =
                |lists: &[Held]| -> BTreeSet<Sha256> { lists.iter().map(|one| one.facts.sha256).collect() };
            if next.is_empty() || digests(&next) == digests(held) {
                return refused.map_or(Ok(false), Err);
            }
            let others = places.held.iter().filter(|(other, _)| *other != source);
            let all = others.flat_map(|(_, held)| held).chain(&next);
            let bytes: usize = all.map(|one| one.der.len() + LENGTH_BYTES).sum();
            if SNAPSHOT_BYTES_MAX < bytes + LENGTH_BYTES {
                return Err(ListError::NoRoom);
            }
            places.held.insert(source.clone(), next.clone());
            next
        };
        let kept = bundle::encode(next.iter().map(|one| &one.der[..]));
        if let Err(error) = self.context.state.write(&file(source), &kept) {
            tracing::warn!(%error, "the revocation list is not kept");
        }
        refused.map_or(Ok(true), Err)
    }

    /// Takes what the state folder has of a place.
    fn recall(&self, source: &Source) {
        let Some(kept) = self.context.state.read(&file(source), SNAPSHOT_BYTES_MAX) else { return };
        let (issuers, now) = (self.issuers.all(), self.context.now());
        let lists = bundle::decode(&kept).unwrap_or_default().into_iter().take(LISTS_PER_PLACE_MAX);
        let checked = lists.filter_map(|der| {
            let facts = check_list(der, &issuers, now).ok()?;
            Some(Held { der: Bytes::copy_from_slice(der), facts })
        });
        let held: Vec<Held> = checked.collect();
        if !held.is_empty() {
            self.places().held.insert(source.clone(), held);
        }
    }

    /// Puts the lists into the inputs, if they are others than before.
    fn publish(&self) {
        let lists: Vec<Bytes> = self.places().held.values().flatten().map(|one| one.der.clone()).collect();
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
                        ListError::Signature(_) | ListError::Older { .. } | ListError::Another { .. } => {
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

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

fn file(source: &Source) -> String {
    let name = match source {
        Source::File(path) => Sha256::of_pieces(&[b"file ", path.as_os_str().as_encoded_bytes()]),
        Source::Url(url) => Sha256::of_pieces(&[b"url ", url.as_bytes()]),
    };
    format!("crls/{name}.crl")
}

/// How many places that certificates name are looked at.
const LISTED_MAX: usize = 256;
/// How soon places are asked again of which one has given nothing yet.
const RETRY_MISSING: Duration = Duration::from_secs(600);
const LIST_LIMITS: Limits = Limits { bytes_max: CRL_BYTES_MAX, total: Duration::from_secs(120) };
