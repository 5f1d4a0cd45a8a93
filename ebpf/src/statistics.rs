//! What the filter counted, in the shape in which it leaves this crate.

use std::{net::IpAddr, time::Duration};

use crate::{Kind, Verdict};

/// Everything that the filter knows about the traffic since it was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterStatistics {
    /// Who judged.
    pub kind: Kind,
    /// One entry for each verdict, in the order of [`Verdict::ALL`].
    pub verdicts: Vec<VerdictCount>,
    /// One entry for each peer of the policy, by number.
    pub peers: Vec<PeerStatistics>,
    /// The unknown sources that sent most, most first. Disposable: a flood of spoofed sources pushes entries out.
    pub unknown: Vec<UnknownSource>,
}

impl FilterStatistics {
    /// Datagrams that got `verdict`.
    pub fn datagrams(&self, verdict: Verdict) -> u64 {
        self.verdicts.iter().find(|count| count.verdict == verdict).map_or(0, |count| count.datagrams)
    }
}

/// How often a verdict was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictCount {
    /// The verdict.
    pub verdict: Verdict,
    /// Datagrams, those that the kernel joined into one packet counted one by one.
    pub datagrams: u64,
    /// Their bytes, without UDP and IP headers.
    pub bytes: u64,
}

/// The behaviour of one peer: the first seven counters are judged in two places, as the fields say.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatistics {
    /// The peer's number.
    pub id: u8,
    /// Datagrams from its addresses, dropped ones included. Counted by the filter.
    pub total_messages: u64,
    /// Told by [`Behaviour::InvalidSignature`].
    pub invalid_signatures: u64,
    /// Told by [`Behaviour::TimingViolation`].
    pub timing_violations: u64,
    /// Told by [`Behaviour::ContradictoryResponse`].
    pub contradictory_responses: u64,
    /// How long ago a datagram with one of our connection ids passed. Seen by the filter.
    pub last_activity: Option<Duration>,
    /// In thousandths, as told by [`Behaviour::Reputation`].
    pub reputation_score: u32,
    /// Faults told since the last [`Behaviour::Faultless`].
    pub consecutive_faults: u32,
    /// Those of `total_messages` that did not pass. Counted by the filter.
    pub dropped_messages: u64,
    /// Bytes of `total_messages`.
    pub bytes: u64,
    /// The quarantine in force.
    pub quarantine: Option<QuarantineState>,
    /// By how much its rates are divided; 1 is normal.
    pub tightened: u32,
}

/// A quarantine in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineState {
    /// Until it ends by itself.
    pub remaining: Duration,
    /// The number that [`crate::PeerFilter::quarantine`] was given.
    pub reason: u32,
}

/// A source that is no peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownSource {
    /// Its address, as the packets claim.
    pub address: IpAddr,
    /// Datagrams from it, all ports together.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long ago the last one came.
    pub last_seen: Duration,
}

/// What userspace, which can read the messages, tells the filter about a peer. It is kept beside the filter's own
/// counters and changes no verdict: only a quarantine or a tighter rate does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behaviour {
    /// A message whose signature is wrong.
    InvalidSignature,
    /// A message too late.
    TimingViolation,
    /// Two signed messages that contradict each other.
    ContradictoryResponse,
    /// A message as it should be: ends a row of faults.
    Faultless,
    /// The peer's reputation, from 0 to 1.
    Reputation(f64),
}

/// Most unknown sources in [`FilterStatistics`].
pub(crate) const UNKNOWN_SHOWN_MAX: usize = 16;

/// Returns the sources that sent most, most first, at most `UNKNOWN_SHOWN_MAX`.
pub(crate) fn top(mut sources: Vec<UnknownSource>) -> Vec<UnknownSource> {
    sources.sort_by_key(|source| (std::cmp::Reverse(source.datagrams), source.address));
    sources.truncate(UNKNOWN_SHOWN_MAX);
    sources
}

/// Returns a reputation from 0 to 1 in thousandths.
pub(crate) fn thousandths(reputation: f64) -> u32 {
    (reputation.clamp(0.0, 1.0) * 1000.0).round() as u32
}
