//! What this replica alone knows of a certificate: what its own audits found out about promises, and in how many networks its cluster saw it.
//!
//! None of it enters what replicas agree on, neither a remark on an answer nor a statement on an operation: each has asked other logs, at other
//! times. Where no cluster asks, answers are judged by it; where one does, it is told and shown beside.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use certificate::Digest;
use tokio::time::timeout;
use transparency::digest::Sha256;
use transparency::inclusion::Inclusion;
use transparency::local::Local;
use transparency::operation::CertificateSubject;
use transparency::{Moment, Verdict};

use super::background::Background;
use super::handler::Core;
use super::sets::Set;
use crate::validator::Library;

/// Fetches nothing: what this replica knows is here.
struct Nobody;

#[async_trait]
impl Library for Nobody {
    async fn fetch(&self, _: &Digest) -> Option<Bytes> {
        None
    }
}

impl Core {
    /// Whether a cluster asks this plugin.
    pub(super) fn is_attached(&self) -> bool {
        self.is_attached.load(Ordering::Relaxed)
    }

    /// The verdict on a certificate of an answer, by what was found out here where no cluster asks. Where one does it stays as it was given, and
    /// a promise that this replica knows to be broken is told.
    pub(super) fn by_findings(
        &self,
        background: &Background,
        set: &Set,
        verdict: Verdict,
        now: Moment,
    ) -> Verdict {
        let audited = background.watch().audited(&verdict.ct.promises());
        if audited.is_empty() {
            return verdict;
        }
        if !self.is_attached() {
            return verdict.with_findings(&audited, None);
        }
        for found in audited.iter().filter(|found| found.inclusion == Inclusion::BrokenPromise) {
            self.tell_of_broken_promise(background, set, found, now);
        }
        verdict
    }

    /// What this replica finds about a certificate that was handed in, by the inputs of the subject and its own findings; `None` when chain or
    /// inputs are not here. Has its promises and issuers looked after, as those of answers are, if its chain holds for the name: the name is the
    /// client's word, and decides which logs are asked.
    pub(super) async fn local(&self, subject: &CertificateSubject) -> Option<Local> {
        let now_ms = self.clock.now().milliseconds();
        let judged = timeout(LOCAL_TIME, self.judge_subject(subject, now_ms, &Nobody, &self.judging)).await;
        let (chain, verdict) = judged.ok()?.ok()?;
        let Some(background) = self.background() else { return Some(Local::of(&verdict, None)) };
        let audited = background.watch().audited(&verdict.ct.promises());
        let mut networks = None;
        if let Some(name) = &subject.name {
            if verdict.chain.x509_chain_valid {
                background.attend(&chain);
            }
            background.look_into(name, &verdict);
            let leaf = Sha256::of(chain.first()?);
            networks = background.prober().and_then(|prober| prober.networks(name, &leaf));
        }
        Some(Local::of(&verdict.with_findings(&audited, networks), networks))
    }
}

/// How long a client waits for what this replica finds by itself, when others are judged before.
const LOCAL_TIME: Duration = Duration::from_secs(2);
