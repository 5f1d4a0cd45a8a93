//! The zone store: nodes by name, every empty non-terminal among them, so that a name that does not exist is found missing at the
//! first of its ancestors that is not there. Pure: no file, no clock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::denial::Denials;
use super::lexer::Position;
use super::master::ZoneRecord;
use super::name::{Key, is_within, key, label_offsets, name_of};

/// The records of one owner and type, and the signatures over them.
#[derive(Clone, Debug)]
pub struct RrSet {
    /// Their type.
    pub rtype: RecordType,
    /// All with one TTL.
    pub records: Vec<Record>,
    /// RRSIG records that cover them.
    pub signatures: Vec<Record>,
}

/// What stands at one name. Without sets it is an empty non-terminal.
#[derive(Debug, Default)]
pub struct Node {
    sets: Vec<RrSet>,
    /// Where the zone is cut: NS records below the apex. RFC 1034 §4.2.1.
    pub is_cut: bool,
    /// The target of a DNAME here. RFC 6672.
    pub dname: Option<Name>,
}

impl Node {
    /// The set of type `rtype`.
    pub fn set(&self, rtype: RecordType) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.rtype == rtype)
    }

    /// All sets, by type number.
    pub fn sets(&self) -> &[RrSet] {
        &self.sets
    }
}

/// A zone as it is served. It never changes; a reload makes another.
#[derive(Debug)]
pub struct Zone {
    origin: Key,
    nodes: HashMap<Key, Node, ahash::RandomState>,
    /// The SOA as it stands beside a negative answer.
    negative_soa: RrSet,
    serial: u32,
    denials: Denials,
    /// How many records of the file stand outside the zone and were left out, and where the first stands.
    pub outside: Option<(usize, (usize, Position))>,
}

/// Why records do not make a zone; where, if it is one record's fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneFault {
    /// The record, as file index and position.
    pub place: Option<(usize, Position)>,
    /// What is wrong.
    pub message: String,
}

/// Where the walk from the apex towards a name ends.
pub enum Walk<'z> {
    /// The name is there.
    Found(&'z Node),
    /// The name, or an ancestor of it, is delegated. The offset of the cut in the name's key.
    Cut(&'z Node, usize),
    /// An ancestor of the name has a DNAME. Its offset in the name's key.
    Dname(&'z Node, usize),
    /// The name is not there; the offset of its closest encloser. RFC 4592 §3.3.1.
    Missing(usize),
}

impl Zone {
    /// Builds the zone `origin` from its records.
    ///
    /// Errors: no SOA or several, a CNAME beside other data, several CNAMEs or DNAMEs at a name. RFC 1034 §3.6.2, RFC 6672 §2.4.
    pub fn build(origin: &Name, records: Vec<ZoneRecord>) -> Result<Zone, Vec<ZoneFault>> {
        let origin = key(origin);
        let mut faults = Vec::new();
        let mut outside: Option<(usize, (usize, Position))> = None;
        let mut by_owner: BTreeMap<Key, Vec<ZoneRecord>> = BTreeMap::new();
        for record in records {
            if !is_within(&record.owner, &origin) {
                let (count, first) = outside.unwrap_or((0, record.place));
                outside = Some((count + 1, first));
                continue;
            }
            by_owner.entry(record.owner.clone()).or_default().push(record);
        }
        let mut nodes: HashMap<Key, Node, ahash::RandomState> = HashMap::default();
        let mut denials = Denials::default();
        for (owner, records) in by_owner {
            faults.extend(check_owner(&records, owner == origin));
            let is_apex = owner == origin;
            let mut node = node_of(&owner, records, is_apex);
            denials.take(&owner, &origin, &mut node.sets);
            if node.sets.is_empty() {
                // An NSEC3 record alone makes no name. RFC 5155 §7.2.8.
                continue;
            }
            add_ancestors(&mut nodes, &owner, &origin);
            nodes.insert(owner, node);
        }
        denials.sort();
        match negative_soa(nodes.get(&origin)) {
            Some((negative_soa, serial)) if faults.is_empty() => {
                Ok(Zone { origin, nodes, negative_soa, serial, denials, outside })
            }
            Some(_) => Err(faults),
            None => {
                let message = format!("expected one SOA record for {}, got none", name_of(&origin));
                faults.push(ZoneFault { place: None, message });
                Err(faults)
            }
        }
    }

    /// The zone's name in wire form, lower-case.
    pub fn origin(&self) -> &Key {
        &self.origin
    }

    /// SERIAL of the SOA.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// How many names it has, empty non-terminals included.
    pub fn names(&self) -> usize {
        self.nodes.len()
    }

    /// The node of `name`, a key.
    pub fn node(&self, name: &[u8]) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The SOA for the authority section of a negative answer: its TTL is the lesser of its own and MINIMUM. RFC 2308 §3.
    pub fn negative_soa(&self) -> &RrSet {
        &self.negative_soa
    }

    /// The proofs of absence that the zone was signed with.
    pub fn denials(&self) -> &Denials {
        &self.denials
    }

    /// Walks from the apex to `name`, a key within the zone. Costs one probe of the table a label at most, whatever the zone's size.
    /// Adds the number of probes to `probes`.
    ///
    /// Source: RFC 1034 §4.3.2, step 3.
    pub fn walk(&self, name: &[u8], probes: &mut u32) -> Walk<'_> {
        let apex = name.len() - self.origin.len();
        let mut encloser = apex;
        for offset in label_offsets(name).into_iter().rev().skip_while(|offset| *offset > apex) {
            *probes += 1;
            let Some(node) = self.nodes.get(&name[offset..]) else { return Walk::Missing(encloser) };
            if node.is_cut {
                return Walk::Cut(node, offset);
            }
            if offset == 0 {
                return Walk::Found(node);
            }
            if node.dname.is_some() {
                return Walk::Dname(node, offset);
            }
            encloser = offset;
        }
        Walk::Missing(encloser)
    }
}

/// Sees to it that each name between `owner` and `origin` has a node. RFC 4592 §2.2.2.
fn add_ancestors(nodes: &mut HashMap<Key, Node, ahash::RandomState>, owner: &Key, origin: &Key) {
    let apex = owner.len() - origin.len();
    for offset in label_offsets(owner).into_iter().skip(1).take_while(|offset| *offset <= apex) {
        if nodes.contains_key(&owner[offset..]) {
            break;
        }
        nodes.insert(owner[offset..].into(), Node::default());
    }
}

/// What may not stand together at one name.
fn check_owner(records: &[ZoneRecord], is_apex: bool) -> Vec<ZoneFault> {
    let of = |rtype: RecordType| records.iter().filter(move |record| record.rtype == u16::from(rtype));
    let name = || name_of(&records[0].owner);
    let mut faults = Vec::new();
    let mut fault = |record: &ZoneRecord, message: String| {
        faults.push(ZoneFault { place: Some(record.place), message });
    };
    for single in [RecordType::SOA, RecordType::CNAME, DNAME] {
        if let Some(second) = of(single).find(|record| record.wire != records_first(records, single)) {
            fault(second, format!("{} has more than one {single} record", name()));
        }
    }
    if let Some(soa) = of(RecordType::SOA).next().filter(|_| !is_apex) {
        fault(soa, format!("SOA record at {}, which is not the name of the zone", name()));
    }
    if let Some(cname) = of(RecordType::CNAME).next() {
        // RFC 4035 §2.5 allows what DNSSEC puts beside a CNAME.
        let beside = records.iter().find(|record| {
            !matches!(
                RecordType::from(record.rtype),
                RecordType::CNAME | RecordType::RRSIG | RecordType::NSEC | RecordType::KEY
            )
        });
        if let Some(beside) = beside {
            fault(
                cname,
                format!("{} has a CNAME and also a record of type {}", name(), beside.data.record_type()),
            );
        }
    }
    faults
}

fn records_first(records: &[ZoneRecord], rtype: RecordType) -> &[u8] {
    let first = records.iter().find(|record| record.rtype == u16::from(rtype));
    first.map(|record| record.wire.as_slice()).unwrap_or_default()
}

/// DNAME, which hickory-proto knows by number alone.
pub const DNAME: RecordType = RecordType::DNAME;

/// Groups the records of one owner: doublets dropped, one TTL a set (the lowest: RFC 2181 §5.2), signatures beside what they cover.
fn node_of(owner: &Key, records: Vec<ZoneRecord>, is_apex: bool) -> Node {
    let name = name_of(owner);
    let mut by_type: BTreeMap<u16, Vec<ZoneRecord>> = BTreeMap::new();
    let mut signatures: BTreeMap<u16, Vec<Record>> = BTreeMap::new();
    for record in records {
        if record.rtype == u16::from(RecordType::RRSIG) {
            let covered = u16::from_be_bytes([record.wire[0], record.wire[1]]);
            signatures.entry(covered).or_default().push(Record::from_rdata(
                name.clone(),
                record.ttl,
                record.data,
            ));
            continue;
        }
        let set = by_type.entry(record.rtype).or_default();
        if !set.iter().any(|known| known.wire == record.wire) {
            set.push(record);
        }
    }
    let mut node = Node::default();
    for (rtype, records) in by_type {
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or_default();
        if rtype == u16::from(DNAME) {
            node.dname = Some(name_of(&records[0].wire));
        }
        let records =
            records.into_iter().map(|record| Record::from_rdata(name.clone(), ttl, record.data)).collect();
        let signatures = signatures.remove(&rtype).unwrap_or_default();
        node.sets.push(RrSet { rtype: rtype.into(), records, signatures });
    }
    node.is_cut = !is_apex && node.set(RecordType::NS).is_some();
    node
}

fn negative_soa(apex: Option<&Node>) -> Option<(RrSet, u32)> {
    let set = apex?.set(RecordType::SOA)?;
    let RData::SOA(soa) = &set.records[0].data else { return None };
    let ttl = set.records[0].ttl.min(soa.minimum);
    let mut negative = set.clone();
    for record in negative.records.iter_mut().chain(&mut negative.signatures) {
        record.ttl = ttl;
    }
    Some((negative, soa.serial))
}

/// The zones of one plugin: which of them has the answer for a name.
pub trait Zones {
    /// The zone that a question for `name` (a key) and `rtype` belongs to, by longest match. A DS question for the name of a zone
    /// belongs to the zone above it, if that is here. RFC 4035 §3.1.4.1.
    fn zone_for(&self, name: &[u8], rtype: RecordType) -> Option<Arc<Zone>>;
}
