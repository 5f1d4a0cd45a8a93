//! Which question a query asks of the cluster.

use certificate::leaf::Question;
use hickory_proto::rr::{Name, RecordType};

use crate::certificate_names;
use crate::query::Query;

/// The question of a query, as replicas agree on it.
pub fn question_of(query: &Query) -> Question {
    let mut flags = 0;
    if query.dnssec_ok() {
        flags |= Question::DNSSEC_OK;
    }
    if query.checking_disabled {
        flags |= Question::CHECKING_DISABLED;
    }
    Question {
        name: agreement::name::to_wire(&query.name),
        qtype: u16::from(query.qtype),
        qclass: u16::from(query.qclass),
        flags,
    }
}

/// The question whose certificate a `_certificate` name asks for. Without a type, A is meant.
pub fn certificate_question(name: &Name) -> Option<Question> {
    let (qtype, skip) = certificate_names::asked_about(name)?;
    let mut base = name.clone();
    for _ in 0..skip {
        base = base.base_name();
    }
    let name = agreement::name::to_wire(&base);
    Some(Question { name, qtype, qclass: 1, flags: 0 })
}

/// Types that ask for no data of a name. RFC 6895 §3.1.
pub fn is_meta(qtype: RecordType) -> bool {
    certificate_names::is_meta(qtype.into())
}
