//! RRsets among decoded records. Pure.

use std::net::IpAddr;

use hickory_proto::rr::{RData, Record, RecordType};

use super::order::{Set, arrange};
use crate::networks::Network;

/// Puts the records of each RRset of addresses or mail exchangers in a new order. What stands between them stays where it is: the order of
/// RRsets, an alias before what it leads to.
pub fn rearrange(records: &mut [Record], mut seed: u64, preferred: &[Network]) {
    let mut done = vec![false; records.len()];
    for first in 0..records.len() {
        if done[first] || !is_balanced(records[first].record_type()) {
            continue;
        }
        let places: Vec<usize> =
            (first..records.len()).filter(|&at| same_set(&records[first], &records[at])).collect();
        places.iter().for_each(|&at| done[at] = true);
        arrange(&mut Places { records, places: &places }, seed, preferred);
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

/// One RRset: where its records stand among others.
struct Places<'a> {
    records: &'a mut [Record],
    places: &'a [usize],
}

impl Set for Places<'_> {
    fn count(&self) -> usize {
        self.places.len()
    }

    fn address(&self, at: usize) -> Option<IpAddr> {
        match &self.records[self.places[at]].data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.records.swap(self.places[one], self.places[other]);
    }
}
