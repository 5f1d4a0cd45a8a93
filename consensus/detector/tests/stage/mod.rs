//! A detector with a cluster around it that is played event by event, in virtual time.
#![allow(dead_code)]

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, ReplicaSet, Replicas, Sequence, Signature, View};
use detector::*;
use pbft::{CheckpointVote, Fault, NewViewError, Refusal, SignedObservations, SignedVote, ViewChange, Vote};

pub const WALL_MS: u64 = 1_800_000_000_000;

/// SplitMix64 (Steele, Lea & Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.any() % bound
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

pub fn at(ms: u64) -> Now {
    Now { wall_ms: WALL_MS + ms, monotonic_ms: ms }
}

pub fn id(replica: u8) -> ReplicaId {
    ReplicaId(replica)
}

/// The cluster that the detector of replica 0 sees.
pub struct Stage {
    pub detector: Detector,
    pub replicas: Replicas,
    pub now_ms: u64,
    pub sequence: u64,
    pub steps: Vec<Step>,
    /// Milliseconds by which each replica's votes come after the first.
    pub delays: Vec<Option<u64>>,
}

impl Stage {
    /// Everybody is connected, and has been for a while.
    pub fn new(count: u32, faults: u32) -> Stage {
        Stage::with(count, faults, Settings::default())
    }

    pub fn with(count: u32, faults: u32, settings: Settings) -> Stage {
        let replicas = Replicas::new(count, faults).expect("a shape of a cluster");
        let detector = Detector::new(id(0), replicas, settings, at(0));
        let delays = (0..u64::from(count)).map(|replica| Some(5 + replica)).collect();
        let mut stage = Stage { detector, replicas, now_ms: 0, sequence: 0, steps: Vec::new(), delays };
        stage.others().into_iter().for_each(|replica| stage.event(Event::Connected(replica)));
        stage.pass(SETTLE_MS);
        stage
    }

    pub fn others(&self) -> Vec<ReplicaId> {
        self.replicas.ids().skip(1).collect()
    }

    pub fn event(&mut self, event: Event<'_>) {
        let steps = self.detector.observe(at(self.now_ms), event);
        self.steps.extend(steps);
    }

    pub fn fault(&mut self, fault: &Fault) {
        self.event(Event::Fault(fault));
    }

    /// Time passes with a tick every second.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms = end.min(self.now_ms / 1000 * 1000 + 1000);
            self.steps.extend(self.detector.tick(at(self.now_ms)));
        }
    }

    /// Slots are decided, four a second, with the votes of everybody who has a delay and a channel.
    pub fn slots(&mut self, count: u64) {
        for _ in 0..count {
            self.slot();
            self.pass(250);
        }
    }

    fn slot(&mut self) {
        self.sequence += 1;
        let sequence = Sequence(self.sequence);
        let start = self.now_ms;
        let mut votes: Vec<(u64, ReplicaId)> = Vec::new();
        for replica in self.others() {
            votes.extend(self.delays[usize::from(replica.0)].map(|delay| (delay, replica)));
        }
        votes.sort_unstable();
        for (delay, from) in &votes {
            let now = at(start + delay);
            for phase in [Phase::Prepare, Phase::Commit] {
                self.detector.observe(now, Event::Message { from: *from });
                self.detector.observe(now, Event::Vote { from: *from, sequence, phase });
            }
            if *delay >= 200 {
                continue;
            }
            self.now_ms = self.now_ms.max(start + delay);
        }
        let quick = votes.iter().take(self.replicas.quorum() - 1).map(|(_, replica)| *replica);
        let signers: ReplicaSet = quick.chain([id(0)]).collect();
        if signers.len() >= self.replicas.quorum() {
            self.event(Event::Decided { sequence, signers });
        }
    }

    pub fn assessment(&self, replica: u8) -> Assessment {
        let all = self.detector.assessments(at(self.now_ms));
        all.into_iter().find(|one| one.replica == id(replica)).expect("another replica of the cluster")
    }

    pub fn labelled(&self) -> Vec<u8> {
        let all = self.detector.assessments(at(self.now_ms));
        all.iter().filter(|one| one.is_byzantine).map(|one| one.replica.0).collect()
    }

    pub fn quarantined(&self) -> Vec<u8> {
        let all = self.detector.assessments(at(self.now_ms));
        all.iter().filter(|one| one.quarantined.is_some()).map(|one| one.replica.0).collect()
    }
}

pub fn signature(byte: u8) -> Signature {
    Signature([byte; 64])
}

pub fn vote(replica: u8, sequence: u64, byte: u8) -> SignedVote {
    let digest = Digest::of(&[byte]);
    let vote = Vote {
        view: View(0),
        sequence: Sequence(sequence),
        digest,
        replica: id(replica),
        signature: signature(byte),
    };
    SignedVote { phase: MessageType::Commit, vote }
}

pub fn equivocation(replica: u8, sequence: u64) -> Fault {
    Fault::Equivocation { first: vote(replica, sequence, 1), second: vote(replica, sequence, 2) }
}

pub fn invalid_signature(replica: u8, sequence: u64) -> Fault {
    Fault::InvalidSignature { from: id(replica), message: MessageType::Commit, sequence: Sequence(sequence) }
}

pub fn refused(replica: u8, refusal: Refusal) -> Fault {
    let (proposal, sequence) = (vote(replica, 7, 1), Sequence(7));
    Fault::RefusedProposal { from: id(replica), proposal, sequence, refusal }
}

pub fn malformed(replica: u8, byte: u8) -> Fault {
    let set = SignedObservations { replica: id(replica), items: Vec::new(), signature: signature(byte) };
    Fault::MalformedObservation { from: id(replica), set: Box::new(set), item: 0 }
}

fn view_change(replica: u8) -> Arc<ViewChange> {
    Arc::new(ViewChange {
        view: View(3),
        replica: id(replica),
        stable: None,
        decided: None,
        slots: Vec::new(),
        signature: signature(1),
    })
}

fn new_view() -> Arc<pbft::NewView> {
    Arc::new(pbft::NewView {
        view: View(3),
        view_changes: Vec::new(),
        proposals: Vec::new(),
        signature: signature(1),
    })
}

fn checkpoint(replica: u8, byte: u8) -> CheckpointVote {
    let digest = Digest::of(&[byte]);
    CheckpointVote { sequence: Sequence(100), digest, replica: id(replica), signature: signature(byte) }
}

/// One of every fault, all about one replica where they are about one.
pub fn all_faults(replica: u8) -> Vec<Fault> {
    let (from, sequence, claimed, view) = (id(replica), Sequence(7), id(200), View(3));
    let digest = Digest::of(b"a");
    vec![
        equivocation(replica, 7),
        Fault::CheckpointEquivocation { first: checkpoint(replica, 1), second: checkpoint(replica, 2) },
        Fault::ViewChangeEquivocation { first: view_change(replica), second: view_change(replica) },
        Fault::NewViewEquivocation { primary: from, first: new_view(), second: new_view() },
        malformed(replica, 9),
        refused(replica, Refusal::LeavesRoot),
        refused(replica, Refusal::ClusterDigest),
        Fault::ClockSkew { from, sequence, time_ms: 1, wall_ms: WALL_MS },
        invalid_signature(replica, 7),
        Fault::WrongSender { from, claimed },
        Fault::UnknownReplica { from, claimed },
        Fault::NotPrimary { from, view, sequence, proof: None },
        Fault::PrepareOfPrimary { from, sequence, proof: None },
        Fault::OutsideWaterMarks { from, sequence },
        Fault::MisplacedCheckpoint { from, sequence, proof: None },
        Fault::InvalidSlot { from, sequence },
        Fault::InvalidState { from, sequence },
        Fault::InvalidBatch { from, sequence },
        Fault::InvalidViewChange { message: view_change(replica), error: pbft::ViewChangeError::Stable },
        Fault::InvalidNewView {
            primary: from,
            message: new_view(),
            view_changes: Vec::new(),
            error: NewViewError::Count { expected: 3, found: 2 },
        },
        Fault::Contradiction { view, first: digest, second: digest },
        Fault::NullRequest { from },
        Fault::OverQuota { from },
        Fault::Diverged { sequence, ours: digest, theirs: digest },
    ]
}
