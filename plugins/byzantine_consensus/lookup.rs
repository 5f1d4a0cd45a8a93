//! What this replica sees for the cluster: names through the plugins behind this one, other operations through their validator.

use std::sync::Arc;

use agreement::canonical::{self, SERVFAIL};
use agreement::observation::payload_bytes_max;
use agreement::{Dnssec, Observed, ObservedOutcome};
use certificate::codec::Encode;
use certificate::leaf::{Policy, Question};
use hickory_proto::rr::{DNSClass, RecordType};
use pbft::Lookup;
use tokio::time::Instant;
use tracing::debug;

use super::consensus::{Consensus, encode_answer, to_message, wall_ms};
use super::judge;
use crate::error::ServeError;
use crate::query::Query;

impl Consensus {
    /// Looks at what an operation is about and signs what was seen; or hands the certified answer to the replica that asked.
    pub(super) async fn look_up(self: Arc<Self>, lookup: Lookup) {
        let now_ms = wall_ms();
        if let Some(origin) = lookup.origin
            && let Some(held) =
                self.store.get(&lookup.digest).filter(|held| held.is_worth_handing_out(now_ms))
            && let Some(bytes) = encode_answer(&held)
        {
            self.metrics.handed_out.inc();
            let _ = self.node().answer(origin, lookup.digest, bytes);
            return;
        }
        let (time_ms, payload) = if let Some(question) = judge::question(&lookup.operation) {
            let reading = self.observe(&question).await;
            let time_ms = wall_ms();
            (time_ms, self.observation(&question, reading, time_ms))
        } else if let Some(task) = judge::task(&lookup.operation) {
            let payload = self.look_at(&task, lookup.origin).await;
            (wall_ms(), payload)
        } else {
            return debug!("asked for an operation that no plugin here answers");
        };
        if let Err(busy) = self.node().observed(lookup.digest, time_ms, payload) {
            debug!(%busy, "dropped an observation");
        }
    }

    /// What was read of a name at `time_ms`, as the payload of an observation.
    pub(super) fn observation(
        &self,
        question: &Question,
        reading: canonical::Reading,
        time_ms: u64,
    ) -> Vec<u8> {
        let before = self.remember(question, &reading.outcome, time_ms);
        // Of an answer that is held back for what was found in it, no record may find support as one that was seen before.
        let is_withheld = reading.remark.is_some() && matches!(reading.outcome, ObservedOutcome::Failure(_));
        let history = if is_withheld { Vec::new() } else { before };
        let group = self.cluster.member(self.me).map_or(0, |member| member.group);
        // Whether upstream claims to have validated proves nothing, so nothing is claimed here.
        let bytes_max = payload_bytes_max(&self.cluster);
        Observed::compose(reading, Dnssec::Indeterminate, group, history, bytes_max).to_bytes()
    }

    /// What this replica's own path says about a name.
    pub(super) async fn observe(&self, question: &Question) -> canonical::Reading {
        let failure = |rcode| canonical::Reading::bare(ObservedOutcome::Failure(rcode));
        let Some(name) = agreement::name::from_wire(&question.name) else {
            return failure(SERVFAIL);
        };
        // Names under `bypass` stay between this replica and its clients, whoever asks.
        let bypassed = self.cluster.policy_for(&question.name).1 == Policy::Bypass;
        let Some(attached) = self.chain_for(&name).filter(|_| !bypassed) else {
            return failure(canonical::REFUSED);
        };
        let deadline = Instant::now() + attached.observe_timeout;
        let query = Query {
            checking_disabled: question.flags & Question::CHECKING_DISABLED != 0,
            ..Query::internal(
                name,
                RecordType::from(question.qtype),
                DNSClass::from(question.qclass),
                question.flags & Question::DNSSEC_OK != 0,
                deadline.into_std(),
            )
        };
        match tokio::time::timeout_at(deadline, attached.rest.next().serve(&query)).await {
            Ok(Ok(mut response)) => {
                let remark = response.remark.take();
                match canonical::read(question, &to_message(response)) {
                    Ok(reading) => canonical::Reading { remark, ..reading },
                    Err(unusable) => {
                        debug!(%question, %unusable, "upstream's response cannot be agreed on");
                        failure(SERVFAIL)
                    }
                }
            }
            Err(_) | Ok(Err(ServeError::TimedOut(_))) => canonical::Reading::bare(ObservedOutcome::TimedOut),
            Ok(Err(error)) => {
                debug!(%question, %error, "lookup");
                failure(u8::try_from(u16::from(error.rcode())).unwrap_or(SERVFAIL))
            }
        }
    }
}
