//! The `records` policy: where whole answers differ, as those of pools and CDNs do, each link of the chain and each record stands on its own support.
//!
//! Support is that of the replicas which see a record now or saw it within the history, each counted once; one of them must see it now. At least f+1
//! are needed, so one honest replica saw whatever is certified; a liar can revive a record at most as old as the history, which is why the class says `records`.

use std::collections::BTreeMap;

use certificate::ReplicaSet;
use certificate::codec::Encode;
use certificate::leaf::{Class, Denial, LEAF_BYTES_MAX, Outcome, Question, RrSet};
use certificate::remark::REMARK_BYTES_MAX;
use certificate::rrset::{self, RRSETS_MAX};

use crate::chain::{CHAIN_LINKS_MAX, follows_aliases, type_matches};
use crate::counted::Observation;
use crate::decide::Bench;
use crate::extra;
use crate::observation::ObservedOutcome;
use crate::rdata::rtype;
use crate::round::Finding;
use crate::tally;

/// Bytes of a leaf that are not its outcome: subject, masks, times, digests, and a remark.
const LEAF_REST_BYTES_MAX: usize = 512 + REMARK_BYTES_MAX;

/// Who supports one record, or one end of the chain.
#[derive(Clone, Copy, Default)]
struct Support {
    /// Who sees it now.
    now: ReplicaSet,
    /// Who sees it now or saw it within the history.
    ever: ReplicaSet,
    /// The least TTL that any of them signed; of a replica that sees it now, only what it sees now.
    ttl: Option<u32>,
}

impl Support {
    fn add(&mut self, observation: &Observation<'_>, ttl: u32, now: bool) {
        self.ever.insert(observation.replica);
        if now {
            self.now.insert(observation.replica);
        }
        self.ttl = Some(self.ttl.map_or(ttl, |least| least.min(ttl)));
    }

    fn reaches(&self, threshold: usize) -> bool {
        !self.now.is_empty() && self.ever.len() >= threshold
    }
}

/// How a chain can end without what was asked for: denied with (denial, zone, minimum), or left open.
type End<'a> = Option<(Denial, &'a [u8], u32)>;

/// The records of one owner and type, by their data.
type Records<'a> = BTreeMap<&'a [u8], Support>;

/// Everything that was seen, by owner and type.
#[derive(Default)]
struct Table<'a> {
    records: BTreeMap<(&'a [u8], u16), Records<'a>>,
    ends: BTreeMap<&'a [u8], BTreeMap<End<'a>, Support>>,
}

/// What the walk has certified so far.
struct Parts {
    rrsets: Vec<RrSet>,
    support: ReplicaSet,
    ttl: u32,
}

impl Parts {
    /// Takes one record or end into account; returns its TTL.
    fn count(&mut self, bench: &Bench<'_>, support: &Support) -> u32 {
        let ttl = support.ttl.unwrap_or(0).min(bench.round.cluster.ttl_max_s);
        self.support.0 |= support.ever.0;
        self.ttl = self.ttl.min(ttl);
        ttl
    }

    /// Adds the RRset of `records`, if there are any.
    fn push(&mut self, bench: &Bench<'_>, owner: &[u8], rtype: u16, records: &[(&[u8], Support)]) {
        let least = records.iter().map(|(_, support)| self.count(bench, support)).min();
        if let Some(ttl) = least {
            let rdatas = records.iter().map(|(rdata, _)| rdata.to_vec()).collect();
            self.rrsets.push(RrSet {
                owner: owner.to_vec(),
                rtype,
                rclass: bench.question.qclass,
                ttl,
                rdatas,
            });
        }
    }

    fn finish(self, outcome: impl FnOnce(Vec<RrSet>) -> Outcome, extra: Vec<u8>) -> Option<Finding> {
        let Parts { rrsets, support, ttl } = self;
        if rrsets.len() > RRSETS_MAX {
            return None;
        }
        let outcome = outcome(rrsets);
        if outcome.to_bytes().len() > LEAF_BYTES_MAX - LEAF_REST_BYTES_MAX {
            return None;
        }
        Some(Finding { class: Class::Records, outcome, ttl, support, extra, ..Finding::nothing() })
    }
}

/// Walks the chain from the asked name along links that have support, to the records that have it.
///
/// At each name: a denial that enough observations make now; else the asked records; else the alias with the most supporters now, then ever, then the
/// least target. `None` when the walk ends nowhere.
pub(crate) fn find(bench: &Bench<'_>) -> Option<Finding> {
    let table = Table::of(bench);
    let mut parts =
        Parts { rrsets: Vec::new(), support: ReplicaSet::EMPTY, ttl: bench.round.cluster.ttl_max_s };
    let mut names: Vec<&[u8]> = vec![&bench.question.name];
    while names.len() <= CHAIN_LINKS_MAX + 1 {
        let owner = *names.last()?;
        if let Some((end, support)) = table.end(bench, owner) {
            return finish_at(bench, parts, end, &support);
        }
        let before = parts.rrsets.len();
        for rtype in table.types(bench.question, owner) {
            parts.push(bench, owner, rtype, &table.asked(bench, owner, rtype));
        }
        if parts.rrsets.len() > before {
            return parts.finish(Outcome::Answer, Vec::new());
        }
        let (target, support) = if follows_aliases(bench.question) {
            table.best(bench, owner, rtype::CNAME)?
        } else {
            return None;
        };
        parts.push(bench, owner, rtype::CNAME, &[(target, support)]);
        if names.contains(&target) {
            return None;
        }
        names.push(target);
    }
    None
}

fn finish_at(bench: &Bench<'_>, mut parts: Parts, end: End<'_>, support: &Support) -> Option<Finding> {
    parts.count(bench, support);
    let Some((denial, zone, minimum)) = end else {
        return parts.finish(Outcome::Answer, Vec::new());
    };
    let relay = bench.round.counted.iter().find(|observation| support.now.contains(observation.replica));
    let extra = relay.map(|relay| extra::soa_only(&relay.observed.extra)).unwrap_or_default();
    let outcome = |chain| Outcome::Negative { chain, denial, zone: zone.to_vec(), minimum };
    parts.finish(outcome, extra)
}

impl<'a> Table<'a> {
    fn of(bench: &Bench<'a>) -> Table<'a> {
        let mut table = Table::default();
        for observation in &bench.round.counted {
            if tally::vouches(bench.question, observation.observed) {
                table.add_now(bench.question, observation);
            }
        }
        for observation in &bench.round.counted {
            table.add_history(bench, observation);
        }
        table
    }

    fn add_now(&mut self, question: &'a Question, observation: &Observation<'a>) {
        let outcome = &observation.observed.outcome;
        let mut end: &'a [u8] = &question.name;
        let mut found = false;
        for rrset in outcome.rrsets() {
            let records = self.records.entry((&rrset.owner, rrset.rtype)).or_default();
            for rdata in &rrset.rdatas {
                records.entry(rdata).or_default().add(observation, rrset.ttl, true);
            }
            found |= type_matches(question, rrset.rtype);
            end = rrset.cname_target().unwrap_or(end);
        }
        let (denial, ttl): (End<'a>, u32) = match outcome {
            ObservedOutcome::Negative { denial, zone, minimum, ttl, .. } => {
                (Some((*denial, zone, *minimum)), *ttl)
            }
            _ if found => return,
            _ => (None, rrset::TTL_SECONDS_MAX),
        };
        self.ends.entry(end).or_default().entry(denial).or_default().add(observation, ttl, true);
    }

    /// Adds what `observation`'s replica saw within the history and does not see now. Times outside the history, or after the observation itself, count for nothing.
    fn add_history(&mut self, bench: &Bench<'a>, observation: &Observation<'a>) {
        let oldest_ms = bench.round.time_ms.saturating_sub(bench.round.cluster.history_ms);
        let within = oldest_ms..=observation.time_ms;
        for set in observation.observed.history.iter().filter(|set| set.rclass == bench.question.qclass) {
            let records = self.records.entry((&set.owner, set.rtype)).or_default();
            for record in set.records.iter().filter(|record| within.contains(&record.last_seen_ms)) {
                let support = records.entry(&record.rdata).or_default();
                if !support.now.contains(observation.replica) {
                    support.add(observation, record.ttl, false);
                }
            }
        }
    }

    /// The end of the chain at `owner` that enough observations hold now. A majority is asked for, so there is at most one.
    fn end(&self, bench: &Bench<'_>, owner: &[u8]) -> Option<(End<'a>, Support)> {
        let ends = self.ends.get(owner)?;
        ends.iter()
            .find(|(_, support)| support.reaches(bench.round.threshold()))
            .map(|(end, support)| (*end, *support))
    }

    /// The types asked for that were seen at `owner`, ascending.
    fn types(&self, question: &Question, owner: &[u8]) -> Vec<u16> {
        let range = self.records.range((owner, 0)..=(owner, u16::MAX));
        range.map(|((_, rtype), _)| *rtype).filter(|rtype| type_matches(question, *rtype)).collect()
    }

    /// The records with enough support, in order of their data.
    fn kept(&self, bench: &Bench<'_>, owner: &[u8], rtype: u16) -> Vec<(&'a [u8], Support)> {
        let records = self.records.get(&(owner, rtype)).into_iter().flatten();
        let kept = records.filter(|(_, support)| support.reaches(bench.round.threshold()));
        kept.map(|(rdata, support)| (*rdata, *support)).collect()
    }

    /// The records to certify: all with enough support, of a type that stands alone the best.
    fn asked(&self, bench: &Bench<'_>, owner: &[u8], rtype: u16) -> Vec<(&'a [u8], Support)> {
        match rtype {
            rtype::CNAME | rtype::SOA | rtype::DNAME => self.best(bench, owner, rtype).into_iter().collect(),
            _ => self.kept(bench, owner, rtype),
        }
    }

    /// The one record with the most supporters now, then ever, then the least data.
    fn best(&self, bench: &Bench<'_>, owner: &[u8], rtype: u16) -> Option<(&'a [u8], Support)> {
        let kept = self.kept(bench, owner, rtype).into_iter();
        kept.max_by_key(|(rdata, support)| (support.now.len(), support.ever.len(), std::cmp::Reverse(*rdata)))
    }
}
