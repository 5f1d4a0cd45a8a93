//! A replica from its records: whatever prefix of the stream survived, no second digest is signed for what the records speak of.
//!
//! Records are read as they were written, so the replica passes through the states it passed through before; what was signed is held as
//! the stored bytes and sent again when peers connect. Without a genesis record or a stable checkpoint there is no replica:
//! its key may have signed what nobody remembers.

use std::sync::Arc;

use certificate::codec::Decode;
use certificate::{Digest, ReplicaId, Sequence, SlotHeader};
use thiserror::Error;

use crate::checkpoint::Stable;
use crate::log::{Accepted, Decision};
use crate::replica::Replica;
use crate::state::LogState;
use crate::{
    Application, Batch, CheckpointCertificate, CheckpointVote, CommitCertificate, DecidedSlot, Keyring,
    NewView, Parameters, PrePrepare, Prepared, Proof, Record, Standing, ViewChange, Vote, judge,
};

/// Why a log can not be the memory of this replica.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RestoreError {
    /// No genesis and no stable checkpoint: without its log a replica does not vote.
    #[error(
        "expected a genesis record or a stable checkpoint, found neither: without its log a replica does not vote"
    )]
    NoGenesis,
    /// The log of another replica or cluster file.
    #[error(
        "expected the log of replica {me} under this cluster file, found that of replica {found} or another file"
    )]
    OtherLog {
        /// Who we are.
        me: ReplicaId,
        /// Whose log it is.
        found: ReplicaId,
    },
    /// A record that no replica writes at this place: the log is damaged.
    #[error("record {index}: {found}")]
    Inconsistent {
        /// Place in the stream, from 0.
        index: usize,
        /// What was expected and found.
        found: &'static str,
    },
}

impl<A: Application, K: Keyring> Replica<A, K> {
    /// The replica whose records these are, in the order in which it stored them.
    ///
    /// Records before the first genesis or stable checkpoint are those that a discarded log left behind; they are skipped.
    /// Errors: there is neither; the log is another's; or a record contradicts those before it.
    pub fn restore(
        parameters: Parameters,
        application: A,
        keyring: K,
        records: impl Iterator<Item = Record>,
    ) -> Result<Replica<A, K>, RestoreError> {
        let mut replica = Replica::new(parameters, application, keyring);
        let mut identified = false;
        for (index, record) in records.enumerate() {
            if let Record::Genesis { cluster_digest, me }
            | Record::Learner { cluster_digest, me }
            | Record::Stable { cluster_digest, me, .. } = &record
            {
                let parameters = &replica.parameters;
                if (*cluster_digest, *me) != (parameters.cluster_digest, parameters.me) {
                    return Err(RestoreError::OtherLog { me: parameters.me, found: *me });
                }
                identified = true;
            }
            if identified {
                replica.replay(record).map_err(|found| RestoreError::Inconsistent { index, found })?;
            }
        }
        if !identified {
            return Err(RestoreError::NoGenesis);
        }
        replica.place_fixed();
        replica.ready = Default::default();
        replica.proposed = replica.proposed.max(replica.executed());
        Ok(replica)
    }

    fn replay(&mut self, record: Record) -> Result<(), &'static str> {
        match record {
            Record::Genesis { .. } => Ok(()),
            Record::Accepted { proposal, prepare } => self.replay_accepted(proposal, prepare),
            Record::Committed { vote, proof } => self.replay_committed(vote, proof),
            Record::Decided { certificate, body } => self.replay_decided(certificate, body),
            Record::OwnCheckpoint(vote) => self.replay_checkpoint(vote),
            Record::Stable { certificate, state, voter, .. } => {
                if !voter {
                    self.standing = Standing::Learning;
                }
                self.replay_stable(certificate, state)
            }
            Record::ViewChanging(message) => self.replay_view_change(message),
            Record::Entered { new_view, view_changes } => self.replay_entered(new_view, view_changes),
            Record::Learner { .. } => {
                self.standing = Standing::Learning;
                Ok(())
            }
            Record::Voter => {
                self.standing = Standing::Active;
                Ok(())
            }
            Record::Voted { sequence, voted } => {
                if sequence > self.marks.low {
                    self.slots.entry(sequence).or_default().vote(voted);
                }
                Ok(())
            }
        }
    }

    fn replay_accepted(&mut self, proposal: PrePrepare, prepare: Option<Vote>) -> Result<(), &'static str> {
        let (view, sequence, digest) = (proposal.view, proposal.header.sequence, proposal.header.digest());
        let primary = self.parameters.replicas.primary(view);
        let matches = |vote: &Vote| (vote.view, vote.sequence, vote.digest) == (view, sequence, digest);
        if !prepare.as_ref().is_none_or(matches) || prepare.is_none() != (primary == self.me()) {
            return Err("expected the own prepare for the accepted proposal, found another");
        }
        if sequence <= self.marks.low {
            return Ok(());
        }
        self.view = self.view.max(view);
        if view == self.view {
            self.proposed = self.proposed.max(sequence);
        }
        let slot = self.slots.entry(sequence).or_default();
        if slot
            .accepted
            .as_ref()
            .is_some_and(|before| before.proposal.view == view && before.digest != digest)
        {
            return Err("expected one accepted digest for a view and slot, found two");
        }
        slot.seen = Some(proposal.vote(primary)).filter(|_| view == self.view);
        if let Some(vote) = prepare {
            slot.prepares.insert_verified(vote);
        }
        slot.waiting = None;
        slot.accept(Accepted { proposal, digest, prepare, verdict: None, since_ms: 0 });
        self.touched.insert(sequence);
        Ok(())
    }

    fn replay_committed(&mut self, vote: Vote, proof: Proof) -> Result<(), &'static str> {
        if vote.sequence <= self.marks.low {
            return Ok(());
        }
        self.view = self.view.max(vote.view);
        let slot = self.slots.entry(vote.sequence).or_default();
        if slot.committed.is_some_and(|before| before.view == vote.view && before.digest != vote.digest) {
            return Err("expected one committed digest for a view and slot, found two");
        }
        if slot.decided_in().is_none_or(|decided| decided < vote.view) {
            slot.commits.insert_verified(vote);
        }
        slot.prepared = Some(Prepared { view: vote.view, digest: vote.digest, proof });
        slot.committed = Some(vote);
        self.touched.insert(vote.sequence);
        Ok(())
    }

    fn replay_decided(
        &mut self,
        certificate: CommitCertificate,
        body: Option<(SlotHeader, Arc<Batch>)>,
    ) -> Result<(), &'static str> {
        let sequence = certificate.sequence;
        if sequence <= self.marks.low {
            return Ok(());
        }
        let slot = self.slots.entry(sequence).or_default();
        if slot.decided.is_some() {
            return Ok(());
        }
        let accepted = slot.accepted.as_ref().filter(|accepted| accepted.digest == certificate.digest);
        let accepted = accepted.map(|it| (it.proposal.header.clone(), it.proposal.batch.clone()));
        let (header, batch) = body.or(accepted).ok_or("expected the body of a decided slot, found none")?;
        if header.digest() != certificate.digest || header.sequence != sequence {
            return Err("expected the body that was decided, found another");
        }
        let verdict = judge::bound(&header, &batch, &self.application)
            .ok_or("expected a body that its header binds, found another")?;
        let view = certificate.view;
        let decided = DecidedSlot { header, batch, certificate };
        slot.decided = Some(Decision { slot: decided, verdict: Some(verdict) });
        slot.prepares.forget_up_to(view);
        slot.commits.forget_up_to(view);
        while self.execute_next() {}
        Ok(())
    }

    fn replay_view_change(&mut self, message: Arc<ViewChange>) -> Result<(), &'static str> {
        if message.replica != self.me() {
            return Err("expected an own view change, found another's");
        }
        if message.view > self.view {
            self.view = message.view;
            self.standing = Standing::Changing;
            self.hold_own_view_change(message);
        }
        Ok(())
    }

    fn replay_entered(
        &mut self,
        new_view: Arc<NewView>,
        view_changes: Vec<Arc<ViewChange>>,
    ) -> Result<(), &'static str> {
        if new_view.view < self.view {
            return Err("expected a view that was not given up, found one below");
        }
        let refs: Vec<&ViewChange> = view_changes.iter().map(Arc::as_ref).collect();
        let plan = new_view.check(&refs, &self.parameters, &self.keyring);
        let plan =
            plan.map_err(|_| "expected a new view that follows from its view changes, found another")?;
        self.install(new_view, view_changes, plan);
        Ok(())
    }

    fn replay_checkpoint(&mut self, vote: CheckpointVote) -> Result<(), &'static str> {
        if vote.sequence <= self.marks.low {
            return Ok(());
        }
        let snapshot = self.checkpoints.snapshots.get(&vote.sequence);
        if snapshot.is_none_or(|snapshot| snapshot.digest != vote.digest) {
            return Err("expected a checkpoint of the executed state, found another");
        }
        self.hold_own_checkpoint(vote);
        Ok(())
    }

    fn replay_stable(
        &mut self,
        certificate: CheckpointCertificate,
        bytes: Arc<Vec<u8>>,
    ) -> Result<(), &'static str> {
        let low: Sequence = certificate.sequence;
        if low <= self.marks.low {
            return Ok(());
        }
        let digest: Digest = LogState::digest_of(&bytes);
        let state = LogState::from_bytes(&bytes).map_err(|_| "expected a state, found other bytes")?;
        if digest != certificate.digest || state.executed() != low {
            return Err("expected the state of the checkpoint, found another");
        }
        if self.executed() < low {
            self.log = state;
        }
        self.forget_up_to(low);
        self.checkpoints.stable = Some(Stable { certificate, state: bytes });
        while self.execute_next() {}
        Ok(())
    }
}
