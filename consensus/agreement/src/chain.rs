//! From a heap of records to the ones that answer a question: the chain of aliases from the asked name, link by link, then the asked RRset.

use std::collections::BTreeMap;

use certificate::leaf::{Question, RrSet};
use certificate::name::ancestors;

use crate::canonical::Unusable;
use crate::name;
use crate::rdata::rtype;
use crate::record::RawRecord;

/// The most aliases from the asked name to the answer.
pub const CHAIN_LINKS_MAX: usize = 16;

/// Owner, type and class: what makes records one RRset. RFC 2181 §5.
pub(crate) type Key = (Vec<u8>, u16, u16);

/// The records of a section, by RRset. Data is judged only when it is used, so an irrelevant record harms nothing.
#[derive(Default)]
pub(crate) struct Index(BTreeMap<Key, Vec<RawRecord>>);

/// Where the chain from the asked name leads.
pub(crate) struct Walk {
    /// The links in order, then the asked RRsets, if any.
    pub(crate) rrsets: Vec<RrSet>,
    /// The last name of the chain.
    pub(crate) end: Vec<u8>,
    /// Whether the asked RRset stands there.
    pub(crate) found: bool,
}

impl FromIterator<RawRecord> for Index {
    fn from_iter<I: IntoIterator<Item = RawRecord>>(records: I) -> Index {
        let mut index = Index::default();
        for record in records.into_iter().filter(|record| rtype::is_data(record.rtype)) {
            let key = (record.owner.clone(), record.rtype, record.rclass);
            index.0.entry(key).or_default().push(record);
        }
        index
    }
}

impl Index {
    /// The records of `rrsets`, taken apart again.
    pub(crate) fn of_rrsets(rrsets: &[RrSet]) -> Index {
        let records = rrsets.iter().flat_map(|rrset| {
            rrset.rdatas.iter().map(|data| RawRecord {
                owner: rrset.owner.clone(),
                rtype: rrset.rtype,
                rclass: rrset.rclass,
                ttl: rrset.ttl,
                data: Some(data.clone()),
            })
        });
        records.collect()
    }

    /// The RRset, its data canonical, sorted and without duplicates, with the least TTL of its records (RFC 2181 §5.2).
    fn rrset(&self, key: &Key) -> Result<Option<RrSet>, Unusable> {
        let Some(records) = self.0.get(key) else {
            return Ok(None);
        };
        let mut rdatas = records.iter().map(RawRecord::canonical).collect::<Result<Vec<_>, _>>()?;
        rdatas.sort_unstable();
        rdatas.dedup();
        let (owner, rtype, rclass) = key.clone();
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
        Ok(Some(RrSet { owner, rtype, rclass, ttl, rdatas }))
    }

    /// The RRsets that the question asks for at `owner`, in order of type.
    fn asked(&self, owner: &[u8], question: &Question) -> Result<Vec<RrSet>, Unusable> {
        let range = (owner.to_vec(), 0, 0)..=(owner.to_vec(), u16::MAX, u16::MAX);
        let keys = self.0.range(range).map(|(key, _)| key);
        let asked = keys.filter(|key| key.2 == question.qclass && type_matches(question, key.1));
        asked.filter_map(|key| self.rrset(key).transpose()).collect()
    }

    /// The alias at `owner`: its CNAME, or the one that a DNAME above it makes. RFC 6672 §3.1.
    ///
    /// The DNAME itself is not part of the chain, so that a server which leaves it out says the same as one which does not.
    fn link(&self, owner: &[u8], question: &Question) -> Result<Option<RrSet>, Unusable> {
        let key = |owner: &[u8], rtype| (owner.to_vec(), rtype, question.qclass);
        if let Some(cname) = self.rrset(&key(owner, rtype::CNAME))? {
            return Ok(Some(cname));
        }
        for ancestor in ancestors(owner).skip(1) {
            let Some(dname) = self.rrset(&key(ancestor, rtype::DNAME))? else {
                continue;
            };
            let [target] = dname.rdatas.as_slice() else {
                return Err(Unusable::TwoAliases);
            };
            let made = name::substitute(owner, ancestor, target).ok_or(Unusable::NameTooLong)?;
            let (owner, rclass, ttl) = (owner.to_vec(), dname.rclass, dname.ttl);
            return Ok(Some(RrSet { owner, rtype: rtype::CNAME, rclass, ttl, rdatas: vec![made] }));
        }
        Ok(None)
    }

    /// Follows the chain from the asked name.
    pub(crate) fn walk(&self, question: &Question) -> Result<Walk, Unusable> {
        let mut rrsets = Vec::new();
        let mut names = vec![question.name.clone()];
        loop {
            let owner = names.last().expect("it starts with the asked name").clone();
            let asked = self.asked(&owner, question)?;
            if !asked.is_empty() {
                rrsets.extend(asked);
                return Ok(Walk { rrsets, end: owner, found: true });
            }
            let link = if follows_aliases(question) { self.link(&owner, question)? } else { None };
            let Some(link) = link else {
                return Ok(Walk { rrsets, end: owner, found: false });
            };
            let target = link.cname_target().ok_or(Unusable::TwoAliases)?.to_vec();
            if names.contains(&target) {
                return Err(Unusable::Loop);
            }
            if names.len() > CHAIN_LINKS_MAX {
                return Err(Unusable::ChainTooLong);
            }
            rrsets.push(link);
            names.push(target);
        }
    }

    /// The SOA of the zone that the name at the end of the chain is denied by: the lowest at or above it.
    pub(crate) fn soa_above(&self, end: &[u8], question: &Question) -> Result<Option<RrSet>, Unusable> {
        let mut zones = ancestors(end).map(|zone| (zone.to_vec(), rtype::SOA, question.qclass));
        zones.find_map(|key| self.rrset(&key).transpose()).transpose()
    }

    /// Whether a record of `rtype` is there.
    pub(crate) fn has(&self, rtype: u16) -> bool {
        self.0.keys().any(|key| key.1 == rtype)
    }
}

/// Whether an alias at the asked name answers for another: not when the alias itself, or everything, was asked for. RFC 1034 §3.6.2.
pub(crate) fn follows_aliases(question: &Question) -> bool {
    question.qtype != rtype::CNAME && question.qtype != rtype::ANY
}

/// Whether a record type is asked for. Signatures answer ANY as something served beside it, not as a part of the value.
pub(crate) fn type_matches(question: &Question, rtype: u16) -> bool {
    if question.qtype == rtype::ANY { rtype != rtype::RRSIG } else { rtype == question.qtype }
}
