//! NEW-VIEW: with what a primary begins its view. Castro & Liskov 1999 §4.4.
//!
//! Deviates: it names its view changes by digest, since each of them went to all anyway, and its PRE-PREPAREs by digest and signature. Whoever
//! lacks one of either fetches it from anybody. Nobody believes it: every replica recomputes what it says.

use certificate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use certificate::replicas::REPLICAS_MAX;
use certificate::{Digest, Domain, MessageType, ReplicaId, Sequence, Signature, View};
use thiserror::Error;

use crate::planted::Bug;
use crate::select::{self, Conflict, Plan};
use crate::{Keyring, PIPELINE_MAX, Parameters, ViewChange, Vote, lists};

/// Most slots that a new view fixes: its base is the highest of all, and no claim is more than two pipelines beyond it.
pub const FIXED_SLOTS_MAX: usize = 2 * PIPELINE_MAX as usize;

/// With what a primary begins its view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewView {
    /// The view.
    pub view: View,
    /// From what it is computed: exactly n-f view changes, by replica.
    pub view_changes: Vec<(ReplicaId, Digest)>,
    /// The digest of each slot behind the base, with the primary's signature as over its PRE-PREPARE.
    pub proposals: Vec<(Digest, Signature)>,
    /// The primary's, over all of the above.
    pub signature: Signature,
}

/// Why a new view is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NewViewError {
    /// Not what the primary signed.
    #[error("expected the signature of the primary")]
    Signature,
    /// Too few or too many view changes.
    #[error("expected exactly {expected} view changes, found {found}")]
    Count {
        /// n-f
        expected: usize,
        /// What came.
        found: usize,
    },
    /// View changes out of order, twice, or of nobody.
    #[error("expected view changes of members by replica, found {0} out of place")]
    Order(ReplicaId),
    /// A view change to another view.
    #[error("expected view changes to this view, found another of replica {0}")]
    View(ReplicaId),
    /// A view change that does not hold.
    #[error("expected view changes that hold, found one of replica {0} that does not")]
    ViewChange(ReplicaId),
    /// Not what follows from the view changes.
    #[error("expected the proposals that follow from the view changes, found others")]
    Proposals,
    /// A proposal that the primary did not sign.
    #[error("slot {0}: expected the primary's signature on its proposal")]
    Proposal(Sequence),
}

impl NewView {
    /// What the primary of `view` says, given view changes that were checked.
    pub fn sign(
        view: View,
        view_changes: &[&ViewChange],
        plan: &Plan,
        parameters: &Parameters,
        keyring: &impl Keyring,
    ) -> NewView {
        let domain = &parameters.domain;
        let sequences = (plan.base.0 + 1..).map(Sequence);
        let proposals = sequences.zip(&plan.chosen).map(|(sequence, digest)| {
            let preimage = domain.vote_preimage(MessageType::PrePrepare, view, sequence, *digest);
            (*digest, keyring.sign(&preimage))
        });
        let mut new_view = NewView {
            view,
            view_changes: view_changes.iter().map(|one| (one.replica, one.digest())).collect(),
            proposals: proposals.collect(),
            signature: Signature([0; 64]),
        };
        new_view.signature = keyring.sign(&new_view.preimage(domain));
        new_view
    }

    /// Signs again after a change.
    pub fn resign(mut self, domain: &Domain, keyring: &impl Keyring) -> NewView {
        self.signature = keyring.sign(&self.preimage(domain));
        self
    }

    fn preimage(&self, domain: &Domain) -> Vec<u8> {
        let mut body = Writer::new();
        self.encode_body(&mut body);
        domain.preimage(MessageType::NewView, &body.finish())
    }

    fn encode_body(&self, writer: &mut Writer) {
        writer.u64(self.view.0);
        lists::write_bounded(writer, &self.view_changes, |writer, (replica, digest)| {
            writer.u8(replica.0);
            digest.encode(writer);
        });
        lists::write_bounded(writer, &self.proposals, |writer, (digest, signature)| {
            digest.encode(writer);
            signature.encode(writer);
        });
    }

    /// Whether the primary of its view signed it. Says nothing about what it claims.
    pub fn verify_signature(&self, primary: ReplicaId, domain: &Domain, keyring: &impl Keyring) -> bool {
        keyring.verify(primary, &self.preimage(domain), &self.signature)
    }

    /// What can be said of it alone: the signature, how many view changes, in which order.
    pub fn check_shape(&self, parameters: &Parameters, keyring: &impl Keyring) -> Result<(), NewViewError> {
        let replicas = parameters.replicas;
        if !self.verify_signature(replicas.primary(self.view), &parameters.domain, keyring) {
            return Err(NewViewError::Signature);
        }
        let (expected, found) = (replicas.view_change_quorum(), self.view_changes.len());
        let one_more = parameters.switch.has(Bug::OneViewChangeTooMany) && found == expected + 1;
        if found != expected && !one_more {
            return Err(NewViewError::Count { expected, found });
        }
        let mut before = None;
        for (replica, _) in &self.view_changes {
            if before >= Some(*replica) || !replicas.contains(*replica) {
                return Err(NewViewError::Order(*replica));
            }
            before = Some(*replica);
        }
        Ok(())
    }

    /// Recomputes it from the view changes that it names, in its order; whether those hold is looked at before.
    pub fn check(
        &self,
        view_changes: &[&ViewChange],
        parameters: &Parameters,
        keyring: &impl Keyring,
    ) -> Result<Plan, NewViewFault> {
        let misplaced = view_changes.iter().find(|one| one.view != self.view);
        if let Some(misplaced) = misplaced {
            return Err(NewViewError::View(misplaced.replica).into());
        }
        let mut plan = select::plan(parameters, view_changes)?;
        let digests: Vec<Digest> = self.proposals.iter().map(|(digest, _)| *digest).collect();
        if parameters.switch.has(Bug::NewViewUnchecked) {
            plan.chosen = digests.clone();
        }
        if digests != plan.chosen {
            return Err(NewViewError::Proposals.into());
        }
        for proposal in self.votes(plan.base, parameters.replicas.primary(self.view)) {
            if !proposal.verify(MessageType::PrePrepare, &parameters.domain, keyring) {
                return Err(NewViewError::Proposal(proposal.sequence).into());
            }
        }
        Ok(plan)
    }

    /// Its proposals as what their primary signed.
    pub fn votes(&self, base: Sequence, primary: ReplicaId) -> impl Iterator<Item = Vote> + '_ {
        let view = self.view;
        (base.0 + 1..).zip(&self.proposals).map(move |(sequence, (digest, signature))| Vote {
            view,
            sequence: Sequence(sequence),
            digest: *digest,
            replica: primary,
            signature: *signature,
        })
    }
}

/// Why a new view is not entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewViewFault {
    /// The primary's mistake.
    Error(NewViewError),
    /// More than f replicas are faulty.
    Conflict(Conflict),
}

impl From<NewViewError> for NewViewFault {
    fn from(error: NewViewError) -> NewViewFault {
        NewViewFault::Error(error)
    }
}

impl From<Conflict> for NewViewFault {
    fn from(conflict: Conflict) -> NewViewFault {
        NewViewFault::Conflict(conflict)
    }
}

impl Encode for NewView {
    fn encode(&self, writer: &mut Writer) {
        self.encode_body(writer);
        self.signature.encode(writer);
    }
}

impl Decode for NewView {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let view = View(reader.u64()?);
        let view_changes = lists::read_bounded(reader, "view changes", REPLICAS_MAX as usize, |reader| {
            Ok((ReplicaId(reader.u8()?), Digest::decode(reader)?))
        })?;
        let proposals = lists::read_bounded(reader, "proposals", FIXED_SLOTS_MAX, |reader| {
            Ok((Digest::decode(reader)?, Signature::decode(reader)?))
        })?;
        Ok(NewView { view, view_changes, proposals, signature: Signature::decode(reader)? })
    }
}
