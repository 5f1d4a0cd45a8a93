//! View changes as the product has them, and what its `select::plan` makes of them. Nobody signed them: it does not look at signatures.

use std::ops::Range;

use certificate::{Digest, Domain, Epoch, ReplicaId, ReplicaSet, Sequence, Signature, SlotHeader, View};
use pbft::select::{self, Plan};
use pbft::{CommitCertificate, Parameters, Prepared, Proof, SlotClaim, ViewChange, Voted};

use super::super::world::{NULL, SLOTS_MAX};
use super::protocol::{Protocol, Slip};

/// An element of P or Q: 0, or 3 view + digest.
pub type Entry = u8;

/// An entry of a view and a digest.
pub fn entry(of: Option<(usize, u8)>) -> Entry {
    of.map_or(0, |(view, digest)| 3 * view as u8 + digest)
}

/// The view and the digest of an entry.
pub fn view_and_digest(entry: Entry) -> Option<(usize, u8)> {
    entry.checked_sub(1).map(|entry| (usize::from(entry / 3), entry % 3 + 1))
}

/// A view change: its base, and by slot P and Q.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Said {
    /// The base.
    pub base: u8,
    /// P and Q by slot.
    pub slots: [(Entry, Entry); SLOTS_MAX],
}

/// Asks the product.
pub struct Product {
    parameters: Parameters,
    /// By slot.
    nulls: [Digest; SLOTS_MAX],
    digests: u8,
    slip: Option<Slip>,
}

impl Product {
    /// A product with the numbers of the protocol.
    pub fn new(protocol: &Protocol) -> Product {
        let cluster = Digest::of(b"models");
        let domain = Domain { cluster_id: cluster, epoch: Epoch(1) };
        let mut parameters = Parameters::new(ReplicaId(0), protocol.replicas, domain, cluster);
        (parameters.pipeline, parameters.switch) = (protocol.pipeline as u64, protocol.switch);
        let nulls = [1, 2, 3].map(|slot| SlotHeader::null(Sequence(slot), cluster).digest());
        Product { parameters, nulls, digests: protocol.digests, slip: protocol.slip }
    }

    /// What a view begins with; nothing when its view changes contradict each other.
    pub fn plan(&self, view: usize, taken: &[Said]) -> Option<Plan> {
        let view_changes: Vec<ViewChange> =
            taken.iter().enumerate().map(|(at, said)| self.view_change(view, at, said)).collect();
        let mut plan = select::plan(&self.parameters, &view_changes.iter().collect::<Vec<_>>()).ok()?;
        if self.slip == Some(Slip::BaseOfOne) {
            let base = usize::from(taken[0].base);
            plan.chosen = plan.chosen.split_off(base.min(plan.chosen.len()));
            plan.base = Sequence(base as u64);
        }
        Some(plan)
    }

    fn view_change(&self, view: usize, at: usize, said: &Said) -> ViewChange {
        let (signature, signers) = (Signature([0; 64]), ReplicaSet::EMPTY);
        let decided = (said.base > 0 && self.slip != Some(Slip::BaseOfOne)).then(|| CommitCertificate {
            view: View(0),
            sequence: Sequence(u64::from(said.base) + self.parameters.pipeline),
            digest: Digest::ZERO,
            signers,
            signatures: Vec::new(),
        });
        let claims = said.slots.iter().enumerate().filter(|(_, claim)| **claim != (0, 0));
        let claims = claims.filter(|_| self.slip != Some(Slip::ClaimsDropped));
        let slots = claims.map(|(slot, (prepared, voted))| SlotClaim {
            sequence: Sequence(slot as u64 + 1),
            prepared: view_and_digest(*prepared).map(|(view, digest)| Prepared {
                view: View(view as u64),
                digest: self.digest(slot, digest),
                proof: Proof::Commits { signers, signatures: Vec::new() },
            }),
            voted: view_and_digest(*voted).map(|(view, digest)| Voted {
                view: View(view as u64),
                digest: self.digest(slot, digest),
                signature,
            }),
        });
        let (view, replica) = (View(view as u64), ReplicaId(at as u8));
        ViewChange { view, replica, stable: None, decided, slots: slots.collect(), signature }
    }

    fn digest(&self, slot: usize, digest: u8) -> Digest {
        if digest == NULL { self.nulls[slot] } else { Digest([digest; 32]) }
    }

    /// The digests for which a replica may vote in the slot when this is how its view begins.
    pub fn follow(&self, plan: &Plan, slot: usize) -> Range<u8> {
        let Some(at) = slot.checked_sub(plan.base.0 as usize) else { return 0..0 };
        match plan.chosen.get(at) {
            Some(digest) if *digest != self.nulls[slot] => digest.0[0]..digest.0[0] + 1,
            Some(_) if self.digests == NULL => NULL..NULL + 1,
            Some(_) | None => 1..self.digests + 1,
        }
    }
}
