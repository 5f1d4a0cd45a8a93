//! From a leaf back to records: what a client is sent for an agreed answer, at a given time.

use certificate::leaf::{Denial, Leaf, Outcome, RrSet};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Record;

use crate::canonical::SERVFAIL;
use crate::extra::{self, ExtraRecord};
use crate::rdata::{self, rtype};
use crate::record::to_hickory;

/// The parts of a response that a leaf decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// NOERROR, NXDOMAIN, or the failure; SERVFAIL when there is no agreement.
    pub rcode: ResponseCode,
    /// The chain and the asked records, then their RRSIGs.
    pub answers: Vec<Record>,
    /// SOA, NSEC and NSEC3 of a denial, then their RRSIGs.
    pub authorities: Vec<Record>,
}

/// Returns the records of `leaf` with the TTLs that are left of them at `now_ms` (milliseconds since 1970), rounded down.
///
/// `extra` is what was decided with the leaf; if its digest is not the leaf's, it is left out. A leaf about another kind of operation, and one without
/// agreement, is a SERVFAIL.
pub fn serve(leaf: &Leaf, extra: &[u8], now_ms: u64) -> Served {
    let age_seconds = now_ms.saturating_sub(leaf.time_ms).div_ceil(1000);
    let aged = |ttl: u32| ttl.saturating_sub(u32::try_from(age_seconds).unwrap_or(u32::MAX));
    let rcode = ResponseCode::from(0, rcode(&leaf.outcome));
    let rrsets = leaf.outcome.rrsets().unwrap_or_default();
    let mut served = Served { rcode, answers: Vec::new(), authorities: Vec::new() };
    for rrset in rrsets {
        let records = rrset.rdatas.iter();
        served.answers.extend(
            records.filter_map(|data| {
                to_hickory(&rrset.owner, rrset.rtype, rrset.rclass, aged(rrset.ttl), data)
            }),
        );
    }
    let extra = if extra::digest(extra) == leaf.extra_digest { extra::decode(extra) } else { Ok(Vec::new()) };
    for record in in_serving_order(extra.unwrap_or_default()) {
        let covered = rrsets.iter().find(|rrset| covers(&record, rrset));
        let ttl = covered.map_or(record.ttl.min(leaf.ttl), |rrset| rrset.ttl);
        let section = if covered.is_some() { &mut served.answers } else { &mut served.authorities };
        section.extend(to_hickory(&record.owner, record.rtype, record.rclass, aged(ttl), &record.rdata));
    }
    served
}

/// The rcode of an outcome. RFC 1035 §4.1.1.
pub fn rcode(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Answer(_) | Outcome::Negative { denial: Denial::NoData, .. } => 0,
        Outcome::Negative { denial: Denial::NxDomain, .. } => 3,
        Outcome::Failure(rcode) => *rcode,
        Outcome::None => SERVFAIL,
    }
}

/// The SOA first, signatures last.
fn in_serving_order(mut records: Vec<ExtraRecord>) -> Vec<ExtraRecord> {
    records.sort_by_key(|record| match record.rtype {
        rtype::SOA => 0,
        rtype::RRSIG => 2,
        _ => 1,
    });
    records
}

/// Whether `record` is a signature of `rrset`. RFC 4034 §3.1.
fn covers(record: &ExtraRecord, rrset: &RrSet) -> bool {
    record.rtype == rtype::RRSIG
        && record.owner == rrset.owner
        && rdata::rrsig_covered(&record.rdata) == Some(rrset.rtype)
}
