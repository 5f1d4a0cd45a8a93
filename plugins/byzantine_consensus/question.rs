//! Which question a query asks of the cluster.

use certificate::leaf::Question;
use hickory_proto::rr::{Name, RecordType};

use crate::query::Query;

/// The label below which the certificate of a name is found: `_certificate.NAME`, `_certificate._TYPE.NAME`.
const CERTIFICATE_LABEL: &[u8] = b"_certificate";

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
    let mut labels = name.iter();
    if labels.next()? != CERTIFICATE_LABEL {
        return None;
    }
    let type_of = |label: &[u8]| {
        let word = std::str::from_utf8(label.strip_prefix(b"_")?).ok()?.to_ascii_uppercase();
        let number = || word.strip_prefix("TYPE")?.parse::<u16>().ok();
        let qtype = word.parse::<RecordType>().map(u16::from).ok().or_else(number)?;
        (!is_meta(RecordType::from(qtype))).then_some(qtype)
    };
    // `_certificate._tcp.example.org` asks about the name `_tcp.example.org`.
    let (qtype, skip) = match labels.next().and_then(type_of) {
        Some(qtype) => (qtype, 2),
        None => (u16::from(RecordType::A), 1),
    };
    let mut base = name.clone();
    for _ in 0..skip {
        base = base.base_name();
    }
    let name = agreement::name::to_wire(&base);
    Some(Question { name, qtype, qclass: 1, flags: 0 })
}

/// Types that ask for no data of a name. RFC 6895 §3.1.
pub fn is_meta(qtype: RecordType) -> bool {
    let number = u16::from(qtype);
    number == 0 || number == 41 || (128..=254).contains(&number)
}
