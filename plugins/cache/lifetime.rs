//! Which answers may be kept, and for how long. RFC 2308, RFC 9520.
//!
//! Knows no clock: TTLs of an answer are as of the moment it came, and so is what is said here.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record, RecordType};

use crate::response::Response;

/// What an answer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Records of the type asked for.
    Success,
    /// NXDOMAIN or NODATA.
    Denial,
    /// There is no answer: SERVFAIL, or another rcode that came with a lifetime.
    Failure,
}

/// Bounds of TTLs, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Larger TTLs are lowered to it.
    pub ttl_max_s: u32,
    /// Smaller TTLs are raised to it, unless a quorum signed the answer.
    pub ttl_min_s: u32,
}

/// How long answers of each kind are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// Of records.
    pub success: Bounds,
    /// Of NXDOMAIN and NODATA.
    pub denial: Bounds,
    /// Of failures that do not say it themselves.
    pub failure_s: u32,
}

/// What may be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// What it says.
    pub kind: Kind,
    /// For how long, from now.
    pub lifetime: Duration,
}

impl Lifetimes {
    /// Decides whether `response` to a question of `qtype` may be kept, and brings its TTLs within the bounds.
    ///
    /// Records: until the first TTL of any section has run out. Denials: likewise, and no longer than the lesser of the SOA's
    /// TTL and its MINIMUM field, to which all records beside it are lowered; without a SOA not at all (RFC 2308 §5). Failures:
    /// at least `FAILURE_S_MIN`, at most `FAILURE_S_MAX` (RFC 9520 §3.2). `Response::cache_ttl_s` lowers each of these, and zero
    /// forbids.
    ///
    /// A TTL below which a quorum put its signatures is never raised.
    pub fn admit(&self, response: &mut Response, qtype: RecordType) -> Option<Admitted> {
        if response.truncated || response.cache_ttl_s == Some(0) {
            return None;
        }
        let told_s = response.cache_ttl_s;
        let kind = kind_of(response, qtype)?;
        let lifetime_s = match kind {
            Kind::Success => self.bound_records(response).min(told_s.unwrap_or(u32::MAX)),
            Kind::Denial => self.bound_denial(response)?.min(told_s.unwrap_or(u32::MAX)),
            Kind::Failure => told_s.unwrap_or(self.failure_s).clamp(FAILURE_S_MIN, FAILURE_S_MAX),
        };
        (lifetime_s > 0).then(|| Admitted { kind, lifetime: Duration::from_secs(lifetime_s.into()) })
    }

    /// Bounds the TTLs of a positive answer and returns the least.
    fn bound_records(&self, response: &mut Response) -> u32 {
        let bounds = self.success.for_certified(response.certificate.is_some());
        let mut least = bounds.ttl_max_s;
        for record in records_mut(response) {
            record.ttl = bounds.apply(record.ttl);
            least = least.min(record.ttl);
        }
        least
    }

    /// Bounds the TTLs of a denial and returns the least.
    fn bound_denial(&self, response: &mut Response) -> Option<u32> {
        let bounds = self.denial.for_certified(response.certificate.is_some());
        let denied_s = bounds.apply(response.authorities.iter().find_map(denial_ttl)?);
        response.authorities.iter_mut().for_each(|record| record.ttl = record.ttl.min(denied_s));
        if let Some(soa) = response.authorities.iter_mut().find(|record| denial_ttl(record).is_some()) {
            soa.ttl = denied_s;
        }
        let chain_s = response.answers.iter_mut().map(|record| {
            record.ttl = bounds.apply(record.ttl);
            record.ttl
        });
        let chain_s = chain_s.min().unwrap_or(denied_s);
        response.authorities.iter().map(|record| record.ttl).chain([chain_s]).min()
    }
}

impl Bounds {
    /// The bounds for an answer: no floor where a quorum signed the TTL.
    fn for_certified(self, certified: bool) -> Bounds {
        Bounds { ttl_min_s: if certified { 0 } else { self.ttl_min_s }, ..self }
    }

    /// Brings `ttl_s` within the bounds. The cap wins over the floor.
    fn apply(self, ttl_s: u32) -> u32 {
        ttl_s.max(self.ttl_min_s).min(self.ttl_max_s)
    }
}

/// What `response` says, or `None` if it must not be kept, whatever it holds.
///
/// What is a denial by its rcode and lack of records, `bound_denial` finds to be none where there is no SOA: an alias chain that
/// leads nowhere, a referral.
fn kind_of(response: &Response, qtype: RecordType) -> Option<Kind> {
    match response.rcode {
        ResponseCode::NoError if response.answers.iter().any(|record| record.record_type() == qtype) => {
            Some(Kind::Success)
        }
        ResponseCode::NoError | ResponseCode::NXDomain => Some(Kind::Denial),
        ResponseCode::ServFail => Some(Kind::Failure),
        other => (response.cache_ttl_s.is_some() && u16::from(other) <= RCODE_MAX).then_some(Kind::Failure),
    }
}

/// How long the SOA `record` lets a denial be kept, or `None` if it is no SOA. RFC 2308 §5.
fn denial_ttl(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    }
}

/// All records of all sections.
pub fn records_mut(response: &mut Response) -> impl Iterator<Item = &mut Record> {
    response.answers.iter_mut().chain(&mut response.authorities).chain(&mut response.additionals)
}

/// Failures are remembered at least so long. RFC 9520 §3.2
pub const FAILURE_S_MIN: u32 = 1;
/// Failures are remembered at most so long. RFC 9520 §3.2
pub const FAILURE_S_MAX: u32 = 300;
/// Largest rcode that the header holds; larger ones need an OPT record.
const RCODE_MAX: u16 = 15;
