//! What the peers of a bench say when views change, signed as they would sign it.

use std::sync::Arc;

use certificate::{Digest, MessageType, ReplicaId, ReplicaSet, Replicas, Sequence, Signature, View};

use super::bench::*;
use super::toy::{ToyKeys, domain, genesis};
use crate::select;
use crate::*;

/// Four replicas, one of which may be faulty.
pub fn four() -> Replicas {
    Replicas::new(4, 1).unwrap()
}

/// The move of a replica to a view, without any claim.
pub fn gives_up(of: u8, view: u64) -> ViewChange {
    claiming(of, view, Vec::new())
}

/// The move of a replica to a view, with these claims behind slot 0.
pub fn claiming(of: u8, view: u64, slots: Vec<SlotClaim>) -> ViewChange {
    let (view, replica, signature) = (View(view), ReplicaId(of), Signature([0; 64]));
    signed(ViewChange { view, replica, stable: None, decided: None, slots, signature })
}

/// The view change under the signature of its replica.
pub fn signed(message: ViewChange) -> ViewChange {
    let keys = ToyKeys::of(message.replica.0);
    message.sign(&domain(), &keys)
}

/// The prepared certificate that the primary of a view and the q-1 lowest others make.
pub fn prepared(replicas: Replicas, view: u64, sequence: u64, digest: Digest) -> Prepared {
    let primary = replicas.primary(View(view));
    let others: Vec<ReplicaId> = replicas.ids().filter(|id| *id != primary).collect();
    let signers = &others[..replicas.quorum() - 1];
    let sign = |phase, of: ReplicaId| vote(phase, view, sequence, digest, of.0).signature;
    let proof = Proof::Prepares {
        primary: sign(MessageType::PrePrepare, primary),
        signers: signers.iter().copied().collect(),
        signatures: signers.iter().map(|of| sign(MessageType::Prepare, *of)).collect(),
    };
    Prepared { view: View(view), digest, proof }
}

/// A vote for what the primary of a view proposed.
pub fn voted(replicas: Replicas, view: u64, sequence: u64, digest: Digest) -> Voted {
    let primary = replicas.primary(View(view));
    let signature = vote(MessageType::PrePrepare, view, sequence, digest, primary.0).signature;
    Voted { view: View(view), digest, signature }
}

/// The claim to have prepared a digest in a view, and so to have voted for it.
pub fn claims_prepared(view: u64, sequence: u64, digest: Digest) -> SlotClaim {
    let prepared = Some(prepared(four(), view, sequence, digest));
    let voted = Some(voted(four(), view, sequence, digest));
    SlotClaim { sequence: Sequence(sequence), prepared, voted }
}

/// The claim to have voted for a digest in a view.
pub fn claims_voted(view: u64, sequence: u64, digest: Digest) -> SlotClaim {
    let voted = Some(voted(four(), view, sequence, digest));
    SlotClaim { sequence: Sequence(sequence), prepared: None, voted }
}

/// The commits of a view by these replicas.
pub fn commits(view: u64, sequence: u64, digest: Digest, signers: &[u8]) -> CommitCertificate {
    let sign = |of: &u8| vote(MessageType::Commit, view, sequence, digest, *of).signature;
    CommitCertificate {
        view: View(view),
        sequence: Sequence(sequence),
        digest,
        signers: signers.iter().map(|of| ReplicaId(*of)).collect::<ReplicaSet>(),
        signatures: signers.iter().map(sign).collect(),
    }
}

/// What an honest primary says about these view changes, which stand by replica.
pub fn begins(parameters: &Parameters, view: u64, view_changes: &[&ViewChange]) -> NewView {
    let plan = select::plan(parameters, view_changes).unwrap();
    let primary = parameters.replicas.primary(View(view)).0;
    NewView::sign(View(view), view_changes, &plan, parameters, &ToyKeys::of(primary))
}

/// The own view changes that a step sends to all.
pub fn gave_up(ready: &Ready) -> Vec<Arc<ViewChange>> {
    let sent = ready.send.iter().filter_map(|(to, message)| match message {
        Message::ViewChange(message) if *to == Recipients::All => Some(message.clone()),
        _ => None,
    });
    sent.collect()
}

/// The new view that a step begins as its primary.
pub fn began(ready: &Ready) -> Option<Arc<NewView>> {
    ready.send.iter().find_map(|(to, message)| match message {
        Message::NewView(message) if *to == Recipients::All => Some(message.clone()),
        _ => None,
    })
}

impl Bench {
    pub fn hear_view_change(&mut self, message: &ViewChange) -> Ready {
        self.hear(message.replica.0, Message::ViewChange(Arc::new(message.clone())))
    }

    pub fn hear_new_view(&mut self, message: &NewView) -> Ready {
        let primary = self.replica.parameters.replicas.primary(message.view).0;
        self.hear(primary, Message::NewView(Arc::new(message.clone())))
    }

    /// Brings the bench into a view by the view changes of the three others; gives the step in which it enters it.
    pub fn enter(&mut self, view: u64, others: &[ViewChange]) -> Ready {
        let me = self.replica.parameters.me;
        let mut entered = Ready::default();
        for message in others {
            let ready = self.hear_view_change(message);
            if began(&ready).is_some() {
                entered = ready;
            }
        }
        if self.replica.parameters.replicas.primary(View(view)) != me {
            let mut named: Vec<&ViewChange> = others.iter().collect();
            named.sort_by_key(|one| one.replica);
            let message = begins(&self.replica.parameters, view, &named);
            entered = self.hear_new_view(&message);
        }
        assert_eq!(self.replica.status().view, View(view));
        assert_eq!(self.replica.status().standing, Standing::Active, "{:?}", entered.faults);
        entered
    }

    /// Moves that the three others make to a view without any claim.
    pub fn others_give_up(&self, view: u64) -> Vec<ViewChange> {
        let me = self.replica.parameters.me.0;
        (0..4).filter(|of| *of != me).map(|of| gives_up(of, view)).collect()
    }

    /// What is on disk: all that was stored since the last record that stands for everything before it.
    pub fn disk(&self) -> Vec<Record> {
        let last = self.stored.iter().rposition(|record| matches!(record, Record::Stable { .. }));
        match last {
            Some(stable) => self.stored[stable..].to_vec(),
            None => std::iter::once(genesis(&self.replica.parameters)).chain(self.stored.clone()).collect(),
        }
    }

    /// The same replica after a crash, read back from its disk.
    pub fn restarted(&self) -> Bench {
        let parameters = self.replica.parameters.clone();
        let toy = super::toy::Toy { quorum: parameters.replicas.quorum() };
        let records = self.disk();
        let keys = ToyKeys::of(parameters.me.0);
        let replica = Replica::restore(parameters.clone(), toy, keys, records.iter().cloned()).unwrap();
        let mut bench = Bench::of(replica, parameters);
        (bench.now, bench.log) = (self.now, self.log.clone());
        bench.stored = records.into_iter().skip(1).collect();
        bench
    }

    /// A good proposal of the primary of a view for the next slot.
    pub fn proposal_in(&self, view: u64, number: u64) -> PrePrepare {
        let observers: Vec<u8> = self.replica.parameters.replicas.ids().map(|id| id.0).collect();
        let batch = self.batch_of(number, &observers);
        self.signed(view, self.header_over(self.log.executed().0 + 1, &batch), batch)
    }

    /// Runs the next slot to its end in a view: proposal, prepares and commits of all others. Gives what each step said.
    pub fn decide_in(&mut self, view: u64, number: u64) -> Vec<Ready> {
        let replicas = self.replica.parameters.replicas;
        let (me, primary) = (self.replica.parameters.me, replicas.primary(View(view)));
        let proposal = self.proposal_in(view, number);
        let (sequence, digest) = (proposal.header.sequence.0, proposal.header.digest());
        let mut said = vec![self.hear(primary.0, Message::PrePrepare(proposal.clone()))];
        let others: Vec<ReplicaId> = replicas.ids().filter(|id| *id != me).collect();
        for from in others.iter().filter(|id| **id != primary) {
            let vote = vote(MessageType::Prepare, view, sequence, digest, from.0);
            said.push(self.hear(from.0, Message::Prepare(vote)));
        }
        for from in &others {
            let vote = vote(MessageType::Commit, view, sequence, digest, from.0);
            said.push(self.hear(from.0, Message::Commit(vote)));
        }
        self.note(&proposal);
        said
    }
}
