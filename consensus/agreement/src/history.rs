//! What this replica saw of each name within the cluster's history: the memory that lets records of a pool find support although no two lookups agree.

use std::collections::{BTreeMap, BTreeSet};

use certificate::leaf::{Question, RrSet};

use crate::chain::{CHAIN_LINKS_MAX, follows_aliases, type_matches};
use crate::observation::{ObservedOutcome, Seen, SeenRecord};
use crate::rdata::rtype;

/// The most RRsets that are remembered; the one not seen for the longest time goes first.
pub const HISTORY_RRSETS_MAX: usize = 16_384;

/// The most records of one RRset; the one not seen for the longest time goes first.
pub const HISTORY_RRSET_RECORDS_MAX: usize = 32;

/// The most names whose records one question brings along: the asked one and the aliases from it.
pub const HISTORY_NAMES_MAX: usize = CHAIN_LINKS_MAX + 1;

/// Owner, type and class.
type Key = (Vec<u8>, u16, u16);

/// RRsets with the time at which each record was last seen. Bounded; nothing older than the history is handed out.
#[derive(Debug, Default)]
pub struct History {
    history_ms: u64,
    rrsets: BTreeMap<Key, Remembered>,
    /// Every key by the time it was last seen, oldest first.
    by_age: BTreeSet<(u64, Key)>,
}

#[derive(Debug, Default)]
struct Remembered {
    last_seen_ms: u64,
    /// Data -> (TTL in seconds, last seen).
    records: BTreeMap<Vec<u8>, (u32, u64)>,
}

impl History {
    /// An empty memory of `history_ms`, the cluster file's `history`.
    pub fn new(history_ms: u64) -> History {
        History { history_ms, ..History::default() }
    }

    /// Remembers what a lookup at `now_ms` came to. Failures and denials are not remembered; their chains are.
    pub fn remember(&mut self, outcome: &ObservedOutcome, now_ms: u64) {
        outcome.rrsets().iter().for_each(|rrset| self.remember_rrset(rrset, now_ms));
        self.forget(now_ms);
    }

    fn remember_rrset(&mut self, rrset: &RrSet, now_ms: u64) {
        let key = (rrset.owner.clone(), rrset.rtype, rrset.rclass);
        let remembered = self.rrsets.entry(key.clone()).or_default();
        self.by_age.remove(&(remembered.last_seen_ms, key.clone()));
        for rdata in &rrset.rdatas {
            remembered.records.insert(rdata.clone(), (rrset.ttl, now_ms));
        }
        while remembered.records.len() > HISTORY_RRSET_RECORDS_MAX {
            let oldest = remembered.records.iter().min_by_key(|(_, (_, last_seen_ms))| *last_seen_ms);
            let oldest = oldest.map(|(rdata, _)| rdata.clone()).expect("there are more than the bound");
            remembered.records.remove(&oldest);
        }
        remembered.last_seen_ms = now_ms;
        self.by_age.insert((now_ms, key));
    }

    /// Drops the RRsets that are older than the history, and the oldest above the bound.
    fn forget(&mut self, now_ms: u64) {
        let horizon_ms = now_ms.saturating_sub(self.history_ms);
        while let Some((last_seen_ms, _)) = self.by_age.first() {
            if *last_seen_ms >= horizon_ms && self.rrsets.len() <= HISTORY_RRSETS_MAX {
                break;
            }
            if let Some((_, key)) = self.by_age.pop_first() {
                self.rrsets.remove(&key);
            }
        }
    }

    /// What was seen within the history before `now_ms` for `question`: the asked RRsets at its name and at every name that aliases led to from there.
    ///
    /// Sorted by owner, type and class, as an observation carries it.
    pub fn of(&self, question: &Question, now_ms: u64) -> Vec<Seen> {
        let within = now_ms.saturating_sub(self.history_ms)..=now_ms;
        let mut names = vec![question.name.clone()];
        let mut next = 0;
        let mut found: BTreeMap<Key, Seen> = BTreeMap::new();
        while let Some(owner) = names.get(next).cloned() {
            next += 1;
            let range = (owner.clone(), 0, 0)..=(owner, u16::MAX, u16::MAX);
            for (key, remembered) in self.rrsets.range(range) {
                let is_link = key.1 == rtype::CNAME && follows_aliases(question);
                if key.2 != question.qclass || !(is_link || type_matches(question, key.1)) {
                    continue;
                }
                let seen = seen(key, remembered, &within);
                let targets = seen.records.iter().map(|record| &record.rdata).filter(|_| is_link);
                for target in targets {
                    if names.len() < HISTORY_NAMES_MAX && !names.contains(target) {
                        names.push(target.clone());
                    }
                }
                if !seen.records.is_empty() {
                    found.insert(key.clone(), seen);
                }
            }
        }
        found.into_values().collect()
    }

    /// The number of RRsets that are remembered.
    pub fn len(&self) -> usize {
        self.rrsets.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.rrsets.is_empty()
    }
}

fn seen(key: &Key, remembered: &Remembered, within: &std::ops::RangeInclusive<u64>) -> Seen {
    let (owner, rtype, rclass) = key.clone();
    let records = remembered.records.iter().filter(|(_, (_, last_seen_ms))| within.contains(last_seen_ms));
    let records = records
        .map(|(rdata, (ttl, last_seen_ms))| SeenRecord {
            rdata: rdata.clone(),
            ttl: *ttl,
            last_seen_ms: *last_seen_ms,
        })
        .collect();
    Seen { owner, rtype, rclass, records }
}

#[cfg(test)]
mod tests {
    use certificate::name::parse;

    use super::*;

    fn a(owner: &str, hosts: &[u8]) -> RrSet {
        let rdatas = hosts.iter().map(|host| vec![192, 0, 2, *host]).collect();
        RrSet { owner: parse(owner).unwrap(), rtype: rtype::A, rclass: 1, ttl: 60, rdatas }
    }

    fn cname(owner: &str, target: &str) -> RrSet {
        let rdatas = vec![parse(target).unwrap()];
        RrSet { owner: parse(owner).unwrap(), rtype: rtype::CNAME, rclass: 1, ttl: 60, rdatas }
    }

    fn hosts(seen: &[Seen]) -> Vec<u8> {
        let addresses = seen.iter().filter(|set| set.rtype == rtype::A).flat_map(|set| &set.records);
        addresses.map(|record| record.rdata[3]).collect()
    }

    fn www() -> Question {
        Question::parse("www.example.org", rtype::A).unwrap()
    }

    #[test]
    fn records_of_earlier_lookups_are_handed_out_until_the_history_ends() {
        let mut history = History::new(600_000);
        history.remember(&ObservedOutcome::Answer(vec![a("www.example.org", &[1])]), 1_000_000);
        history.remember(&ObservedOutcome::Answer(vec![a("www.example.org", &[2])]), 1_300_000);
        assert_eq!(hosts(&history.of(&www(), 1_300_000)), [1, 2]);
        assert_eq!(hosts(&history.of(&www(), 1_600_000)), [1, 2]);
        assert_eq!(hosts(&history.of(&www(), 1_600_001)), [2]);
        assert_eq!(hosts(&history.of(&www(), 1_900_001)), []);
    }

    #[test]
    fn aliases_lead_to_the_records_behind_them() {
        let mut history = History::new(600_000);
        let chain = |target, host| vec![cname("www.example.org", target), a(target, &[host])];
        history.remember(&ObservedOutcome::Answer(chain("a.cdn.example.org", 1)), 1);
        history.remember(&ObservedOutcome::Answer(chain("b.cdn.example.org", 2)), 2);
        history.remember(&ObservedOutcome::Answer(vec![a("other.example.org", &[3])]), 3);
        let seen = history.of(&www(), 4);
        assert_eq!(hosts(&seen), [1, 2]);
        assert_eq!(
            seen.iter().filter(|set| set.rtype == rtype::CNAME).flat_map(|set| &set.records).count(),
            2
        );
        assert!(seen.is_sorted_by(|one, other| one.key() < other.key()));
        let alias_itself = Question { qtype: rtype::CNAME, ..www() };
        assert_eq!(hosts(&history.of(&alias_itself, 4)), []);
    }

    #[test]
    fn rrset_that_is_seen_again_is_kept_from_then_on() {
        let mut history = History::new(600_000);
        for now_ms in [1_000_000, 1_500_000, 2_000_000] {
            history.remember(&ObservedOutcome::Answer(vec![a("www.example.org", &[1])]), now_ms);
            assert_eq!((history.len(), history.by_age.len()), (1, 1));
        }
        history.remember(&ObservedOutcome::TimedOut, 2_600_000);
        assert_eq!(hosts(&history.of(&www(), 2_600_000)), [1]);
    }

    #[test]
    fn aliases_lead_to_a_bounded_number_of_names() {
        let mut history = History::new(600_000);
        for index in 0..HISTORY_NAMES_MAX as u64 + 5 {
            let target = format!("{index}.cdn.example.org");
            let chain = vec![cname("www.example.org", &target), a(&target, &[1])];
            history.remember(&ObservedOutcome::Answer(chain), index);
        }
        assert_eq!(hosts(&history.of(&www(), 1000)).len(), HISTORY_NAMES_MAX - 1);
    }

    #[test]
    fn aliases_that_lead_back_do_not_hide_those_behind_them() {
        let mut history = History::new(600_000);
        let name = |link: usize| {
            if link == 0 { "www.example.org".to_owned() } else { format!("n{link}.example.org") }
        };
        for link in 0..CHAIN_LINKS_MAX {
            history.remember(&ObservedOutcome::Answer(vec![cname(&name(link), &name(link + 1))]), 1);
            history.remember(&ObservedOutcome::Answer(vec![cname(&name(link), &name(0))]), 1);
        }
        history.remember(&ObservedOutcome::Answer(vec![a(&name(CHAIN_LINKS_MAX), &[1])]), 1);
        assert_eq!(hosts(&history.of(&www(), 2)), [1]);
    }

    #[test]
    fn loop_of_remembered_aliases_ends() {
        let mut history = History::new(600_000);
        history.remember(&ObservedOutcome::Answer(vec![cname("www.example.org", "b.example.org")]), 1);
        history.remember(&ObservedOutcome::Answer(vec![cname("b.example.org", "www.example.org")]), 1);
        assert_eq!(history.of(&www(), 2).len(), 2);
    }

    #[test]
    fn rrset_of_a_large_pool_keeps_the_newest_records() {
        let mut history = History::new(600_000);
        for host in 0..=HISTORY_RRSET_RECORDS_MAX as u8 {
            history.remember(
                &ObservedOutcome::Answer(vec![a("www.example.org", &[host])]),
                1000 + u64::from(host),
            );
        }
        let seen = hosts(&history.of(&www(), 2000));
        assert_eq!(seen.len(), HISTORY_RRSET_RECORDS_MAX);
        assert!(!seen.contains(&0));
    }

    #[test]
    fn memory_is_bounded_and_drops_the_oldest() {
        let mut history = History::new(600_000);
        for index in 0..HISTORY_RRSETS_MAX as u64 + 10 {
            let owner = format!("h{index}.example.org");
            history.remember(&ObservedOutcome::Answer(vec![a(&owner, &[1])]), 1000 + index);
        }
        assert_eq!(history.len(), HISTORY_RRSETS_MAX);
        assert_eq!(history.by_age.len(), HISTORY_RRSETS_MAX);
        assert!(history.of(&Question::parse("h0.example.org", rtype::A).unwrap(), 20_000).is_empty());
        history.remember(&ObservedOutcome::TimedOut, 10_000_000);
        assert!(history.is_empty() && history.by_age.is_empty());
    }
}
