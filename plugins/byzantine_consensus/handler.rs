//! The plugin: a query waits for the cluster's decision, or is answered with one that still holds.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use certificate::leaf::{Policy, Question};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use pbft::Standing;
use tokio::time::Instant;
use tracing::warn;

use super::answer::{ORIGIN, certificate_text, response, undecided};
use super::api;
use super::consensus::{Attached, Consensus, to_message, wall_ms};
use super::judge::{key, operation};
use super::nodes::{Identity, Nodes, OpenPort};
use super::question::{certificate_question, is_meta, question_of};
use super::store::Held;
use crate::chain::{Next, Rest};
use crate::error::{ExtendedError, ServeError, StartError, code};
use crate::plugin::Plugin;
use crate::query::Query;
use crate::response::Response;

/// So long before the client's deadline waiting ends, so that the failure still reaches it.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);
/// How long the comparison with an own answer waits for the decision.
const COMPARE_WAIT: Duration = Duration::from_secs(5);
/// How long an own, uncertified answer may be cached, in seconds.
const LOCAL_TTL_SECONDS: u32 = 30;

/// What a client gets when replicas do not agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnDisagreement {
    /// SERVFAIL with an extended error that says the counts.
    ServFail,
    /// This replica's own answer, uncertified, marked by an extended error.
    Local,
}

/// The directive's options that concern queries.
#[derive(Clone, Debug)]
pub struct QuerySettings {
    /// The zones of the block.
    pub zones: Vec<Name>,
    /// How long a lookup may take before its time-out is the observation.
    pub observe_timeout: Duration,
    /// What a client gets when replicas do not agree.
    pub on_disagreement: OnDisagreement,
    /// The EDNS option that carries certificates.
    pub option_code: u16,
}

/// `byzantine-consensus`
pub struct ByzantineConsensus {
    settings: QuerySettings,
    identity: Identity,
    nodes: Arc<Nodes>,
    /// Tells this plugin's chain from its predecessor's during a reload; later plugins have higher numbers.
    id: u64,
    /// The peer port, from `open` to `start`.
    port: Mutex<Option<Arc<OpenPort>>>,
    consensus: OnceLock<Arc<Consensus>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl ByzantineConsensus {
    /// The plugin for one block; the node starts with `Plugin::start`.
    pub fn new(settings: QuerySettings, identity: Identity, nodes: Arc<Nodes>) -> ByzantineConsensus {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        ByzantineConsensus {
            settings,
            identity,
            nodes,
            id,
            port: Mutex::default(),
            consensus: OnceLock::new(),
        }
    }

    fn consensus(&self) -> Result<&Arc<Consensus>, ServeError> {
        self.consensus.get().ok_or_else(|| ServeError::NotReady("the replica has not started".to_owned()))
    }

    /// The agreed answer, or what stands in its place.
    async fn agreed(
        &self,
        consensus: &Consensus,
        query: &Query,
        next: Next,
        question: &Question,
    ) -> Result<Response, ServeError> {
        let deadline = Instant::from_std(query.deadline) - ANSWER_MARGIN;
        let decision = consensus.decision(operation(question), deadline);
        if self.settings.on_disagreement == OnDisagreement::ServFail {
            let held = decision.await?;
            return Ok(self.respond(consensus, query, question, held.as_deref()).await);
        }
        // The own answer is looked up beside the decision: when there is none, it is too late to begin.
        let own = tokio::time::timeout_at(deadline, next.serve(query));
        tokio::pin!(own, decision);
        let (held, own_answer) = tokio::select! {
            held = &mut decision => (held, None),
            answer = &mut own => (decision.await, Some(answer)),
        };
        let agreed = match held {
            Ok(held) => {
                let agreed = self.respond(consensus, query, question, held.as_deref()).await;
                // What a quorum holds back no single replica gives, whatever it has found itself.
                if agreed.is_withheld() || held.is_some_and(|held| held.is_answer()) {
                    return Ok(agreed);
                }
                Ok(agreed)
            }
            Err(error) => Err(error),
        };
        let own_answer = match own_answer {
            Some(answer) => answer,
            None => own.await,
        };
        match own_answer {
            Ok(Ok(own)) => Ok(local(own, &agreed)),
            Ok(Err(_)) | Err(_) => agreed,
        }
    }

    async fn respond(
        &self,
        consensus: &Consensus,
        query: &Query,
        question: &Question,
        held: Option<&Held>,
    ) -> Response {
        let numbers = consensus.cluster.replicas;
        match held {
            Some(held) => {
                if held.certificate.get().is_none() {
                    consensus.metrics.early.inc();
                }
                response(held, query, numbers, wall_ms())
            }
            None => {
                consensus.metrics.undecided.inc();
                let answered = consensus.node().observers(key(question)).await.len();
                undecided(answered, numbers.count(), numbers.quorum())
            }
        }
    }

    /// The own answer at once; the decision comes behind it, for the comparison and for those who ask for the certificate.
    async fn observed(
        &self,
        consensus: &Arc<Consensus>,
        query: &Query,
        next: Next,
        question: Question,
    ) -> Result<Response, ServeError> {
        let mut response = next.serve(query).await?;
        let key = key(&question);
        if let Some(held) = consensus.store.valid(&key, wall_ms()) {
            if compare(consensus, &question, &held, &response) {
                response.certificate = Some(held.certificate.certification());
            }
            return Ok(response);
        }
        // Who has to ask also compares: one task for a question, however many ask it.
        let Some(mut place) = consensus.waiting.join(key, Instant::now()).ok().filter(|place| place.asks)
        else {
            return Ok(response);
        };
        if consensus.node().request(operation(&question)).is_err() {
            return Ok(response);
        }
        place.handed();
        let (consensus, own) = (consensus.clone(), response.clone());
        tokio::spawn(async move {
            if let Ok(held) = tokio::time::timeout(COMPARE_WAIT, place.decision()).await {
                compare(&consensus, &question, &held, &own);
            }
        });
        Ok(response)
    }

    /// The certificate of a name, as text: `TXT _certificate[._TYPE].NAME`.
    async fn certificate(&self, query: &Query, question: &Question) -> Result<Response, ServeError> {
        let consensus = self.consensus()?;
        if consensus.cluster.policy_for(&question.name).1 == Policy::Bypass {
            return Err(ServeError::Refused(
                "the policy of this name is `bypass`: nothing is agreed on".to_owned(),
            ));
        }
        let deadline = Instant::from_std(query.deadline) - ANSWER_MARGIN;
        let certified = match consensus.decision(operation(question), deadline).await? {
            Some(held) => {
                let certification = held.certificate.certification();
                tokio::time::timeout_at(deadline, certification.wait()).await.ok().flatten()
            }
            None => None,
        };
        match certified {
            Some(certified) => Ok(certificate_text(&certified, &query.name_as_asked)),
            None => Ok(self.respond(consensus, query, question, None).await),
        }
    }
}

#[async_trait]
impl Plugin for ByzantineConsensus {
    fn name(&self) -> &'static str {
        ORIGIN
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        if query.qclass != DNSClass::IN || is_meta(query.qtype) {
            return next.serve(query).await;
        }
        let consensus = self.consensus()?;
        if query.qtype == RecordType::TXT
            && let Some(question) = certificate_question(&query.name)
        {
            return self.certificate(query, &question).await;
        }
        let question = question_of(query);
        match consensus.cluster.policy_for(&question.name).1 {
            Policy::Bypass => next.serve(query).await,
            Policy::Observe => self.observed(consensus, query, next, question).await,
            Policy::Strong | Policy::Corroborated | Policy::Records | Policy::Dnssec => {
                self.agreed(consensus, query, next, &question).await
            }
        }
    }

    fn open(&self) -> Result<(), StartError> {
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) =
            self.nodes.open(&self.identity).map_err(start_error)?;
        Ok(())
    }

    fn start(&self, rest: Rest) -> Result<(), StartError> {
        let port = self.port.lock().unwrap_or_else(PoisonError::into_inner).take();
        let consensus = self.nodes.acquire(&self.identity, port.as_deref()).map_err(start_error)?;
        consensus.attach(
            self.id,
            Attached {
                zones: self.settings.zones.clone(),
                rest,
                observe_timeout: self.settings.observe_timeout,
                option_code: self.settings.option_code,
            },
        );
        if self.consensus.set(consensus).is_err() {
            warn!("started twice");
        }
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        let consensus = self.consensus.get().ok_or("the replica has not started")?;
        let status = consensus.node().status();
        if let Some(reason) = &status.refusing {
            return Err(format!("does not vote: {reason}"));
        }
        match status.replica.standing {
            Standing::Learning => return Err("learns: its log is gone, and it does not vote yet".to_owned()),
            Standing::Diverged => {
                return Err(
                    "does not vote: what it holds is not what a quorum signed; see its log".to_owned()
                );
            }
            Standing::Active | Standing::Changing => {}
        }
        if !status.can_reach_quorum() {
            let (others, needed) = (status.present.saturating_sub(1), status.quorum - 1);
            return Err(format!("reaches {others} other replicas, a quorum needs {needed}"));
        }
        Ok(())
    }

    fn api(&self, path: &str, query: &str) -> Option<(u16, String)> {
        api::answer(self.consensus.get()?, path, query)
    }

    fn change(&self, path: &str, query: &str) -> Option<(u16, String)> {
        api::change(self.consensus.get()?, path, query)
    }

    fn receives(&self, path: &str) -> bool {
        path == api::VALIDATE
    }

    async fn post(&self, path: &str, query: &str, body: Bytes) -> Option<(u16, String)> {
        api::post(self.consensus.get()?, path, query, &body).await
    }

    fn stop(&self) {
        if let Some(consensus) = self.consensus.get() {
            self.nodes.release(&self.identity, consensus, self.id);
        }
    }

    async fn stopped(&self) {
        if let Some(consensus) = self.consensus.get() {
            consensus.node().stopped().await;
        }
    }
}

fn start_error(error: impl Error) -> StartError {
    StartError { plugin: ORIGIN, message: error.to_string() }
}

/// This replica's own answer in place of `agreed`, marked, and cached for half a minute at most.
fn local(mut own: Response, agreed: &Result<Response, ServeError>) -> Response {
    let why = match agreed {
        Ok(agreed) => agreed.extended_errors.first().map(|error| error.text.clone()).unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    own.extended_errors.push(ExtendedError { code: code::OTHER, text: format!("uncertified: {why}") });
    own.authentic_data = false;
    own.cache_ttl_s = Some(own.cache_ttl_s.unwrap_or(LOCAL_TTL_SECONDS).min(LOCAL_TTL_SECONDS));
    for record in own.answers.iter_mut().chain(&mut own.authorities).chain(&mut own.additionals) {
        record.ttl = record.ttl.min(LOCAL_TTL_SECONDS);
    }
    own
}

/// Whether an own answer says what the cluster decided; a difference is an alarm.
fn compare(consensus: &Consensus, question: &Question, held: &Held, own: &Response) -> bool {
    let reading = agreement::canonical::read(question, &to_message(own.clone()));
    let same = reading.is_ok_and(|reading| agreement::matches::same_answer(&held.leaf, &reading.outcome));
    if held.is_answer() && !same {
        consensus.metrics.differences.inc();
        warn!(%question, class = %held.leaf.class, "own answer differs from what the cluster decided");
    }
    same
}
