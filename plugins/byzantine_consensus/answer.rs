//! From a decision to the response that a client gets.

use agreement::canonical::REFUSED;
use agreement::serve;
use certificate::Replicas;
use certificate::leaf::{Class, Leaf, Outcome, Policy};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record};

use super::store::Held;
use crate::error::{ExtendedError, code};
use crate::query::Query;
use crate::response::{Certified, Response};

/// The name of this plugin, as the origin of its answers.
pub const ORIGIN: &str = "byzantine-consensus";
/// A failure is remembered at least so long, in seconds. RFC 9520 §3.2.
pub const FAILURE_TTL_SECONDS: u32 = 1;

/// The response to `query` that `held` decides in a cluster of `replicas`, as of `now_ms`.
pub fn response(held: &Held, query: &Query, replicas: Replicas, now_ms: u64) -> Response {
    let leaf = &held.leaf;
    let served = serve(leaf, &held.extra, now_ms);
    let mut response = Response::new(served.rcode, ORIGIN);
    response.recursion_available = true;
    // Agreement is not validation: AD is for DNSSEC alone.
    response.authentic_data = leaf.class == Class::Secure;
    response.certificate = Some(held.certificate.certification());
    response.answers = served.answers;
    response.authorities = served.authorities;
    if !query.dnssec_ok() {
        // RFC 4035 §3.2.1: not without DO, unless asked for.
        if ![RecordType::RRSIG, RecordType::ANY].contains(&query.qtype) {
            response.answers.retain(|record| record.record_type() != RecordType::RRSIG);
        }
        response.authorities.retain(|record| record.record_type() == RecordType::SOA);
    }
    response.remark = leaf.remark();
    let remaining = (leaf.not_after_ms.saturating_sub(now_ms) / 1000) as u32;
    response.cache_ttl_s = Some(remaining);
    if !held.is_answer() {
        response.extended_errors.push(extended_error(leaf, replicas));
        response.cache_ttl_s = Some(remaining.max(FAILURE_TTL_SECONDS));
    }
    response
}

fn extended_error(leaf: &Leaf, numbers: Replicas) -> ExtendedError {
    let (support, observers, replicas) = (leaf.support.len(), leaf.observers.len(), numbers.count());
    match leaf.class {
        Class::Failure if leaf.remark().is_some() => ExtendedError {
            code: code::OTHER,
            text: format!("consensus: {support} of {replicas} replicas give no answer for this reason"),
        },
        Class::Failure => ExtendedError {
            code: code::NO_REACHABLE_AUTHORITY,
            text: format!("consensus: {support} of {replicas} replicas saw {}", failure_word(leaf)),
        },
        _ => ExtendedError {
            code: code::OTHER,
            text: format!(
                "consensus: no-agreement: {observers} of {replicas} replicas answered, {}",
                missing(leaf.policy, observers, numbers)
            ),
        },
    }
}

/// What a policy asks for that so many answers did not come to. Answers that do not count, being old, can only make the number smaller.
fn missing(policy: Policy, answers: usize, numbers: Replicas) -> String {
    let most = (answers / 2 + 1).max(numbers.weak_quorum());
    match policy {
        Policy::Strong => format!("no {} of them alike", numbers.quorum()),
        Policy::Corroborated => format!("no {most} of them alike"),
        Policy::Records | Policy::Observe | Policy::Bypass => {
            format!("no {most} of them alike, nor on each record")
        }
        Policy::Dnssec => "none of them proven by DNSSEC, as policy `dnssec` wants".to_owned(),
    }
}

fn failure_word(leaf: &Leaf) -> &'static str {
    match leaf.outcome {
        Outcome::Failure(REFUSED) => "REFUSED",
        _ => "no usable answer from upstream",
    }
}

/// The failure when no decision came: `answered` replicas of `replicas` were heard, `quorum` are needed.
pub fn undecided(answered: usize, replicas: usize, quorum: usize) -> Response {
    let mut response = Response::new(ResponseCode::ServFail, ORIGIN);
    let (code, text) = if answered < quorum {
        (
            code::NETWORK_ERROR,
            format!("consensus: {answered} of {replicas} replicas answered, {quorum} are needed"),
        )
    } else {
        (
            code::NOT_READY,
            format!("consensus: {answered} of {replicas} replicas answered, but no decision came in time"),
        )
    };
    response.extended_errors.push(ExtendedError { code, text });
    response.recursion_available = true;
    response.cache_ttl_s = Some(FAILURE_TTL_SECONDS);
    response
}

/// A certificate as a TXT record at `owner`.
pub fn certificate_text(certified: &Certified, owner: &Name) -> Response {
    let mut response = Response::new(ResponseCode::NoError, ORIGIN);
    let text = TXT::new(certificate::delivery::to_txt(&certified.answer));
    // Not cached: what it says about time would age with it.
    response.answers.push(Record::from_rdata(owner.clone(), 0, RData::TXT(text)));
    response.authoritative = true;
    response.recursion_available = true;
    response.cache_ttl_s = Some(0);
    response
}
