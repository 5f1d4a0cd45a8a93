//! The door: whether a payload that a peer signed is an observation at all. What passes here, `decide` may trust in form, never in content.

use certificate::cluster::Cluster;
use certificate::codec::{Decode, DecodeError};
use certificate::leaf::Question;
use certificate::{Member, ReplicaId};
use thiserror::Error;

use crate::canonical;
use crate::extra::{self, ExtraRecord};
use crate::observation::{Observed, ObservedOutcome, payload_bytes_max};
use crate::payload;
use crate::rdata::{self, rtype};

/// Why a payload is none. Its sender signed it, so each of these is a fault of the sender, save the format of a later release.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckError {
    /// More bytes than this cluster allows.
    #[error("expected at most {expected} bytes of payload, found {found}")]
    TooLong {
        /// What the cluster allows.
        expected: usize,
        /// What was sent.
        found: usize,
    },
    /// The format byte is none that this release knows. Another release may: this alone proves nothing about the sender.
    #[error("expected a known format of payload, found {found}")]
    Format {
        /// The first byte.
        found: u8,
    },
    /// The bytes are no observation.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The sender is no member.
    #[error("replica {0} is not in the cluster file")]
    UnknownReplica(ReplicaId),
    /// The sender claims another upstream group than the cluster file gives it.
    #[error("expected upstream group {expected}, found {found}")]
    Group {
        /// By the cluster file.
        expected: u8,
        /// By the payload.
        found: u8,
    },
    /// The outcome is no answer to the question.
    #[error("outcome does not answer {0}")]
    OtherQuestion(Question),
    /// A remark where no response was seen.
    #[error("a remark stands beside no response")]
    Remark,
    /// A record beside the answer belongs to another answer, or the SOA of a denial is missing.
    #[error("the records beside the outcome are not those of it")]
    Extra,
}

/// Decodes and judges the payload that `replica` signed as its observation of `question`.
///
/// Errors: everything that an honest replica never sends.
pub fn check(
    cluster: &Cluster,
    question: &Question,
    replica: ReplicaId,
    payload: &[u8],
) -> Result<Observed, CheckError> {
    let member = check_outside(cluster, replica, payload, payload::is_known_format)?;
    let observed = Observed::from_bytes(payload)?;
    if observed.group != member.group {
        return Err(CheckError::Group { expected: member.group, found: observed.group });
    }
    if !canonical::answers(question, &observed.outcome) {
        return Err(CheckError::OtherQuestion(question.clone()));
    }
    if observed.remark.is_some() && !observed.outcome.bears_remarks() {
        return Err(CheckError::Remark);
    }
    let extra = extra::decode(&observed.extra)?;
    let all_belong = extra.iter().all(|record| belongs(question, &observed.outcome, record));
    let soas = extra.iter().filter(|record| record.rtype == rtype::SOA).count();
    if !all_belong || soas > 1 || (soas == 0 && observed.outcome.needs_soa()) {
        return Err(CheckError::Extra);
    }
    Ok(observed)
}

/// Judges what can be told without reading a payload: who sent it, how long it is, and its format. Returns the sender.
pub(crate) fn check_outside<'a>(
    cluster: &'a Cluster,
    replica: ReplicaId,
    payload: &[u8],
    is_known_format: fn(u8) -> bool,
) -> Result<&'a Member, CheckError> {
    let member = cluster.member(replica).ok_or(CheckError::UnknownReplica(replica))?;
    let expected = payload_bytes_max(cluster);
    if payload.len() > expected {
        return Err(CheckError::TooLong { expected, found: payload.len() });
    }
    match payload.first() {
        Some(&found) if !is_known_format(found) => Err(CheckError::Format { found }),
        _ => Ok(member),
    }
}

/// Whether a record may stand beside `outcome`: no SOA but that of the denial, nothing beside a failure, DNSSEC records only where they were asked for.
fn belongs(question: &Question, outcome: &ObservedOutcome, record: &ExtraRecord) -> bool {
    let dnssec_ok = question.flags & Question::DNSSEC_OK != 0;
    let is_soa = record.rtype == rtype::SOA;
    let fits = match outcome {
        ObservedOutcome::Answer(_) => !is_soa && dnssec_ok,
        ObservedOutcome::Negative { zone, minimum, ttl, .. } if is_soa => {
            let same_minimum = rdata::soa_minimum(&record.rdata) == Some(*minimum);
            record.owner == *zone && same_minimum && record.ttl.min(*minimum) == *ttl
        }
        ObservedOutcome::Negative { .. } => dnssec_ok,
        ObservedOutcome::Failure(_) | ObservedOutcome::TimedOut | ObservedOutcome::TooLarge => false,
    };
    fits && record.rclass == question.qclass
}
