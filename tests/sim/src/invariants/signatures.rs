//! S2: an honest replica signs one digest for a view, slot and phase, and one VIEW-CHANGE and NEW-VIEW for a view, the same bytes every time, across
//! restarts and the loss of its disk; it votes in no view below one for which it sent VIEW-CHANGE; and what it sends was stored and synced before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, Replicas, Sequence, Signature};
use pbft::{Message, Ready, Record, ViewChange};

use super::{Laws, Step};

/// Phase, view, slot. Checkpoints have no view.
type Place = (u8, u64, u64);

/// What honest replicas signed and stored.
#[derive(Default)]
pub(super) struct Signatures {
    signed: BTreeMap<(ReplicaId, Place), (Digest, Signature)>,
    /// Written, and lost when the power goes.
    written: BTreeMap<ReplicaId, Vec<(Place, Digest)>>,
    /// On disk.
    stored: BTreeSet<(ReplicaId, Place, Digest)>,
    stable: BTreeMap<ReplicaId, u64>,
    /// The highest view for which it sent VIEW-CHANGE.
    promised: BTreeMap<ReplicaId, u64>,
    /// Behind which slot the proposals of a new view stand.
    bases: BTreeMap<(ReplicaId, u64), u64>,
}

impl Signatures {
    pub(super) fn check(&mut self, step: &Step<'_>, laws: &Laws) -> Result<(), String> {
        let me = step.replica;
        for record in &step.ready.persist {
            for (place, digest) in self.write(me, record, laws) {
                self.keep_promise(me, place, digest)?;
            }
        }
        if step.ready.sync() {
            self.complete(me);
        }
        for (_, message) in &step.ready.send {
            for (place, digest, signature) in self.own_of(me, message, laws) {
                // Who lost its disk may hand on the VIEW-CHANGE that it sent before, as it got it back from others.
                let handed_on =
                    place.0 == MessageType::ViewChange as u8 && self.signed.contains_key(&(me, place));
                let (first, bytes) = *self.signed.entry((me, place)).or_insert((digest, signature));
                if (first, bytes) != (digest, signature) {
                    return Err(format!("signed {} and {} as {place:?}", first.short(), digest.short()));
                }
                let is_gone = place.2 > 0 && Some(&place.2) <= self.stable.get(&me);
                if !is_gone && !handed_on && !self.stored.contains(&(me, place, digest)) {
                    return Err(format!("sent {} as {place:?} before it was stored", digest.short()));
                }
            }
        }
        Ok(())
    }

    /// After VIEW-CHANGE for a view no vote in one below that was not stored before. What was sent once may be sent again.
    fn keep_promise(&mut self, me: ReplicaId, place: Place, digest: Digest) -> Result<(), String> {
        let (phase, view, sequence) = place;
        let promised = self.promise(me, place);
        let votes = [MessageType::PrePrepare, MessageType::Prepare, MessageType::Commit];
        let is_vote = votes.iter().any(|vote| *vote as u8 == phase);
        // A learner may read what it began itself, before it lost its disk, from others.
        let said = phase == MessageType::PrePrepare as u8
            && self.signed.get(&(me, place)).is_some_and(|(before, _)| *before == digest);
        if is_vote && view < promised && !said && !self.stored.contains(&(me, place, digest)) {
            return Err(format!("voted for slot {sequence} in view {view} after VIEW-CHANGE to {promised}"));
        }
        Ok(())
    }

    /// Notes a promise if it is one, and gives the highest.
    fn promise(&mut self, me: ReplicaId, (phase, view, _): Place) -> u64 {
        let promised = self.promised.entry(me).or_default();
        if phase == MessageType::ViewChange as u8 {
            *promised = view.max(*promised);
        }
        *promised
    }

    /// Notes a record, and gives the signatures of `me` in it.
    fn write(&mut self, me: ReplicaId, record: &Record, laws: &Laws) -> Vec<(Place, Digest)> {
        match record {
            Record::Stable { certificate, .. } => {
                self.stable.insert(me, certificate.sequence.0);
            }
            Record::Entered { new_view, view_changes } => {
                self.bases.insert((me, new_view.view.0), base_of(view_changes, laws));
            }
            _ => {}
        }
        let own = own_record(me, record, laws);
        self.written.entry(me).or_default().extend(&own);
        own
    }

    /// A sync of one replica.
    fn complete(&mut self, me: ReplicaId) {
        let written = self.written.remove(&me).unwrap_or_default();
        self.stored.extend(written.into_iter().map(|(place, digest)| (me, place, digest)));
    }

    /// The signatures of `me` in a message of its own; those of a NEW-VIEW over its proposals with it.
    fn own_of(&self, me: ReplicaId, message: &Message, laws: &Laws) -> Vec<(Place, Digest, Signature)> {
        let mut own: Vec<_> = own_message(me, message, laws.parameters.replicas).into_iter().collect();
        if let Message::NewView(new_view) = message
            && !own.is_empty()
            && let Some(base) = self.bases.get(&(me, new_view.view.0))
        {
            let proposals = (base + 1..).zip(&new_view.proposals);
            own.extend(proposals.map(|(sequence, (digest, signature))| {
                ((MessageType::PrePrepare as u8, new_view.view.0, sequence), *digest, *signature)
            }));
        }
        own
    }

    /// Notes what was sent, stored or not.
    pub(super) fn sent(&mut self, me: ReplicaId, ready: &Ready, laws: &Laws) {
        for (_, message) in &ready.send {
            for (place, digest, signature) in self.own_of(me, message, laws) {
                self.signed.entry((me, place)).or_insert((digest, signature));
                self.promise(me, place);
            }
        }
    }

    pub(super) fn forget(&mut self, below: Sequence) {
        self.signed.retain(|(_, place), _| place.2 == 0 || place.2 >= below.0);
        self.stored.retain(|(_, place, _)| place.2 == 0 || place.2 >= below.0);
    }

    /// Nothing is on disk; what was signed stays so.
    pub(super) fn lost_disk(&mut self, replica: ReplicaId) {
        self.written.remove(&replica);
        self.stored.retain(|(whose, _, _)| *whose != replica);
        self.stable.remove(&replica);
    }

    /// What is on disk now is all that it may send: of the last write before a crash some may be there.
    pub(super) fn restarted(&mut self, replica: ReplicaId, records: &[Record], laws: &Laws) {
        self.written.remove(&replica);
        self.stored.retain(|(whose, _, _)| *whose != replica);
        for record in records {
            for (place, _) in self.write(replica, record, laws) {
                self.promise(replica, place);
            }
        }
        self.complete(replica);
    }
}

/// Behind which slot the proposals of a new view stand.
fn base_of(view_changes: &[Arc<ViewChange>], laws: &Laws) -> u64 {
    let bases = view_changes.iter().map(|change| change.base(laws.parameters.pipeline).0);
    bases.max().unwrap_or(0)
}

/// The signatures of `me` in a record.
fn own_record(me: ReplicaId, record: &Record, laws: &Laws) -> Vec<(Place, Digest)> {
    let replicas = laws.parameters.replicas;
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
                let proposals = (base_of(view_changes, laws) + 1..).zip(&new_view.proposals);
                signed.extend(proposals.map(|(sequence, (digest, _))| {
                    (place(MessageType::PrePrepare, new_view.view.0, sequence), *digest)
                }));
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
