//! Whether an evidence file proves what it says, to anyone who has the cluster file and trusts nobody.
//!
//! Nothing is taken from the file but what the accused signed. Every kind is checked by the rule that raised the fault, so what a replica
//! refuses and what a verifier condemns cannot drift apart.

use std::sync::Arc;

use certificate::{Cluster, MessageType, OperationKind, PublicKey, ReplicaId, Sequence, Signature, View};
use pbft::select::Conflict;
use pbft::{
    Application, CheckpointVote, Fault, Item, Keyring, NewView, NewViewError, NewViewFault, Parameters,
    SignedObservations, SignedVote, ViewChange, ViewChangeError,
};

use super::exhibit::Exhibit;
use super::file::EvidenceFile;
use super::verdict::{EvidenceError, Proven};
use crate::rules::rules;

impl EvidenceFile {
    /// Checks the signatures and that what was signed is a fault, by the cluster file alone. An observation's content is not looked at:
    /// `verify_with` does.
    ///
    /// Errors: nothing is proven, and why.
    pub fn verify(&self, cluster: &Cluster) -> Result<Proven, EvidenceError> {
        self.check(cluster, None)
    }

    /// As `verify`, and asks `application` whether observations are well-formed.
    ///
    /// Errors: nothing is proven, and why.
    pub fn verify_with(
        &self,
        cluster: &Cluster,
        application: &dyn Application,
    ) -> Result<Proven, EvidenceError> {
        self.check(cluster, Some(application))
    }

    fn check(
        &self,
        cluster: &Cluster,
        application: Option<&dyn Application>,
    ) -> Result<Proven, EvidenceError> {
        let (ours, theirs) = (cluster.domain(), self.domain);
        if ours.cluster_id != theirs.cluster_id {
            return Err(EvidenceError::Cluster { ours: ours.cluster_id, theirs: theirs.cluster_id });
        }
        if ours.epoch != theirs.epoch {
            return Err(EvidenceError::Epoch { ours: ours.epoch, theirs: theirs.epoch });
        }
        let court = Court {
            accused: self.replica,
            rules: rules(cluster, self.replica),
            keys: PublicKeys::of(cluster),
            application,
        };
        if !court.rules.replicas.contains(self.replica) {
            return Err(EvidenceError::UnknownReplica(self.replica));
        }
        let (fault, view, sequence) = court.judge(&self.exhibit)?;
        Ok(Proven { kind: self.exhibit.kind(), replica: self.replica, view, sequence, fault })
    }
}

/// The fault that is proven, in which view and slot.
type Verdict = (Fault, Option<View>, Option<Sequence>);

/// What a verdict is founded on besides the evidence.
struct Court<'a> {
    accused: ReplicaId,
    rules: Parameters,
    keys: PublicKeys,
    application: Option<&'a dyn Application>,
}

impl Court<'_> {
    fn judge(&self, exhibit: &Exhibit) -> Result<Verdict, EvidenceError> {
        match exhibit {
            Exhibit::Equivocation { first, second } => self.equivocation(first, second),
            Exhibit::CheckpointEquivocation { first, second } => self.checkpoints(first, second),
            Exhibit::ViewChangeEquivocation { first, second } => self.view_changes(first, second),
            Exhibit::NewViewEquivocation { first, second } => self.new_views(first, second),
            Exhibit::MalformedObservation { set } => self.observation(set),
            Exhibit::InvalidViewChange { message } => self.view_change(message),
            Exhibit::InvalidNewView { message, view_changes } => self.new_view(message, view_changes),
            Exhibit::MisplacedVote { vote } => self.misplaced_vote(vote),
            Exhibit::MisplacedCheckpoint { vote } => self.misplaced_checkpoint(vote),
            Exhibit::RefusedProposal { proposal } => {
                self.signed_by(proposal.vote.replica)?;
                self.holds(1, proposal.verify(&self.rules.domain, &self.keys))?;
                Err(EvidenceError::NoProof)
            }
        }
    }

    fn signed_by(&self, shown: ReplicaId) -> Result<(), EvidenceError> {
        let accused = self.accused;
        if shown == accused { Ok(()) } else { Err(EvidenceError::OtherReplica { accused, shown }) }
    }

    fn holds(&self, part: usize, signature: bool) -> Result<(), EvidenceError> {
        if signature { Ok(()) } else { Err(EvidenceError::Signature { part, replica: self.accused }) }
    }

    fn equivocation(&self, first: &SignedVote, second: &SignedVote) -> Result<Verdict, EvidenceError> {
        for (part, signed) in [(1, first), (2, second)] {
            self.signed_by(signed.vote.replica)?;
            self.holds(part, signed.verify(&self.rules.domain, &self.keys))?;
        }
        let place = |signed: &SignedVote| (signed.phase, signed.vote.view, signed.vote.sequence);
        if place(first) != place(second) {
            return Err(EvidenceError::NoContradiction { what: "slot, view and phase" });
        }
        if first.vote.digest == second.vote.digest {
            return Err(EvidenceError::Same);
        }
        let fault = Fault::Equivocation { first: *first, second: *second };
        Ok((fault, Some(first.vote.view), Some(first.vote.sequence)))
    }

    fn checkpoints(&self, first: &CheckpointVote, second: &CheckpointVote) -> Result<Verdict, EvidenceError> {
        for (part, vote) in [(1, first), (2, second)] {
            self.signed_by(vote.replica)?;
            self.holds(part, vote.verify(&self.rules.domain, &self.keys))?;
        }
        if first.sequence != second.sequence {
            return Err(EvidenceError::NoContradiction { what: "slot" });
        }
        if first.digest == second.digest {
            return Err(EvidenceError::Same);
        }
        let fault = Fault::CheckpointEquivocation { first: *first, second: *second };
        Ok((fault, None, Some(first.sequence)))
    }

    fn view_changes(
        &self,
        first: &Arc<ViewChange>,
        second: &Arc<ViewChange>,
    ) -> Result<Verdict, EvidenceError> {
        for (part, message) in [(1, first), (2, second)] {
            self.signed_by(message.replica)?;
            self.holds(part, message.verify_signature(&self.rules.domain, &self.keys))?;
        }
        if first.view != second.view {
            return Err(EvidenceError::NoContradiction { what: "view" });
        }
        if first == second {
            return Err(EvidenceError::Same);
        }
        let view = first.view;
        let fault = Fault::ViewChangeEquivocation { first: first.clone(), second: second.clone() };
        Ok((fault, Some(view), None))
    }

    fn new_views(&self, first: &Arc<NewView>, second: &Arc<NewView>) -> Result<Verdict, EvidenceError> {
        for (part, message) in [(1, first), (2, second)] {
            self.new_view_signature(part, message)?;
        }
        if first.view != second.view {
            return Err(EvidenceError::NoContradiction { what: "view" });
        }
        if first == second {
            return Err(EvidenceError::Same);
        }
        let (primary, view) = (self.accused, first.view);
        let fault = Fault::NewViewEquivocation { primary, first: first.clone(), second: second.clone() };
        Ok((fault, Some(view), None))
    }

    fn new_view_signature(&self, part: usize, message: &NewView) -> Result<(), EvidenceError> {
        let primary = self.rules.replicas.primary(message.view);
        self.signed_by(primary)?;
        self.holds(part, message.verify_signature(primary, &self.rules.domain, &self.keys))
    }

    fn observation(&self, set: &SignedObservations) -> Result<Verdict, EvidenceError> {
        self.signed_by(set.replica)?;
        let preimage = set.preimage(&self.rules.domain);
        self.holds(1, self.keys.verify(set.replica, &preimage, &set.signature))?;
        let longest = self.rules.observation_bytes_max();
        let malformed = set.items.iter().position(|item| match item {
            Item::Pruned(_) => false,
            Item::Full(observation) => {
                let operation = &observation.operation;
                let check = |application: &dyn Application| {
                    application.check(operation, set.replica, &observation.payload)
                };
                operation.kind == OperationKind::Null
                    || observation.encoded_len() > longest
                    || !self.application.is_none_or(check)
            }
        });
        match (malformed, self.application) {
            (Some(item), _) => {
                let set = Box::new(set.clone());
                Ok((Fault::MalformedObservation { from: self.accused, set, item }, None, None))
            }
            (None, Some(_)) => Err(EvidenceError::Sound { what: "observations" }),
            (None, None) => Err(EvidenceError::NeedsApplication),
        }
    }

    fn misplaced_vote(&self, signed: &SignedVote) -> Result<Verdict, EvidenceError> {
        let (from, view, sequence) = (signed.vote.replica, signed.vote.view, signed.vote.sequence);
        self.signed_by(from)?;
        self.holds(1, signed.verify(&self.rules.domain, &self.keys))?;
        let is_primary = self.rules.replicas.primary(view) == from;
        let proof = Some(*signed);
        let fault = match (signed.phase, is_primary) {
            (MessageType::PrePrepare, false) => Fault::NotPrimary { from, view, sequence, proof },
            (MessageType::Prepare, true) => Fault::PrepareOfPrimary { from, sequence, proof },
            _ => return Err(EvidenceError::Sound { what: "vote" }),
        };
        Ok((fault, Some(view), Some(sequence)))
    }

    fn misplaced_checkpoint(&self, vote: &CheckpointVote) -> Result<Verdict, EvidenceError> {
        let (from, sequence) = (vote.replica, vote.sequence);
        self.signed_by(from)?;
        self.holds(1, vote.verify(&self.rules.domain, &self.keys))?;
        if sequence.0 > 0 && sequence.0.is_multiple_of(self.rules.checkpoint_interval) {
            return Err(EvidenceError::Sound { what: "checkpoint" });
        }
        let fault = Fault::MisplacedCheckpoint { from, sequence, proof: Some(*vote) };
        Ok((fault, None, Some(sequence)))
    }

    fn view_change(&self, message: &Arc<ViewChange>) -> Result<Verdict, EvidenceError> {
        self.signed_by(message.replica)?;
        self.holds(1, message.verify_signature(&self.rules.domain, &self.keys))?;
        match message.check(&self.rules, &self.keys) {
            Ok(()) => Err(EvidenceError::Sound { what: "view change" }),
            Err(error) => {
                let fault = Fault::InvalidViewChange { message: message.clone(), error };
                Ok((fault, Some(message.view), None))
            }
        }
    }

    fn new_view(
        &self,
        message: &Arc<NewView>,
        view_changes: &[Arc<ViewChange>],
    ) -> Result<Verdict, EvidenceError> {
        self.new_view_signature(1, message)?;
        let error = match message.check_shape(&self.rules, &self.keys) {
            Err(error) => error,
            Ok(()) => self.wrong_with_new_view(message, view_changes)?,
        };
        let fault = Fault::InvalidNewView {
            primary: self.accused,
            message: message.clone(),
            view_changes: view_changes.to_vec(),
            error,
        };
        Ok((fault, Some(message.view), None))
    }

    /// What is wrong with a new view of the right shape. Its primary vouches for the view changes that it names: their digests are under its
    /// signature, and it is to have checked them.
    fn wrong_with_new_view(
        &self,
        message: &NewView,
        view_changes: &[Arc<ViewChange>],
    ) -> Result<NewViewError, EvidenceError> {
        for (place, one) in view_changes.iter().enumerate() {
            if !message.view_changes.contains(&(one.replica, one.digest())) {
                return Err(EvidenceError::NotNamed { part: place + 2 });
            }
        }
        for one in view_changes {
            if one.view != message.view {
                return Ok(NewViewError::View(one.replica));
            }
            if self.checked(one).is_err() {
                return Ok(NewViewError::ViewChange(one.replica));
            }
        }
        let mut named = Vec::with_capacity(message.view_changes.len());
        for (replica, _) in &message.view_changes {
            let shown = view_changes.iter().find(|one| one.replica == *replica);
            named.push(shown.ok_or(EvidenceError::Missing(*replica))?.as_ref());
        }
        match message.check(&named, &self.rules, &self.keys) {
            Ok(_) => Err(EvidenceError::Sound { what: "new view" }),
            Err(NewViewFault::Error(error)) => Ok(error),
            Err(NewViewFault::Conflict(Conflict { view, .. })) => Err(EvidenceError::Conflict { view }),
        }
    }

    fn checked(&self, message: &ViewChange) -> Result<(), ViewChangeError> {
        if !message.verify_signature(&self.rules.domain, &self.keys) {
            return Err(ViewChangeError::Signature(message.replica));
        }
        message.check(&self.rules, &self.keys)
    }
}

/// The public keys of a cluster file.
struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    fn of(cluster: &Cluster) -> PublicKeys {
        PublicKeys(cluster.members.iter().map(|member| member.public_key).collect())
    }
}

impl Keyring for PublicKeys {
    /// A verifier has no secret: this signature verifies nowhere.
    fn sign(&self, _preimage: &[u8]) -> Signature {
        Signature([0; 64])
    }

    fn verify(&self, replica: ReplicaId, preimage: &[u8], signature: &Signature) -> bool {
        self.0.get(usize::from(replica.0)).is_some_and(|key| key.verify(preimage, signature))
    }
}
