//! Checkpoints: when the log may be cut. Castro & Liskov 1999 §4.3.
//!
//! The state is a digest's worth of history, the log's time and the used observations: answers prove themselves and are not part
//! of it. A checkpoint is stable when q replicas signed one digest; then the low water mark advances, and one record stands
//! for all before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use certificate::codec::Encode;
use certificate::{Digest, MessageType, ReplicaId, Sequence};

use crate::replica::Replica;
use crate::state::LogState;
use crate::vote::checkpoint_preimage;
use crate::{
    Application, CHECKPOINTS_PER_REPLICA_MAX, CheckpointCertificate, CheckpointVote, Fault, Keyring, Message,
    Record, Standing,
};

/// The own state after a slot, until that or a later one is stable.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) digest: Digest,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) own: Option<CheckpointVote>,
}

/// The last stable checkpoint.
#[derive(Clone)]
pub(crate) struct Stable {
    pub(crate) certificate: CheckpointCertificate,
    pub(crate) state: Arc<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Cast {
    vote: CheckpointVote,
    verified: bool,
    /// Whether a second state that the replica signed for the slot was reported.
    reported: bool,
}

impl Cast {
    fn new(vote: CheckpointVote, verified: bool) -> Cast {
        Cast { vote, verified, reported: false }
    }
}

/// Own snapshots, the votes of all, and the last stable checkpoint.
#[derive(Default)]
pub(crate) struct Checkpoints {
    pub(crate) snapshots: BTreeMap<Sequence, Snapshot>,
    votes: BTreeMap<ReplicaId, BTreeMap<Sequence, Cast>>,
    pub(crate) stable: Option<Stable>,
}

impl Checkpoints {
    /// Takes a snapshot when the log stands at a checkpoint.
    pub(crate) fn take(&mut self, log: &LogState, interval: u64) {
        let sequence = log.executed();
        if sequence.0.is_multiple_of(interval) {
            let bytes = log.to_bytes();
            let digest = LogState::digest_of(&bytes);
            self.snapshots.insert(sequence, Snapshot { digest, bytes: Arc::new(bytes), own: None });
        }
    }

    /// Own votes above `stable`, to be sent again.
    pub(crate) fn own_votes_above(&self, stable: Sequence) -> Vec<CheckpointVote> {
        let above = self.snapshots.iter().filter(|(sequence, _)| **sequence > stable);
        above.filter_map(|(_, snapshot)| snapshot.own).collect()
    }

    /// Forgets what a stable checkpoint makes unnecessary.
    fn forget_up_to(&mut self, sequence: Sequence) {
        self.snapshots.retain(|own, _| *own > sequence);
        for votes in self.votes.values_mut() {
            votes.retain(|voted, _| *voted > sequence);
        }
    }

    fn insert_verified(&mut self, vote: CheckpointVote) {
        self.votes.entry(vote.replica).or_default().insert(vote.sequence, Cast::new(vote, true));
    }

    /// How many votes are held.
    #[cfg(test)]
    pub(crate) fn votes_len(&self) -> usize {
        self.votes.values().map(BTreeMap::len).sum()
    }

    fn digests_at(&self, sequence: Sequence) -> Vec<Digest> {
        let mut digests: Vec<Digest> = self
            .votes
            .values()
            .filter_map(|votes| votes.get(&sequence))
            .map(|cast| cast.vote.digest)
            .collect();
        digests.sort_unstable();
        digests.dedup();
        digests
    }

    /// The certificate for a digest, if q replicas signed it; and the votes that turned out to be invalid, which are gone.
    fn certificate(
        &mut self,
        sequence: Sequence,
        digest: Digest,
        quorum: usize,
        verify: impl Fn(&CheckpointVote) -> bool,
    ) -> (Option<CheckpointCertificate>, Vec<ReplicaId>) {
        let voters: Vec<ReplicaId> = self
            .votes
            .iter()
            .filter(|(_, votes)| votes.get(&sequence).is_some_and(|cast| cast.vote.digest == digest))
            .map(|(replica, _)| *replica)
            .collect();
        if voters.len() < quorum {
            return (None, Vec::new());
        }
        let (mut valid, mut invalid) = (Vec::new(), Vec::new());
        for replica in voters {
            if valid.len() == quorum {
                break;
            }
            let votes = self.votes.get_mut(&replica).expect("the voter has votes");
            let cast = votes.get_mut(&sequence).expect("the voter voted");
            cast.verified = cast.verified || verify(&cast.vote);
            if cast.verified {
                valid.push(cast.vote);
            } else {
                votes.remove(&sequence);
                invalid.push(replica);
            }
        }
        let certificate = (valid.len() == quorum).then(|| CheckpointCertificate {
            sequence,
            digest,
            signers: valid.iter().map(|vote| vote.replica).collect(),
            signatures: valid.iter().map(|vote| vote.signature).collect(),
        });
        (certificate, invalid)
    }
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// Signs the snapshots that have no vote yet: those of this step, or of the last before a crash.
    pub(crate) fn sign_checkpoints(&mut self) {
        let unsigned = self.checkpoints.snapshots.iter().filter(|(_, snapshot)| snapshot.own.is_none());
        let unsigned: Vec<(Sequence, Digest)> =
            unsigned.map(|(sequence, snapshot)| (*sequence, snapshot.digest)).collect();
        if matches!(self.standing, Standing::Learning | Standing::Diverged) {
            return;
        }
        for (sequence, digest) in unsigned {
            let preimage = checkpoint_preimage(&self.parameters.domain, sequence, digest);
            let signature = self.keyring.sign(&preimage);
            let vote = CheckpointVote { sequence, digest, replica: self.me(), signature };
            self.ready.persist.push(Record::OwnCheckpoint(vote));
            self.send_all(Message::Checkpoint(vote));
            self.hold_own_checkpoint(vote);
            self.stabilize_when_signed(sequence);
        }
    }

    /// Keeps an own vote whose record is stored or among those to store.
    pub(crate) fn hold_own_checkpoint(&mut self, vote: CheckpointVote) {
        if let Some(snapshot) = self.checkpoints.snapshots.get_mut(&vote.sequence) {
            snapshot.own = Some(vote);
            self.checkpoints.insert_verified(vote);
        }
    }

    pub(crate) fn on_checkpoint(&mut self, from: ReplicaId, vote: CheckpointVote) {
        let sequence = vote.sequence;
        if vote.replica != from {
            self.fault(Fault::WrongSender { from, claimed: vote.replica });
            return;
        }
        if sequence.0 == 0 || !sequence.0.is_multiple_of(self.parameters.checkpoint_interval) {
            let proof = Some(vote).filter(|vote| vote.verify(&self.parameters.domain, &self.keyring));
            self.fault(Fault::MisplacedCheckpoint { from, sequence, proof });
            return;
        }
        self.note_ahead(from, sequence);
        if sequence <= self.marks.low {
            return;
        }
        let before = self.checkpoints.votes.entry(from).or_default().get(&sequence).copied();
        match before {
            Some(before) if before.vote.digest != vote.digest => {
                return self.on_second_checkpoint(before, vote);
            }
            Some(_) => return,
            None => {}
        }
        let votes = self.checkpoints.votes.entry(from).or_default();
        votes.insert(sequence, Cast::new(vote, false));
        if votes.len() > CHECKPOINTS_PER_REPLICA_MAX {
            votes.pop_first();
        }
        self.stabilize_when_signed(sequence);
    }

    fn on_second_checkpoint(&mut self, before: Cast, vote: CheckpointVote) {
        let (from, sequence) = (vote.replica, vote.sequence);
        if before.reported {
            return;
        }
        let (domain, keyring) = (&self.parameters.domain, &self.keyring);
        let first_holds = before.verified || before.vote.verify(domain, keyring);
        let second_holds = vote.verify(domain, keyring);
        let votes = self.checkpoints.votes.entry(from).or_default();
        if first_holds && second_holds {
            votes.insert(sequence, Cast { verified: true, reported: true, ..before });
            self.fault(Fault::CheckpointEquivocation { first: before.vote, second: vote });
            return;
        }
        if !first_holds {
            votes.remove(&sequence);
            if second_holds {
                votes.insert(sequence, Cast::new(vote, true));
            }
        }
        self.fault(Fault::InvalidSignature { from, message: MessageType::Checkpoint, sequence });
        self.stabilize_when_signed(sequence);
    }

    /// Advances the low water mark when q replicas signed the state that this one has.
    fn stabilize_when_signed(&mut self, sequence: Sequence) {
        let Some(own) = self.checkpoints.snapshots.get(&sequence).cloned() else { return };
        let quorum = self.quorum();
        for digest in self.checkpoints.digests_at(sequence) {
            let (domain, keyring) = (&self.parameters.domain, &self.keyring);
            let verify = |vote: &CheckpointVote| vote.verify(domain, keyring);
            let (certificate, invalid) = self.checkpoints.certificate(sequence, digest, quorum, verify);
            for from in invalid {
                self.fault(Fault::InvalidSignature { from, message: MessageType::Checkpoint, sequence });
            }
            if let Some(certificate) = certificate {
                self.on_certified_state(certificate, own);
                return;
            }
        }
    }

    /// A quorum signed a state of a slot that is executed here.
    pub(crate) fn on_certified_state(&mut self, certificate: CheckpointCertificate, own: Snapshot) {
        if certificate.digest == own.digest {
            self.stabilize(certificate, own.bytes);
            return;
        }
        if self.standing != Standing::Diverged {
            let (sequence, ours, theirs) = (certificate.sequence, own.digest, certificate.digest);
            self.fault(Fault::Diverged { sequence, ours, theirs });
            self.standing = Standing::Diverged;
        }
    }

    /// Cuts the log: the checkpoint's record stands for everything before it, and what lives on is stored again behind it.
    pub(crate) fn stabilize(&mut self, certificate: CheckpointCertificate, state: Arc<Vec<u8>>) {
        let low = certificate.sequence;
        assert!(
            low > self.marks.low && low <= self.executed(),
            "water marks only advance, over executed slots"
        );
        self.forget_up_to(low);
        let (cluster_digest, me) = (self.parameters.cluster_digest, self.me());
        self.checkpoints.stable = Some(Stable { certificate: certificate.clone(), state: state.clone() });
        let now = self.now.monotonic_ms;
        self.peers.values_mut().for_each(|peer| peer.served.forget_state_unasked(now));
        // Records of this step before this one are of slots that are gone, or are among those stored again.
        self.ready.persist.clear();
        let voter = self.standing != Standing::Learning;
        self.ready.persist.push(Record::Stable { cluster_digest, me, voter, certificate, state });
        self.ready.persist.extend(self.standing_record());
        let live = self.slots.iter().flat_map(|(sequence, slot)| slot.records(*sequence));
        self.ready.persist.extend(live);
        let own = self.checkpoints.own_votes_above(low);
        self.ready.persist.extend(own.into_iter().map(Record::OwnCheckpoint));
        self.ready.discard_below = Some(low);
        self.send_all(Message::Status(self.peer_status()));
    }

    /// Forgets the slots up to a stable checkpoint; those that come within the water marks are looked at.
    pub(crate) fn forget_up_to(&mut self, low: Sequence) {
        self.marks.low = low;
        self.slots = self.slots.split_off(&low.next());
        self.checkpoints.forget_up_to(low);
        let waiting = self.slots.iter().filter(|(_, slot)| slot.waiting.is_some());
        self.touched.extend(waiting.map(|(sequence, _)| *sequence));
    }
}
