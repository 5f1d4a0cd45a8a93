//! What the rules do to an answer. Pure.

use hickory_proto::rr::rdata::{CNAME, MX, NS, PTR, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::pattern::{Replacement, text_of};
use super::rules::{NotAName, TtlBounds, parse};
use crate::response::Response;

/// Replaces owners that look so, in all sections. Returns whether there were any.
///
/// Errors: a name became something that is none.
pub fn replace_owners(response: &mut Response, change: &Replacement) -> Result<bool, NotAName> {
    let mut changed = false;
    for record in records(response) {
        if let Some(owner) = replaced(&record.name, change)? {
            record.name = owner;
            changed = true;
        }
    }
    Ok(changed)
}

/// Replaces names in data that look so: those of CNAME, MX, NS, PTR and SRV. Returns whether there were any.
///
/// Errors: a name became something that is none.
pub fn replace_values(response: &mut Response, change: &Replacement) -> Result<bool, NotAName> {
    let mut changed = false;
    for record in records(response) {
        let data = match &record.data {
            RData::CNAME(target) => replaced(target, change)?.map(|name| RData::CNAME(CNAME(name))),
            RData::NS(target) => replaced(target, change)?.map(|name| RData::NS(NS(name))),
            RData::PTR(target) => replaced(target, change)?.map(|name| RData::PTR(PTR(name))),
            RData::MX(mx) => {
                replaced(&mx.exchange, change)?.map(|name| RData::MX(MX::new(mx.preference, name)))
            }
            RData::SRV(srv) => replaced(&srv.target, change)?
                .map(|name| RData::SRV(SRV::new(srv.priority, srv.weight, srv.port, name))),
            _ => None,
        };
        if let Some(data) = data {
            record.data = data;
            changed = true;
        }
    }
    Ok(changed)
}

/// Brings all TTLs within `bounds`. Returns whether one was raised: a shorter life is within what was signed, a longer one is not.
pub fn bound_ttls(response: &mut Response, bounds: TtlBounds) -> bool {
    let mut raised = false;
    for record in records(response) {
        let ttl = record.ttl.max(bounds.least).min(bounds.most);
        raised |= ttl > record.ttl;
        record.ttl = ttl;
    }
    raised
}

/// Lets the first alias whose target looks so lead to another name, and takes out what stood behind it. Returns the new target.
///
/// Errors: a name became something that is none.
pub fn redirect(response: &mut Response, change: &Replacement) -> Result<Option<Name>, NotAName> {
    for (at, record) in response.answers.iter_mut().enumerate() {
        if let RData::CNAME(target) = &record.data
            && let Some(name) = replaced(target, change)?
        {
            record.data = RData::CNAME(CNAME(name.clone()));
            response.answers.truncate(at + 1);
            response.authorities.clear();
            response.additionals.clear();
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Takes off what says that a quorum or the zone's owner signed this: it is not what was signed any more.
pub fn disown(response: &mut Response) {
    response.certificate = None;
    response.authentic_data = false;
    let is_signed = |record: &Record| {
        matches!(record.record_type(), RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3)
    };
    for section in [&mut response.answers, &mut response.authorities, &mut response.additionals] {
        section.retain(|record| !is_signed(record));
    }
}

/// What becomes of `name`; `None` when it does not look so.
fn replaced(name: &Name, change: &Replacement) -> Result<Option<Name>, NotAName> {
    change.apply(&text_of(name)).map(|changed| parse(&changed)).transpose()
}

fn records(response: &mut Response) -> impl Iterator<Item = &mut Record> {
    response.answers.iter_mut().chain(&mut response.authorities).chain(&mut response.additionals)
}
