//! The detector: takes events and the time, keeps the figures, and says what follows.

use std::collections::BTreeMap;

use certificate::{ReplicaId, ReplicaSet, Replicas};
use pbft::{Fault, Now};

use crate::assess::{self, Assessment, BAD_SIGNATURES_MIN, Indicator};
use crate::decaying::{Decaying, remains};
use crate::peer::{OFFENCES_HALF_LIFE_MS, Peer};
use crate::proof::fingerprint;
use crate::quarantine::Quarantine;
use crate::reputation::PROVEN_MS;
use crate::slots::Slots;
use crate::trust::TrustGraph;
use crate::{Event, Notice, Offence, Reason, ReputationEvent, Settings, Step};

/// A pause between two calls that is longer than this was a sleep of this process, in milliseconds: what is open says nothing of others.
pub const PAUSE_MS: u64 = 3000;

/// A channel that is up for less than this says nothing yet of who uses it, in milliseconds.
pub const SETTLE_MS: u64 = 5000;

/// The label stays for so long after its reasons are gone, in milliseconds.
pub const LABEL_HELD_MS: u64 = 60_000;

/// Watches the other replicas. Never seen by anything that counts votes.
#[derive(Clone, Debug)]
pub struct Detector {
    pub(crate) me: ReplicaId,
    pub(crate) replicas: Replicas,
    pub(crate) settings: Settings,
    pub(crate) peers: BTreeMap<ReplicaId, Peer>,
    pub(crate) slots: Slots,
    pub(crate) quarantine: Quarantine,
    pub(crate) trust: TrustGraph,
    /// When the host called last, monotonic.
    pub(crate) called_ms: u64,
    /// When time was last counted as watched, monotonic.
    pub(crate) watched_ms: u64,
    /// When messages and latenesses were last compared, monotonic.
    pub(crate) compared_ms: u64,
    /// When the trust graph last faded, monotonic.
    pub(crate) faded_ms: u64,
    /// This replica found itself the odd one out: it judges nobody by its own opinion.
    pub(crate) discredited: bool,
    /// Who looked Byzantine without proof when it were too many.
    pub(crate) doubtful: ReplicaSet,
    pub(crate) notices: BTreeMap<Notice, u64>,
}

impl Detector {
    /// Nothing is known of anybody.
    pub fn new(me: ReplicaId, replicas: Replicas, settings: Settings, now: Now) -> Detector {
        let settings = settings.sound();
        let others = replicas.ids().filter(|replica| *replica != me);
        Detector {
            me,
            replicas,
            settings,
            peers: others.map(|replica| (replica, Peer::new(&settings, now.monotonic_ms))).collect(),
            slots: Slots::new(replicas),
            quarantine: Quarantine::new(replicas.faults()),
            trust: TrustGraph::new(replicas),
            called_ms: now.monotonic_ms,
            watched_ms: now.monotonic_ms,
            compared_ms: now.monotonic_ms,
            faded_ms: now.monotonic_ms,
            discredited: false,
            doubtful: ReplicaSet::EMPTY,
            notices: BTreeMap::new(),
        }
    }

    /// Takes an event; gives what follows from it at once. Of replicas that are none, and of this one, nothing is kept.
    pub fn observe(&mut self, now: Now, event: Event<'_>) -> Vec<Step> {
        self.wake(now);
        let now_ms = now.monotonic_ms;
        match event {
            Event::Connected(replica) => self.connected(replica, now_ms),
            Event::Disconnected(replica) => self.disconnected(replica, now_ms),
            Event::Fault(fault) => return self.fault(fault, now),
            _ if !self.settings.enabled => {}
            Event::Message { from } => {
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.message(now.wall_ms);
                }
            }
            Event::Vote { from, sequence, phase } => {
                if self.peers.contains_key(&from) {
                    self.slots.vote(from, sequence, phase, now_ms);
                }
            }
            Event::Observation { from, after_ms } => {
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.lookup.add(after_ms);
                }
            }
            Event::Decided { sequence, signers } => self.slots.decide(sequence, signers, now_ms),
            Event::Accuracy { replica, agreed } => return self.judged(replica, agreed, now),
            Event::Unreadable(replica) => return self.unreadable(replica, now),
            Event::ViewChanged { from_primary, proposable } => {
                if proposable {
                    self.blame(from_primary, Offence::VotedOut, now);
                }
            }
        }
        Vec::new()
    }

    /// Called about once a second: graces end, rates are compared, quarantines expire, labels come and go.
    pub fn tick(&mut self, now: Now) -> Vec<Step> {
        self.wake(now);
        let mut steps = self.quarantine.expire(now.monotonic_ms);
        self.watch(now.monotonic_ms);
        if self.settings.enabled {
            self.measure(now);
            self.charge_the_gone(now);
            steps.append(&mut self.compare(now));
            self.fade(now.monotonic_ms);
        }
        steps.append(&mut self.relabel(now.monotonic_ms));
        steps
    }

    /// An operator lets a replica in again. What shut it out does not do so a second time.
    pub fn lift(&mut self, now: Now, replica: ReplicaId) -> Vec<Step> {
        self.wake(now);
        if let Some(peer) = self.peers.get_mut(&replica) {
            peer.fresh_bad_signatures = Decaying::default();
        }
        self.quarantine.lift(replica)
    }

    /// The judgement of every other replica, lowest first.
    pub fn assessments(&self, now: Now) -> Vec<Assessment> {
        self.peers.iter().map(|(replica, peer)| self.assess(*replica, peer, now.monotonic_ms)).collect()
    }

    fn assess(&self, replica: ReplicaId, peer: &Peer, now_ms: u64) -> Assessment {
        let indicators = assess::indicators(peer, &self.settings, now_ms);
        let labelled_ms = peer.labelled.map(|(since_ms, _)| now_ms.saturating_sub(since_ms));
        let strikes = self.quarantine.signatures.get(&replica).map_or(0, |strikes| strikes.count);
        Assessment {
            replica,
            statistics: peer.statistics(),
            is_byzantine: labelled_ms.is_some(),
            confidence: assess::confidence(&indicators, labelled_ms.is_some(), peer),
            pattern: assess::pattern(&indicators, peer),
            action: assess::action(&indicators, peer, labelled_ms, strikes),
            indicators,
            reputation: peer.ledger.reputation(&self.settings, now_ms),
            trust: self.trust.standing(replica),
            quarantined: self.quarantine.get(replica),
            tightened: peer.tight.map_or(1, |tight| tight.factor),
        }
    }

    /// Whose reputation is at least so much, and who is not shut out; this replica among them.
    pub fn trusted(&self, now: Now, least: f64) -> ReplicaSet {
        let score = |peer: &Peer| peer.ledger.score(&self.settings, now.monotonic_ms);
        let held = |replica: &ReplicaId| self.quarantine.held.contains_key(replica);
        let others = self.peers.iter().filter(|(replica, peer)| score(peer) >= least && !held(replica));
        others.map(|(replica, _)| *replica).chain([self.me]).collect()
    }

    /// The reputation of the replica that has the least.
    pub fn least_reputation(&self, now: Now) -> f64 {
        let scores = self.peers.values().map(|peer| peer.ledger.score(&self.settings, now.monotonic_ms));
        scores.fold(1.0, f64::min)
    }

    /// By what it judges.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Who was seen to agree with whom.
    pub fn trust_graph(&self) -> &TrustGraph {
        &self.trust
    }

    /// How often faults were reported that are nobody's misbehaviour.
    pub fn notices(&self) -> impl Iterator<Item = (Notice, u64)> {
        self.notices.iter().map(|(notice, count)| (*notice, *count))
    }

    /// Whether more replicas than f look Byzantine without proof, so that this one may be the odd one out.
    pub fn is_doubtful(&self) -> bool {
        !self.doubtful.is_empty() || self.discredited
    }

    /// After a sleep of this process channels count as new: no slot that was open before, nor one opened soon after, is held against anybody.
    fn wake(&mut self, now: Now) {
        let now_ms = now.monotonic_ms;
        if now_ms > self.called_ms.saturating_add(PAUSE_MS) {
            self.watched_ms = now_ms;
            self.compared_ms = now_ms;
            for peer in self.peers.values_mut() {
                (peer.window_messages, peer.window_over_quota) = (0, 0);
                peer.connected_since = peer.connected_since.map(|_| now_ms);
                peer.gone_since = None;
            }
        }
        self.called_ms = self.called_ms.max(now_ms);
    }

    fn connected(&mut self, replica: ReplicaId, now_ms: u64) {
        self.watch(now_ms);
        if let Some(peer) = self.peers.get_mut(&replica) {
            peer.connected_since = Some(now_ms);
            peer.gone_since = None;
        }
    }

    fn disconnected(&mut self, replica: ReplicaId, now_ms: u64) {
        self.watch(now_ms);
        if let Some(peer) = self.peers.get_mut(&replica)
            && peer.connected_since.take().is_some()
        {
            peer.gone_since = Some(now_ms);
        }
    }

    /// Counts the time since the last time as watched.
    fn watch(&mut self, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.watched_ms);
        self.watched_ms = self.watched_ms.max(now_ms);
        let quarantine = &self.quarantine;
        // Whom this replica shut out itself is not away by its own doing.
        let watched = self.peers.iter_mut().filter(|(replica, _)| !quarantine.held.contains_key(replica));
        watched.for_each(|(_, peer)| peer.watched(elapsed_ms));
    }

    fn judged(&mut self, replica: ReplicaId, agreed: bool, now: Now) -> Vec<Step> {
        if self.discredited {
            return Vec::new();
        }
        let Some(peer) = self.peers.get_mut(&replica) else { return Vec::new() };
        peer.accuracy.add(agreed);
        if agreed {
            peer.ledger.apply(ReputationEvent::Agreed, &self.settings, now.monotonic_ms, now.wall_ms);
            return Vec::new();
        }
        self.blame(replica, Offence::WrongObservation, now);
        self.relabel_for(replica, now.monotonic_ms)
    }

    /// An honest replica that has said Hello sends nothing of the kind.
    fn unreadable(&mut self, replica: ReplicaId, now: Now) -> Vec<Step> {
        if self.discredited {
            return Vec::new();
        }
        self.blame(replica, Offence::Unreadable, now);
        if let Some(peer) = self.peers.get_mut(&replica) {
            peer.violations.add(1.0, now.monotonic_ms, OFFENCES_HALF_LIFE_MS);
        }
        self.relabel_for(replica, now.monotonic_ms)
    }

    /// Notes an offence, and takes it out of the reputation.
    pub(crate) fn blame(&mut self, replica: ReplicaId, offence: Offence, now: Now) {
        let Some(peer) = self.peers.get_mut(&replica) else { return };
        peer.offence(offence);
        let event = match offence {
            Offence::MissedVote => return,
            Offence::Gone => ReputationEvent::Partition,
            Offence::LateVotes | Offence::VotedOut | Offence::Flood => ReputationEvent::Late,
            Offence::WrongObservation => ReputationEvent::WrongObservation,
            Offence::InvalidSignature => ReputationEvent::InvalidSignature,
            _ => ReputationEvent::Violation,
        };
        peer.ledger.apply(event, &self.settings, now.monotonic_ms, now.wall_ms);
    }

    fn fault(&mut self, fault: &Fault, now: Now) -> Vec<Step> {
        if let Some(notice) = Notice::of(fault) {
            let count = self.notices.entry(notice).or_default();
            *count = count.saturating_add(1);
            self.discredited |= notice.discredits_us();
            if let Fault::OverQuota { from } = fault
                && let Some(peer) = self.peers.get_mut(from)
            {
                peer.window_over_quota = peer.window_over_quota.saturating_add(1);
            }
            return Vec::new();
        }
        let Some((replica, offence)) = Offence::of(fault) else { return Vec::new() };
        let mut steps = match fault.is_proof() {
            true => self.prove(replica, offence, fingerprint(fault), now),
            false if !self.settings.enabled || self.discredited => return Vec::new(),
            false => self.accuse(replica, offence, fault, now),
        };
        steps.append(&mut self.relabel_for(replica, now.monotonic_ms));
        steps
    }

    /// A proof. One that is known already changes nothing.
    fn prove(&mut self, replica: ReplicaId, offence: Offence, fingerprint: u64, now: Now) -> Vec<Step> {
        let Some(peer) = self.peers.get_mut(&replica) else { return Vec::new() };
        if !peer.is_new_proof(fingerprint) {
            return Vec::new();
        }
        peer.offence(offence);
        peer.proven = peer.proven.saturating_add(1);
        peer.proven_until_ms = now.monotonic_ms.saturating_add(PROVEN_MS);
        peer.ledger.apply(ReputationEvent::Proven, &self.settings, now.monotonic_ms, now.wall_ms);
        self.trust.break_with(replica);
        self.quarantine.begin(replica, Reason::Proven(offence), now)
    }

    /// What only this replica saw.
    fn accuse(&mut self, replica: ReplicaId, offence: Offence, fault: &Fault, now: Now) -> Vec<Step> {
        if let Fault::InvalidSignature { sequence, .. } = fault {
            self.slots.cancel(replica, *sequence);
        }
        self.blame(replica, offence, now);
        let Some(peer) = self.peers.get_mut(&replica) else { return Vec::new() };
        if offence != Offence::InvalidSignature {
            peer.violations.add(1.0, now.monotonic_ms, OFFENCES_HALF_LIFE_MS);
            return Vec::new();
        }
        peer.bad_signature(now.monotonic_ms);
        let fresh = peer.fresh_bad_signatures.now(now.monotonic_ms, OFFENCES_HALF_LIFE_MS);
        if fresh < f64::from(BAD_SIGNATURES_MIN) - 0.5 {
            return Vec::new();
        }
        peer.fresh_bad_signatures = Decaying::default();
        self.quarantine.begin(replica, Reason::InvalidSignatures(fresh.round() as u32), now)
    }

    fn fade(&mut self, now_ms: u64) {
        const FADE_MS: u64 = 60_000;
        let elapsed_ms = now_ms.saturating_sub(self.faded_ms);
        if elapsed_ms >= FADE_MS {
            self.trust.fade(remains(elapsed_ms, self.settings.half_life_ms));
            self.faded_ms = now_ms;
        }
    }

    /// Gives the label at once where one replica's offence makes it. Whoever has it, or is in doubt, costs no more than a look.
    fn relabel_for(&mut self, replica: ReplicaId, now_ms: u64) -> Vec<Step> {
        let Some(peer) = self.peers.get(&replica) else { return Vec::new() };
        let known = peer.labelled.is_some() || self.doubtful.contains(replica) && peer.proven == 0;
        if known || !assess::is_byzantine(&assess::indicators(peer, &self.settings, now_ms)) {
            return Vec::new();
        }
        self.relabel(now_ms)
    }

    /// Gives and takes the label. Where more than f look Byzantine without proof, the odd one out may be this replica, and none of them gets it.
    pub(crate) fn relabel(&mut self, now_ms: u64) -> Vec<Step> {
        let indicators = |peer: &Peer| assess::indicators(peer, &self.settings, now_ms);
        let all: BTreeMap<ReplicaId, Vec<Indicator>> =
            self.peers.iter().map(|(replica, peer)| (*replica, indicators(peer))).collect();
        let suspects = all.iter().filter(|(_, indicators)| assess::is_byzantine(indicators));
        let suspects: ReplicaSet = suspects.map(|(replica, _)| *replica).collect();
        let too_many = self.discredited || suspects.len() > self.replicas.faults();
        let labelled = |replica: &ReplicaId| {
            suspects.contains(*replica) && (!too_many || all[replica].contains(&Indicator::Proven))
        };
        let held = self.peers.iter().filter(|(_, peer)| peer.labelled.is_some()).map(|(replica, _)| *replica);
        let crowded = held.chain(suspects.iter()).collect::<ReplicaSet>().len() > self.replicas.faults();
        let mut steps = Vec::new();
        for (replica, peer) in &mut self.peers {
            match peer.labelled {
                None if labelled(replica) => {
                    peer.labelled = Some((now_ms, now_ms));
                    peer.labels = peer.labels.saturating_add(1);
                    let indicators = all[replica].clone();
                    steps.push(Step::Labelled { replica: *replica, indicators });
                }
                Some((since_ms, _)) if labelled(replica) => peer.labelled = Some((since_ms, now_ms)),
                Some((_, held_ms)) if crowded || now_ms >= held_ms.saturating_add(LABEL_HELD_MS) => {
                    peer.labelled = None;
                    steps.push(Step::Unlabelled { replica: *replica });
                }
                None | Some(_) => {}
            }
        }
        let doubtful = if too_many { suspects } else { ReplicaSet::EMPTY };
        if !doubtful.is_empty() && doubtful != self.doubtful {
            steps.push(Step::Doubtful { replicas: doubtful });
        }
        self.doubtful = doubtful;
        steps
    }
}
