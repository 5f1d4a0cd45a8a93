//! The RRsets of an answer that carry certificates, and the data of their records as on the wire.

use std::collections::BTreeMap;

use hickory_proto::rr::{DNSClass, Name, RData, Record};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use transparency::rrset::RecordType;

/// One RRset.
pub struct Set {
    pub owner: Name,
    /// The name that its certificates are for: the one asked for when that is an alias of the owner, else the owner. RFC 7671 §6.
    pub name: Name,
    pub kind: RecordType,
    /// The data of each record.
    pub rdata: Vec<Vec<u8>>,
}

/// Whether any record may carry a certificate.
pub fn any(records: &[Record]) -> bool {
    records.iter().any(|record| kind(record).is_some())
}

/// The RRsets of class IN that may carry certificates, in the order of owner and type, whatever the order of the records.
pub fn sets(records: &[Record]) -> Vec<Set> {
    let mut sets: BTreeMap<(Name, u16), Set> = BTreeMap::new();
    for record in records {
        let Some(kind) = kind(record) else { continue };
        let owner = record.name.to_lowercase();
        let set = sets.entry((owner.clone(), record.record_type().into()));
        // Data that cannot be written is malformed, as no data is.
        let data = wire(&record.data).unwrap_or_default();
        set.or_insert_with(|| Set { name: owner.clone(), owner, kind, rdata: Vec::new() }).rdata.push(data);
    }
    let mut sets: Vec<Set> = sets.into_values().collect();
    // Records come in any order; what is said of a set must not hang on it.
    sets.iter_mut().for_each(|set| set.rdata.sort_unstable());
    sets
}

/// The RRsets of an answer to a question for `asked`; see [`sets`].
pub fn sets_of(asked: &Name, records: &[Record]) -> Vec<Set> {
    let mut sets = sets(records);
    let aliases: BTreeMap<Name, Name> = records.iter().filter_map(alias).collect();
    let asked = asked.to_lowercase();
    let mut reached = vec![&asked];
    // An alias is followed once, so that a ring of them ends.
    for _ in 0..aliases.len() {
        reached.extend(reached.last().and_then(|last| aliases.get(*last)));
    }
    let behind = sets.iter_mut().filter(|set| reached.contains(&&set.owner));
    behind.for_each(|set| set.name.clone_from(&asked));
    sets
}

fn alias(record: &Record) -> Option<(Name, Name)> {
    match &record.data {
        RData::CNAME(target) => Some((record.name.to_lowercase(), target.0.to_lowercase())),
        _ => None,
    }
}

/// The word for a type: `CERT`.
pub fn word(kind: RecordType) -> &'static str {
    match kind {
        RecordType::Cert => "CERT",
        RecordType::Tlsa => "TLSA",
        RecordType::Smimea => "SMIMEA",
    }
}

fn kind(record: &Record) -> Option<RecordType> {
    let kind = RecordType::from_number(record.record_type().into())?;
    (record.dns_class == DNSClass::IN).then_some(kind)
}

fn wire(data: &RData) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).ok()?;
    Some(bytes)
}
