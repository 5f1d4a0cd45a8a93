//! S2: an honest replica signs one digest for a view, slot and phase, and one VIEW-CHANGE and NEW-VIEW for a view, the same bytes every time, across
//! restarts; and what it sends was stored and synced before.

use std::collections::{BTreeMap, BTreeSet};

use certificate::{Digest, MessageType, ReplicaId, Replicas, Signature};
use pbft::{Message, Ready, Record, ViewChange};

use super::{Laws, Step};

/// Phase, view, slot. Checkpoints have no view.
type Place = (u8, u64, u64);

/// What honest replicas signed and stored.
#[derive(Default)]
pub(super) struct Signatures {
    signed: BTreeMap<(ReplicaId, Place), (Digest, Signature)>,
    /// Written, and lost when the power goes.
    written: BTreeSet<(ReplicaId, Place, Digest)>,
    /// On disk.
    stored: BTreeSet<(ReplicaId, Place, Digest)>,
    stable: BTreeMap<ReplicaId, u64>,
}

impl Signatures {
    pub(super) fn check(&mut self, step: &Step<'_>, laws: &Laws) -> Result<(), String> {
        let me = step.replica;
        let replicas = laws.parameters.replicas;
        for record in &step.ready.persist {
            if let Record::Stable { certificate, .. } = record {
                self.stable.insert(me, certificate.sequence.0);
            }
            let own = own_record(me, record, replicas).into_iter();
            self.written.extend(own.map(|(place, digest)| (me, place, digest)));
        }
        if step.ready.sync() {
            self.stored.append(&mut self.written);
        }
        for (_, message) in &step.ready.send {
            let Some((place, digest, signature)) = own_message(me, message, replicas) else { continue };
            let (first, bytes) = *self.signed.entry((me, place)).or_insert((digest, signature));
            if (first, bytes) != (digest, signature) {
                return Err(format!("signed {} and {} as {place:?}", first.short(), digest.short()));
            }
            let is_gone = place.2 > 0 && Some(&place.2) <= self.stable.get(&me);
            if !is_gone && !self.stored.contains(&(me, place, digest)) {
                return Err(format!("sent {} as {place:?} before it was stored", digest.short()));
            }
        }
        Ok(())
    }

    /// Notes what was sent, stored or not.
    pub(super) fn sent(&mut self, me: ReplicaId, ready: &Ready, laws: &Laws) {
        for (_, message) in &ready.send {
            if let Some((place, digest, signature)) = own_message(me, message, laws.parameters.replicas) {
                self.signed.entry((me, place)).or_insert((digest, signature));
            }
        }
    }

    /// What is on disk now is all that it may send: of the last write before a crash some may be there.
    pub(super) fn restarted(&mut self, replica: ReplicaId, records: &[Record], laws: &Laws) {
        self.written.retain(|(whose, _, _)| *whose != replica);
        self.stored.retain(|(whose, _, _)| *whose != replica);
        for record in records {
            if let Record::Stable { certificate, .. } = record {
                self.stable.insert(replica, certificate.sequence.0);
            }
            let own = own_record(replica, record, laws.parameters.replicas);
            self.stored.extend(own.into_iter().map(|(place, digest)| (replica, place, digest)));
        }
    }
}

/// The signatures of `me` in a record.
fn own_record(me: ReplicaId, record: &Record, replicas: Replicas) -> Vec<(Place, Digest)> {
    let place = |phase: MessageType, view, sequence| (phase as u8, view, sequence);
    let of_change = |change: &ViewChange| (place(MessageType::ViewChange, change.view.0, 0), change.digest());
    match record {
        Record::Accepted { proposal, prepare } => {
            let phase = if prepare.is_some() { MessageType::Prepare } else { MessageType::PrePrepare };
            let header = &proposal.header;
            vec![(place(phase, proposal.view.0, header.sequence.0), header.digest())]
        }
        Record::Committed { vote, .. } => {
            vec![(place(MessageType::Commit, vote.view.0, vote.sequence.0), vote.digest)]
        }
        Record::OwnCheckpoint(vote) if vote.replica == me => {
            vec![(place(MessageType::Checkpoint, 0, vote.sequence.0), vote.digest)]
        }
        Record::ViewChanging(change) => vec![of_change(change)],
        Record::Entered { new_view, view_changes } => {
            let own = view_changes.iter().filter(|change| change.replica == me);
            let mut signed: Vec<(Place, Digest)> = own.map(|change| of_change(change)).collect();
            if replicas.primary(new_view.view) == me {
                let digest = Digest::of(&new_view.signature.0);
                signed.push((place(MessageType::NewView, new_view.view.0, 0), digest));
            }
            signed
        }
        _ => Vec::new(),
    }
}

/// The signature of `me` in a message of its own, if that is one of those that bind it.
fn own_message(me: ReplicaId, message: &Message, replicas: Replicas) -> Option<(Place, Digest, Signature)> {
    let (phase, vote) = match message {
        Message::PrePrepare(proposal) => {
            (MessageType::PrePrepare, proposal.vote(replicas.primary(proposal.view)))
        }
        Message::Prepare(vote) => (MessageType::Prepare, *vote),
        Message::Commit(vote) => (MessageType::Commit, *vote),
        Message::Checkpoint(vote) => {
            let place = (MessageType::Checkpoint as u8, 0, vote.sequence.0);
            return (vote.replica == me).then_some((place, vote.digest, vote.signature));
        }
        Message::ViewChange(change) => {
            let place = (MessageType::ViewChange as u8, change.view.0, 0);
            return (change.replica == me).then(|| (place, change.digest(), change.signature));
        }
        Message::NewView(new_view) => {
            let place = (MessageType::NewView as u8, new_view.view.0, 0);
            let own = replicas.primary(new_view.view) == me;
            return own.then(|| (place, Digest::of(&new_view.signature.0), new_view.signature));
        }
        _ => return None,
    };
    let place = (phase as u8, vote.view.0, vote.sequence.0);
    (vote.replica == me).then_some((place, vote.digest, vote.signature))
}
