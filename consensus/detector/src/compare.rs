//! The periodic part: what the ended slots say of who was there and how late, who is gone, who sends too much. All by comparison with the others.

use certificate::{ReplicaId, ReplicaSet};
use pbft::Now;

use crate::anomaly::{median, outliers};
use crate::detector::{Detector, SETTLE_MS};
use crate::peer::{Peer, Tight};
use crate::slots::Watch;
use crate::{Indicator, Offence, ReputationEvent, Step};

/// Message rates and latenesses are compared so often, in milliseconds.
pub const COMPARE_MS: u64 = 10_000;

/// A replica is late when it stands out and its commits come so much later than those of the others, in milliseconds: more than the way around the earth
/// and back, so that to be far away is not to be late.
pub const LATE_MS: f64 = 500.0;

/// Of so many slots.
pub const LATENESS_MIN: usize = 16;

/// A replica floods when it stands out and sends so many messages a second more than the others, ...
pub const FLOOD_RATE: f64 = 200.0;

/// ... and so many times what they send.
pub const FLOOD_TIMES: f64 = 8.0;

/// Or it asks so often in ten seconds for more than its quota, which is far beyond what any honest host has open. That is work for all, so that its
/// message rate alone does not stand out.
pub const OVER_QUOTA_MIN: u32 = 100;

/// A bucket stays tight for so long after the last reason, in milliseconds.
pub const TIGHT_MS: u64 = 10 * 60_000;

/// A bucket that has been tight for so long is made tighter while there is reason, in milliseconds.
pub const TIGHTER_AFTER_MS: u64 = 2 * 60_000;

/// The tightest bucket has its rate divided by this.
pub const TIGHT_MAX: u32 = 8;

/// A channel that is gone for so long is gone, in milliseconds.
const GONE_MS: u64 = 3000;

impl Detector {
    /// Reads the slots whose grace is over.
    pub(crate) fn measure(&mut self, now: Now) {
        while let Some(watch) = self.slots.due(now.monotonic_ms) {
            if watch.heard().len() + 1 < self.replicas.quorum() {
                // The slot was decided elsewhere: this replica did not hear most of those who did.
                continue;
            }
            let voters = watch.voters();
            let settled = |peer: &Peer| {
                peer.connected_since
                    .is_some_and(|since_ms| since_ms.saturating_add(SETTLE_MS) <= watch.opened_ms)
            };
            let present: ReplicaSet =
                self.peers.iter().filter(|(_, peer)| settled(peer)).map(|(replica, _)| *replica).collect();
            self.count_votes(present, voters, now);
            self.time_commits(present, &watch);
            let with_me = |set: ReplicaSet| set.iter().chain([self.me]).collect();
            self.trust.slot(with_me(present), with_me(voters));
        }
    }

    fn count_votes(&mut self, present: ReplicaSet, voters: ReplicaSet, now: Now) {
        for replica in present.iter() {
            let took_part = voters.contains(replica);
            let Some(peer) = self.peers.get_mut(&replica) else { continue };
            peer.participation.add(took_part);
            if took_part {
                let (settings, event) = (&self.settings, ReputationEvent::Agreed);
                peer.ledger.apply(event, settings, now.monotonic_ms, now.wall_ms);
            } else {
                self.blame(replica, Offence::MissedVote, now);
            }
        }
    }

    fn time_commits(&mut self, present: ReplicaSet, watch: &Watch) {
        let arrived = |replica: ReplicaId| Some((replica, f64::from(watch.committed_ms(replica)?)));
        let arrived: Vec<(ReplicaId, f64)> = present.iter().filter_map(arrived).collect();
        let Some(begun_ms) = watch.begun_ms(self.replicas.weak_quorum()) else { return };
        for (replica, after_ms) in &arrived {
            if let Some(peer) = self.peers.get_mut(replica) {
                peer.latency.add((*after_ms as u64).saturating_sub(u64::from(begun_ms)));
            }
        }
        let middle = median(&mut arrived.iter().map(|(_, after_ms)| *after_ms).collect::<Vec<f64>>());
        for (replica, after_ms) in arrived {
            if let Some(peer) = self.peers.get_mut(&replica) {
                peer.lateness(after_ms - middle);
            }
        }
    }

    /// A channel that is gone counts against the peer only when this replica still hears enough others: else it is gone itself.
    pub(crate) fn charge_the_gone(&mut self, now: Now) {
        let up = self.peers.values().filter(|peer| peer.connected_since.is_some()).count();
        let gone = |peer: &Peer| {
            peer.gone_since.is_some_and(|since_ms| now.monotonic_ms >= since_ms.saturating_add(GONE_MS))
        };
        let over = self.peers.iter().filter(|(_, peer)| gone(peer)).map(|(replica, _)| *replica);
        for replica in over.collect::<Vec<ReplicaId>>() {
            let ours = up + 1 < self.replicas.quorum() || self.quarantine.get(replica).is_some();
            if let Some(peer) = self.peers.get_mut(&replica) {
                peer.gone_since = None;
            }
            if !ours {
                self.blame(replica, Offence::Gone, now);
            }
        }
    }

    /// Who is late, and who sends too much, by comparison; and what that does to their buckets.
    pub(crate) fn compare(&mut self, now: Now) -> Vec<Step> {
        let now_ms = now.monotonic_ms;
        let span_ms = now_ms.saturating_sub(self.compared_ms);
        if span_ms < COMPARE_MS {
            return Vec::new();
        }
        let since_ms = std::mem::replace(&mut self.compared_ms, now_ms);
        self.find_floods(since_ms, span_ms);
        self.find_late();
        let mut steps = Vec::new();
        for replica in self.peers.keys().copied().collect::<Vec<ReplicaId>>() {
            let peer = &self.peers[&replica];
            let reason = match (peer.floods, peer.late) {
                (true, _) => Some((Indicator::Flood, Offence::Flood)),
                (false, true) => Some((Indicator::LateVotes, Offence::LateVotes)),
                (false, false) => None,
            };
            if let Some((_, offence)) = reason {
                self.blame(replica, offence, now);
            }
            steps.extend(self.tighten(replica, reason.map(|(indicator, _)| indicator), now));
        }
        steps
    }

    fn find_floods(&mut self, since_ms: u64, span_ms: u64) {
        for peer in self.peers.values_mut() {
            peer.message_rate =
                f64::from(std::mem::take(&mut peer.window_messages)) * 1000.0 / span_ms as f64;
            peer.floods = std::mem::take(&mut peer.window_over_quota) >= OVER_QUOTA_MIN;
        }
        let steady = |peer: &Peer| peer.connected_since.is_some_and(|connected| connected <= since_ms);
        let mut present: Vec<&mut Peer> = self.peers.values_mut().filter(|peer| steady(peer)).collect();
        let rates: Vec<f64> = present.iter().map(|peer| peer.message_rate).collect();
        let usual = median(&mut rates.clone());
        for place in outliers(&rates, FLOOD_RATE) {
            present[place].floods |= rates[place] > FLOOD_TIMES * usual;
        }
    }

    fn find_late(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.late = false);
        let known = |peer: &&mut Peer| peer.connected_since.is_some() && peer.lateness.len() >= LATENESS_MIN;
        let mut known: Vec<&mut Peer> = self.peers.values_mut().filter(known).collect();
        let lateness: Vec<f64> = known.iter().map(|peer| peer.typical_lateness()).collect();
        for place in outliers(&lateness, LATE_MS) {
            known[place].late = true;
        }
    }

    fn tighten(&mut self, replica: ReplicaId, reason: Option<Indicator>, now: Now) -> Option<Step> {
        let now_ms = now.monotonic_ms;
        let peer = self.peers.get_mut(&replica)?;
        let until_ms = now_ms.saturating_add(TIGHT_MS);
        match (&mut peer.tight, reason) {
            (Some(tight), None) => {
                (now_ms >= tight.until_ms).then(|| peer.tight = None).map(|()| Step::Loosen { replica })
            }
            (None, None) => None,
            (Some(tight), Some(_))
                if tight.factor == TIGHT_MAX || now_ms < tight.raised_ms.saturating_add(TIGHTER_AFTER_MS) =>
            {
                tight.until_ms = until_ms;
                None
            }
            (tight, Some(reason)) => {
                let factor = tight.map_or(1, |tight| tight.factor) * 2;
                *tight = Some(Tight { factor, raised_ms: now_ms, until_ms, reason });
                let until_ms = now.wall_ms.saturating_add(TIGHT_MS);
                Some(Step::Tighten { replica, factor, until_ms, reason })
            }
        }
    }
}
