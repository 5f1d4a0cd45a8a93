//! The policy in pure Rust: what `bpf/judge.h` does in the kernel, for nodes that may not load it.
//!
//! Time comes in as nanoseconds of a monotonic clock; nothing is read from outside. A table of cases holds the twin and
//! the kernel program to the same verdicts (`tests/`).

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    time::Duration,
};

use crate::{
    Behaviour, ConnectionIds, FilterError, Limits, PeerStatistics, Policy, QuarantineState, UnknownSource,
    Verdict, VerdictCount,
    address::Source,
    bucket,
    policy::{PEERS_MAX, Rate, TIGHTEN_FACTOR_MAX},
    shape::{Shape, shape},
    statistics::thousandths,
    unknown::UnknownSources,
};

/// What the socket handed over: one datagram, or several of one source and size behind each other (GRO).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) datagrams: &'a [u8],
    /// Bytes of each datagram but the last. 0 means that there is one.
    pub(crate) stride: usize,
}

impl Arrival<'_> {
    fn first(&self) -> &[u8] {
        match self.stride {
            0 => self.datagrams,
            stride => &self.datagrams[..stride.min(self.datagrams.len())],
        }
    }

    fn count(&self) -> u64 {
        match self.stride {
            0 => 1,
            stride => self.datagrams.len().div_ceil(stride).max(1) as u64,
        }
    }
}

/// The policy and its state.
pub(crate) struct Twin {
    sources: HashMap<Source, u8>,
    limits: Limits,
    ids: ConnectionIds,
    peers: Vec<PeerState>,
    verdicts: [(u64, u64); Verdict::ALL.len()],
    unknown: UnknownSources,
}

#[derive(Clone, Default)]
struct PeerState {
    quarantined_until_ns: u64,
    reason: u32,
    tightened: u32,
    established_arrival_ns: u64,
    unproven_arrival_ns: u64,
    total_messages: u64,
    dropped_messages: u64,
    bytes: u64,
    invalid_signatures: u64,
    timing_violations: u64,
    contradictory_responses: u64,
    last_activity_ns: u64,
    reputation_score: u32,
    consecutive_faults: u32,
}

impl Twin {
    pub(crate) fn new(policy: &Policy) -> Result<Twin, FilterError> {
        Ok(Twin {
            sources: policy.sources()?,
            limits: policy.limits,
            ids: ConnectionIds::new(policy.connection_id_key),
            peers: vec![PeerState::default(); PEERS_MAX],
            verdicts: Default::default(),
            unknown: UnknownSources::default(),
        })
    }

    /// Judges what arrived at `now_ns`, and counts it.
    pub(crate) fn judge(&mut self, now_ns: u64, arrival: &Arrival<'_>) -> Verdict {
        let (count, bytes) = (arrival.count(), arrival.datagrams.len() as u64);
        let source = Source::of(arrival.from);
        let peer = self.sources.get(&source).or_else(|| self.sources.get(&source.with_any_port())).copied();
        let verdict = match peer {
            None => {
                self.unknown.saw(source.address, count, bytes, now_ns);
                Verdict::UnknownSource
            }
            Some(id) => self.judge_peer(now_ns, id, arrival, count, bytes),
        };
        let (datagrams, total) = &mut self.verdicts[verdict as usize];
        *datagrams += count;
        *total += bytes;
        verdict
    }

    fn judge_peer(&mut self, now_ns: u64, id: u8, arrival: &Arrival<'_>, count: u64, bytes: u64) -> Verdict {
        let peer = &mut self.peers[usize::from(id)];
        let verdict = if now_ns < peer.quarantined_until_ns {
            Verdict::Quarantined
        } else {
            match shape(arrival.first(), &self.ids) {
                Shape::Refused(verdict) => verdict,
                Shape::Established if peer.admits_established(now_ns, count, self.limits.established) => {
                    Verdict::PassEstablished
                }
                Shape::Established => Verdict::FloodEstablished,
                Shape::Unproven if peer.admits_unproven(now_ns, count, self.limits.unproven) => {
                    Verdict::PassUnproven
                }
                Shape::Unproven => Verdict::FloodUnproven,
            }
        };
        peer.total_messages += count;
        peer.bytes += bytes;
        if verdict == Verdict::PassEstablished {
            peer.last_activity_ns = now_ns;
        }
        if !verdict.passes() {
            peer.dropped_messages += count;
        }
        verdict
    }

    pub(crate) fn quarantine(&mut self, peer: u8, until_ns: u64, reason: u32) {
        let peer = &mut self.peers[usize::from(peer)];
        peer.quarantined_until_ns = until_ns;
        peer.reason = reason;
    }

    pub(crate) fn tighten(&mut self, peer: u8, factor: u32) {
        self.peers[usize::from(peer)].tightened = factor.clamp(1, TIGHTEN_FACTOR_MAX);
    }

    pub(crate) fn behaviour(&mut self, peer: u8, change: Behaviour) {
        let peer = &mut self.peers[usize::from(peer)];
        match change {
            Behaviour::InvalidSignature => peer.invalid_signatures += 1,
            Behaviour::TimingViolation => peer.timing_violations += 1,
            Behaviour::ContradictoryResponse => peer.contradictory_responses += 1,
            Behaviour::Reputation(reputation) => {
                peer.reputation_score = thousandths(reputation);
                return;
            }
            Behaviour::Faultless => {
                peer.consecutive_faults = 0;
                return;
            }
        }
        peer.consecutive_faults = peer.consecutive_faults.saturating_add(1);
    }

    pub(crate) fn verdicts(&self) -> Vec<VerdictCount> {
        let count =
            |(verdict, (datagrams, bytes)): (Verdict, (u64, u64))| VerdictCount { verdict, datagrams, bytes };
        Verdict::ALL.into_iter().zip(self.verdicts).map(count).collect()
    }

    /// The numbers of the policy's peers, in order.
    pub(crate) fn peer_ids(&self) -> BTreeSet<u8> {
        self.sources.values().copied().collect()
    }

    pub(crate) fn peers(&self, now_ns: u64) -> Vec<PeerStatistics> {
        let statistics = |id: u8| self.peers[usize::from(id)].statistics(id, now_ns);
        self.peer_ids().into_iter().map(statistics).collect()
    }

    pub(crate) fn unknown(&self, now_ns: u64) -> Vec<UnknownSource> {
        self.unknown.list(now_ns)
    }
}

impl PeerState {
    fn admits_established(&mut self, now_ns: u64, count: u64, rate: Rate) -> bool {
        let cost = self.cost_ns(count, rate);
        admits(&mut self.established_arrival_ns, now_ns, cost, rate)
    }

    fn admits_unproven(&mut self, now_ns: u64, count: u64, rate: Rate) -> bool {
        let cost = self.cost_ns(count, rate);
        admits(&mut self.unproven_arrival_ns, now_ns, cost, rate)
    }

    fn cost_ns(&self, count: u64, rate: Rate) -> u64 {
        count * rate.interval_ns() * u64::from(self.tightened.max(1))
    }

    fn statistics(&self, id: u8, now_ns: u64) -> PeerStatistics {
        PeerStatistics {
            id,
            total_messages: self.total_messages,
            invalid_signatures: self.invalid_signatures,
            timing_violations: self.timing_violations,
            contradictory_responses: self.contradictory_responses,
            last_activity: ago(self.last_activity_ns, now_ns),
            reputation_score: self.reputation_score,
            consecutive_faults: self.consecutive_faults,
            dropped_messages: self.dropped_messages,
            bytes: self.bytes,
            quarantine: quarantine_state(self.quarantined_until_ns, self.reason, now_ns),
            tightened: self.tightened.max(1),
        }
    }
}

/// Returns how long before `now_ns` the moment was, or `None` if it never was (0).
pub(crate) fn ago(moment_ns: u64, now_ns: u64) -> Option<Duration> {
    (moment_ns > 0).then(|| Duration::from_nanos(now_ns.saturating_sub(moment_ns)))
}

/// Returns the quarantine that is in force at `now_ns`.
pub(crate) fn quarantine_state(until_ns: u64, reason: u32, now_ns: u64) -> Option<QuarantineState> {
    (now_ns < until_ns)
        .then(|| QuarantineState { remaining: Duration::from_nanos(until_ns - now_ns), reason })
}

fn admits(arrival_ns: &mut u64, now_ns: u64, cost_ns: u64, rate: Rate) -> bool {
    match bucket::admit(*arrival_ns, now_ns, cost_ns, rate.tolerance_ns()) {
        Some(next) => {
            *arrival_ns = next;
            true
        }
        None => false,
    }
}
