//! What this replica says to the cluster about certificates, inputs and servers, and what it makes of decisions.
//!
//! Certificates are judged only by inputs that are in force here, so that a quorum that judges has agreed on what it judges by. Voting on
//! a pure function adds no truth; it guards against a replica that lies or is configured differently.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use agreement::statement::{Said, Statement};
use async_trait::async_trait;
use bytes::Bytes;
use certificate::leaf::{Class, Leaf};
use certificate::{Digest, OperationKind, ReplicaId};
use ct_watch::probe::{Decided as ProbeDecided, Essence};
use ct_watch::served::Target;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use tokio::sync::Semaphore;
use transparency::content::decode_chain;
use transparency::digest::Sha256;
use transparency::operation::{
    Agreed, Answer, CLOCK_DIFFERENCE_MINUTES_MAX, CertificateSubject, InputKind, InputSubject, ProbeSubject,
    Seen, ValidateSubject,
};
use transparency::score::Networks;
use transparency::{Moment, Question, Verdict, judge};

use super::aside::with_room;
use super::content::Contents;
use super::explain::explain;
use super::handler::Core;
use super::inputs::{Input, Materials};
use crate::validator::{CONTENT_BYTES_MAX, Decision, Library, MISSING_MAX, Refusal, Task, Validator};

#[async_trait]
impl Validator for Core {
    fn compose(&self, query: &str, body: &[u8], now_ms: u64) -> Result<Task, Refusal> {
        self.composed(query, body, now_ms)
    }

    fn attached(&self) {
        self.is_attached.store(true, Ordering::Relaxed);
    }

    async fn observe(&self, task: &Task, now_ms: u64, library: &dyn Library) -> Statement {
        let (about, statement) = match task.kind {
            OperationKind::Validate => match ValidateSubject::decode(&task.subject) {
                Ok(ValidateSubject::Certificate(subject)) => {
                    ("certificate", self.observe_certificate(&subject, now_ms, library).await)
                }
                Ok(ValidateSubject::Probe(subject)) => ("probe", self.observe_probe(&subject)),
                Err(error) => ("certificate", Err(error.to_string())),
            },
            OperationKind::UpdateInputs => match InputSubject::decode(&task.subject) {
                Ok(subject) => (subject.kind.word(), self.observe_input(&subject, now_ms, library).await),
                Err(error) => ("input", Err(error.to_string())),
            },
            _ => ("other", Err("no such operation is judged here".to_owned())),
        };
        let said = if statement.is_ok() { "verdict" } else { "cannot_judge" };
        self.metrics.statement(about, said);
        statement.unwrap_or_else(|why| Statement::cannot_judge(&why))
    }

    fn decided(&self, task: &Task, decision: &Decision) {
        let leaf = &decision.leaf;
        match task.kind {
            OperationKind::Validate => {
                if let Ok(ValidateSubject::Probe(subject)) = ValidateSubject::decode(&task.subject) {
                    self.probe_decided(&subject, decision);
                }
            }
            OperationKind::UpdateInputs => {
                let is_accepted =
                    leaf.class == Class::Strong && Answer::decode(&leaf.verdict) == Some(Answer::Accepted);
                if let (true, Ok(subject)) = (is_accepted, InputSubject::decode(&task.subject)) {
                    self.put_in_force(&subject, leaf.time_ms);
                }
            }
            _ => {}
        }
    }

    async fn explain(&self, task: &Task, leaf: &Leaf) -> serde_json::Value {
        let mut told = explain(task, leaf);
        if task.kind == OperationKind::Validate
            && let Ok(ValidateSubject::Certificate(subject)) = ValidateSubject::decode(&task.subject)
        {
            told["local"] = json!(self.local(&subject).await);
        }
        told
    }

    fn content(&self, digest: &Digest) -> Option<Bytes> {
        self.held(&Sha256(digest.0))
    }

    fn missing(&self) -> Vec<Digest> {
        let missing = self.in_force.missing().into_iter().take(MISSING_MAX);
        missing.map(|subject| Digest(subject.digest.0)).collect()
    }

    fn found(&self, digest: &Digest, content: Bytes) {
        self.take_found(Sha256(digest.0), content);
    }

    fn wishes(&self, now_ms: u64) -> Vec<Task> {
        self.all_wishes(now_ms)
    }

    fn news(&self) -> Vec<Bytes> {
        self.background().map_or_else(Vec::new, |background| background.watch().news())
    }

    fn told(&self, _from: ReplicaId, news: &[u8]) {
        if let Some(background) = self.background() {
            background.watch().told(news);
        }
    }
}

/// A statement, or why there can be none.
pub(super) type Observed = Result<Statement, String>;

impl Core {
    async fn observe_certificate(
        &self,
        subject: &CertificateSubject,
        now_ms: u64,
        library: &dyn Library,
    ) -> Observed {
        let now = Moment::from_milliseconds(now_ms);
        let apart = subject.at_minutes.abs_diff(CertificateSubject::minute(now));
        if apart > CLOCK_DIFFERENCE_MINUTES_MAX {
            return Err(format!("the time is {apart} minutes from the clock here"));
        }
        if (subject.policy, subject.revocation) != (self.settings.policy, self.settings.revocation) {
            return Err("another policy is in use here".to_owned());
        }
        let (_, judged) = self.judge_subject(subject, now_ms, library, &self.operations).await?;
        Ok(verdict(CERTIFICATE_TTL_SECONDS, Agreed::of(&judged).encode()))
    }

    /// The chain that a subject names, and the verdict on it by the inputs that the subject names and by nothing else. `room` is where it is judged.
    pub(super) async fn judge_subject(
        &self,
        subject: &CertificateSubject,
        now_ms: u64,
        library: &dyn Library,
        room: &Arc<Semaphore>,
    ) -> Result<(Vec<CertificateDer<'static>>, Verdict), String> {
        let materials = self.materials_of(subject, now_ms, library).await?;
        let chain =
            self.fetched(&self.chains, &subject.chain, library).await.ok_or("the chain is not to be had")?;
        let chain = decode_chain(&chain).map_err(|error| error.to_string())?;
        let subject = subject.clone();
        let judged = with_room(room, move || {
            let question = Question {
                chain: &chain,
                name: subject.name.as_deref(),
                purpose: subject.purpose,
                audited: &[],
                networks: None,
            };
            let by = (&subject.policy, subject.revocation);
            let verdict = materials.pinned(by, |pinned| judge(&question, pinned, subject.at()));
            (chain, verdict)
        });
        judged.await.ok_or_else(|| "the judgement was broken off".to_owned())
    }

    /// The inputs that a subject names, all of them in force here.
    async fn materials_of(
        &self,
        subject: &CertificateSubject,
        now_ms: u64,
        library: &dyn Library,
    ) -> Result<Materials, String> {
        let named = [
            (InputKind::LogList, subject.log_list),
            (InputKind::Trust, Some(subject.trust)),
            (InputKind::Lists, subject.lists),
        ];
        let mut materials =
            Materials { log_list: None, lists: None, ..Materials::clone(&self.own.materials()).agreed() };
        for (kind, digest) in named {
            match digest {
                Some(digest) => {
                    materials.put(self.input_in_force(InputSubject { kind, digest }, now_ms, library).await?);
                }
                None if self.in_force.now(kind).is_some() => {
                    return Err(format!("a {} is in force here", kind.word()));
                }
                None => {}
            }
        }
        Ok(materials)
    }

    pub(super) async fn input_in_force(
        &self,
        subject: InputSubject,
        now_ms: u64,
        library: &dyn Library,
    ) -> Result<Input, String> {
        let InputSubject { kind, digest } = subject;
        let short = &digest.to_string()[..8];
        let Some(decided) = self.in_force.judgeable(kind, &digest, now_ms) else {
            self.wishes.want(subject, now_ms);
            return Err(format!("{} {short} is not in force here", kind.word()));
        };
        if let Some(input) = decided.input {
            return Ok(input);
        }
        let bytes = self.fetched(&self.contents, &digest, library).await;
        let bytes = bytes.ok_or_else(|| format!("{} {short} is not to be had", kind.word()))?;
        let read = with_room(&self.operations, move || Input::read(kind, bytes)).await;
        let input = read.flatten().ok_or_else(|| format!("{} {short} is malformed", kind.word()))?;
        self.in_force.supply(kind, input.clone());
        Ok(input)
    }

    fn observe_probe(&self, subject: &ProbeSubject) -> Observed {
        let background = self.background();
        let prober = background.as_ref().and_then(|background| background.prober());
        let prober = prober.ok_or("no server is looked at here")?;
        let period = self.plan.probe_period;
        if subject.period_seconds != period {
            return Err(format!("another probe period here: {period} s"));
        }
        let target: Target = subject.target.parse().map_err(|_| "not a target")?;
        let seen = prober.seen(&target, u64::from(subject.slot)).ok_or("nothing was seen there")?;
        let Essence { leaf_sha256, key_sha256, conclusion } = seen.essence;
        let seen = Seen { leaf: leaf_sha256, key: key_sha256, chain: conclusion };
        Ok(verdict(period * PROBE_TTL_PERIODS, seen.encode()))
    }

    fn probe_decided(&self, subject: &ProbeSubject, Decision { leaf, groups_heard }: &Decision) {
        let background = self.background();
        let prober = background.as_ref().and_then(|background| background.prober());
        let (Some(prober), Ok(target)) = (prober, subject.target.parse::<Target>()) else { return };
        if subject.period_seconds != self.plan.probe_period {
            return;
        }
        let networks = Networks { agreeing: leaf.groups.count_ones(), looked: *groups_heard };
        let decided = match (leaf.class, Seen::decode(&leaf.verdict)) {
            (Class::NoAgreement, _) => ProbeDecided::NoAgreement,
            (Class::Failure, _) | (_, Err(_)) => return,
            (class, Ok(Seen { leaf, key, chain })) => ProbeDecided::Agreed {
                essence: Essence { leaf_sha256: leaf, key_sha256: key, conclusion: chain },
                strong: class == Class::Strong,
                networks,
            },
        };
        // Replicas that saw different things may agree when they are asked again.
        if prober.awaits(&target, u64::from(subject.slot)) && decided != ProbeDecided::NoAgreement {
            self.wishes.probe_agreed(subject);
        }
        prober.told(&target, u64::from(subject.slot), decided);
    }

    /// Content that is here: of our own, in force, or handed in.
    pub(super) fn held(&self, digest: &Sha256) -> Option<Bytes> {
        let own = self.own.materials();
        let mut inputs = InputKind::ALL.into_iter().filter_map(|kind| own.input(kind));
        let own = inputs.find(|input| input.digest() == *digest).map(|input| input.bytes().clone());
        own.or_else(|| self.in_force.content(digest))
            .or_else(|| self.wishes.merged(digest))
            .or_else(|| self.contents.get(digest))
            .or_else(|| self.chains.get(digest))
    }

    /// Content that is here, or that a peer gives; what a peer gives is kept among `contents`.
    pub(super) async fn fetched(
        &self,
        contents: &Contents,
        digest: &Sha256,
        library: &dyn Library,
    ) -> Option<Bytes> {
        if let Some(held) = self.held(digest) {
            return Some(held);
        }
        let fetched = library.fetch(&Digest(digest.0)).await?;
        let is_right = fetched.len() <= CONTENT_BYTES_MAX && Sha256::of(&fetched) == *digest;
        is_right.then(|| {
            contents.put(fetched.clone());
            fetched
        })
    }
}

pub(super) fn verdict(ttl: u32, bytes: Vec<u8>) -> Statement {
    Statement { ttl, said: Said::Verdict(bytes) }
}

/// For how long a verdict on a certificate holds, in seconds: as long as its minute is near enough to clocks.
const CERTIFICATE_TTL_SECONDS: u32 = CLOCK_DIFFERENCE_MINUTES_MAX * 60;
/// For how long what was seen at a server holds, in slots: until the next look is over.
const PROBE_TTL_PERIODS: u32 = 2;
