//! From a question to the sections of its answer. RFC 1034 §4.3.2, RFC 4592 (wildcards), RFC 6672 (DNAME), RFC 8482 (ANY).
//!
//! Follows aliases through all zones of the plugin. A target that is in none of them is left to the caller. Pure.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use thiserror::Error;

use super::denial::Absence;
use super::name::{Key, NAME_BYTES_MAX, is_within, key, name_of, wildcard_below};
use super::zone::{DNAME, Node, RrSet, Walk, Zone, Zones};

/// How many aliases one question may lead through.
pub const ALIASES_MAX: usize = 8;

/// What is asked.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// The name, which is in one of the zones.
    pub name: &'q Name,
    /// The type.
    pub rtype: RecordType,
    /// Whether signatures and proofs are wanted. RFC 3225.
    pub dnssec_ok: bool,
}

/// What the zones say.
#[derive(Debug)]
pub struct Answer {
    /// NOERROR, NXDOMAIN or YXDOMAIN.
    pub rcode: ResponseCode,
    /// Not set on a referral.
    pub authoritative: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section.
    pub additionals: Vec<Record>,
    /// The target of the last alias, when it is in none of the zones.
    pub outside: Option<Name>,
    /// How often a table of names was probed: what the lookup cost.
    pub probes: u32,
}

/// Why zones have no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LookupError {
    /// A loop, or nearly one.
    #[error("{0} leads through more than {ALIASES_MAX} aliases")]
    TooManyAliases(Name),
}

/// Answers `question` from `zones`, or `None` when its name is in none of them.
///
/// Errors: more than `ALIASES_MAX` aliases.
pub fn answer(zones: &dyn Zones, question: Question<'_>) -> Result<Option<Answer>, LookupError> {
    let mut lookup = Lookup {
        question,
        answer: Answer {
            rcode: ResponseCode::NoError,
            authoritative: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            outside: None,
            probes: 0,
        },
    };
    let mut name = question.name.clone();
    for aliases in 0..=ALIASES_MAX {
        let wire = key(&name);
        let Some(zone) = zones.zone_for(&wire, question.rtype) else {
            if aliases == 0 {
                return Ok(None);
            }
            lookup.answer.outside = Some(name);
            return Ok(Some(lookup.answer));
        };
        match lookup.step(&zone, &name, &wire) {
            Some(target) => name = target,
            None => return Ok(Some(lookup.answer)),
        }
    }
    Err(LookupError::TooManyAliases(question.name.clone()))
}

struct Lookup<'q> {
    question: Question<'q>,
    answer: Answer,
}

impl Lookup<'_> {
    /// One turn of RFC 1034 §4.3.2 in `zone`: the name to go on with, if `name` is an alias.
    fn step(&mut self, zone: &Zone, name: &Name, wire: &Key) -> Option<Name> {
        match zone.walk(wire, &mut self.answer.probes) {
            Walk::Cut(node, 0) if self.question.rtype == RecordType::DS => {
                self.at_node(zone, node, name, wire, None)
            }
            Walk::Cut(node, offset) => {
                self.referral(zone, node, &wire[offset..]);
                None
            }
            Walk::Dname(node, offset) => self.dname(zone, node, name, wire, offset),
            Walk::Found(node) => self.at_node(zone, node, name, wire, None),
            Walk::Missing(offset) => {
                let encloser = &wire[offset..];
                self.answer.probes += 1;
                match wildcard_below(encloser).and_then(|wildcard| zone.node(&wildcard)) {
                    Some(node) => self.at_node(zone, node, name, wire, Some(encloser)),
                    None => {
                        let absence = Absence::Name { name: wire, encloser };
                        self.negative(zone, ResponseCode::NXDomain, absence);
                        None
                    }
                }
            }
        }
    }

    /// Step 3a, and 3c with a wildcard: then `encloser` is the closest encloser of `name`, which `node` stands for.
    fn at_node(
        &mut self,
        zone: &Zone,
        node: &Node,
        name: &Name,
        wire: &Key,
        encloser: Option<&[u8]>,
    ) -> Option<Name> {
        self.answer.authoritative = true;
        let owner = encloser.map(|_| name);
        let rtype = self.question.rtype;
        let set = match rtype {
            // One set is enough: RFC 8482 §4.1.
            RecordType::ANY => {
                node.sets().iter().find(|set| set.rtype != RecordType::NSEC).or(node.sets().first())
            }
            RecordType::RRSIG => return self.signatures(zone, node, owner, wire),
            _ => node.set(rtype),
        };
        let alias = node.set(RecordType::CNAME).filter(|_| set.is_none());
        let Some(set) = set.or(alias) else {
            let absence = match encloser {
                None => Absence::Type { name: wire },
                Some(encloser) => Absence::WildcardType { name: wire, encloser },
            };
            self.negative(zone, ResponseCode::NoError, absence);
            return None;
        };
        push(&mut self.answer.answers, set, owner, self.question.dnssec_ok);
        if let Some(encloser) = encloser.filter(|_| self.question.dnssec_ok) {
            self.prove(zone, Absence::CloserName { name: wire, encloser });
        }
        if alias.is_none() {
            self.additional(zone, &set.records);
            return None;
        }
        match &set.records[0].data {
            RData::CNAME(CNAME(target)) => Some(target.to_lowercase()),
            _ => None,
        }
    }

    /// A question for signatures themselves: all that stand at the name.
    fn signatures(&mut self, zone: &Zone, node: &Node, owner: Option<&Name>, wire: &Key) -> Option<Name> {
        for record in node.sets().iter().flat_map(|set| &set.signatures) {
            let mut record = record.clone();
            if let Some(owner) = owner {
                record.name = owner.clone();
            }
            self.answer.answers.push(record);
        }
        if self.answer.answers.is_empty() {
            self.negative(zone, ResponseCode::NoError, Absence::Type { name: wire });
        }
        None
    }

    /// Step 3b: a referral. The NS records are not authoritative here, and so is nothing else but the proof about DS.
    fn referral(&mut self, zone: &Zone, node: &Node, cut: &[u8]) {
        let Some(servers) = node.set(RecordType::NS) else { return };
        push(&mut self.answer.authorities, servers, None, false);
        if self.question.dnssec_ok {
            match node.set(RecordType::DS) {
                Some(ds) => push(&mut self.answer.authorities, ds, None, true),
                None => self.prove(zone, Absence::Type { name: cut }),
            }
        }
        self.additional(zone, &servers.records);
    }

    /// RFC 6672 §3.2: the DNAME, and the CNAME that it means for `name`.
    fn dname(&mut self, zone: &Zone, node: &Node, name: &Name, wire: &Key, offset: usize) -> Option<Name> {
        self.answer.authoritative = true;
        let (Some(set), Some(target)) = (node.set(DNAME), &node.dname) else { return None };
        push(&mut self.answer.answers, set, None, self.question.dnssec_ok);
        let wire_target = key(target);
        if offset + wire_target.len() > NAME_BYTES_MAX {
            self.answer.rcode = ResponseCode::YXDomain;
            push(&mut self.answer.authorities, zone.negative_soa(), None, self.question.dnssec_ok);
            return None;
        }
        let substituted = name_of(&[&wire[..offset], &wire_target].concat());
        let alias = RData::CNAME(CNAME(substituted.clone()));
        self.answer.answers.push(Record::from_rdata(name.clone(), set.records[0].ttl, alias));
        let is_answer = matches!(self.question.rtype, RecordType::CNAME | RecordType::ANY);
        (!is_answer).then_some(substituted)
    }

    fn negative(&mut self, zone: &Zone, rcode: ResponseCode, absence: Absence<'_>) {
        self.answer.authoritative = true;
        self.answer.rcode = rcode;
        push(&mut self.answer.authorities, zone.negative_soa(), None, self.question.dnssec_ok);
        if self.question.dnssec_ok {
            self.prove(zone, absence);
        }
    }

    fn prove(&mut self, zone: &Zone, absence: Absence<'_>) {
        for set in zone.denials().prove(zone, absence) {
            push(&mut self.answer.authorities, set, None, true);
        }
    }

    /// Addresses in the zone of the names that `records` point to. RFC 1034 §4.3.2 step 6, glue included.
    fn additional(&mut self, zone: &Zone, records: &[Record]) {
        let mut seen: Vec<Key> = Vec::new();
        for target in records.iter().filter_map(|record| target_of(&record.data)) {
            let wire = key(target);
            if seen.contains(&wire) || !is_within(&wire, zone.origin()) {
                continue;
            }
            self.answer.probes += 1;
            let node = zone.node(&wire);
            seen.push(wire);
            for rtype in [RecordType::A, RecordType::AAAA] {
                if let Some(set) = node.and_then(|node| node.set(rtype)) {
                    push(&mut self.answer.additionals, set, None, self.question.dnssec_ok);
                }
            }
        }
    }
}

fn target_of(data: &RData) -> Option<&Name> {
    match data {
        RData::NS(ns) => Some(&ns.0),
        RData::MX(mx) => Some(&mx.exchange),
        RData::SRV(srv) => Some(&srv.target),
        _ => None,
    }
}

/// Copies `set` into `section`, under the name `owner` if a wildcard stands for it, with its signatures if they are wanted.
fn push(section: &mut Vec<Record>, set: &RrSet, owner: Option<&Name>, dnssec_ok: bool) {
    let signatures = if dnssec_ok { set.signatures.as_slice() } else { &[] };
    for record in set.records.iter().chain(signatures) {
        let mut record = record.clone();
        if let Some(owner) = owner {
            record.name = owner.clone();
        }
        section.push(record);
    }
}
