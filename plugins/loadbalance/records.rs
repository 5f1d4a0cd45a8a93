//! RRsets among decoded records. Pure.

use std::net::IpAddr;

use hickory_proto::rr::{RData, Record, RecordType};

use super::handler::Policy;
use super::order::{Set, prefer, promote, shuffle};

/// Puts neighbours of one RRset of addresses or mail exchangers in a new order. Nothing else moves: the order of RRsets stays, and an alias before what it
/// leads to.
pub fn rearrange(records: &mut [Record], mut seed: u64, policy: &Policy) {
    for set in records.chunk_by_mut(same_set).filter(|set| is_balanced(set[0].record_type())) {
        let owner = set[0].name.clone();
        let set = &mut Neighbours(set);
        shuffle(set, seed);
        if let Some(weights) = policy.weights.of(&owner) {
            promote(set, seed, |address| weights.of(address));
        }
        prefer(set, &policy.preferred);
        seed = seed.rotate_left(7);
    }
}

fn is_balanced(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::A | RecordType::AAAA | RecordType::MX)
}

fn same_set(one: &Record, other: &Record) -> bool {
    one.record_type() == other.record_type()
        && one.dns_class == other.dns_class
        && one.name.eq_ignore_root(&other.name)
}

/// Records of one RRset that stand side by side.
struct Neighbours<'a>(&'a mut [Record]);

impl Set for Neighbours<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn address(&self, at: usize) -> Option<IpAddr> {
        match &self.0[at].data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.0.swap(one, other);
    }
}
