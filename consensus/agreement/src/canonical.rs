//! A DNS response, reduced to what replicas can agree on: its canonical outcome, and the records served beside it.
//!
//! Equality is that of the outcome: names in lower case, data canonical, records sorted and without duplicates, irrelevant records gone, a negative
//! answer reduced to its kind, its zone and its MINIMUM field, since serials differ between anycast sites. RRSIGs and the SOA of a negative answer are not part of it.

use certificate::Remark;
use certificate::leaf::{Denial, Question, RrSet};
use certificate::name::ROOT;
use hickory_proto::op::{Message, Query, ResponseCode};
use thiserror::Error;

use crate::chain::{Index, Walk};
use crate::extra;
use crate::name;
use crate::observation::ObservedOutcome;
use crate::rdata::{self, RdataError, rtype};
use crate::record::RawRecord;

/// The rcode SERVFAIL. RFC 1035 §4.1.1.
pub const SERVFAIL: u8 = 2;
/// The rcode REFUSED. RFC 1035 §4.1.1.
pub const REFUSED: u8 = 5;

/// What a response says about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The value, with the TTLs that the response carries.
    pub outcome: ObservedOutcome,
    /// SOA of a negative answer; with DO also RRSIGs, NSEC and NSEC3. The form of [`crate::extra`].
    pub extra: Vec<u8>,
    /// What was found out about the content. Not read from the response: whoever judged says it.
    pub remark: Option<Remark>,
}

impl Reading {
    /// An outcome with nothing beside it.
    pub fn bare(outcome: ObservedOutcome) -> Reading {
        Reading { outcome, extra: Vec::new(), remark: None }
    }
}

/// Why a response answers nothing. The observation is then a failure, SERVFAIL: such a response is never mended into an answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unusable {
    /// The response was cut to fit a datagram.
    #[error("response is truncated")]
    Truncated,
    /// It answers another question.
    #[error("response is to another question")]
    OtherQuestion,
    /// The question's type is one that answers cannot have.
    #[error("type {0} is not a type of data")]
    MetaType(u16),
    /// The question's class is one that records cannot have.
    #[error("class {0} is not a class of data")]
    MetaClass(u16),
    /// It points to other servers instead of answering. RFC 2308 §2.2.
    #[error("response is a referral")]
    Referral,
    /// NXDOMAIN, and the records that it denies.
    #[error("response denies the name that it answers for")]
    Contradiction,
    /// A name with two aliases. RFC 2181 §10.1.
    #[error("a name in the chain has two aliases")]
    TwoAliases,
    /// The chain comes back to a name.
    #[error("the chain of aliases is a loop")]
    Loop,
    /// More than `CHAIN_LINKS_MAX` aliases.
    #[error("the chain of aliases is too long")]
    ChainTooLong,
    /// A DNAME makes a name of more than 255 bytes. RFC 6672 §2.2.
    #[error("a DNAME makes a name of more than 255 bytes")]
    NameTooLong,
    /// A record of the answer has no canonical form.
    #[error(transparent)]
    Rdata(#[from] RdataError),
}

/// Reads what `response` says about `question`.
///
/// Rcodes other than NOERROR and NXDOMAIN are outcomes too: REFUSED as itself, all others as SERVFAIL. A chain that ends nowhere and is not
/// denied is an answer of its links alone. A negative answer without a usable SOA has the root for its zone and a TTL of 0.
///
/// Errors: a response that says nothing that could be agreed on.
pub fn read(question: &Question, response: &Message) -> Result<Reading, Unusable> {
    if response.queries.iter().any(|query| !asks(question, query)) {
        return Err(Unusable::OtherQuestion);
    }
    let denial = match response.metadata.response_code {
        ResponseCode::NoError => Denial::NoData,
        ResponseCode::NXDomain => Denial::NxDomain,
        ResponseCode::Refused => {
            return Ok(Reading::bare(ObservedOutcome::Failure(REFUSED)));
        }
        _ => return Ok(Reading::bare(ObservedOutcome::Failure(SERVFAIL))),
    };
    if response.metadata.truncation {
        return Err(Unusable::Truncated);
    }
    if !rtype::is_data(question.qtype) && question.qtype != rtype::ANY {
        return Err(Unusable::MetaType(question.qtype));
    }
    if question.qclass == 0 || question.qclass >= CLASS_NONE {
        return Err(Unusable::MetaClass(question.qclass));
    }
    let answers: Index = response.answers.iter().map(RawRecord::new).collect();
    let walk = answers.walk(question)?;
    if walk.found {
        if denial == Denial::NxDomain {
            return Err(Unusable::Contradiction);
        }
        let extra = extra::collect(question, &walk.rrsets, None, response);
        return Ok(Reading { outcome: ObservedOutcome::Answer(walk.rrsets), extra, remark: None });
    }
    read_negative(question, response, walk, denial)
}

/// Reads a response whose chain ends without what was asked for.
fn read_negative(
    question: &Question,
    response: &Message,
    walk: Walk,
    denial: Denial,
) -> Result<Reading, Unusable> {
    let authorities: Index = response.authorities.iter().map(RawRecord::new).collect();
    let soa = authorities.soa_above(&walk.end, question)?;
    if soa.is_none() && denial == Denial::NoData {
        if !walk.rrsets.is_empty() {
            let extra = extra::collect(question, &walk.rrsets, None, response);
            return Ok(Reading { outcome: ObservedOutcome::Answer(walk.rrsets), extra, remark: None });
        }
        if authorities.has(NS) {
            return Err(Unusable::Referral);
        }
    }
    let (zone, minimum, ttl) = match &soa {
        Some(soa) => {
            let minimum = soa.rdatas.iter().filter_map(|rdata| rdata::soa_minimum(rdata)).min().unwrap_or(0);
            (soa.owner.clone(), minimum, soa.ttl.min(minimum))
        }
        None => (ROOT.to_vec(), 0, 0),
    };
    let extra = extra::collect(question, &walk.rrsets, soa.as_ref(), response);
    let outcome = ObservedOutcome::Negative { chain: walk.rrsets, denial, zone, minimum, ttl };
    Ok(Reading { outcome, extra, remark: None })
}

const NS: u16 = 2;
/// RFC 2136 §2.4; QCLASS `*` is the one after it.
const CLASS_NONE: u16 = 254;

/// The question that replicas agree on for a client's query: its name in lower case, with the DO bit and the CD bit.
pub fn question(query: &Query, dnssec_ok: bool, checking_disabled: bool) -> Question {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    Question {
        name: name::to_wire(query.name()),
        qtype: query.query_type().into(),
        qclass: query.query_class().into(),
        flags: flag(dnssec_ok, Question::DNSSEC_OK) | flag(checking_disabled, Question::CHECKING_DISABLED),
    }
}

/// Whether a section's query is the question, whatever the case of its name.
pub(crate) fn asks(question: &Question, query: &Query) -> bool {
    name::to_wire(query.name()) == question.name
        && u16::from(query.query_type()) == question.qtype
        && u16::from(query.query_class()) == question.qclass
}

/// Whether `outcome` could have come out of [`read`] for `question`: a chain that starts at the asked name, every link in its place, nothing beside it.
///
/// What a peer sends is judged by this, so that behind the door an outcome can be trusted to be a chain.
pub fn answers(question: &Question, outcome: &ObservedOutcome) -> bool {
    let fits = |rrsets: &[RrSet]| {
        let walk = Index::of_rrsets(rrsets).walk(question).ok()?;
        (walk.rrsets == rrsets).then_some(walk)
    };
    match outcome {
        ObservedOutcome::Answer(rrsets) => fits(rrsets).is_some_and(|walk| walk.found || !rrsets.is_empty()),
        ObservedOutcome::Negative { chain, zone, minimum, ttl, .. } => fits(chain)
            .is_some_and(|walk| !walk.found && name::is_at_or_below(&walk.end, zone) && ttl <= minimum),
        ObservedOutcome::Failure(_) | ObservedOutcome::TimedOut | ObservedOutcome::TooLarge => true,
    }
}
