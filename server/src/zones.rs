//! Which server block answers a name: the longest match of its labels, on one listener.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use plugins::chain::Chain;
use plugins::setup::Settings;

use crate::engine::QUERY_DEADLINE;
use crate::message::NAME_BYTES_MAX;

/// The zones of one listener.
#[derive(Default)]
pub struct Zones {
    /// By zone in wire form, lower-case.
    blocks: AHashMap<Box<[u8]>, Block>,
    /// Labels of the longest zone; nothing longer is looked up.
    labels_max: usize,
    /// The longest time that a block takes for a query.
    deadline_max: Duration,
    /// Whether a block wants to know what cannot be read.
    debug: bool,
}

/// What a listener needs of a server block.
#[derive(Clone)]
pub struct Block {
    /// Its plugins.
    pub chain: Chain,
    /// Largest UDP reply in bytes.
    pub udp_payload_max: u16,
    /// How long its chain has for one query.
    pub deadline: Duration,
    /// What this server is called, for clients that ask. RFC 5001
    pub nsid: Option<Arc<[u8]>>,
    /// Whether messages of its listeners that cannot be read are logged.
    debug: bool,
    /// Whether it answers questions of class CH.
    chaos: bool,
    /// Whether it hands out whole zones.
    transfer: bool,
}

impl Block {
    /// A block with `chain`.
    pub fn new(chain: Chain, udp_payload_max: Option<u16>) -> Block {
        let has = |name| chain.plugins().iter().any(|plugin| plugin.name() == name);
        let (chaos, transfer) = (has("chaos"), has("transfer"));
        Block {
            chain,
            udp_payload_max: udp_payload_max.unwrap_or(UDP_PAYLOAD),
            deadline: QUERY_DEADLINE,
            nsid: None,
            debug: false,
            chaos,
            transfer,
        }
    }

    /// A block with `chain`, as its directives say.
    pub fn configured(chain: Chain, settings: &Settings) -> Block {
        Block {
            deadline: settings.deadline.unwrap_or(QUERY_DEADLINE),
            nsid: settings.nsid.as_deref().map(Arc::from),
            debug: settings.debug,
            ..Block::new(chain, settings.udp_payload_max)
        }
    }

    /// Whether the block may be asked at all for this class and type.
    pub fn answers(&self, qtype: RecordType, qclass: DNSClass) -> bool {
        let class = qclass == DNSClass::IN || qclass == DNSClass::CH && self.chaos;
        class && (self.transfer || !matches!(qtype, RecordType::AXFR | RecordType::IXFR))
    }
}

impl Zones {
    /// Adds a zone and says whether it is new here.
    pub fn insert(&mut self, zone: &Name, block: Block) -> bool {
        let wire = wire_of(zone);
        self.labels_max = self.labels_max.max(zone.iter().count());
        self.deadline_max = self.deadline_max.max(block.deadline);
        self.debug |= block.debug;
        self.blocks.insert(wire.into(), block).is_none()
    }

    /// The longest time that a block takes for a query.
    pub fn deadline_max(&self) -> Duration {
        self.deadline_max
    }

    /// Whether a block wants to know what cannot be read.
    pub fn debug(&self) -> bool {
        self.debug
    }

    /// The block that answers for the name `wire`, which is in wire form, in any case, and whole.
    ///
    /// The record of a delegation, DS, belongs to the zone above: for a zone's own name the block of a parent zone is asked if
    /// there is one. RFC 4035 §3.1.4.1. Deviates: CoreDNS takes the topmost zone but `.`, which may be a grandparent.
    pub fn find(&self, wire: &[u8], qtype: RecordType) -> Option<&Block> {
        let mut lower = [0; NAME_BYTES_MAX];
        let lower = lower.get_mut(..wire.len())?;
        lower.copy_from_slice(wire);
        lower.make_ascii_lowercase();
        let found = self.longest_match(lower)?;
        if qtype == RecordType::DS
            && found.0 == lower.len()
            && let Some(parent) = parent_of(lower).and_then(|parent| self.longest_match(parent))
        {
            return Some(parent.1);
        }
        Some(found.1)
    }

    /// The longest zone that `name` is in, with its length in bytes.
    fn longest_match(&self, name: &[u8]) -> Option<(usize, &Block)> {
        let mut labels = label_count(name);
        let mut rest = name;
        loop {
            if labels <= self.labels_max
                && let Some(block) = self.blocks.get(rest)
            {
                return Some((rest.len(), block));
            }
            rest = parent_of(rest)?;
            labels -= 1;
        }
    }
}

/// A name without its first label; `None` for the root.
fn parent_of(name: &[u8]) -> Option<&[u8]> {
    match name.first()? {
        0 => None,
        &label => name.get(1 + usize::from(label)..),
    }
}

fn label_count(name: &[u8]) -> usize {
    std::iter::successors(parent_of(name), |rest| parent_of(rest)).count()
}

/// A name in wire form, lower-case.
pub fn wire_of(name: &Name) -> Vec<u8> {
    let labels = name.iter().flat_map(|label| {
        let length = u8::try_from(label.len()).expect("a label has at most 63 bytes");
        std::iter::once(length).chain(label.iter().map(u8::to_ascii_lowercase))
    });
    labels.chain([0]).collect()
}

/// Largest UDP reply when nothing is configured. DNS flag day 2020
pub const UDP_PAYLOAD: u16 = 1232;

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    /// Zones whose blocks are told apart by their payload size: 1000 + index.
    fn zones(names: &[&str]) -> Zones {
        let mut zones = Zones::default();
        for (index, name) in (1000..).zip(names) {
            let new =
                zones.insert(&Name::from_str(name).unwrap(), Block::new(Chain::new(vec![]), Some(index)));
            assert!(new);
        }
        zones
    }

    fn found(zones: &Zones, name: &str, qtype: RecordType) -> Option<usize> {
        let mut wire = Vec::new();
        for label in Name::from_str(name).unwrap().iter() {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        zones.find(&wire, qtype).map(|block| usize::from(block.udp_payload_max) - 1000)
    }

    #[test]
    fn longest_zone_answers() {
        let zones = zones(&["example.org.", "a.example.org.", "."]);
        for (name, expected) in [
            ("example.org.", 0),
            ("www.EXAMPLE.org.", 0),
            ("x.y.z.a.example.org.", 1),
            ("aa.example.org.", 0),
            ("notexample.org.", 2),
            ("org.", 2),
            (".", 2),
        ] {
            assert_eq!(found(&zones, name, RecordType::A), Some(expected), "{name}");
        }
    }

    #[test]
    fn without_a_zone_there_is_no_block() {
        let zones = zones(&["example.org."]);
        assert_eq!(found(&zones, "example.com.", RecordType::A), None);
        assert_eq!(found(&zones, "org.", RecordType::A), None);
        assert_eq!(found(&zones, ".", RecordType::NS), None);
    }

    #[test]
    fn delegation_signer_is_asked_of_the_nearest_parent() {
        let zones = zones(&["a.b.example.org.", "b.example.org.", "example.org."]);
        assert_eq!(found(&zones, "a.b.example.org.", RecordType::DS), Some(1), "not the grandparent");
        assert_eq!(found(&zones, "a.b.example.org.", RecordType::DNSKEY), Some(0));
        assert_eq!(
            found(&zones, "x.a.b.example.org.", RecordType::DS),
            Some(0),
            "below the apex it is the zone's own"
        );
        assert_eq!(found(&zones, "example.org.", RecordType::DS), Some(2), "no parent here");
    }

    #[test]
    fn zone_is_told_to_be_there_twice() {
        let mut zones = zones(&["example.org."]);
        assert!(
            !zones.insert(&Name::from_str("EXAMPLE.org.").unwrap(), Block::new(Chain::new(vec![]), None))
        );
    }
}
