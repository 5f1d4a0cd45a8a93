//! Proofs of absence of a zone that was signed before it came here: NSEC (RFC 4035 §3.1.3) or NSEC3 (RFC 5155 §7.2).

use std::collections::BTreeMap;

use hickory_proto::dnssec::Nsec3HashAlgorithm;
use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::rr::{RData, RecordType};

use super::name::{Key, canonical_order, label_offsets, name_of, wildcard_below};
use super::zone::{RrSet, Zone};

/// The records that prove absence, in the order in which they follow each other. Empty in a zone that is not signed.
#[derive(Debug, Default)]
pub struct Denials {
    /// Names with an NSEC record, by canonical order.
    nsec: Vec<(Vec<u8>, Key)>,
    /// NSEC3 records by hash.
    nsec3: BTreeMap<Vec<u8>, RrSet>,
    /// How names are hashed: salt and iterations.
    hashing: (Vec<u8>, u16),
}

/// What is absent.
#[derive(Clone, Copy)]
pub enum Absence<'n> {
    /// The type, at a name that exists.
    Type { name: &'n [u8] },
    /// The name, below its closest encloser.
    Name { name: &'n [u8], encloser: &'n [u8] },
    /// The name itself, where the wildcard below its closest encloser answered instead.
    CloserName { name: &'n [u8], encloser: &'n [u8] },
    /// The type at the wildcard that stands for the name.
    WildcardType { name: &'n [u8], encloser: &'n [u8] },
}

impl Denials {
    /// Takes the NSEC3 records out of the sets of `owner`, and notes where NSEC records stand.
    pub(super) fn take(&mut self, owner: &Key, origin: &Key, sets: &mut Vec<RrSet>) {
        if sets.iter().any(|set| set.rtype == RecordType::NSEC) {
            self.nsec.push((canonical_order(owner), owner.clone()));
        }
        let Some(at) = sets.iter().position(|set| set.rtype == RecordType::NSEC3) else { return };
        let set = sets.remove(at);
        let RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) = &set.records[0].data else { return };
        let is_hashed_name = label_offsets(owner).get(1) == Some(&(owner.len() - origin.len()));
        if let Some(hash) = hash_of_label(owner).filter(|_| is_hashed_name) {
            self.hashing = (nsec3.salt().to_vec(), nsec3.iterations());
            self.nsec3.insert(hash, set);
        }
    }

    pub(super) fn sort(&mut self) {
        self.nsec.sort();
    }

    /// The sets that prove `absence` in `zone`, each once. None in a zone that is not signed.
    pub fn prove<'z>(&'z self, zone: &'z Zone, absence: Absence<'_>) -> Vec<&'z RrSet> {
        let found =
            if self.nsec3.is_empty() { self.by_nsec(zone, absence) } else { self.by_nsec3(absence, zone) };
        let mut sets: Vec<&RrSet> = Vec::with_capacity(3);
        for set in found.into_iter().flatten() {
            if !sets.iter().any(|known| std::ptr::eq(*known, set)) {
                sets.push(set);
            }
        }
        sets
    }

    fn by_nsec<'z>(&'z self, zone: &'z Zone, absence: Absence<'_>) -> Vec<Option<&'z RrSet>> {
        let at = |name: &[u8]| zone.node(name).and_then(|node| node.set(RecordType::NSEC));
        let covering = |name: &[u8]| {
            let order = canonical_order(name);
            let behind = self.nsec.partition_point(|(known, _)| *known <= order);
            // Nothing sorts before the apex, whose NSEC so is the least.
            self.nsec.get(behind.wrapping_sub(1)).or(self.nsec.last()).and_then(|(_, owner)| at(owner))
        };
        let wildcard = |encloser: &[u8]| wildcard_below(encloser);
        match absence {
            // At an empty non-terminal stands no NSEC: the one before it covers it.
            Absence::Type { name } => vec![at(name).or_else(|| covering(name))],
            Absence::Name { name, encloser } => {
                vec![covering(name), wildcard(encloser).and_then(|wildcard| covering(&wildcard))]
            }
            Absence::CloserName { name, .. } => vec![covering(name)],
            Absence::WildcardType { name, encloser } => {
                vec![covering(name), wildcard(encloser).and_then(|wildcard| at(&wildcard))]
            }
        }
    }

    fn by_nsec3<'z>(&'z self, absence: Absence<'_>, zone: &Zone) -> Vec<Option<&'z RrSet>> {
        match absence {
            Absence::Type { name } => match self.matching(name) {
                Some(set) => vec![Some(set)],
                // An opt-out span: prove the closest encloser that has an NSEC3. RFC 5155 §7.2.4.
                None => self.provable_encloser(name, zone),
            },
            Absence::Name { name, encloser } => {
                vec![
                    self.matching(encloser),
                    self.covering(next_closer(name, encloser)),
                    wildcard_below(encloser).and_then(|wildcard| self.covering(&wildcard)),
                ]
            }
            Absence::CloserName { name, encloser } => vec![self.covering(next_closer(name, encloser))],
            Absence::WildcardType { name, encloser } => {
                vec![
                    self.matching(encloser),
                    self.covering(next_closer(name, encloser)),
                    wildcard_below(encloser).and_then(|wildcard| self.matching(&wildcard)),
                ]
            }
        }
    }

    fn provable_encloser<'z>(&'z self, name: &[u8], zone: &Zone) -> Vec<Option<&'z RrSet>> {
        let apex = name.len() - zone.origin().len();
        let offsets = label_offsets(name);
        for pair in offsets.windows(2).take_while(|pair| pair[1] <= apex) {
            if let Some(set) = self.matching(&name[pair[1]..]) {
                return vec![Some(set), self.covering(&name[pair[0]..])];
            }
        }
        Vec::new()
    }

    fn matching(&self, name: &[u8]) -> Option<&RrSet> {
        self.nsec3.get(&self.hash(name)?)
    }

    fn covering(&self, name: &[u8]) -> Option<&RrSet> {
        let hash = self.hash(name)?;
        self.nsec3.range(..hash).next_back().or_else(|| self.nsec3.last_key_value()).map(|(_, set)| set)
    }

    fn hash(&self, name: &[u8]) -> Option<Vec<u8>> {
        let (salt, iterations) = &self.hashing;
        let digest = Nsec3HashAlgorithm::SHA1.hash(salt, &name_of(name), *iterations).ok()?;
        Some(digest.as_ref().to_vec())
    }
}

/// The ancestor of `name`, or `name`, that is one label longer than `encloser`. RFC 5155 §1.3.
fn next_closer<'n>(name: &'n [u8], encloser: &[u8]) -> &'n [u8] {
    let end = name.len() - encloser.len();
    let start = label_offsets(name).into_iter().rfind(|offset| *offset < end).unwrap_or(0);
    &name[start..]
}

/// The bytes that the first label of `owner` spells in base32hex.
fn hash_of_label(owner: &[u8]) -> Option<Vec<u8>> {
    let label = owner.get(1..1 + usize::from(*owner.first()?))?;
    super::rdata::base32hex(std::str::from_utf8(label).ok()?)
}
